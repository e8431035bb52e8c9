"""The one gate through which anything leaves for somebody outside, and the accounting of what left."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

from troth.archive import StudySummary, Viewing
from troth.exchange import gate, rows, store
from troth.exchange.errors import DisclosureRefused, NotDelivered, WrongPermit
from troth.exchange.model import Accounted, Disclosure, Recipient
from troth.exchange.requests import Requests
from troth.exchange.totals import TOTALS, accounts_by_role, as_csv, guard_of
from troth.kit import clock, ids
from troth.kit.db import Row, Space
from troth.kit.errors import Gone, NotFound, TrothError
from troth.kit.mail import Attachment
from troth.people import Peer, Subject
from troth.policy import Actor, Clear, Permit, Target, belief, refs
from troth.vault import KeyDestroyed, KeyRef

_YEARS_BACK = 6  # 45 CFR 164.528(a)(1)
_BATCH_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Departure:
    """A disclosure that passed the gate and is in the ledger; nothing has left yet.

    Attributes:
        event_id: The entry of the ledger.
        rests_on: Recipient, contract, instrument, order and basis.
    """

    id: UUID
    event_id: UUID
    at: datetime
    rests_on: gate.Passed


@dataclass(frozen=True, slots=True)
class _About:
    """What is about to leave, and about whom.

    Attributes:
        key: Under which it is told: the subject's audit key, or the organisation's.
        what: In words.
        content: What an account holds.
        totals: Counts by group, where totals leave.
    """

    key: KeyRef = field(repr=False)
    subject_id: UUID | None = None
    study_id: UUID | None = None
    study_uid: str = ""
    what: str = field(default="", repr=False)
    instances: int = 0
    content: Mapping[str, str] = field(default_factory=dict, repr=False)
    totals: Mapping[str, int] = field(default_factory=dict)


def _counts(about: _About) -> dict[str, int]:
    return {"instances": about.instances, **({"smallest_group": min(about.totals.values())} if about.totals else {})}


class Exchange(Requests):
    """Registers, the gate, and the accounting; see `Room` for what it is given."""

    async def target(self, actor: Actor, wanted: Disclosure) -> Target:
        """The target of the decision about a disclosure, with the recipient and the order it is for.

        Totals name the clause whose gate they pass: they are counted here, by `totals`, and nowhere else.

        Args:
            actor: Who wants to disclose.
            wanted: What.
        """
        if wanted.totals:
            guard = guard_of(wanted.purpose, await self._in_force())
            passed = guard.key if guard is not None and wanted.totals in TOTALS else ""
            about = Target("organisation", actor.tenant, actor.tenant, attributes=(("totals", passed),))
        elif wanted.account_id is not None:
            about = Target("account", wanted.account_id, actor.tenant)
        elif wanted.study_id is not None:
            about = await self._archive.target_of(actor, wanted.study_id)
        else:
            return Target(kind="study", tenant=actor.tenant)
        named = [("recipient", wanted.recipient_key), ("category", wanted.category)]
        if wanted.order_id is not None:
            named.append(("order", str(wanted.order_id)))
        return replace(about, attributes=(*about.attributes, *named))

    async def disclose(self, permit: Permit, wanted: Disclosure) -> Departure:
        """Let a disclosure through the gate. It is in the accounting and in the ledger before this returns.

        Args:
            permit: `disclose` on the study or account, for the purpose of the disclosure.
            wanted: What is to be disclosed, to whom, and on which ground.

        Raises:
            DisclosureRefused: Something is missing; the ledger holds the refusal.
        """
        about = await self._about(permit, wanted)
        held = await self._held(permit, wanted)
        try:
            passed = gate.check(wanted, held)
        except DisclosureRefused as refused:
            await self._write_refused(permit, wanted, refused, about, held.recipient)
            raise
        return await self._record(permit, wanted, passed, about)

    async def explain(self, permit: Permit, wanted: Disclosure) -> None:
        """Say why a disclosure that the decision has refused cannot be, where the registers know.

        Args:
            permit: `keep_register` on the organisation: whoever keeps them may read them.
            wanted: What was to be disclosed.

        Raises:
            DisclosureRefused: What is missing; the ledger holds the refusal.
        """
        self._space(permit, "keep_register")
        held = await self._held(permit, wanted)
        try:
            gate.check(wanted, held)
        except DisclosureRefused as refused:
            await self._write_refused(permit, wanted, refused, await self._subject_of(permit, wanted), held.recipient)
            raise

    async def send_study(self, permit: Permit, wanted: Disclosure) -> Departure:
        """Disclose a study to the registered DICOM node of a recipient.

        The gate is asked again before each batch of files, and the decision at most every second, so that what ends
        while a study is under way ends its sending.

        Args:
            permit: `disclose` on the study.
            wanted: What, to whom, on which ground.

        Raises:
            DisclosureRefused: Something is missing; nothing left, or nothing more.
            NotDelivered: The recipient's system did not take all of it.
        """
        peer = await self._peer(permit, wanted)
        departure = await self.disclose(permit, wanted)
        about = await self._about(permit, wanted)
        arrived = 0
        try:
            viewing = await self._archive.open_study(permit, about.study_uid)
            try:
                async for files in _batches(viewing):
                    gate.check(wanted, await self._held(viewing.permit, wanted))
                    statuses = await self._send(files, peer)
                    arrived += sum(1 for status in statuses if _was_taken(status))
                    if not all(_was_taken(status) for status in statuses):
                        raise NotDelivered
            finally:
                await viewing.close()
        except TrothError:
            await self._finish(permit, departure, about, "failed", arrived)
            raise
        await self._finish(permit, departure, about, "left", arrived)
        return departure

    async def send_by_mail(self, permit: Permit, wanted: Disclosure) -> Departure:
        """Disclose what an account of this organisation holds, or totals, by mail to a recipient's registered address.

        Args:
            permit: `disclose` on the account, or on the organisation.
            wanted: What, to whom, on which ground.

        Raises:
            DisclosureRefused: Something is missing; nothing left.
            troth.kit.mail.MailNotSent: The mail server did not take it; the accounting says so.
        """
        async with self._db.transaction(Space(permit.tenant)) as connection:
            row = await self._recipient(connection, wanted.recipient_key)
        if row is not None and not row["email"]:
            about = await self._about(permit, wanted)
            await self._refuse_place(permit, wanted, about, "The recipient has no registered address for mail.")
        departure = await self.disclose(permit, wanted)
        about = await self._about(permit, wanted)
        attachment = _attachment(about)
        words = f"This is disclosed to you for {wanted.purpose}. Our reference is {departure.id}.\n"
        try:
            await self._mail.send(
                departure.rests_on.recipient.email, f"Disclosure {departure.id}", words, attachments=[attachment]
            )
        except TrothError:
            await self._finish(permit, departure, about, "failed", 0)
            raise
        await self._finish(permit, departure, about, "left", 0)
        return departure

    async def accounting(self, permit: Permit, subject_id: UUID) -> list[Accounted]:
        """What was disclosed about a subject in the last six years, newest first (45 CFR 164.528).

        Args:
            permit: `see_log` on the subject.
            subject_id: The subject.
        """
        space = self._space(permit, "see_log", "copy", "see_request")
        if permit.target.subject_id != subject_id:
            raise WrongPermit
        kin = await self._people.kin(permit, subject_id)
        now = clock.now()
        is_leap_day = (now.month, now.day) == (2, 29)
        since = now.replace(year=now.year - _YEARS_BACK, day=28 if is_leap_day else now.day)
        async with self._db.transaction(space) as connection:
            rows = [(row, each) for each in kin for row in await store.disclosures_of(connection, each.id, since)]
        found = [self._accounted(row, each) for row, each in rows]
        return sorted(found, key=lambda each: (each.at, each.id), reverse=True)

    # How

    async def _held(self, permit: Permit, wanted: Disclosure) -> gate.Registers:
        """Everything the gate looks at, read now."""
        if permit.tenant is None:
            raise WrongPermit
        origin = (await self._people.organisation(permit.tenant)).region
        facts = await self._facts.about(permit.actor, permit.target)
        async with self._db.transaction(Space(permit.tenant)) as connection:
            recipient = await self._recipient(connection, wanted.recipient_key)
            contracts = await store.rows(connection, "exchange_contract")
            instruments = await store.rows(connection, "exchange_instrument")
            order = await self._order(connection, wanted.order_id)
        return gate.Registers(
            now=clock.now(),
            origin=origin,
            recipient=rows.recipient(recipient) if recipient is not None else None,
            contracts=tuple(map(rows.contract, belief.sift(self._keyring, "exchange_contract", contracts)[0])),
            instruments=tuple(map(rows.instrument, belief.sift(self._keyring, "exchange_instrument", instruments)[0])),
            order=rows.order(order, lambda _row, _name: "") if order is not None else None,
            claims=facts.claims,
            instructed=tuple(each.id for each in facts.instructions if each.covers("disclose", wanted.purpose)),
            notices=await self._in_force(),
        )

    async def _about(self, permit: Permit, wanted: Disclosure) -> _About:
        """What a permit lets leave, with the key under which that is told.

        Raises:
            WrongPermit: The decision was about something or somebody else.
        """
        self._space(permit, "disclose")
        target = permit.target
        wanted_id = permit.tenant if wanted.totals else wanted.account_id or wanted.study_id
        if permit.purpose != wanted.purpose or target.id is None or target.id != wanted_id:
            raise WrongPermit
        if dict(target.attributes).get("recipient") != wanted.recipient_key:
            raise WrongPermit
        if target.kind == "organisation":
            return await self._totals(permit, wanted)
        if target.kind == "account":
            user = next((each for each in await self._people.users(permit) if each.id == target.id), None)
            key = await self._key(permit.tenant)
            if user is None or key is None:
                raise WrongPermit
            content = {"name": user.name, "email": user.email, "role": user.role}
            return _About(key, what=f"Account {user.id}: name, e-mail address and role", content=content)
        if target.subject_id is None:
            raise WrongPermit
        studies = await self._archive.studies_of_subject(permit, target.subject_id)
        study = next(each for each in studies if each.id == wanted.study_id)
        return _of_study(await self._people.subject(permit, study.origin_id), study)

    async def _totals(self, permit: Permit, wanted: Disclosure) -> _About:
        """The counts that are to leave, made now.

        Raises:
            DisclosureRefused: No group is large enough, or no clause says how large one has to be.
        """
        guard, key = guard_of(wanted.purpose, await self._in_force()), await self._key(permit.tenant)
        if key is None:
            raise WrongPermit
        try:
            if guard is None:
                raise DisclosureRefused("guard", "No clause says how large a group has to be for this activity.")
            counts = accounts_by_role(await self._people.users(permit), guard.smallest_group)
        except DisclosureRefused as refused:
            await self._write_refused(permit, wanted, refused, _About(key), None)
            raise
        what = f"{TOTALS[wanted.totals]}; groups of fewer than {guard.smallest_group} people are left out"
        return _About(key, what=what, totals=counts)

    async def _subject_of(self, permit: Permit, wanted: Disclosure) -> _About:
        """Whose life an attempt touches, for its entry in the ledger; nobody's, where that cannot be told."""
        target = await self.target(permit.actor, wanted)
        if target.subject_id is not None:
            with suppress(NotFound, Gone):
                subject = await self._people.subject(permit, target.subject_id)
                return _About(subject.audit_key, subject_id=subject.id, study_id=wanted.study_id)
        key = await self._key(permit.tenant)
        if key is None:
            raise WrongPermit
        return _About(key)

    async def _peer(self, permit: Permit, wanted: Disclosure) -> Peer:
        """The node of the recipient; where it has none, the gate's own refusals come first."""
        async with self._db.transaction(Space(permit.tenant)) as connection:
            row = await self._recipient(connection, wanted.recipient_key)
        peers = await self._people.peers(permit)
        peer = next((each for each in peers if row is not None and each.id == row["peer_id"]), None)
        if peer is None:
            about = await self._about(permit, wanted)
            await self._refuse_place(permit, wanted, about, "The recipient has no registered system to send to.")
        return peer

    async def _refuse_place(self, permit: Permit, wanted: Disclosure, about: _About, detail: str) -> NoReturn:
        """Refuse for want of a place to send to; what the gate itself would refuse is said first."""
        held = await self._held(permit, wanted)
        refused = DisclosureRefused("place", detail)
        try:
            gate.check(wanted, held)
        except DisclosureRefused as other:
            refused = other
        await self._write_refused(permit, wanted, refused, about, held.recipient)
        raise refused

    async def _record(self, permit: Permit, wanted: Disclosure, passed: gate.Passed, about: _About) -> Departure:
        disclosure_id, now = ids.uuid7(), clock.now()
        told = _told(passed.recipient, wanted, about)
        if passed.instrument is not None:
            told["instrument"] = passed.instrument.key
        async with self._db.transaction(permit) as connection:
            event_id = await self._note(
                connection, "exchange:disclosure:recorded", permit, key=about.key,
                subject_id=about.subject_id, study_id=about.study_id, payload=told,
                counts=_counts(about), grounds=_grounds(passed),
                clear=_clear(disclosure_id, passed, wanted),
            )  # fmt: skip
            await store.insert(
                connection,
                "exchange_disclosure",
                {
                    "tenant": permit.tenant,
                    "id": disclosure_id,
                    "kind": wanted.kind,
                    "state": "recorded",
                    "subject_id": about.subject_id,
                    "study_id": about.study_id,
                    "account_id": wanted.account_id,
                    "recipient_id": passed.recipient.id,
                    "category": wanted.category,
                    "purpose": wanted.purpose,
                    "country": passed.recipient.country,
                    "basis": passed.basis,
                    "contract_id": passed.contract.id if passed.contract else None,
                    "instrument_id": passed.instrument.id if passed.instrument else None,
                    "order_id": passed.order.id if passed.order else None,
                    "told": self._keyring.seal(
                        about.key, json.dumps(told).encode(), b"disclosure:" + disclosure_id.bytes
                    ),
                    "event_id": event_id,
                    "made_by": permit.actor.id,
                    "at": now,
                },
            )
        return Departure(disclosure_id, event_id, now, passed)

    async def _finish(self, permit: Permit, departure: Departure, about: _About, state: str, arrived: int) -> None:
        told = {"recipient": departure.rests_on.recipient.name, "study_uid": about.study_uid}
        async with self._db.transaction(permit) as connection:
            await store.finish(connection, departure.id, state, arrived, clock.now())
            await self._note(
                connection, f"exchange:disclosure:{state}", permit, key=about.key, subject_id=about.subject_id,
                study_id=about.study_id, payload=told, counts={"instances": arrived},
                outcome="done" if state == "left" else "failed", grounds=_grounds(departure.rests_on),
                clear=Clear(refs=_refs(departure.id, departure.rests_on)),
            )  # fmt: skip

    async def _write_refused(
        self,
        permit: Permit,
        wanted: Disclosure,
        refused: DisclosureRefused,
        about: _About,
        recipient: Recipient | None,
    ) -> None:
        assert permit.tenant is not None
        told = {
            "reason": refused.reason,
            "recipient": recipient.name if recipient is not None else wanted.recipient_key,
            "disclosure": wanted.kind,
        }
        async with self._db.transaction(Space(permit.tenant)) as connection:
            await self._note(
                connection, "exchange:disclosure:refused", permit, key=about.key,
                subject_id=about.subject_id, study_id=about.study_id, payload=told, outcome="refused",
                clear=Clear(
                    refs=refs(recipient=recipient.id if recipient is not None else None),
                    says={"kind": wanted.kind, "category": wanted.category, "reason": refused.reason},
                ),
            )  # fmt: skip

    def _accounted(self, row: Row, subject: Subject) -> Accounted:
        try:
            plain = self._keyring.unseal(subject.audit_key, bytes(row["told"]), b"disclosure:" + row["id"].bytes)
            told: dict[str, Any] = json.loads(plain)
        except KeyDestroyed:
            told = {}
        return Accounted(
            id=row["id"],
            at=row["at"],
            kind=row["kind"],
            state=row["state"],
            recipient=str(told.get("recipient", "")),
            address=str(told.get("recipient_address", "")),
            country=row["country"],
            what=str(told.get("what", "")),
            category=row["category"],
            purpose=row["purpose"],
            instrument=str(told.get("instrument", "")),
            instances=row["instances"],
            study_id=row["study_id"],
            event_id=row["event_id"],
        )


