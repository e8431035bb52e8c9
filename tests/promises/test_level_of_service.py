"""What an imaging cloud holds for a hospital is what its level of service has; the rest is refused, nothing lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from tests.common.deployment import Deployment, Held, OpenDeployment
from tests.common.programs import program
from troth.dicom import specimens
from troth.doors import dimse
from troth.kit.errors import NotFound
from troth.people import FieldMalformed, Organisation
from troth.policy import Target

PART = "orders, worklist and reports"
MODALITY = "LEVEL_CT"


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture
async def listener(place: Deployment) -> AsyncIterator[int]:
    door = dimse.create(place.rooms)
    await door.start("127.0.0.1", 0)
    yield door.port
    await door.stop()


async def subscribed(place: Deployment, house: Organisation, level: str) -> bool:
    """What `troth admin organisation level NAME LEVEL` does."""
    permit = await place.operator_permit("administer", Target("organisation", house.id, house.id))
    return await place.rooms.people.set_level(permit, house.id, level, place.rooms.policy.compiled.levels)


def drawn(number: str) -> specimens.Study:
    return specimens.Study(
        f"L-{number}", "Specimen^Level", date(1970, 1, 1), "O", date(2026, 11, 1), f"A-L-{number}", "CT head"
    )


async def storescu(place: Deployment, port: int, folder: Path, files: list[bytes], title: str) -> tuple[int, str]:
    """Send files with dcmtk's storescu: how it ended, and what it said."""
    paths = [folder / f"{number}.dcm" for number in range(len(files))]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file)
    sender = await asyncio.create_subprocess_exec(
        program("storescu"), "-v", "-R", "-aet", title, "-aec", place.rooms.settings.ae, "127.0.0.1", str(port),
        *map(str, paths), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await sender.communicate()
    assert sender.returncode is not None
    return sender.returncode, said.decode()


def found_by(port: int, ae: str, title: str) -> tuple[int, str, int]:
    """Search for all studies as a machine does: last status, its comment, matches."""
    entity = AE(ae_title=title)
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title=ae)
    assert association.is_established
    from pydicom.dataset import Dataset

    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = ""
    answers = list(association.send_c_find(identifier, StudyRootQueryRetrieveInformationModelFind))
    association.release()
    last = answers[-1][0]
    return last.Status, str(last.get("ErrorComment", "")), len(answers) - 1


@pytest.mark.promise("IC-12", shows="level", lacks=PART)
async def test_what_a_machine_stores_is_held_and_a_doctor_finds_and_opens_it(
    place: Deployment, listener: int, tmp_path: Path
) -> None:
    house = await place.organisation()
    await place.peer(MODALITY, house)
    study = drawn("1")
    code, said = await storescu(place, listener, tmp_path, specimens.phantom_ct(study, slices=3, size=16), MODALITY)
    assert code == 0, said
    doctor = await place.staff("clinician", house)
    page = (await doctor.web.get("/studies")).text
    assert "L-1" in page
    target = await place.rooms.archive.target(doctor.actor, study.uid())
    assert (await doctor.web.get(f"/studies/{target.id}/open")).status_code == 303
    answer = await doctor.viewer.get(f"/dicomweb/studies/{study.uid()}/metadata")
    assert len(answer.json()) == 3


@pytest.mark.promise("IC-12", shows="level", lacks=PART)
async def test_a_level_without_the_dicom_network_refuses_it_and_the_sender_can_retry(
    place: Deployment, listener: int, tmp_path: Path
) -> None:
    house = await place.organisation()
    title = "WEB_CT"
    await place.peer(title, house)
    study = drawn("2")
    files = specimens.phantom_ct(study, slices=2, size=16)
    doctor = await place.staff("clinician", house)
    ours = place.rooms.settings.ae

    assert await subscribed(place, house, "web")
    code, said = await storescu(place, listener, tmp_path, files, title)
    assert code != 0
    assert "Status: 0x124" in said, said
    assert (await place.rooms.archive.target(doctor.actor, study.uid())).id is None, "nothing is stored"
    assert not await place.ledgered(kind="archive:instances:stored", house=house)
    refused = await place.ledgered(kind="policy:access:refused", house=house)
    assert refused
    assert all("3.4" in event.clauses for event in refused)
    status, comment, matches = await asyncio.to_thread(found_by, listener, ours, title)
    assert (status, matches) == (0x0124, 0)
    assert "level of service" in comment
    # The same organisation's programs go on by the web.
    stored = await place.study(house)
    assert stored.house == house

    assert await subscribed(place, house, "full")
    code, said = await storescu(place, listener, tmp_path, files, title)
    assert code == 0, said
    assert (await place.rooms.archive.target(doctor.actor, study.uid())).id is not None
    status, _, matches = await asyncio.to_thread(found_by, listener, ours, title)
    assert (status, matches) == (0, 2)


