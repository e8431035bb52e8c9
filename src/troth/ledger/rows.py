"""Holds every row that is bound against what the ledger says it must be: changed, inserted, deleted, an older state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from troth.kit.db import Connection, Database, Row, Space
from troth.ledger import binding, binding_store, leaf
from troth.ledger.clear import Bind, Clear
from troth.ledger.errors import EntryRefused, RowsAltered
from troth.ledger.model import PLATFORM
from troth.ledger.registers import REGISTERS
from troth.ledger.sealer import Sealer

_FIRST: Final = 1

Place = tuple[str, UUID | None, str]
"""Register, space (None where rows have no tenant) and key of a row."""


@dataclass(frozen=True, slots=True)
class AlteredRow:
    """One row that somebody changed past the platform. Names nobody: a register, our random ids, and what is wrong.

    Attributes:
        register: The table, as the catalogue of the database calls it.
        id: Key of the row.
        what: What is wrong, in words.
        tenant: The organisation it belongs to; None on the platform.
    """

    register: str
    id: str
    what: str
    tenant: UUID | None = None


RowsLook = Callable[[], Awaitable[list[AlteredRow]]]
"""Compares every row that is bound with what binds it."""


async def altered(database: Database, everybody: Database, sealer: Sealer) -> list[AlteredRow]:
    """Rows that are not what the ledger says. What changed while it was looked at is looked at once more.

    Args:
        database: As the doors' role.
        everybody: As the role that reads the entries of every organisation.
        sealer: Computes tags, and codes of entries.
    """
    found = await _compared(database, everybody, sealer)
    if not found:
        return []
    again = set(await _compared(database, everybody, sealer))
    return [each for each in found if each in again]


async def require(connection: Connection, sealer: Sealer, names: Iterable[str]) -> None:
    """Refuse to go on where registers are not what the ledger says: before what cannot be undone.

    Args:
        connection: In the scope of whose rows they are; entries of that scope must be all that bind them.
        sealer: Computes tags, and codes of entries.
        names: The registers.

    Raises:
        RowsAltered: A row was changed, inserted or deleted, or is an older state.
    """
    tenant = await binding_store.tenant_of(connection)
    for name in names:
        must = {place: bind for place, bind in (await _must(connection, sealer, name)).items() if place[0] == name}
        async for row in binding_store.all_rows(connection, REGISTERS[name]):
            place = (name, None if REGISTERS[name].is_platform else tenant, row["row"])
            if _wrong(sealer, place, row, must.pop(place, None)):
                raise RowsAltered(hint="It names each row that was altered: troth verify.")
        if any(bind.tag is not None for bind in must.values()):
            raise RowsAltered(hint="It names each row that was altered: troth verify.")


async def _compared(database: Database, everybody: Database, sealer: Sealer) -> list[AlteredRow]:
    """Rows first: what is bound while they are read is newer than they are, and is met the second time."""
    rows: dict[Place, Row] = {}
    async with database.transaction(None) as connection:
        spaces = await binding_store.spaces(connection)
    for scope in (None, *spaces):
        async with database.transaction(Space(scope)) as connection:
            for register in REGISTERS.values():
                if register.is_platform == (scope is None):
                    async for row in binding_store.all_rows(connection, register):
                        rows[register.name, scope, row["row"]] = row
    async with everybody.transaction(None) as connection:
        must = await _must(connection, sealer)
    found = []
    for place, row in rows.items():
        if what := _wrong(sealer, place, row, must.pop(place, None)):
            found.append(_altered(place, what))
    found += [_altered(place, "deleted") for place, bind in must.items() if bind.tag is not None]
    return found


def _altered(place: Place, what: str) -> AlteredRow:
    name, space, key = place
    return AlteredRow(name, key, what, None if space == PLATFORM else space)


def _wrong(sealer: Sealer, place: Place, row: Row, must: Bind | None) -> str:
    """What is wrong with a row; empty where nothing is."""
    name, tenant, key = place
    if must is None:
        return "inserted, and no entry of the ledger names it"
    tag = None if row["tag"] is None else bytes(row["tag"])
    is_its_own = tag == binding.tag_of(sealer, REGISTERS[name], tenant, key, row["turn"], row["bound"])
    if must.tag is None:
        return "here again after it had ended"
    if is_its_own and tag == must.tag and row["turn"] == must.turn:
        return ""
    return "an older state of it" if is_its_own and row["turn"] < must.turn else "changed"


async def bound(connection: Connection, sealer: Sealer, name: str, keys: Sequence[str]) -> dict[str, Bind]:
    """What some rows must be, by the entries of this space: a bind without a tag says that the row is no more.

    Args:
        connection: In the space of those entries.
        sealer: Computes codes of entries.
        name: The register.
        keys: Of the rows; those of which no entry of this space says anything are left out.
    """
    must = await _must(connection, sealer, name, keys)
    return {key: bind for (register, _, key), bind in must.items() if register == name and key in keys}


async def _must(
    connection: Connection, sealer: Sealer, name: str | None = None, keys: Sequence[str] | None = None
) -> dict[Place, Bind]:
    """What each row must be: the bind of its last turn, of entries that this deployment wrote.

    A key that comes again after its row had ended, such as that of somebody who left and came back, begins anew.
    """
    must: dict[Place, Bind] = {}
    async for entry in binding_store.entries(connection, name, keys):
        if entry["mac"] is None or bytes(entry["mac"]) != sealer.mac(leaf.covered(entry)):
            continue  # not ours: `verify` names it
        for bind in _binds(entry):
            register = REGISTERS.get(bind.register)
            if register is None:
                continue
            place = (bind.register, None if register.is_platform else entry["tenant"], bind.row)
            held = must.get(place)
            if held is None or held.turn < bind.turn or (held.tag is None and bind.turn == _FIRST):
                must[place] = bind
    return must


def _binds(entry: Row) -> Iterable[Bind]:
    try:
        return Clear.read(entry["more"]).binds
    except EntryRefused:
        return ()
