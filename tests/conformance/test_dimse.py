"""Independent clients against the DICOM listener with the real archive behind it: dcmtk and pynetdicom."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from tests.common.hospital import MODALITY, OUR_AE, Hospital
from tests.common.programs import run
from tests.conformance.station import renewed
from troth.doors import dimse
from troth.kit import clock
from troth.policy import Target

UNCOMPRESSED = ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "reportsi.dcm", "waveform_ecg.dcm", "rtdose_1frame.dcm"]
OTHER_SYNTAXES = [
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "JPEG-lossy.dcm",
    "SC_rgb_rle_2frame.dcm",
]
TITLES = ("-aet", MODALITY, "-aec", OUR_AE)


@dataclass
class Door:
    """The listener and what is behind it."""

    hospital: Hospital
    listener: dimse.Listener

    @property
    def port(self) -> int:
        return self.listener.port


@pytest.fixture
async def door(hospital: Hospital) -> AsyncIterator[Door]:
    listener = dimse.create(hospital, dimse.Limits(drain_seconds=1.0))
    await listener.start("127.0.0.1", 0)
    yield Door(hospital, listener)
    await listener.stop()


def fresh(folder: Path, *names: str, **attributes: str) -> list[Path]:
    """Files of the pydicom wheel under new UIDs; several of the originals share theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name in names:
        made.append(folder / f"{len(made)}-{name}")
        renewed(name, **attributes).save_as(made[-1])
    return made


async def same(hospital: Hospital, files: list[Path]) -> None:
    """What is held means what was sent."""
    for file in files:
        sent = pydicom.dcmread(file)
        held = await hospital.read(sent.StudyInstanceUID)
        syntax = sent.file_meta.TransferSyntaxUID
        kept = held[sent.SOPInstanceUID, "1.2.840.10008.1.2.1" if syntax.is_deflated else syntax]
        assert kept.get("PixelData") == sent.get("PixelData")
        assert meaningful(kept) == meaningful(sent)
        assert kept.PatientID == sent.PatientID


def meaningful(dataset: Dataset) -> set[int]:
    """Tags without group lengths, length to end and padding, which clients rewrite or leave out."""
    return {
        int(element.tag) for element in dataset if element.tag.element and element.tag not in (0x00080001, 0xFFFCFFFC)
    }


@pytest.mark.conformance("SCP Verification", "client dcmtk")
async def test_echoscu(door: Door) -> None:
    code, said = await run("echoscu", "-v", *TITLES, "--repeat", 3, "127.0.0.1", door.port)
    assert code == 0, said
    assert said.count("Received Echo Response (Success)") == 3


@pytest.mark.conformance("association contexts")
async def test_echoscu_proposes_128_contexts(door: Door) -> None:
    code, said = await run("echoscu", "-v", *TITLES, "-ppc", 128, "-pts", 3, "127.0.0.1", door.port)
    assert code == 0, said


@pytest.mark.parametrize(("calling", "called"), [("STRANGER", OUR_AE), (MODALITY, "OTHER")])
@pytest.mark.conformance("reject 1 1 3", "security address")
async def test_strangers_are_rejected_alike(door: Door, calling: str, called: str) -> None:
    code, said = await run("echoscu", "-v", "-aet", calling, "-aec", called, "127.0.0.1", door.port)
    assert code != 0
    assert "Calling AE Title Not Recognized" in said


@pytest.mark.parametrize("max_pdu", [4096, 131072])
@pytest.mark.conformance("SCP Storage", "C-STORE 0000", "client dcmtk", "limit pdu_bytes")
async def test_storescu(door: Door, tmp_path: Path, max_pdu: int) -> None:
    files = fresh(tmp_path, *UNCOMPRESSED)
    code, said = await run("storescu", "-v", *TITLES, "--max-send-pdu", max_pdu, "127.0.0.1", door.port, *files)
    assert code == 0, said
    assert said.count("Received Store Response (Success)") == len(files)
    await same(door.hospital, files)


@pytest.mark.conformance("client dcmtk", "attributes on the way in")
async def test_dcmsend_keeps_the_syntax_of_each_file(door: Door, tmp_path: Path) -> None:
    files = fresh(tmp_path, *OTHER_SYNTAXES)
    code, said = await run("dcmsend", "-v", "-d", *TITLES, "--decompress-never", "127.0.0.1", door.port, *files)
    assert code == 0, said
    await same(door.hospital, files)


