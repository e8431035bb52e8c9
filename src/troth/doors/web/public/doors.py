"""Signing in and out, invitations, the theme."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.cookies import session_cookie
from troth.doors.web import forms
from troth.doors.web.desk import (
    ANYBODY,
    THEME_COOKIE,
    THEMES,
    Desk,
    Visitor,
    clauses_of,
    cookies_of,
    go,
)
from troth.doors.web.forms import Fault
from troth.doors.web.public.abroad import Abroad, agreed_to, asked_of
from troth.doors.web.public.accepted import CHANGED, accepted_of, for_anybody, is_outdated
from troth.doors.web.public.mail_code import who_page
from troth.doors.web.public.views import EnterPage, InvitationPage, RegisterPage, SignInPage
from troth.doors.web.render import Page
from troth.kit import numbers
from troth.kit.errors import NotFound
from troth.people import (
    Document,
    EmailMalformed,
    MatchFailed,
    OpenInvitation,
    documents,
)
from troth.policy import Target

FAULT_STATUS = 422
AUDIENCES = {"user": "users", "patient": "patients"}
SITE = "site"


class Doors:
    """Handlers for coming in and going out.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def start(self, http_request: Request) -> Response:
        """The first page: one's own, or the notice."""
        visitor = await self._desk.visitor(http_request)
        return go(await self._desk.start_of(visitor.actor))

    # Signing in

    async def sign_in(self, http_request: Request) -> Response:
        """Ask for a one-time link. The answer is the same whether the address is known or not."""
        visitor = await self._desk.visitor(http_request)
        if not forms.is_sent(http_request):
            is_here = visitor.actor is not None and "fresh" not in http_request.query_params
            return (
                go(await self._desk.start_of(visitor.actor))
                if is_here
                else await self._sign_in_page(http_request, visitor, "")
            )
        email = (await forms.read(http_request)).get("email", "")
        await self._desk.permit(ANYBODY, "sign_in", Target("platform"), SITE)
        try:
            shown = session_cookie(http_request) if visitor.actor is not None else ""
            asked = await self._desk.rooms.people.start_sign_in(email, self._desk.address(http_request), shown)
        except EmailMalformed:
            fault = Fault("email", "Write the address in full, like name@hospital.example")
            return await self._sign_in_page(http_request, visitor, email, fault)
        answer = go("/sign-in/sent")
        return answer if shown else self._desk.with_session(answer, asked)

    async def _sign_in_page(self, http_request: Request, visitor: Visitor, email: str, *faults: Fault) -> Response:
        asked = http_request.query_params
        view = SignInPage(
            email,
            faults,
            await self._written_down(),
            is_over="over" in asked,
            is_kept=asked.get("over") == "kept",
            is_closed="closed" in asked,
            is_fresh="fresh" in asked,
            can_passkey=self._desk.rooms.people.party.is_possible,
        )
        page = Page("public/sign_in.html", view)
        return await self._desk.page(http_request, visitor, "Sign in", page, status=FAULT_STATUS if faults else 200)

    async def enter(self, http_request: Request) -> Response:
        """A one-time link: a page with a button first, because mail scanners follow links and press nothing."""
        visitor = await self._desk.visitor(http_request)
        people, secret = self._desk.rooms.people, http_request.path_params["secret"]
        standings = await people.people_at(secret)
        found = for_anybody(await self._desk.rooms.notices.current())
        fields = await forms.read(http_request) if forms.is_sent(http_request) else {}
        chosen = fields.get("person", "")
        is_shown = forms.is_sent(http_request) and not is_outdated(fields, found)
        if is_shown and not chosen and len(standings) > 1:
            view: object = who_page(http_request, standings, {"shown": fields.get("shown", "")})
            return await self._desk.page(http_request, visitor, "Sign in", Page("public/who.html", view))
        if not is_shown:
            view = EnterPage(
                "Your link is here",
                "It works once. Pressing the button signs you in on this device.",
                "Sign in now",
                http_request.url.path,
                await self._written_down(),
                accepted_of(found, is_first_only=True),
                (CHANGED,) if forms.is_sent(http_request) else (),
            )
            page, status = Page("public/enter.html", view), FAULT_STATUS if view.faults else 200
            return await self._desk.page(http_request, visitor, "Sign in", page, status=status)
        await self._desk.permit(ANYBODY, "sign_in", Target("platform"), SITE)
        return await self._desk.let_in(await people.sign_in(secret, self._desk.address(http_request), chosen))

    async def sign_out(self, http_request: Request) -> Response:
        """End the session, everywhere at once."""
        visitor = await self._desk.visitor(http_request)
        if visitor.actor is not None:
            await self._desk.sent(http_request, visitor)
            await self._desk.rooms.people.end_session(visitor.actor)
        return self._desk.without_session(go("/"))

    # Invitations

    async def invitation(self, http_request: Request) -> Response:
        """Where the link of an invitation is pasted."""
        visitor = await self._desk.visitor(http_request)
        faults: tuple[Fault, ...] = ()
        if forms.is_sent(http_request):
            link = (await forms.read(http_request)).get("link", "")
            secret = urlsplit(link).path.rstrip("/").rpartition("/")[2]
            if secret and secret.replace("-", "").replace("_", "").isalnum() and secret.isascii():
                return go(f"/invitation/{secret}")
            faults = (Fault("link", "Paste the whole link, from http to the last letter"),)
        page = Page("public/invitation.html", InvitationPage(faults))
        status = FAULT_STATUS if faults else 200
        return await self._desk.page(http_request, visitor, "Invitation", page, status=status)

    async def register(self, http_request: Request) -> Response:
        """Answer an invitation: staff by a press, a subject by name, birth date and code."""
        visitor = await self._desk.visitor(http_request)
        people = self._desk.rooms.people
        secret, address = http_request.path_params["secret"], self._desk.address(http_request)
        await self._desk.permit(ANYBODY, "register", Target("platform"), SITE)
        opened = await people.open_invitation(secret, address if forms.is_sent(http_request) else "")
        if not forms.is_sent(http_request):
            return await self._register_page(http_request, visitor, opened, {})
        fields = await forms.read(http_request)
        if is_outdated(fields, await self._accepted_by(opened)):
            return await self._register_page(http_request, visitor, opened, fields, CHANGED)
        asked = await self._asked_of(opened, fields)
        place = Target("organisation", opened.tenant, opened.tenant)
        agreed = await agreed_to(self._desk, asked, "register", place, opened.organisation)
        faults = () if opened.kind == "user" else _faults(fields)
        if isinstance(agreed, Fault) or faults:
            faults = (*faults, *([agreed] if isinstance(agreed, Fault) else []))
            return await self._register_page(http_request, visitor, opened, fields, *faults)
        if opened.kind == "user":
            return await self._desk.let_in(await people.accept_invitation(secret, address, agreed))
        try:
            session = await people.register_subject(
                secret, fields["name"], _birth_date(fields), fields["code"], fields["email"], address, agreed
            )
        except MatchFailed:
            fault = Fault("", f"What you wrote is not what {opened.organisation} holds. Look at each field once more")
            return await self._register_page(http_request, visitor, opened, fields, fault)
        return await self._desk.let_in(session)

    async def _register_page(
        self,
        http_request: Request,
        visitor: Visitor,
        opened: OpenInvitation,
        fields: Mapping[str, str],
        *faults: Fault,
    ) -> Response:
        path = http_request.url.path
        version = await self._desk.version()
        accepted = accepted_of(await self._accepted_by(opened))
        abroad = await self._asked_of(opened, fields)
        if opened.kind == "user":
            text = f"{opened.organisation} invites you to work with it here. Pressing the button signs you in."
            view: object = EnterPage(
                "Your invitation", text, "Accept", path, await self._written_down(), accepted, faults, abroad
            )
            page = Page("public/enter.html", view)
        else:
            known = {name: fields.get(name, "") for name in ("name", "day", "month", "year", "email")}
            clauses = clauses_of(version.notice if version else None, "safeguard", measure="identity_check")
            view = RegisterPage(
                opened.organisation, path, **known, faults=faults, clauses=clauses, accepted=accepted, abroad=abroad
            )
            page = Page("public/register.html", view)
        return await self._desk.page(http_request, visitor, "Invitation", page, status=FAULT_STATUS if faults else 200)

    async def _accepted_by(self, opened: OpenInvitation) -> list[Document]:
        """What whoever answers an invitation accepts."""
        return documents(await self._desk.rooms.notices.current(), AUDIENCES[opened.kind], opened.region)

    async def _asked_of(self, opened: OpenInvitation, fields: Mapping[str, str]) -> Abroad | None:
        """What the form of an invitation asks who answers it from another country."""
        versions = await self._desk.rooms.notices.current()
        found = [each for each in versions if each.notice.applies_to(AUDIENCES[opened.kind], opened.region)]
        return asked_of(found, AUDIENCES[opened.kind], fields, opened.region)

    # The theme

    async def theme(self, http_request: Request) -> Response:
        """Remember light or dark, where the notice names the cookie for it; else there is nothing here."""
        version = await self._desk.version()
        if version is None or THEME_COOKIE not in cookies_of(version.notice):
            raise NotFound
        fields = await forms.read(http_request)
        back = fields.get("back", "/")
        answer = go(back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/")
        theme = fields.get("theme", "")
        if theme in THEMES:
            secure = self._desk.rooms.settings.is_https
            answer.set_cookie(THEME_COOKIE, theme, path="/", httponly=True, samesite="lax", secure=secure)
        else:
            answer.delete_cookie(THEME_COOKIE, path="/")
        return answer

    async def _written_down(self) -> tuple[str, ...]:
        version = await self._desk.version()
        return clauses_of(version.notice if version else None, "logging")


def _faults(fields: Mapping[str, str]) -> tuple[Fault, ...]:
    """What is missing or cannot be read at all; nothing of it tells what is held."""
    faults = []
    if not fields.get("name"):
        faults.append(Fault("name", "Write your name"))
    for name, most in (("day", 31), ("month", 12)):
        if numbers.whole(fields.get(name), least=1, most=most) is None:
            faults.append(Fault(name, f"Write the {name} as a number from 1 to {most}"))
    year = fields.get("year", "")
    if len(year) != 4 or numbers.whole(year, most=9999) is None:
        faults.append(Fault("year", "Write the year as four figures, like 1980"))
    if not fields.get("code"):
        faults.append(Fault("code", "Write the code you were given"))
    if "@" not in fields.get("email", ""):
        faults.append(Fault("email", "Write the address in full, like name@mail.example"))
    return tuple(faults)


def _birth_date(fields: Mapping[str, str]) -> date | None:
    """The day that was typed; None when the calendar has none such."""
    told = [numbers.whole(fields[name], most=9999) for name in ("year", "month", "day")]
    try:
        return date(*(part or 0 for part in told))
    except ValueError:
        return None