@pytest.mark.promise("IC-12", shows="level", lacks=PART)
async def test_a_change_of_level_is_felt_on_an_open_association_within_a_second(
    place: Deployment, listener: int
) -> None:
    house = await place.organisation()
    await place.peer("OPEN_CT", house)
    files = specimens.phantom_ct(drawn("3"), slices=2, size=16)

    def opened() -> object:
        entity = AE(ae_title="OPEN_CT")
        entity.add_requested_context("1.2.840.10008.5.1.4.1.1.2", ExplicitVRLittleEndian)
        return entity.associate("127.0.0.1", listener, ae_title=place.rooms.settings.ae)

    def sent(association: object, file: bytes) -> int:
        import io

        import pydicom

        return association.send_c_store(pydicom.dcmread(io.BytesIO(file))).Status  # type: ignore[attr-defined, no-any-return]

    association = await asyncio.to_thread(opened)
    assert await asyncio.to_thread(sent, association, files[0]) == 0
    await subscribed(place, house, "web")
    began = time.monotonic()
    await asyncio.sleep(1.0)
    assert await asyncio.to_thread(sent, association, files[1]) == 0x0124
    assert time.monotonic() - began < 2
    await subscribed(place, house, "archive")
    assert await asyncio.to_thread(sent, association, files[1]) == 0
    await asyncio.to_thread(association.release)  # type: ignore[attr-defined]


@pytest.mark.promise("IC-12", shows="level", lacks=PART)
async def test_each_other_service_is_closed_by_a_level_without_it(place: Deployment) -> None:
    house = await place.organisation()
    held: Held = await place.study(house)
    patient = await place.patient(held)
    doctor = await place.staff("clinician", house)
    program_of_house = await place.bearer("peer", "care", house)
    search, uri = "/dicomweb/studies", f"/dicomweb/studies/{held.uid}/metadata"

    async def statuses() -> list[int]:
        await asyncio.sleep(1.0)
        return [
            (await program_of_house.web.get(search)).status_code,
            (await program_of_house.web.get(uri)).status_code,
            (await program_of_house.web.get("/api/changes")).status_code,
            (await patient.web.get(f"/scans/{held.id}")).status_code,
            (await patient.viewer.get(uri)).status_code,
            (await doctor.viewer.get(uri)).status_code,
        ]

    assert await statuses() == [200, 200, 200, 200, 200, 200]
    await subscribed(place, house, "archive")
    assert await statuses() == [200, 200, 200, 403, 404, 200]
    assert "your hospital shows them to you" in (await patient.web.get(f"/scans/{held.id}")).text
    assert (await patient.web.get("/requests/new?right=access")).status_code == 200, (
        "what a person may ask is no matter of level"
    )
    await subscribed(place, house, "web")
    assert await statuses() == [200, 200, 403, 200, 200, 200]
    told = (await program_of_house.web.get("/api/changes")).json()
    assert (told["type"], told["status"]) == ("urn:troth:not-in-level", 403)
    assert "level of service" in told["detail"]
    # A level that no clause knows has nothing. The command takes none such; a notice can lose one.
    async with place.rooms.database.transaction(None) as connection:
        await connection.execute("update organisation set level = 'lost' where id = %s", (house.id,))
    assert await statuses() == [403, 404, 403, 403, 404, 200]
    again = await place.stow(specimens.phantom_ct(drawn("4"), slices=1, size=16), house, by=program_of_house)
    assert again.status_code == 403
    assert "clause 3.5" in again.text
    assert "send it again" in again.text


@pytest.mark.promise("IC-12", shows="level", lacks=PART)
async def test_the_level_is_in_the_ledger_and_on_the_page_and_not_for_the_house_to_choose(place: Deployment) -> None:
    house = await place.organisation()
    admin = await place.staff("admin", house)
    assert "Not included" not in (await admin.web.get("/admin/systems")).text
    assert await subscribed(place, house, "web")
    assert not await subscribed(place, house, "web"), "it has it already"
    page = (await admin.web.get("/admin/systems")).text
    assert page.count("Not included") == 2
    assert "over the DICOM network" in page
    [event] = await place.ledgered(kind="people:level:changed", house=house)
    assert event.payload is not None
    assert (event.payload["before"], event.payload["level"]) == ("full", "web")
    assert event.role == "operator"

    own = await place.rooms.policy.require(
        admin.actor, "administer", Target("organisation", house.id, house.id), "administration"
    )
    with pytest.raises(NotFound):
        await place.rooms.people.set_level(own, house.id, "full", place.rooms.policy.compiled.levels)
    with pytest.raises(FieldMalformed, match="archive, full, web"):
        await subscribed(place, house, "platinum")
    assert place.rooms.policy.compiled.levels == {"archive", "full", "web"}
