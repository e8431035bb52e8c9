"""Second factors of those who work here: who has one; letting somebody back in who lost theirs, by two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms
from troth.doors.web.admin.seconds import seconds_for
from troth.doors.web.desk import Desk, go, of_organisation
from troth.doors.web.own.factors import FORMS
from troth.doors.web.render import Page
from troth.kit.errors import NotFound
from troth.people import User

PATH = "/admin/factors"
PURPOSE = "administration"
TOLD = {
    "asked": "Somebody else has to agree within three days",
    "agreed": "They set up a new one at the next sign-in; their sessions ended, and mail tells them",
    "dropped": "Nothing was changed",
}


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member."""

    id: UUID
    name: str
    role: str
    forms: str
    is_self: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class ResetRow:
    """One reset that waits for a second person.

    Attributes:
        can_agree: Whether whoever reads this can be the second person.
        is_own: Whoever reads this asked for it.
        is_about_self: It is their own factor.
        seconds: Names of some who can be, for whoever cannot.
    """

    id: UUID
    name: str
    asked_by: str
    asked_at: datetime
    can_agree: bool
    is_own: bool
    is_about_self: bool
    seconds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FactorsOfMembersPage:
    """Who has a second factor, and what waits."""

    organisation: str
    members: tuple[MemberRow, ...]
    waiting: tuple[ResetRow, ...]
    told: str


class MemberFactorPages:
    """Handlers for the second factors of members.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def factors(self, http_request: Request) -> Response:
        """The members; asking for a reset, agreeing to one, dropping it."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        people, place = self._desk.rooms.people, of_organisation(actor)
        if forms.is_sent(http_request):
            fields = await self._desk.sent(http_request, visitor)
            permit = await self._desk.permit(actor, "end_access", place, PURPOSE)
            asked = forms.uuid(fields, "about")
            match fields["act"]:
                case "ask":
                    await people.ask_reset(permit, asked)
                    return go(f"{PATH}?told=asked")
                case "agree":
                    await people.agree_reset(permit, asked)
                    return go(f"{PATH}?told=agreed")
                case "drop":
                    await people.drop_reset(permit, asked)
                    return go(f"{PATH}?told=dropped")
                case _:
                    raise NotFound
        permit = await self._desk.permit(actor, "administer", place, PURPOSE)
        users = {each.id: each for each in await people.users(permit) if each.is_active}
        held, resets = await people.forms_of_members(permit), await people.resets(permit)
        waiting = {each.user_id for each in resets}
        assert actor.tenant is not None
        assert actor.id is not None
        apart = await people.independents(actor.tenant, actor.id, {each.asked_by for each in resets})
        view = FactorsOfMembersPage(
            actor.organisation,
            tuple(
                MemberRow(
                    each.id,
                    each.name,
                    each.role,
                    ", ".join(FORMS[form] for form in sorted(held.get(each.id, ()))),
                    each.id == actor.id,
                    each.id in waiting,
                )
                for each in users.values()
            ),
            tuple(
                [
                    ResetRow(
                        each.id,
                        users[each.user_id].name,
                        users[each.asked_by].name if each.asked_by in users else "Somebody who left",
                        each.asked_at,
                        can_agree := each.user_id != actor.id and each.asked_by in apart,
                        each.asked_by == actor.id,
                        each.user_id == actor.id,
                        ()
                        if can_agree
                        else await self._seconds(actor.tenant, each.user_id, each.asked_by, users.values()),
                    )
                    for each in resets
                    if each.user_id in users
                ]
            ),
            TOLD.get(http_request.query_params.get("told", ""), ""),
        )
        return await self._desk.page(
            http_request, visitor, "Second factors", Page("admin/factors.html", view), here="/admin", permit=permit,
            recorded="A reset is written to the log",
        )  # fmt: skip

    async def _seconds(self, tenant: UUID, about: UUID, asker: UUID, users: Iterable[User]) -> tuple[str, ...]:
        """Who can agree to a reset: another administrator than whom it is about."""
        others = [each for each in users if each.role == "admin" and each.id != about]
        return await seconds_for(self._desk.rooms.people, tenant, asker, others)
