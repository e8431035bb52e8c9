from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import generate_uid

from tests.common.objects import Made, uid
from tests.unit.archive.rooms import instance
from tests.unit.doors.dicomweb.conftest import House
from tests.unit.doors.dicomweb.test_app import stow, uids
from troth import archive, dicom


@pytest.mark.asvs("V16.3.3")
@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ("NoSuchKey=1", "search-key-unknown"),
        ("StudyDate=soon", "search-value-invalid"),
        ("limit=-1", "parameter-invalid"),
    ],
)
@pytest.mark.conformance("HTTP 400", "security ledger")
async def test_a_search_that_cannot_be_honoured_is_refused_and_in_the_ledger(
    house: House, query: str, slug: str
) -> None:
    await house.rooms.store(instance())
    async with house.clinician() as client:
        assert (await client.get("/studies")).status_code == 200
        refused = await client.get(f"/studies?{query}")
    assert (refused.status_code, refused.json()["type"]) == (400, f"urn:troth:{slug}")
    refusal, search = (await house.rooms.events("archive:studies:queried"))[:2]
    assert (refusal.outcome, search.outcome) == ("refused", "done")
    assert (refusal.payload or {})["reason"] == slug
    assert refusal.actor_id == search.actor_id


async def test_at_the_viewer_a_number_without_its_issuer_is_one_persons_or_nobodys(house: House) -> None:
    await house.rooms.store(instance(PatientID="H-1001"))
    northgate = instance(PatientID="H-1001", IssuerOfPatientID="Northgate", PatientName="Other^Person")
    await house.rooms.store(northgate)
    async with house.clinician() as viewer, house.bearer(house.rooms.actor("clinician"), "diagnosis") as program:
        refused = await viewer.get("/studies?PatientID=H-1001")
        assert (refused.status_code, refused.json()["type"]) == (400, "urn:troth:search-ambiguous")
        refusal = (await house.rooms.events("archive:studies:queried"))[0]
        assert refusal.outcome == "refused"
        assert (refusal.payload or {})["reason"] == "search-ambiguous"
        (found,) = (await viewer.get("/studies?PatientID=H-1001&IssuerOfPatientID=Northgate")).json()
        assert found["0020000D"]["Value"] == [pydicom.dcmread(BytesIO(northgate)).StudyInstanceUID]
        assert len((await viewer.get("/studies?PatientID=H-100*")).json()) == 2
        told = (await program.get("/studies?PatientID=H-1001")).json()
        assert sorted(one.get("00100021", {}).get("Value", [""])[0] for one in told) == ["", "Northgate"]


def request_of(step: str, procedure: str) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
    return item


@pytest.mark.conformance("checked sequence matching")
async def test_keys_within_a_sequence(house: House) -> None:
    asked = [request_of("S1", "R1"), request_of("S2", "R2")]
    content = instance(PatientID="SEQ-1", RequestAttributesSequence=asked)
    await house.rooms.store(content, instance(PatientID="SEQ-1"))
    path = "RequestAttributesSequence."
    async with house.clinician() as client:
        for keys, count in (
            (f"{path}ScheduledProcedureStepID=S2", 1),
            ("00400275.00401001=R1", 1),
            (f"{path}ScheduledProcedureStepID=S1&{path}RequestedProcedureID=R1", 1),
            (f"{path}ScheduledProcedureStepID=S1&{path}RequestedProcedureID=R2", 0),  # not of the same item
            (f"{path}ScheduledProcedureStepID=S*", 1),
            (f"{path}ScheduledProcedureStepID=", 2),
        ):
            answer = await client.get(f"/series?PatientID=SEQ-1&{keys}")
            assert len(answer.json() if answer.status_code == 200 else []) == count, keys
        (found,) = (await client.get(f"/series?PatientID=SEQ-1&{path}ScheduledProcedureStepID=S1")).json()
        assert [item["00401001"]["Value"] for item in found["00400275"]["Value"]] == [["R1"], ["R2"]]
        for wrong in (f"{path}PatientName=x", f"/studies?{path}ScheduledProcedureStepID=S1", "PatientID.PatientName=x"):
            url = wrong if wrong.startswith("/") else f"/series?{wrong}"
            assert (await client.get(url)).status_code == 400, wrong


