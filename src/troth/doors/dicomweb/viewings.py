"""Viewings that are open: one for each session, study and purpose, so that the ledger has one entry for all frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from troth.archive import VIEWING_LASTS, Viewing
from troth.policy import Actor

Key = tuple[UUID | None, UUID | None, str, str]

_MOST = 10_000


@dataclass(slots=True)
class Slot:
    """The place of one viewing."""

    viewing: Viewing | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Viewings:
    """Open viewings of this process; each is closed five minutes after it was opened."""

    def __init__(self) -> None:
        self._slots: dict[Key, Slot] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def find(self, actor: Actor, study_uid: str, purpose: str) -> Viewing | None:
        """A viewing that is open and not over.

        Args:
            actor: Who looks; another session of the same person has its own.
            study_uid: StudyInstanceUID.
            purpose: What for.
        """
        slot = self._slots.get(_key(actor, study_uid, purpose))
        return slot.viewing if slot is not None and slot.viewing is not None and not slot.viewing.is_over else None

    @asynccontextmanager
    async def opening(self, actor: Actor, study_uid: str, purpose: str) -> AsyncIterator[Slot]:
        """Open a viewing alone: of many requests at once one opens, the others get what it opened.

        Yields:
            The slot; `viewing` is set already when another was first.
        """
        key = _key(actor, study_uid, purpose)
        slot = self._slots.setdefault(key, Slot())
        async with slot.lock:
            before = slot.viewing
            if before is not None and before.is_over:
                slot.viewing = None
                self._later(before.close())
            try:
                yield slot
            finally:
                if slot.viewing is None:
                    self._slots.pop(key, None)
            if slot.viewing is not None and slot.viewing is not before:
                self._slots[key] = slot
                self._schedule(key, slot.viewing)

    async def close(self) -> None:
        """Close all of them."""
        slots, self._slots = list(self._slots.values()), {}
        for slot in slots:
            if slot.viewing is not None:
                await slot.viewing.close()
        if self._closing:
            await asyncio.wait(self._closing)

    def _schedule(self, key: Key, viewing: Viewing) -> None:
        if len(self._slots) > _MOST:
            self._end(next(iter(self._slots)), None)
        asyncio.get_running_loop().call_later(VIEWING_LASTS.total_seconds(), self._end, key, viewing)

    def _end(self, key: Key, viewing: Viewing | None) -> None:
        slot = self._slots.get(key)
        if slot is None or slot.viewing is None or (viewing is not None and slot.viewing is not viewing):
            return
        del self._slots[key]
        self._later(slot.viewing.close())

    def _later(self, closing: object) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(closing)  # type: ignore[call-overload]
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _key(actor: Actor, study_uid: str, purpose: str) -> Key:
    return actor.tenant, actor.session_id or actor.id, study_uid, purpose
