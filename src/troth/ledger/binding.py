"""Binds rows to the ledger: each that was changed in a transaction gets a tag, and the same tag stands in an entry.

Triggers of the registers say on the connection what was changed (`kit.watching`). The next entry of the transaction
takes it: the row as it is now is read, a keyed tag is computed over it and kept with it, and the entry names register,
row, turn and tag. What is changed after the last entry is bound by one of its own before the commit. So no room has to
remember, and the database refuses a commit that leaves something unbound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from troth.kit.db import Connection
from troth.kit.watching import WatchedConnection
from troth.ledger import binding_store
from troth.ledger.clear import Bind
from troth.ledger.registers import REGISTERS, Register, message
from troth.ledger.sealer import Sealer

MOST: Final = 64
"""Rows that one entry binds."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A row that was changed: its register, its key, and the turn that it ended with where it is no more."""

    register: str
    row: str
    gone: int | None

    @classmethod
    def read(cls, told: str) -> Changed:
        """From what a trigger said."""
        register, row, turn = told.split(" ")
        return cls(register, row, None if turn == "-" else int(turn))


@dataclass(frozen=True, slots=True)
class System:
    """The platform itself, which binds what an act changed after its own entry."""

    tenant: UUID | None
    id: UUID | None = None
    kind: str = "system"
    role: str = "none"
    name: str = ""
    organisation: str = ""
    session_id: UUID | None = None
    surface: str = ""


def take(connection: Connection) -> list[Changed]:
    """What was changed in the transaction and is bound by nothing yet, at most `MOST`; it counts as taken."""
    if not isinstance(connection, WatchedConnection) or not connection.changed:
        return []
    told = list(connection.changed)[:MOST]
    for each in told:
        del connection.changed[each]
    return [Changed.read(each) for each in told]


async def bind(connection: Connection, sealer: Sealer, changed: Iterable[Changed], entry_id: UUID) -> tuple[Bind, ...]:
    """Give rows their tags.

    Args:
        connection: The transaction that changed them.
        sealer: Computes tags.
        changed: Which rows.
        entry_id: The entry that is going to name them.

    Returns:
        What the entry has to say.
    """
    gone: dict[tuple[str, str], int] = {}
    by_register: Mapping[str, list[str]] = defaultdict(list)
    for each in changed:
        by_register[each.register].append(each.row)
        if each.gone is not None:
            gone[each.register, each.row] = each.gone
    tenant = await binding_store.tenant_of(connection)
    binds: list[Bind] = []
    for name, keys in by_register.items():
        register = REGISTERS[name]
        rows = await binding_store.read(connection, register, list(dict.fromkeys(keys)))
        made = [
            (row["row"], turn, tag_of(sealer, register, tenant, row["row"], turn, row["bound"]))
            for row in rows
            if (turn := max(row["turn"], gone.get((name, row["row"]), 0)) + 1)
        ]
        if made:
            await binding_store.put(connection, register, made, entry_id)
        binds += [Bind(name, row, turn, tag) for row, turn, tag in made]
        held = {row for row, _, _ in made}
        binds += [Bind(name, row, turn, None) for (of, row), turn in gone.items() if of == name and row not in held]
    if any(each.tag is None for each in binds):
        await binding_store.remember_gone(connection, entry_id)
    return tuple(binds)


def tag_of(sealer: Sealer, register: Register, tenant: UUID | None, row: str, turn: int, bound: str) -> bytes:
    """The tag that a row must have."""
    return sealer.tag(message(register, tenant, row, turn, bound))


def is_bound(
    sealer: Sealer, name: str, tenant: UUID | None, key: Sequence[object], row: Mapping[str, Any], at: str
) -> bool:
    """Whether a row is what was bound last, by its own tag: asked before it is trusted.

    It does not see that a row is missing, or that an older one stands in its place; `verify` does.

    Args:
        sealer: Computes tags.
        name: The register.
        tenant: Of the row; None on the platform.
        key: Its key, in the order of the register.
        row: What `Register.columns` read.
        at: The prefix of those columns.
    """
    tag = row[f"{at}_tag"]
    if tag is None:
        return False
    named = ":".join(map(str, key))
    return tag_of(sealer, REGISTERS[name], tenant, named, row[f"{at}_turn"], row[f"{at}_bound"]) == bytes(tag)
