"""The verbs of assignments: who takes part in whose care, and what a doctor opens in an emergency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from troth import policy
from troth.kit import clock, ids
from troth.kit.db import Connection, Database, Row
from troth.ledger import Ledger
from troth.people.assignments import store
from troth.people.assignments.model import (
    ASSIGNABLE,
    EMERGENCY_LIFETIME,
    LONGEST,
    LONGEST_REASON,
    SHORTEST_REASON,
    Assignment,
    Way,
    context,
    from_bytes,
    to_bytes,
)
from troth.people.errors import (
    AssignmentExists,
    AssignmentNotFound,
    AssignmentTooLong,
    OwnAssignment,
    ReasonMissing,
    UserNotFound,
)
from troth.people.service import People
from troth.policy import Clear, Permit, refs
from troth.vault import KeyRef, Keyring

_MOST = 500


class Assignments:
    """Who takes part in whose care. A decision reads it each time (`facts.py`), a list row by row (`rows_store.py`).

    Args:
        db: Opened as `troth_app`.
        keyring: Seals reasons: those about a person under their audit key, which outlives an erasure.
        ledger: Where each assignment is written, with the person that it is about.
        people: Knows members and subjects.
    """

    def __init__(self, db: Database, keyring: Keyring, ledger: Ledger, people: People) -> None:
        self._db = db
        self._keyring = keyring
        self._ledger = ledger
        self._people = people

    async def assign(self, permit: Permit, account_id: UUID, until: datetime, reason: str) -> Assignment:
        """Say that a member of staff takes part in somebody's care, or is on duty for the whole organisation.

        Args:
            permit: To `assign` to a subject, to one study, or to the organisation: then it is duty.
            account_id: The member of staff.
            until: When it ends by itself.
            reason: Why; sealed, and shown to the person.

        Raises:
            UserNotFound: Nobody who treats patients here.
            OwnAssignment: Whoever decides it is who it is about.
            AssignmentTooLong: It ends in the past, or too far ahead.
            AssignmentExists: It stands already.
            ReasonMissing: No reason.
        """
        target = permit.target
        if permit.action != "assign" or target.id is None:
            raise AssignmentNotFound
        if account_id == permit.actor.id:
            raise OwnAssignment
        user = await self._people.user(permit, account_id)
        if not user.is_active or user.role not in ASSIGNABLE:
            raise UserNotFound
        way: Way = "duty" if target.kind == "organisation" else "care"
        study_id = target.id if target.kind == "study" else None
        subject_id = None if way == "duty" else target.subject_id
        if way == "care" and subject_id is None:
            raise AssignmentNotFound
        return await self._make(permit, account_id, way, subject_id, study_id, until, reason)

    async def claim_emergency(self, permit: Permit, reason: str) -> Assignment:
        """Open what is held of a person in an emergency, for a few hours. The person and the office read the reason.

        Args:
            permit: Of the member of staff, to `override` for the subject.
            reason: Why it cannot wait; a sentence.

        Raises:
            ReasonMissing: Nothing was written, or next to nothing.
        """
        actor, subject_id = permit.actor, permit.target.subject_id
        if permit.action != "override" or permit.target.kind != "subject" or subject_id is None or actor.id is None:
            raise AssignmentNotFound
        until = clock.now() + EMERGENCY_LIFETIME
        return await self._make(permit, actor.id, "emergency", subject_id, None, until, reason)

    async def end(self, permit: Permit, assignment_id: UUID, reason: str) -> Assignment:
        """End an assignment: the next decision feels it.

        Args:
            permit: To `assign` to the same person, or to the organisation.
            assignment_id: The assignment.
            reason: Why.

        Raises:
            AssignmentNotFound: None of this id is in force, or it is about somebody else.
        """
        target, now = permit.target, clock.now()
        async with self._db.transaction(permit) as connection:
            row = await store.one(connection, assignment_id)
            is_covered = row is not None and (
                target.kind == "organisation"
                or (row["subject_id"] is not None and row["surviving_id"] == target.subject_id)
            )
            if permit.action != "assign" or row is None or not is_covered or not self._opened(row).is_in_force(now):
                raise AssignmentNotFound
            held = self._record(row)
            sealed = self._seal(row, to_bytes(held["reason"], held["finding"], reason.strip()))
            await store.change(
                connection, assignment_id, {"ended_at": now, "ended_by": permit.actor.id, "sealed": sealed}
            )
            await self._tell(connection, permit, row, "people:assignment:ended", {"reason": reason.strip()})
        return replace(self._opened(row), ended_at=now)

    async def review(self, permit: Permit, assignment_id: UUID, finding: str, *, is_justified: bool) -> Assignment:
        """Check what was opened in an emergency; one that was no emergency ends at once.

        Args:
            permit: To `review` in the organisation, of somebody else than who opened it.
            assignment_id: The emergency.
            finding: What came of the check.
            is_justified: Whether it was one.

        Raises:
            AssignmentNotFound: Nothing of this id waits for it.
            OwnAssignment: Whoever checks it opened it.
            ReasonMissing: Nothing was written.
        """
        said, now = _said(finding), clock.now()
        async with self._db.transaction(permit) as connection:
            row = await store.one(connection, assignment_id)
            waits = row is not None and row["way"] == "emergency" and row["reviewed_at"] is None
            if permit.action != "review" or row is None or not waits:
                raise AssignmentNotFound
            if row["account_id"] == permit.actor.id:
                raise OwnAssignment
            word = "an emergency" if is_justified else "no emergency"
            sealed = self._seal(row, to_bytes(self._record(row)["reason"], f"{word}: {said}"))
            values: dict[str, Any] = {"reviewed_at": now, "reviewed_by": permit.actor.id, "sealed": sealed}
            if not is_justified and row["ended_at"] is None:
                values |= {"ended_at": now, "ended_by": permit.actor.id}
            await store.change(connection, assignment_id, values)
            told = {"state": word, "reason": said}
            await self._tell(connection, permit, row, "people:emergency:reviewed", told)
        return self._opened({**row, **values})

    async def in_force(self, permit: Permit) -> list[Assignment]:
        """What is in force in the organisation of the permit, or about its subject, newest first.

        Args:
            permit: To `assign` there.
        """
        if permit.action != "assign":
            raise AssignmentNotFound
        async with self._db.transaction(permit) as connection:
            rows = await store.in_force(connection, clock.now(), permit.target.subject_id, _MOST)
        return [self._opened(row) for row in rows]

    async def emergencies(self, permit: Permit) -> list[Assignment]:
        """What was opened in an emergency: first what nobody has checked.

        Args:
            permit: To `review` in the organisation.
        """
        if permit.action != "review":
            raise AssignmentNotFound
        async with self._db.transaction(permit) as connection:
            rows = await store.emergencies(connection, _MOST)
        return [self._opened(row) for row in rows]

    async def waits(self, permit: Permit, account_id: UUID) -> int:
        """How many openings in an emergency wait for somebody to check them.

        Args:
            permit: To `administer` the organisation, or to `review` in it.
            account_id: Whose own do not count.
        """
        if permit.action not in ("administer", "review") or permit.target.kind != "organisation":
            raise AssignmentNotFound
        async with self._db.transaction(permit) as connection:
            rows = await store.emergencies(connection, _MOST)
        return sum(row["reviewed_at"] is None and row["account_id"] != account_id for row in rows)

    async def _make(
        self,
        permit: Permit,
        account_id: UUID,
        way: Way,
        subject_id: UUID | None,
        study_id: UUID | None,
        until: datetime,
        reason: str,
    ) -> Assignment:
        said, now, tenant = _said(reason), clock.now(), permit.tenant
        if not now < until <= now + LONGEST[way]:
            raise AssignmentTooLong(hint=f"It ends within {LONGEST[way].days or 1} days; then somebody says it again.")
        if tenant is None:
            raise AssignmentNotFound
        key = (await self._people.organisation(tenant)).key
        if subject_id is not None:
            key = (await self._people.subject(permit, subject_id)).audit_key
        made_id = ids.uuid7()
        values: dict[str, Any] = {
            "tenant": tenant,
            "id": made_id,
            "account_id": account_id,
            "way": way,
            "subject_id": subject_id,
            "study_id": study_id,
            "made_by": permit.actor.id,
            "made_at": now,
            "until": until,
            "key_ref": key,
            "sealed": self._keyring.seal(key, to_bytes(said), context(tenant, made_id)),
        }
        kind = "people:emergency:claimed" if way == "emergency" else "people:assignment:made"
        user = await self._people.user(permit, account_id)
        told = {"to": user.name, "until": until.isoformat(), "way": way, "reason": said}
        async with self._db.transaction(permit) as connection:
            if not await store.insert(connection, values, now):
                raise AssignmentExists
            await self._tell(connection, permit, values, kind, told)
        return self._opened({**values, "ended_at": None, "reviewed_at": None})

    async def _tell(
        self, connection: Connection, permit: Permit, row: Row, kind: str, payload: Mapping[str, Any]
    ) -> None:
        entry = policy.entry(
            permit,
            kind,
            key=row["key_ref"],
            payload=payload,
            subject_id=row["subject_id"],
            study_id=row["study_id"],
            counts={"assignments": 1},
            clear=Clear(
                refs=refs(assignment=row["id"], account=row["account_id"]),
                says={"way": row["way"]},
                dates={"until": row["until"]},
            ),
        )
        await self._ledger.append(connection, entry)

    def _record(self, row: Row) -> dict[str, Any]:
        key = KeyRef(row["key_ref"])
        return from_bytes(self._keyring.unseal(key, row["sealed"], context(row["tenant"], row["id"])))

    def _seal(self, row: Row, plain: bytes) -> bytes:
        return self._keyring.seal(KeyRef(row["key_ref"]), plain, context(row["tenant"], row["id"]))

    def _opened(self, row: Row) -> Assignment:
        held = self._record(row)
        return Assignment(
            id=row["id"],
            tenant=row["tenant"],
            account_id=row["account_id"],
            way=row["way"],
            subject_id=row["subject_id"],
            study_id=row["study_id"],
            made_by=row["made_by"],
            made_at=row["made_at"],
            until=row["until"],
            ended_at=row["ended_at"],
            reviewed_at=row["reviewed_at"],
            reason=held["reason"],
            finding=held["finding"],
        )


def _said(reason: str) -> str:
    """A reason that says something.

    Raises:
        ReasonMissing: It does not.
    """
    said = " ".join(reason.split())
    if not SHORTEST_REASON <= len(said) <= LONGEST_REASON:
        raise ReasonMissing(hint=f"Write one sentence, {SHORTEST_REASON} to {LONGEST_REASON} characters.")
    return said
