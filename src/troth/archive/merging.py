"""Merging two subjects that are one human being, and undoing it: the link, the studies and the ledger together.

Per: IHE RAD TF-2 4.12 (Patient Update, merge), IHE PIX A40; GDPR Art. 5(1)(d).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from troth.archive import merging_store, permits, store, tokens
from troth.archive.keys import OrganisationKeys
from troth.archive.model import StudySummary
from troth.archive.owners import Owners
from troth.kit import clock
from troth.kit.db import Connection, Database
from troth.ledger import RowsAltered
from troth.people import (
    Candidates,
    IssuerRule,
    Merge,
    MergeNotFound,
    MergeRefused,
    People,
    Subject,
    contradict,
)
from troth.policy import Permit
from troth.vault import Keyring

_RULE_LASTS: Final = timedelta(seconds=1)  # a rule that was stated or ended is felt within this
_PAGE: Final = 200
_logger = logging.getLogger(__name__)

Hindrance = Callable[[Connection, tuple[UUID, UUID], datetime | None], Awaitable[str]]
"""What stands in the way of merging two subjects, or of undoing that; a sentence, or nothing. Read under the lock.

Given are the transaction, both subjects, and when they were merged: None where they are to be merged now.
"""


@dataclass(frozen=True, slots=True)
class ByRule:
    """What a rule does to what is held.

    Attributes:
        merged: Pairs that were merged, or would be.
        refused: Pairs of which something else stands in the way now.
        contradicting: Pairs whose birth dates or sexes differ: a person decides.
    """

    merged: int = 0
    refused: int = 0
    contradicting: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """Two subjects that a rule merges.

    Attributes:
        permit: Under which.
        rule: The rule.
        pair: The subjects.
    """

    permit: Permit
    rule: IssuerRule
    pair: Candidates


class Merging:
    """The verbs of merging.

    Args:
        db: The database.
        keyring: Makes the tokens that identifiers are searched by.
        people: Knows subjects and links.
        keys: Keys of organisations.
    """

    def __init__(self, db: Database, keyring: Keyring, people: People, keys: OrganisationKeys, owners: Owners) -> None:
        self._db = db
        self._keyring = keyring
        self._people = people
        self._keys = keys
        self._owners = owners
        self._hindrances: list[Hindrance] = []
        self._rules: dict[UUID, tuple[datetime, IssuerRule | None]] = {}

    def heed(self, hindrance: Hindrance) -> None:
        """Ask also this before a merge and its undoing; for rooms above, which the archive cannot know."""
        self._hindrances.append(hindrance)

    async def merge(self, permit: Permit, subject_id: UUID, surviving_id: UUID, reason: str) -> Merge:
        """Merge a subject into another one: from the next decision on, everything of both is the surviving one's.

        Names in the images are not touched; whoever wants that corrects the studies of the merge (`studies_of`).

        Args:
            permit: To `merge` in the organisation.
            subject_id: The one that is merged.
            surviving_id: The one that stays.
            reason: Why; sealed, and shown to the person.

        Raises:
            SubjectNotFound: One is not there, in another organisation, or they are the same.
            MergeRefused: Something stands in the way.
            ReasonMissing: No reason.
        """
        permits.allowed(permit, "merge")
        return await self._merge(permit, subject_id, surviving_id, reason)

    async def unmerge(self, permit: Permit, merge_id: UUID, reason: str) -> Merge:
        """Undo a merge: each study is again the subject's whose identifier it came with, also those that came since.

        No rule merges the two again.

        Args:
            permit: To `merge` in the organisation.
            merge_id: The merge.
            reason: Why; both access lists say it.

        Raises:
            MergeNotFound: It does not stand.
            MergeRefused: Something stands in the way.
            ReasonMissing: No reason.
        """
        permits.allowed(permit, "merge")
        return await self._unmerge(permit, await self._people.merge_of(permit, merge_id), reason, by_person=True)

    async def hindrance(self, permit: Permit, first_id: UUID, second_id: UUID, since: datetime | None = None) -> str:
        """What would stand in the way now, for a preview; empty where nothing does.

        Args:
            permit: To `merge` in the organisation.
            first_id: One subject.
            second_id: The other.
            since: When they were merged, for undoing that.
        """
        permits.allowed(permit, "merge")
        try:
            async with self._db.transaction(permit) as connection:
                await self._refuse_hindered(connection, permit, (first_id, second_id), since)
        except MergeRefused as refused:
            return refused.detail
        return ""

    async def studies_of(self, permit: Permit, subject_id: UUID) -> list[StudySummary]:
        """The studies that came with the identifier of one subject, whosever they are now.

        Args:
            permit: To `merge` in the organisation.
            subject_id: The subject, merged or not.
        """
        tenant = permits.allowed(permit, "merge")
        async with self._db.transaction(permit) as connection:
            rows = await store.studies_of_subject(connection, tenant, subject_id, own=True)
        return await self._owners.readable(permit, rows)

    # By a rule

    async def preview_rule(self, permit: Permit, issuer: str) -> ByRule:
        """What a rule would do to what is held, were it stated now.

        Args:
            permit: To `state_issuer` in the organisation.
            issuer: IssuerOfPatientID of identifiers that have none.
        """
        tenant = permits.allowed(permit, "state_issuer")
        return await self._each_pair(permit, IssuerRule(tenant, tenant, issuer.strip(), clock.now()), is_dry=True)

    async def state_rule(self, permit: Permit, issuer: str) -> ByRule:
        """State a rule, and follow it for what is held; the same again follows it once more.

        Args:
            permit: To `state_issuer` in the organisation.
            issuer: IssuerOfPatientID of identifiers that have none.

        Raises:
            MergeRefused: Another rule is in force.
            ReasonMissing: The issuer is empty or malformed.
        """
        tenant = permits.allowed(permit, "state_issuer")
        await self._people.state_rule(permit, issuer)
        self._rules.pop(tenant, None)
        return await self.apply_rule(permit)

    async def apply_rule(self, permit: Permit) -> ByRule:
        """Merge what is held as the rule in force says; may be cut short and begun again at any time.

        Args:
            permit: To `state_issuer` in the organisation.
        """
        permits.allowed(permit, "state_issuer")
        rule = await self._people.rule(permit)
        return await self._each_pair(permit, rule, is_dry=False) if rule is not None else ByRule()

    async def end_rule(self, permit: Permit, rule_id: UUID) -> ByRule:
        """End a rule and undo what it merged; what has something in its way stays merged until a person undoes it.

        Args:
            permit: To `state_issuer` in the organisation.
            rule_id: The rule.

        Returns:
            As `merged`, how many merges were undone; as `refused`, how many were not.
        """
        tenant = permits.allowed(permit, "state_issuer")
        await self._people.end_rule(permit, rule_id)
        self._rules.pop(tenant, None)
        done, left = 0, set[UUID]()
        while True:
            standing = [each for each in await self._people.merges(permit, rule_id=rule_id) if each.id not in left]
            if not standing:
                return ByRule(merged=done, refused=len(left))
            for each in standing:
                try:
                    await self._unmerge(permit, each, "The rule about identifiers without an issuer was ended.")
                    done += 1
                except MergeNotFound:
                    continue
                except MergeRefused:
                    left.add(each.id)

    async def due_on_arrival(self, permit: Permit, subject: Subject) -> Due | None:
        """What the rule merges for a subject whose new study is about to be stored, under the permit to store it."""
        rule = await self._rule(permit)
        pair = await self._people.pair_under_rule(permit, rule, subject) if rule is not None else None
        if rule is None or pair is None or contradict(pair.first.demographics, pair.second.demographics):
            return None
        return Due(permit, rule, pair)

    async def on_arrival(self, due: Sequence[Due]) -> None:
        """Follow the rule for what arrived together; what cannot be merged is kept, each under its own patient.

        Args:
            due: Of subjects of one organisation, as `due_on_arrival` says.
        """
        if not due:
            return
        try:
            await self._require_whole(due[0].permit)
            for one in {frozenset((each.pair.first.id, each.pair.second.id)): each for each in due}.values():
                await self._by_rule(one.permit, one.rule, one.pair)
        except RowsAltered:
            _logger.exception("nothing is merged by a rule: merges or holds are not what the ledger says")

    async def _require_whole(self, permit: Permit) -> None:
        """Once before all that a rule merges at a time: it reads every entry that binds a merge or a hold.

        Raises:
            RowsAltered: They are not what the ledger says.
        """
        async with self._db.transaction(permit) as connection:
            await self._people.require_whole(connection)

    async def _rule(self, permit: Permit) -> IssuerRule | None:
        tenant = permits.current(permit)
        read_at, rule = self._rules.get(tenant, (None, None))
        if read_at is None or clock.now() - read_at > _RULE_LASTS:
            rule = await self._people.rule(permit)
            self._rules[tenant] = clock.now(), rule
        return rule

    async def _each_pair(self, permit: Permit, rule: IssuerRule, *, is_dry: bool) -> ByRule:
        merged = refused = contradicting = 0
        after: UUID | None = None
        while True:
            pairs, after = await self._people.under_rule(permit, rule, after, _PAGE)
            if pairs and not is_dry:
                await self._require_whole(permit)
            for pair in pairs:
                if contradict(pair.first.demographics, pair.second.demographics):
                    contradicting += 1
                elif is_dry or await self._by_rule(permit, rule, pair):
                    merged += 1
                else:
                    refused += 1
            if after is None:
                return ByRule(merged, refused, contradicting)

    async def _by_rule(self, permit: Permit, rule: IssuerRule, pair: Candidates) -> bool:
        """Merge a pair as a rule says; False where something stands in the way: then a person decides.

        Args:
            permit: Of the act.
            rule: The rule.
            pair: Who is merged; the registers were held against the ledger a moment ago.
        """
        reason = "The organisation states of whom identifiers without an issuer are."
        try:
            await self._merge(permit, pair.first.id, pair.second.id, reason, rule_id=rule.id)
        except MergeRefused:
            return False
        return True

    # How

    async def _merge(
        self,
        permit: Permit,
        subject_id: UUID,
        surviving_id: UUID,
        reason: str,
        *,
        rule_id: UUID | None = None,
    ) -> Merge:
        tenant = permits.current(permit)
        key = await self._keys.of(tenant)
        async with self._db.transaction(permit) as connection:
            merged, surviving = await self._people.both_held(connection, subject_id, surviving_id)
            if rule_id is None:
                await self._people.require_whole(connection)
            # Moved first: that holds the studies, so what is looked at next stays as it is until the end.
            moved = await merging_store.move(connection, tenant, subject_id, surviving_id)
            await self._refuse_hindered(connection, permit, (subject_id, surviving_id), None)

            def searched_by(subject: Subject) -> int | None:
                number = subject.patient.patient_id
                return self._keyring.token(key, "patient_id", tokens.fold(number)) if number else None

            return await self._people.begin_merge(
                permit, connection, merged, surviving, reason,
                rule_id=rule_id, tokens=(searched_by(merged), searched_by(surviving)), studies=moved,
            )  # fmt: skip

    async def _unmerge(self, permit: Permit, standing: Merge, reason: str, *, by_person: bool = False) -> Merge:
        tenant = permits.current(permit)
        both = standing.subject_id, standing.surviving_id
        async with self._db.transaction(permit) as connection:
            merged, surviving = await self._people.both_held(connection, *both)
            moved = await merging_store.move(connection, tenant, merged.id, merged.id)
            await self._refuse_hindered(connection, permit, both, standing.made_at)
            await self._people.end_merge(permit, connection, standing, merged, surviving, reason, moved)
            if by_person:
                await self._people.mark_apart(permit, connection, *both)
        return standing

    async def _refuse_hindered(
        self, connection: Connection, permit: Permit, both: tuple[UUID, UUID], since: datetime | None
    ) -> None:
        if await merging_store.is_erasing(connection, permits.current(permit), both):
            raise MergeRefused("Something of them is being erased; wait until it is done", why="erasing")
        for hindrance in self._hindrances:
            if told := await hindrance(connection, both, since):
                raise MergeRefused(told, why="hindered")
