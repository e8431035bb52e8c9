"""Changes of the notice: posted with their differences, mailed where they weigh, and each account once."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller

from tests.common.deployment import NOTICES, Deployment, OpenDeployment
from tests.common.engine import Worker
from troth.kit import clock
from troth.main.adopting import InForce
from troth.main.first_start import operator
from troth.notice import Notice, NoticeVersion, Proposal, SecondPersonMissing, load, parse
from troth.outreach import Amendments
from troth.policy import Permit, PermitDenied, Target

TOMORROW = timedelta(days=1)


@dataclass
class Mailbox:
    """A real SMTP server on loopback that keeps what it was handed; it can refuse for a while."""

    port: int = 0
    refuse: int = 0
    envelopes: list[tuple[str, str, str, str]] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse:
            self.refuse -= 1
            return "451 later, please"
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.messages.append(message)
        self.envelopes.append((envelope.rcpt_tos[0], message["Subject"], message.get_content(), message["Message-ID"]))
        return "250 taken"

    def to(self, address: str) -> list[str]:
        """Texts about the notice for one address."""
        return [text for whom, subject, text, _ in self.envelopes if whom == address and "notice changes" in subject]


@pytest.fixture(scope="module")
async def mailbox() -> AsyncIterator[Mailbox]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        made = Mailbox(free.getsockname()[1])
    server = Controller(made, hostname="127.0.0.1", port=made.port)
    server.start()
    yield made
    server.stop()


@pytest.fixture(scope="module")
async def maker(open_deployment: OpenDeployment, mailbox: Mailbox) -> Deployment:
    return await open_deployment("equipment-maker", smtp=f"127.0.0.1:{mailbox.port}")


@pytest.fixture(scope="module")
async def host(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


async def permits(place: Deployment) -> tuple[Permit, Permit]:
    """Two people who may publish, decided by the notice."""
    found = []
    for number in (1, 2):
        who = operator()
        person = type(who)(who.kind, UUID(int=number), None, who.role, name=who.name)
        found.append(await place.rooms.policy.require(person, "publish_notice", Target("notice"), "administration"))
    return found[0], found[1]


def next_version(notice: Notice, *swaps: tuple[str, str], after: timedelta = TOMORROW) -> Notice:
    """The next version, from tomorrow, with some words changed."""
    day = (clock.now() + after).astimezone(notice.zone).date()
    source = re.sub(r"(?m)^version: \d+", f"version: {notice.version + 1}", notice.source, count=1)
    source = re.sub(r"(?m)^effective_on: \S+", f"effective_on: {day}", source, count=1)
    for before, after_words in swaps:
        assert before in source, before
        source = source.replace(before, after_words, 1)
    return parse(source, f"{notice.name}.yaml")


def with_clause(notice: Notice, section: int, clause: str) -> tuple[str, str]:
    """A swap that puts one more clause at the end of a section."""
    last = next(each for each in notice.sections if each.number == section).clauses[-1]
    position = notice.source.index(f'id: "{last.id}"')
    following = re.search(r"\n(?=  - number: |\Z)", notice.source[position:])
    assert following is not None
    tail = notice.source[position : position + following.start()]
    return tail, tail.rstrip() + "\n" + clause + "\n"


async def publish(place: Deployment, notice: Notice) -> Proposal:
    """Propose by one person, agree by another."""
    first, second = await permits(place)
    proposal = await place.rooms.proposals.propose(first, notice)
    with pytest.raises(SecondPersonMissing):
        await place.rooms.proposals.agree(first, proposal.id, proposal.sha256)
    return await place.rooms.proposals.agree(second, proposal.id, proposal.sha256)


async def tell(place: Deployment) -> Worker:
    """Carry out what is owed, as the worker does."""
    worker = await place.worker()
    work = worker.made(Amendments, lambda: Amendments(place.rooms.outreach, worker))  # type: ignore[arg-type]
    await worker.carry(work, until=place.rooms.outreach.owed)
    return worker


def _words(line: str) -> str:
    """The words of a line of a notice that begins a promise."""
    return line.partition("says: ")[2].strip() or line.strip()


async def version_for(place: Deployment, audience: str) -> NoticeVersion:
    return await place.rooms.notices.in_force(audience)


RECIPIENT = """      - id: "{section}.90"
        kind: recipient
        key: survey_company
        is_outside: true
        name: Example Surveys
        country: {country}
        contract: {{form: processor, signed_on: 2026-01-01}}
        relation: supplier
        says: A company that asks you how satisfied you are."""


@pytest.mark.promise("IH-16", shows="old difference")
async def test_old_versions_stay_and_the_difference_says_what_changed_for_whom(host: Deployment) -> None:
    web = host.anybody().web
    before = await version_for(host, "patients")
    old = (await web.get(f"/notice/versions/{before.number}?of={before.name}")).text
    says = before.notice.all("recipient")[0].sentence(before.notice)
    section = int(before.notice.all("recipient")[0].id.split(".")[0])
    recipient = with_clause(before.notice, section, RECIPIENT.format(section=section, country=before.notice.regions[0]))
    deployment = before.notice.head.deployment
    await publish(host, next_version(before.notice, recipient))
    changes = f"/notice/versions/{before.number + 1}/changes?of={before.name}"
    listed = (await web.get("/notice/versions")).text
    assert "Not yet" in listed
    assert changes.replace("&", "&amp;") in listed
    page = await web.get(changes)
    assert page.status_code == 200
    assert "Material: a new recipient" in page.text
    assert "A company that asks you how satisfied you are." in page.text
    assert "patients" in page.text
    assert f"{deployment}: version {before.number + 1} in force from" in page.text
    assert (await version_for(host, "patients")).number == before.number, "it is posted before it counts"
    with clock.moved(2 * TOMORROW):
        assert (await version_for(host, "patients")).number == before.number + 1
        assert "in force since" in (await web.get(changes)).text
        again = (await web.get(f"/notice/versions/{before.number}?of={before.name}")).text
    assert says.split()[-1] in old
    assert re.findall(r'class="said"><p>[^<]+', again) == re.findall(r'class="said"><p>[^<]+', old)
    assert "A company that asks you" not in again
    assert (await web.get(f"/notice/versions/{before.number}/changes?of={before.name}")).status_code == 404
    [entry] = [each for each in await host.ledgered(kind="notice:version:published") if each.counts["number"] > 1]
    assert entry.counts["material"] == 1
    assert entry.index is not None


async def test_a_new_version_decides_within_a_second_of_its_day_in_a_process_that_was_running(
    host: Deployment,
) -> None:
    before = (await host.rooms.notices.versions("imaging-host"))[0]
    following = InForce(host.rooms)
    await following.look()
    stop = asyncio.Event()
    task = asyncio.create_task(following.follow(stop))
    line = next(each for each in before.notice.source.splitlines() if "publish_notice, see_proofs" in each)
    await publish(host, next_version(before.notice, (line, line.replace(", echo", "")), after=3 * TOMORROW))
    await host.rooms.policy.require(operator(), "echo", Target("platform"), "administration")
    with clock.moved(4 * TOMORROW):
        for _ in range(100):
            if f"imaging-host {before.number + 1}" in host.rooms.policy.notice_version:
                break
            await asyncio.sleep(0.01)
        with pytest.raises(PermitDenied):
            await host.rooms.policy.require(operator(), "echo", Target("platform"), "administration")
    stop.set()
    await task


@pytest.mark.promise("EM-24", shows="typo recipient")
async def test_a_typo_is_posted_and_mailed_to_nobody_a_new_recipient_to_each_account_once(
    maker: Deployment, mailbox: Mailbox
) -> None:
    staff = [await maker.staff("clinician"), await maker.staff("office", maker.second)]
    shared = await maker.rooms.people.add_user(
        maker.set_up_permit("administer", Target("organisation", maker.second.id, maker.second.id)),
        maker.second.id, staff[0].email, "Also there", "clinician",
    )  # fmt: skip
    assert shared.email == staff[0].email
    before = await version_for(maker, "users")
    says = next(each.says for each in before.notice.clauses if each.says and "\n" not in each.says)
    typo = next_version(before.notice, (says[:25], says[:25].replace(" ", "  ", 1) + " "))
    agreed = await publish(maker, typo)
    assert not agreed.is_material
    await tell(maker)
    assert mailbox.envelopes == [], "a typo is mailed to nobody"
    assert [each.counts["accounts"] for each in await maker.ledgered(kind="outreach:amendment:told")] == [0]

    section = int(typo.all("recipient")[0].id.split(".")[0])
    clause = RECIPIENT.format(section=section, country=typo.regions[0] if typo.regions else "US")
    proposal = await publish(maker, next_version(typo, with_clause(typo, section, clause), after=2 * TOMORROW))
    assert proposal.is_material
    mailbox.refuse = 1  # the mail server is away for a moment
    worker = await tell(maker)
    assert "mail 0 failed" in worker.steps
    for person in staff:
        [text] = mailbox.to(person.email)
        assert "A company that asks you how satisfied you are." in text
        assert "a new recipient" in text
        assert f"/notice/versions/{typo.version + 1}/changes?of={typo.name}" in text
    await tell(maker)
    assert proposal.version_id is not None
    await worker.start("outreach.tell", "again", str(proposal.version_id))
    await worker.rest()
    mailed = await maker.ledgered(kind="outreach:amendment:mailed")
    assert len(mailed) == len(mailbox.envelopes) == len({address for address, *_ in mailbox.envelopes})
    assert len({message_id for *_, message_id in mailbox.envelopes}) == len(mailbox.envelopes)
    amendment = next(each for each in typo.all("amendment"))
    assert all(amendment.id in each.clauses and each.index is not None for each in mailed)


@pytest.mark.promise("TV-02", on="terminology-vendor")
async def test_every_change_is_posted_and_mailed_to_every_account_holder(
    open_deployment: OpenDeployment, mailbox: Mailbox
) -> None:
    vendor = await open_deployment("terminology-vendor", smtp=f"127.0.0.1:{mailbox.port}")
    holders = [await vendor.staff("clinician"), await vendor.staff("office")]
    before = (await vendor.rooms.notices.versions())[0].notice
    clause = next(each for each in before.clauses if each.says and each.kind == "purpose")
    first_line = next(
        line for line in before.source.splitlines() if line.strip() and clause.says.startswith(_words(line))
    )
    await publish(
        vendor,
        next_version(
            before, (first_line, first_line.replace(_words(first_line), "Plainly said, " + _words(first_line)))
        ),
    )
    web = vendor.anybody().web
    assert "Not yet" in (await web.get("/notice/versions")).text
    posted = (await web.get(f"/notice/versions/{before.version + 1}/changes?of={before.name}")).text
    assert "Plainly said," in posted
    assert [mailbox.to(each.email) for each in holders] == [[], []]
    await tell(vendor)
    await tell(vendor)
    for each in holders:
        [text] = mailbox.to(each.email)
        assert "Plainly said," in text
        assert f"/notice/versions/{before.version + 1}/changes" in text
    [told] = await vendor.ledgered(kind="outreach:amendment:told")
    assert told.counts["accounts"] >= 2
    assert told.index is not None


@pytest.mark.promise("EM-24", shows="typo")
async def test_without_the_promise_nobody_may_be_written_to(host: Deployment) -> None:
    """The same verbs on a deployment whose notice promises posting only: no permit, no mail."""
    await host.staff("clinician")
    before = len(host.mails())
    await tell(host)
    assert len(host.mails()) == before
    with pytest.raises(PermitDenied):
        await host.rooms.outreach._permit()


def test_the_folders_of_the_rows_are_there() -> None:
    for name in ("equipment-maker", "imaging-host"):
        assert load(Path(NOTICES / name / "notice.yaml")).all("amendment")
