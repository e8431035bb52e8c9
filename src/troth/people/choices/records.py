"""What every choice stands on: whose it is, what the notice said, the record, the ledger, the receipt."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any
from uuid import UUID

from troth import policy
from troth.kit import clock, ids
from troth.kit.db import Connection, Database, Row
from troth.ledger import Ledger
from troth.notice import Clause, Notices, NoticeVersion
from troth.people.choices import store
from troth.people.choices.model import (
    SCHEMA_VERSION,
    Choice,
    ChoiceKind,
    Holder,
    Receipt,
    Said,
    State,
    context,
    from_bytes,
    state_at,
    to_bytes,
)
from troth.people.errors import ChoiceNotFound, SubjectNotFound
from troth.policy import NOTHING, Clear, Permit, refs
from troth.vault import KeyRef, Keyring

CHOOSING = ("choose", "restrict", "open_request", "decide_request")
SEEING = (*CHOOSING, "see_request", "see_log", "copy")


class Records:
    """The common ground of the parts; `Choices` joins them.

    Args:
        db: Opened as `troth_app`.
        keyring: Seals records and signs receipts.
        ledger: Where each choice is written.
        notices: What people saw.
    """

    def __init__(self, db: Database, keyring: Keyring, ledger: Ledger, notices: Notices) -> None:
        self._db = db
        self._keyring = keyring
        self._ledger = ledger
        self._notices = notices

    # Reading

    async def of_holder(self, permit: Permit, holder_id: UUID, *, history: bool = False) -> list[Choice]:
        """The choices of a person that stand, newest first; also those of subjects that are merged with theirs.

        Args:
            permit: To see or make choices of this person.
            holder_id: The subject or account.
            history: Also those that others took the place of.

        Raises:
            SubjectNotFound: The permit is for somebody else, or there is nobody.
        """
        holder = await self.holder(permit, holder_id, SEEING)
        async with self._db.transaction(permit) as connection:
            rows = await store.of_holder(connection, holder.id, only_current=not history)
        holders = {holder.id: holder}
        for row in rows:
            if row["holder_id"] not in holders:
                holders[row["holder_id"]] = await self.holder(permit, row["holder_id"], SEEING)
        chosen_at = {(row["kind"], row["key"]): row["made_at"] for row in rows if row["merged_at"] is None}
        return [
            self._choice(row, holders[row["holder_id"]])
            for row in rows
            # What was chosen anew since the merge is what counts.
            if history or row["merged_at"] is None or not _is_later(chosen_at.get((row["kind"], row["key"])), row)
        ]

    async def receipt(self, permit: Permit, choice_id: UUID) -> Receipt:
        """The receipt of one choice: its record, signed, and the ledger with its entry as it was signed last.

        Raises:
            ChoiceNotFound: There is none, or it is somebody else's.
        """
        async with self._db.transaction(permit) as connection:
            row = await store.choice(connection, choice_id)
            if row is None:
                raise ChoiceNotFound
            signed = await self._ledger.checkpoint(connection)
            proofs = await self._ledger.prove_all(connection, [row["event_id"]] if row["event_id"] else [])
        try:
            holder = await self.holder(permit, row["holder_id"], SEEING)
        except SubjectNotFound:
            raise ChoiceNotFound from None
        made = self._choice(row, holder)
        text = to_bytes(made.record)
        proof, note = proofs.get(row["event_id"]), "" if signed is None else signed.note
        return Receipt(
            made, text, self._keyring.sign(text), self._keyring.public_key, self._ledger.verifier_key,
            note if proof is None else proof.checkpoint.note, proof,
        )  # fmt: skip

    async def holder(self, permit: Permit, holder_id: UUID, actions: tuple[str, ...] = CHOOSING) -> Holder:
        """Whose choice it is, if the permit is about them.

        Raises:
            SubjectNotFound: The permit is for something or somebody else, or there is nobody.
        """
        if permit.tenant is None or permit.action not in actions:
            raise SubjectNotFound
        async with self._db.transaction(permit) as connection:
            row = await store.holder(connection, holder_id)
        if row is None or permit.target.subject_id not in (None, holder_id, row["surviving_id"]):
            raise SubjectNotFound
        return Holder(holder_id, permit.tenant, row["kind"], KeyRef(row["key"]), KeyRef(row["audit_key"]))

    # The notice

    async def versions_for(self, holder: Holder) -> list[NoticeVersion]:
        """The versions in force, of each notice one; first those of the person's own audience."""
        in_force: dict[str, NoticeVersion] = {}
        for version in await self._notices.versions():
            known = in_force.get(version.name)
            if version.effective_on <= clock.today() and (known is None or known.number < version.number):
                in_force[version.name] = version
        return sorted(in_force.values(), key=lambda each: (holder.audience not in each.notice.audiences, each.name))

    async def clause_for(self, holder: Holder, kind: str, key: str) -> tuple[NoticeVersion, Clause]:
        """A clause by kind and key, and the version that it stands in.

        Raises:
            ChoiceNotFound: No notice in force has it.
        """
        for version in await self.versions_for(holder):
            if (clause := version.notice.find(kind, key)) is not None:
                return version, clause
        raise ChoiceNotFound(hint="Choose among what the notice says.")

    # Writing

    async def _record(
        self,
        permit: Permit,
        holder: Holder,
        kind: ChoiceKind,
        key: str,
        state: State,
        version: NoticeVersion,
        *,
        said: Said,
        event: str,
        clause: Clause | None = None,
        expires_at: datetime | None = None,
        number: int | None = None,
        more: Mapping[str, Any] | None = None,
        instead_of: UUID | None = None,
        over: Connection | None = None,
    ) -> Choice:
        """Record a choice with its ledger entry, in one transaction; the choice before stays in the history.

        The transaction is its own, or `over`, the caller's.
        """
        now, made_id = clock.now(), ids.uuid7()
        async with self._db.transaction(permit) if over is None else nullcontext(over) as connection:
            before = await store.current(connection, holder.id, kind, key)
            if instead_of is not None and (before is None or before["id"] != instead_of):
                raise ChoiceNotFound(hint="Somebody decided it, or it was taken back.")
            earlier = self._opened(before, holder).get("events", []) if before is not None else []
            receipt_number = await store.next_number(connection, holder.tenant)
            record = {
                **_head(permit, holder, kind, key, version, clause),
                "record_id": str(made_id),
                "receipt_number": f"C-{receipt_number}",
                "wording": said.wording or (clause.sentence(version.notice) if clause else ""),
                "valid_until": expires_at.isoformat() if expires_at else None,
                "events": [*earlier, _event(permit, state, now, said)],
                **(more or {}),
            }
            event_id = await self._tell(
                connection, permit, holder, event, state, {"receipt": receipt_number}, {"about": key, "state": state},
                clear=_clear(made_id, kind, key, state, version, expires_at),
            )  # fmt: skip
            values = {
                "tenant": holder.tenant,
                "id": made_id,
                "number": receipt_number,
                "holder_id": holder.id,
                "holder_kind": holder.kind,
                "kind": kind,
                "key": key,
                "state": state,
                "notice": version.name,
                "version": version.number if number is None else number,
                "clause": clause.id if clause else "",
                "made_at": now,
                "expires_at": expires_at,
                "sealed": self._keyring.seal(holder.key, to_bytes(record), context(holder.tenant, made_id)),
                "event_id": event_id,
            }
            await store.insert(connection, values)
        return self._choice({**values, "is_current": True}, holder)

    async def _tell(
        self,
        connection: Connection,
        permit: Permit,
        holder: Holder,
        kind: str,
        state: str,
        counts: Mapping[str, int],
        payload: Mapping[str, Any],
        *,
        study_id: UUID | None = None,
        clear: Clear = NOTHING,
    ) -> UUID:
        entry = policy.entry(
            permit,
            kind,
            key=holder.audit_key,
            payload=payload,
            subject_id=holder.id,
            study_id=study_id,
            outcome="refused" if kind == "people:objection:decided" and state == "refused" else "done",
            counts=counts,
            clear=clear,
        )
        return await self._ledger.append(connection, entry)

    def _opened(self, row: Row, holder: Holder) -> dict[str, Any]:
        return from_bytes(self._keyring.unseal(holder.key, row["sealed"], context(row["tenant"], row["id"])))

    def _choice(self, row: Row, holder: Holder) -> Choice:
        return Choice(
            id=row["id"],
            number=row["number"],
            tenant=row["tenant"],
            holder_id=row["holder_id"],
            kind=row["kind"],
            key=row["key"],
            state=state_at(row["state"], row["expires_at"], clock.now()),
            notice=row["notice"],
            version=row["version"],
            clause=row["clause"],
            made_at=row["made_at"],
            expires_at=row["expires_at"],
            is_current=row["is_current"],
            record=self._opened(row, holder),
        )


