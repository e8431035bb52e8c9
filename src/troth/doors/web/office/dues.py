"""What waits for the privacy office, counted: for the navigation of its pages and for the daily mail, in one way."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, time
from typing import Final
from uuid import UUID

from troth.doors.web import words
from troth.doors.web.ports import Rooms
from troth.notice import NoticeVersion
from troth.policy import Permit

OFFICE: Final = "office"

Allowed = Callable[[str], Awaitable[Permit | None]]
"""The permit for a kind of work of the office; None where the notice does not give it to this office."""


async def dues(
    rooms: Rooms, allowed: Allowed, account_id: UUID, version: NoticeVersion | None
) -> dict[str, Sequence[datetime | None]]:
    """When the clock of each thing that waits runs out, by kind; None where it has no clock.

    The rooms count, which open nothing for it and name nobody.

    Args:
        rooms: What the platform gives the pages.
        allowed: What this office may do.
        account_id: For whom it waits: what they proposed or did themselves waits for another.
        version: The notice in force, for the clocks.
    """
    found: dict[str, Sequence[datetime | None]] = {}
    if permit := await allowed("see_request"):
        found["requests"] = await rooms.rights.waits(permit)
    if permit := await allowed("decide_request"):
        objections, proposals = await rooms.choices.waits(permit)
        found["objections"] = [objection_due(version, made_at) for made_at in objections]
        found["proposals"] = [None] * proposals
    if permit := await allowed("review"):
        found["emergencies"] = [None] * await rooms.assignments.waits(permit, account_id)
    if permit := await allowed("hold"):
        found["holds"] = [end_of(day) for day in await rooms.lifecycle.waits(permit)]
    if permit := await allowed("invite"):
        found["people"] = [None] * await rooms.people.waits(permit, account_id)
    if permit := await allowed("publish_notice"):
        found["promises"] = [None] * len(await rooms.breaches.waits(permit, account_id))
        waiting = [each for each in await rooms.proposals.all() if each.is_open and each.proposed_by != account_id]
        found["notice"] = [None] * len(waiting)
    return found


def objection_due(version: NoticeVersion | None, made_at: datetime) -> datetime | None:
    """When the clock of an objection runs out; None where the notice in force sets it none."""
    if version is None:
        return None
    with contextlib.suppress(KeyError):
        return version.notice.right("object").due_at(made_at)
    return None


def end_of(day: date) -> datetime:
    """The last second of a day where the notice counts days."""
    return datetime.combine(day, time(23, 59, 59), words.calendar())
