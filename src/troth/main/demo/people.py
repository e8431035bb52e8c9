"""The people of the story, for a look around after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from uuid import UUID

from troth.kit import clock
from troth.main.demo.cast import houses, operator_house
from troth.main.demo.visit import Visitor, code_shown, holds
from troth.main.first_start import FOUNDERS, founder_address, permit_for
from troth.main.wiring import Rooms
from troth.people import Organisation, User
from troth.policy import Permit, Target


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who works in an organisation of the story.

    Attributes:
        title: What they are there.
        by: Who of the founding pair lets them in: one alone, where the notice lets one, or both.
        runs_service: They work for whoever runs the service, and not for the hospital.
    """

    title: str
    role: str
    name: str
    email: str
    by: tuple[int, ...] = (0, 1)
    runs_service: bool = False


CLINICIAN = Member("clinician", "clinician", "Dr B. Specimen", "b.specimen@example-hospital.invalid")
OTHER_CLINICIAN = Member("clinician", "clinician", "Dr D. Mock", "d.mock@sample-clinic.invalid")
OFFICER = Member("privacy office", "office", "E. Fixture", "e.fixture@example-hospital.invalid")
# Each was let in by another of the founding pair: so neither of them, nor anybody above, holds both.
ADMINISTRATOR = Member("administrator", "admin", "F. Template", "f.template@example-hospital.invalid", (0,))
SECOND = Member("second administrator", "admin", "G. Stencil", "g.stencil@example-hospital.invalid", (1,))
PROPOSER = Member("privacy office", "office", "H. Pattern", "h.pattern@service.invalid", runs_service=True)
AGREER = Member("privacy office", "office", "K. Dummy", "k.dummy@service.invalid", runs_service=True)
PATIENT = "a.doe@example.invalid"
"""Where the patient of the story gets mail."""

READ = "Read a study"
LOOKED = "See who looked; ask for a copy, or to be erased"
JOBS: tuple[tuple[str, tuple[Member, ...]], ...] = (
    (READ, (CLINICIAN,)),
    (LOOKED, ()),
    ("Answer what is asked", (OFFICER,)),
    ("Let a colleague in: one invites, the other approves", (ADMINISTRATOR, SECOND)),
    ("Change the notice: one proposes, the other agrees", (PROPOSER, AGREER)),
)
"""What there is to do here, and who does it."""


def jobs(rooms: Rooms) -> list[tuple[str, tuple[Member, ...]]]:
    """Those that the notices in force have: without a use for scans there is no patient, and nothing to read."""
    return [job for job in JOBS if has_scans(rooms) or job[0] not in (READ, LOOKED)]


def addresses(rooms: Rooms) -> list[str]:
    """Where those whom the notices let in here get mail."""
    staff = [member.email for _, members in jobs(rooms) for member in members]
    return [*staff, PATIENT] if has_scans(rooms) else staff


def has_scans(rooms: Rooms) -> bool:
    """Whether a notice in force has a use for scans; else there is no patient here, and nothing for a clinician."""
    return "care" in rooms.compiled.purposes


async def house_of(rooms: Rooms, member: Member) -> Organisation:
    """Where somebody of the hospital, or of whoever runs the service, works."""
    settings = rooms.settings
    return await rooms.people.organisation_named(
        operator_house(settings) if member.runs_service else houses(settings)[0]
    )


