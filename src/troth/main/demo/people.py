"""The people of the story, for a look around after it."""

from __future__ import annotations

from troth.main.demo.cast import houses
from troth.main.first_start import permit_for
from troth.main.wiring import Rooms
from troth.policy import Target

STAFF = (
    ("clinician", "clinician", "Dr B. Specimen", "b.specimen@example-hospital.invalid"),
    ("privacy office", "office", "E. Fixture", "e.fixture@example-hospital.invalid"),
    ("administrator", "admin", "F. Template", "f.template@example-hospital.invalid"),
)
PATIENT = "a.doe@example.invalid"
"""Where the patient of the story gets mail."""


async def one_time_links(rooms: Rooms) -> list[tuple[str, str]]:
    """A sign-in link for each, that works once, for 15 minutes.

    Returns:
        Who, and the link.
    """
    place = await rooms.people.organisation_named(houses(rooms.settings)[0])
    permit = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
    links = []
    enrolled = await rooms.people.forms_of_members(permit)
    known = {user.email: user for user in await rooms.people.users(permit)}
    for title, role, name, email in STAFF:
        user = known.get(email) or await rooms.people.add_user(permit, place.id, email, name, role)
        if user.id in enrolled:  # the story's app for codes is not in your hand: set up one of your own
            await rooms.people.reset_by_operator(permit, user.id)
        links.append((f"{name}, {title}", await rooms.people.issue_sign_in_link(permit, user.id)))
    return links
