"""Rows beside the ledger that are not what was written: what `verify` names of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class AlteredRow:
    """One row that somebody changed past the platform. Names nobody: a register, our random id, and what is wrong.

    Attributes:
        register: The table, as the catalogue of the database calls it.
        id: Of the row.
        what: What is wrong, in words.
        tenant: The organisation it belongs to; None on the platform.
    """

    register: str
    id: UUID
    what: str
    tenant: UUID | None = None


RowsLook = Callable[[], Awaitable[list[AlteredRow]]]
"""Compares every row that is bound with what binds it."""
