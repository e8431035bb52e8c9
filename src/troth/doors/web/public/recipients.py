"""Who receives data and on what it goes abroad, a copy of that on request, and that nothing is sold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms, words
from troth.doors.web.desk import ANYBODY, Desk
from troth.doors.web.forms import Fault
from troth.doors.web.office.exchange_forms import id_or_none, said
from troth.doors.web.places import place
from troth.doors.web.public.abroad import Abroad, agreed_to, asked_of
from troth.doors.web.render import Page
from troth.exchange import RegisterMalformed, Way
from troth.kit import clock
from troth.notice import Clause, Notice
from troth.policy import Permit, Target
from troth.proofs import Departures

SITE = "site"
SALE = "sale"
FOR_MONEY = (SALE, "lease")


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A recipient, of the notice or of the register."""

    name: str
    country: str
    what: str
    clause: str


@dataclass(frozen=True, slots=True)
class WayRow:
    """A way abroad and what it rests on.

    Attributes:
        whose: The organisation that filed it; empty for the platform.
    """

    id: str
    origin: str
    destination: str
    kind: str
    until: str
    has_copy: bool
    state: tuple[str, str]
    whose: str = ""


@dataclass(frozen=True, slots=True)
class RecipientsPage:
    """Recipients and transfers, and the form to have a copy."""

    recipients: tuple[PlaceRow, ...]
    ways: tuple[WayRow, ...]
    faults: tuple[Fault, ...] = ()
    email: str = ""
    is_sent: bool = False
    abroad: Abroad | None = None


@dataclass(frozen=True, slots=True)
class GivenRow:
    """How often something left for one activity.

    Attributes:
        kind: State of the row: `kept` where it says that nothing left, empty where it says what did.
    """

    purpose: str
    entries: int
    clause: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class SalePage:
    """That nothing is sold, and what shows it.

    Attributes:
        sentences: Clause id and sentence of the notice.
        sellers: Registered recipients for a sale; none, where the notice says that there is none.
        checked: How many rows were looked at.
        given: What left for somebody outside, by activity, what the notice rules out first.
        total: How often something left in all.
        read: When the ledger was read, and whether it holds; empty where it could not be.
        holds: Every entry of the ledger fits.
        has_signal: The browser said Global Privacy Control.
    """

    sentences: tuple[tuple[str, str], ...]
    sellers: int
    checked: int
    given: tuple[GivenRow, ...]
    total: int
    read: str
    holds: bool
    has_signal: bool


