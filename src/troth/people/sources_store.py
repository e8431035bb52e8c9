"""All SQL of what was accepted, of lists of people, and of contacts. Everything lies behind row-level security."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from troth.kit.db import Connection, Row

FOUND_BY: Final = "contact_email"
"""Kind of the token by which a contact of an organisation is found."""

_LIST = """id, tenant, number, kind, source, origin, clause, activity, way, state, lines, taken, added, known, ended,
    tell_within, key, sealed, made_by, made_at, agreed_at, done_at, told_at"""
_SOURCE = """s.id as source_id, s.contact_id, s.list_id, s.source, s.origin, s.clause, s.activity, s.way, s.anchor_on,
    s.obtained_at, s.ended_at, s.tell_by, s.told_at, s.sealed as source_sealed"""
_CONTACT = "c.id, c.tenant, c.key, c.account_id, c.linked_at, c.sealed, c.made_at"


async def _one(connection: Connection, statement: str, values: dict[str, Any]) -> Row | None:
    return await (await connection.execute(statement.encode(), values)).fetchone()


async def _all(connection: Connection, statement: str, values: dict[str, Any]) -> list[Row]:
    return await (await connection.execute(statement.encode(), values)).fetchall()


async def _insert(connection: Connection, table: str, values: dict[str, Any], tail: str = "") -> bool:
    columns, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    statement = f"insert into {table} ({columns}) values ({places}) {tail}"  # noqa: S608 - names are ours
    return (await connection.execute(statement.encode(), values)).rowcount == 1


# What was accepted


async def insert_acceptance(connection: Connection, values: dict[str, Any]) -> bool:
    """Keep what an account accepted; False when it is there."""
    return await _insert(connection, "acceptance", values, "on conflict do nothing")


async def has_accepted(connection: Connection, account_id: UUID, subject_id: UUID | None) -> bool:
    """Whether an account accepted anything in the scope's organisation."""
    statement = "select 1 from acceptance where account_id = %(a)s and subject_id is not distinct from %(s)s limit 1"
    return await _one(connection, statement, {"a": account_id, "s": subject_id}) is not None


_ACCEPTED = """select p.*, a.key as account_key, b.key as subject_key, b.demographics_sealed, m.name_sealed
    from acceptance p join account a on a.id = p.account_id
    left join subject b on b.tenant = p.tenant and b.id = p.subject_id
    left join membership m on m.tenant = p.tenant and m.account_id = p.account_id and p.subject_id is null
    where (p.subject_id is null or b.id is not null)"""


async def acceptances(connection: Connection, account_id: UUID | None, subject_id: UUID | None) -> list[Row]:
    """What was accepted in the scope's organisation: by all, or by one; newest first."""
    return await _all(
        connection,
        f"{_ACCEPTED} and (%(account)s::uuid is null or "
        "(p.account_id = %(account)s and p.subject_id is not distinct from %(subject)s)) "
        "order by p.accepted_at desc, p.document, p.id",
        {"account": account_id, "subject": subject_id},
    )


async def acceptances_of_subject(connection: Connection, subject_id: UUID) -> list[Row]:
    """What the accounts of a subject, and of those merged with it, accepted, oldest first."""
    statement = (
        f"{_ACCEPTED} and p.subject_id in (select subject_kin(%(subject)s)) order by p.accepted_at, p.document, p.id"
    )
    return await _all(connection, statement, {"subject": subject_id})


# Lists of people


async def insert_list(connection: Connection, values: dict[str, Any]) -> int:
    """Keep a list that was handed over; gives its number."""
    statement = "select coalesce(max(number), 0) + 1 as number from people_list where tenant = %(tenant)s"
    await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 90))", (str(values["tenant"]),))
    row = await _one(connection, statement, values)
    assert row is not None
    await _insert(connection, "people_list", {**values, "number": row["number"]})
    return int(row["number"])


async def people_list(connection: Connection, list_id: UUID) -> Row | None:
    """One list; held by this transaction until it ends."""
    return await _one(connection, f"select {_LIST} from people_list where id = %(id)s for update", {"id": list_id})  # noqa: S608


async def lists(connection: Connection) -> list[Row]:
    """The lists of the scope's organisation, newest first, without what they hold."""
    columns = _LIST.replace("sealed, ", "null::bytea as sealed, ")
    return await _all(connection, f"select {columns} from people_list order by number desc limit 200", {})  # noqa: S608


