"""The page after a link was asked for, with the code of the mail; and signing in by a passkey alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.cookies import session_cookie
from troth.doors.web import forms
from troth.doors.web.desk import ANYBODY, Desk, Visitor, clauses_of
from troth.doors.web.forms import Fault
from troth.doors.web.public.accepted import CHANGED, accepted_of, for_anybody, is_outdated
from troth.doors.web.public.views import SentPage, SignInPage, WhoLine, WhoPage
from troth.doors.web.render import Page
from troth.people import CodeRefused, FactorRefused, Standing
from troth.policy import Target

FAULT_STATUS = 422
SITE = "site"
WRONG = Fault("code", "This is not the code of the newest e-mail. Type its six digits once more")
UNPROVED = Fault("", "The passkey did not work, or took too long. Try again, or have a link sent")


class MailCode:
    """Handlers for those who sign in without opening a link.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def sent(self, http_request: Request) -> Response:
        """What happens next, said alike to everybody; sent, the code of the mail."""
        visitor, shown = await self._desk.visitor(http_request), session_cookie(http_request)
        if not forms.is_sent(http_request):
            return await self._sent_page(http_request, visitor, shown)
        fields = await forms.read(http_request)
        forms.require_token(fields, shown)
        found = for_anybody(await self._desk.rooms.notices.current())
        if is_outdated(fields, found):
            return await self._sent_page(http_request, visitor, shown, CHANGED)
        people, code, chosen = self._desk.rooms.people, fields.get("code", ""), fields.get("person", "")
        await self._desk.permit(ANYBODY, "sign_in", Target("platform"), SITE)
        try:
            standings = await people.people_by_code(shown, code)
        except CodeRefused:
            return await self._sent_page(http_request, visitor, shown, WRONG)
        if not chosen and len(standings) > 1:
            kept = {"token": forms.token_of(shown), "code": code, "shown": fields.get("shown", "")}
            page = Page("public/who.html", who_page(http_request, standings, kept))
            return await self._desk.page(http_request, visitor, "Sign in", page)
        address = self._desk.address(http_request)
        return await self._desk.let_in(await people.sign_in_by_code(shown, code, address, chosen))

    async def _sent_page(self, http_request: Request, visitor: Visitor, shown: str, *faults: Fault) -> Response:
        accepted = accepted_of(for_anybody(await self._desk.rooms.notices.current()), is_first_only=True)
        view = SentPage(forms.token_of(shown), accepted, faults)
        page, status = Page("public/sent.html", view), FAULT_STATUS if faults else 200
        return await self._desk.page(http_request, visitor, "Check your e-mail", page, status=status)

    async def ask_passkey(self, http_request: Request) -> Response:
        """What the browser of whoever has a passkey here is asked to sign, as JSON."""
        await forms.read(http_request)
        return Response(await self._desk.rooms.people.passkey_question(), media_type="application/json")

    async def passkey(self, http_request: Request) -> Response:
        """Sign in by a passkey alone."""
        visitor = await self._desk.visitor(http_request)
        fields = await forms.read(http_request)
        people, answer, chosen = self._desk.rooms.people, fields.get("answer", ""), fields.get("person", "")
        await self._desk.permit(ANYBODY, "sign_in", Target("platform"), SITE)
        try:
            standings = await people.people_by_passkey(answer)
            if not chosen and len(standings) > 1:
                page = Page("public/who.html", who_page(http_request, standings, {"answer": answer}))
                return await self._desk.page(http_request, visitor, "Sign in", page)
            return await self._desk.let_in(
                await people.sign_in_by_passkey(answer, self._desk.address(http_request), chosen)
            )
        except FactorRefused:
            version = await self._desk.version()
            clauses = clauses_of(version.notice if version else None, "logging")
            view = SignInPage("", (UNPROVED,), clauses, can_passkey=people.party.is_possible)
            page = Page("public/sign_in.html", view)
            return await self._desk.page(http_request, visitor, "Sign in", page, status=FAULT_STATUS)


def who_page(http_request: Request, standings: Sequence[Standing], kept: Mapping[str, str]) -> WhoPage:
    """The question who of those at one mailbox, or with one passkey, is signing in.

    Args:
        http_request: The answer goes where it came to.
        standings: Who it can be.
        kept: Fields of the form that go on to the answer.
    """
    return WhoPage(http_request.url.path, tuple(map(_who, standings)), tuple(kept.items()))


def _who(standing: Standing) -> WhoLine:
    as_what = "you work there" if standing.kind == "user" else "your scans"
    return WhoLine(standing.key, standing.name, f"{standing.organisation}, {as_what}")
