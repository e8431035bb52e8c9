"""Promises that were broken: what happened and what was done, said by one person and agreed to by another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web.desk import Desk, Visitor, go, id_of
from troth.doors.web.forms import Fault
from troth.doors.web.office.publishing import PUBLISHING, notice_of
from troth.doors.web.render import Page
from troth.policy import Actor, Permit
from troth.proofs import AnswerIncomplete, Breach, BreachLasts, BreachOver, SecondAnswerNeeded

RECORDED = "What is said, and who agrees to it, is written to the log"
HERE = "/office/breaches"


@dataclass(frozen=True, slots=True)
class BreachView:
    """One break.

    Attributes:
        is_lasting: It breaks by something that is so now; mending ends it.
        is_own: Whoever looks said it.
        is_alone: Nobody else here could agree.
        happened: What was said, or what was typed and not taken.
    """

    id: str
    clause: str
    notice: str
    found_at: datetime
    is_lasting: bool
    is_said: bool
    is_own: bool
    is_alone: bool
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
    faults: tuple[Fault, ...] = ()


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
        return await self._page(http_request, visitor, actor)

    async def answer(self, http_request: Request) -> Response:
        """Say what happened, agree to it, or give it back."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        fields = await self._desk.sent(http_request, visitor)
        permit, breach_id = await self._permit(actor), id_of(http_request)
        breaches = self._desk.rooms.breaches
        try:
            match fields.get("act"):
                case "agree":
                    await breaches.agree(permit, breach_id)
                case "back":
                    await breaches.give_back(permit, breach_id)
                case _:
                    await breaches.explain(permit, breach_id, fields.get("happened", ""), fields.get("done", ""))
        except (AnswerIncomplete, BreachLasts, BreachOver, SecondAnswerNeeded) as refused:
            told = ". ".join(filter(None, (refused.detail, refused.hint.rstrip("."))))
            return await self._page(http_request, visitor, actor, Fault("", told))
        return go(HERE)

    async def _permit(self, actor: Actor) -> Permit:
        return await self._desk.permit(actor, "publish_notice", notice_of(actor), PUBLISHING)

    async def _page(self, http_request: Request, visitor: Visitor, actor: Actor, *faults: Fault) -> Response:
        permit = await self._permit(actor)
        views = [await self._view(each, actor, permit) for each in await self._desk.rooms.breaches.all(permit)]
        page = BreachesPage(
            tuple(each for each in views if each.ended_at is None),
            tuple(each for each in views if each.ended_at is not None),
            faults,
        )
        return await self._desk.page(
            http_request, visitor, "Broken promises", Page("office/breaches.html", page),
            here="/office/promises", permit=permit, recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip

    async def _view(self, breach: Breach, actor: Actor, permit: Permit) -> BreachView:
        return BreachView(
            id=str(breach.id),
            clause=breach.clause,
            notice=breach.notice,
            found_at=breach.found_at,
            is_lasting=not breach.against,
            is_said=breach.said_by is not None,
            is_own=breach.said_by == actor.id,
            is_alone=breach.is_open and await self._desk.rooms.breaches.is_alone(permit, breach),
            happened=breach.happened,
            done=breach.done,
            said_at=breach.said_at,
            agreed_at=breach.agreed_at,
            ended_at=breach.ended_at,
        )
