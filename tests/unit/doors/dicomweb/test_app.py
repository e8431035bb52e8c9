from __future__ import annotations

import asyncio
import json
import zlib
from datetime import timedelta
from io import BytesIO
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import instance, real_files, to_file
from tests.unit.doors.dicomweb.conftest import House
from troth.kit import clock

NOTHING: dict[str, Any] = {"Value": []}
STOW = 'multipart/related; type="application/dicom"; boundary="b-1"'


def message(*files: bytes, types: tuple[str, ...] = ()) -> bytes:
    body = b""
    for number, content in enumerate(files):
        kind = types[number] if types else "application/dicom"
        body += b"\r\n--b-1\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + content
    return body + b"\r\n--b-1--\r\n"


async def stow(house: House, *files: bytes, to: str = "/studies", **options: Any) -> httpx.Response:
    async with house.sender() as client:
        return await client.post(to, content=message(*files, **options), headers={"Content-Type": STOW})


def uids(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(content), stop_before_pixels=True)


def path_of(content: bytes) -> str:
    dataset = uids(content)
    return f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"


def parts_of(response: httpx.Response) -> list[tuple[str, bytes]]:
    boundary = response.headers["content-type"].split('boundary="')[1].rstrip('"').encode()
    found = []
    for part in response.content.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        found.append((head.decode(), content[:-2]))
    return found


@pytest.mark.conformance("checked store response", "HTTP 200", "POST studies")
async def test_store_and_answer(house: House) -> None:
    first, second = instance(), instance()
    response = await stow(house, first, second)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    told = response.json()
    assert len(told["00081199"]["Value"]) == 2
    assert "00081198" not in told
    url = told["00081199"]["Value"][0]["00081190"]["Value"][0]
    assert url == "http://troth.test/dicomweb" + path_of(first)


@pytest.mark.conformance("checked one bad part", "HTTP 202", "checked store response")
async def test_one_bad_part_never_stops_the_rest(house: House) -> None:
    good, more = instance(), instance()
    cut = instance()[:-100]
    uid = generate_uid()
    clash = instance(SOPInstanceUID=uid), instance(SOPInstanceUID=uid)
    response = await stow(
        house,
        b"this is not DICOM" * 20,
        good,
        cut,
        b"",
        clash[0],
        clash[1],
        b"{}",
        more,
        types=("application/dicom",) * 6 + ("application/json", "application/dicom"),
    )
    assert response.status_code == 202
    told = response.json()
    assert {item["00081155"]["Value"][0] for item in told["00081199"]["Value"]} == {
        uids(good).SOPInstanceUID,
        uids(more).SOPInstanceUID,
        uid,
    }
    assert [item["00081197"]["Value"][0] for item in told["00081198"]["Value"]] == [0xC000, 0x0111]
    assert told["00081198"]["Value"][0]["00081155"]["Value"] == [uids(cut).SOPInstanceUID]
    assert len(told["0008119A"]["Value"]) == 3


@pytest.mark.conformance(
    "HTTP 400",
    "HTTP 409",
    "HTTP 415",
    "HTTP 406",
    "STOW takes application/dicom",
    "reason C113",
    "POST studies/{study}",
)
async def test_refusals_of_whole_messages(house: House) -> None:
    assert (await stow(house, b"nothing" * 50)).status_code == 409
    assert (await stow(house)).status_code == 400
    async with house.sender() as client:
        wrong = await client.post("/studies", content=b"{}", headers={"Content-Type": "application/json"})
        assert wrong.status_code == 415
        assert wrong.headers["content-type"] == "application/problem+json"
        broken = await client.post(
            "/studies", content=b"x", headers={"Content-Type": 'multipart/related; type="application/dicom"'}
        )
        assert broken.status_code == 400
        single = await client.post("/studies", content=instance(), headers={"Content-Type": "application/dicom"})
        assert single.status_code == 200
        nothing = await client.post(
            "/studies", content=message(instance()), headers={"Content-Type": STOW, "Accept": "text/html"}
        )
        assert nothing.status_code == 406
    other = instance()
    mismatch = await stow(house, other, to=f"/studies/{generate_uid()}")
    assert mismatch.status_code == 409
    assert len(mismatch.json()["00081198"]["Value"]) == 1
    right = await stow(house, other, to=f"/studies/{uids(other).StudyInstanceUID}")
    assert right.status_code == 200
    assert (await stow(house, other, to="/studies/..%2F..%2Fetc")).status_code == 404