@pytest.mark.conformance("client pynetdicom", "SCP Storage", "C-STORE 0000")
async def test_pynetdicom(door: Door, modality: AE, tmp_path: Path) -> None:
    files = fresh(tmp_path, "CT_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm")
    datasets = [pydicom.dcmread(file) for file in files]
    modality.add_requested_context(Verification)
    for dataset in datasets:
        modality.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)

    def talk() -> list[int]:
        association = modality.associate("127.0.0.1", door.port, ae_title=OUR_AE, max_pdu=0)
        assert association.is_established
        codes = [association.send_c_echo().Status]
        codes += [association.send_c_store(dataset).Status for dataset in datasets]
        association.release()
        assert association.is_released
        return codes

    assert await asyncio.to_thread(talk) == [0] * 5
    await same(door.hospital, files)


@pytest.mark.conformance("association roles")
async def test_roles_are_answered(door: Door, modality: AE) -> None:
    modality.add_requested_context(CTImageStorage)

    def talk() -> tuple[bool, bool]:
        role = build_role(CTImageStorage, scu_role=True, scp_role=True)
        association = modality.associate("127.0.0.1", door.port, ae_title=OUR_AE, ext_neg=[role])
        (context,) = association.accepted_contexts
        answer = (bool(context.as_scu), bool(context.as_scp))
        association.release()
        return answer

    assert await asyncio.to_thread(talk) == (True, True)


async def test_eight_clients_at_once(door: Door, tmp_path: Path) -> None:
    folders = [fresh(tmp_path / str(number), *["CT_small.dcm"] * 5) for number in range(8)]
    ends = await asyncio.gather(*(run("storescu", *TITLES, "127.0.0.1", door.port, *files) for files in folders))
    assert [code for code, _ in ends] == [0] * 8, ends
    await same(door.hospital, [file for files in folders for file in files])


@pytest.mark.conformance("security ledger")
async def test_the_ledger_says_who_stored_what(door: Door, tmp_path: Path) -> None:
    (file,) = fresh(tmp_path, "CT_small.dcm")
    await run("storescu", *TITLES, "127.0.0.1", door.port, file)
    event = (await door.hospital.events("archive:instances:stored"))[0]
    assert (event.actor_id, event.actor_kind, event.outcome) == (door.hospital.modality.id, "peer", "done")
    assert event.counts["instances"] == 1


async def statuses(door: Door, modality: AE, datasets: list[Dataset]) -> list[int]:
    for dataset in datasets:
        modality.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)

    def talk() -> list[int]:
        association = modality.associate("127.0.0.1", door.port, ae_title=OUR_AE)
        codes = [association.send_c_store(dataset).Status for dataset in datasets]
        association.release()
        return codes

    return await asyncio.to_thread(talk)


@pytest.mark.conformance("C-STORE 0000", "C-STORE 0111", "checked same again")
async def test_the_same_again_is_success_and_other_bytes_are_refused(door: Door, modality: AE, tmp_path: Path) -> None:
    first, other = (pydicom.dcmread(file) for file in fresh(tmp_path, "CT_small.dcm", "CT_small.dcm"))
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(other, keyword, getattr(first, keyword))
    other.PixelData = bytes(len(first.PixelData))
    assert await statuses(door, modality, [first, first, other]) == [0, 0, 0x0111]
    held = await door.hospital.read(first.StudyInstanceUID)
    assert [dataset.PixelData for dataset in held.values()] == [first.PixelData]


