"""Who works in an organisation: invite, approve, and the list. One person's page is in `person`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms, words
from troth.doors.web.admin.seconds import seconds_for
from troth.doors.web.admin.views import InvitedRow, MemberFilter, PeoplePage, UserRow, WaitingRow
from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.render import Page
from troth.kit import clock
from troth.people import (
    ROLES,
    Admission,
    AdmissionOver,
    EmailMalformed,
    FieldMalformed,
    PendingInvitation,
    User,
    agreeing,
    letting,
)
from troth.policy import Actor, Permit

PURPOSE = "administration"
RECORDED = "Whom you invite, whose access you change or end, and when, is written to the log"
_LETTING = ("admin", "office")
"""Whose pages show what waits for a second person."""
STATES: Mapping[str, str] = {
    "here": "With access",
    "ended": "Access ended",
    "closed": "Account closed",
    "all": "All",
}
TOLD: Mapping[str, str] = {
    "invited": "The invitation is on its way",
    "proposed": "It waits for a second person. You will find it here until then",
    "approved": "Approved",
    "refused": "Refused",
    "again": "Sent again. The link before does not work any more",
    "withdrawn": "The invitation is withdrawn",
    "ended": "Their access has ended",
    "closed": "The account is closed",
}


class PeoplePages:
    """Handlers for those who let people in.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def people(self, http_request: Request) -> Response:
        """Who works here; inviting somebody, at once or by two."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        permit = await self._desk.permit(actor, "administer", of_organisation(actor), PURPOSE)
        if not forms.is_sent(http_request):
            return await self._page(http_request, visitor, actor, permit, {})
        fields = await self._desk.sent(http_request, visitor)
        faults = _faults(fields)
        here = {each.email.casefold() for each in await self._desk.rooms.people.users(permit) if each.is_active}
        if not faults and fields["email"].casefold() in here:
            faults = (Fault("email", "Somebody with this address works here already"),)
        if not faults:
            try:
                told = await self._invite(actor, fields["email"], fields["name"], fields["role"])
            except (EmailMalformed, FieldMalformed) as refused:
                faults = (Fault("email", refused.detail),)
        if not faults:
            return go(f"/admin?told={told}")  # so that a page opened once more invites nobody twice
        return await self._page(http_request, visitor, actor, permit, fields, *faults)

    async def invitation(self, http_request: Request) -> Response:
        """Send an invitation again, or withdraw it."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        fields, people = await self._desk.sent(http_request, visitor), self._desk.rooms.people
        if fields.get("act") == "again":
            permit = await self._desk.permit(actor, "invite", of_organisation(actor), PURPOSE)
            await people.resend_invitation(permit, id_of(http_request))
            return go("/admin?told=again")
        permit = await self._desk.permit(actor, "end_access", of_organisation(actor), PURPOSE)
        await people.withdraw_invitation(permit, id_of(http_request))
        return go("/admin?told=withdrawn")

    async def admission(self, http_request: Request) -> Response:
        """Approve as the second person, or refuse."""
        visitor, actor = await self._desk.signed_in(http_request, "admin", "office")
        fields, people = await self._desk.sent(http_request, visitor), self._desk.rooms.people
        permit = await self._desk.permit(actor, "invite", of_organisation(actor), PURPOSE)
        back = "/admin" if actor.role == "admin" else "/office/people"
        if fields.get("act") != "approve":
            await people.refuse_admission(permit, id_of(http_request))
            return go(f"{back}?told=refused")
        found = next((each for each in await people.admissions(permit) if each.id == id_of(http_request)), None)
        if found is None:
            raise AdmissionOver
        second = await self._desk.permit(actor, "let_in", agreeing(actor, found), PURPOSE)
        await people.agree_admission(second, found.id)
        return go(f"{back}?told=approved")

    async def of_office(self, http_request: Request) -> Response:
        """What waits for a second person, and who is a privacy officer: for the privacy office."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._desk.permit(actor, "invite", of_organisation(actor), PURPOSE)
        fields: Mapping[str, str] = {}
        faults: tuple[Fault, ...] = ()
        if forms.is_sent(http_request):
            fields = {**await self._desk.sent(http_request, visitor), "role": "office"}
            faults = _faults(fields)
            if not faults:
                try:
                    return go(
                        f"/office/people?told={await self._invite(actor, fields['email'], fields['name'], 'office')}"
                    )
                except (EmailMalformed, FieldMalformed) as refused:
                    faults = (Fault("email", refused.detail),)
        return await self._page(http_request, visitor, actor, permit, fields, *faults)

    async def _invite(self, actor: Actor, email: str, name: str, role: str) -> str:
        """Invite somebody where one person may, else propose it; says which."""
        rooms = self._desk.rooms
        assert actor.tenant is not None
        if await rooms.policy.may(actor, "let_in", letting(actor, role), PURPOSE):
            permit = await self._desk.permit(actor, "let_in", letting(actor, role), PURPOSE)
            await rooms.people.invite_user(permit, actor.tenant, email, name, role)
            return "invited"
        permit = await self._desk.permit(actor, "invite", of_organisation(actor), PURPOSE)
        await rooms.people.propose_invitation(permit, email, name, role)
        return "proposed"

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        permit: Permit,
        fields: Mapping[str, str],
        *faults: Fault,
    ) -> Response:
        people, is_admin = self._desk.rooms.people, actor.role == "admin"
        known = await people.users(permit)
        users = [each for each in known if each.is_active]
        asked = replace(_filter(http_request), total=len(users))
        last = await people.last_here(permit) if is_admin else {}
        signed_in = Counter(each.account_id for each in await people.sessions(permit)) if is_admin else Counter()
        shown = (
            [each for each in known if asked.shows(each.name, each.email, each.role, _state(each))]
            if is_admin
            else [each for each in users if each.role == "office"]
        )
        roles = ROLES if is_admin else ("office",)
        may = self._desk.rooms.policy.may
        view = PeoplePage(
            organisation=actor.organisation,
            users=tuple(
                UserRow(
                    str(each.id),
                    each.name,
                    each.email,
                    words.role(each.role),
                    signed_in[each.id],
                    last.get(each.id),
                    _state(each),
                )
                for each in sorted(shown, key=lambda one: one.name)
            ),
            shown=asked,
            invited=tuple(_invited(each) for each in await people.invitations(permit)) if is_admin else (),
            waiting=tuple([await self._waiting(each, actor, known) for each in await people.admissions(permit)]),
            roles=tuple(
                [(each, words.role(each), await may(actor, "let_in", letting(actor, each), PURPOSE)) for each in roles]
            ),
            states=tuple(STATES.items()),
            name=fields.get("name", ""),
            email=fields.get("email", ""),
            role=fields.get("role", ""),
            faults=faults,
            told="" if faults else TOLD.get(http_request.query_params.get("told", ""), ""),
        )
        return await self._desk.page(
            http_request,
            visitor,
            "People" if is_admin else "Privacy officers",
            Page("admin/people.html" if is_admin else "office/people.html", view),
            here="/admin" if is_admin else "/office/people",
            permit=permit,
            recorded=RECORDED,
            status=422 if faults else 200,
        )

    async def _waiting(self, found: Admission, actor: Actor, known: Sequence[User]) -> WaitingRow:
        names = {each.id: each.name for each in known}
        can_agree = await self._desk.rooms.policy.may(actor, "let_in", agreeing(actor, found), PURPOSE)
        seconds: tuple[str, ...] = ()
        if not can_agree:
            others = [each for each in known if each.role in _LETTING and each.id != actor.id]
            seconds = await seconds_for(self._desk.rooms.people, found.tenant, found.proposed_by, others)
        return WaitingRow(
            id=str(found.id),
            name=found.name,
            role=words.role(found.role),
            by=names.get(found.proposed_by, "the operator"),
            proposed_at=found.proposed_at,
            lapses_at=found.expires_at,
            is_member=found.account_id is not None,
            can_agree=can_agree,
            is_own=found.proposed_by == actor.id,
            seconds=seconds,
        )


def _state(each: User) -> str:
    return "here" if each.is_active else "closed" if each.is_closed else "ended"


def _filter(http_request: Request) -> MemberFilter:
    """What an address asks for; what is no role or state is passed over."""
    asked = http_request.query_params
    role, state = asked.get("role", ""), asked.get("state", "here")
    return MemberFilter(
        asked.get("q", "").strip()[:64], role if role in ROLES else "", state if state in STATES else "here"
    )


def _invited(each: PendingInvitation) -> InvitedRow:
    ends = None
    if not each.is_over:
        ends = words.clock_of(each.made_at, each.expires_at, clock.now())
        ends = replace(ends, tint="near" if (each.expires_at - clock.now()).days <= 2 else "")
    return InvitedRow(str(each.id), each.name, each.email, words.role(each.role), each.made_at, ends)


def _faults(fields: Mapping[str, str]) -> tuple[Fault, ...]:
    faults = []
    if not fields.get("name"):
        faults.append(Fault("name", "Write the name that colleagues and patients will read"))
    if "@" not in fields.get("email", ""):
        faults.append(Fault("email", "Write the address in full, like name@hospital.example"))
    if fields.get("role") not in ROLES:
        faults.append(Fault("role", "Choose a role"))
    return tuple(faults)
