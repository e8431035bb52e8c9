"""Putting right what a study says of its patient (GDPR Art. 16): on a page, felt at every door."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from email import message_from_bytes
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from tests.common.programs import program
from troth.dicom import specimens
from troth.doors import dimse
from troth.kit import clock, ids
from troth.vault.segments import Place

pytestmark = pytest.mark.promise("IC-19", shows="corrected", lacks="sharing")
JSON = {"Accept": "application/dicom+json"}


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def machine(cloud: Deployment) -> AsyncIterator[int]:
    """Port of the DICOM listener, where the machine READER is registered."""
    await cloud.peer("READER")
    listener = dimse.create(cloud.rooms, dimse.Limits(drain_seconds=1.0))
    await listener.start("127.0.0.1", 0)
    yield listener.port
    await listener.stop()


async def found_by(reader: Person, **keys: str) -> list[str]:
    answer = await reader.web.get("/dicomweb/studies", params=keys, headers=JSON)
    return [one["0020000D"]["Value"][0] for one in answer.json()] if answer.status_code == 200 else []


def found_over_the_network(port: int, **keys: str) -> list[tuple[str, str]]:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    for keyword, value in {"StudyInstanceUID": "", "PatientName": "", **keys}.items():
        setattr(identifier, keyword, value)
    ae = AE("READER")
    ae.add_requested_context(Find)
    association = ae.associate("127.0.0.1", port, ae_title="TROTH")
    assert association.is_established
    try:
        answers = association.send_c_find(identifier, Find)
        return [(one.StudyInstanceUID, str(one.PatientName)) for _, one in answers if one is not None]
    finally:
        association.release()


async def files_of(reader: Person, held: Held) -> list[pydicom.Dataset]:
    """Every instance of a study by WADO-RS."""
    answer = await reader.web.get(
        f"/dicomweb/studies/{held.uid}", headers={"Accept": 'multipart/related; type="application/dicom"'}
    )
    assert answer.status_code == 200, answer.text
    head = b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n"
    parts = message_from_bytes(head + answer.content).get_payload()
    assert isinstance(parts, list)
    return [pydicom.dcmread(BytesIO(part.get_payload(decode=True))) for part in parts]  # type: ignore[union-attr,arg-type]


async def heads(place: Deployment, held: Held) -> list[bytes]:
    async with place.rooms.database.transaction(held.house) as connection:
        cursor = await connection.execute(
            "select i.head_locator from instance i join series r on r.id = i.series_id where r.study_id = %s",
            (held.id,),
        )
        return [bytes(row["head_locator"]) for row in await cursor.fetchall()]


def on_disk(place: Deployment, locator: bytes) -> bytes:
    found = b""
    for pack_id, offset, length in Place.decode(locator).extents:
        with (place.rooms.packs.folder.path / f"{pack_id.hex()}.pack").open("rb") as file:
            file.seek(offset)
            found += file.read(length)
    return found


def faults(folder: Path, dataset: pydicom.Dataset) -> set[str]:
    file = folder / "one.dcm"
    dataset.save_as(file)
    told = subprocess.run(
        [program("dciodvfy"), str(file)], capture_output=True, text=True, errors="replace", timeout=60
    )
    return {line for line in told.stderr.splitlines() if line.startswith("Error")}


def form(page: str, **changed: str) -> dict[str, str]:
    """The form as the page shows it, with something typed."""
    fields = dict(re.findall(r'<input class="form-control" id="(\w+)" name="\1" type="\w+" value="([^"]*)"', page))
    return {**fields, **changed}


def seen(page: str) -> str:
    """What is read on a page, wherever a line may break."""
    return page.replace("<wbr>", "")


async def put_right(person: Person, held: Held, **changed: str) -> Any:
    """As somebody does it: the form, what would change, done."""
    path = f"/studies/{held.id}/correct"
    fields = form((await person.web.get(path)).text, **changed)
    looked = await person.post(path, fields)
    assert looked.status_code == 200, looked.text
    assert "What will change" in looked.text
    done = await person.post(path, {**fields, "sure": "yes"})
    return seen(looked.text), done


async def test_what_is_put_right_is_right_at_every_door(cloud: Deployment, machine: int, tmp_path: Path) -> None:
    wrong, right = f"Wrung{ids.code()}", f"Right{ids.code()}"
    held = await cloud.study(slices=3, name=f"{wrong}^Jame", description="CT head")
    control = await cloud.study(name=f"{wrong}^Jame")
    patient, office = await cloud.patient(held), await cloud.staff("office")
    reader, doctor = await cloud.bearer("clinician", "care"), await cloud.staff("clinician")
    before, old = await files_of(reader, held), await heads(cloud, held)
    tag = (await reader.web.get(f"/dicomweb/studies/{held.uid}/metadata", headers=JSON)).headers["etag"]
    assert all(any(on_disk(cloud, locator)) for locator in old)

    listed = await office.post("/office/corrections", {"patient": held.made.patient_id, "issuer": "", "study": ""})
    assert f"/studies/{held.id}/correct" in listed.text
    looked, done = await put_right(office, held, name=f"{right}^James", born="1970-02-01", source="Register of Samples")
    assert "in 3 images" in looked
    assert f"{wrong}^Jame" in looked
    assert done.status_code == 303, done.text
    told = seen((await office.web.get(done.headers["location"])).text)
    assert "Corrected in 3 of 3 images" in told
    assert f"{wrong}^Jame" in told, "what was there before stands in the history"

    after = await files_of(reader, held)
    for one, was in zip(after, before, strict=True):
        assert one.SOPInstanceUID == was.SOPInstanceUID
        assert (str(one.PatientName), one.PatientBirthDate) == (f"{right}^James", "19700201")
        [original] = one.OriginalAttributesSequence
        [modified] = original.ModifiedAttributesSequence
        assert (str(modified.PatientName), modified.PatientBirthDate) == (f"{wrong}^Jame", "19700101")
        assert original.SourceOfPreviousValues == "Register of Samples"
        assert original.ReasonForTheAttributeModification == "CORRECT"
        assert original.AttributeModificationDateTime.endswith("+0000")
        assert one.PixelData == was.PixelData
        assert faults(tmp_path, one) <= faults(tmp_path, was)
    metadata = await reader.web.get(f"/dicomweb/studies/{held.uid}/metadata", headers={**JSON, "If-None-Match": tag})
    assert metadata.status_code == 200, "what was known before does not count any more"
    assert {one["00100010"]["Value"][0]["Alphabetic"] for one in metadata.json()} == {f"{right}^James"}

    for by, name in (("QIDO-RS", wrong), ("QIDO-RS", right)):
        expected = {held.uid} if name == right else {control.uid}
        assert set(await found_by(reader, PatientName=f"{name}*")) == expected, by
    assert await asyncio.to_thread(found_over_the_network, machine, PatientName=f"{right}*") == [
        (held.uid, f"{right}^James")
    ]
    assert [uid for uid, _ in await asyncio.to_thread(found_over_the_network, machine, PatientName=f"{wrong}*")] == [
        control.uid
    ]
    assert right in await doctor.searched(right)
    page = (await patient.web.get(f"/scans/{held.id}")).text
    assert wrong not in page

    assert not any(any(on_disk(cloud, locator)) for locator in old), "the old heads are gone"
    [event] = await cloud.ledgered(kind="archive:study:corrected", subject=held.subject_id)
    assert (event.actor_id, event.counts["instances"], event.study_id) == (office.actor.id, 3, held.id)
    assert event.payload is not None
    assert event.payload["attributes"] == ["PatientName", "PatientBirthDate"]
    assert not {wrong, right} & set(str(event.payload).replace("^", " ").split())
    assert "What the study says about the patient was put right" in (await patient.web.get("/looked")).text
    assert (await reader.web.get(f"/dicomweb/studies/{control.uid}/metadata", headers=JSON)).status_code == 200


async def test_what_the_sender_sends_again_or_later(cloud: Deployment) -> None:
    made = specimens.Study(
        patient_id=f"P-{ids.code()}", name="Wrung^Jo", birth_date=clock.today().replace(year=1980), sex="F",
        study_date=clock.today(), accession=ids.code(), description="CT knee",
    )  # fmt: skip
    files = specimens.phantom_ct(made, slices=3, size=16)
    assert (await cloud.stow(files[:2])).status_code == 200
    target = await cloud.rooms.archive.target((await cloud.staff("clinician")).actor, made.uid())
    assert target.id is not None
    assert target.subject_id is not None
    held = Held(target.id, made.uid(), target.subject_id, cloud.first, made)
    doctor, reader = await cloud.staff("clinician"), await cloud.bearer("clinician", "care")
    assert f"/studies/{held.id}/correct" in (await doctor.web.get(f"/studies?study={held.id}")).text
    _, done = await put_right(doctor, held, name="Right^Jo")
    assert done.status_code == 303
    assert (await cloud.stow(files)).status_code == 202
    now = await files_of(reader, held)
    assert [str(one.PatientName) for one in now] == ["Right^Jo"] * 3
    assert [one.OriginalAttributesSequence[0].ReasonForTheAttributeModification for one in now].count("COERCE") == 1
    again = await cloud.stow(files)
    assert again.status_code == 202
    assert [one["00081196"]["Value"] for one in again.json()["00081199"]["Value"]] == [[0xB000]] * 3
    assert "00081198" not in again.json()
    assert len(await files_of(reader, held)) == 3


async def test_nobody_else_corrects(cloud: Deployment) -> None:
    held = await cloud.study(name="Fixed^Mary")
    path = f"/studies/{held.id}/correct"
    doctor = await cloud.staff("clinician")
    fields = {**form((await doctor.web.get(path)).text), "name": "Other^Mary", "sure": "yes"}
    elsewhere, patient = await cloud.staff("clinician", cloud.second), await cloud.patient(held)
    foreign, missing = await elsewhere.web.get(path), await elsewhere.web.get(f"/studies/{ids.uuid7()}/correct")
    assert (foreign.status_code, missing.status_code) == (404, 404)
    for person in (elsewhere, patient, await cloud.staff("referrer"), await cloud.staff("admin")):
        assert (await person.web.get(path)).status_code == 404
        token = "0" * 40
        refused = await person.web.post(path, data={**fields, "token": token})
        assert refused.status_code in (403, 404)
    assert (await cloud.anybody().web.get(path)).status_code in (303, 401)
    assert (await doctor.web.post(path, data=fields)).status_code == 403, "a form that we did not make"
    outside = await cloud.staff("office", cloud.second)
    answer = await outside.post(
        "/office/corrections", {"patient": held.made.patient_id, "issuer": "", "study": held.uid}
    )
    assert answer.status_code == 422
    assert (await doctor.web.get("/office/corrections")).status_code == 404
    [one] = await files_of(await cloud.bearer("clinician", "care"), held)
    assert (str(one.PatientName), "OriginalAttributesSequence" in one) == ("Fixed^Mary", False)
    assert (await doctor.post(path, fields)).status_code == 303, "and who may, does"


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"accession": "x" * 17}, "accession"),
        ({"sex": "Y"}, "sex"),
        ({"born": "1970-02-31"}, "born"),
        ({"time": "99"}, "time"),
        ({"description": "x", "source": "y" * 65}, "source"),
        ({}, ""),
    ],
)
async def test_a_wrong_value_is_said_at_its_field(cloud: Deployment, typed: dict[str, str], field: str) -> None:
    held = await cloud.study()
    office, path = await cloud.staff("office"), f"/studies/{held.id}/correct"
    before = await heads(cloud, held)
    for sure in ({}, {"sure": "yes"}):
        answer = await office.post(path, {**form((await office.web.get(path)).text), **typed, **sure})
        assert answer.status_code == 422, answer.text
        assert f'href="#{field}"' in answer.text if field else "Nothing is different" in answer.text
    assert await heads(cloud, held) == before


async def test_a_restricted_study_is_put_right_by_the_office_only(cloud: Deployment) -> None:
    held = await cloud.study(name="Held^Ann")
    patient, office, doctor = await cloud.patient(held), await cloud.staff("office"), await cloud.staff("clinician")
    stopped = await patient.post("/choices", {"act": "stop", "about": str(held.id)})
    assert stopped.status_code == 303
    assert (await doctor.web.get(f"/studies/{held.id}/correct")).status_code in (403, 404)
    _, done = await put_right(office, held, name="Held^Anne")
    assert done.status_code == 303
    target = await cloud.rooms.archive.target_of(office.actor, held.id)
    assert target.is_restricted
