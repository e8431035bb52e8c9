"""Searching over the DICOM network with independent clients: dcmtk and pynetdicom."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from tests.common.hospital import OUR_AE
from tests.common.programs import run
from tests.conformance.station import TITLES, Door, ask, keys


@pytest.mark.conformance(
    "SCP Study Root Query/Retrieve - FIND", "C-FIND FF00", "C-FIND 0000", "C-FIND match single value"
)
async def test_a_study_is_found_with_all_that_was_asked_for(door: Door, modality: AE) -> None:
    sent = door.sent(0)
    asked = keys(
        "STUDY", PatientID="A-1", PatientName="", StudyInstanceUID="", StudyDate="", AccessionNumber="ACC1",
        ModalitiesInStudy="", NumberOfStudyRelatedInstances="", StudyDescription="", PatientBirthDate="",
    )  # fmt: skip
    (found,), last, statuses = await ask(door, modality, asked)
    assert (last.Status, statuses) == (0, [0xFF00])
    assert found.StudyInstanceUID == sent.StudyInstanceUID
    assert (found.PatientName, found.PatientID, found.PatientBirthDate) == ("Specimen^Ann", "A-1", "19700102")
    assert sorted(found.ModalitiesInStudy) == ["CT", "MR"]
    assert found.NumberOfStudyRelatedInstances == 2
    assert (found.RetrieveAETitle, found.QueryRetrieveLevel, found.InstanceAvailability) == (OUR_AE, "STUDY", "ONLINE")
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert "SeriesInstanceUID" not in found


@pytest.mark.parametrize(
    ("asked", "accessions"),
    [
        ({"PatientName": "SPECIMEN*"}, {"ACC1", "ACC2"}),
        ({"PatientName": "Spec?men^Ann"}, {"ACC1", "ACC2"}),
        ({"PatientName": "*"}, {"ACC1", "ACC2", "ACC3"}),
        ({"StudyDate": "20240101-"}, {"ACC1", "ACC2"}),
        ({"StudyDate": "-20231231"}, {"ACC3"}),
        ({"StudyDate": "20240101-20240131"}, {"ACC1"}),
        ({"StudyDate": "20240210"}, {"ACC2"}),
        ({"ModalitiesInStudy": "RTPLAN"}, {"ACC3"}),
        ({"PatientID": "A-1", "StudyDate": "20240210"}, {"ACC2"}),
        ({"PatientID": "Z-9"}, set()),
        ({"AccessionNumber": "ACC?"}, {"ACC1", "ACC2", "ACC3"}),
    ],
    ids=lambda value: ",".join(sorted(value)) if isinstance(value, set) else str(value),
)
@pytest.mark.conformance(
    "C-FIND match universal", "C-FIND match single value", "C-FIND match wildcard", "C-FIND match range"
)
async def test_matching(door: Door, modality: AE, asked: dict[str, str], accessions: set[str]) -> None:
    found, last, _ = await ask(door, modality, keys("STUDY", **({"AccessionNumber": ""} | asked)))
    assert last.Status == 0
    assert {one.AccessionNumber for one in found} == accessions


@pytest.mark.conformance("C-FIND match list of UID")
async def test_a_list_of_uids(door: Door, modality: AE) -> None:
    wanted = [door.sent(0).StudyInstanceUID, door.sent(3).StudyInstanceUID, "1.2.3"]
    found, _, _ = await ask(door, modality, keys("STUDY", StudyInstanceUID=wanted))
    assert {one.StudyInstanceUID for one in found} == set(wanted[:2])


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192"])
@pytest.mark.conformance("C-FIND match character sets")
async def test_a_search_in_the_peers_own_characters(door: Door, modality: AE, charset: str) -> None:
    asked = keys("STUDY", SpecificCharacterSet=charset, PatientName="Müller*", AccessionNumber="")
    (found,), _, _ = await ask(door, modality, asked)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert found.PatientName == "Müller^Jörg"


@pytest.mark.conformance("SCP Study Root Query/Retrieve - FIND")
async def test_series_and_images(door: Door, modality: AE) -> None:
    ct = door.sent(0)
    found, _, _ = await ask(
        door,
        modality,
        keys("SERIES", StudyInstanceUID=ct.StudyInstanceUID, SeriesInstanceUID="", Modality=""),
    )
    assert {(one.SeriesInstanceUID, one.Modality) for one in found} == {
        (door.sent(number).SeriesInstanceUID, door.sent(number).Modality) for number in (0, 1)
    }
    asked = keys("SERIES", StudyInstanceUID=ct.StudyInstanceUID, SeriesInstanceUID="", Modality="MR")
    assert [one.SeriesInstanceUID for one in (await ask(door, modality, asked))[0]] == [door.sent(1).SeriesInstanceUID]
    asked = keys(
        "IMAGE", StudyInstanceUID=ct.StudyInstanceUID, SeriesInstanceUID=ct.SeriesInstanceUID, SOPInstanceUID="",
        SOPClassUID="", Rows=None,
    )  # fmt: skip
    (image,), _, statuses = await ask(door, modality, asked)
    assert statuses == [0xFF00]
    assert (image.SOPInstanceUID, image.SOPClassUID, image.Rows) == (ct.SOPInstanceUID, ct.SOPClassUID, ct.Rows)


@pytest.mark.conformance("SCP Patient Root Query/Retrieve - FIND")
async def test_patients(door: Door, modality: AE) -> None:
    model = PatientRootQueryRetrieveInformationModelFind
    found, _, _ = await ask(door, modality, keys("PATIENT", PatientID="", PatientName=""), model)
    assert sorted(one.PatientID for one in found) == ["A-1", "B-1"]
    found, _, _ = await ask(door, modality, keys("STUDY", PatientID="A-1", StudyInstanceUID=""), model)
    assert {one.StudyInstanceUID for one in found} == {door.sent(0).StudyInstanceUID, door.sent(2).StudyInstanceUID}


@pytest.mark.parametrize(
    ("model", "asked", "status", "offending"),
    [
        ("study", {"QueryRetrieveLevel": "PATIENT", "PatientID": "A-1"}, 0xA900, 0x00080052),
        ("study", {"QueryRetrieveLevel": "", "PatientID": "A-1"}, 0xA900, 0x00080052),
        ("study", {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": ""}, 0xA900, 0x0020000D),
        ("study", {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": ["1.2", "1.3"]}, 0xA900, 0x0020000D),
        ("patient", {"QueryRetrieveLevel": "STUDY", "PatientID": "", "StudyDate": "20240105"}, 0xA900, 0x00100020),
        ("patient", {"QueryRetrieveLevel": "STUDY", "PatientID": "A*"}, 0xA900, 0x00100020),
        ("patient", {"QueryRetrieveLevel": "PATIENT", "StudyDate": "20240105"}, 0xC001, 0x00080020),
        ("study", {"QueryRetrieveLevel": "STUDY", "Modality": "CT"}, 0xC001, 0x00080060),
        ("study", {"QueryRetrieveLevel": "STUDY", "OtherPatientNames": "Ann"}, 0xC001, 0x00101001),
        ("study", {"QueryRetrieveLevel": "STUDY", "StudyDate": "yesterday"}, 0xC002, None),
        ("study", {"QueryRetrieveLevel": "STUDY", "RetrieveAETitle": "OTHER"}, 0xC001, 0x00080054),
    ],
    ids=str,
)
@pytest.mark.conformance("C-FIND A900", "C-FIND C001", "C-FIND C002")
async def test_what_cannot_be_honoured_is_refused_and_nothing_is_told(
    door: Door, modality: AE, model: str, asked: dict[str, Any], status: int, offending: int | None
) -> None:
    identifier = Dataset()
    for keyword, value in asked.items():
        setattr(identifier, keyword, value)
    models = {
        "study": StudyRootQueryRetrieveInformationModelFind,
        "patient": PatientRootQueryRetrieveInformationModelFind,
    }
    found, last, _ = await ask(door, modality, identifier, models[model])
    assert found == []
    assert last.Status == status
    assert last.ErrorComment
    if offending:
        assert last.OffendingElement == offending
    refused = (await door.hospital.events("archive:studies:queried"))[0]
    assert refused.outcome == "refused"


@pytest.mark.conformance("C-FIND C001", "C-FIND FF01")
async def test_a_key_inside_a_sequence_is_refused_and_an_empty_one_only_named_as_missing(
    door: Door, modality: AE
) -> None:
    other = Dataset()
    other.PatientID = "A-1"
    asked = keys("STUDY", PatientID="A-1", OtherPatientIDsSequence=[other])
    found, last, _ = await ask(door, modality, asked)
    assert (found, last.Status, last.OffendingElement) == ([], 0xC001, 0x00101002)
    other.PatientID = ""
    found, last, statuses = await ask(door, modality, asked)
    assert (len(found), last.Status, set(statuses)) == (2, 0, {0xFF01})
    assert "OtherPatientIDsSequence" not in found[0]


@pytest.mark.conformance("security ledger")
async def test_every_search_is_in_the_ledger(door: Door, modality: AE) -> None:
    await ask(door, modality, keys("STUDY", PatientID="B-1"))
    event = (await door.hospital.events("archive:studies:queried"))[0]
    assert (event.actor_id, event.outcome, event.counts["results"]) == (door.hospital.modality.id, "done", 1)
    assert event.payload is not None
    assert event.payload["keys"] == {"PatientID": "B-1"}


@pytest.mark.conformance("client dcmtk")
async def test_findscu(door: Door) -> None:
    code, said = await run(
        "findscu", "-v", "-S", *TITLES, "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=spec*", "-k",
        "StudyInstanceUID", "127.0.0.1", door.port,
    )  # fmt: skip
    assert code == 0, said
    assert len(re.findall(r"Find Response: \d+ \(Pending\)", said)) == 2, said


@pytest.mark.conformance("association operations")
async def test_findscu_cancels(door: Door) -> None:
    code, said = await run(
        "findscu", "-v", "-P", *TITLES, "--cancel", 1, "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID",
        "127.0.0.1", door.port,
    )  # fmt: skip
    assert code == 0, said
    assert "Cancel" in said
