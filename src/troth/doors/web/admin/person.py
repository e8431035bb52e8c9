"""One person who works here: another role, their sessions, the end of their access."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms, words
from troth.doors.web.admin.people import PURPOSE, RECORDED
from troth.doors.web.admin.views import PersonPage, RoleChange, SessionRow, UserRow
from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.render import Page
from troth.notice import ACTIONS
from troth.people import ROLES, SessionNotFound, User, UserNotFound, letting
from troth.policy import Actor, Permit

BY: Mapping[str, str] = {
    "mail": "by a link or code sent by e-mail",
    "issued": "by a link from an administrator",
    "match": "by an invitation",
    "passkey": "by a passkey",
}
TOLD: Mapping[str, str] = {"changed": "The role is changed", "signed-out": "That session has ended"}


class PersonPages:
    """Handlers for one member.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def person(self, http_request: Request) -> Response:
        """The page; previewing another role, giving it, ending a session, ending the access."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        permit = await self._desk.permit(actor, "administer", of_organisation(actor), PURPOSE)
        member = await self._desk.rooms.people.user(permit, id_of(http_request))
        if member.is_closed:
            raise UserNotFound
        if not forms.is_sent(http_request):
            return await self._page(http_request, visitor, actor, permit, member)
        fields = await self._desk.sent(http_request, visitor)
        act, here = fields.get("act", ""), f"/admin/people/{member.id}"
        if act == "end":
            ending = await self._desk.permit(actor, "end_access", of_organisation(actor), PURPOSE)
            await self._desk.rooms.people.end_user(ending, member.id)
            return go("/admin?told=ended")
        if act == "close":
            ending = await self._desk.permit(actor, "end_access", of_organisation(actor), PURPOSE)
            await self._desk.rooms.people.close_member(ending, member.id)
            return go("/admin?told=closed")
        if not member.is_active:
            raise UserNotFound  # whose access has ended is let in anew, and has no role to change
        if act == "session":
            ending = await self._desk.permit(actor, "end_access", of_organisation(actor), PURPOSE)
            session_id = forms.uuid(fields, "session", SessionNotFound)
            if not await self._desk.rooms.people.end_session_by_id(ending, session_id):
                raise SessionNotFound
            return go(f"{here}?told=signed-out")
        role = fields.get("role", "")
        if role not in ROLES or role == member.role:
            wrong = Fault("role", "Choose another role than the one they have")
            return await self._page(http_request, visitor, actor, permit, member, wrong)
        if act != "change":
            return await self._page(http_request, visitor, actor, permit, member, role=role)
        return go("/admin?told=proposed" if await self._change(actor, member, role) else f"{here}?told=changed")

    async def _change(self, actor: Actor, member: User, role: str) -> bool:
        """Give another role where one person may, else propose it; whether it waits."""
        rooms = self._desk.rooms
        if await rooms.policy.may(actor, "let_in", letting(actor, role), PURPOSE):
            permit = await self._desk.permit(actor, "let_in", letting(actor, role), PURPOSE)
            await rooms.people.change_role(permit, member.id, role)
            return False
        permit = await self._desk.permit(actor, "change_role", of_organisation(actor), PURPOSE)
        await rooms.people.propose_role(permit, member.id, role)
        return True

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        permit: Permit,
        member: User,
        *faults: Fault,
        role: str = "",
    ) -> Response:
        rooms = self._desk.rooms
        sessions = [each for each in await rooms.people.sessions(permit) if each.account_id == member.id]
        may = rooms.policy.may
        roles = [(each, words.role(each), await may(actor, "let_in", letting(actor, each), PURPOSE)) for each in ROLES]
        view = PersonPage(
            person=UserRow(str(member.id), member.name, member.email, words.role(member.role), len(sessions)),
            roles=tuple(each for each in roles if each[0] != member.role),
            sessions=tuple(
                SessionRow(str(each.id), each.made_at, each.seen_at, BY.get(each.proof, ""),
                           each.id == actor.session_id)
                for each in sessions
            ),
            change=self._follows(member.role, role, {each[0]: each[2] for each in roles}) if role else None,
            is_own=member.id == actor.id,
            is_active=member.is_active,
            faults=faults,
            told="" if faults or role else TOLD.get(http_request.query_params.get("told", ""), ""),
        )  # fmt: skip
        return await self._desk.page(
            http_request, visitor, "A person who works here", Page("admin/person.html", view), here="/admin",
            permit=permit, recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip

    def _follows(self, before: str, role: str, alone: Mapping[str, bool]) -> RoleChange:
        """What another role can do that the present one cannot, and the reverse, as the notices have it."""
        granted = self._desk.rooms.policy.compiled.granted
        had, has = ({action for one, action in granted if one == each} for each in (before, role))
        gains, loses = (
            tuple(ACTIONS[each].words for each in ACTIONS if each in those) for those in (has - had, had - has)
        )
        return RoleChange(role, words.role(role), gains, loses, not alone[role])
