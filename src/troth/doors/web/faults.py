"""Faults as pages: a refusal says what one can do next, and nothing else."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from troth.doors.cookies import session_cookie
from troth.doors.web import forms
from troth.doors.web.desk import Desk, Visitor, address_of, go
from troth.doors.web.errors import FreshSignInNeeded, SignInNeeded
from troth.doors.web.public.views import AgainPage, FaultPage
from troth.doors.web.render import Page
from troth.kit import clock
from troth.kit.db import DatabaseUnavailable
from troth.kit.errors import NotFound, TrothError, Unavailable
from troth.people import ChallengeOver, CodeOver, CodesClosed, Draft, SignInLinkOver, TooManyCodes, tenant_of
from troth.policy import PermitDenied

SECOND_STEP = "/second-step"
NOTHING_HERE = "There is nothing here that you may see"
ALIKE = (
    "Either there is no such page, or it is not yours to open. We say the same in both cases, so that nobody can find "
    "out who has been here by trying addresses."
)
FORBIDDEN = "The notice forbids this now"
OTHERWISE = "You have access otherwise. If it cannot wait, or if this is a mistake: ask your privacy office."
WRONG = "This did not work"
CODES_CLOSED = "Too many wrong codes were typed for this e-mail address"
CODES_AGAIN = "Open the link in the e-mail instead. Codes work again within a day."
LINK_OVER = "This link has expired or was already used"
LINK_ONCE = "A link works once, for 15 minutes, and so does the code of its mail, for 10."
CODE_OVER = "This code has expired or was already used"
CODE_ONCE = (
    "A code works once, for 10 minutes, in the browser that asked for it, and not after five wrong ones. "
    "The link in the same e-mail works for 15 minutes, unless the code was used."
)

_logger = logging.getLogger(__name__)


class FaultPages:
    """Turns faults into pages.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def known(self, http_request: Request, fault: Exception) -> Response:
        """A fault of the tree."""
        if isinstance(fault, SignInNeeded):
            return await self._sign_in(http_request)
        if isinstance(fault, FreshSignInNeeded):
            return await self._fresh(http_request)
        if not isinstance(fault, TrothError) or isinstance(fault, DatabaseUnavailable):
            raise fault  # a page in its frame needs the database, too
        if isinstance(fault, PermitDenied) and fault.reason:  # only somebody who has access is told why
            text = f"It says to the patient: “{fault.reason}”"
            return await self._page(http_request, 403, FORBIDDEN, text, OTHERWISE, is_recorded=True)
        if isinstance(fault, NotFound):
            return await self._nothing(http_request)
        if fault.http_status >= 500 and not isinstance(fault, Unavailable):
            _logger.error("a page failed: %s", fault.slug)
        if isinstance(fault, CodesClosed):
            return await self._page(
                http_request, fault.http_status, CODES_CLOSED, CODES_AGAIN, "", onward=("/sign-in", "Send a new link")
            )
        if isinstance(fault, (SignInLinkOver, CodeOver)):
            over, once = (LINK_OVER, LINK_ONCE) if isinstance(fault, SignInLinkOver) else (CODE_OVER, CODE_ONCE)
            return await self._page(
                http_request, fault.http_status, over, once, "", onward=("/sign-in", "Send a new link")
            )
        if isinstance(fault, (ChallengeOver, TooManyCodes)):
            return await self._page(
                http_request, fault.http_status, fault.title, "", "", onward=("/sign-in", "Sign in again")
            )
        heading = fault.title if fault.http_status < 500 else WRONG
        detail = fault.detail if fault.detail != heading else ""
        answer = await self._page(http_request, fault.http_status, heading, detail, fault.hint)
        if isinstance(fault, Unavailable):
            answer.headers["Retry-After"] = str(fault.retry_seconds)
        return answer

    async def _sign_in(self, http_request: Request) -> Response:
        """On to the second step of a sign-in that waits for it, else to its beginning."""
        shown = session_cookie(http_request)
        if not shown or tenant_of(shown) is None:  # nobody was signed in: at most, somebody asked to be
            return go("/sign-in")
        if not http_request.url.path.startswith(SECOND_STEP) and await self._desk.rooms.people.owed(shown):
            return go(SECOND_STEP)
        is_kept = forms.is_sent(http_request) and await self._keep(http_request, shown)
        return go("/sign-in?over=kept" if is_kept else "/sign-in?over=1")

    async def _keep(self, http_request: Request, shown: str) -> bool:
        """Keep a form that was sent when its session was over, if it was a form of that session."""
        try:
            fields = dict(await forms.read(http_request))
            forms.require_token(fields, shown)
        except TrothError:
            return False
        del fields["token"]
        draft = Draft(http_request.url.path, address_of(http_request), fields)
        return await self._desk.rooms.people.keep_draft(shown, draft)

    async def _fresh(self, http_request: Request) -> Response:
        """An act that needs a fresh sign-in: what was typed is kept, and whoever it is shows the factor again."""
        shown, people = session_cookie(http_request), self._desk.rooms.people
        if forms.is_sent(http_request):
            await self._keep(http_request, shown)
            return go(SECOND_STEP if await people.ask_again(shown) else "/sign-in?fresh=1")
        visitor = await self._desk.visitor(http_request)
        view = AgainPage(address_of(http_request))
        page = Page("layout/again.html", view)
        return await self._desk.page(http_request, visitor, "Show that it is you", page, status=401)

    async def http(self, http_request: Request, fault: Exception) -> Response:
        """No such route, or not by this method."""
        status = fault.status_code if isinstance(fault, HTTPException) else 404
        if status in {404, 405}:
            return await self._nothing(http_request)
        return await self._page(http_request, status, WRONG, "What was sent cannot be understood.", "")

    async def _nothing(self, http_request: Request) -> Response:
        visitor = await self._desk.visitor(http_request)
        if visitor.actor is None:
            hint = "If it is about you: sign in with the account your hospital knows."
        elif visitor.actor.kind == "patient":
            hint = "If something of yours should be here: ask the hospital that made it."
        else:
            hint = "If you need it for your work: ask whoever runs your organisation's space."
        return await self._page(http_request, 404, NOTHING_HERE, ALIKE, hint, visitor=visitor)

    async def _page(
        self,
        http_request: Request,
        status: int,
        heading: str,
        text: str,
        hint: str,
        *,
        visitor: Visitor | None = None,
        is_recorded: bool = False,
        onward: tuple[str, str] | None = None,
    ) -> Response:
        who = visitor or await self._desk.visitor(http_request)
        usual = (
            await self._desk.start_of(who.actor),
            "Back to your page" if who.actor is not None else "Back to the notice",
        )
        back, back_words = onward or usual
        view = FaultPage(
            heading=heading,
            text=text,
            hint=hint,
            back=back,
            back_words=back_words,
            at=clock.now(),
            is_recorded=is_recorded,
        )
        title = {403: "Not allowed", 404: "Nothing here"}.get(status, WRONG)
        return await self._desk.page(http_request, who, title, Page("layout/fault.html", view), status=status)