class RecipientPages:
    """Handlers for recipients, transfers and sale.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def recipients(self, http_request: Request) -> Response:
        """Recipients and transfers of the platform; a form to have a copy of an instrument."""
        permit = await self._permit()
        if not forms.is_sent(http_request):
            return await self._page(http_request, permit)
        typed = await forms.read(http_request)
        email = typed.get("email", "")
        asked = asked_of(await self._desk.rooms.notices.current(), "visitors", typed)
        agreed = await agreed_to(self._desk, asked, permit.action, permit.target)
        if isinstance(agreed, Fault):
            return await self._page(http_request, permit, agreed, email=email, typed=typed)
        try:
            instrument_id = id_or_none(typed, "instrument")
            if instrument_id is None:
                raise RegisterMalformed("Choose what you want a copy of.")
            await self._desk.rooms.exchange.send_instrument(
                agreed.permit if agreed else permit, instrument_id, email, agreed
            )
        except RegisterMalformed as refused:
            return await self._page(http_request, permit, Fault("email", refused.detail), email=email, typed=typed)
        return await self._page(http_request, permit, is_sent=True)

    async def do_not_sell(self, http_request: Request) -> Response:
        """What the notice says of selling, and the registers that show it."""
        await self._permit()
        visitor = await self._desk.visitor(http_request)
        notices = await self._notices()
        ruled_out = [
            (clause, notice)
            for notice in notices
            for clause in notice.all("never")
            if SALE in getattr(clause, "purposes", ())
        ]
        found = await self._desk.promises.last()
        left = found.departures if found is not None else None
        view = SalePage(
            sentences=tuple((clause.id, clause.sentence(notice)) for clause, notice in ruled_out),
            sellers=left.sellers if left is not None else 0,
            checked=left.registered if left is not None else 0,
            given=_given(left.by_purpose if left else {}, [clause for clause, _ in ruled_out], notices),
            total=sum(left.by_purpose.values()) if left else 0,
            read=_read(left),
            holds=left is not None and left.ledger_holds,
            has_signal=http_request.headers.get("sec-gpc", "") == "1",
        )
        page = Page("public/do_not_sell.html", view)
        return await self._desk.page(http_request, visitor, "Nothing is sold", page)

    # How

    async def _permit(self) -> Permit:
        return await self._desk.permit(ANYBODY, "open_notice", Target("platform"), SITE)

    async def _notices(self) -> tuple[Notice, ...]:
        return tuple(version.notice for version in await self._desk.rooms.notices.current())

    async def _page(
        self,
        http_request: Request,
        permit: Permit,
        *faults: Fault,
        email: str = "",
        typed: Mapping[str, str] | None = None,
        is_sent: bool = False,
    ) -> Response:
        visitor, exchange = await self._desk.visitor(http_request), self._desk.rooms.exchange
        registered = [each for each in await exchange.recipients(permit) if each.ended_at is None]
        view = RecipientsPage(
            recipients=(
                *_stated(await self._notices()),
                *(PlaceRow(each.name, place(each.country), _uses(each.purposes), "") for each in registered),
            ),
            ways=tuple(_way(each) for each in await exchange.ways(permit)),
            faults=faults,
            email=email,
            is_sent=is_sent,
            abroad=asked_of(await self._desk.rooms.notices.current(), "visitors", typed or {}),
        )
        return await self._desk.page(
            http_request, visitor, "Recipients and transfers", Page("public/recipients.html", view),
            status=422 if faults else 200,
        )  # fmt: skip


def _given(
    by_purpose: Mapping[str, int], ruled_out: Sequence[Clause], notices: Sequence[Notice]
) -> tuple[GivenRow, ...]:
    """What left, by activity: a sale first, whether it happened or not."""
    clauses = {purpose: clause.id for clause in ruled_out for purpose in getattr(clause, "purposes", ())}
    named = [each for each in FOR_MONEY if each == SALE or each in clauses]
    rows = [
        GivenRow(words.purpose(each), count, clauses.get(each, ""), "broken" if count else "kept")
        for each in named
        for count in [by_purpose.get(each, 0)]
    ]
    for purpose, count in by_purpose.items():
        if purpose not in named:
            found = next((clause for notice in notices if (clause := notice.find("purpose", purpose))), None)
            rows.append(GivenRow(words.purpose(purpose), count, found.id if found else ""))
    return tuple(rows)


def _read(left: Departures | None) -> str:
    if left is None:
        return ""
    fits = "every one fits" if left.ledger_holds else "something in it was altered"
    entries = words.counted(left.ledger_size, "log entry", "log entries")
    return f"Read {words.moment(left.at)} · {entries} computed again, {fits}"


def _stated(notices: Iterable[Notice]) -> tuple[PlaceRow, ...]:
    """The recipients outside that the notices name."""
    outside: dict[str, PlaceRow] = {}
    for notice in notices:
        for clause in notice.all("recipient"):
            held: Any = clause
            if held.is_outside:
                outside.setdefault(
                    held.key, PlaceRow(held.name, place(held.country), clause.sentence(notice), clause.id)
                )
    return tuple(outside.values())


def _uses(purposes: Iterable[str]) -> str:
    return ", ".join(words.purpose(each) for each in purposes).capitalize()


def _way(filed: Way) -> WayRow:
    held = filed.instrument
    holds = held.holds(clock.now())
    until = words.day(held.term.until) if held.term.until is not None else "no end"
    return WayRow(
        id=str(held.id),
        origin=place(held.origin),
        destination=place(held.destination),
        kind=said(held.kind),
        until=until,
        has_copy=held.document_id is not None and holds,
        whose=filed.organisation,
        state=("kept", "in force") if holds else ("refused", held.reason or "not in force"),
    )
