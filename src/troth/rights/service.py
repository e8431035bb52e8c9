"""What may be asked for, and what is answered: the verbs of requests of data subjects."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from troth.archive import Archive, StudySummary
from troth.kit import clock, ids
from troth.kit.db import Connection, Database, Row
from troth.kit.errors import Unprocessable
from troth.ledger import Entry, Ledger
from troth.notice import Notices
from troth.people import People, Subject
from troth.policy import Permit, Policy
from troth.rights import store
from troth.rights.decide import decision_on, title_of
from troth.rights.errors import CopyNotReady, RequestNotFound
from troth.rights.model import Item, Outcome, Right, RightsRequest, State, Step
from troth.vault import KeyRef, Keyring, Packs

# What can be asked for now; the other rights of the notice are answered by a person until their workflow is there.
SERVED = frozenset({Right.ACCESS, Right.ERASE})
COPY_LIFETIME = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class SignedCertificate:
    """The certificate of an erasure, as it was signed.

    Attributes:
        text: Canonical JSON; nothing personal in it.
        signature: Ed25519 over the text.
        public_key: Key of the deployment.
    """

    text: bytes
    signature: bytes
    public_key: bytes


class Rights:
    """Requests of data subjects.

    Args:
        database: As `troth_app`.
        keyring: Keys of subjects; signs certificates.
        packs: Where copies are kept, sealed.
        ledger: Where each act is written.
        archive: The studies.
        people: The subjects.
        notices: The notice in force, for terms and grounds.
        policy: Decides what the worker may do for a request.
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        packs: Packs,
        ledger: Ledger,
        archive: Archive,
        people: People,
        notices: Notices,
        policy: Policy,
    ) -> None:
        self.database = database
        self.keyring = keyring
        self.packs = packs
        self.ledger = ledger
        self.archive = archive
        self.people = people
        self.notices = notices
        self.policy = policy

    async def preview_erasure(self, permit: Permit, subject_id: UUID) -> list[Item]:
        """What an erasure asked for now would erase, and what it would not, with ground and end.

        Args:
            permit: `open_request` on the subject.
            subject_id: Whose studies.
        """
        subject = await self.people.subject(permit, subject_id)
        studies = await self.archive.studies_of_subject(permit, subject_id)
        notice = (await self.notices.in_force("patients")).notice
        return [decision_on(study, subject.birth_date, notice) for study in studies]

    async def open(
        self, permit: Permit, right: Right, subject_id: UUID, *, study_ids: Sequence[UUID] | None = None
    ) -> RightsRequest:
        """Take a request; the worker acknowledges and fulfils it.

        Args:
            permit: `open_request` on the subject.
            right: What is asked for.
            subject_id: By or for whom.
            study_ids: The studies an erasure is about; None for all.

        Raises:
            Unprocessable: This right is not served yet, or a named study is not the subject's.

        Per: GDPR Art. 12(2) and (3).
        """
        if right not in SERVED:
            raise Unprocessable("this cannot be asked for here yet", hint="Write to the contact named in the notice.")
        subject = await self.people.subject(permit, subject_id)
        studies = await self._chosen(permit, subject_id, study_ids)
        version = await self.notices.in_force("patients")
        terms = version.notice.right(right.value)
        now = clock.now()
        request_id = ids.uuid7()
        tenant = _tenant(permit)
        async with self.database.transaction(permit) as connection:
            number = await store.next_number(connection, tenant)
            await store.add_request(
                connection,
                {
                    "tenant": tenant,
                    "id": request_id,
                    "number": number,
                    "right": right.value,
                    "state": State.OPENED.value,
                    "subject_id": subject_id,
                    "subject_key": bytes(subject.key),
                    "audit_key": bytes(subject.audit_key),
                    "opened_by": permit.actor.id,
                    "opened_by_kind": permit.actor.kind,
                    "opened_at": now,
                    "acknowledge_by": terms.acknowledge_by(now),
                    "due_at": terms.due_at(now),
                    "clauses": [terms.clause_id],
                    "notice_version": permit.notice_version,
                },
            )
            await store.add_step(connection, tenant, request_id, "Received", now)
            if permit.actor.kind == "patient":
                await store.add_step(connection, tenant, request_id, "Identity proved", now, "by the account")
            await store.add_items(connection, self._rows(tenant, request_id, right, subject, studies))
            await self.write(
                connection, "rights:request:opened", permit, request_id, subject, {"number": number},
                {"right": right.value, "studies": len(studies)},
            )  # fmt: skip
        return await self.request(permit, request_id)

    async def request(self, permit: Permit, request_id: UUID) -> RightsRequest:
        """One request with its items and steps.

        Raises:
            RequestNotFound: There is none for this actor.
        """
        async with self.database.transaction(permit) as connection:
            row = await store.request(connection, request_id)
            if row is None:
                raise RequestNotFound
            return (await self._whole(connection, [row]))[0]

    async def of_subject(self, permit: Permit, subject_id: UUID) -> list[RightsRequest]:
        """Requests of a subject, newest first."""
        async with self.database.transaction(permit) as connection:
            return await self._whole(connection, await store.requests_of(connection, subject_id))

    async def of_organisation(self, permit: Permit) -> list[RightsRequest]:
        """Requests of the organisation: open ones by due date, then closed ones."""
        async with self.database.transaction(permit) as connection:
            return await self._whole(connection, await store.requests_of(connection, None))

    async def copy_stream(self, permit: Permit, request_id: UUID) -> tuple[str, int, AsyncIterator[bytes]]:
        """The copy made for a request; the collection is written down before the first byte leaves.

        Args:
            permit: `copy` on the request.
            request_id: The request.

        Returns:
            File name, length in bytes, the bytes of the zip.

        Raises:
            RequestNotFound: There is none for this actor.
            CopyNotReady: It is not made yet, or its time is over.
        """
        async with self.database.transaction(permit) as connection:
            row = await store.request(connection, request_id)
            if row is None:
                raise RequestNotFound
            copy = await store.copy(connection, request_id)
            if copy is None or copy["expires_at"] <= clock.now() or row["closed_at"] is None:
                raise CopyNotReady
            locator = bytes(copy["locator"])
            key = self.keyring.unseal(KeyRef(bytes(row["subject_key"])), bytes(copy["key"]), b"object:" + locator)
            subject = await self.people.subject(permit, row["subject_id"])
            await store.count_collection(connection, request_id)
            await self.write(
                connection, "rights:copy:collected", permit, request_id, subject, {"number": row["number"]},
                {"bytes": copy["length_bytes"]},
            )  # fmt: skip
        return f"R-{row['number']}.zip", int(copy["length_bytes"]), self.packs.stream(locator, key)

    async def certificate(self, permit: Permit, request_id: UUID) -> SignedCertificate:
        """The signed certificate of an erasure.

        Raises:
            RequestNotFound: There is none for this actor, or the request has no certificate.
        """
        async with self.database.transaction(permit) as connection:
            row = await store.request(connection, request_id)
        if row is None or row["certificate"] is None:
            raise RequestNotFound
        return SignedCertificate(
            bytes(row["certificate"]), bytes(row["certificate_signature"]), self.keyring.public_key
        )

    async def write(
        self,
        connection: Connection,
        kind: str,
        permit: Permit,
        request_id: UUID,
        subject: Subject,
        payload: dict[str, Any],
        counts: dict[str, Any],
        *,
        study_id: UUID | None = None,
        outcome: str = "done",
    ) -> UUID:
        """Write one act of this room to the ledger, in the caller's transaction."""
        actor = permit.actor
        clear = {name: value for name, value in counts.items() if isinstance(value, int)}
        spoken = {name: value for name, value in counts.items() if not isinstance(value, int)}
        return await self.ledger.append(
            connection,
            Entry(
                kind=kind,
                tenant=_tenant(permit),
                actor_id=actor.id,
                actor_kind=actor.kind,
                role=actor.role,
                subject_id=subject.id,
                study_id=study_id,
                key=bytes(subject.audit_key),
                payload={
                    "actor": actor.name, "organisation": actor.organisation, "request": str(request_id),
                    **payload, **spoken,
                },
                purpose=permit.purpose,
                clauses=permit.clauses,
                decision_id=permit.decision_id,
                outcome=outcome,
                counts=clear,
            ),
        )  # fmt: skip

    async def _chosen(self, permit: Permit, subject_id: UUID, study_ids: Sequence[UUID] | None) -> list[StudySummary]:
        studies = await self.archive.studies_of_subject(permit, subject_id)
        if study_ids is None:
            return studies
        chosen = [study for study in studies if study.id in set(study_ids)]
        if len(chosen) != len(set(study_ids)) or not chosen:
            raise Unprocessable("choose at least one scan of your own", hint="Go back and choose again.")
        return chosen

    def _rows(
        self, tenant: UUID, request_id: UUID, right: Right, subject: Subject, studies: Iterable[StudySummary]
    ) -> list[dict[str, Any]]:
        rows = []
        for position, study in enumerate(studies):
            item_id = ids.uuid7()
            rows.append(
                {
                    "tenant": tenant,
                    "request_id": request_id,
                    "id": item_id,
                    "position": position,
                    "kind": "study",
                    "target_id": study.id,
                    "title": self.keyring.seal(
                        subject.audit_key, title_of(study).encode(), b"rights-item:" + item_id.bytes
                    ),
                    "outcome": Outcome.WAITING.value,
                    "ground": "",
                    "clause": "",
                    "until": None,
                }
            )
        return rows

    async def _whole(self, connection: Connection, rows: Sequence[Row]) -> list[RightsRequest]:
        request_ids = [row["id"] for row in rows]
        keys = {row["id"]: KeyRef(bytes(row["audit_key"])) for row in rows}
        items: dict[UUID, list[Item]] = {request_id: [] for request_id in request_ids}
        steps: dict[UUID, list[Step]] = {request_id: [] for request_id in request_ids}
        for row in await store.items(connection, request_ids):
            items[row["request_id"]].append(self._item(row, keys[row["request_id"]]))
        for row in await store.steps(connection, request_ids):
            steps[row["request_id"]].append(Step(row["name"], row["at"], row["detail"]))
        return [replace(_request(row), items=tuple(items[row["id"]]), steps=tuple(steps[row["id"]])) for row in rows]

    def _item(self, row: Row, key: KeyRef) -> Item:
        title = self.keyring.unseal(key, bytes(row["title"]), b"rights-item:" + row["id"].bytes).decode()
        return Item(
            id=row["id"],
            kind=row["kind"],
            target_id=row["target_id"],
            title=title,
            outcome=Outcome(row["outcome"]),
            ground=row["ground"],
            clause=row["clause"],
            until=row["until"],
            event_id=row["event_id"],
        )

    async def waiting(self) -> list[tuple[UUID, UUID]]:
        """Requests that no worker has taken yet: (tenant, request id). For the worker."""
        async with self.database.transaction(None) as connection:
            return [(row["tenant"], row["request_id"]) for row in await store.waiting(connection)]

    async def taken(self, request_id: UUID) -> None:
        """A worker has durably started on a request. For the worker."""
        async with self.database.transaction(None) as connection:
            await store.taken(connection, request_id)


def canonical(content: dict[str, Any]) -> bytes:
    """JSON in one form only, so that a signature over it can be checked anywhere."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _tenant(permit: Permit) -> UUID:
    if permit.tenant is None:
        raise Unprocessable("a request belongs to an organisation")
    return permit.tenant


def _request(row: Row) -> RightsRequest:
    return RightsRequest(
        id=row["id"],
        tenant=row["tenant"],
        number=row["number"],
        right=Right(row["right"]),
        state=State(row["state"]),
        subject_id=row["subject_id"],
        opened_at=row["opened_at"],
        due_at=row["due_at"],
        acknowledged_at=row["acknowledged_at"],
        closed_at=row["closed_at"],
        clauses=tuple(row["clauses"]),
        copy_bytes=row["copy_bytes"] or 0,
        copy_sha256=bytes(row["copy_sha256"] or b"").hex(),
        copy_expires_at=row["copy_expires_at"],
        certificate=json.loads(bytes(row["certificate"])) if row["certificate"] else None,
    )
