"""SQL of bound rows: what is bound of them, and what binds them. Of every register, as `registers` describes it."""

# ruff: noqa: S608 - names of `registers`, which are constants

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, LiteralString
from uuid import UUID

from troth.kit.db import Connection, Row
from troth.ledger.model import PLATFORM
from troth.ledger.registers import Register
from troth.ledger.store import COLUMNS


async def read(connection: Connection, register: Register, keys: Sequence[str]) -> list[Row]:
    """Rows of a register by their keys: `row`, `bound`, `turn` and `tag`, held until the transaction ends."""
    parts = [key.split(":") for key in keys]
    wanted: list[Any] = [list(column) for column in zip(*parts, strict=True)]
    cursor = await connection.execute(
        "select " + register.row("t") + " as row, " + register.text("t") + " as bound, t.turn, t.tag from "
        + register.name + " t join " + _keys(register) + " for update of t",
        wanted,
    )  # fmt: skip
    return await cursor.fetchall()


async def put(
    connection: Connection, register: Register, rows: Sequence[tuple[str, int, bytes]], entry_id: UUID
) -> None:
    """Keep turn and tag of some rows, and the entry that binds them."""
    parts = [row.split(":") for row, _, _ in rows]
    wanted: list[Any] = [list(column) for column in zip(*parts, strict=True)]
    wanted += [[turn for _, turn, _ in rows], [tag for _, _, tag in rows]]
    names: list[LiteralString] = [_part(place) for place in range(len(register.key))]
    casts: list[LiteralString] = [_cast(register, place) for place in range(len(register.key))]
    listed: list[LiteralString] = ["%s::text[]"] * len(register.key)
    await connection.execute(
        "update " + register.name + " t set turn = k.turn, tag = k.tag, bound_by = %s from (select "
        + ", ".join(casts) + ", turn, tag from unnest(" + ", ".join(listed) + ", %s::int[], %s::bytea[]) as u ("
        + ", ".join(names) + ", turn, tag)) k where " + _joined(register),
        [entry_id, *wanted],
    )  # fmt: skip


async def remember_gone(connection: Connection, entry_id: UUID) -> None:
    """Name the entry that binds rows which are no more; the check at the end of the transaction looks there."""
    await connection.execute(
        "select set_config('app.bound_by', concat_ws(',', nullif(current_setting('app.bound_by', true), ''), %s::text),"
        " true)",
        (str(entry_id),),
    )


async def tenant_of(connection: Connection) -> UUID | None:
    """Whose space the transaction is in."""
    cursor = await connection.execute("select nullif(current_setting('app.tenant', true), '')::uuid as tenant")
    row = await cursor.fetchone()
    return row["tenant"] if row else None


async def all_rows(connection: Connection, register: Register) -> AsyncIterator[Row]:
    """Every row of a register in the transaction's space, a thousand at a time."""
    async with connection.cursor(name="bound_rows") as cursor:
        await cursor.execute(
            "select " + register.row("t") + " as row, " + register.text("t") + " as bound, t.turn, t.tag, t.bound_by"
            " from " + register.name + " t where " + _here(register)
        )  # fmt: skip
        cursor.itersize = 1000
        async for row in cursor:
            yield row


async def unbound(connection: Connection, register: Register, limit: int) -> list[str]:
    """Keys of rows that nothing has bound yet."""
    cursor = await connection.execute(
        "select " + register.row("t") + " as row from " + register.name + " t where t.tag is null and t.turn = 0"
        " order by 1 limit %s",
        (limit,),
    )  # fmt: skip
    return [row["row"] for row in await cursor.fetchall()]


async def entries(
    connection: Connection, register: str | None = None, keys: Sequence[str] | None = None
) -> AsyncIterator[Row]:
    """Entries that bind rows, with all that their code covers, a thousand at a time, of each space oldest first.

    Args:
        connection: In their space.
        register: Only those of this one.
        keys: Only those of these rows of it.
    """
    named = None if keys is None else [json.dumps([[register, key]]) for key in keys]
    async with connection.cursor(name="binding_entries") as cursor:
        cursor.itersize = 1000
        await cursor.execute(
            f"select {', '.join(COLUMNS)} from ledger_entry where more ? 'binds'"
            " and (%(register)s::text is null"
            " or more -> 'binds' @> jsonb_build_array(jsonb_build_array(%(register)s::text)))"
            " and (%(named)s::text[] is null or more -> 'binds' @> any(%(named)s::text[]::jsonb[]))"
            " order by tenant, id",
            {"register": register, "named": named},
        )
        async for row in cursor:
            yield row


async def bound_before(connection: Connection, kind: str) -> set[str]:
    """Registers of which an entry says that they were bound as a whole."""
    cursor = await connection.execute(
        "select more -> 'says' ->> 'register' as register from ledger_entry where kind = %s"
        " and tenant = '00000000-0000-0000-0000-000000000000' and more -> 'says' ->> 'state' = 'bound'",
        (kind,),
    )
    return {row["register"] for row in await cursor.fetchall()}


async def spaces(connection: Connection) -> list[UUID]:
    """Every space that rows with a tenant lie in: of the platform itself, and of each organisation."""
    cursor = await connection.execute("select id from organisation order by id")
    return [PLATFORM, *(row["id"] for row in await cursor.fetchall())]


def _here(register: Register) -> LiteralString:
    """SQL of what is the transaction's own: an organisation may read rows of the platform, which are not its."""
    return "true" if register.is_platform else "t.tenant = nullif(current_setting('app.tenant', true), '')::uuid"


def _keys(register: Register) -> LiteralString:
    names = [_part(place) for place in range(len(register.key))]
    casts: list[LiteralString] = [_cast(register, place) for place in range(len(register.key))]
    listed: list[LiteralString] = ["%s::text[]"] * len(register.key)
    return (
        "(select " + ", ".join(casts) + " from unnest(" + ", ".join(listed) + ") as u (" + ", ".join(names) + ")) k on "
        + _joined(register)
    )  # fmt: skip


def _joined(register: Register) -> LiteralString:
    conditions: list[LiteralString] = [
        't."' + column + '" = k.' + _part(place) for place, column in enumerate(register.key)
    ]
    return " and ".join(conditions)


def _cast(register: Register, place: int) -> LiteralString:
    column, name = register.key[place], _part(place)
    kind: LiteralString = "text" if column == "kind" else "uuid"
    return name + "::" + kind + " as " + name


def _part(place: int) -> LiteralString:
    parts: tuple[LiteralString, ...] = ("p0", "p1", "p2")
    return parts[place]
