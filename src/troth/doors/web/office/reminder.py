"""The daily mail to a privacy officer about what waits: how many of what, and where; nobody is named in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from troth.doors.web import words
from troth.doors.web.desk import Desk
from troth.doors.web.office.dues import OFFICE, dues
from troth.doors.web.office.waiting import KINDS
from troth.doors.web.ports import Rooms
from troth.kit import clock
from troth.people import User
from troth.policy import Permit

ROLE: Final = OFFICE
TITLE: Final = "Something is waiting for the privacy office"
_TEXT: Final = """\
At {organisation}, {total} waiting for the privacy office:

{counts}

{clocks}
See them, by due date: {href}

This mail names nobody. It comes once a day at most, and only while something is waiting. To turn it off, go to the foot
of that page.
"""


async def text_for(rooms: Rooms, permit: Permit, organisation: str, officer: User) -> str:
    """What to tell a privacy officer today; empty where nothing waits for them.

    Nobody acts in their name without a session: what waits is counted by the rooms, which open nothing for it.

    Args:
        rooms: Of this process.
        permit: To `administer` their organisation.
        organisation: Its name.
        officer: Who is told, by their own clock: what they proposed themselves waits for another.
    """
    version = await Desk(rooms).version()
    words.read_in(version.notice.zone if version is not None else UTC, officer.zone)
    operates = any(each.operates and each.id == permit.tenant for each in await rooms.people.organisations())

    async def allowed(action: str) -> Permit | None:
        is_theirs = rooms.policy.grants(ROLE, action) and (operates or action != "publish_notice")
        return permit if is_theirs else None

    waits = await dues(rooms, allowed, officer.id, version)
    return text_of(waits, organisation, f"{rooms.settings.http_url}/office") if any(waits.values()) else ""


def text_of(waits: Mapping[str, Sequence[datetime | None]], organisation: str, href: str) -> str:
    """The text of the mail.

    Args:
        waits: When the clock of each thing that waits runs out, by kind; None where it has no clock.
        organisation: Whose office it is.
        href: Where it waits.
    """
    now = clock.now()
    clocks = [due for each in waits.values() for due in each if due is not None]
    late = sum(due < now for due in clocks)
    ahead = [due for due in clocks if due >= now]
    said = [f"{words.counted(late, 'clock has', 'clocks have')} run out."] if late else []
    if ahead:
        said.append(f"The next clock runs out on {words.moment(min(ahead))}, {words.time_of_zone()}.")
    return _TEXT.format(
        organisation=organisation,
        total=words.counted(sum(map(len, waits.values())), "item is", "items are"),
        counts="\n".join(f"  {KINDS[kind]}: {words.number(len(waits[kind]))}" for kind in KINDS if waits.get(kind)),
        clocks=" ".join(said) or "No clock is running.",
        href=href,
    )
