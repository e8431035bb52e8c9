"""Two subjects of one organisation that are one human being: found by keyed tokens, merged by a person or a rule.

A merge is a link that can be undone. The merged subject keeps its row, its keys and its access list; what asks whose
something is asks `kin`. What stands in the way of a merge, and studies, are for `archive.merging`, which calls this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, HasTenant, Row
from troth.people import merges_store
from troth.people.errors import MergeNotFound, MergeRefused, ReasonMissing, SubjectAmbiguous, SubjectNotFound
from troth.people.model import Candidates, Demographics, IssuerRule, Merge, Organisation, PatientKey, Subject
from troth.people.subjects import Subjects
from troth.policy import NOTHING, Clear, Permit, refs
from troth.vault import KeyDestroyed, KeyRef

MOST_CANDIDATES = 100
_MOST_MERGES = 500
_LEARNT_AT_ONCE = 500
_LONGEST_REASON = 500
_LONGEST_ISSUER = 64  # LO, DICOM PS3.5 6.2


class Merges(Subjects):
    """The part of `People` that knows which subjects are one human being."""

    async def kin(self, scope: HasTenant, subject_id: UUID) -> list[Subject]:
        """All subjects that are the same human being as one, that one's survivor first; erased ones are left out.

        Args:
            scope: A permit of the organisation.
            subject_id: Any of them.
        """
        async with self._db.transaction(scope) as connection:
            return await self.kin_at(connection, subject_id)

    async def kin_at(self, connection: Connection, subject_id: UUID) -> list[Subject]:
        """The same over a connection at hand."""
        found = [await self._subject_or_none(connection, each) for each in await self.kin_of(connection, subject_id)]
        return [each for each in found if each is not None]

    async def kin_of(self, connection: Connection, subject_id: UUID) -> list[UUID]:
        """The same as ids."""
        return await merges_store.kin(connection, subject_id)

    async def kin_held(self, connection: Connection, subject_id: UUID) -> list[Subject]:
        """The same, locked until the transaction ends, over a connection at hand."""
        while True:
            kin = await merges_store.kin(connection, subject_id)
            rows = await merges_store.lock(connection, kin)
            if await merges_store.kin(connection, subject_id) == kin:
                break
        found = []
        for row in rows:
            with suppress(KeyDestroyed):
                found.append(self._opened(row))
        return found

    # Finding

    async def candidates(self, permit: Permit) -> list[Candidates]:
        """Subjects that may be one human being: the same name and birth date, or the same PatientID under the rule.

        Never merged by themselves. That they were looked at is written before they are given out.

        Args:
            permit: To `merge` in the organisation.
        """
        organisation = await self._merging_in(permit)
        await self._learn(permit, organisation)
        rule = await self.rule(permit)
        found: list[Candidates] = []
        async with self._db.transaction(permit) as connection:
            if rule is not None:
                none, issuer = self._issuer_tokens(organisation, rule)
                for pair in await merges_store.under_rule(connection, none, issuer, None, MOST_CANDIDATES):
                    found += await self._pair(connection, pair, by_rule=True)
            for pair in await merges_store.alike(connection, MOST_CANDIDATES):
                found += await self._pair(connection, pair)
            found = [each for each in found if each.by_rule or not _differ_in_sex(each)]
            counts = {"pairs": len(found)}
            told = {"subjects": sorted({str(each.id) for pair in found for each in (pair.first, pair.second)})}
            await self._write(connection, permit, "people:subjects:compared", organisation.key, None, told, counts)
        return found

    async def compared(self, permit: Permit, subject_ids: Sequence[UUID]) -> list[Subject]:
        """Two subjects side by side; both can read in their access lists that they were looked at.

        Args:
            permit: To `merge` in the organisation.
            subject_ids: Which.

        Raises:
            SubjectNotFound: One is not there, or in another organisation.
            KeyDestroyed: One was erased.
        """
        await self._merging_in(permit)
        async with self._db.transaction(permit) as connection:
            found = [await self._subject_in(connection, each) for each in subject_ids]
            for each in found:
                kind = "people:subjects:compared"
                await self._write(connection, permit, kind, each.audit_key, each.id, {}, {"subjects": len(found)})
        return found

    async def set_apart(self, permit: Permit, first_id: UUID, second_id: UUID) -> None:
        """Note that two subjects are two human beings: they are candidates no longer, and no rule merges them.

        Args:
            permit: To `merge` in the organisation.
            first_id: One.
            second_id: The other.
        """
        await self._merging_in(permit)
        async with self._db.transaction(permit) as connection:
            for each in (first_id, second_id):
                await self._subject_in(connection, each)
            await self.mark_apart(permit, connection, first_id, second_id)

    async def mark_apart(self, permit: Permit, connection: Connection, first_id: UUID, second_id: UUID) -> None:
        """The same in a transaction that is open."""
        assert permit.tenant is not None
        values = {
            "tenant": permit.tenant,
            "subject_id": min(first_id, second_id),
            "other_subject_id": max(first_id, second_id),
            "made_by": permit.actor.id,
            "made_at": clock.now(),
        }
        await merges_store.set_apart(connection, values)

    # Merging

    async def merges(self, permit: Permit, *, rule_id: UUID | None = None) -> list[Merge]:
        """Merges in force in the permit's organisation, newest first.

        Args:
            permit: To `merge` or `state_issuer` there.
            rule_id: Only those of this rule.
        """
        await self._merging_in(permit, "merge", "state_issuer")
        async with self._db.transaction(permit) as connection:
            return [self._merge(row) for row in await merges_store.merges(connection, rule_id, _MOST_MERGES)]

    async def merge_of(self, permit: Permit, merge_id: UUID) -> Merge:
        """One merge that stands.

        Raises:
            MergeNotFound: It is not there, in another organisation, or undone.
        """
        await self._merging_in(permit, "merge", "state_issuer")
        async with self._db.transaction(permit) as connection:
            row = await merges_store.merge(connection, merge_id)
        if row is None or row["ended_at"] is not None:
            raise MergeNotFound
        return self._merge(row)

    async def both_held(self, connection: Connection, first_id: UUID, second_id: UUID) -> tuple[Subject, Subject]:
        """Two subjects, locked until the transaction ends.

        Raises:
            SubjectNotFound: One is not there, in another organisation, or they are the same.
            MergeRefused: One was erased.
        """
        rows = {row["id"]: row for row in await merges_store.lock(connection, sorted({first_id, second_id}))}
        if len(rows) != 2:
            raise SubjectNotFound
        try:
            return self._opened(rows[first_id]), self._opened(rows[second_id])
        except KeyDestroyed:
            raise MergeRefused("One of them was erased", why="erased") from None

    async def require_whole(self, connection: Connection) -> None:
        """Before a merge, by whomever it is: the merges and holds of the organisation are what the ledger says.

        Args:
            connection: The transaction that merges, or one just before several merges by a rule.

        Raises:
            RowsAltered: They are not.
        """
        await self._ledger.require_whole(connection, "subject_merge", "legal_hold")

    async def begin_merge(
        self,
        permit: Permit,
        connection: Connection,
        merged: Subject,
        surviving: Subject,
        reason: str,
        *,
        rule_id: UUID | None = None,
        tokens: tuple[int | None, int | None] = (None, None),
        studies: int = 0,
    ) -> Merge:
        """Record a merge in both access lists. Both subjects are locked by the caller (`both_held`).

        Raises:
            MergeRefused: It would make a chain.
        """
        for row in await merges_store.standing(connection, [merged.id, surviving.id]):
            if row["subject_id"] == merged.id and row["surviving_id"] == surviving.id:
                return self._merge(row)  # somebody else just did the same
            if merged.id in (row["subject_id"], row["surviving_id"]):
                hint = "Undo that merge first, or let this patient be the one that stays."
                raise MergeRefused("The patient to be merged is part of another merge", why="chain", hint=hint)
            if row["subject_id"] == surviving.id:
                hint = "Choose the patient that they are merged into."
                raise MergeRefused("The patient that is to stay is merged into another", why="chain", hint=hint)
        made_id, told = ids.uuid7(), _said(reason)
        values = {
            "tenant": merged.tenant,
            "id": made_id,
            "subject_id": merged.id,
            "surviving_id": surviving.id,
            "rule_id": rule_id,
            "patient_id_token": tokens[0],
            "surviving_patient_id_token": tokens[1],
            "made_by": permit.actor.id,
            "made_at": clock.now(),
            "key_ref": merged.audit_key,
            "sealed": self._keyring.seal(merged.audit_key, told.encode(), _context(merged.tenant, made_id)),
        }
        await merges_store.insert(connection, values)
        await merges_store.not_apart(connection, merged.id, surviving.id)
        made = self._merge({**values, "ended_at": None})
        await self._tell(connection, permit, "people:subjects:merged", made, merged, surviving, told, studies)
        return made

    async def end_merge(
        self,
        permit: Permit,
        connection: Connection,
        standing: Merge,
        merged: Subject,
        surviving: Subject,
        reason: str,
        studies: int,
    ) -> None:
        """Record that a merge is undone, in both access lists; both subjects are locked by the caller.

        Raises:
            MergeNotFound: Somebody was faster.
            MergeRefused: Something was said for both while they were merged.
        """
        told = _said(reason)
        if await merges_store.said_since(connection, standing.surviving_id, standing.made_at):
            raise MergeRefused(
                "A restriction or an objection was made since then, for all that is merged here",
                why="said_since",
                hint="Take it back, undo the merge, and make it again for whom it concerns.",
            )
        if not await merges_store.end(connection, standing.id, clock.now(), permit.actor.id):
            raise MergeNotFound
        await self._tell(connection, permit, "people:subjects:unmerged", standing, merged, surviving, told, studies)

    # The rule

    async def rule(self, scope: HasTenant) -> IssuerRule | None:
        """The rule in force in the scope's organisation about identifiers without an issuer."""
        async with self._db.transaction(scope) as connection:
            row = await merges_store.rule(connection)
        if row is None:
            return None
        context = _context(row["tenant"], row["id"])
        issuer = self._keyring.unseal(KeyRef(row["key_ref"]), row["sealed"], context).decode()
        return IssuerRule(row["id"], row["tenant"], issuer, row["made_at"])

    async def state_rule(self, permit: Permit, issuer: str) -> IssuerRule:
        """State that identifiers without an issuer are of one issuer. The same again changes nothing.

        Args:
            permit: To `state_issuer` in the organisation.
            issuer: IssuerOfPatientID.

        Raises:
            MergeRefused: Another rule is in force.
            ReasonMissing: It is empty or too long.
        """
        organisation = await self._merging_in(permit, "state_issuer")
        said = issuer.strip()
        if not said or len(said) > _LONGEST_ISSUER or not said.isprintable() or "\\" in said:
            raise ReasonMissing("Write the issuer as it stands in the images", hint="At most 64 characters.")
        made_id, now = ids.uuid7(), clock.now()
        values = {
            "tenant": organisation.id,
            "id": made_id,
            "issuer_token": self._keyring.token(organisation.key, "issuer", said),
            "made_by": permit.actor.id,
            "made_at": now,
            "key_ref": organisation.key,
            "sealed": self._keyring.seal(organisation.key, said.encode(), _context(organisation.id, made_id)),
        }
        async with self._db.transaction(permit) as connection:
            is_made = await merges_store.insert_rule(connection, values)
            if is_made:
                told = {"issuer": said}
                await self._write(
                    connection, permit, "people:rule:stated", organisation.key, None, told, {"rules": 1},
                    Clear(refs=refs(rule=made_id)),
                )  # fmt: skip
        held = IssuerRule(made_id, organisation.id, said, now) if is_made else await self.rule(permit)
        if held is None or held.issuer != said:
            raise MergeRefused("Another rule is in force", why="rule", hint="End it first; what it merged is undone.")
        return held

    async def end_rule(self, permit: Permit, rule_id: UUID) -> None:
        """End a rule; from now on nothing is merged by it. What it merged is undone by the caller.

        Raises:
            MergeNotFound: It is not in force.
        """
        organisation = await self._merging_in(permit, "state_issuer")
        async with self._db.transaction(permit) as connection:
            if not await merges_store.end_rule(connection, rule_id, clock.now(), permit.actor.id):
                raise MergeNotFound
            await self._write(
                connection, permit, "people:rule:ended", organisation.key, None, {}, {"rules": 1},
                Clear(refs=refs(rule=rule_id)),
            )  # fmt: skip

    async def under_rule(
        self, scope: HasTenant, rule: IssuerRule, after: UUID | None = None, limit: int = 200
    ) -> tuple[list[Candidates], UUID | None]:
        """Subjects with one PatientID, one of them without an issuer, the other of the rule's; page by page.

        Args:
            scope: A permit of the organisation.
            rule: The rule in force.
            after: What the page before gave.
            limit: Most pairs.

        Returns:
            Pairs, and where the next page begins; None at the end.
        """
        none, issuer = self._issuer_tokens(await self.organisation(rule.tenant), rule)
        async with self._db.transaction(scope) as connection:
            pairs = await merges_store.under_rule(connection, none, issuer, after, limit)
            found = [each for pair in pairs for each in await self._pair(connection, pair, by_rule=True)]
        return found, pairs[-1][0] if len(pairs) == limit else None

    async def pair_under_rule(self, scope: HasTenant, rule: IssuerRule, subject: Subject) -> Candidates | None:
        """The pair that a rule makes of one subject and another that is held, unless they are merged or known apart.

        Args:
            scope: A permit of the organisation.
            rule: The rule in force.
            subject: One of the two.
        """
        patient = subject.patient
        if not patient.patient_id or patient.issuer not in ("", rule.issuer):
            return None
        other = PatientKey(patient.patient_id, "" if patient.issuer else rule.issuer)
        wanted = self._tokens(await self.organisation(rule.tenant), other, Demographics())
        async with self._db.transaction(scope) as connection:
            try:
                found = await self._find(connection, wanted, other)
            except (KeyDestroyed, SubjectAmbiguous):
                return None
            if found is None or not await merges_store.may_merge(connection, subject.id, found.id):
                return None
        first, second = (found, subject) if patient.issuer else (subject, found)
        return Candidates(first, second, by_rule=True)

    async def forget_likeness(self, connection: Connection, subject_ids: Sequence[UUID]) -> None:
        """Subjects are erased: nothing that was made from their names stays to be compared."""
        for each in subject_ids:
            await merges_store.describe(connection, each, 0)

    # How

    async def _learn(self, permit: Permit, organisation: Organisation) -> None:
        """Make the tokens of subjects that were made before candidates were looked for."""
        while True:
            async with self._db.transaction(permit) as connection:
                rows = await merges_store.undescribed(connection, _LEARNT_AT_ONCE)
                for row in rows:
                    try:
                        token = self._likeness(organisation, self._opened(row).demographics)
                    except KeyDestroyed:
                        token = 0
                    await merges_store.describe(connection, row["id"], token)
            if len(rows) < _LEARNT_AT_ONCE:
                return

    async def _pair(
        self, connection: Connection, pair: tuple[UUID, UUID], *, by_rule: bool = False
    ) -> list[Candidates]:
        first, second = [await self._subject_or_none(connection, each) for each in pair]
        return [Candidates(first, second, by_rule)] if first is not None and second is not None else []

    async def _subject_or_none(self, connection: Connection, subject_id: UUID) -> Subject | None:
        try:
            return await self._subject_in(connection, subject_id)
        except (KeyDestroyed, SubjectNotFound):
            return None

    async def _merging_in(self, permit: Permit, *actions: str) -> Organisation:
        if permit.tenant is None or permit.action not in (actions or ("merge",)) or permit.expires_at <= clock.now():
            raise SubjectNotFound
        return await self.organisation(permit.tenant)

    def _issuer_tokens(self, organisation: Organisation, rule: IssuerRule) -> tuple[int, int]:
        return (
            self._keyring.token(organisation.key, "issuer", ""),
            self._keyring.token(organisation.key, "issuer", rule.issuer),
        )

    async def _tell(
        self,
        connection: Connection,
        permit: Permit,
        kind: str,
        merge: Merge,
        merged: Subject,
        surviving: Subject,
        reason: str,
        studies: int,
    ) -> None:
        """One entry in each access list. Neither names the other: were it a mistake, they would be strangers."""
        told = {"reason": reason, "merge": str(merge.id), "way": "rule" if merge.rule_id else "person"}
        for subject, state in ((merged, "merged"), (surviving, "surviving")):
            said = {**told, "state": state}
            clear = Clear(refs=refs(merge=merge.id), says={"state": state, "way": told["way"]})
            await self._write(
                connection, permit, kind, subject.audit_key, subject.id, said, {"studies": studies}, clear
            )

    async def _write(
        self,
        connection: Connection,
        permit: Permit,
        kind: str,
        key: KeyRef,
        subject_id: UUID | None,
        payload: Mapping[str, Any],
        counts: Mapping[str, int],
        clear: Clear = NOTHING,
    ) -> None:
        assert permit.tenant is not None
        await self._note(
            connection, kind, permit.actor, permit.tenant, key,
            permit=permit, subject_id=subject_id, payload=payload, counts=counts, clear=clear,
        )  # fmt: skip

    def _merge(self, row: Row) -> Merge:
        try:
            plain = self._keyring.unseal(KeyRef(row["key_ref"]), row["sealed"], _context(row["tenant"], row["id"]))
        except KeyDestroyed:
            plain = b""
        words = ("id", "tenant", "subject_id", "surviving_id", "rule_id", "made_by", "made_at", "ended_at")
        return Merge(**{word: row[word] for word in words}, reason=plain.decode())


def contradict(first: Demographics, second: Demographics) -> bool:
    """Whether two descriptions cannot be of one human being: another birth date, or another sex."""
    dates = {each for each in (first.birth_date, second.birth_date) if each is not None}
    sexes = {each.strip().upper() for each in (first.sex, second.sex)} - {"", "O"}  # O: other, DICOM PS3.3 C.7.1.1
    return len(dates) > 1 or len(sexes) > 1


def _differ_in_sex(pair: Candidates) -> bool:
    return contradict(Demographics(sex=pair.first.demographics.sex), Demographics(sex=pair.second.demographics.sex))


def _said(reason: str) -> str:
    said = " ".join(reason.split())
    if len(said) > _LONGEST_REASON:
        raise ReasonMissing(f"Write it in at most {_LONGEST_REASON} characters; these are {len(said):,}")
    if not said:
        raise ReasonMissing(hint=f"At most {_LONGEST_REASON} characters.")
    return said


def _context(tenant: UUID, row_id: UUID) -> bytes:
    return b"merge:" + tenant.bytes + row_id.bytes
