"""Who works in an organisation, and what may send to it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms, words
from troth.doors.web.admin.views import HomePage, PeerRow, ServiceRow, UserRow
from troth.doors.web.desk import Desk, Visitor, go, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.render import Page
from troth.people import ROLES, EmailMalformed, FieldMalformed
from troth.policy import Actor, Permit

PURPOSE = "administration"
RECORDED = "Invitations and sign-ins are written to the ledger"


class AdminPages:
    """Handlers for the organisation's administrators.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def home(self, http_request: Request) -> Response:
        """People and systems; inviting somebody to work here."""
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
                assert actor.tenant is not None
                await self._desk.rooms.people.invite_user(
                    permit, actor.tenant, fields["email"], fields["name"], fields["role"]
                )
            except (EmailMalformed, FieldMalformed) as refused:
                faults = (Fault("email", refused.detail),)
        if not faults:
            return go("/admin?told=invited")  # so that a page opened once more invites nobody twice
        return await self._page(http_request, visitor, actor, permit, fields, *faults)

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        permit: Permit,
        fields: Mapping[str, str],
        *faults: Fault,
    ) -> Response:
        users = [each for each in await self._desk.rooms.people.users(permit) if each.is_active]
        peers = await self._desk.rooms.people.peers(permit)
        assert actor.tenant is not None
        level = await self._desk.rooms.people.level(permit, actor.tenant)
        services = self._desk.rooms.policy.compiled.services
        view = HomePage(
            organisation=actor.organisation,
            users=tuple(
                UserRow(each.name, each.email, words.role(each.role))
                for each in sorted(users, key=lambda one: one.name)
            ),
            peers=tuple(
                PeerRow(each.ae, each.called_ae or "any of ours", f"{each.host}:{each.port}") for each in peers
            ),
            level=level.replace("_", " "),
            services=tuple(ServiceRow(each.says, each.clause_id, level in each.levels) for each in services),
            roles=tuple((each, words.role(each)) for each in ROLES),
            name=fields.get("name", ""),
            email=fields.get("email", ""),
            role=fields.get("role", ""),
            faults=faults,
            is_sent=not faults and http_request.query_params.get("told") == "invited",
        )
        return await self._desk.page(
            http_request,
            visitor,
            "People and systems",
            Page("admin/home.html", view),
            here="/admin",
            permit=permit,
            recorded=RECORDED,
            status=422 if faults else 200,
        )


def _faults(fields: Mapping[str, str]) -> tuple[Fault, ...]:
    faults = []
    if not fields.get("name"):
        faults.append(Fault("name", "Write the name that colleagues and patients will read"))
    if "@" not in fields.get("email", ""):
        faults.append(Fault("email", "Write the address in full, like name@hospital.example"))
    if fields.get("role") not in ROLES:
        faults.append(Fault("role", "Choose a role"))
    return tuple(faults)
