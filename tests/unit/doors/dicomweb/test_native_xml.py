from __future__ import annotations

from xml.etree import ElementTree

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.unit.archive.rooms import instance
from tests.unit.doors.dicomweb.conftest import House
from tests.unit.doors.dicomweb.test_app import parts_of, path_of, stow, uids
from troth.doors.dicomweb.native_xml import to_xml

SPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
XML = 'multipart/related; type="application/dicom+xml"'


def read(content: bytes) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(content)
    assert root.tag == SPACE + "NativeDicomModel"
    return {one.attrib["tag"]: one for one in root}


def test_every_form_of_a_value() -> None:
    told = read(
        to_xml(
            {
                "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]},
                "00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AX<IAL&"]},
                "00080005": {"vr": "CS"},
                "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["S\x1b1"]}}, {}]},
                "00090010": {"vr": "LO", "Value": ['ACME "1"']},
                "00091001": {"vr": "OB", "InlineBinary": "AAE="},
                "0009FF01": {"vr": "UN"},
                "7FE00010": {"vr": "OW", "BulkDataURI": "http://a/b?c=1&d"},
                "00280010": {"vr": "US", "Value": [512]},
            }
        )
    )
    name = told["00100010"]
    assert name.attrib["keyword"] == "PatientName"
    assert [one.tag.removeprefix(SPACE) for one in name.iter()][1:4] == ["PersonName", "Alphabetic", "FamilyName"]
    assert [one.text for one in name.iter(SPACE + "GivenName")] == ["Tarou", "太郎"]
    assert [(one.attrib["number"], one.text) for one in told["00080008"]] == [("1", "ORIGINAL"), ("3", "AX<IAL&")]
    assert len(told["00080005"]) == 0
    assert [len(item) for item in told["00400275"]] == [1, 0]
    assert [one.text for one in told["00400275"].iter(SPACE + "Value")] == ["S\ufffd1"]
    assert told["00091001"].attrib["privateCreator"] == 'ACME "1"'
    assert "privateCreator" not in told["0009FF01"].attrib
    assert told["7FE00010"][0].attrib["uri"] == "http://a/b?c=1&d"
    assert told["00280010"][0].text == "512"


@pytest.mark.conformance("checked xml", "GET studies")
async def test_metadata_and_results_in_xml(house: House) -> None:
    content = instance(PatientID="XML-1", PatientName="Æsir^Odin", SpecificCharacterSet="ISO_IR 192")
    await stow(house, content)
    async with house.clinician() as client:
        metadata = await client.get(path_of(content) + "/metadata", headers={"Accept": XML})
        assert metadata.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"')
        ((head, document),) = parts_of(metadata)
        assert "application/dicom+xml" in head
        told = read(document)
        assert told["0020000D"][0].text == uids(content).StudyInstanceUID
        assert told["7FE00010"][0].attrib["uri"].startswith("http://troth.test/dicomweb/studies/")
        (json_told,) = (await client.get(path_of(content) + "/metadata")).json()
        assert set(told) == set(json_told)
        again = await client.get(
            path_of(content) + "/metadata", headers={"Accept": XML, "If-None-Match": metadata.headers["etag"]}
        )
        assert again.status_code == 304
        found = await client.get("/studies?PatientID=XML-1", headers={"Accept": XML})
        ((_, document),) = parts_of(found)
        assert read(document)["00100010"][0][0][0].text == "Æsir"
        for accept, status in (("application/dicom+xml", 200), ("text/xml", 406), (f"{XML};q=0", 406)):
            answer = await client.get("/studies?PatientID=XML-1", headers={"Accept": accept})
            assert answer.status_code == status, accept
        preferred = await client.get(
            "/studies?PatientID=XML-1", headers={"Accept": f"{XML};q=0.5, application/dicom+json;q=0.9"}
        )
        assert preferred.headers["content-type"] == "application/dicom+json"
    assert isinstance(pydicom.Dataset.from_json(json_told, lambda *_: b""), Dataset)
