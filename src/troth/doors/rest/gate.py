"""Who asks, whether they may, and how many may wait: the same steps before everything this door gives."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from starlette.requests import Request

from troth.archive import Following
from troth.doors.moments import Moments
from troth.doors.rest.errors import NoRoomToWait, TooManyWaiting
from troth.doors.rest.ports import Rooms
from troth.kit.errors import PermitDenied, Unauthenticated
from troth.kit.threads import work_for
from troth.people import Bearer
from troth.policy import Target

MOST_WAITING = 128
MOST_OF_ORGANISATION = 32
MOST_OF_TOKEN = 4
_MOST_FOLLOWING = 4096

_AGAIN = "Ask again in a second, or wait with fewer requests at once."


@dataclass(slots=True)
class _Slot:
    """The place of one token that follows."""

    following: Following | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Gate:
    """Turns a request into somebody who may follow the changes of their organisation.

    Args:
        rooms: What the platform gives this door.
    """

    def __init__(self, rooms: Rooms) -> None:
        self.archive = rooms.archive
        self._people = rooms.people
        self._policy = rooms.policy
        self._bearers: Moments[bytes, Bearer | None] = Moments()
        self._slots: dict[tuple[UUID | None, UUID | None], _Slot] = {}
        self._waiting: Counter[UUID | None] = Counter()

    async def caller(self, http_request: Request) -> Bearer:
        """Who asks, from the bearer token, and for the one purpose that it was issued for. Cookies count for nothing.

        Raises:
            Unauthenticated: There is no token, or it counts no more.
        """
        token = _token(http_request)
        held = await self._bearers.of(sha256(token.encode()).digest(), lambda: self._people.bearer_of_token(token))
        if held is None:
            raise Unauthenticated
        work_for(held.actor.tenant)
        return replace(held, actor=replace(held.actor, via="changes", surface="rest"))

    async def following(self, caller: Bearer) -> Following:
        """The caller's reading of the feed: the one that is open, or a new one, told to the ledger first.

        Raises:
            PermitDenied: The notice does not allow it.
        """
        actor = caller.actor
        slot = self._slots.setdefault((actor.tenant, actor.session_id), _Slot())
        async with slot.lock:
            if slot.following is None or slot.following.is_over or slot.following.permit.actor != actor:
                slot.following = None
                target = Target("organisation", actor.tenant, actor.tenant)
                try:
                    permit = await self._policy.require(actor, "follow", target, caller.purpose)
                    slot.following = await self.archive.changes.follow(permit)
                finally:
                    if slot.following is None:
                        self._slots.pop((actor.tenant, actor.session_id), None)
                self._forget()
        return slot.following

    async def still(self, http_request: Request, following: Following, since: datetime | None = None) -> None:
        """Make sure that somebody who waits may still be told; see `Following.check`.

        Raises:
            Unauthenticated: The token has ended.
            PermitDenied: The notice does not allow it any more.
        """
        try:
            await following.check(since)
        except PermitDenied:
            if await self._people.bearer_of_token(_token(http_request)) is None:
                raise Unauthenticated from None
            raise

    @contextmanager
    def waiting(self, caller: Bearer) -> Iterator[None]:
        """A place among those who wait.

        Raises:
            TooManyWaiting: The token or its organisation has as many as it may.
            NoRoomToWait: All places of this process are taken.
        """
        of_token, of_organisation = caller.actor.session_id, caller.actor.tenant
        if self._waiting[of_token] >= MOST_OF_TOKEN or self._waiting[of_organisation] >= MOST_OF_ORGANISATION:
            raise TooManyWaiting(hint=_AGAIN)
        if self._waiting[None] >= MOST_WAITING:
            raise NoRoomToWait(hint=_AGAIN)
        counted = (of_token, of_organisation, None)
        self._waiting.update(counted)
        try:
            yield
        finally:
            self._waiting.subtract(counted)
            for key in counted:
                if not self._waiting[key]:
                    del self._waiting[key]

    def _forget(self) -> None:
        """Let go of the readings that are over, oldest first, once there are many."""
        if len(self._slots) > _MOST_FOLLOWING:
            for key, slot in tuple(self._slots.items()):
                if slot.following is None or slot.following.is_over:
                    del self._slots[key]


def _token(http_request: Request) -> str:
    """The bearer token of a request.

    Raises:
        Unauthenticated: There is none.
    """
    scheme, _, token = http_request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    return token.strip()