async def change_list(connection: Connection, list_id: UUID, values: dict[str, Any]) -> None:
    """Change columns of a list."""
    parts = ", ".join(f"{name} = %({name})s" for name in values)
    statement = f"update people_list set {parts} where id = %(id)s"  # noqa: S608 - names are ours
    await connection.execute(statement.encode(), {**values, "id": list_id})


async def lists_in(connection: Connection, state: str) -> list[UUID]:
    """Lists in a state, oldest first."""
    statement = "select id from people_list where state = %(state)s order by agreed_at"
    return [row["id"] for row in await _all(connection, statement, {"state": state})]


async def lists_untold(connection: Connection) -> list[UUID]:
    """Lists that were taken in, of whose people some were not told yet."""
    rows = await _all(
        connection, "select id from people_list where state = 'done' and tell_within <> '' and told_at is null", {}
    )
    return [row["id"] for row in rows]


# Contacts and where they came from


async def contacts_by_token(connection: Connection, tokens: Sequence[int]) -> dict[int, Row]:
    """Contacts by the tokens of their addresses."""
    rows = await _all(
        connection,
        f"select c.email_token, {_CONTACT} from contact c where c.email_token = any(%(tokens)s)",  # noqa: S608
        {"tokens": list(tokens)},
    )
    return {row["email_token"]: row for row in rows}


async def contact_rows(connection: Connection, where: str, values: dict[str, Any]) -> list[Row]:
    """Contacts with one row for each source; `where` is a constant of ours."""
    return await _all(
        connection,
        f"select {_CONTACT}, {_SOURCE}, s.key as source_key from contact c "  # noqa: S608
        f"join contact_source s on s.tenant = c.tenant and s.contact_id = c.id {where}",
        values,
    )


async def insert_contact(connection: Connection, values: dict[str, Any]) -> bool:
    """Add a contact; False when the address has one."""
    return await _insert(connection, "contact", values, "on conflict (tenant, email_token) do nothing")


async def upsert_source(connection: Connection, values: dict[str, Any]) -> Row | None:
    """Note a source of a contact; one that is known stays as it is, and counts again if it had ended.

    Returns:
        None when it is new; else the row that was there, with its key.
    """
    held = await _one(
        connection,
        "update contact_source set ended_at = null, list_id = %(list_id)s, "
        "anchor_on = greatest(anchor_on, %(anchor_on)s::date) where contact_id = %(contact_id)s "
        "and source = %(source)s and activity = %(activity)s returning id, key",
        values,
    )
    if held is None:
        await _insert(connection, "contact_source", values)
    return held


async def end_missing(connection: Connection, source: str, activity: str, list_id: UUID, now: datetime) -> list[Row]:
    """End what a newer list of the same source leaves out."""
    return await _all(
        connection,
        "update contact_source set ended_at = %(now)s, anchor_on = %(today)s where source = %(source)s "
        "and activity = %(activity)s and ended_at is null and list_id <> %(list)s "
        "returning contact_id",
        {
            "source": source, "activity": activity, "list": list_id, "now": now, "today": now.date(),
        },
    )  # fmt: skip


async def link_account(
    connection: Connection, tenant: UUID, token: int, account_id: UUID, now: datetime
) -> UUID | None:
    """Link a contact with the account of the same address; None when there is none, or it is linked."""
    row = await _one(
        connection,
        "update contact set account_id = %(account)s, linked_at = %(now)s where tenant = %(tenant)s "
        "and email_token = %(token)s and account_id is null returning id",
        {"account": account_id, "now": now, "tenant": tenant, "token": token},
    )
    return row["id"] if row else None


async def members(connection: Connection) -> list[Row]:
    """Active members of the scope's organisation with the keys of their accounts."""
    return await _all(
        connection,
        "select m.account_id, a.key, a.email_sealed from membership m join account a on a.id = m.account_id "
        "where m.is_active",
        {},
    )


async def claims_of(connection: Connection, account_id: UUID) -> list[Row]:
    """Sources that name an account now, and terms that it accepted."""
    return await _all(
        connection,
        "select 'source' as kind, s.source as key, '' as edition from contact c join contact_source s "
        "on s.tenant = c.tenant and s.contact_id = c.id where c.account_id = %(id)s and s.ended_at is null "
        "union all select 'accepted', key, edition from acceptance where account_id = %(id)s and document = 'terms'",
        {"id": account_id},
    )


