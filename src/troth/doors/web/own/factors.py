"""One's own second factors: what is set up, one more, new recovery codes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms
from troth.doors.web.desk import Desk, Visitor, go
from troth.doors.web.forms import Fault
from troth.doors.web.public.second_step import FACTORS as PATH
from troth.doors.web.public.second_step import CodesPage
from troth.doors.web.public.square import Square, square_of
from troth.doors.web.render import Page
from troth.people import Draft, LastFactor

ROLES = ("patient", "clinician", "referrer", "office", "admin")
FORMS = {"totp": "App for codes", "passkey": "Passkey"}
RECORDED = "What you change here is written to the log"
TOLD = {
    "removed": "It was taken away",
    "codes": "Recovery codes are shown once. If you have not saved them, make new ones here",
}
LAST = Fault("", "This is your only second factor. Set up another one first")


@dataclass(frozen=True, slots=True)
class FactorLine:
    """One factor."""

    id: UUID
    name: str
    since: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class FactorsPage:
    """One's own factors.

    Attributes:
        codes_left: Recovery codes that were not used.
        groups: The key of an app that is being set up, in groups of four; empty where none is.
        can_passkey: Browsers make passkeys for the name of these pages.
        is_staff: Whoever works here cannot be without a factor.
    """

    factors: tuple[FactorLine, ...]
    codes_left: int
    groups: tuple[str, ...]
    square: Square | None
    can_passkey: bool
    is_staff: bool
    told: str = ""
    faults: tuple[Fault, ...] = ()


class FactorPages:
    """Handlers for one's own second factors.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def factors(self, http_request: Request) -> Response:
        """What is set up; adding one, taking one away, new recovery codes."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        if not forms.is_sent(http_request):
            return await self._page(http_request, visitor)
        fields = await self._desk.sent(http_request, visitor)
        people, address = self._desk.rooms.people, self._desk.address(http_request)
        act = fields.get("act", "")
        if act == "add":
            await people.begin_enrolment(visitor.session)
            await people.keep_draft(visitor.session, Draft("", PATH, {}))
            return go(f"{PATH}?add=1")
        if act == "codes":
            codes = await people.renew_codes(actor, address)
            page = Page("public/recovery_codes.html", CodesPage(codes, PATH))
            return await self._desk.page(http_request, visitor, "Save your recovery codes", page)
        try:
            await people.remove_factor(actor, forms.uuid(fields, "factor"), address)
        except LastFactor:
            return await self._page(http_request, visitor, LAST)
        return go(f"{PATH}?told=removed")

    async def _page(self, http_request: Request, visitor: Visitor, *faults: Fault) -> Response:
        actor, people = visitor.actor, self._desk.rooms.people
        assert actor is not None
        held, left = await people.factors_of(actor)
        key, address = "", ""
        if "add" in http_request.query_params and await people.owed(visitor.session) is not None:
            key, address = await people.enrolling(visitor.session)
        view = FactorsPage(
            tuple(FactorLine(each.id, FORMS[each.form], each.made_at, each.used_at) for each in held),
            left,
            tuple(key[at : at + 4] for at in range(0, len(key), 4)),
            square_of(address) if address else None,
            people.party.is_possible,
            actor.kind == "user",
            TOLD.get(http_request.query_params.get("told", ""), ""),
            faults,
        )
        return await self._desk.page(
            http_request, visitor, "Second factor", Page("own/factors.html", view), here="/account",
            recorded=RECORDED, status=409 if faults else 200,
        )  # fmt: skip