@pytest.mark.conformance("C-STORE B000", "client dcmtk", "client pynetdicom")
async def test_what_comes_for_a_corrected_study_is_stored_with_a_warning(
    door: Door, modality: AE, tmp_path: Path
) -> None:
    hospital = door.hospital
    same = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    files = fresh(tmp_path, *["CT_small.dcm"] * 4, **same, PatientName="Wrung^A")
    first, late, *others = (pydicom.dcmread(file) for file in files)
    assert await statuses(door, modality, [first]) == [0]
    target = await hospital.archive.target(hospital.clinician, first.StudyInstanceUID)
    assert target.id is not None
    permit = await hospital.policy.require(hospital.clinician, "rectify", target, "care")
    await hospital.archive.correct(permit, target.id, {0x00100010: "Right^A"}, reason="CORRECT")
    right = pydicom.dcmread(files[3])
    right.PatientName = "Right^A"
    # What says already what is right, is as it was sent; sent again because an answer was lost, it is answered alike.
    assert await statuses(door, modality, [late, right, late, first]) == [0xB000, 0, 0xB000, 0xB000]
    code, said = await run("dcmsend", "-v", *TITLES, "127.0.0.1", door.port, files[2])
    assert code == 0, said
    assert re.search(r"with status WARNING *: 1", said), said
    held = await hospital.read(first.StudyInstanceUID)
    assert {uid for uid, _ in held} == {one.SOPInstanceUID for one in (first, late, *others)}
    assert {str(one.PatientName) for one in held.values()} == {"Right^A"}
    assert {one.PixelData for one in held.values()} == {first.PixelData}


@pytest.mark.conformance("C-STORE C110", "C-STORE C111")
async def test_what_is_in_conflict_is_refused_with_a_word_and_kept_apart(
    door: Door, modality: AE, tmp_path: Path
) -> None:
    first, other, again = (pydicom.dcmread(file) for file in fresh(tmp_path, *["CT_small.dcm"] * 3))
    study, series = first.StudyInstanceUID, first.SeriesInstanceUID
    other.StudyInstanceUID, other.PatientID = study, "SOMEBODY-ELSE"
    again.SeriesInstanceUID = series
    assert await statuses(door, modality, [first]) == [0]
    files = []
    for number, dataset in enumerate((other, again)):
        files.append(tmp_path / f"{number}.conflict.dcm")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(files[-1])
    for _ in range(2):
        _, said = await run("storescu", "-v", "-d", "-nh", *TITLES, "127.0.0.1", door.port, *files)
        assert ("0xc110" in said.lower(), "0xc111" in said.lower()) == (True, True), said
    async with door.hospital.database.transaction(door.hospital.organisation) as connection:
        kept = await (
            await connection.execute(
                "select reason from quarantined where study_uid = any(%s) order by reason",
                ([str(study), str(again.StudyInstanceUID)],),
            )
        ).fetchall()
    assert [row["reason"] for row in kept] == ["other-patient", "other-study"]
    word = "Not stored: in conflict; kept apart for a person to resolve"
    modality.add_requested_context(other.SOPClassUID, other.file_meta.TransferSyntaxUID)

    def talk() -> list[tuple[int, str]]:
        association = modality.associate("127.0.0.1", door.port, ae_title=OUR_AE)
        answers = [association.send_c_store(dataset) for dataset in (other, again)]
        association.release()
        return [(answer.Status, answer.ErrorComment) for answer in answers]

    assert await asyncio.to_thread(talk) == [(0xC110, word), (0xC111, word)]


@pytest.mark.conformance("C-STORE 0124", "limit permit_seconds", "security decision")
async def test_a_modality_that_is_taken_out_of_use_stores_nothing_more(
    door: Door, modality: AE, tmp_path: Path
) -> None:
    hospital = door.hospital
    before, after = (pydicom.dcmread(file) for file in fresh(tmp_path, "CT_small.dcm", "CT_small.dcm"))
    modality.add_requested_context(before.SOPClassUID, before.file_meta.TransferSyntaxUID)
    house = hospital.organisation.id
    inside = hospital.permit("administer", Target("organisation", house, house))
    association = await asyncio.to_thread(modality.associate, "127.0.0.1", door.port, ae_title=OUR_AE)
    try:
        assert (await asyncio.to_thread(association.send_c_store, before)).Status == 0
        await hospital.people.end_peer(inside, hospital.modality.id)
        with clock.moved(timedelta(seconds=2)):
            assert (await asyncio.to_thread(association.send_c_store, after)).Status == 0x0124
    finally:
        await asyncio.to_thread(association.release)
        hospital.modality = await hospital.people.add_peer(inside, house, MODALITY, "127.0.0.1", 104, called_ae=OUR_AE)
    assert await hospital.is_held(before.StudyInstanceUID)
    assert not await hospital.is_held(after.StudyInstanceUID)
