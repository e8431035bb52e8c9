"""Real rooms for tests of the archive: database, keyring, packs, ledger, people and the decisions of a real notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.common.servers import ServedDatabase
from troth import notice
from troth.archive import Archive, Outcome, Query
from troth.kit import clock, ids
from troth.kit.db import Database
from troth.kit.mail import Mail, MailSettings
from troth.ledger import Event, Ledger
from troth.people import Links, Organisation, People
from troth.policy import Actor, FactSet, Permit, Policy, Target
from troth.vault import Keyring, Packs

NOTICE = Path(__file__).parents[3] / "notices" / "imaging-cloud" / "notice.yaml"
CT = "1.2.840.10008.5.1.4.1.1.2"


@dataclass
class Moment:
    """The facts of this moment, as tests set them."""

    session_alive: bool = True

    async def about(self, actor: Actor, target: Target) -> FactSet:
        return FactSet(is_member=True, session_alive=self.session_alive, region="GB")


@dataclass
class Rooms:
    """What a door would get."""

    database: Database
    keyring: Keyring
    packs: Packs
    ledger: Ledger
    people: People
    policy: Policy
    archive: Archive
    moment: Moment
    hospital: Organisation
    other: Organisation
    refusals: list[Any] = field(default_factory=list)

    def actor(self, role: str, organisation: Organisation | None = None, subject_id: UUID | None = None) -> Actor:
        kind: Any = {"patient": "patient", "peer": "peer", "worker": "system"}.get(role, "user")
        house = organisation or self.hospital
        return Actor(kind, ids.uuid7(), house.id, role, subject_id, ids.uuid7(), f"A {role}", house.name)

    async def may_store(self, organisation: Organisation | None = None) -> Permit:
        house = organisation or self.hospital
        target = Target("organisation", house.id, house.id)
        return await self.policy.require(self.actor("peer", house), "store", target, "care")

    async def may_query(self, organisation: Organisation | None = None) -> Permit:
        house = organisation or self.hospital
        target = Target("organisation", house.id, house.id)
        return await self.policy.require(self.actor("clinician", house), "query", target, "diagnosis")

    async def may_open(self, study_uid: str, actor: Actor | None = None) -> Permit:
        who = actor or self.actor("clinician")
        purpose = "own_access" if who.kind == "patient" else "diagnosis"
        return await self.policy.require(who, "retrieve", await self.archive.target(who, study_uid), purpose)

    async def may_rectify(self, study_id: UUID, actor: Actor | None = None) -> Permit:
        """As the privacy office gets it."""
        who = actor or self.actor("office")
        target = await self.archive.target_of(who, study_id)
        return await self.policy.require(who, "rectify", target, "rights")

    def may_erase(self, study_id: UUID | None, subject_id: UUID) -> Permit:
        """A permit as `rights` gets it for a request; tests stand in for the request here."""
        worker = self.actor("worker")
        kind = "study" if study_id else "subject"
        target = Target(kind, study_id or subject_id, self.hospital.id, subject_id)
        now = clock.now()
        return Permit(worker, "erase", target, "rights", ("9.2",), "", "test", ids.uuid7(), now, now + 5 * MINUTE)

    async def store(self, *files: bytes, organisation: Organisation | None = None) -> list[Outcome]:
        received = []
        for content in files:
            receiver = self.archive.receiver(None)
            for start in range(0, len(content), 100_000):
                receiver.feed(content[start : start + 100_000])
            received.append(receiver.finish())
        return await self.archive.store(await self.may_store(organisation), received)

    async def find(self, query: Query, organisation: Organisation | None = None) -> list[str]:
        page = await self.archive.query(await self.may_query(organisation), query)
        return [found.study.study_uid for found in page.found]

    async def events(self, kind: str, organisation: Organisation | None = None) -> list[Event]:
        async with self.database.transaction(organisation or self.hospital) as connection:
            return await self.ledger.latest(connection, kinds=[kind], limit=100)


MINUTE = timedelta(minutes=1)


async def open_rooms(database: ServedDatabase, keyring: Keyring, folder: Path) -> Rooms:
    """The rooms over one database, with two organisations."""
    ledger = Ledger(keyring)
    packs = Packs(folder / "packs")
    mail = Mail(MailSettings(outbox=folder / "outbox"))
    people = People(database, keyring, ledger, mail, links=Links("http://127.0.0.1"))
    moment = Moment()
    policy = Policy(notice.compile([notice.load(NOTICE)]), moment)
    archive = Archive(database, keyring, packs, people, ledger, policy)
    now = clock.now()
    system = Actor("system", role="admin")
    permit = Permit(
        system, "administer", Target("platform"), "administration", ("4.5",), "", "test", ids.uuid7(), now, now + MINUTE
    )
    hospital = await people.add_organisation(permit, f"Hospital {ids.code()}")
    other = await people.add_organisation(permit, f"Other {ids.code()}")
    return Rooms(database, keyring, packs, ledger, people, policy, archive, moment, hospital, other)


def instance(**attributes: Any) -> bytes:
    """A small CT instance as a file; every attribute may be said by keyword."""
    dataset = Dataset()
    dataset.SOPClassUID = CT
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.PatientName = "Miller^James"
    dataset.PatientID = "P-1"
    dataset.PatientBirthDate = "19700102"
    dataset.PatientSex = "M"
    dataset.StudyDate = "20240506"
    dataset.StudyTime = "101500"
    dataset.AccessionNumber = "ACC-77"
    dataset.ReferringPhysicianName = "House^Gregory"
    dataset.StudyDescription = "CT Chest with contrast"
    dataset.StudyID = "S1"
    dataset.SeriesDescription = "Axial"
    dataset.Modality = "CT"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.Rows, dataset.Columns = 16, 16
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = (np.arange(256, dtype="<u2") * 16).tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return to_file(dataset)


def to_file(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    dataset.file_meta = meta
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def real_files() -> Iterator[Path]:
    """The DICOM files of the pydicom wheel."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    return iter(sorted(folder.glob("*.dcm")))