@pytest.mark.conformance("QIDO option fuzzymatching")
async def test_names_that_are_mistyped(house: House) -> None:
    await house.rooms.store(
        instance(PatientID="FZ", PatientName="Featherstone^Anne Marie"),
        instance(PatientID="FZ", PatientName="Fetherstone^Bob", StudyDate=""),
        instance(PatientID="FZ", PatientName="Weatherstone^Anne"),
    )
    async with house.clinician() as client:

        async def count(name: str, *further: str) -> int:
            query = "&".join([f"PatientName={name}", "fuzzymatching=true", *further])
            answer = await client.get(f"/studies?{query}")
            assert answer.status_code in (200, 204)
            return len(answer.json()) if answer.content else 0

        for name, found in (
            ("Featherstone", 3), ("FETHERSTONE", 2), ("Featherstonne^Anne", 1), ("Faetherstone", 2),
            ("Featherstone^Ann", 2), ("Featherstone^Zoe", 0), ("Fatherstown", 0), ("Featherstone^", 3),
        ):  # fmt: skip
            assert await count(name) == found, name
        assert await count("Featherstone", "ModalitiesInStudy=CT") == 3
        assert await count("Featherstone", "StudyDate=19000101-") == 2
        assert await count("Featherstone", "limit=1", "offset=2") == 1
        assert await count("Featherstone", "PatientID=FZ") == 3
        exact = await client.get("/studies?PatientName=Featherstone")
        assert exact.status_code == 204
        literal = await client.get("/studies?PatientName=Feath*&fuzzymatching=true")
        assert len(literal.json()) == 1
        assert "literal matching" in literal.headers["warning"]


@pytest.mark.conformance("QIDO option offset", "QIDO option limit", "HTTP 413")
async def test_pages_are_stable_and_whole(house: House) -> None:
    await house.rooms.store(*[instance(PatientID="PAGED") for _ in range(7)])
    async with house.clinician() as client:
        pages = [(await client.get(f"/studies?PatientID=PAGED&limit=3&offset={at}")) for at in (0, 3, 6, 9)]
        assert ["warning" in page.headers for page in pages] == [True, True, False, False]
        assert pages[3].status_code == 204
        seen = [one["0020000D"]["Value"][0] for page in pages[:3] for one in page.json()]
        assert len(seen) == len(set(seen)) == 7
        assert (await client.get("/studies?offset=10001")).status_code == 413


async def test_no_result_is_given_where_none_is_asked_for(house: House) -> None:
    """PS3.18 8.3.4.4: at most as many as `limit` says; whether there are more is said."""
    content = instance(PatientID="NONE-1")
    await house.rooms.store(content)
    study = pydicom.dcmread(BytesIO(content)).StudyInstanceUID
    async with house.clinician() as client:
        for path in ("/studies", "/series", "/instances", f"/studies/{study}/series", f"/studies/{study}/instances"):
            for number, is_warned in (("NONE-1", True), ("NONE-2", False)):
                none = await client.get(f"{path}?PatientID={number}&limit=0")
                assert (none.status_code, none.content, "warning" in none.headers) == (204, b"", is_warned), path


@pytest.mark.conformance("QIDO option includefield")
async def test_what_is_included(house: House) -> None:
    content = instance(PatientID="INC-1", PatientName="Included^A")
    await house.rooms.store(content)
    study = pydicom.dcmread(BytesIO(content)).StudyInstanceUID
    async with house.clinician() as client:
        for fields, there, warned in (
            ("includefield=all", True, False),
            ("includefield=PatientName", True, False),
            ("includefield=00080020,00100010", True, False),
            ("includefield=StudyDate&includefield=00100010", True, False),
            ("", False, False),
            ("includefield=SliceThickness", False, True),
            ("includefield=NoSuchThing", False, True),
            ("includefield=RequestAttributesSequence.ScheduledProcedureStepID", False, False),
        ):
            answer = await client.get(f"/studies/{study}/series?{fields}")
            (found,) = answer.json()
            assert ("00100010" in found) == there, fields
            assert ("warning" in answer.headers) == warned, fields
        required = {
            "studies": "00080005 00080020 00080030 00080050 00080056 00080061 00080090 00081190 00100010 00100020"
            " 00100030 00100040 0020000D 00200010 00201206 00201208",
            "series": "00080060 0020000E 00200011 00201209 00081190",
            "instances": "00080016 00080018 00080056 00200013 00280010 00280011 00280100 00081190",
        }
        for resource, tags in required.items():
            (found,) = (await client.get(f"/{resource}?PatientID=INC-1")).json()
            assert set(tags.split()) - {"00080005"} <= set(found), resource
        too_many = "&".join(f"includefield={number:08X}" for number in range(300))
        assert (await client.get(f"/studies?{too_many}")).status_code == 400


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [("InstanceNumber", "IS", "9" * 10_000), ("InstanceNumber", "IS", "1_0"), ("InstanceNumber", "IS", "\u0663"),
     ("SeriesNumber", "IS", "9" * 5_000), ("NumberOfFrames", "IS", "9" * 13), ("WindowCenter", "DS", "nan"),
     ("WindowCenter", "DS", "1e999"), ("RescaleSlope", "DS", "9" * 5_000)],
)  # fmt: skip
async def test_a_number_that_is_none_hides_nothing(house: House, keyword: str, vr: str, value: str) -> None:
    content = altered(instance(SpecificCharacterSet="ISO_IR 192"), keyword, vr, value)
    stored = await stow(house, content)
    assert stored.status_code == 200
    study = f"/studies/{uids(content).StudyInstanceUID}"
    async with house.clinician() as client:
        for path in (study + "/instances", study + "/series", "/instances?limit=1000", "/series?limit=1000"):
            for kind in ("application/dicom+json", "multipart/related; type=application/dicom+xml"):
                answer = await client.get(path, params={"includefield": "all"}, headers={"Accept": kind})
                assert answer.status_code == 200, path
        assert (await client.get(study + "/metadata")).status_code == 200
        for number in ("9" * 5_000, "1" * 10, "\u00b2", "1_0", "-1", "1e3"):
            for name in ("limit", "offset", "quality", "columns", "viewport", "window"):
                base = {"requestType": "WADO", "studyUID": "1.2", "seriesUID": "1.3", "objectUID": "1.4"}
                for path, more in (("/studies", {}), (study + "/rendered", {}), ("/wado", base)):
                    answer = await client.get(path, params={**more, name: number})
                    assert answer.status_code < 500, (path, name, number)


