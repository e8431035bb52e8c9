"""Changes of the notice for the privacy office: what is proposed, what it would do, agreeing; and the proofs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import words
from troth.doors.web.changes import ChangeLine, change_line
from troth.doors.web.desk import Desk, go, id_of, of_organisation
from troth.doors.web.promises import WORDS, counted_words, kind_of
from troth.doors.web.render import Page
from troth.notice import NoticeVersion, Proposal
from troth.policy import Actor, Permit, Target
from troth.proofs import Checked, Proven, Report, Result, within

PUBLISHING = "administration"
SEEING = "rights"
RECORDED = "Who proposes and who agrees is written to the log"
HOLDS = {True: ("kept", "Holds"), False: ("broken", "Broken"), None: ("idle", "Not checked")}
STATES = {"open": "Waits for a second person", "agreed": "Agreed", "withdrawn": "Withdrawn"}


@dataclass(frozen=True, slots=True)
class ProposalView:
    """One proposal."""

    id: str
    label: str
    state: str
    is_open: bool
    is_material: bool
    effective_on: date
    proposed_at: datetime
    sha256: str
    changes: tuple[ChangeLine, ...]
    lines: tuple[str, ...]
    is_own: bool
    told: str


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """One notice: the version in force, what comes after it, and where a change of it begins."""

    label: str
    number: int
    since: date
    href: str
    coming: str
    propose_href: str


@dataclass(frozen=True, slots=True)
class ProposalsPage:
    """What is proposed, and what was decided."""

    proposals: tuple[ProposalView, ...]
    may_publish: bool
    notices: tuple[NoticeLine, ...] = ()

    @property
    def open(self) -> tuple[ProposalView, ...]:
        """Those that wait for a second person."""
        return tuple(each for each in self.proposals if each.is_open)

    @property
    def over(self) -> tuple[ProposalView, ...]:
        """Those that were decided."""
        return tuple(each for each in self.proposals if not each.is_open)


@dataclass(frozen=True, slots=True)
class ExampleLine:
    """One entry that speaks against a promise."""

    number: int
    kind: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PromiseLine:
    """One promise with its enforcer and what was found."""

    clause: str
    says: str
    ids: str
    kind: str
    word: str
    reason: str
    enforcer: str
    looks_for: str
    lacks: tuple[str, ...]
    count: str
    examples: tuple[ExampleLine, ...]


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One live check."""

    measure: str
    kind: str
    word: str
    found: str


@dataclass(frozen=True, slots=True)
class ProofPage:
    """Every promise with its evidence in this organisation."""

    heading: str
    at: datetime
    size: int
    is_whole: bool
    checks: tuple[CheckLine, ...]
    promises: tuple[PromiseLine, ...]


@dataclass(frozen=True, slots=True)
class ProofsPage:
    """Every notice in force with its promises.

    Attributes:
        may_answer: This reader answers for those that are broken.
        is_live: A version came into force since the check, and is being looked at.
    """

    reports: tuple[ProofPage, ...]
    may_answer: bool
    is_live: bool