class Cast:
    """Those who work in the organisations of the story: let in at the pages, by those whose part it is.

    Args:
        rooms: Of the demo.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._pairs: dict[UUID, list[Visitor]] = {}
        self._enrolled: list[tuple[UUID, UUID]] = []

    async def joined(self, place: Organisation, member: Member) -> User:
        """A member of an organisation; who is not yet is let in by its founding pair, and accepts at the page.

        Raises:
            DoesNotHold: They do not get in.
        """
        known = await self._members(place)
        if member.email not in known:
            pair = self._pairs.setdefault(place.id, [])
            for _, mailbox in FOUNDERS[len(pair) :]:
                pair.append(await self.signed_in(place, known[founder_address(place.name, mailbox)]))
            link = await self._invited([pair[each] for each in member.by], member)
            guest = Visitor(self._rooms.settings.http_url)
            try:
                await guest.open(link)
                await guest.press("Accept", place="here", agreed="yes")
            finally:
                await guest.close()
            known = await self._members(place)
        holds(member.email in known, f"{member.name} is let in at {place.name}")
        return known[member.email]

    async def signed_in(self, place: Organisation, user: User) -> Visitor:
        """A member at the pages, who has just set up an app for codes.

        Raises:
            DoesNotHold: The link alone let in, or the app did not.
        """
        visitor = Visitor(self._rooms.settings.http_url)
        await visitor.open(await self._rooms.people.issue_sign_in_link(await _inside(self._rooms, place), user.id))
        await visitor.press("Sign in")
        refused = await visitor.client.get("/studies", follow_redirects=False)
        holds(refused.headers.get("location") == "/second-step", "a link alone opens nothing")
        await visitor.open("/second-step")
        await visitor.press("Turn on", code=code_shown(visitor.text, clock.now()))
        self._enrolled.append((place.id, user.id))
        holds("Save your recovery codes" in visitor.text, f"{user.name} sets up an app for codes and is signed in")
        await visitor.press("Finish")
        return visitor

    async def complete(self) -> None:
        """Let in whoever has a job after the story; and take the story's apps for codes away, which nobody has.

        Once, at its end: who looks around sets up an app of their own, and keeps it.
        """
        for _, members in jobs(self._rooms):
            for member in members:
                await self.joined(await house_of(self._rooms, member), member)
        for place, user in self._enrolled:
            permit = await permit_for(self._rooms, "administer", Target("organisation", place, place))
            await self._rooms.people.reset_by_operator(permit, user)

    async def close(self) -> None:
        """Let the founding pairs go."""
        for pair in self._pairs.values():
            for visitor in pair:
                await visitor.close()

    async def _members(self, place: Organisation) -> dict[str, User]:
        users = await self._rooms.people.users(await _inside(self._rooms, place))
        return {user.email: user for user in users if user.is_active}

    async def _invited(self, by: Sequence[Visitor], member: Member) -> str:
        """One invites, and where it takes two, the other approves; returns the link that is mailed."""
        before = _mails(self._rooms)
        await by[0].open("/admin")
        await by[0].press("Invite", name=member.name, email=member.email, role=member.role)
        for second in by[1:]:
            await second.open("/admin")
            await second.press(f"Approve {member.name}")
        await self._rooms.people.settled()
        link = _link_mailed(self._rooms, before, member.email, "invitation")
        holds(bool(link), f"the invitation of {member.name} lies in the outbox")
        return link


async def _inside(rooms: Rooms, place: Organisation) -> Permit:
    return await permit_for(rooms, "administer", Target("organisation", place.id, place.id))


async def one_time_links(rooms: Rooms) -> list[tuple[str, list[tuple[str, str]]]]:
    """A sign-in link for each, that works once, for 15 minutes.

    Returns:
        Each job, with who does it and their link.
    """
    given = []
    for job, members in jobs(rooms):
        links = []
        for member in members:
            place = await house_of(rooms, member)
            permit = await _inside(rooms, place)
            for user in await rooms.people.users(permit):
                if user.email == member.email and user.is_active:
                    link = await rooms.people.issue_sign_in_link(permit, user.id)
                    links.append((f"{member.name}, {member.title} of {place.name}", link))
        if job == LOOKED and (link := await _patient_link(rooms)):
            links.append(("A. Doe, patient", link))
        given.append((job, links))
    return given


async def _patient_link(rooms: Rooms) -> str:
    """The link that is mailed to the patient; empty where mails are sent."""
    before = _mails(rooms)
    await rooms.people.start_sign_in(PATIENT, "127.0.0.1")
    await rooms.people.settled()
    return _link_mailed(rooms, before, PATIENT, "sign-in")


def _mails(rooms: Rooms) -> set[Path]:
    """What lies in the folder of the demo's mails."""
    return set((rooms.settings.data_dir / "outbox").glob("**/*.eml"))


def _link_mailed(rooms: Rooms, before: set[Path], to: str, door: str) -> str:
    """The link to a door in a mail to somebody that was not there before; empty where none is."""
    for file in _mails(rooms) - before:
        mail = message_from_bytes(file.read_bytes(), policy=policy.default)
        if to in str(mail["To"]) and (found := re.search(rf"\S+/{door}/[\w-]+", mail.get_content())):
            return found[0]
    return ""
