"""Binds what was held before a register was bound: once, in pieces, and never again.

A row without a tag is taken for what it says only here, and only while no entry says that its register was bound
before: whoever takes a tag away later is found. Nothing from before it is proved; the entry says since when.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

from troth.kit.db import Connection, Database, Space
from troth.kit.watching import WatchedConnection
from troth.ledger import binding, binding_store
from troth.ledger.builder import act
from troth.ledger.clear import Clear
from troth.ledger.errors import RowsAltered
from troth.ledger.model import Entry
from troth.ledger.registers import FORM, REGISTERS, Register

KIND = "main:registers:bound"


class Appends(Protocol):
    """What the ledger gives this."""

    async def append(self, connection: Connection, entry: Entry) -> UUID:
        """Write an entry, which binds what was changed before it."""


async def bind_held(database: Database, ledger: Appends, is_sound: Callable[[], Awaitable[bool]]) -> int:
    """Bind every row that no entry names yet, of registers that were never bound.

    Args:
        database: As the doors' role.
        ledger: Is told, and binds.
        is_sound: Whether the ledger is what was signed; asked where there is something to bind.

    Returns:
        How many rows were bound.

    Raises:
        RowsAltered: The ledger is not; nothing was bound.
    """
    async with database.transaction(None) as connection:
        done = await binding_store.bound_before(connection, KIND)
        spaces = await binding_store.spaces(connection)
    left = [register for register in REGISTERS.values() if name_of(register) not in done]
    if left and not await is_sound():
        raise RowsAltered("The ledger is not what was signed, so nothing is bound to it.", hint="troth ledger verify")
    count = 0
    for register in left:
        found = 0
        for scope in (None,) if register.is_platform else spaces:
            while number := await _some(database, ledger, register, scope):
                found += number
        async with database.transaction(None) as connection:
            said = Clear(says={"register": name_of(register), "state": "bound"})
            entry = act(binding.System(None), KIND, "administration", counts={"rows": found}, clear=said)
            await ledger.append(connection, entry)
        count += found
    return count


def name_of(register: Register) -> str:
    """A register and the form of what is bound of it."""
    return f"{register.name}:{FORM}"


async def _some(database: Database, ledger: Appends, register: Register, scope: UUID | None) -> int:
    async with database.transaction(Space(scope)) as connection:
        keys = await binding_store.unbound(connection, register, binding.MOST)
        if keys and isinstance(connection, WatchedConnection):
            connection.changed |= dict.fromkeys(f"{register.name} {key} -" for key in keys)
            said = Clear(says={"register": name_of(register), "state": "binding"})
            entry = act(binding.System(scope), KIND, "administration", counts={"rows": len(keys)}, clear=said)
            await ledger.append(connection, entry)
    return len(keys)
