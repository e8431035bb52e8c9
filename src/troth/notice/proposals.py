"""A change of a notice: proposed by one person, looked at with what it would do, agreed to by another."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Database, Row, Space
from troth.ledger import Allowed, Clear, Entry, entry, refs
from troth.notice import store
from troth.notice.deployment import check_all
from troth.notice.difference import Difference, diff
from troth.notice.errors import (
    DayPassed,
    NothingChanged,
    NoticeConflict,
    NoticeMalformed,
    ProposalNotFound,
    ProposalOpen,
    ProposalOver,
    SecondPersonMissing,
)
from troth.notice.loading import parse
from troth.notice.model import Notice
from troth.notice.period import Period
from troth.notice.problem import Problem
from troth.notice.service import ACTION, Appender, Notices
from troth.notice.version import NoticeVersion

Second = Callable[[UUID, UUID, UUID], Awaitable[bool]]
"""Asked with an organisation and two accounts of it: whether they are two people as far as can be told."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A version that somebody proposed.

    Attributes:
        sha256: Of its text: who agrees, agrees to this text and to no other.
        is_material: It affects data we already hold; the difference says so, or who proposed it.
        before: The version it would follow; None when it is the first of its name.
        difference: What it changes; empty when it is the first.
    """

    id: UUID
    notice: Notice = field(repr=False)
    sha256: bytes
    is_material: bool
    proposed_by: UUID
    proposed_at: datetime
    state: str
    decided_by: UUID | None
    decided_at: datetime | None
    version_id: UUID | None
    before: NoticeVersion | None = field(repr=False)
    difference: Difference = field(repr=False)

    @property
    def effective_on(self) -> date:
        """From which day it would count."""
        return self.notice.head.effective_on

    @property
    def is_open(self) -> bool:
        """Whether it waits for a second person."""
        return self.state == "open"


class Proposals:
    """The proposed versions of the deployment's notices.

    Args:
        db: The database.
        ledger: Where proposing is written down.
        notices: What was published.
        further: Problems of the notices of a deployment together that only the program knows, such as a form that no
            clause would cover any more.
        second: Whether somebody can be the second person of somebody else: neither let the other in.
    """

    def __init__(
        self,
        db: Database,
        ledger: Appender,
        notices: Notices,
        further: Callable[[Sequence[Notice]], list[Problem]] = lambda notices: [],
        second: Second | None = None,
    ) -> None:
        self._db = db
        self._ledger = ledger
        self._notices = notices
        self._further = further
        self._second = second

    async def draft(self, permit: Allowed, notice: Notice, *, is_material: bool = False) -> Proposal:
        """A version as it would be proposed: held against everything that holds for one, and kept nowhere.

        Args:
            permit: For the action `publish_notice`.
            notice: What it would say; it has to pass the check.
            is_material: As for `propose`.

        Raises:
            NoticeMalformed: The check found problems.
            NoticeConflict: Its number is not later than that of a published version.
            NothingChanged: It says what the version before says.
            DayPassed: It would count from a day that has passed.
            SecondPersonMissing: Nobody in particular proposes it, or the permit is for something else.
        """
        if permit.action != ACTION or permit.actor.id is None:
            raise SecondPersonMissing
        await self._require_sound(notice)
        if notice.head.effective_on < clock.now().astimezone(notice.zone).date():
            raise DayPassed(hint="Let it count from today or a later day.")
        before = next(iter(await self._notices.versions(notice.name)), None)
        change = _against(before, notice)
        return Proposal(
            id=ids.uuid7(),
            notice=notice,
            sha256=hashlib.sha256(notice.source.encode()).digest(),
            is_material=is_material or change.is_material,
            proposed_by=permit.actor.id,
            proposed_at=clock.now(),
            state="draft",
            decided_by=None,
            decided_at=None,
            version_id=None,
            before=before,
            difference=change,
        )

    async def propose(self, permit: Allowed, notice: Notice, *, is_material: bool = False) -> Proposal:
        """Propose a version.

        Args:
            permit: For the action `publish_notice`.
            notice: What it would say; it has to pass the check.
            is_material: It affects data we already hold although the difference does not say so. What the difference
                says cannot be talked away.

        Raises:
            NoticeMalformed: The check found problems.
            NoticeConflict: Its number is not later than that of a published version.
            NothingChanged: It says what the version before says.
            DayPassed: It would count from a day that has passed.
            ProposalOpen: Another proposal waits.
            SecondPersonMissing: Nobody in particular proposes it, or the permit is for something else.
        """
        draft = await self.draft(permit, notice, is_material=is_material)
        async with self._db.transaction(None) as connection:
            await store.lock(connection, notice.name)
            if await store.open_proposal(connection, notice.name) is not None:
                raise ProposalOpen(hint="Let a second person agree to it, or withdraw it.")
            await store.add_proposal(
                connection,
                {
                    "id": draft.id,
                    "notice": notice.name,
                    "number": notice.version,
                    "effective_on": draft.effective_on,
                    "source": notice.source,
                    "sha256": draft.sha256,
                    "is_material": draft.is_material,
                    "proposed_by": draft.proposed_by,
                    "proposed_at": draft.proposed_at,
                },
            )
            await self._ledger.append(
                connection, _entry("notice:version:proposed", permit, notice, draft.difference, draft.id)
            )
        return await self.one(draft.id)

    async def agree(self, permit: Allowed, proposal_id: UUID, sha256: bytes, *, is_material: bool = False) -> Proposal:
        """Agree as the second person: the version is signed and published.

        Args:
            permit: Of another person than who proposed it, for the action `publish_notice`.
            proposal_id: What is agreed to.
            sha256: Of the text that this person has seen.
            is_material: This person says that it affects data we already hold.

        Raises:
            ProposalNotFound: There is none.
            ProposalOver: It was decided before, its text is another one, or its day has passed.
            SecondPersonMissing: The same person, or nobody in particular.
            NoticeConflict: Another version was published meanwhile.
        """
        if permit.action != ACTION:
            raise SecondPersonMissing
        proposal = await self.one(proposal_id)
        now = clock.now()
        await self._require_sound(proposal.notice)
        async with self._db.transaction(None) as connection:
            await store.lock(connection, proposal.notice.name)
            row = (await store.proposals(connection, proposal_id, lock=True))[0]
            if row["state"] != "open" or bytes(row["sha256"]) != sha256:
                raise ProposalOver(hint="Look at it again.")
            if proposal.effective_on < now.astimezone(proposal.notice.zone).date():
                raise ProposalOver("Its day has passed.", hint="Propose it again with a later day.")
            if permit.actor.id is None or permit.actor.id == row["proposed_by"]:
                raise SecondPersonMissing(hint="Another person has to agree.")
            tenant = permit.actor.tenant
            if (
                self._second is not None
                and tenant is not None
                and not await self._second(tenant, row["proposed_by"], permit.actor.id)
            ):
                raise SecondPersonMissing(hint="It has to be somebody whom the other did not let in, nor one for both.")
            people = (row["proposed_by"], permit.actor.id)
            weighs = is_material or row["is_material"]
            version = await self._notices.put_in(connection, permit, proposal.notice, people, is_material=weighs)
            await store.decide_proposal(connection, proposal_id, "agreed", permit.actor.id, now, version.id)
        return await self.one(proposal_id)

    async def withdraw(self, permit: Allowed, proposal_id: UUID) -> None:
        """Take a proposal back.

        Raises:
            ProposalNotFound: There is none.
            ProposalOver: It was decided before.
        """
        if permit.action != ACTION:
            raise SecondPersonMissing
        proposal = await self.one(proposal_id)
        async with self._db.transaction(None) as connection:
            row = (await store.proposals(connection, proposal_id, lock=True))[0]
            if row["state"] != "open":
                raise ProposalOver
            await store.decide_proposal(connection, proposal_id, "withdrawn", permit.actor.id, clock.now(), None)
            entry = _entry("notice:version:withdrawn", permit, proposal.notice, proposal.difference, proposal_id)
            await self._ledger.append(connection, entry)

    async def one(self, proposal_id: UUID) -> Proposal:
        """One proposal.

        Raises:
            ProposalNotFound: There is none.
        """
        async with self._db.transaction(None) as connection:
            rows = await store.proposals(connection, proposal_id)
        if not rows:
            raise ProposalNotFound
        return self._proposal(rows[0], await self._notices.versions(rows[0]["notice"]))

    async def all(self) -> list[Proposal]:
        """Every proposal, newest first."""
        async with self._db.transaction(None) as connection:
            rows = await store.proposals(connection)
        versions = await self._notices.versions()
        return [self._proposal(row, [each for each in versions if each.name == row["notice"]]) for row in rows]

    async def _require_sound(self, notice: Notice) -> None:
        """Hold a version against its check, alone and beside the other notices in force.

        Raises:
            NoticeMalformed: It does not pass.
        """
        others = [each.notice for each in await self._notices.current() if each.name != notice.name]
        problems = await asyncio.to_thread(self._problems, notice, others)
        if problems:
            raise NoticeMalformed(problems)

    def _problems(self, notice: Notice, others: Sequence[Notice]) -> list[Problem]:
        together = [*others, notice]
        known = set(check_all(others)) if others else set()
        return [each for each in check_all(together) if each not in known] or self._further(together)

    def _proposal(self, row: Row, versions: list[NoticeVersion]) -> Proposal:
        notice = parse(row["source"], f"{row['notice']}.yaml")
        before = next((each for each in versions if each.number < row["number"]), None)
        return Proposal(
            id=row["id"],
            notice=notice,
            sha256=bytes(row["sha256"]),
            is_material=row["is_material"],
            proposed_by=row["proposed_by"],
            proposed_at=row["proposed_at"],
            state=row["state"],
            decided_by=row["decided_by"],
            decided_at=row["decided_at"],
            version_id=row["version_id"],
            before=before,
            difference=diff(before.notice, notice) if before is not None else Difference(()),
        )


def earliest(notice: Notice) -> date:
    """The first day from which a version that follows may count: what the notice promises to wait, from today.

    Args:
        notice: The version before it.
    """
    today = clock.now().astimezone(notice.zone).date()
    waits = [getattr(promise, "before", None) for promise in notice.all("amendment")]
    days = [wait.after(today) for wait in waits if isinstance(wait, Period)]
    return max([today, notice.head.effective_on, *days])


def following(before: NoticeVersion, source: str) -> str:
    """A text as the next version begins: with the number that follows, and the first day from which it may count.

    Args:
        before: The version that it follows.
        source: What it says.
    """
    text = re.sub(r"(?m)^version:.*$", f"version: {before.number + 1}", source, count=1)
    return re.sub(r"(?m)^effective_on:.*$", f"effective_on: {earliest(before.notice)}", text, count=1)


def _against(before: NoticeVersion | None, notice: Notice) -> Difference:
    """What a proposed version changes, if it can follow."""
    if before is None:
        return Difference(())
    if notice.version <= before.number:
        raise NoticeConflict(
            f"Version {before.number} of {notice.name} was published before.",
            hint=f"Give it the number {before.number + 1} or a later one.",
        )
    if notice.head.effective_on < before.effective_on:
        raise NoticeConflict(
            f"Version {before.number} counts from a later day, {before.effective_on}.",
            hint="Versions follow each other; give it that day or a later one.",
        )
    for promise in before.notice.all("amendment"):
        ahead = getattr(promise, "before", None)
        today = clock.now().astimezone(notice.zone).date()
        if isinstance(ahead, Period) and notice.head.effective_on < ahead.after(today):
            raise DayPassed(
                f"§ {promise.id} promises to tell of a change {ahead.words} before it counts.",
                hint=f"Let it count from {ahead.after(today)} or a later day.",
            )
    if not (change := diff(before.notice, notice)) and notice.head.covers == before.notice.head.covers:
        raise NothingChanged(hint="Change a clause, or leave the notice as it is.")
    return change


def _entry(kind: str, permit: Allowed, notice: Notice, change: Difference, proposal_id: UUID) -> Entry:
    counts = {"number": notice.version, "changes": len(change), "material": int(change.is_material)}
    clear = Clear(
        refs=refs(proposal=proposal_id), says={"notice": notice.name}, dates={"effective_on": notice.head.effective_on}
    )
    return entry(permit, kind, counts=counts, space=Space(None), clear=clear)
