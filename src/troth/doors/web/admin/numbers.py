"""The rule about patient numbers that come without an issuer: previewed, stated, ended."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import ByRule
from troth.doors.web import forms
from troth.doors.web.admin.people import PURPOSE
from troth.doors.web.admin.views import NumbersPage
from troth.doors.web.desk import Desk, go, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.render import Page
from troth.people import IssuerRule, MergeRefused, ReasonMissing
from troth.policy import Permit

RECORDED = "The rule, its end and each merge by it are written to the log"
_PATH = "/admin/numbers"
_TOLD = {"stated": "The rule is in force", "ended": "The rule is ended, and what it merged is taken apart"}


class NumberPages:
    """Handlers for the rule about numbers without an issuer.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def numbers(self, http_request: Request) -> Response:
        """The rule in force with what it did, or the form to state one; first a preview, then the deed."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        permit = await self._desk.permit(actor, "state_issuer", of_organisation(actor), PURPOSE)
        rooms, rule = self._desk.rooms, await self._desk.rooms.people.rule(actor)
        fields: Mapping[str, str] = {}
        faults: tuple[Fault, ...] = ()
        preview: ByRule | None = None
        if forms.is_sent(http_request):
            fields = await self._desk.sent(http_request, visitor)
            try:
                if fields.get("act") == "preview":
                    preview = await rooms.archive.merging.preview_rule(permit, fields.get("issuer", ""))
                elif told := await self._do(permit, rule, fields):
                    return go(f"{_PATH}?told={told}")
            except (MergeRefused, ReasonMissing) as refused:
                faults = (Fault("issuer", refused.detail),)
        left = await rooms.archive.merging.preview_rule(permit, rule.issuer) if rule is not None else None
        merges = await rooms.people.merges(permit, rule_id=rule.id) if rule is not None else []
        view = NumbersPage(
            organisation=actor.organisation,
            issuer=rule.issuer if rule is not None else "",
            since=rule.made_at if rule is not None else None,
            merged=len(merges),
            left=left,
            preview=preview,
            typed=fields.get("issuer", ""),
            told=_TOLD.get(http_request.query_params.get("told", ""), ""),
            faults=faults,
        )
        return await self._desk.page(
            http_request, visitor, "Patient numbers", Page("admin/numbers.html", view),
            here=_PATH, permit=permit, recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip

    async def _do(self, permit: Permit, rule: IssuerRule | None, fields: Mapping[str, str]) -> str:
        """Do what was chosen; the word for it, or nothing where nothing was."""
        merging = self._desk.rooms.archive.merging
        if fields.get("act") == "state":
            await merging.state_rule(permit, fields.get("issuer", ""))
            return "stated"
        if fields.get("act") == "end" and rule is not None:
            await merging.end_rule(permit, rule.id)
            return "ended"
        return ""
