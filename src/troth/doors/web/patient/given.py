"""Who outside was given something: the accounting of disclosures (45 CFR 164.528; GDPR Art. 15(1)(c))."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import words
from troth.doors.web.desk import Desk, of_subject
from troth.doors.web.office.exchange_forms import said
from troth.doors.web.render import Page
from troth.exchange import Accounted

OWN = "own_access"
RECORDED = "Everything that left was written here before it left"
STATES = {"left": ("kept", "arrived"), "recorded": ("open", "under way"), "failed": ("broken", "did not arrive")}


@dataclass(frozen=True, slots=True)
class GivenRow:
    """One disclosure."""

    at: datetime
    recipient: str
    address: str
    what: str
    purpose: str
    ground: str
    abroad: str
    state: tuple[str, str]


@dataclass(frozen=True, slots=True)
class GivenPage:
    """The accounting of six years."""

    organisation: str
    rows: tuple[GivenRow, ...]


class GivenPages:
    """Handlers for the accounting.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def given(self, http_request: Request) -> Response:
        """Everything that was disclosed about the patient in six years."""
        visitor, actor = await self._desk.signed_in(http_request, "patient")
        permit = await self._desk.permit(actor, "see_log", of_subject(actor), OWN)
        assert actor.subject_id is not None
        held = await self._desk.rooms.exchange.accounting(permit, actor.subject_id)
        view = GivenPage(actor.organisation, tuple(_row(each) for each in held))
        return await self._desk.page(
            http_request, visitor, "Given to others", Page("patient/given.html", view), here="/looked", permit=permit,
            recorded=RECORDED,
        )  # fmt: skip


def _row(held: Accounted) -> GivenRow:
    abroad = f"to {held.country} on {held.instrument}" if held.instrument else ""
    return GivenRow(
        at=held.at,
        recipient=held.recipient or "a recipient whose name can no longer be read",
        address=held.address,
        what=held.what,
        purpose=words.purpose(held.purpose),
        ground=said(held.kind),
        abroad=abroad,
        state=STATES[held.state],
    )
