"""The durable work of a request. Each step is safe to run twice; a kill between any two ends in the same result."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Row
from troth.kit.errors import NotFound
from troth.people import Subject
from troth.policy import Actor, Permit, Target
from troth.rights import store
from troth.rights.copy import CopyMaker
from troth.rights.decide import decision_on
from troth.rights.errors import NotErased, RequestNotFound
from troth.rights.model import Outcome, Right, State
from troth.rights.service import COPY_LIFETIME, Rights, canonical
from troth.vault import KeyRef

if TYPE_CHECKING:  # the workflow engine costs a second to import; only the worker needs it
    from troth.kit.durable import Durable

WORKFLOW = "rights.fulfil"
PURPOSE = "rights"


class Fulfilment:
    """Takes requests from the outbox and carries them to their answer.

    Args:
        rights: The room's verbs.
        durable: Where the workflow is registered; before `launch`.
    """

    def __init__(self, rights: Rights, durable: Durable) -> None:
        self._rights = rights
        self._durable = durable

        def fulfil(tenant: str, request_id: str) -> None:
            right = durable.step("acknowledge", self.acknowledge, tenant, request_id)
            if right == Right.ACCESS:
                durable.step("make copy", self.make_copy, tenant, request_id)
                durable.step("read back", self.read_back, tenant, request_id)
            else:
                for item in durable.step("decide", self.decide, tenant, request_id):
                    durable.step(f"erase {item}", self.erase, tenant, request_id, item)
                durable.step("certify", self.certify, tenant, request_id)
            durable.step("answer", self.answer, tenant, request_id)

        durable.register(WORKFLOW, fulfil)

    async def take(self, stop: asyncio.Event, pause_seconds: float = 0.25) -> None:
        """Start a workflow for every request that waits, until told to stop."""
        while not stop.is_set():
            for tenant, request_id in await self._rights.waiting():
                await self._durable.start(WORKFLOW, str(request_id), str(tenant), str(request_id))
                await self._rights.taken(request_id)
            try:
                await asyncio.wait_for(stop.wait(), pause_seconds)
            except TimeoutError:
                continue

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
                )  # fmt: skip
        return str(row["right"])

    async def make_copy(self, tenant: str, request_id: str) -> int:
        """Make the copy, sealed under the subject's key."""
        permit, row, subject = await self._begin("copy", tenant, request_id)
        request = await self._rights.request(permit, row["id"])
        maker = CopyMaker(self._rights, self._actor(permit), permit, subject, request)
        made = await maker.make()
        now = clock.now()
        async with self._rights.database.transaction(permit) as connection:
            before = await store.copy(connection, row["id"])
            await store.add_copy(
                connection,
                {
                    "tenant": permit_tenant(permit),
                    "request_id": row["id"],
                    "locator": made.locator,
                    "key": self._rights.keyring.seal(subject.key, made.key, b"object:" + made.locator),
                    "length_bytes": made.length_bytes,
                    "sha256": made.sha256,
                    "made_at": now,
                    "expires_at": now + COPY_LIFETIME,
                },
            )
            for item in request.items:
                await store.set_outcome(connection, row["id"], item.id, Outcome.UNDER_WAY.value)
        if before is not None:
            await self._rights.packs.free([bytes(before["locator"])])
        return made.length_bytes

    async def read_back(self, tenant: str, request_id: str) -> int:
        """Read the copy back and hold every file against what is stored; only then is anything called done."""
        permit, row, subject = await self._begin("copy", tenant, request_id)
        request = await self._rights.request(permit, row["id"])
        async with self._rights.database.transaction(permit) as connection:
            copy = await store.copy(connection, row["id"])
        if copy is None:
            raise RequestNotFound
        locator = bytes(copy["locator"])
        key = self._rights.keyring.unseal(subject.key, bytes(copy["key"]), b"object:" + locator)
        maker = CopyMaker(self._rights, self._actor(permit), permit, subject, request)
        checked = await maker.read_back(locator, key, bytes(copy["sha256"]))
        async with self._rights.database.transaction(permit) as connection:
            now = clock.now()
            noted = f"{checked} files, {copy['length_bytes']} bytes, each read back"
            if await store.add_step(connection, permit_tenant(permit), row["id"], "Copy made", now, noted):
                event_id = await self._rights.write(
                    connection, "rights:copy:made", permit, row["id"], subject, {"number": row["number"]},
                    {"files": checked, "bytes": copy["length_bytes"]},
                )  # fmt: skip
                for item in request.items:
                    await store.set_outcome(
                        connection, row["id"], item.id, Outcome.DONE_VERIFIED.value, event_id=event_id
                    )
        return checked

    async def decide(self, tenant: str, request_id: str) -> list[str]:
        """Decide each study by the retention clause; returns the items that are to be erased."""
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        version = await self._rights.notices.in_force("patients")
        studies = {s.id: s for s in await self._rights.archive.studies_of_subject(permit, subject.id)}
        request = await self._rights.request(permit, row["id"])
        todo: list[str] = []
        async with self._rights.database.transaction(permit) as connection:
            for item in request.items:
                study = studies.get(item.target_id) if item.target_id else None
                if item.outcome is Outcome.WAITING and study is not None:
                    decided = decision_on(study, subject.birth_date, version.notice, item.id)
                    await store.set_outcome(
                        connection, row["id"], item.id, decided.outcome.value, ground=decided.ground,
                        clause=decided.clause, until=decided.until,
                    )  # fmt: skip
                    if decided.outcome is Outcome.WAITING:
                        todo.append(str(item.id))
                elif item.outcome in (Outcome.WAITING, Outcome.UNDER_WAY):
                    todo.append(str(item.id))
            if await store.add_step(connection, permit_tenant(permit), row["id"], "Decided", clock.now()):
                counts = {"erase": len(todo), "keep": len(request.items) - len(todo)}
                await self._rights.write(
                    connection, "rights:request:decided", permit, row["id"], subject, {"number": row["number"]}, counts
                )
        return todo

    async def erase(self, tenant: str, request_id: str, item_id: str) -> dict[str, int]:
        """Erase one study and look whether anything of it can still be read."""
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        request = await self._rights.request(permit, row["id"])
        item = next(item for item in request.items if item.id == UUID(item_id))
        if item.target_id is None or item.outcome is Outcome.DONE_VERIFIED:
            return {}
        target = Target("study", item.target_id, permit.tenant, subject.id, attributes=(("request", request_id),))
        allowed = await self._rights.policy.require(self._actor(permit), "erase", target, PURPOSE)
        erasure = await self._rights.archive.erase_study(allowed, item.target_id)
        remaining = await self._rights.archive.studies_of_subject(permit, subject.id)
        is_readable = any(study.id == item.target_id for study in remaining)
        if is_readable or any(self._rights.keyring.is_alive(KeyRef(bytes.fromhex(key))) for key in erasure.keys):
            raise NotErased
        async with self._rights.database.transaction(permit) as connection:
            await store.set_outcome(
                connection, row["id"], item.id, Outcome.DONE_VERIFIED.value, event_id=erasure.event_id
            )
        return dict(erasure.counts)

    async def certify(self, tenant: str, request_id: str) -> int:
        """Sign what was erased and what was not, with the ledger entries that show it."""
        permit, row, _ = await self._begin("see_request", tenant, request_id)
        request = await self._rights.request(permit, row["id"])
        erasures = []
        for item in request.items:
            if item.outcome is Outcome.DONE_VERIFIED and item.target_id is not None:
                erasure = await self._rights.archive.erasure(permit, item.target_id)
                erasures.append(
                    {
                        "study": str(erasure.study_id),
                        "counts": dict(erasure.counts),
                        "keys_destroyed": list(erasure.keys),
                        "unreadable_since": erasure.started_at.isoformat(),
                        "erased_at": erasure.erased_at.isoformat(),
                        "ledger_entry": str(erasure.event_id),
                    }
                )
        content: dict[str, Any] = {
            "certificate": "erasure",
            "request": request.reference,
            "organisation": str(request.tenant),
            "notice_version": row["notice_version"],
            "erased": erasures,
            "refused": [
                {"study": str(item.target_id), "clause": item.clause, "until": _day(item.until), "ground": item.ground}
                for item in request.items
                if item.outcome is Outcome.REFUSED
            ],
            "not_covered": "Copies that were handed out before; backups of keys until they are overwritten.",
        }
        text = canonical(content)
        async with self._rights.database.transaction(permit) as connection:
            await store.set_certificate(connection, row["id"], text, self._rights.keyring.sign(text))
        return len(erasures)

    async def answer(self, tenant: str, request_id: str) -> str:
        """Close the request: its state follows from the outcomes of its items and from nothing else."""
        permit, row, subject = await self._begin("see_request", tenant, request_id)
        request = await self._rights.request(permit, row["id"])
        outcomes = {item.outcome for item in request.items}
        state = State.FULFILLED
        if Outcome.REFUSED in outcomes:
            state = State.REFUSED if outcomes == {Outcome.REFUSED} else State.PARTLY_FULFILLED
        now = clock.now()
        async with self._rights.database.transaction(permit) as connection:
            if await store.add_step(connection, permit_tenant(permit), row["id"], "Answered", now):
                await store.close(connection, row["id"], state.value, now)
                await self._rights.write(
                    connection, "rights:request:closed", permit, row["id"], subject,
                    {"number": row["number"], "state": state.value},
                    {"days": (now - row["opened_at"]).days, "items": len(request.items)},
                )  # fmt: skip
        return state.value

    async def _begin(self, action: str, tenant: str, request_id: str) -> tuple[Permit, Row, Subject]:
        """The worker's permit for one step, the request and its subject."""
        organisation = await self._rights.people.organisation(UUID(tenant))
        actor = Actor("system", None, organisation.id, "worker", name="Troth", organisation=organisation.name)
        async with self._rights.database.transaction(actor) as connection:
            row = await store.request(connection, UUID(request_id))
        if row is None:
            raise RequestNotFound
        target = Target("request", row["id"], organisation.id, row["subject_id"])
        permit = await self._rights.policy.require(actor, action, target, PURPOSE)
        return permit, row, await self._rights.people.subject(permit, row["subject_id"])

    @staticmethod
    def _actor(permit: Permit) -> Actor:
        return permit.actor


def permit_tenant(permit: Permit) -> UUID:
    """The tenant of a permit that has one."""
    if permit.tenant is None:
        raise NotFound
    return permit.tenant


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