class PublishingPages:
    """Handlers for changes and proofs.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def proposals(self, http_request: Request) -> Response:
        """What is proposed. What it would do is counted for those who may publish."""
        visitor, actor = await self._desk.signed_in(http_request, "office", "admin")
        permit = await self._desk.permit(actor, "see_proofs", of_organisation(actor), SEEING)
        may = await self._desk.rooms.policy.may(actor, "publish_notice", notice_of(actor), PUBLISHING)
        publishing = await self._publishing(actor) if may else None
        found = [await self._view(each, actor, publishing) for each in await self._desk.rooms.proposals.all()]
        page = Page("office/publishing.html", ProposalsPage(tuple(found), may, await self._notices()))
        return await self._desk.page(
            http_request, visitor, "Changes", page, here="/office/notice", permit=permit, recorded=RECORDED
        )

    async def decide(self, http_request: Request) -> Response:
        """Agree to a proposal, or withdraw it."""
        visitor, actor = await self._desk.signed_in(http_request, "office", "admin")
        fields = await self._desk.sent(http_request, visitor)
        permit = await self._publishing(actor)
        proposal_id, rooms = id_of(http_request), self._desk.rooms
        if fields.get("act") == "withdraw":
            await rooms.proposals.withdraw(permit, proposal_id)
        else:
            seen = fields.get("sha256", "")
            octets = bytes.fromhex(seen) if len(seen) == 64 and all(one in "0123456789abcdef" for one in seen) else b""
            await rooms.proposals.agree(permit, proposal_id, octets, is_material=fields.get("material") == "yes")
        return go("/office/notice")

    async def promises(self, http_request: Request) -> Response:
        """Every promise, what enforces it and what shows it here."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._desk.permit(actor, "see_proofs", of_organisation(actor), SEEING)
        may = await self._desk.rooms.policy.may(actor, "publish_notice", notice_of(actor), PUBLISHING)
        found = await self._desk.promises.last()
        reports = tuple(_proof_page(report) for report in _within(found, permit))
        page = ProofsPage(reports, may, found is not None and found.is_behind)
        return await self._desk.page(
            http_request, visitor, "Proofs", Page("office/promises.html", page),
            here="/office/promises", permit=permit, recorded="Proofs name entries of the log, never people",
        )  # fmt: skip

    async def promises_json(self, http_request: Request) -> Response:
        """The same for machines, with the proofs in full."""
        _, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._desk.permit(actor, "see_proofs", of_organisation(actor), SEEING)
        reports = _within(await self._desk.promises.last(), permit)
        told = json.dumps([asdict(report) for report in reports], default=str, indent=1)
        return Response(told, media_type="application/json")

    async def _publishing(self, actor: Actor) -> Permit:
        return await self._desk.permit(actor, "publish_notice", notice_of(actor), PUBLISHING)

    async def _notices(self) -> tuple[NoticeLine, ...]:
        """The notices in force, each with the version that is to follow it."""
        current = await self._desk.rooms.notices.current()
        titles = titles_of(current)
        published = await self._desk.rooms.notices.versions()
        lines = []
        for each in current:
            latest = max((one for one in published if one.name == each.name), key=lambda one: one.number)
            coming = f"Version {latest.number} from {words.day(latest.effective_on)}" if latest.id != each.id else ""
            href = f"/notice/versions/{each.number}?for={each.notice.audiences[0]}&of={each.name}"
            propose = f"/office/notice/new?of={each.name}"
            lines.append(NoticeLine(titles[each.name], each.number, each.effective_on, href, coming, propose))
        return tuple(lines)

    async def _view(self, proposal: Proposal, actor: Actor, publishing: Permit | None) -> ProposalView:
        outreach = self._desk.rooms.outreach
        lines: Sequence[str] = ()
        if publishing is not None and proposal.is_open:
            lines = (await outreach.consequences(publishing, proposal)).lines
        told = await outreach.told(proposal.version_id) if proposal.version_id and publishing is not None else None
        return ProposalView(
            id=str(proposal.id),
            label=f"{proposal.notice.head.deployment}, {proposal.notice.name}, version {proposal.notice.version}",
            state=STATES[proposal.state],
            is_open=proposal.is_open,
            is_material=proposal.is_material,
            effective_on=proposal.effective_on,
            proposed_at=proposal.proposed_at,
            sha256=proposal.sha256.hex(),
            changes=tuple(change_line(each) for each in proposal.difference),
            lines=tuple(lines),
            is_own=proposal.proposed_by == actor.id,
            told=f"{told.sent} of {words.counted(told.accounts, 'account')} written to" if told else "",
        )


def titles_of(current: Sequence[NoticeVersion]) -> dict[str, str]:
    """What the notices in force are called, by name: the service's name, and the notice's too where it has several."""
    return {
        each.name: f"{each.notice.head.deployment}, {each.name}" if len(current) > 1 else each.notice.head.deployment
        for each in current
    }


def notice_of(actor: Actor) -> Target:
    """The notice as a target, seen from somebody's organisation."""
    return Target("notice", None, actor.tenant)


def _within(found: Result | None, permit: Permit) -> list[Report]:
    """As the last run found it, with the counter-examples of this organisation."""
    return [within(each, permit) for each in found.reports] if found is not None else []


def _proof_page(report: Report) -> ProofPage:
    return ProofPage(
        heading=f"{report.notice}, version {report.version}",
        at=report.at,
        size=report.ledger_size,
        is_whole=report.ledger_holds,
        checks=tuple(_check_line(each) for each in report.safeguards),
        promises=tuple(_promise_line(each) for each in report.promises),
    )


def _check_line(check: Checked) -> CheckLine:
    return CheckLine(check.measure.replace("_", " "), *HOLDS[check.holds], check.found)


def _promise_line(promise: Proven) -> PromiseLine:
    return PromiseLine(
        clause=promise.clause_id,
        says=promise.says,
        ids=", ".join(promise.promises),
        kind=kind_of(promise),
        word=WORDS[kind_of(promise)],
        reason=promise.reason,
        enforcer=promise.enforcer,
        looks_for=promise.looks_for,
        lacks=promise.lacks,
        count=counted_words(promise),
        examples=tuple(ExampleLine(each.number, each.kind, each.at) for each in promise.examples),
    )