def _is_later(chosen_at: datetime | None, row: Row) -> bool:
    return chosen_at is not None and bool(chosen_at > row["merged_at"])


def _clear(
    made_id: UUID, kind: ChoiceKind, key: str, state: State, version: NoticeVersion, until: datetime | None
) -> Clear:
    """What was chosen, in words of the notice. Of an age nothing but that it was stated."""
    what = refs(choice=made_id, version=version.id)
    if kind == "age":
        return Clear(refs=what)
    return Clear(refs=what, says={"key": key, "state": state}, dates={} if until is None else {"until": until})


def _head(
    permit: Permit, holder: Holder, kind: str, key: str, version: NoticeVersion, clause: Clause | None
) -> dict[str, Any]:
    """The part of a record that does not depend on when it was made (TS 27560 6.3: header, processing, parties)."""
    return {
        "schema_version": SCHEMA_VERSION,
        "pii_principal_id": str(holder.id),
        "pii_controller": {"id": str(holder.tenant), "name": permit.actor.organisation},
        "kind": kind,
        "about": key,
        "purposes": list(getattr(clause, "purposes", ()) or ()),
        "notice": {
            "name": version.name,
            "version": version.number,
            "language": version.notice.head.language,
            "effective_on": version.effective_on.isoformat(),
            "sha256": version.sha256.hex(),
            "clause": clause.id if clause else "",
        },
        "jurisdiction_rights": "/choices",
    }


def _event(permit: Permit, state: str, at: datetime, said: Said) -> dict[str, Any]:
    """One event of a record's life (TS 27560 6.3.6)."""
    return {
        "state": state,
        "at": at.isoformat(),
        "by": {"kind": permit.actor.kind, "role": permit.actor.role, "id": str(permit.actor.id or "")},
        "how": said.how,
        "reason": said.reason,
        "decision": str(permit.decision_id),
    }