async def _batches(viewing: Viewing) -> AsyncIterator[list[bytes]]:
    """The files of a study, as many at a time as fit into the memory of a small machine."""
    files: list[bytes] = []
    size = 0
    for record in await viewing.instances():
        file = b"".join([chunk async for chunk in viewing.part10(record)])
        files.append(file)
        size += len(file)
        if size >= _BATCH_BYTES:
            yield files
            files, size = [], 0
    if files:
        yield files


def _of_study(subject: Subject, study: StudySummary) -> _About:
    day = f"{study.study_date.day} {study.study_date:%b %Y}" if study.study_date else "no date"
    images = f"{study.instance_count:,} {'image' if study.instance_count == 1 else 'images'}"
    return _About(
        subject.audit_key,
        subject_id=subject.id,
        study_id=study.id,
        study_uid=study.study_uid,
        what=f"{study.description or 'Study'}, {day}, {images}",
        instances=study.instance_count,
    )


def _attachment(about: _About) -> Attachment:
    if about.totals:
        return Attachment("totals.csv", "text/csv", as_csv(about.totals).encode())
    return Attachment("account.json", "application/json", json.dumps(about.content, indent=2).encode())


def _told(recipient: Recipient, wanted: Disclosure, about: _About) -> dict[str, Any]:
    told = {
        "recipient": recipient.name,
        "recipient_address": recipient.address or recipient.country,
        "country": recipient.country,
        "what": about.what,
        "study_uid": about.study_uid,
        "disclosure": wanted.kind,
        "category": wanted.category,
    }
    if wanted.reason:
        told["reason"] = wanted.reason
    return told


