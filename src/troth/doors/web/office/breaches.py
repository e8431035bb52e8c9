"""Promises that were broken: what happened and what was done, said by one person and agreed to by another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web.desk import Desk, Visitor, go, id_of
from troth.doors.web.forms import Fault
from troth.doors.web.office.publishing import PUBLISHING, ExampleLine, notice_of, titles_of
from troth.doors.web.render import Page
from troth.kit.errors import TrothError
from troth.people import User
from troth.policy import Actor, Permit
from troth.proofs import (
    LONGEST_ANSWER,
    AnswerIncomplete,
    Breach,
    BreachLasts,
    BreachOver,
    Proven,
    SecondAnswerNeeded,
    WordsChanged,
    within,
)

RECORDED = "What is said, and who agrees to it, is written to the log"
HERE = "/office/breaches"
ELSEWHERE = "Somebody without an account here"
_ASKED: Mapping[str, str] = {"happened": "Write what happened", "done": "Write what was done about it"}


@dataclass(frozen=True, slots=True)
class BreachView:
    """One break.

    Attributes:
        notice: The notice by the title that its readers see.
        says: The promise, as the notice in force has it; empty where the clause is not in it any more.
        reason: What the last run found, while the promise is broken.
        examples: Entries of the log that speak against it.
        is_lasting: It breaks by something that is so now; mending ends it.
        is_own: Whoever looks said it.
        is_alone: Nobody else here could agree.
        said_by: Who said what happened, by name.
        words: Name of what was said, so that nobody agrees to other words than these.
        happened: What was said, or what was typed and not taken.
    """

    id: str
    clause: str
    notice: str
    says: str
    reason: str
    examples: tuple[ExampleLine, ...]
    found_at: datetime
    is_lasting: bool
    is_said: bool
    is_own: bool
    is_alone: bool
    said_by: str
    agreed_by: str
    words: str
    happened: str
    done: str
    said_at: datetime | None
    agreed_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class BreachesPage:
    """Those that are open, and those that ended."""

    open: tuple[BreachView, ...]
    over: tuple[BreachView, ...]
    longest: int
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What a page about breaks is made of besides the breaks.

    Attributes:
        titles: Of the notices in force, by name.
        proven: What the last run found, by notice and clause.
        members: Who works here, by id.
        typed: What was typed and not taken, by the break it is about.
    """

    titles: Mapping[str, str]
    proven: Mapping[tuple[str, str], Proven]
    members: Mapping[UUID, User]
    typed: Mapping[UUID, Mapping[str, str]] = field(repr=False)

    def name(self, account_id: UUID | None) -> str:
        """Who somebody is, by name."""
        if account_id is None:
            return ""
        return self.members[account_id].name if account_id in self.members else ELSEWHERE


class BreachPages:
    """Handlers for answering.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def breaches(self, http_request: Request) -> Response:
        """What is broken, and what was."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        return await self._page(http_request, visitor, actor, {})

    async def answer(self, http_request: Request) -> Response:
        """Say what happened, agree to it, or give it back."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        fields = await self._desk.sent(http_request, visitor)
        permit, breach_id = await self._permit(actor), id_of(http_request)
        breaches = self._desk.rooms.breaches
        try:
            match fields.get("act"):
                case "agree":
                    await breaches.agree(permit, breach_id, fields.get("words", ""))
                case "back":
                    await breaches.give_back(permit, breach_id, fields.get("words", ""))
                case _:
                    await breaches.explain(permit, breach_id, fields.get("happened", ""), fields.get("done", ""))
        except AnswerIncomplete:
            faults = _incomplete(breach_id, fields)
        except (BreachLasts, BreachOver, SecondAnswerNeeded, WordsChanged) as refused:
            faults = (_refusal(refused),)
        else:
            return go(HERE)
        return await self._page(http_request, visitor, actor, {breach_id: fields}, *faults)

    async def waiting(self, actor: Actor) -> list[Breach]:
        """Breaks that wait for whoever looks; none where the promises are not theirs to answer for."""
        if not await self._desk.rooms.policy.may(actor, "publish_notice", notice_of(actor), PUBLISHING):
            return []
        assert actor.id is not None
        return await self._desk.rooms.breaches.waits(await self._permit(actor), actor.id)

    async def _permit(self, actor: Actor) -> Permit:
        return await self._desk.permit(actor, "publish_notice", notice_of(actor), PUBLISHING)

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        typed: Mapping[UUID, Mapping[str, str]],
        *faults: Fault,
    ) -> Response:
        permit = await self._permit(actor)
        told = await self._told(permit, typed)
        views = [await self._view(each, permit, told) for each in await self._desk.rooms.breaches.all(permit)]
        page = BreachesPage(
            tuple(each for each in views if each.ended_at is None),
            tuple(each for each in views if each.ended_at is not None),
            LONGEST_ANSWER,
            faults,
        )
        return await self._desk.page(
            http_request, visitor, "Broken promises", Page("office/breaches.html", page),
            here="/office/promises", permit=permit, recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip

    async def _told(self, permit: Permit, typed: Mapping[UUID, Mapping[str, str]]) -> Told:
        found = await self._desk.promises.last()
        reports = [within(each, permit) for each in found.reports] if found is not None else []
        return Told(
            titles_of(await self._desk.rooms.notices.current()),
            {(report.notice, each.clause_id): each for report in reports for each in report.promises},
            {each.id: each for each in await self._desk.rooms.people.users(permit)},
            typed,
        )

    async def _view(self, breach: Breach, permit: Permit, told: Told) -> BreachView:
        proven = told.proven.get((breach.notice, breach.clause))
        is_shown = proven is not None and breach.is_open
        typed = told.typed.get(breach.id, {}) if breach.said_by is None else {}
        return BreachView(
            id=str(breach.id),
            clause=breach.clause,
            notice=told.titles.get(breach.notice, breach.notice),
            says=proven.says if proven is not None else "",
            reason=proven.reason if proven is not None and is_shown else "",
            examples=tuple(ExampleLine(each.number, each.kind, each.at) for each in proven.examples)
            if proven is not None and is_shown
            else (),
            found_at=breach.found_at,
            is_lasting=not breach.against,
            is_said=breach.said_by is not None,
            is_own=breach.said_by == permit.actor.id,
            is_alone=breach.is_open and await self._desk.rooms.breaches.is_alone(permit, breach),
            said_by=told.name(breach.said_by),
            agreed_by=told.name(breach.agreed_by),
            happened=typed.get("happened", breach.happened),
            done=typed.get("done", breach.done),
            words=breach.words,
            said_at=breach.said_at,
            agreed_at=breach.agreed_at,
            ended_at=breach.ended_at,
        )


def _incomplete(breach_id: UUID, fields: Mapping[str, str]) -> tuple[Fault, ...]:
    """What has to be mended in an answer, each at its field."""
    faults = []
    for name, asked in _ASKED.items():
        typed = fields.get(name, "").strip()
        if not typed:
            faults.append(Fault(f"{name}-{breach_id}", asked))
        elif len(typed) > LONGEST_ANSWER:
            text = f"Write it in at most {LONGEST_ANSWER:,} characters; these are {len(typed):,}"
            faults.append(Fault(f"{name}-{breach_id}", text))
    return tuple(faults)


def _refusal(refused: TrothError) -> Fault:
    return Fault("", ". ".join(filter(None, (refused.detail, refused.hint.rstrip(".")))))