async def test_a_row_that_cannot_be_told_is_left_out_and_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    study = generate_uid()
    contents = [instance(StudyInstanceUID=study) for _ in range(3)]
    await stow(house, *contents)
    broken = uids(contents[1]).SOPInstanceUID
    told = archive.to_json_text

    def fails(values: Any) -> str:
        if values.get(0x00080018) == broken:
            raise ValueError("it cannot be told")
        return told(values)

    monkeypatch.setattr(archive, "to_json_text", fails)
    async with house.clinician() as client:
        answer = await client.get(f"/studies/{study}/instances")
    assert answer.status_code == 200
    assert {one["00080018"]["Value"][0] for one in answer.json()} == {
        uids(one).SOPInstanceUID for one in contents if one is not contents[1]
    }
    assert broken in answer.headers["warning"]


def altered(content: bytes, keyword: str, vr: str, value: str) -> bytes:
    """The same instance with a value that no toolkit would write."""
    dataset = pydicom.dcmread(BytesIO(content))
    tag = int(pydicom.datadict.tag_for_keyword(keyword) or 0)

    def written(elements: Dataset) -> bytes:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, elements)
        return buffer.getvalue()

    before, after = Dataset(), Dataset()
    for element in dataset:
        if element.tag != tag:
            (before if element.tag < tag else after).add(element)
    text = value.encode("utf-8")
    text += b" " * (len(text) & 1)
    new = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(text)) + text
    front = dicom.part10(dataset.SOPClassUID, dataset.SOPInstanceUID, "1.2.840.10008.1.2.1")
    return front + written(before) + new + written(after)


MOMENTS = (("20240105", "101010"), ("20240115", "233000"), ("20240201", "0900"))


@pytest.mark.conformance("QIDO moment")
async def test_a_range_of_date_and_time_is_from_the_first_moment_to_the_last(house: House) -> None:
    """PS3.4 C.2.2.2.5, where both are ranges; one of them alone is matched for itself."""
    number = uid()[-12:]
    for day, time in MOMENTS:
        made = Made().text(0x00080020, "DA", day).text(0x00080030, "TM", time).text(0x00100020, "LO", number)
        assert (await stow(house, made.file)).status_code == 200
    async with house.clinician() as client:
        for days, times, found in (
            ("20240105-20240201", "100000-100000", 3), ("20240105-20240201", "101011-085959", 1),
            ("20240105-20240201", "101010-0900", 3), ("20240106-", "000000-", 2), ("-20240115", "-233000", 2),
            ("20240105-20240201", "100000", 0), ("20240115", "230000-240000", 1),
        ):  # fmt: skip
            answer = await client.get(f"/studies?PatientID={number}&StudyDate={days}&StudyTime={times}")
            assert len(answer.json() if answer.status_code == 200 else []) == found, (days, times)


