"""The second step of a sign-in: showing a second factor, or setting one up; and the same again before some acts."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.cookies import session_cookie
from troth.doors.web import forms
from troth.doors.web.desk import Desk, Visitor, address_of, clauses_of, go
from troth.doors.web.errors import SignInNeeded
from troth.doors.web.forms import Fault
from troth.doors.web.public.square import Square, square_of
from troth.doors.web.render import Page
from troth.people import Draft, Enrolled, FactorRefused, Owed, Session

FAULT_STATUS = 422
PATH = "/second-step"
FACTORS = "/account/factors"
ROLES = ("patient", "clinician", "referrer", "office", "admin")
WRONG = Fault("code", "This code is wrong, or was used already. Type the one that the app shows now")
UNPROVED = Fault("", "The passkey did not work. Try again, or use a code")


@dataclass(frozen=True, slots=True)
class StepPage:
    """One question: the code of an app, a passkey, or a recovery code.

    Attributes:
        token: Proves that the form was made for this cookie; there is no session yet.
        can_passkey: Browsers make passkeys for the name of these pages.
        groups: The key of an app in groups of four.
        square: The same as a square code.
    """

    owed: Owed
    token: str
    can_passkey: bool
    faults: tuple[Fault, ...] = ()
    groups: tuple[str, ...] = ()
    square: Square | None = None
    clauses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CodesPage:
    """Recovery codes, shown once."""

    codes: tuple[str, ...]
    onward: str


class SecondStep:
    """Handlers for what a sign-in owes.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def step(self, http_request: Request) -> Response:
        """What is owed; sent, a code of an app or a recovery code."""
        shown = await self._cookie(http_request)
        if not forms.is_sent(http_request):
            return await self._page(http_request, shown)
        fields = await self._sent(http_request, shown)
        people, address = self._desk.rooms.people, self._desk.address(http_request)
        try:
            session = await people.show_code(shown, fields.get("code", ""), address)
        except FactorRefused:
            return await self._page(http_request, shown, WRONG)
        return await self._go_on(session)

    async def again(self, http_request: Request) -> Response:
        """Ask for the factor once more, before a page that needs a fresh sign-in is opened."""
        visitor, _ = await self._desk.signed_in(http_request, *ROLES)
        await self._desk.sent(http_request, visitor)
        people, here = self._desk.rooms.people, address_of(http_request)
        await people.keep_draft(visitor.session, Draft("", here, {}))
        return go(PATH if await people.ask_again(visitor.session) else "/sign-in?fresh=1")

    async def app(self, http_request: Request) -> Response:
        """Set an app for codes up, by the code that it shows."""
        if (over := await self._over(http_request)) is not None:
            return over
        shown = await self._cookie(http_request)
        fields = await self._sent(http_request, shown)
        people, address = self._desk.rooms.people, self._desk.address(http_request)
        try:
            enrolled = await people.enrol_app(shown, fields.get("code", ""), address)
        except FactorRefused:
            return await self._page(http_request, shown, WRONG)
        return await self._enrolled(http_request, enrolled)

    async def ask_passkey(self, http_request: Request) -> Response:
        """What the browser is asked for, as JSON: to show a passkey, or to make one."""
        shown = await self._cookie(http_request)
        fields = await self._sent(http_request, shown)
        people = self._desk.rooms.people
        asked = people.passkey_creation if fields.get("act") == "make" else people.passkey_request
        return Response(await asked(shown), media_type="application/json")

    async def passkey(self, http_request: Request) -> Response:
        """Show a passkey, or set the one up that the browser made."""
        if (over := await self._over(http_request)) is not None:
            return over
        shown = await self._cookie(http_request)
        fields = await self._sent(http_request, shown)
        people, address, answer = self._desk.rooms.people, self._desk.address(http_request), fields.get("answer", "")
        try:
            if fields.get("act") == "make":
                return await self._enrolled(http_request, await people.enrol_passkey(shown, answer, address))
            return await self._go_on(await people.show_passkey(shown, answer, address))
        except FactorRefused:
            return await self._page(http_request, shown, UNPROVED)

    # Inside

    async def _cookie(self, http_request: Request) -> str:
        """The cookie of a sign-in that owes something, or of a session.

        Raises:
            SignInNeeded: There is none.
        """
        shown = session_cookie(http_request)
        if not shown or await self._desk.rooms.people.owed(shown) is None:
            raise SignInNeeded
        return shown

    async def _over(self, http_request: Request) -> Response | None:
        """Where a page leads that was reloaded after its answer: recovery codes are shown once, and made anew there."""
        visitor = await self._desk.visitor(http_request)
        if visitor.actor is not None and await self._desk.rooms.people.owed(visitor.session) is None:
            return go(f"{FACTORS}?told=codes")
        return None if forms.is_sent(http_request) else go(PATH)

    async def _sent(self, http_request: Request, shown: str) -> dict[str, str]:
        fields = dict(await forms.read(http_request))
        forms.require_token(fields, shown)
        return fields

    async def _page(self, http_request: Request, shown: str, *faults: Fault) -> Response:
        people = self._desk.rooms.people
        owed = await people.owed(shown)
        if owed is None:
            raise SignInNeeded
        await self._desk.visitor(http_request)  # times are read by the notice's clocks
        version = await self._desk.version()
        groups = tuple(owed.secret[at : at + 4] for at in range(0, len(owed.secret), 4))
        view = StepPage(
            owed,
            forms.token_of(shown),
            people.party.is_possible,
            faults,
            groups,
            square_of(owed.address) if owed.address else None,
            clauses_of(version.notice if version else None, "logging"),
        )
        title = "Set up a second factor" if owed.needs == "enrolment" else "One more step"
        status = FAULT_STATUS if faults else 200
        page = Page("public/second_step.html", view)
        return await self._desk.page(http_request, Visitor(None, ""), title, page, status=status)

    async def _enrolled(self, http_request: Request, enrolled: Enrolled) -> Response:
        actor = await self._desk.rooms.people.actor_of_session(enrolled.token)
        onward = await self._desk.onward(actor) if actor is not None else "/"
        if not enrolled.codes:
            return self._desk.with_session(go(onward), enrolled)
        page = Page("public/recovery_codes.html", CodesPage(enrolled.codes, onward))
        answer = await self._desk.page(http_request, Visitor(None, ""), "Save your recovery codes", page)
        return self._desk.with_session(answer, enrolled)

    async def _go_on(self, session: Session) -> Response:
        return self._desk.with_session(go(await self._desk.onward(session.actor)), session)
