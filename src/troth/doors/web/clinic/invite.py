"""Inviting the patient of a study."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import StudySummary
from troth.doors.web import forms
from troth.doors.web.clinic.studies import INVITING, PURPOSE, ROLES
from troth.doors.web.clinic.views import InvitePage
from troth.doors.web.desk import Desk, Visitor, clauses_of, go, id_of
from troth.doors.web.forms import Fault
from troth.doors.web.patients import of_study
from troth.doors.web.render import Page
from troth.people import Draft, EmailMalformed
from troth.policy import Permit, Target

RECORDED = "An invitation is written to the log, and the patient can read it"


class InvitePages:
    """Handlers for the invitation of a patient.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def invite(self, http_request: Request) -> Response:
        """Ask for the address; then mail the link, and lead to the page that shows the code."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        study, _ = await self._desk.study(actor, id_of(http_request), "query", PURPOSE)
        target = Target("subject", study.subject_id, study.tenant, study.subject_id)
        permit = await self._desk.permit(actor, "invite", target, INVITING)
        can_register = (await self._desk.rooms.people.subject(permit, study.subject_id)).can_register
        if not forms.is_sent(http_request) or not can_register:
            return await self._page(http_request, visitor, permit, study, "", can_register=can_register)
        fields = await self._desk.sent(http_request, visitor)
        if fields.get("act") == "withdraw":
            await self._desk.rooms.people.withdraw_of_subject(permit, study.subject_id)
            return go(f"/studies/{study.id}/invite?told=withdrawn")
        email = fields.get("email", "")
        try:
            made = await self._desk.rooms.people.invite_subject(permit, study.subject_id, email)
        except EmailMalformed:
            fault = Fault("email", "Write the address in full, like name@mail.example")
            return await self._page(http_request, visitor, permit, study, email, fault)
        # A page of its own: nobody invites twice by loading it again. The code is kept for them, sealed, for half
        # an hour: it cannot stand in an address.
        page = f"/studies/{study.id}/invite?told=sent"
        shown = {"code": f"{made.code[:3]} {made.code[3:]}", "until": made.expires_at.isoformat()}
        await self._desk.rooms.people.keep_draft(visitor.session, Draft("", page, shown))
        return go(page)

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        permit: Permit,
        study: StudySummary,
        email: str,
        *faults: Fault,
        can_register: bool = True,
    ) -> Response:
        made = await self._made(http_request, visitor)
        version = await self._desk.version(visitor.actor)
        view = InvitePage(
            patient=of_study(study),
            action=f"/studies/{study.id}/invite",
            back_href=f"/studies?study={study.id}",
            clauses=clauses_of(version.notice if version else None, "safeguard", measure="identity_check"),
            email=email,
            code=made.get("code", ""),
            expires_at=datetime.fromisoformat(made["until"]) if made else None,
            can_register=can_register,
            correct_href=f"/studies/{study.id}/correct",
            faults=faults,
            open_until=await self._desk.rooms.people.subject_invited_until(permit, study.subject_id),
            is_withdrawn=http_request.query_params.get("told") == "withdrawn",
        )
        return await self._desk.page(
            http_request,
            visitor,
            "Invite the patient",
            Page("clinic/invite.html", view),
            here="/studies",
            permit=permit,
            recorded=RECORDED,
            status=422 if faults else 200,
        )

    async def _made(self, http_request: Request, visitor: Visitor) -> Mapping[str, str]:
        """The code of the invitation that was just made on this page; nothing where none was, or half an hour ago."""
        if visitor.actor is None or http_request.query_params.get("told") != "sent":
            return {}
        kept = await self._desk.rooms.people.draft(visitor.actor)
        here = f"{http_request.url.path}?told=sent"
        return kept.fields if kept is not None and kept.page == here and "code" in kept.fields else {}
