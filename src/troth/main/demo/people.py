"""The people of the story, for a look around after it."""

from __future__ import annotations

import re
from email import message_from_bytes, policy

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


def addresses(rooms: Rooms) -> list[str]:
    """Where those whom the notices let in here get mail."""
    staff = [email for _, role, _, email in STAFF if role != "clinician" or has_scans(rooms)]
    return [*staff, PATIENT] if has_scans(rooms) else staff


def has_scans(rooms: Rooms) -> bool:
    """Whether a notice in force has a use for scans; else there is no patient here, and nothing for a clinician."""
    return "care" in rooms.compiled.purposes


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
        if role == "clinician" and not has_scans(rooms):
            continue  # no notice here lets them see anything
        user = known.get(email) or await rooms.people.add_user(permit, place.id, email, name, role)
        if user.id in enrolled:  # the story's app for codes is not in your hand: set up one of your own
            await rooms.people.reset_by_operator(permit, user.id)
        links.append((f"{name}, {title}", await rooms.people.issue_sign_in_link(permit, user.id)))
    if has_scans(rooms) and (link := await _patient_link(rooms)):
        links.append(("A. Doe, patient", link))
    return links


async def _patient_link(rooms: Rooms) -> str:
    """The link that is mailed to the patient, out of the folder of the demo's mails; empty where they are sent."""
    outbox = rooms.settings.data_dir / "outbox"
    before = set(outbox.glob("**/*.eml"))
    await rooms.people.start_sign_in(PATIENT, "127.0.0.1")
    await rooms.people.settled()
    for file in set(outbox.glob("**/*.eml")) - before:
        mail = message_from_bytes(file.read_bytes(), policy=policy.default)
        if PATIENT in str(mail["To"]) and (found := re.search(r"\S+/sign-in/[\w-]+", mail.get_content())):
            return found[0]
    return ""