def _grounds(passed: gate.Passed) -> tuple[str, ...]:
    """What a disclosure rests on, as the ledger names it in the clear: ids of ours, nothing personal."""
    found = (
        ("recipient", passed.recipient),
        ("contract", passed.contract),
        ("instrument", passed.instrument),
        ("legal_order", passed.order),
    )
    return tuple(f"{word}:{row.id}" for word, row in found if row is not None)


def _refs(disclosure_id: UUID, passed: gate.Passed) -> tuple[tuple[str, UUID], ...]:
    rows = {"recipient": passed.recipient, "contract": passed.contract, "instrument": passed.instrument}
    found = {noun: row.id for noun, row in {**rows, "order": passed.order}.items() if row is not None}
    return refs(disclosure=disclosure_id, **found)


def _clear(disclosure_id: UUID, passed: gate.Passed, wanted: Disclosure) -> Clear:
    says = {
        "kind": wanted.kind, "category": wanted.category, "country": passed.recipient.country, "basis": passed.basis,
    }  # fmt: skip
    return Clear(refs=_refs(disclosure_id, passed), says={name: word for name, word in says.items() if word})


def _was_taken(status: int) -> bool:
    """Success, or a warning: the instance is stored (DICOM PS3.4 B.2.3)."""
    return status == 0 or 0xB000 <= status <= 0xBFFF
