"""The durable work of telling people from whom we have what we know of them, after a list was taken in.

Per: GDPR Art. 14(1) to (3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from troth.kit.bell import Bell, looks
from troth.kit.mail import Mail
from troth.notice import SOURCING, Contact, Notice, Notices
from troth.outreach.model import spoken
from troth.people import WORKER, ContactRecord, Contacts, origins
from troth.policy import Actor, Permit, Policy, Target

if TYPE_CHECKING:  # the workflow engine costs a second to import; only the worker needs it
    from troth.kit.durable import Durable

TAKE = "people.take"
INTRODUCE = "outreach.introduce"
BATCH: Final = 50
TRY_AGAIN_SECONDS: Final = 3600.0
Step = Callable[[str, str], Coroutine[Any, Any, int]]
TITLE: Final = "Where we have your address from"


class Introductions:
    """Takes lists of people in, and tells those on them.

    Args:
        contacts: The lists and their people.
        notices: What the letter says.
        policy: Decides whether it may be done.
        mail: The mail transport.
        url: Address of the pages, without a slash at the end.
        durable: Where the workflows are registered; before `launch`.
    """

    def __init__(
        self, contacts: Contacts, notices: Notices, policy: Policy, mail: Mail, url: str, durable: Durable
    ) -> None:
        self._contacts = contacts
        self._notices = notices
        self._policy = policy
        self._mail = mail
        self._url = url
        self._durable = durable
        durable.register(TAKE, self._take_in)
        durable.register(INTRODUCE, self._introduce)

    async def take(self, stop: asyncio.Event, pause_seconds: float = 0.5, bell: Bell | None = None) -> None:
        """Start a workflow for each list to take in, and each whose people are to be told, until told to stop."""
        async for _ in looks(stop, pause_seconds, bell):
            for tenant, list_id in await self._contacts.waiting():
                await self._durable.start(TAKE, f"take:{list_id}", str(tenant), str(list_id))
            for tenant, list_id in await self._contacts.untold():
                await self._durable.start(INTRODUCE, f"introduce:{list_id}", str(tenant), str(list_id))

    def _take_in(self, tenant: str, list_id: str) -> None:
        self._until_done("take", self._take_some, self._finish, tenant, list_id)

    def _introduce(self, tenant: str, list_id: str) -> None:
        self._until_done("mail", self._tell_some, self._told, tenant, list_id)

    def _until_done(self, name: str, some: Step, finish: Step, tenant: str, list_id: str) -> None:
        """Do some until nothing is left, then end. What fails is tried again as long as it takes."""
        durable, number = self._durable, 0
        while True:
            try:
                while durable.step(f"{name} {number}", some, tenant, list_id):
                    number += 1
                durable.step("finish", finish, tenant, list_id)
                return
            except durable.Failed:
                number += 1
                durable.sleep(TRY_AGAIN_SECONDS)

    async def _take_some(self, tenant: str, list_id: str) -> int:
        return await self._contacts.take_some(await self._bringing(tenant), UUID(list_id))

    async def _finish(self, tenant: str, list_id: str) -> int:
        return await self._contacts.finish(await self._bringing(tenant), UUID(list_id))

    async def _tell_some(self, tenant: str, list_id: str) -> int:
        clause = await self._contacts.clause_of(UUID(tenant), UUID(list_id))
        target = Target("organisation", UUID(tenant), UUID(tenant), attributes=(("source", clause),))
        permit = await self._policy.require(_worker(tenant), "tell_source", target, SOURCING)
        notices = [version.notice for version in await self._notices.current()]

        def written(record: ContactRecord) -> tuple[str, str]:
            return letter(notices, record, self._url)

        return await self._contacts.tell_some(permit, UUID(list_id), self._mail, written, BATCH)

    async def _told(self, tenant: str, list_id: str) -> int:
        return await self._contacts.finish_telling(UUID(tenant), UUID(list_id))

    async def _bringing(self, tenant: str) -> Permit:
        target = Target("organisation", UUID(tenant), UUID(tenant))
        return await self._policy.require(_worker(tenant), "bring_people", target, "administration")


def letter(notices: Iterable[Notice], record: ContactRecord, url: str) -> tuple[str, str]:
    """The message to somebody of whom others gave us something: title and text, in the words of the notice.

    Args:
        notices: In force.
        record: What we have, and from whom.
        url: Address of the pages.

    Per: GDPR Art. 14(1) and (2).
    """
    known = origins(notices)
    notice = known[record.source].notice
    source, word = notice.clause(record.clause), record.source.replace("_", " ")
    lines = [
        "We did not get this from you, so we tell you.",
        "",
        f"Who we are: {_who(notice)}",
        f"From whom we have it: {record.supplier} ({word}), on {spoken(record.obtained_at.date())}.",
        f"What it is: your e-mail address{_fields(record)}.",
    ]
    if source is not None:
        lines.append(f"What our notice says of such sources (§ {source.id}): {source.sentence(notice)}")
    purpose = notice.find("purpose", record.activity)
    if purpose is not None:
        lines.append(f"What for (§ {purpose.id}): {purpose.sentence(notice)}")
        lines += [f"Basis: {row.words}" for row in purpose.kept(notice) if row.term == "Basis"]
        for key in getattr(purpose, "retention", ()):
            rule = notice.find("retention", key)
            if rule is not None:
                lines.append(f"How long (§ {rule.id}): {rule.sentence(notice)}")
    lines += ["", "What you can do:"]
    lines += [f"- {clause.sentence(notice)} (§ {clause.id})" for clause in notice.all("right")]
    lines += [f"- {each.sentence(notice)} (§ {each.id})" for each in notice.all("contact") if _of(each) == "authority"]
    place = f"#p{record.clause.replace('.', '-')}"
    lines += ["", "All of it, in full:", f"{url}/notice?for={_audience(notice)}{place}", ""]
    return TITLE, "\n".join(lines)


def _who(notice: Notice) -> str:
    said = []
    for each in notice.all("contact"):
        if isinstance(each, Contact) and each.of in ("company", "dpo", "representative"):
            said.append(", ".join(filter(None, (each.name, each.email))))
    return "; ".join(said) or notice.head.deployment


def _of(clause: object) -> str:
    return str(getattr(clause, "of", ""))


def _audience(notice: Notice) -> str:
    return "visitors" if "visitors" in notice.audiences else notice.audiences[0]


def _fields(record: ContactRecord) -> str:
    named = [name.replace("_", " ") for name in record.told]
    return "".join(f", {name}" for name in named)


def _worker(tenant: str) -> Actor:
    return replace(WORKER, tenant=UUID(tenant))
