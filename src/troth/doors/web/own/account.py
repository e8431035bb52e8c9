"""One's own account: what was accepted and when, what is held, how we know it; asking for support."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms, words
from troth.doors.web.desk import Desk, Visitor, go, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.lists.pages import DOORS, accepted_href, accepted_words
from troth.doors.web.render import Page
from troth.people import ZONES, Acceptance, FieldMalformed, SessionNotFound
from troth.policy import Actor, Permit, Target
from troth.rights import WORDS_OF_KNOWN, Known, apart

ROLES = ("patient", "clinician", "referrer", "office", "admin")
RECORDED = "That you read this is written to the log"
PURPOSES = ("rights", "own_access", "administration")
SUPPORT = "service"


@dataclass(frozen=True, slots=True)
class AcceptedLine:
    """One text that was accepted."""

    text: str
    href: str
    at: datetime
    door: str


@dataclass(frozen=True, slots=True)
class Group:
    """Things that are known in the same way."""

    key: str
    heading: str
    items: tuple[Known, ...]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """Where one is signed in now."""

    id: str
    since: datetime
    used_at: datetime
    place: str
    is_this: bool


@dataclass(frozen=True, slots=True)
class Region:
    """Time zones of one part of the world: each by its IANA name, with its place in words."""

    name: str
    zones: tuple[tuple[str, str], ...]


REGIONS: Final = tuple(
    Region(name, tuple((each, ", ".join(reversed(each.replace("_", " ").split("/")[1:])) or each) for each in zones))
    for name, zones in groupby(ZONES, key=lambda each: each.partition("/")[0])
)


@dataclass(frozen=True, slots=True)
class AccountPage:
    """One's own account.

    Attributes:
        is_patient: Everything else of a patient is in the copy that they can ask for.
        can_ask_support: Whether the form for support is shown.
        zone: IANA zone of the account, or what was sent in its place; empty for the notice's.
        notice_zone: What the times of the notice are, such as "London time".
    """

    organisation: str
    accepted: tuple[AcceptedLine, ...]
    groups: tuple[Group, ...]
    is_patient: bool
    has_support: bool = False
    can_ask_support: bool = False
    is_sent: bool = False
    faults: tuple[Fault, ...] = ()
    sessions: tuple[SessionRow, ...] = ()
    can_close: bool = False
    zone: str = ""
    notice_zone: str = ""
    regions: tuple[Region, ...] = REGIONS


class AccountPages:
    """Handlers for one's own account.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def account(self, http_request: Request) -> Response:
        """The page."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        return await self._page(http_request, visitor, actor, is_sent="sent" in http_request.query_params)

    async def copy(self, http_request: Request) -> Response:
        """The same for programs."""
        _, actor = await self._desk.signed_in(http_request, *ROLES[1:])
        await self._desk.require_fresh(actor)
        own = await self._desk.rooms.accounts.own(await self._permit(actor))
        headers = {"Content-Disposition": 'attachment; filename="account.json"', "Cache-Control": "no-store"}
        content = json.dumps(own.as_json(), indent=1, ensure_ascii=False)
        return Response(content, media_type="application/json", headers=headers)

    async def end_session(self, http_request: Request) -> Response:
        """End one of one's own sessions; ending the one that is used is signing out."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        fields = await self._desk.sent(http_request, visitor)
        if not await self._desk.rooms.people.end_own_session(actor, forms.uuid(fields, "session", SessionNotFound)):
            raise SessionNotFound
        return go("/account?ended=1")

    async def zone(self, http_request: Request) -> Response:
        """Choose whose clocks one's times are read by."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        zone = (await self._desk.sent(http_request, visitor)).get("zone", "")
        try:
            await self._desk.rooms.people.choose_zone(await self._permit(actor), zone)
        except FieldMalformed:
            fault = Fault("zone", "Choose one of the places on the list")
            return await self._page(http_request, visitor, actor, fault)
        return go("/account#times")

    async def close(self, http_request: Request) -> Response:
        """Close one's own account here: of a patient the account, of staff the membership."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        await self._desk.sent(http_request, visitor)
        permit, people = await self._permit(actor, ("choose",)), self._desk.rooms.people
        if actor.kind == "patient":
            await people.close_account(permit)
        else:
            assert actor.id is not None
            await people.close_member(permit, actor.id)
        return self._desk.without_session(go("/sign-in?closed=1"))

    async def support(self, http_request: Request) -> Response:
        """Ask for support; only whom the notice lets."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES[1:])
        text = (await self._desk.sent(http_request, visitor)).get("text", "")
        permit = await self._desk.permit(actor, "ask_support", of_organisation(actor), SUPPORT)
        if not text:
            return await self._page(http_request, visitor, actor, Fault("text", "Write what you need help with"))
        await self._desk.rooms.accounts.ask_support(permit, text)
        return go("/account?sent=1")

    async def _page(
        self, http_request: Request, visitor: Visitor, actor: Actor, *faults: Fault, is_sent: bool = False
    ) -> Response:
        permit, policy = await self._permit(actor), self._desk.rooms.policy
        groups: tuple[Group, ...] = ()
        if actor.kind == "patient":
            accepted = tuple(await self._desk.rooms.people.acceptances(permit))
        else:
            own = await self._desk.rooms.accounts.own(permit)
            accepted = own.accepted
            groups = tuple(Group(key, WORDS_OF_KNOWN[key], tuple(found)) for key, found in apart(own.items).items())
        may_ask = actor.kind == "user" and await policy.may(actor, "ask_support", of_organisation(actor), SUPPORT)
        view = AccountPage(
            organisation=actor.organisation,
            accepted=tuple(_line(each) for each in accepted),
            groups=groups,
            is_patient=actor.kind == "patient",
            has_support=policy.grants(actor.role, "ask_support"),
            can_ask_support=may_ask,
            is_sent=is_sent,
            faults=faults,
            zone=actor.zone,
            notice_zone=words.time_of(words.calendar()),
            can_close=policy.grants(actor.role, "choose"),
            sessions=tuple(
                SessionRow(str(each.id), each.made_at, each.seen_at, each.organisation, each.id == actor.session_id)
                for each in await self._desk.rooms.people.own_sessions(actor)
            ),
        )
        return await self._desk.page(
            http_request, visitor, "Your account", Page("own/account.html", view), here="/account", permit=permit,
            recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip

    async def _permit(self, actor: Actor, actions: Sequence[str] = ("see_request", "choose")) -> Permit:
        """The permit to see what is held about oneself, for the first purpose whose clause allows it."""
        own = actor.subject_id or actor.id
        target = Target("subject", own, actor.tenant, own)
        for purpose in PURPOSES:
            for action in actions:
                if await self._desk.rooms.policy.may(actor, action, target, purpose):
                    return await self._desk.permit(actor, action, target, purpose)
        return await self._desk.permit(actor, actions[0], target, PURPOSES[0])


def _line(each: Acceptance) -> AcceptedLine:
    return AcceptedLine(accepted_words(each), accepted_href(each), each.accepted_at, DOORS.get(each.door, each.door))
