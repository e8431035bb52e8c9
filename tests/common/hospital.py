"""A hospital with one registered modality, over real rooms: for tests that come through the DICOM door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pydicom

from tests.common.arrivals import come_in
from tests.common.servers import ServedDatabase
from troth import notice
from troth.archive import Archive
from troth.kit import clock, ids
from troth.kit.mail import Mail, MailSettings
from troth.ledger import Event, Ledger
from troth.people import Links, Organisation, Peer, People, PeopleFacts
from troth.policy import Actor, Permit, Policy, Target
from troth.vault import Keyring, Packs

NOTICE = Path(__file__).parents[2] / "notices" / "imaging-cloud" / "notice.yaml"
MODALITY = "MODALITY"
OUR_AE = "TROTH"


@dataclass
class Hospital:
    """The rooms behind the listener, one organisation, its modality and a clinician."""

    database: ServedDatabase
    ledger: Ledger
    people: People
    policy: Policy
    archive: Archive
    organisation: Organisation
    modality: Peer
    clinician: Actor

    async def read(self, study_uid: str) -> dict[tuple[str, str], pydicom.Dataset]:
        """Open a study as the clinician: its instances by SOP Instance UID and transfer syntax."""
        target = await self.archive.target(self.clinician, study_uid)
        permit = await self.policy.require(self.clinician, "retrieve", target, "diagnosis")
        viewing = await self.archive.open_study(permit, study_uid)
        found: dict[tuple[str, str], pydicom.Dataset] = {}
        for record in await viewing.instances():
            octets = b"".join([chunk async for chunk in viewing.part10(record)])
            found[record.instance_uid, record.syntax] = pydicom.dcmread(BytesIO(octets))
        await viewing.close()
        return found

    async def is_held(self, study_uid: str) -> bool:
        """Whether there is such a study."""
        return (await self.archive.target(self.clinician, study_uid)).id is not None

    async def events(self, kind: str) -> list[Event]:
        """Entries of the ledger, newest first."""
        async with self.database.transaction(self.organisation) as connection:
            return await self.ledger.latest(connection, kinds=[kind], limit=1000)

    def permit(self, action: str, target: Target) -> Permit:
        """A permit of the operator; tests stand in for the command line here."""
        now = clock.now()
        operator = Actor("system", None, target.tenant, "operator")
        until = now + timedelta(minutes=5)
        return Permit(operator, action, target, "administration", ("4.5",), "", "test", ids.uuid7(), now, until)


async def open_hospital(database: ServedDatabase, keyring: Keyring, folder: Path) -> Hospital:
    """Real rooms over one database, with one organisation.

    Args:
        database: A fresh one.
        keyring: Its keys.
        folder: For packs and mails.
    """
    ledger = Ledger(keyring)
    database.at_end = ledger.bind_rest
    people = People(
        database, keyring, ledger, Mail(MailSettings(outbox=folder / "outbox")), links=Links("http://127.0.0.1")
    )
    policy = Policy(notice.compile([notice.load(NOTICE)]), PeopleFacts(database, keyring))
    archive = Archive(database, keyring, Packs(folder / "packs"), people, ledger, policy)
    hospital = Hospital(database, ledger, people, policy, archive, None, None, None)  # type: ignore[arg-type]
    house = await people.add_organisation(hospital.permit("administer", Target("platform")), f"Hospital {ids.code()}")
    inside = hospital.permit("administer", Target("organisation", house.id, house.id))
    hospital.organisation = house
    hospital.modality = await people.add_peer(inside, house.id, MODALITY, "127.0.0.1", 104, called_ae=OUR_AE)
    user = await people.add_user(inside, house.id, "clinician@example.org", "Dr C. Linician", "clinician")
    link = await people.issue_sign_in_link(inside, user.id)
    hospital.clinician = (await come_in(people, link.rsplit("/", 1)[1])).actor
    return hospital
