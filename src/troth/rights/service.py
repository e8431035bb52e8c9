"""What may be asked for, and what is answered: the verbs of requests of data subjects."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from troth import policy
from troth.archive import Archive, StudySummary
from troth.kit import clock, ids
from troth.kit.db import Connection, Database, Row, Space
from troth.ledger import Ledger, RowsAltered
from troth.notice import Notice, Notices, RightTerms
from troth.people import Choices, People, Subject
from troth.policy import Clear, Distrusted, Permit, Policy, Target, refs
from troth.rights import register, store
from troth.rights.copies import Copies
from troth.rights.decide import Holds, decision_on, held_back, title_of
from troth.rights.errors import CopyNotReady, NothingChosen, RequestNotFound, RightUnknown, WrongPermit
from troth.rights.model import (
    PERSON,
    Erased,
    Item,
    Outcome,
    Right,
    RightsRequest,
    SignedCertificate,
    State,
    Step,
    request_of,
)
from troth.vault import KeyDestroyed, KeyRef, Keyring, Packs

CHECK_EVERY = timedelta(seconds=1)

_READS = ("see_request", "decide_request", "open_request", "copy")


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
        holds: Knows of legal holds, for their ground and end; that they bind is decided by `policy`.
        choices: What subjects chose, for their copies.
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
        holds: Holds | None = None,
        choices: Choices | None = None,
    ) -> None:
        self.database = database
        self.keyring = keyring
        self.packs = packs
        self.ledger = ledger
        self.archive = archive
        self.people = people
        self.notices = notices
        self.policy = policy
        self.holds = holds
        self.choices = choices
        self.copies = Copies(self)
        archive.merging.heed(_hinders_merging)

    async def preview_erasure(self, permit: Permit, subject_id: UUID) -> list[Item]:
        """What an erasure asked for now would erase, and what it would not, with ground and end.

        Args:
            permit: `open_request` on the subject.
            subject_id: Whose studies.
        """
        _allowed(permit, "open_request", subject_id=subject_id)
        subject = await self.people.subject(permit, subject_id)
        studies = await self.archive.studies_of_subject(permit, subject_id)
        notice = (await self.notices.in_force("patients")).notice
        items = [decision_on(study, subject.demographics.birth_date, notice) for study in studies]
        return [await self.told_of_holds(permit, subject_id, item, notice) for item in items]

    async def told_of_holds(self, permit: Permit, subject_id: UUID, item: Item, notice: Notice) -> Item:
        """An item as decided, but refused with ground and end where a legal hold is on it."""
        if self.holds is None or item.target_id is None:
            return item
        target = Target("study", item.target_id, permit.tenant, subject_id)
        return held_back(item, await self.holds.holds_on(permit, target), notice)

    async def open(
        self,
        permit: Permit,
        right: Right | str,
        subject_id: UUID,
        *,
        study_ids: Sequence[UUID] | None = None,
        everything: bool = False,
    ) -> RightsRequest:
        """Take a request; the worker acknowledges and fulfils it. Asking twice for the same is one request.

        Args:
            permit: `open_request` on the subject.
            right: What is asked for.
            subject_id: By or for whom.
            study_ids: The studies it is about; None for all.
            everything: To erase all that is held of the person: all studies, and where no law keeps one of them, who
                they are and their account.

        Raises:
            RightUnknown: There is no such right, or it is not served here yet.
            NothingChosen: No study is named, one is not the subject's, or there is none to erase.

        Per: GDPR Art. 12(2) and (3).
        """
        _allowed(permit, "open_request", subject_id=subject_id)
        kind = _served(right)
        subject = await self.people.subject(permit, subject_id)
        studies = await self._chosen(permit, kind, subject_id, study_ids)
        if kind is Right.ERASE and not studies and not everything:
            raise NothingChosen("There is no scan that could be erased")
        is_person = everything and kind is Right.ERASE
        scope = [subject_id] if is_person else sorted(set(study_ids or ()))
        version = await self.notices.in_force("patients")
        async with self.database.transaction(permit) as connection:
            await store.lock_subject(connection, subject_id)
            if (await self.people.kin_of(connection, subject_id))[0] != subject_id:
                raise RequestNotFound  # merged a moment ago: the next page is the survivor's
            request_id = await store.same_open_request(connection, subject_id, kind.value, scope)
            if request_id is None:
                request_id = ids.uuid7()
                terms = version.notice.right(kind.value)
                await self._add(connection, permit, request_id, kind, subject, scope, studies, terms)
        return await self.request(permit, request_id)

    async def _add(
        self,
        connection: Connection,
        permit: Permit,
        request_id: UUID,
        right: Right,
        subject: Subject,
        scope: Sequence[UUID],
        studies: Sequence[StudySummary],
        terms: RightTerms,
    ) -> None:
        now, tenant = clock.now(), subject.tenant
        number = await store.next_number(connection, tenant)
        await store.add_request(
            connection,
            {
                "tenant": tenant,
                "id": request_id,
                "number": number,
                "right": right.value,
                "state": State.OPENED.value,
                "subject_id": subject.id,
                "subject_key": bytes(subject.key),
                "audit_key": bytes(subject.audit_key),
                "opened_by": permit.actor.id,
                "opened_by_kind": permit.actor.kind,
                "opened_at": now,
                "acknowledge_by": terms.acknowledge_by(now),
                "due_at": terms.due_at(now),
                "scope": list(scope),
                "clauses": [terms.clause_id],
                "notice_version": permit.notice_version,
            },
        )
        await store.add_step(connection, tenant, request_id, "Received", now)
        if permit.actor.kind == "patient":
            await store.add_step(connection, tenant, request_id, "Identity proved", now, "by the account")
        named: list[tuple[str, UUID | None, str]] = [("study", each.id, title_of(each)) for each in studies]
        if scope == [subject.id]:
            named.append((PERSON, subject.id, "Who you are to us, and your account"))
        if right is Right.ACCESS:
            named += [("account", None, "What we know about you"), ("access_list", None, "The list of who looked")]
        await self.add_items(connection, request_id, subject, named)
        await self.write(
            connection, "rights:request:opened", permit, request_id, subject,
            {"number": number, "right": right.value}, {"studies": len(studies)}, says={"right": right.value},
            dates={"due": terms.due_at(now), "acknowledge_by": terms.acknowledge_by(now)},
        )  # fmt: skip

    async def request(self, permit: Permit, request_id: UUID) -> RightsRequest:
        """One request with its items and steps.

        Args:
            permit: `see_request` on the request, its subject or the organisation.
            request_id: Our id of it.

        Raises:
            RequestNotFound: There is none for this permit.
        """
        _allowed(permit, *_READS, request_id=request_id)
        async with self.database.transaction(permit) as connection:
            found, doubts = await self._whole(connection, [await self._row(connection, permit, request_id)])
        await self._tell_of(doubts)
        return found[0]

    async def of_subject(self, permit: Permit, subject_id: UUID) -> list[RightsRequest]:
        """Requests of a subject, newest first.

        Args:
            permit: `see_request` on the subject, the organisation or one of the subject's requests.
            subject_id: Whose.
        """
        _allowed(permit, *_READS, subject_id=subject_id)
        return await self._requests(permit, subject_id)

    async def of_organisation(self, permit: Permit) -> list[RightsRequest]:
        """Requests of the organisation: open ones by due date, then closed ones.

        Args:
            permit: `see_request` on the organisation.
        """
        _allowed(permit, *_READS)
        if permit.target.subject_id is not None or permit.actor.kind == "patient":
            raise WrongPermit
        return await self._requests(permit, None)

    async def waits(self, permit: Permit) -> list[datetime]:
        """When the clock of each request runs out that waits for us, of whomever; nothing is opened for it.

        Args:
            permit: To `administer` the organisation, or to `see_request` in it.
        """
        _allowed(permit, "administer", "see_request")
        if permit.target.kind != "organisation":
            raise WrongPermit
        async with self.database.transaction(permit) as connection:
            rows, doubts = register.shown(self.keyring, await store.requests_of(connection, None))
        await self._tell_of(doubts)
        return [row["due_at"] for row in rows if row["closed_at"] is None and row["state"] != State.READY]

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
        _allowed(permit, "copy", request_id=request_id)
        async with self.database.transaction(permit) as connection:
            row = await self._row(connection, permit, request_id)
        await self.believed(row)
        subject = await self.people.subject(permit, row["subject_id"])
        held = {study.id for study in await self.archive.studies_of_subject(permit, subject.id)}
        async with self.database.transaction(permit) as connection:
            copy = await store.copy(connection, request_id)
            if copy is None or copy["expires_at"] <= clock.now() or row["closed_at"] is None:
                raise CopyNotReady
            if not held.issuperset(copy["studies"]):
                raise CopyNotReady  # made while it was thought to be of one person what is of two
            try:
                key = self.copies.key(copy)
            except KeyDestroyed:
                raise CopyNotReady from None
            await store.count_collection(connection, request_id)
            await self.write(
                connection, "rights:copy:collected", permit, request_id, subject, {"number": row["number"]},
                {"bytes": copy["length_bytes"]},
            )  # fmt: skip
        return f"R-{row['number']}.zip", int(copy["length_bytes"]), self._chunks(permit, bytes(copy["locator"]), key)

    async def _chunks(self, permit: Permit, locator: bytes, key: bytes) -> AsyncIterator[bytes]:
        """The bytes of a copy; stops within a second after it is not allowed any more."""
        checked_at = clock.now()
        async for chunk in self.packs.stream(locator, key):
            if clock.now() - checked_at > CHECK_EVERY:
                permit = await self.policy.require(permit.actor, permit.action, permit.target, permit.purpose)
                checked_at = clock.now()
            yield chunk

    async def certificate(self, permit: Permit, request_id: UUID) -> SignedCertificate:
        """The signed certificate of an erasure.

        Args:
            permit: `see_request` on the request, its subject or the organisation.
            request_id: The request.

        Raises:
            RequestNotFound: There is none for this permit, or the request has no certificate.
        """
        _allowed(permit, *_READS, request_id=request_id)
        async with self.database.transaction(permit) as connection:
            row = await self._row(connection, permit, request_id)
        if row["certificate"] is None:
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
        subject: Subject | Erased,
        payload: dict[str, Any],
        counts: dict[str, Any],
        *,
        study_id: UUID | None = None,
        outcome: str = "done",
        says: Mapping[str, str] | None = None,
        dates: Mapping[str, datetime] | None = None,
    ) -> UUID:
        """Write one act of this room to the ledger, in the caller's transaction."""
        clear = {name: value for name, value in counts.items() if isinstance(value, int)}
        spoken = {name: value for name, value in counts.items() if not isinstance(value, int)}
        return await self.ledger.append(
            connection,
            policy.entry(
                permit,
                kind,
                key=bytes(subject.audit_key),
                payload={"request": str(request_id), **payload, **spoken},
                subject_id=subject.id,
                study_id=study_id,
                outcome=outcome,
                counts=clear,
                clear=Clear(refs=refs(request=request_id), says=says or {}, dates=dates or {}),
            ),
        )

    async def add_items(
        self,
        connection: Connection,
        request_id: UUID,
        subject: Subject | Erased,
        named: Iterable[tuple[str, UUID | None, str]],
        *,
        outcome: Outcome = Outcome.WAITING,
        event_id: UUID | None = None,
    ) -> None:
        """Add items to a request; those of a target that it has already are left as they are.

        Args:
            connection: The caller's transaction.
            request_id: The request.
            subject: Whose it is; titles are sealed under the audit key, so that the answer stays readable.
            named: Kind, our id of the target and title of each.
            outcome: Of all of them.
            event_id: The entry that shows it.
        """
        held = await store.items(connection, [request_id])
        there = {(row["kind"], row["target_id"]) for row in held}
        rows: list[dict[str, Any]] = []
        for kind, target_id, title in named:
            if (kind, target_id) not in there:
                item_id = ids.uuid7()
                sealed = self.keyring.seal(KeyRef(bytes(subject.audit_key)), title.encode(), _title_context(item_id))
                rows.append(
                    {
                        "tenant": subject.tenant, "request_id": request_id, "id": item_id,
                        "position": len(held) + len(rows), "kind": kind, "target_id": target_id, "title": sealed,
                        "outcome": outcome.value, "event_id": event_id,
                    }
                )  # fmt: skip
        await store.add_items(connection, rows)

    async def _row(self, connection: Connection, permit: Permit, request_id: UUID) -> Row:
        """A request that the permit reaches."""
        row = await store.request(connection, request_id)
        if row is None or permit.target.subject_id not in (None, row["subject_id"]):
            raise RequestNotFound
        return row

    async def believed(self, row: Row) -> Row:
        """A request that is about to be worked on, as it was bound. For whoever holds no transaction.

        Raises:
            RowsAltered: It was changed past us: nothing is erased or given on its word, and it stays open.
        """
        _, doubts = register.shown(self.keyring, [row])
        if doubts:
            await self._tell_of(doubts)
            raise RowsAltered(hint="It names each row that was altered: troth verify.")
        return row

    async def _tell_of(self, doubts: Sequence[Distrusted]) -> None:
        """Sound the alarm, which opens a transaction of its own: never in one, where all could wait for each other."""
        for doubt in doubts:
            await self.people.alarm.raise_about(doubt.register, doubt.tenant, doubt.row)

    async def _chosen(
        self, permit: Permit, right: Right, subject_id: UUID, study_ids: Sequence[UUID] | None
    ) -> list[StudySummary]:
        studies = await self.archive.studies_of_subject(permit, subject_id)
        if study_ids is not None:
            wanted = set(study_ids)
            studies = [study for study in studies if study.id in wanted]
            if len(studies) != len(wanted) or not wanted:
                raise NothingChosen("Choose at least one scan of your own", hint="Go back and choose again.")
        return studies

    async def _requests(self, permit: Permit, subject_id: UUID | None) -> list[RightsRequest]:
        async with self.database.transaction(permit) as connection:
            found, doubts = await self._whole(connection, await store.requests_of(connection, subject_id))
        await self._tell_of(doubts)
        return found

    async def _whole(self, connection: Connection, rows: Sequence[Row]) -> tuple[list[RightsRequest], list[Distrusted]]:
        """Requests with their items and steps, and which of their rows are not believed."""
        request_ids = [row["id"] for row in rows]
        keys = {row["id"]: KeyRef(bytes(row["audit_key"])) for row in rows}
        items: dict[UUID, list[Item]] = {request_id: [] for request_id in request_ids}
        steps: dict[UUID, list[Step]] = {request_id: [] for request_id in request_ids}
        for row in await store.items(connection, request_ids):
            items[row["request_id"]].append(self._item(row, keys[row["request_id"]]))
        for row in await store.steps(connection, request_ids):
            steps[row["request_id"]].append(Step(row["name"], row["at"], row["detail"]))
        rows, doubts = register.shown(self.keyring, rows)
        whole = [replace(request_of(row), items=tuple(items[row["id"]]), steps=tuple(steps[row["id"]])) for row in rows]
        return whole, doubts

    def _item(self, row: Row, key: KeyRef) -> Item:
        title = self.keyring.unseal(key, bytes(row["title"]), _title_context(row["id"])).decode()
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

    async def waiting(self) -> list[tuple[str, UUID, UUID]]:
        """What is due and no worker has taken: work, tenant, request id. For the worker."""
        async with self.database.transaction(None) as connection:
            rows = await store.waiting(connection, clock.now())
        return [(row["work"], row["tenant"], row["request_id"]) for row in rows]

    async def taken(self, tenant: UUID, request_id: UUID, work: str) -> None:
        """A worker has durably started on it. For the worker."""
        async with self.database.transaction(Space(tenant)) as connection:
            await store.taken(connection, request_id, work)


async def _hinders_merging(connection: Connection, both: tuple[UUID, UUID], since: datetime | None) -> str:
    """An open request is about what one of two subjects has: it is answered before that changes, either way."""
    del since
    numbers = await store.open_requests(connection, both)
    return f"A request is open: R-{numbers[0]}; decide it first" if numbers else ""


def canonical(content: dict[str, Any]) -> bytes:
    """JSON in one form only, so that a signature over it can be checked anywhere."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _title_context(item_id: UUID) -> bytes:
    return b"rights-item:" + item_id.bytes


def _served(right: Right | str) -> Right:
    try:
        return Right(right)
    except ValueError:
        raise RightUnknown(
            "This cannot be asked for here yet", hint="Write to the contact named in the notice."
        ) from None


def _allowed(permit: Permit, *actions: str, subject_id: UUID | None = None, request_id: UUID | None = None) -> None:
    """Refuse a permit that is for another action, subject or request, or of no organisation, or over."""
    target = permit.target
    if permit.action not in actions or permit.tenant is None or permit.expires_at <= clock.now():
        raise WrongPermit
    if subject_id is not None and target.subject_id not in (None, subject_id):
        raise WrongPermit
    if request_id is not None and target.kind == "request" and target.id != request_id:
        raise WrongPermit
