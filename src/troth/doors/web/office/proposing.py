"""Proposing a version of a notice in the browser: its text, what is wrong with it, what it would change and do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import words
from troth.doors.web.changes import ChangeLine, change_line
from troth.doors.web.desk import Desk, Visitor, go
from troth.doors.web.forms import Fault
from troth.doors.web.office.publishing import PUBLISHING, RECORDED, notice_of
from troth.doors.web.render import Page
from troth.kit.errors import NotFound, TrothError
from troth.notice import (
    DayPassed,
    NothingChanged,
    Notice,
    NoticeConflict,
    NoticeMalformed,
    NoticeVersion,
    Problem,
    Proposal,
    ProposalOpen,
    earliest,
    following,
    parse,
)
from troth.policy import Actor, Permit

REFUSALS = (NoticeConflict, NothingChanged, DayPassed, ProposalOpen)
SHOWN = 20
LONGEST_LINE = 160


@dataclass(frozen=True, slots=True)
class ProblemLine:
    """One thing that is wrong with a text: where, the line itself, what, and how to mend it."""

    line: int
    text: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class DraftView:
    """What a text would change and do; nothing of it is kept.

    Attributes:
        lines: What follows, counted now.
    """

    label: str
    effective_on: date
    is_material: bool
    weighing: tuple[ChangeLine, ...]
    others: tuple[ChangeLine, ...]
    lines: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many changes there are."""
        return len(self.weighing) + len(self.others)


@dataclass(frozen=True, slots=True)
class ProposingPage:
    """The text of a version that is to come, and what was found in it.

    Attributes:
        before: The version that it would follow, in words.
        text_href: Where the text of that version can be taken from.
        earliest: The first day from which it may count.
        more: Problems that are not listed.
    """

    before: str
    text_href: str
    earliest: date
    source: str
    problems: tuple[ProblemLine, ...] = ()
    more: int = 0
    faults: tuple[Fault, ...] = ()
    draft: DraftView | None = None
    is_held_material: bool = False


class ProposingPages:
    """Handlers for proposing a version.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def write(self, http_request: Request) -> Response:
        """The text of the latest version of a notice, with the next number and the first day it could count from."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._permit(actor)
        before = await self._latest(http_request.query_params.get("of", ""))
        page = self._page(before, following(before, before.notice.source))
        return await self._answer(http_request, visitor, permit, page)

    async def text(self, http_request: Request) -> Response:
        """The text of the latest version of a notice, to be edited elsewhere."""
        _, actor = await self._desk.signed_in(http_request, "office")
        await self._permit(actor)
        before = await self._latest(http_request.query_params.get("of", ""))
        name = f"{before.name}-{before.number}.yaml"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(before.notice.source, media_type="application/yaml", headers=headers)

    async def send(self, http_request: Request) -> Response:
        """Look at what a text would change and do, or propose it."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._permit(actor)
        typed = await self._desk.sent(http_request, visitor)
        source, is_material = _source(typed), typed.get("material") == "yes"
        try:
            notice = await asyncio.to_thread(parse, source)
        except NoticeMalformed as refused:
            page = self._page(await self._any(), source, problems=refused.problems)
            return await self._answer(http_request, visitor, permit, page, status=422)
        before = await self._before(notice)
        proposals = self._desk.rooms.proposals
        try:
            if typed.get("act") == "propose":
                await proposals.propose(permit, notice, is_material=is_material)
                return go("/office/notice")
            draft = await proposals.draft(permit, notice, is_material=is_material)
        except NoticeMalformed as refused:
            page = self._page(before, source, problems=refused.problems)
            return await self._answer(http_request, visitor, permit, page, status=422)
        except REFUSALS as refused:
            page = self._page(before, source, fault=refused)
            return await self._answer(http_request, visitor, permit, page, status=422)
        consequences = await self._desk.rooms.outreach.consequences(permit, draft)
        page = self._page(before, source, draft=_draft_view(draft, consequences.lines), is_material=is_material)
        return await self._answer(http_request, visitor, permit, page)

    # How

    async def _permit(self, actor: Actor) -> Permit:
        return await self._desk.permit(actor, "publish_notice", notice_of(actor), PUBLISHING)

    async def _latest(self, name: str) -> NoticeVersion:
        """The latest version of a notice, whether it counts already or not."""
        found = next(iter(await self._desk.rooms.notices.versions(name)), None)
        if found is None:
            raise NotFound
        return found

    async def _any(self) -> NoticeVersion:
        return (await self._desk.rooms.notices.versions())[0]

    async def _before(self, notice: Notice) -> NoticeVersion:
        """The version that a text would follow; of a new name, any, so that there is something to start from."""
        return next(iter(await self._desk.rooms.notices.versions(notice.name)), None) or await self._any()

    @staticmethod
    def _page(
        before: NoticeVersion,
        source: str,
        *,
        problems: Sequence[Problem] = (),
        fault: TrothError | None = None,
        draft: DraftView | None = None,
        is_material: bool = False,
    ) -> ProposingPage:
        listed = tuple(dict.fromkeys(_problem_line(each, source) for each in problems))
        return ProposingPage(
            before=f"{before.notice.head.deployment}, {before.name}, version {before.number}",
            text_href=f"/office/notice/text?of={before.name}",
            earliest=earliest(before.notice),
            source=source,
            problems=listed[:SHOWN],
            more=max(len(listed) - SHOWN, 0),
            faults=_faults(fault, len(listed)),
            draft=draft,
            is_held_material=is_material,
        )

    async def _answer(
        self, http_request: Request, visitor: Visitor, permit: Permit, page: ProposingPage, status: int = 200
    ) -> Response:
        return await self._desk.page(
            http_request, visitor, "Propose a version", Page("office/proposing.html", page),
            here="/office/notice", permit=permit, recorded=RECORDED, status=status,
        )  # fmt: skip


def _faults(fault: TrothError | None, problems: int) -> tuple[Fault, ...]:
    if fault is not None:
        return (Fault("source", " ".join(filter(None, (fault.detail, fault.hint)))),)
    wrong = "1 thing in the text is" if problems == 1 else f"{problems:,} things in the text are"
    return (Fault("source", f"{wrong} wrong. Put it right before you propose it"),) if problems else ()


def _source(typed: Mapping[str, str]) -> str:
    """The text as a file would hold it: a browser ends lines with two signs and says nothing of the last."""
    return typed.get("source", "").replace("\r\n", "\n") + "\n"


def _problem_line(problem: Problem, source: str) -> ProblemLine:
    lines = source.split("\n")
    text = lines[problem.line - 1].strip() if problem.line <= len(lines) else ""
    cut = text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…"
    return ProblemLine(problem.line, cut, problem.what, problem.hint)


def _draft_view(draft: Proposal, lines: Sequence[str]) -> DraftView:
    head = draft.notice.head
    return DraftView(
        label=f"{head.deployment}, {draft.notice.name}, version {draft.notice.version}",
        effective_on=draft.effective_on,
        is_material=draft.is_material,
        weighing=tuple(change_line(each) for each in draft.difference if each.is_material),
        others=tuple(change_line(each) for each in draft.difference if not each.is_material),
        lines=tuple(lines) or (f"It is in force from {words.day(draft.effective_on)}.",),
    )