@pytest.mark.asvs("V3.5.2")
@pytest.mark.conformance("HTTP 401", "HTTP 403", "HTTP 404", "security web sessions")
async def test_only_peers_store_and_only_from_here(house: House) -> None:
    content = message(instance())
    async with house.client() as nobody:
        response = await nobody.post("/studies", content=content, headers={"Content-Type": STOW})
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    async with house.clinician() as client:
        refused = await client.post(
            "/studies", content=content, headers={"Content-Type": STOW, "Sec-Fetch-Site": "same-origin"}
        )
        assert refused.status_code == 404
    async with house.signed_in(house.rooms.actor("peer")) as client:
        kind = {"Content-Type": STOW, "Troth-Purpose": "care"}
        foreign = await client.post("/studies", content=content, headers=kind | {"Origin": "http://evil.test"})
        assert foreign.status_code == 403
        assert (await client.post("/studies", content=content, headers=kind)).status_code == 403
        near = await client.post("/studies", content=content, headers=kind | {"Origin": "http://troth.test"})
        assert near.status_code == 200


@pytest.mark.conformance(
    "GET studies",
    "GET instances",
    "GET studies/{study}/series",
    "HTTP 204",
    "QIDO option limit",
    "QIDO option includefield",
)
async def test_search_as_ohif_does(house: House) -> None:
    content = instance(PatientName="Ohifsson^Olaf", PatientID="OH-1", StudyDescription="MR Knee left")
    await stow(house, content)
    study = uids(content).StudyInstanceUID
    usual = "limit=101&offset=0&fuzzymatching=&includefield=00081030%2C00080060%2C00080090%2C00100030"
    async with house.clinician() as client:
        for keys in (
            "PatientName=*ohifs*", "PatientName=%2Aohifs%2A", "00100020=*H-1*", "AccessionNumber=*ACC*&PatientID=OH-1",
            "StudyDescription=*Knee*&PatientName=Ohifsson*", "ModalitiesInStudy=CT%2CMR&00100020=OH-1",
            "StudyDate=20240101-20241231&00100020=OH-1", f"StudyInstanceUID={generate_uid()}%5C{study}",
            "PatientName=OHIFSSON%5EOLAF", "PatientBirthDate=19700102&PatientName=ohif*",
        ):  # fmt: skip
            response = await client.get(f"/studies?{usual}&{keys}")
            assert response.status_code == 200, keys
            (found,) = response.json()
            assert found["0020000D"]["Value"] == [study]
            assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Ohifsson^Olaf"}]}
            assert found["00201208"] == {"vr": "IS", "Value": [1]}
            assert found["00081190"]["Value"] == [f"http://troth.test/dicomweb/studies/{study}"]
        nobody = await client.get("/studies?PatientName=*nobody*")
        assert (nobody.status_code, nobody.content) == (204, b"")
        series = (await client.get(f"/studies/{study}/series?includefield=0008103E%2C00080021")).json()
        assert series[0]["0020000E"]["Value"] == [uids(content).SeriesInstanceUID]
        assert series[0]["00201209"]["Value"] == [1]
        assert "00100010" not in series[0]
        found = (await client.get(f"/instances?SOPInstanceUID={uids(content).SOPInstanceUID}")).json()
        assert found[0]["00280010"] == {"vr": "US", "Value": [16]}


