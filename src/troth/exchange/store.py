"""All SQL of the exchange room."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, LiteralString
from uuid import UUID

from troth.kit.db import Connection, Row
from troth.policy import belief

COLUMNS: Mapping[str, tuple[LiteralString, ...]] = {
    "exchange_document": (
        "tenant", "id", "locator", "key_ref", "key", "media_type", "length_bytes", "sha256", "made_at",
    ),
    "exchange_contract": (
        "tenant", "id", "key", "kind", "party", "approved_by", "valid_from", "valid_until", "document_id", "made_by",
        "made_at",
    ),
    "exchange_recipient": (
        "tenant", "id", "key",
        "stands_under", "name", "kind", "address", "country", "categories", "purposes", "contract_key",
        "peer_id",
        "email", "made_by", "made_at",
    ),
    "exchange_instrument": (
        "tenant", "id", "key", "kind", "origin", "destination", "recipient_key", "valid_from", "valid_until",
        "document_id", "made_by", "made_at",
    ),
    "exchange_instruction": (
        "tenant", "id", "key", "words", "actions", "purposes", "valid_from", "valid_until", "made_by", "made_at",
    ),
    "exchange_order": (
        "tenant", "id", "kind", "authority", "country", "scope", "study_ids", "document_id", "valid_from",
        "valid_until", "made_by", "made_at",
    ),
    "exchange_disclosure": (
        "tenant", "id", "kind", "state", "subject_id", "study_id",
        "account_id", "recipient_id", "category", "purpose", "country",
        "basis", "contract_id", "instrument_id", "order_id", "told", "event_id", "made_by", "at",
    ),
    "exchange_document_request": ("tenant", "id", "instrument_id", "email", "asked_at"),
}  # fmt: skip
"""What is inserted; the rest is written later."""

# How a row of each register ends, and what else is written then.
_ENDS: Mapping[str, LiteralString] = {
    "exchange_contract": "update exchange_contract set ended_at = %(at)s, end_reason = %(reason)s",
    "exchange_recipient": "update exchange_recipient set ended_at = %(at)s",
    "exchange_instrument": "update exchange_instrument set invalidated_at = %(at)s, reason = %(reason)s",
    "exchange_instruction": "update exchange_instruction set revoked_at = %(at)s",
    "exchange_order": "update exchange_order set ended_at = %(at)s, answer = %(reason)s",
}
_END_COLUMN: Mapping[str, LiteralString] = {
    "exchange_contract": "ended_at",
    "exchange_recipient": "ended_at",
    "exchange_instrument": "invalidated_at",
    "exchange_instruction": "revoked_at",
    "exchange_order": "ended_at",
}
_ORDERS: Mapping[str, LiteralString] = {
    "exchange_contract": " order by key, valid_from, id",
    "exchange_recipient": " order by ended_at is not null, name, id",
    "exchange_instrument": " order by origin, destination, valid_from, id",
    "exchange_instruction": " order by valid_from, id",
    "exchange_order": " order by made_at desc, id",
}


_FACTS: LiteralString = ("""
    select 'contract' as what, tenant, key, kind, id, null::text[] as actions, null::text[] as purposes,
        """ + belief.columns("exchange_contract", "exchange_contract") + """
    from exchange_contract
    where valid_from <= %(today)s and (valid_until is null or %(today)s <= valid_until)
        and (ended_at is null or ended_at > %(now)s) and (kind <> 'subprocessor' or approved_by <> '')
    union all
    select 'instrument', tenant, key, kind, id, array[origin], array[destination],
        """ + belief.columns("exchange_instrument", "exchange_instrument") + """
    from exchange_instrument
    where valid_from <= %(today)s and (valid_until is null or %(today)s <= valid_until)
        and (invalidated_at is null or invalidated_at > %(now)s)
    union all
    select 'instruction', tenant, key, '', id, actions, purposes,
        """ + belief.columns("exchange_instruction", "exchange_instruction") + """
    from exchange_instruction
    where valid_from <= %(today)s and (valid_until is null or %(today)s <= valid_until)
        and (revoked_at is null or revoked_at > %(now)s)