async def test_what_a_file_lacks_is_told_empty_and_everything_in_unicode(house: House) -> None:
    """PS3.18 10.6.3.3: attributes of type R are there, empty where the file has none; text is in ISO_IR 192."""
    made = Made().drop(0x00200011, 0x00200013, 0x00080060, 0x00080050)
    await stow(house, made.file)
    async with house.sender() as client:
        (study,) = (await client.get(f"/studies?StudyInstanceUID={made.study}")).json()
        assert (study["00080061"], study["00080050"]) == ({"vr": "CS"}, {"vr": "SH"})
        assert study["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
        (series,) = (await client.get(f"/studies/{made.study}/series")).json()
        assert (series["00200011"], series["00080060"]) == ({"vr": "IS"}, {"vr": "CS"})
        (one,) = (await client.get(f"/studies/{made.study}/instances")).json()
        assert one["00200013"] == {"vr": "IS"}
    async with house.clinician() as client:
        (study,) = (await client.get(f"/studies?StudyInstanceUID={made.study}")).json()
        assert "00080061" not in study, "OHIF cannot open a study whose list of modalities is there and empty"


async def test_what_viewers_sort_by_is_returned_where_it_is_asked_for(house: House) -> None:
    told = {
        0x00180050: ("DS", "2.5"), 0x00180060: ("DS", "120"), 0x00185100: ("CS", "HFS"), 0x00200012: ("IS", "4"),
        0x00200032: ("DS", "1\\2\\3"), 0x00201041: ("DS", "-7.5"), 0x00280030: ("DS", "0.5\\0.5"),
        0x00281050: ("DS", "40"), 0x00281051: ("DS", "400"),
    }  # fmt: skip
    made = Made()
    for tag, (vr, value) in told.items():
        made.text(tag, vr, value)
    await stow(house, made.file)
    fields = "SliceThickness,PixelSpacing,ImagePositionPatient,WindowCenter,WindowWidth,KVP,AcquisitionNumber"
    fields += ",SliceLocation"
    async with house.sender() as client:
        asked = await client.get(f"/studies/{made.study}/instances?includefield={fields}&includefield=PatientPosition")
        assert "warning" not in asked.headers
        (one,) = asked.json()
        assert {f"{tag:08X}" for tag in told} <= one.keys()
        assert (one["00280030"]["Value"], one["00185100"]["Value"]) == ([0.5, 0.5], ["HFS"])
        (usual,) = (await client.get(f"/studies/{made.study}/instances")).json()
        assert not {f"{tag:08X}" for tag in told} & usual.keys()
        assert (await client.get(f"/studies/{made.study}/instances?SliceThickness=2.5")).status_code == 400


async def test_what_is_stored_meanwhile_comes_on_no_page_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An offset at which a page ended stands for the study there, not for a count of newer ones (F12)."""
    await house.rooms.store(*[instance(PatientID="MOVES", StudyDate=f"202301{day:02}") for day in range(1, 8)])
    skipped: list[int] = []
    query = type(house.archive).query

    async def noted(self: Any, permit: Any, asked: Any, viewing: Any = None) -> Any:
        skipped.append(asked.offset)
        return await query(self, permit, asked, viewing)

    monkeypatch.setattr(type(house.archive), "query", noted)
    async with house.clinician() as client, house.clinician() as other:
        seen: list[str] = []
        for offset in (0, 3, 6):
            page = await client.get(f"/studies?PatientID=MOVES&limit=3&offset={offset}")
            seen += [one["0020000D"]["Value"][0] for one in page.json()]
            await house.rooms.store(instance(PatientID="MOVES", StudyDate="20240101"))
        assert len(seen) == len(set(seen)) == 7
        assert skipped == [0, 0, 0], "a later page reads nothing of the earlier ones"
        counted = await other.get("/studies?PatientID=MOVES&limit=3&offset=3")
        assert counted.json()[0]["0020000D"]["Value"][0] == seen[0], "who did not see the page before counts"


async def test_pages_of_what_is_within_studies_go_on_where_they_ended(house: House) -> None:
    studies = [generate_uid() for _ in range(3)]
    of = [(study, number) for study in studies for number in range(1, 6)]
    await house.rooms.store(
        *[instance(PatientID="WITHIN", StudyInstanceUID=study, InstanceNumber=number) for study, number in of]
    )
    async with house.clinician() as client:
        for limit in (2, 4, 7):
            seen: list[str] = []
            for offset in range(0, 15, limit):
                page = await client.get(f"/instances?PatientID=WITHIN&limit={limit}&offset={offset}")
                seen += [one["00080018"]["Value"][0] for one in page.json()]
            assert len(seen) == len(set(seen)) == 15, limit