@pytest.mark.conformance("QIDO unknown key", "QIDO option *valuematching", "HTTP 400")
async def test_a_search_never_widens(house: House) -> None:
    async with house.clinician() as client:
        for keys in (
            "PatientNmae=X", "00100010.00100020=1", "00091001=1", "SeriesDescription=Axial", "StudyDate=yesterday",
            "PatientID=a&PatientID=b", "fuzzymatching=maybe", "RequestAttributesSequence=1", "limit=-1",
            "offset=x", "multiplevaluematching=true", "emptyvaluematching=true", "StudyInstanceUID=abc", "00104000=x",
        ):  # fmt: skip
            response = await client.get(f"/studies?{keys}")
            assert response.status_code == 400, keys
            assert response.json()["status"] == 400
        fuzzy = await client.get("/studies?fuzzymatching=true&PatientName=Mil*&limit=1")
        assert fuzzy.headers["warning"].count("299") == 2


@pytest.mark.conformance("security tenants", "security decision", "HTTP 404")
async def test_whose_studies_a_search_finds(house: House) -> None:
    mine, other = instance(PatientID="SELF"), instance(PatientID="SELF-2")
    await stow(house, mine, other)
    clinician = house.rooms.actor("clinician")
    target = await house.rooms.archive.target(clinician, uids(mine).StudyInstanceUID)
    patient = house.rooms.actor("patient", subject_id=target.subject_id)
    async with house.signed_in(patient) as client:
        found = (await client.get("/studies")).json()
        assert [one["0020000D"]["Value"][0] for one in found] == [uids(mine).StudyInstanceUID]
        assert (await client.get("/studies?PatientID=SELF-2")).status_code == 204
        assert (await client.get(path_of(mine) + "/metadata")).status_code == 200
        assert (await client.get(path_of(other) + "/metadata")).status_code == 404
    async with house.signed_in(house.rooms.actor("clinician", house.rooms.other)) as stranger:
        assert (await stranger.get("/studies")).status_code == 204
        there = await stranger.get(path_of(mine) + "/metadata")
        absent = await stranger.get(path_of(instance()) + "/metadata")
        malformed = await stranger.get("/studies/1.2..3/metadata")
        assert (there.status_code, there.content) == (absent.status_code, absent.content) == (404, malformed.content)
        assert dict(there.headers) == dict(absent.headers)


@pytest.mark.conformance(
    "GET studies/{study}",
    "GET studies/{study}/series/{series}/metadata",
    "GET studies/{study}/thumbnail",
    "checked accept",
    "HTTP 406",
    "HTTP 404",
)
async def test_retrieve(house: House) -> None:
    first = instance()
    study, series = uids(first).StudyInstanceUID, uids(first).SeriesInstanceUID
    second = instance(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=2)
    await stow(house, first, second)
    async with house.clinician() as client:
        single = await client.get(path_of(first), headers={"Accept": "application/dicom"})
        assert single.headers["content-type"] == "application/dicom;transfer-syntax=1.2.840.10008.1.2.1"
        assert int(single.headers["content-length"]) == len(single.content)
        assert pydicom.dcmread(BytesIO(single.content)) == pydicom.dcmread(BytesIO(first))
        kind = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        whole = await client.get(f"/studies/{study}", headers={"Accept": kind})
        assert [pydicom.dcmread(BytesIO(content)) for _, content in parts_of(whole)] == [
            pydicom.dcmread(BytesIO(first)), pydicom.dcmread(BytesIO(second)),
        ]  # fmt: skip
        metadata = (await client.get(f"/studies/{study}/series/{series}/metadata")).json()
        assert [one["00200013"]["Value"] for one in metadata] == [[1], [2]]
        uri = metadata[0]["7FE00010"]["BulkDataURI"]
        pixels = await client.get(uri.removeprefix("http://troth.test/dicomweb"))
        assert parts_of(pixels)[0][1] == pydicom.dcmread(BytesIO(first)).PixelData
        octets = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
        frame = await client.get(path_of(first) + "/frames/1", headers={"Accept": octets})
        ((head, content),) = parts_of(frame)
        assert "application/octet-stream;transfer-syntax=1.2.840.10008.1.2.1" in head
        assert content == pydicom.dcmread(BytesIO(first)).PixelData
        for accept, status in (
            ("text/html", 406), ("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50", 406), ("*/*", 200),
        ):  # fmt: skip
            assert (await client.get(path_of(first), headers={"Accept": accept})).status_code == status
        for tail, status in (("/frames/2", 404), ("/frames/x", 400), ("/frames/0", 404), ("/bulkdata/00100010", 404)):
            assert (await client.get(path_of(first) + tail)).status_code == status, tail
        for kind in ("image/jpeg", "image/png", "image/gif"):
            picture = await client.get(path_of(first) + "/rendered?window=100,200", headers={"Accept": kind})
            assert (picture.status_code, picture.headers["content-type"]) == (200, kind)
        small = await client.get(f"/studies/{study}/thumbnail")
        assert small.status_code == 200
    opened = await house.rooms.events("archive:study:opened")
    assert len([one for one in opened if one.payload and one.payload["study_uid"] == study]) == 1