""")  # fmt: skip  # noqa: S608


async def insert(connection: Connection, table: LiteralString, values: Mapping[str, Any]) -> bool:
    """Insert one row of a register; False where its key is taken."""
    names = COLUMNS[table]
    columns: LiteralString = ", ".join(names)
    places: LiteralString = ", ".join(["%s"] * len(names))
    statement: LiteralString = f"insert into {table} ({columns}) values ({places}) on conflict do nothing"  # noqa: S608 - constants of this file
    cursor = await connection.execute(statement, [values[name] for name in names])
    return cursor.rowcount == 1


async def end(connection: Connection, table: str, row_id: UUID, tenant: UUID, at: datetime, reason: str) -> bool:
    """End a row of a register; False where there is none that could be ended."""
    statement: LiteralString = (
        f"{_ENDS[table]} where tenant = %(tenant)s and id = %(id)s and {_END_COLUMN[table]} is null"
    )
    cursor = await connection.execute(statement, {"tenant": tenant, "id": row_id, "at": at, "reason": reason})
    return cursor.rowcount == 1


def _all_of(table: LiteralString) -> LiteralString:
    """Every column of a register, and what binds its rows."""
    return "select *, " + belief.columns(table, table) + " from " + table  # noqa: S608


async def rows(connection: Connection, table: LiteralString) -> list[Row]:
    """All rows of a register that may be read from this space, with what binds them: its own, and the platform's."""
    return await (await connection.execute(_all_of(table) + _ORDERS[table])).fetchall()


async def document(connection: Connection, document_id: UUID) -> Row | None:
    """One document."""
    return await (await connection.execute("select * from exchange_document where id = %s", [document_id])).fetchone()


async def facts(connection: Connection, today: date, now: datetime) -> list[Row]:
    """What holds now: contracts and instruments by key, instructions with what they cover. One round trip."""
    cursor = await connection.execute(_FACTS, {"today": today, "now": now})
    return await cursor.fetchall()


async def recipient_by_key(connection: Connection, key: str) -> Row | None:
    """The recipient of a key that is not ended: the organisation's own before one of the platform."""
    cursor = await connection.execute(
        _all_of("exchange_recipient") + " where key = %s and ended_at is null"
        " order by tenant = '00000000-0000-0000-0000-000000000000' limit 1",
        [key],
    )
    return await cursor.fetchone()


async def review_order(connection: Connection, order_id: UUID, tenant: UUID, account_id: UUID, at: datetime) -> bool:
    """Note who looked at an order, once; not who filed it."""
    cursor = await connection.execute(
        "update exchange_order set reviewed_by = %(account)s, reviewed_at = %(at)s where id = %(id)s"
        " and tenant = %(tenant)s and ended_at is null and reviewed_by is null"
        " and made_by is distinct from %(account)s",
        {"id": order_id, "tenant": tenant, "account": account_id, "at": at},
    )
    return cursor.rowcount == 1


async def order(connection: Connection, order_id: UUID) -> Row | None:
    """One legal order."""
    return await (await connection.execute(_all_of("exchange_order") + " where id = %s", [order_id])).fetchone()


async def finish(connection: Connection, disclosure_id: UUID, state: str, instances: int, at: datetime) -> None:
    """Write what became of a disclosure."""
    await connection.execute(
        "update exchange_disclosure set state = %s, instances = %s, finished_at = %s where id = %s",
        [state, instances, at, disclosure_id],
    )


async def disclosures_of(connection: Connection, subject_id: UUID, since: datetime) -> list[Row]:
    """Disclosures of a subject since an instant, newest first."""
    cursor = await connection.execute(
        "select * from exchange_disclosure where subject_id = %s and at >= %s order by at desc, id desc",
        [subject_id, since],
    )
    return await cursor.fetchall()


async def disclosures(connection: Connection, limit: int) -> list[Row]:
    """The newest disclosures of the organisation."""
    cursor = await connection.execute("select * from exchange_disclosure order by at desc, id desc limit %s", [limit])
    return await cursor.fetchall()


async def went_on(connection: Connection, instrument_id: UUID) -> Row:
    """How many disclosures went on an instrument, and to how many recipients."""
    cursor = await connection.execute(
        "select count(*) as disclosures, count(distinct recipient_id) as recipients from exchange_disclosure"
        " where instrument_id = %s",
        [instrument_id],
    )
    row = await cursor.fetchone()
    assert row is not None
    return row


async def sent(connection: Connection, request_id: UUID, at: datetime) -> None:
    """Write that a document was sent."""
    await connection.execute("update exchange_document_request set sent_at = %s where id = %s", [at, request_id])


async def asked_since(connection: Connection, since: datetime) -> int:
    """How many asked for a document since an instant."""
    cursor = await connection.execute(
        "select count(*) as asked from exchange_document_request where asked_at >= %s", [since]
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["asked"])
