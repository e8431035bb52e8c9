"""The change feed: what became of what the archive holds, in the order of the ledger, for other systems to follow.

It says which study changed and how, by ids and numbers; whoever wants to see more has to open the study. Payloads stay
closed. An event about a study that the reader may not follow (restricted, objected to) is left out; that its use was
stopped, or that it was erased, always comes through: this is what a follower must act on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from troth.archive import permits, store, telling
from troth.archive.keys import OrganisationKeys
from troth.kit import clock
from troth.kit.db import Database
from troth.ledger import Event, Ledger
from troth.policy import Permit, Policy

ALWAYS_TOLD = ("archive:study:erased", "archive:study:restricted", "people:restriction:set")
"""What ends or stops a use reaches every follower, whatever else stands on the study."""

CHANGES = (
    "archive:instances:stored",
    "archive:instance:found_broken",
    "archive:instance:found_whole",
    "archive:study:corrected",
    "archive:instance:replaced",
    "archive:instance:mended",
    "people:subjects:merged",
    "people:subjects:unmerged",
    *ALWAYS_TOLD,
)
"""Kinds of events that change what the archive gives. Who looked or searched is no change, and not for machines."""

ENDINGS = ("people:session:ended", "people:token:ended", "people:member:ended", "people:peer:ended")
"""Kinds of events after which somebody who waits may have to go."""

LASTS = timedelta(minutes=4)  # and one that waits a minute more: five, as any permit covers
CHECK_EVERY = timedelta(seconds=0.5)
_WINDOWS = 20  # looks at 10,000 leaves each, of one page
_PAUSE_SECONDS = 0.5

_log = logging.getLogger("troth.archive")


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes:
        offset: Its place in the ledger; never changes.
        id: The event.
        kind: One of `CHANGES`.
        study_uid: StudyInstanceUID while the study is held; empty once it is erased, or where it is about no study.
        subject_id: Our random id of whose study it is.
        counts: Numbers, such as `instances`, or `is_restricted`.
    """

    offset: int
    id: UUID
    kind: str
    at: datetime
    study_id: UUID | None
    study_uid: str
    subject_id: UUID | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Changed:
    """A stretch of the feed.

    Attributes:
        changes: In the order of the ledger.
        offset: What to follow from next; grows even where nothing was for the reader.
        is_at_end: Nothing further is there yet.
    """

    changes: tuple[Change, ...]
    offset: int
    is_at_end: bool


class Following:
    """Somebody follows the changes of an organisation. Made by `Changes.follow`, after the ledger holds who and why.

    Attributes:
        permit: Never older than half a second when something is given.
    """

    def __init__(self, db: Database, ledger: Ledger, policy: Policy, permit: Permit) -> None:
        self._db = db
        self._ledger = ledger
        self._policy = policy
        self._lock = asyncio.Lock()
        self._checked_at = self._opened_at = clock.now()
        self.permit = permit

    @property
    def is_over(self) -> bool:
        """Whether it is older than its entry in the ledger may cover."""
        return not timedelta(0) <= clock.now() - self._opened_at < LASTS

    async def check(self, since: datetime | None = None) -> None:
        """Decide again when the last decision is more than half a second old.

        Args:
            since: When something happened that the decision has to know.

        Raises:
            PermitDenied: It is not allowed any more.
        """
        async with self._lock:
            is_young = timedelta(0) <= clock.now() - self._checked_at <= CHECK_EVERY
            if is_young and (since is None or self._checked_at >= since):
                return
            asked_at, before = clock.now(), self.permit
            self.permit = await self._policy.require(before.actor, before.action, before.target, before.purpose)
            self._checked_at = asked_at

    async def page(self, after: int, limit: int, kinds: Collection[str] = ()) -> Changed:
        """What changed since.

        Args:
            after: Offset of the last call; -1 to begin.
            limit: Most changes.
            kinds: Of these kinds only; all of `CHANGES` when empty.

        Raises:
            PermitDenied: It is not allowed any more.
            OffsetBeyond: The ledger has not come to this offset.
        """
        await self.check()
        reach = await self._policy.rows_of(self.permit)
        tenant = permits.allowed(self.permit, "follow")
        async with self._db.transaction(self.permit) as connection:
            for _ in range(_WINDOWS):
                feed = await self._ledger.follow(connection, after, kinds or CHANGES, limit=limit)
                if feed.events or feed.is_at_end:
                    break
                after = feed.offset
            about = {event.study_id for event in feed.events if event.study_id is not None}
            held = await store.followed(connection, tenant, about, reach)
        told = [_change(event, held) for event in feed.events]
        return Changed(tuple(each for each in told if each is not None), feed.offset, feed.is_at_end)


class Changes:
    """The verbs of the feed.

    Args:
        db: The database.
        ledger: Is told who follows, and gives what happened.
        policy: Decides again while somebody follows.
        keys: Keys of organisations.
    """

    def __init__(self, db: Database, ledger: Ledger, policy: Policy, keys: OrganisationKeys) -> None:
        self._db = db
        self._ledger = ledger
        self._policy = policy
        self._keys = keys
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def follow(self, permit: Permit) -> Following:
        """Begin to follow. The ledger holds who follows, and why, before this returns.

        Args:
            permit: To `follow` an organisation.
        """
        key = await self._keys.of(permits.allowed(permit, "follow"))
        await self._ledger.write(self._db, permit, [telling.followed(permit, key)])
        return Following(self._db, self._ledger, self._policy, permit)

    @contextmanager
    def waking(self, following: Following) -> Iterator[asyncio.Event]:
        """Something that is set whenever there may be more for a follower, or none any more.

        Args:
            following: Who waits.
        """
        tenant = permits.current(following.permit)
        woken = asyncio.Event()
        self._waiting.setdefault(tenant, set()).add(woken)
        if self._listening is None or self._listening.done():
            self._listening = asyncio.get_running_loop().create_task(self._listen())
        try:
            yield woken
        finally:
            waiting = self._waiting[tenant]
            waiting.discard(woken)
            if not waiting:
                del self._waiting[tenant]

    async def close(self) -> None:
        """Stop listening."""
        task, self._listening = self._listening, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _listen(self) -> None:
        """Wake those who wait; after a break of the connection all of them, for something may have been missed."""
        while True:
            try:
                async for arrival in self._ledger.arrivals(self._db, self._wake_all):
                    if arrival.kind in (*CHANGES, *ENDINGS) and arrival.tenant is not None:
                        for woken in self._waiting.get(arrival.tenant, ()):
                            woken.set()
            except psycopg.Error as fault:
                _log.warning("change feed: the database does not answer (%s)", type(fault).__name__)
            await asyncio.sleep(_PAUSE_SECONDS)

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for woken in waiting:
                woken.set()


def _change(event: Event, held: Mapping[UUID, tuple[str, bool]]) -> Change | None:
    """What a follower is told of an event; nothing where its study is withheld, unless a use ends.

    Args:
        event: Of the ledger.
        held: Studies that are held: UID, and whether they may be followed. Of an erased one what is left names nobody.
    """
    assert event.index is not None
    study_uid, may_follow = held.get(event.study_id, ("", True)) if event.study_id is not None else ("", True)
    if not may_follow and event.kind not in ALWAYS_TOLD:
        return None
    return Change(
        event.index, event.id, event.kind, event.at, event.study_id, study_uid, event.subject_id, event.counts
    )