async def test_many_requests_at_once_are_one_viewing(house: House) -> None:
    content = instance()
    await stow(house, content)
    async with house.clinician() as client:
        paths = ["/metadata", "/frames/1", "/rendered"] * 5
        responses = await asyncio.gather(*(client.get(path_of(content) + path) for path in paths))
        assert {response.status_code for response in responses} == {200}
        await client.get(f"/studies/{uids(content).StudyInstanceUID}/series")
    study = uids(content).StudyInstanceUID
    kinds = ("archive:study:opened", "archive:studies:queried")
    opened, queried = [await house.rooms.events(kind) for kind in kinds]
    assert len([one for one in opened if one.payload and one.payload["study_uid"] == study]) == 1
    assert not [one for one in queried if one.payload and one.payload.get("keys", {}).get("StudyInstanceUID") == study]


async def test_a_session_that_ended_sees_nothing_more(house: House) -> None:
    content = instance()
    await stow(house, content)
    async with house.clinician() as client:
        assert (await client.get(path_of(content) + "/frames/1")).status_code == 200
        assert (await client.get("/studies?PatientID=P-1")).status_code == 200
        house.people.sessions.clear()
        with clock.moved(timedelta(seconds=1)):  # who stands behind a token is known for a second, and no longer
            assert (await client.get(path_of(content) + "/frames/1")).status_code == 401
            assert (await client.get("/studies?PatientID=P-1")).status_code == 401


async def test_a_right_that_ended_is_felt_within_a_second(house: House) -> None:
    content = instance()
    await stow(house, content)
    async with house.clinician() as client:
        assert (await client.get("/studies?PatientID=P-1")).status_code == 200
        house.rooms.moment.session_alive = False
        try:
            with clock.moved(timedelta(seconds=1)):
                assert (await client.get("/studies?PatientID=P-1")).status_code == 404
        finally:
            house.rooms.moment.session_alive = True


