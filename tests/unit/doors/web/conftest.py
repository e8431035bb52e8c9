from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.common.arrivals import come_in
from tests.common.servers import ServedDatabase
from tests.unit.archive.rooms import instance
from troth.doors import web
from troth.ledger import HeadFile, Sequencer
from troth.main.first_start import permit_for
from troth.main.settings import Settings
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.people import Organisation, User
from troth.policy import Target
from troth.vault import Keyring

NOTICE = Path(__file__).parents[4] / "notices" / "imaging-cloud" / "notice.yaml"
ORIGIN = "http://localhost:8080"
NEW, OLD, CHEST = "1.2.826.1", "1.2.826.2", "1.2.826.3"


@dataclass
class House:
    """The pages over real rooms, with one hospital, its people and one patient's studies."""

    rooms: Rooms
    app: Any
    hospital: Organisation
    clinic: Organisation
    outbox: Path
    staff: dict[str, User] = field(default_factory=dict)
    studies: dict[str, UUID] = field(default_factory=dict)
    subject_id: UUID = field(default_factory=lambda: UUID(int=0))

    def client(self, session: str = "", **headers: str) -> httpx.AsyncClient:
        cookies = {"troth_session": session} if session else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        given = {"Sec-Fetch-Site": "same-origin", **headers}
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=cookies, headers=given)

    async def session_of(self, name: str) -> str:
        """Sign in as a member of staff with a one-time link."""
        user = self.staff[name]
        place = Target("organisation", user.tenant, user.tenant)
        link = await self.rooms.people.issue_sign_in_link(await permit_for(self.rooms, "administer", place), user.id)
        return (await come_in(self.rooms.people, link.rpartition("/")[2])).token

    async def session_of_patient(self) -> str:
        """Invite, match and sign in the patient."""
        target = Target("subject", self.subject_id, self.hospital.id, self.subject_id)
        people = self.rooms.people
        made = await people.invite_subject(
            await permit_for(self.rooms, "invite", target), self.subject_id, "j@x.example"
        )
        born = (await people.subject(self.hospital, self.subject_id)).demographics.birth_date
        session = await people.register_subject(made.secret, "James Miller", born, made.code, "", "127.0.0.1")
        return session.token

    async def sequence(self) -> None:
        """Let the ledger give numbers to what was written."""
        sequencer = Sequencer(self.rooms.dsn_sequencer, self.rooms.keyring, head=HeadFile(self.rooms.settings.data_dir))
        await sequencer.drain()
        await sequencer.close()

    async def looked(self) -> None:
        """Let our own programs look at the promises."""
        await self.sequence()
        await self.rooms.runs.run()

    def mails(self) -> list[str]:
        """Texts of the mails sent so far, oldest first."""
        files = sorted(self.outbox.glob("**/*.eml"))
        return [message_from_bytes(file.read_bytes(), policy=policy.default).get_content() for file in files]


def token_in(page: str) -> str:
    """The proof a form carries."""
    found = re.search(r'name="token" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


def unmasked(page: str) -> str:
    """A page as it is but for the mask of its form tokens, which is another one each time."""
    return re.sub(r'(name="token" value=")[0-9a-f]+', r"\1", page)


@pytest.fixture(scope="module")
async def house(database: ServedDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    settings = Settings(tmp_path_factory.mktemp("web"), notice=(NOTICE,))
    Keyring.open(settings.data_dir / "keys", create=True)
    rooms = open_rooms(settings, database, load_notices(settings))  # type: ignore[arg-type]
    permit = await permit_for(rooms, "publish_notice", Target("notice"))
    for notice in load_notices(settings):
        await rooms.notices.put_in_force(permit, notice)
    founding = await permit_for(rooms, "administer", Target("platform"))
    hospital = await rooms.people.add_organisation(founding, "Example Hospital")
    clinic = await rooms.people.add_organisation(founding, "Sample Clinic")
    made = House(rooms, web.create(rooms), hospital, clinic, settings.data_dir / "outbox")
    for place, name, role in (
        (hospital, "D. Admin", "admin"),
        (hospital, "S. Econd", "admin"),
        (hospital, "Dr B. Specimen", "clinician"),
        (hospital, "E. Fixture", "office"),
        (clinic, "Dr D. Mock", "clinician"),
    ):
        inside = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
        email = name.lower().replace(" ", "") + "@x.example"
        made.staff[name] = await rooms.people.add_user(inside, place.id, email, name, role)
    await _fill(made)
    yield made
    await rooms.close()


async def _fill(house: House) -> None:
    rooms, place = house.rooms, house.hospital
    inside = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
    await rooms.people.add_peer(inside, place.id, "CT1", "127.0.0.1", 11113)
    peer = await rooms.people.actor_of_peer("CT1", "TROTH", "127.0.0.1")
    assert peer is not None
    permit = await rooms.policy.require(peer, "store", Target("organisation", place.id, place.id), "care")
    received = []
    for content in (
        instance(StudyInstanceUID=NEW, StudyDate="20261114", StudyDescription="CT head"),
        instance(StudyInstanceUID=OLD, StudyDate="20050506", StudyDescription="CT chest, old"),
        instance(
            StudyInstanceUID=CHEST, StudyDate="20261101", Modality="CR", PatientID="P-9", PatientName="Sample^Anna",
            StudyDescription="Chest, two views", AccessionNumber="ACC-99", PatientBirthDate="19800304",
        ),
    ):  # fmt: skip
        receiver = rooms.archive.receiver(None)
        receiver.feed(content)
        received.append(receiver.finish())
    outcomes = await rooms.archive.store(permit, received)
    assert [outcome.state for outcome in outcomes] == ["stored"] * 3
    for uid in (NEW, OLD, CHEST):
        target = await rooms.archive.target(peer, uid)
        assert target.id is not None
        assert target.subject_id is not None
        house.studies[uid] = target.id
        if uid == NEW:
            house.subject_id = target.subject_id
