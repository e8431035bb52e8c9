"""The verbs of legal holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from troth import policy
from troth.kit import clock, ids
from troth.kit.db import Connection, Database, Row
from troth.ledger import Ledger
from troth.lifecycle import store
from troth.lifecycle.errors import HoldIncomplete, HoldNotFound
from troth.lifecycle.facts import covered_by
from troth.lifecycle.model import SCOPES, Hold, context, reason_of, to_bytes
from troth.people import People
from troth.policy import Clear, Permit, Target, refs
from troth.vault import KeyRef, Keyring

ACTION = "hold"


class Lifecycle:
    """Legal holds. While one is in force, no permit to erase what it covers is given.

    Args:
        db: Opened as `troth_app`.
        keyring: Seals reasons under the organisation's key: a hold outlives the wish of the person.
        ledger: Is told of each hold and release.
        people: Knows organisations and subjects.
    """

    def __init__(self, db: Database, keyring: Keyring, ledger: Ledger, people: People) -> None:
        self._db = db
        self._keyring = keyring
        self._ledger = ledger
        self._people = people

    async def place_hold(
        self,
        permit: Permit,
        reason: str,
        *,
        review_on: date,
        ends_on: date | None = None,
        owner_id: UUID | None = None,
        document: str = "",
    ) -> Hold:
        """Place a hold on the target of the permit: a study, a subject, or a whole organisation.

        Args:
            permit: To `hold` it.
            reason: Why; sealed.
            review_on: When somebody looks whether it is still needed; after today.
            ends_on: Its last day, where that is known.
            owner_id: Who answers for it; whoever places it, unless told.
            document: What it rests on, such as the court and its case number; sealed.

        Raises:
            HoldIncomplete: A reason, an owner or a day of review is missing or in the past.
            HoldNotFound: The permit is for something else.
        """
        target, owner = permit.target, owner_id or permit.actor.id
        if permit.action != ACTION or target.id is None or permit.tenant is None or target.kind not in SCOPES:
            raise HoldNotFound
        today = clock.today()
        if not reason.strip() or owner is None or review_on <= today or (ends_on is not None and ends_on < today):
            raise HoldIncomplete
        key, made_id = (await self._people.organisation(permit.tenant)).key, ids.uuid7()
        audit_key = await self._audit_key(permit, target.subject_id, key)
        values = {
            "tenant": permit.tenant,
            "id": made_id,
            "scope": target.kind,
            "target_id": target.id,
            "owner_id": owner,
            "review_on": review_on,
            "ends_on": ends_on,
            "made_at": clock.now(),
            "released_at": None,
            "key_ref": key,
            "sealed": self._keyring.seal(key, to_bytes(reason, document=document), context(permit.tenant, made_id)),
        }
        told = {"reason": reason, "document": document}
        async with self._db.transaction(permit) as connection:
            await store.insert(connection, values)
            await self._tell(connection, permit, "lifecycle:hold:placed", audit_key, told, values)
        return self._hold(values)

    async def release_hold(self, permit: Permit, hold_id: UUID, reason: str) -> Hold:
        """Release a hold: what it covered may be erased again.

        Args:
            permit: To `hold` what it covers, or its organisation.
            hold_id: The hold.
            reason: Why.

        Raises:
            HoldNotFound: It is not in force, or the permit is for something else.
            HoldIncomplete: No reason.
        """
        if permit.action != ACTION or permit.tenant is None:
            raise HoldNotFound
        if not reason.strip():
            raise HoldIncomplete
        now = clock.now()
        key = (await self._people.organisation(permit.tenant)).key
        audit_key = await self._audit_key(permit, permit.target.subject_id, key)
        async with self._db.transaction(permit) as connection:
            row = await store.hold(connection, hold_id)
            is_covered = row is not None and permit.target.id in (row["target_id"], permit.tenant)
            if row is None or row["released_at"] is not None or not is_covered:
                raise HoldNotFound
            found = self._hold(row)
            sealed = self._keyring.seal(
                key, to_bytes(found.reason, reason, found.document), context(permit.tenant, hold_id)
            )
            values = {"id": hold_id, "released_at": now, "released_by": permit.actor.id, "sealed": sealed}
            await store.release(connection, values)
            await self._tell(connection, permit, "lifecycle:hold:released", audit_key, {"reason": reason}, row)
        return self._hold({**row, **values, "key_ref": key})

    async def holds(self, permit: Permit) -> list[Hold]:
        """Holds in force in the permit's organisation, those to be looked at first at the top."""
        async with self._db.transaction(permit) as connection:
            rows = await store.in_force(connection, clock.today())
        return [self._hold(row) for row in rows]

    async def waits(self, permit: Permit) -> list[date]:
        """On which day each hold had to be looked at that nobody looked at.

        Args:
            permit: To `administer` the organisation, or to `hold` in it.
        """
        if permit.action not in ("administer", ACTION) or permit.target.kind != "organisation":
            raise HoldNotFound
        today = clock.today()
        async with self._db.transaction(permit) as connection:
            rows = await store.in_force(connection, today)
        return [row["review_on"] for row in rows if row["review_on"] <= today]

    async def holds_on(self, permit: Permit, target: Target) -> list[Hold]:
        """Holds in force that cover a target of the permit's organisation: for whoever has to tell the ground and end.

        Args:
            permit: Of the same organisation.
            target: A study or subject.
        """
        if target.tenant != permit.tenant:
            raise HoldNotFound
        async with self._db.transaction(permit) as connection:
            rows = await store.in_force(connection, clock.today(), covered_by(target))
        return [self._hold(row) for row in rows]

    async def standing(self, connection: Connection) -> list[tuple[str, UUID]]:
        """What holds in force are on, in the organisation of a transaction: for a room that destroys without a permit.

        Returns:
            `study`, `subject` or `organisation`; and our id of it.
        """
        return [(row["scope"], row["target_id"]) for row in await store.in_force(connection, clock.today())]

    async def hinders_merging(self, connection: Connection, both: tuple[UUID, UUID], since: datetime | None) -> str:
        """A hold that was placed on two merged subjects covers both: taken apart, one would go free.

        Args:
            connection: The transaction that merges them, or takes them apart.
            both: The merged one, and the surviving one.
            since: When they were merged; None where they are to be: then holds of both go on binding.
        """
        if since is not None and await store.placed_since(connection, both[1], since, clock.today()):
            return "A legal hold was placed on all that is merged here; release it first, and place it where it belongs"
        return ""

    async def _audit_key(self, permit: Permit, subject_id: UUID | None, otherwise: KeyRef) -> KeyRef:
        if subject_id is None:
            return otherwise
        return (await self._people.subject(permit, subject_id)).audit_key

    async def _tell(
        self, connection: Connection, permit: Permit, kind: str, key: KeyRef, payload: Mapping[str, Any], hold: Row
    ) -> None:
        target = permit.target
        entry = policy.entry(
            permit,
            kind,
            key=key,
            payload=payload,
            subject_id=target.subject_id,
            study_id=target.id if target.kind == "study" else None,
            counts={"holds": 1},
            clear=Clear(
                refs=refs(hold=hold["id"], **{hold["scope"]: hold["target_id"]}),
                says={"scope": hold["scope"]},
                dates={name: hold[name] for name in ("review_on", "ends_on") if hold[name] is not None},
            ),
        )
        await self._ledger.append(connection, entry)

    def _hold(self, row: Row) -> Hold:
        plain = self._keyring.unseal(KeyRef(row["key_ref"]), row["sealed"], context(row["tenant"], row["id"]))
        reason, document = reason_of(plain)
        return Hold(
            id=row["id"],
            tenant=row["tenant"],
            scope=row["scope"],
            target_id=row["target_id"],
            owner_id=row["owner_id"],
            review_on=row["review_on"],
            ends_on=row["ends_on"],
            made_at=row["made_at"],
            released_at=row["released_at"],
            reason=reason,
            document=document,
        )