@pytest.mark.conformance("HTTP 304", "GET studies/{study}/series/{series}/instances/{instance}/metadata")
async def test_metadata_is_not_sent_again_to_who_has_it(house: House) -> None:
    first = instance()
    study, series = uids(first).StudyInstanceUID, uids(first).SeriesInstanceUID
    await stow(house, first)
    path = f"/studies/{study}/series/{series}/metadata"
    async with house.clinician() as client:
        tag = (await client.get(path)).headers["etag"]
        for known in (tag, f'"other", W/{tag}', "*"):
            again = await client.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        await stow(house, instance(StudyInstanceUID=study, SeriesInstanceUID=series))
        changed = await client.get(path, headers={"If-None-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag
        assert len(changed.json()) == 2
        assert (await client.get(path_of(first) + "/metadata")).headers["etag"] not in (tag, changed.headers["etag"])


async def test_real_files_go_in_and_out(house: House) -> None:
    files = [path.read_bytes() for path in real_files()]
    response = await stow(house, *files)
    assert response.status_code == 202
    held = response.json()["00081199"]["Value"]
    assert len(held) > 30
    frames = pictures = 0
    async with house.clinician() as client:
        for item in held:
            url = item["00081190"]["Value"][0].removeprefix("http://troth.test/dicomweb")
            metadata = await client.get(url + "/metadata")
            assert metadata.status_code == 200
            if metadata.json()[0].get("00280008", {}).get("Value") != ["1A"]:  # pydicom reads no number that is none
                pydicom.Dataset.from_json(json.dumps(metadata.json()[0]), bulk_data_uri_handler=lambda *_: b"")
            if "7FE00010" in metadata.json()[0]:
                octets = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
                frame = await client.get(url + "/frames/1", headers={"Accept": octets})
                assert frame.status_code == 200
                frames += 1
                picture = await client.get(url + "/rendered", headers={"Accept": "image/png"})
                assert picture.status_code in (200, 406)
                pictures += picture.status_code == 200
    assert frames > 25
    assert pictures > 20


@pytest.mark.parametrize("method", ["DELETE", "PUT"])
@pytest.mark.conformance("HTTP 405")
async def test_other_methods(house: House, method: str) -> None:
    async with house.clinician() as client:
        assert (await client.request(method, "/studies")).status_code == 405


def nested(levels: int) -> bytes:
    """A dataset of sequences within sequences."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = b"\x40\x00\x30\xa7SQ\x00\x00\xff\xff\xff\xff"
    return (sequence + item) * levels


def bad_files() -> dict[str, bytes]:
    good = instance()
    deflated = pydicom.dcmread(BytesIO(good))
    bomb = to_file(deflated, "1.2.840.10008.1.2.1.99")
    start = bomb.index(b"1.2.840.10008.1.2.1.99") + 22
    meta_end = bomb.index(b"\x02\x00\x12\x00", start) if b"\x02\x00\x12\x00" in bomb[start:] else start
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(b"\x08\x00\x05\x00CS\x00\x00" + bytes(200 << 20)) + packer.flush()
    pixels = good.rindex(b"\xe0\x7f\x10\x00OW")
    return {
        "not DICOM": b"PK\x03\x04" * 200,
        "truncated": good[: len(good) // 2],
        "20,000 levels": good[:pixels] + nested(20_000),
        "deflate bomb": bomb[:meta_end] + body,
        "a path as UID": good.replace(b"1.2.826.0.1.3680043.8.498", b"../../../../../../../etc/p"[:25]),
        "a length of 4 GB": good[: pixels + 8] + b"\xf0\xff\xff\xff" + good[pixels + 12 :],
        "empty": b"",
    }


@pytest.mark.asvs("V2.2.1", "V2.2.2")
@pytest.mark.parametrize("name", bad_files())
async def test_bad_input_is_answered_told_and_changes_nothing(house: House, name: str) -> None:
    content, good = bad_files()[name], instance()
    before = len(await house.rooms.events("archive:instance:refused"))
    response = await stow(house, content, good)
    assert response.status_code == 202
    told = response.json()
    assert len([*told.get("0008119A", NOTHING)["Value"], *told.get("00081198", NOTHING)["Value"]]) == 1
    assert len(told["00081199"]["Value"]) == 1
    assert len(await house.rooms.events("archive:instance:refused")) == before + 1


async def test_nothing_that_a_stranger_wrote_is_read_before_the_gate(house: House) -> None:
    unreadable = {"Accept": 'a/b; x="', "Content-Type": 'a/b; x="'}
    values = {"frames": "x", "path": "x", "study": "1.2", "series": "1.3", "instance": "1.4", "transaction": "1.5"}
    async with house.client(**unreadable) as stranger, house.clinician() as known:
        seen = 0
        for route in house.routes:
            for method in route.methods - {"HEAD"}:
                path = route.path.replace(":path", "").format(**values)
                told = await stranger.request(method, path, content=b"{")
                assert told.status_code == 401, (method, path)
                answer = await known.request(method, path, content=b"{", headers=unreadable)
                assert answer.status_code in (400, 403, 404), (method, path)
                seen += 1
    assert seen > 40