async def activity_of(connection: Connection, source_id: UUID) -> str | None:
    """Under which activity a record was taken."""
    row = await _one(connection, "select activity from contact_source where id = %(id)s", {"id": source_id})
    return str(row["activity"]) if row else None


# Telling


async def untold(connection: Connection, list_id: UUID, limit: int) -> list[UUID]:
    """Records of a list whose people were not told yet, by when they have to be."""
    rows = await _all(
        connection,
        "select id from contact_source where list_id = %(list)s and tell_by is not null and told_at is null "
        "order by tell_by, id limit %(limit)s",
        {"list": list_id, "limit": limit},
    )
    return [row["id"] for row in rows]


async def to_tell(connection: Connection, list_id: UUID) -> tuple[datetime | None, int]:
    """By when everybody who came with a list has to be told, and how many they are."""
    row = await _one(
        connection,
        "select max(tell_by) as tell_by, count(*) as people from contact_source"
        " where list_id = %(id)s and tell_by is not null",
        {"id": list_id},
    )
    return (row["tell_by"], row["people"]) if row is not None else (None, 0)


async def claim_untold(connection: Connection, source_id: UUID) -> Row | None:
    """Lock a record whose person was not told; None when they were, or another worker has it."""
    return await _one(
        connection,
        f"select {_CONTACT}, {_SOURCE}, s.key as source_key from contact_source s "  # noqa: S608
        "join contact c on c.tenant = s.tenant and c.id = s.contact_id "
        "where s.id = %(id)s and s.told_at is null and s.tell_by is not null for update of s skip locked",
        {"id": source_id},
    )


async def told(connection: Connection, source_id: UUID, at: datetime) -> None:
    """Write down that somebody was told."""
    await connection.execute("update contact_source set told_at = %s where id = %s", (at, source_id))


# Disposal


async def activities(connection: Connection) -> list[Row]:
    """The activities under which records are held, with how many each, and the earliest day among them."""
    return await _all(
        connection,
        "select activity, count(*) as records, min(anchor_on) as first_on, max(anchor_on) as last_on "
        "from contact_source group by activity order by activity",
        {},
    )


async def anchors(connection: Connection, activity: str) -> list[Row]:
    """How many records of an activity have which day as the start of their time."""
    return await _all(
        connection,
        "select anchor_on, count(*) as records from contact_source where activity = %(activity)s group by anchor_on",
        {"activity": activity},
    )


async def delete_source(connection: Connection, contact_id: UUID, source_id: UUID) -> bool:
    """Delete one record; True when the contact had no other and went too."""
    await connection.execute("delete from contact_source where id = %s", (source_id,))
    gone = await connection.execute(
        "delete from contact c where c.id = %s and not exists "
        "(select from contact_source s where s.tenant = c.tenant and s.contact_id = c.id)",
        (contact_id,),
    )
    return gone.rowcount == 1


async def delete_contacts(connection: Connection, tokens: Sequence[int]) -> list[Row]:
    """Delete contacts with everything that is known of them; what went, one row for each source, with their keys."""
    rows = await contact_rows(connection, "where c.email_token = any(%(tokens)s) for update", {"tokens": list(tokens)})
    found = list({row["id"] for row in rows})
    await connection.execute("delete from contact_source where contact_id = any(%s)", (found,))
    await connection.execute("delete from contact where id = any(%s)", (found,))
    return rows


async def insert_disposal(connection: Connection, values: dict[str, Any]) -> None:
    """Note that a disposal was agreed to."""
    await _insert(connection, "contact_disposal", values)


async def disposals(connection: Connection, *, is_open: bool = False) -> list[Row]:
    """Disposals, newest first; all, or those under way."""
    return await _all(
        connection,
        "select id, tenant, asked_by, asked_at, found, disposed, kept, done_at from contact_disposal "
        "where (not %(open)s or done_at is null) order by asked_at desc limit 50",
        {"open": is_open},
    )


async def count_disposed(connection: Connection, disposal_id: UUID, disposed: int) -> None:
    """Add to what a disposal has done."""
    await connection.execute(
        "update contact_disposal set disposed = disposed + %s where id = %s", (disposed, disposal_id)
    )


async def finish_disposal(connection: Connection, disposal_id: UUID, kept: int, at: datetime) -> Row | None:
    """End a disposal; None when it had ended."""
    return await _one(
        connection,
        "update contact_disposal set done_at = %(at)s, kept = %(kept)s where id = %(id)s and done_at is null "
        "returning disposed, kept",
        {"at": at, "kept": kept, "id": disposal_id},
    )
