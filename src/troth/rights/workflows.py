"""The durable work of a request. Each step is safe to run twice; a kill between any two ends in the same result."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

from troth.kit import clock
from troth.kit.bell import Bell, looks
from troth.kit.db import Row
from troth.kit.errors import NotFound
from troth.people import Subject, SubjectNotFound
from troth.policy import Actor, Permit, PermitDenied, Target
from troth.rights import store
from troth.rights.copy import CopyMaker
from troth.rights.decide import decision_on, title_of
from troth.rights.errors import CopyDiffers, CopyOutdated, NotErased, RequestNotFound
from troth.rights.model import PERSON, Erased, Item, Outcome, Right, RightsRequest, State
from troth.rights.person import SETTLED, PersonErasure, kept_with, person_of
from troth.rights.service import Rights, canonical
from troth.vault import KeyDestroyed, KeyRef

if TYPE_CHECKING:  # the workflow engine costs a second to import; only the worker needs it
    from troth.kit.durable import Durable

FULFIL = "rights.fulfil"
EXPIRE = "rights.expire"
PURPOSE = "rights"
MOST_COPIES = 5
TRY_AGAIN_SECONDS = 3600.0
MOST_MAIL_TRIES = 72

_RECEIPT = "We have your request {reference}. You have our answer by {due} at the latest.\n\nFollow it here:"
_ANSWERED = "Answer mailed"
_ANSWER = "Your request {reference} is answered.\n\nRead the answer here:"


class Fulfilment:
    """Takes requests from the outbox and carries them to their answer.

    Args:
        rights: The room's verbs.
        durable: Where the workflows are registered; before `launch`.
    """

    def __init__(self, rights: Rights, durable: Durable) -> None:
        self._rights = rights
        self._durable = durable
        self._person = PersonErasure(rights)
        durable.register(FULFIL, self._fulfil)
        durable.register(EXPIRE, self._expire)

    async def take(self, stop: asyncio.Event, pause_seconds: float = 0.25, bell: Bell | None = None) -> None:
        """Start a workflow for everything that is due, until told to stop."""
        async for _ in looks(stop, pause_seconds, bell):
            for work, tenant, request_id in await self._rights.waiting():
                name, workflow_id = (FULFIL, str(request_id)) if work == "fulfil" else (EXPIRE, f"{request_id}:expire")
                await self._durable.start(name, workflow_id, str(tenant), str(request_id))
                await self._rights.taken(tenant, request_id, work)

    def _fulfil(self, tenant: str, request_id: str) -> None:
        """Carry a request to its answer. What fails is marked, and tried again as long as it takes."""
        durable = self._durable
        step: Callable[..., Any] = lambda name, work, *more: durable.step(name, work, tenant, request_id, *more)  # noqa: E731
        while True:
            try:
                self._carry(step)
                break
            except durable.Failed:
                with contextlib.suppress(durable.Failed):
                    step("note failure", self.note_failure)
                durable.sleep(TRY_AGAIN_SECONDS)
        for _ in range(MOST_MAIL_TRIES):
            try:
                step("mail answer", self.mail_answer)
                break
            except durable.Failed:
                durable.sleep(TRY_AGAIN_SECONDS)

    def _carry(self, step: Callable[..., Any]) -> None:
        right = step("acknowledge", self.acknowledge)
        with contextlib.suppress(self._durable.Failed):  # a mail server that is away holds up no answer
            step("mail receipt", self.mail_receipt)
        if right == Right.ACCESS:
            for _ in range(MOST_COPIES):
                step("make copy", self.make_copy)
                if step("read back", self.read_back) and step("answer", self.answer):
                    return
            raise self._durable.Failed("copy-outdated")
        for item in step("decide", self.decide):
            step(f"erase {item}", self.erase, item)
        step("erase copies", self.erase_copies)
        step("certify", self.certify)
        step("answer", self.answer)

    def _expire(self, tenant: str, request_id: str) -> None:
        durable = self._durable
        while True:
            try:
                durable.step("expire copy", self.expire_copy, tenant, request_id)
                return
            except durable.Failed:
                durable.sleep(TRY_AGAIN_SECONDS)

    async def acknowledge(self, tenant: str, request_id: str) -> str:
        """Tell the person that the request came and when the answer is due (GDPR Art. 12(3))."""
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        now = clock.now()
        async with self._rights.database.transaction(permit) as connection:
            if await store.add_step(connection, permit_tenant(permit), row["id"], "Acknowledged", now):
                await store.acknowledge(connection, row["id"], State.UNDER_WAY.value, now)
                await self._rights.write(
                    connection, "rights:request:acknowledged", permit, row["id"], subject,
                    {"number": row["number"], "due": row["due_at"].isoformat()}, {},
                    says={"right": row["right"]}, dates={"due": row["due_at"]},
                )  # fmt: skip
        return str(row["right"])

    async def mail_receipt(self, tenant: str, request_id: str) -> int:
        """Write to the subject's account that the request came."""
        return await self._mail(tenant, request_id, "Receipt mailed", "We have your request", _RECEIPT)

    async def mail_answer(self, tenant: str, request_id: str) -> int:
        """Write to the subject's account that the answer is there."""
        return await self._mail(tenant, request_id, _ANSWERED, "Your request is answered", _ANSWER)

    async def make_copy(self, tenant: str, request_id: str) -> int:
        """Make the copy, sealed under a key of its own below the subject's; a copy that is there stays."""
        permit, row, subject = await self._living("copy", tenant, request_id)
        rights = self._rights
        held = await rights.copies.of(permit, row["id"])
        if held is not None:
            return int(held["length_bytes"])
        request = await rights.request(permit, row["id"])
        maker = CopyMaker(rights, permit.actor, permit, subject, request)
        made = await maker.make()
        await rights.copies.keep(permit, row["id"], subject, made, [study.id for study in maker.copied])
        async with rights.database.transaction(permit) as connection:
            named = [("study", study.id, title_of(study)) for study in maker.copied]
            await rights.add_items(connection, row["id"], subject, named)
            for item in (await rights.request(permit, row["id"])).items:
                if item.outcome not in SETTLED:
                    await store.set_outcome(connection, row["id"], item.id, Outcome.UNDER_WAY.value)
        return made.length_bytes

    async def read_back(self, tenant: str, request_id: str) -> int:
        """Read the copy back and hold every file against what is stored; only then is anything called done.

        Returns:
            How many files were checked; 0 when the copy has to be made again.
        """
        permit, row, subject = await self._living("copy", tenant, request_id)
        rights = self._rights
        request = await rights.request(permit, row["id"])
        copy = await rights.copies.of(permit, row["id"])
        if copy is None:
            return 0  # an erasure has ended it meanwhile
        if copy["files"]:
            return int(copy["files"])
        maker = CopyMaker(rights, permit.actor, permit, subject, request)
        try:
            checked = await maker.read_back(bytes(copy["locator"]), rights.copies.key(copy), bytes(copy["sha256"]))
        except (CopyDiffers, CopyOutdated):
            await rights.copies.erase(permit, subject, copy)
            return 0
        ground = "It was erased before the copy was made, so there is nothing of it to give."
        clause = (await rights.notices.in_force("patients")).notice.right(Right.ERASE.value).clause_id
        async with rights.database.transaction(permit) as connection:
            event_id = await rights.write(
                connection, "rights:copy:made", permit, row["id"], subject, {"number": row["number"]},
                {"files": checked, "bytes": copy["length_bytes"]},
            )  # fmt: skip
            await store.verify_copy(connection, row["id"], checked, event_id)
            noted = f"{checked:,} files, {copy['length_bytes']:,} bytes, each read back"
            await store.add_step(connection, permit_tenant(permit), row["id"], "Copy made", clock.now(), noted)
            for item in request.items:
                if item.kind == "study" and item.target_id not in copy["studies"]:
                    refused = Outcome.REFUSED.value
                    await store.set_outcome(connection, row["id"], item.id, refused, ground=ground, clause=clause)
                else:
                    verified = Outcome.DONE_VERIFIED.value
                    await store.set_outcome(connection, row["id"], item.id, verified, event_id=event_id)
        return checked

    async def decide(self, tenant: str, request_id: str) -> list[str]:
        """Decide each study by the retention clause; returns the items that are to be erased.

        Where everything of a person goes, that is the one item which stands for them.
        """
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        request = await self._rights.request(permit, row["id"])
        person = person_of(request)
        if isinstance(subject, Erased):
            return [str(person.id)] if person is not None and person.outcome not in SETTLED else []
        version = await self._rights.notices.in_force("patients")
        studies = {s.id: s for s in await self._rights.archive.studies_of_subject(permit, subject.id)}
        if person is not None:  # what came in since it was asked is of the same person
            async with self._rights.database.transaction(permit) as connection:
                named = [("study", each.id, title_of(each)) for each in studies.values()]
                await self._rights.add_items(connection, row["id"], subject, named)
            request = await self._rights.request(permit, row["id"])
        birth_date, todo = subject.demographics.birth_date, list[str]()
        decisions: dict[UUID, Item] = {}
        for item in request.items:
            if (study := studies.get(item.target_id) if item.target_id else None) is not None:
                decided = decision_on(study, birth_date, version.notice, item.id)
                decisions[item.id] = await self._rights.told_of_holds(permit, subject.id, decided, version.notice)
        kept = kept_with(decisions.values())
        async with self._rights.database.transaction(permit) as connection:
            for item in request.items:
                if item.kind != "study" or item.outcome in SETTLED:
                    continue
                found = decisions.get(item.id)
                if found is not None and found.outcome is Outcome.REFUSED:
                    await store.set_outcome(
                        connection, row["id"], item.id, found.outcome.value, ground=found.ground,
                        clause=found.clause, until=found.until,
                    )  # fmt: skip
                else:
                    await store.set_outcome(connection, row["id"], item.id, Outcome.UNDER_WAY.value)
                    todo.append(str(item.id))
            if await store.add_step(connection, permit_tenant(permit), row["id"], "Decided", clock.now()):
                counts = {"erase": len(todo), "keep": len(request.items) - len(todo)}
                await self._rights.write(
                    connection, "rights:request:decided", permit, row["id"], subject, {"number": row["number"]}, counts,
                    says={"right": row["right"]},
                )  # fmt: skip
        if person is None or person.outcome in SETTLED:
            return todo
        if kept is not None:
            await self._person.refuse(permit, row["id"], person, kept)
            return todo
        return [str(person.id)]

    async def erase(self, tenant: str, request_id: str, item_id: str) -> int:
        """Erase one study and look whether anything of it can still be read; a clause may forbid it."""
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        rights = self._rights
        item = _item(await rights.request(permit, row["id"]), item_id)
        if item.target_id is None or item.outcome in SETTLED:
            return 0
        if item.kind == PERSON:
            return await self._erase_person(permit, row, item)
        target = Target("study", item.target_id, permit.tenant, subject.id, attributes=(("request", request_id),))
        try:
            allowed = await rights.policy.require(permit.actor, "erase", target, PURPOSE)
        except PermitDenied as fault:
            if not fault.clauses:
                raise
            await self._refuse(permit, row["id"], item, fault.clauses[0])
            return 0
        erasure = await rights.archive.erase_study(allowed, item.target_id)
        remaining = await rights.archive.studies_of_subject(permit, subject.id)
        is_readable = any(study.id == item.target_id for study in remaining)
        if is_readable or any(rights.keyring.is_alive(KeyRef(bytes.fromhex(key))) for key in erasure.keys):
            raise NotErased
        async with rights.database.transaction(permit) as connection:
            await store.set_outcome(
                connection, row["id"], item.id, Outcome.DONE_VERIFIED.value, event_id=erasure.event_id
            )
        return erasure.counts["instances"]

    async def _erase_person(self, permit: Permit, row: Row, item: Item) -> int:
        """Erase everything of a person; where a clause keeps who they are, each study is answered by itself."""
        request = await self._rights.request(permit, row["id"])
        if await self._person.erase(permit, row, request, item):
            return 1
        for each in request.items:
            if each.kind == "study" and each.outcome not in SETTLED:
                await self.erase(str(row["tenant"]), str(row["id"]), str(each.id))
        return 0

    async def erase_copies(self, tenant: str, request_id: str) -> int:
        """End the copies made for earlier requests that hold something that was erased."""
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        rights = self._rights
        gone = _erased(await rights.request(permit, row["id"]))
        async with rights.database.transaction(permit) as connection:
            copies = await store.copies_with(
                connection, subject.id, [item.target_id for item in gone if item.target_id]
            )
            named = [("copy", copy["request_id"], f"The copy made for R-{copy['number']}") for copy in copies]
            await rights.add_items(connection, row["id"], subject, named, outcome=Outcome.UNDER_WAY)
        for copy in copies:
            await rights.copies.erase(permit, subject, copy)
        ended = 0
        for item in (await rights.request(permit, row["id"])).items:
            if item.kind == "copy" and item.target_id is not None:
                if await rights.copies.of(permit, item.target_id) is not None:
                    raise NotErased
                async with rights.database.transaction(permit) as connection:
                    await store.set_outcome(connection, row["id"], item.id, Outcome.DONE_VERIFIED.value)
                ended += 1
        return ended

    async def certify(self, tenant: str, request_id: str) -> int:
        """Sign what was erased and what was not, with the ledger entries that show it."""
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        rights = self._rights
        request = await rights.request(permit, row["id"])
        erasures = [await rights.archive.erasure(permit, item.target_id) for item in _erased(request) if item.target_id]
        version = await rights.notices.in_force("patients")
        left = await rights.archive.studies_of_subject(permit, subject.id)
        person = person_of(request)
        is_gone = person is not None and person.outcome is Outcome.DONE_VERIFIED
        stays = [
            version.notice.find("retention", key)
            for key in ("account", "rights_request", "ledger")
            if not (is_gone and key == "account")
        ]
        content: dict[str, Any] = {
            "certificate": "erasure",
            "request": request.reference,
            "organisation": str(request.tenant),
            "notice": {"version": row["notice_version"], "sha256": version.sha256.hex()},
            "erased": [
                {
                    "study": str(erasure.study_id),
                    "counts": dict(erasure.counts),
                    "keys_destroyed": list(erasure.keys),
                    "unreadable_since": erasure.started_at.isoformat(),
                    "erased_at": erasure.erased_at.isoformat(),
                    "ledger_entry": str(erasure.event_id),
                }
                for erasure in erasures
            ],
            "person": (
                {"key_destroyed": bytes(row["subject_key"]).hex(), "ledger_entry": str(person.event_id)}
                if is_gone and person is not None
                else None
            ),
            "copies_ended": [str(item.target_id) for item in request.items if item.kind == "copy"],
            "refused": [
                {
                    item.kind: str(item.target_id),
                    "clause": item.clause,
                    "until": _day(item.until),
                    "ground": item.ground,
                }
                for item in request.items
                if item.outcome is Outcome.REFUSED
            ],
            "studies_still_held": len(left),
            "stays": [{"clause": each.id, "says": each.sentence(version.notice)} for each in stays if each is not None],
            "ledger": await self._signed_ledger(permit),
            "not_covered": "Copies that were handed out before; backups of keys until they are overwritten.",
        }
        text = canonical(content)
        async with rights.database.transaction(permit) as connection:
            await store.set_certificate(connection, row["id"], text, rights.keyring.sign(text))
        return len(erasures)

    async def _signed_ledger(self, permit: Permit) -> dict[str, str] | None:
        """The ledger as it is now, signed: whoever keeps it can show later that nothing was taken out."""
        async with self._rights.database.transaction(permit) as connection:
            signed = await self._rights.ledger.checkpoint(connection)
        return {"checkpoint": signed.note, "key": self._rights.ledger.verifier_key} if signed else None

    async def answer(self, tenant: str, request_id: str) -> str:
        """Close the request: its state follows from the outcomes of its items and from nothing else.

        Returns:
            The state; empty when the copy that was to be the answer has been ended meanwhile.
        """
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        if row["closed_at"] is not None:
            return str(row["state"])
        request = await self._rights.request(permit, row["id"])
        if request.right is Right.ACCESS and not request.copy_bytes:
            return ""
        state = _state(request)
        now = clock.now()
        async with self._rights.database.transaction(permit) as connection:
            if await store.add_step(connection, permit_tenant(permit), row["id"], "Answered", now):
                await store.close(connection, row["id"], state.value, now)
                await self._rights.write(
                    connection, "rights:request:closed", permit, row["id"], subject,
                    {"number": row["number"], "state": state.value},
                    {"days": (now - row["opened_at"]).days, "items": len(request.items)},
                    says={"right": row["right"], "state": state.value},
                )  # fmt: skip
        return state.value

    async def note_failure(self, tenant: str, request_id: str) -> int:
        """Show everybody that something did not work, until it does."""
        permit, row, _ = await self._begin("see_request", tenant, request_id)
        async with self._rights.database.transaction(permit) as connection:
            return await store.fail_open_items(connection, row["id"])

    async def expire_copy(self, tenant: str, request_id: str) -> int:
        """End a copy whose time to be collected is over."""
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        copy = await self._rights.copies.of(permit, row["id"])
        if copy is None or copy["expires_at"] > clock.now():
            return 0
        await self._rights.copies.erase(permit, subject, copy)
        return 1

    async def _mail(self, tenant: str, request_id: str, step: str, title: str, text: str) -> int:
        """Write to the accounts of the subject, and note it; nobody is written to twice."""
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        async with self._rights.database.transaction(permit) as connection:
            if await store.has_step(connection, row["id"], step):
                return 0
        if row["reply_sealed"] is not None and step == _ANSWERED:
            written = await self._person.write(permit, row)
            return await self._noted(permit, row, step, written)
        due = row["due_at"].astimezone((await self._rights.notices.in_force("patients")).notice.zone)
        said = text.format(reference=f"R-{row['number']}", due=f"{due.day} {due:%B %Y}")
        written = await self._rights.people.write_to_subject(permit, subject.id, title, said, f"/requests/{row['id']}")
        return await self._noted(permit, row, step, written)

    async def _noted(self, permit: Permit, row: Row, step: str, written: int) -> int:
        if written:
            async with self._rights.database.transaction(permit) as connection:
                await store.add_step(connection, permit_tenant(permit), row["id"], step, clock.now())
        return written

    async def _refuse(self, permit: Permit, request_id: UUID, item: Item, clause_id: str) -> None:
        """Answer an item with the clause that forbids it."""
        notice = (await self._rights.notices.in_force("patients")).notice
        clause = notice.clause(clause_id)
        async with self._rights.database.transaction(permit) as connection:
            await store.set_outcome(
                connection, request_id, item.id, Outcome.REFUSED.value, clause=clause_id,
                ground=clause.sentence(notice) if clause is not None else "",
            )  # fmt: skip

    async def _living(self, action: str, tenant: str, request_id: str) -> tuple[Permit, Row, Subject]:
        """The same, of a person who is not erased.

        Raises:
            SubjectNotFound: They are.
        """
        permit, row, subject = await self._begin(action, tenant, request_id)
        if isinstance(subject, Erased):
            raise SubjectNotFound
        return permit, row, subject

    async def _begin(self, action: str, tenant: str, request_id: str) -> tuple[Permit, Row, Subject | Erased]:
        """The worker's permit for one step, the request and its subject, or what is left of one that is erased."""
        organisation = await self._rights.people.organisation(UUID(tenant))
        actor = Actor("system", None, organisation.id, "worker", name="Troth", organisation=organisation.name)
        async with self._rights.database.transaction(actor) as connection:
            row = await store.request(connection, UUID(request_id))
        if row is None:
            raise RequestNotFound
        row = await self._rights.believed(row)
        target = Target("request", row["id"], organisation.id, row["subject_id"])
        permit = await self._rights.policy.require(actor, action, target, PURPOSE)
        try:
            return permit, row, await self._rights.people.subject(permit, row["subject_id"])
        except (SubjectNotFound, KeyDestroyed):
            return permit, row, Erased(row["subject_id"], organisation.id, bytes(row["audit_key"]))


def permit_tenant(permit: Permit) -> UUID:
    """The tenant of a permit that has one."""
    if permit.tenant is None:
        raise NotFound
    return permit.tenant


def _item(request: RightsRequest, item_id: str) -> Item:
    return next(item for item in request.items if item.id == UUID(item_id))


def _erased(request: RightsRequest) -> list[Item]:
    return [item for item in request.items if item.kind == "study" and item.outcome is Outcome.DONE_VERIFIED]


def _state(request: RightsRequest) -> State:
    """What the outcomes of the items come to.

    Raises:
        NotErased: Something is not settled, so nothing may be called done.
    """
    outcomes = {item.outcome for item in request.items}
    if not outcomes <= SETTLED:
        raise NotErased
    if outcomes == {Outcome.REFUSED}:
        return State.REFUSED
    if request.copy_bytes:
        return State.READY
    return State.PARTLY_FULFILLED if Outcome.REFUSED in outcomes else State.FULFILLED


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
