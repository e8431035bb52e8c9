from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import httpx
import pydicom
import pytest
from PIL import Image
from pydicom.uid import generate_uid

from tests.common.objects import Made
from tests.unit.archive.rooms import instance
from tests.unit.doors.dicomweb.conftest import House
from tests.unit.doors.dicomweb.test_app import path_of, uids
from troth import dicom
from troth.dicom import Draft, Malformed, TooDeep, metadata_in
from troth.doors.dicomweb import stow_metadata
from troth.doors.dicomweb.native_xml import to_xml
from troth.doors.multipart import Event, PartBegins, PartEnds
from troth.kit.budgets import Room
from troth.kit.turns import Turns

JSON, XML, OCTETS = "application/dicom+json", "application/dicom+xml", "application/octet-stream"


def told_of(content: bytes, uri: str) -> tuple[dict[str, Any], bytes]:
    """Metadata of a file, with its pixels behind a URI, and the pixels."""
    header, bulk = dicom.scan(content)
    told = dicom.to_json(header.head, header.syntax, "p/", inline_bytes=1 << 30)
    told["7FE00010"]["BulkDataURI"] = uri
    return told, bulk


async def send(house: House, *parts: tuple[str, str, bytes], kind: str = JSON, **options: Any) -> httpx.Response:
    body = b""
    for media_type, location, content in parts:
        place = f"Content-Location: {location}\r\n" if location else ""
        body += f"\r\n--b\r\nContent-Type: {media_type}\r\n{place}\r\n".encode() + content
    headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=b'} | options.pop("headers", {})
    sender = options.pop("as_of", house.rooms.actor("peer"))
    async with house.bearer(sender, "care") as client:
        return await client.post(options.pop("to", "/studies"), content=body + b"\r\n--b--\r\n", headers=headers)


def slugs(response: httpx.Response) -> tuple[int, int, int]:
    told = response.json()
    return tuple(len(told.get(key, {}).get("Value", ())) for key in ("00081199", "00081198", "0008119A"))  # type: ignore[return-value]


@pytest.mark.conformance('STOW takes multipart/related; type="application/dicom+json"')
async def test_what_comes_in_pieces_is_the_same_instance(house: House) -> None:
    study = generate_uid()
    files = [
        instance(StudyInstanceUID=study, PatientName="Ängström^Pär", SpecificCharacterSet="ISO_IR 192") for _ in "ab"
    ]
    (one, first), (two, second) = (told_of(content, f"urn:{number}") for number, content in enumerate(files))
    response = await send(
        house, (JSON, "", json.dumps([one, two]).encode()), (OCTETS, "urn:1", second), (OCTETS, "urn:0", first)
    )
    assert (response.status_code, slugs(response)) == (200, (2, 0, 0))
    async with house.clinician() as client:
        for content in files:
            given = await client.get(path_of(content), headers={"Accept": "application/dicom"})
            got, sent = pydicom.dcmread(BytesIO(given.content)), pydicom.dcmread(BytesIO(content))
            assert got.PixelData == sent.PixelData
            assert {element.tag: str(element.value) for element in got} == {
                element.tag: str(element.value) for element in sent
            }


@pytest.mark.conformance('STOW takes multipart/related; type="application/dicom+xml"', "checked xml")
async def test_xml_in_and_xml_out(house: House) -> None:
    content = instance()
    told, pixels = told_of(content, "http://x/1")
    response = await send(
        house, (XML, "", to_xml(told)), (OCTETS, "http://x/1", pixels), kind=XML, headers={"Accept": XML}
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == XML
    assert metadata_in.datasets(response.content, is_xml=True)[0]["00081199"]["Value"][0]["00081155"]["Value"] == [
        uids(content).SOPInstanceUID
    ]
    async with house.clinician() as client:
        (back,) = (await client.get(path_of(content) + "/metadata")).json()
    assert {key: one for key, one in back.items() if key not in ("7FE00010", "00080005")} == {
        key: one for key, one in told.items() if key not in ("7FE00010", "00080005")
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
async def test_xml_in_the_encodings_of_every_processor(house: House, encoding: str) -> None:
    """XML 1.0 4.3.3: UTF-8, and UTF-16 with its mark."""
    content = instance(PatientName="Ängström^Pär", SpecificCharacterSet="ISO_IR 192")
    told, pixels = told_of(content, "http://x/1")
    document = to_xml(told).decode().partition("?>")[2]
    declared = f'<?xml version="1.0" encoding="{encoding[:6].upper()}"?>{document}'
    mark = "\ufeff" if encoding.endswith("e") else ""
    response = await send(
        house, (XML, "", (mark + declared).encode(encoding)), (OCTETS, "http://x/1", pixels), kind=XML
    )
    assert (response.status_code, slugs(response)) == (200, (1, 0, 0))
    async with house.clinician() as client:
        (back,) = (await client.get(path_of(content) + "/metadata")).json()
    assert back["00100010"]["Value"] == [{"Alphabetic": "Ängström^Pär"}]


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-32", "utf-7", "euc-jp", "utf-16-le"])
async def test_xml_in_another_encoding_is_refused_for_that(house: House, encoding: str) -> None:
    told, _ = told_of(instance(), "http://x/1")
    document = f'<?xml version="1.0" encoding="{encoding}"?>' + to_xml(told).decode().partition("?>")[2]
    response = await send(house, (XML, "", document.encode(encoding)), kind=XML, headers={"Accept": JSON})
    assert (response.status_code, slugs(response)) == (409, (0, 0, 1))
    assert "write it in UTF-8 or UTF-16" in response.headers["warning"]


async def test_compressed_frames(house: House) -> None:
    written = BytesIO()
    Image.new("L", (16, 16), 90).save(written, "JPEG")
    content = instance(BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(256))
    told, _ = told_of(content, "f")
    told["7FE00010"]["vr"] = "OB"
    kind = "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
    assert (
        await send(house, (JSON, "", json.dumps(told).encode()), (kind, "f", written.getvalue()))
    ).status_code == 200
    async with house.clinician() as client:
        picture = await client.get(path_of(content) + "/rendered", headers={"Accept": "image/png"})
        assert Image.open(BytesIO(picture.content)).size == (16, 16)


async def test_one_that_cannot_be_put_together_stops_no_other(house: House) -> None:
    files = [instance() for _ in range(4)]
    told = [told_of(content, f"v{number}") for number, content in enumerate(files)]
    told[1][0]["00280010"] = {"vr": "US", "Value": ["many"]}
    told[3][0]["7FE00010"]["BulkDataURI"] = "never"
    metadata = json.dumps([one for one, _ in told] + [{"00100010": {"vr": "PN"}}]).encode()
    response = await send(
        house,
        (JSON, "", metadata),
        ("video/mpeg", "v0", b"x"),
        (OCTETS, "unasked", b"x"),
        (OCTETS, "v0", told[0][1]),
        (OCTETS, "v1", told[1][1]),
        (OCTETS, "v2", told[2][1][:-100]),
        (JSON, "", b"{broken"),
        (JSON, "", b"[5]"),
        (JSON, "", b"[" * 100_000),
    )
    assert response.status_code == 202
    stored, failed, others = slugs(response)
    assert (stored, failed) == (2, 2)  # fewer pixels than it says are kept
    assert others == 6  # type, unasked, three that are no metadata, one without any name
    events = await house.rooms.events("archive:instance:refused")
    reasons = {str((event.payload or {})["reason"]) for event in events}
    assert {"bulk-missing", "bulk-unasked", "media-type-unknown"} <= reasons


@pytest.mark.asvs("V5.2.1")
async def test_what_waits_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    content = instance()
    told, pixels = told_of(content, "v")
    monkeypatch.setattr(stow_metadata, "MOST_WAITING_BYTES", 100)
    response = await send(house, (JSON, "", json.dumps(told).encode()), (OCTETS, "v", pixels))
    assert (response.status_code, slugs(response)) == (409, (0, 1, 1))
    monkeypatch.setattr(stow_metadata, "MOST_METADATA_BYTES", 100)
    response = await send(house, (JSON, "", json.dumps(told).encode()))
    assert (response.status_code, slugs(response)) == (409, (0, 0, 1))


async def test_metadata_that_waits_is_counted_with_the_values(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    told, pixels = told_of(instance(), "v")
    monkeypatch.setattr(stow_metadata, "MOST_WAITING_BYTES", 3_000)
    many = [told | {"00080018": {"vr": "UI", "Value": [generate_uid()]}} for _ in range(4)]
    response = await send(house, (JSON, "", json.dumps(many).encode()), (OCTETS, "v", pixels[:512]))
    stored, failed, _ = slugs(response)
    assert stored + failed == 4
    reasons = [one["00081197"]["Value"] for one in response.json()["00081198"]["Value"]]
    assert [0xA700] in reasons, "those that found no more room to wait"


async def test_more_instances_than_a_message_may_have_are_not_answered_one_by_one(house: House) -> None:
    response = await send(house, (JSON, "", b"[" + b"{}," * 20_000 + b"{}]"))
    assert (response.status_code, slugs(response)) == (409, (0, 0, 1))
    assert response.json()["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xA700]}}]


async def calls_of(number: int, shared: int) -> int:
    """Calls it takes to put instances together that each wait for a value of their own and for shared ones."""
    datasets = [
        {
            "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.104.1"]},
            "00080018": {"vr": "UI", "Value": [f"1.2.{at}"]},
            "00420011": {"vr": "OB", "BulkDataURI": f"own-{at}"},
            **{f"0009{one + 16:04X}": {"vr": "OB", "BulkDataURI": f"all-{one}"} for one in range(shared)},
        }
        for at in range(number)
    ]
    drafts = [dicom.draft(one) for one in datasets]

    async def read(_content: bytes, _is_xml: bool) -> list[Draft]:
        return drafts

    async def parts() -> Any:
        for kind, location in [(JSON, ""), *((OCTETS, f"all-{one}") for one in range(shared))]:
            yield PartBegins(kind, {}, location)
            yield PartEnds()
        for at in range(number):
            yield PartBegins(OCTETS, {}, f"own-{at}")
            yield memoryview(b"ab")
            yield PartEnds()

    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    room = Room(1 << 30, 1 << 30)
    assembly = stow_metadata.Assembly(read, room.share("one"))
    sys.setprofile(note)
    try:
        made = [event async for event in assembly.events(parts()) if isinstance(event, PartEnds)]
    finally:
        sys.setprofile(None)
    assert (len(made), assembly.refused) == (number, [])
    return count


async def test_the_work_of_putting_together_grows_with_what_came_and_not_with_its_square() -> None:
    small, large = await calls_of(100, 3), await calls_of(400, 3)
    assert large < 4.2 * small


async def test_one_organisation_cannot_fill_the_room_for_what_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms, gate = house.rooms, house.gate
    content = instance()
    told, pixels = told_of(content, "v")
    parts = ((JSON, "", json.dumps(told).encode()), (OCTETS, "v", pixels))
    monkeypatch.setattr(gate, "waiting_bytes", Room(3 << 20, 2 << 20))
    with gate.waiting_bytes.share(rooms.hospital.id) as share:
        share.take((2 << 20) - 200)
        refused = await send(house, *parts)
        assert (refused.status_code, slugs(refused)) == (409, (0, 0, 2))
        assert refused.json()["0008119A"]["Value"][0]["00081197"]["Value"] == [0xA700]
        assert "Too much is being sent at once" in refused.headers["warning"]
        taken = await send(house, *parts, as_of=rooms.actor("peer", organisation=rooms.other))
        assert (taken.status_code, slugs(taken)) == (200, (1, 0, 0))
    assert (await send(house, *parts)).status_code == 200
    assert not gate.waiting_bytes._held, "what waited was given back"


async def test_an_instance_that_finds_no_room_to_wait_stops_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = instance(), instance()
    (large, _), (small, pixels) = told_of(first, "never"), told_of(second, "v")
    large["00189089"] = {"vr": "FD", "Value": [1] * 5_000}  # four times as long as it was told
    metadata = json.dumps([large, small]).encode()
    monkeypatch.setattr(house.gate, "waiting_bytes", Room(1 << 20, len(metadata) + 4_000))
    response = await send(house, (JSON, "", metadata), (OCTETS, "v", pixels))
    assert (response.status_code, slugs(response)) == (202, (1, 1, 0))
    assert response.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]
    assert "Too much is being sent at once" in response.headers["warning"]
    assert not house.gate.waiting_bytes._held


async def test_metadata_is_held_as_long_as_it_is_read() -> None:
    room, held = Room(1 << 20, 1 << 20), list[int]()
    content = b"[" + b" " * 5_000 + b"]"

    async def read(_content: bytes, _is_xml: bool) -> list[Draft]:
        held.append(room._held["one"])
        raise Malformed

    async def parts() -> AsyncIterator[Event]:
        yield PartBegins(JSON)
        yield memoryview(content)
        yield PartEnds()

    assembly = stow_metadata.Assembly(read, room.share("one"))
    assert [event async for event in assembly.events(parts())] == []
    assert held == [len(content)]
    assert not room._held
    assert [type(one) for one in assembly.refused] == [Malformed]


async def test_one_organisation_cannot_take_all_turns_at_storing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms, gate = house.rooms, house.gate
    monkeypatch.setattr(gate, "uploads", Turns(2, most_of_one=1, most_waiting=1))
    let_go = asyncio.Event()

    async def dripping() -> AsyncIterator[bytes]:
        yield b"--b\r\n"
        await let_go.wait()
        yield b"--b--\r\n"

    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    async with house.sender() as client:
        held = [asyncio.create_task(client.post("/studies", content=dripping(), headers=headers)) for _ in range(2)]
        while len(gate.uploads._waiting) < 1:
            await asyncio.sleep(0.01)
        refused = await client.post("/studies", content=dripping(), headers=headers)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        content = instance()
        told, pixels = told_of(content, "v")
        parts = ((JSON, "", json.dumps(told).encode()), (OCTETS, "v", pixels))
        other = rooms.actor("peer", organisation=rooms.other)
        assert (await send(house, *parts, as_of=other)).status_code == 200
        let_go.set()
        assert [one.status_code for one in await asyncio.gather(*held)] == [400, 400]


async def test_another_study_and_another_type(house: House) -> None:
    content = instance()
    told, pixels = told_of(content, "v")
    parts = ((JSON, "", json.dumps(told).encode()), (OCTETS, "v", pixels))
    assert (await send(house, *parts, to=f"/studies/{generate_uid()}")).status_code == 409
    assert (await send(house, *parts, kind="text/html")).status_code == 415
    assert (await send(house, *parts, to=f"/studies/{uids(content).StudyInstanceUID}")).status_code == 200
    shared = instance()
    one, same = told_of(shared, "both")
    two = json.loads(json.dumps(one)) | {"00080018": {"vr": "UI", "Value": [generate_uid()]}}
    both = await send(house, (JSON, "", json.dumps([one, two]).encode()), (OCTETS, "both", same))
    assert (both.status_code, slugs(both)) == (200, (2, 0, 0))


@pytest.mark.asvs("V1.5.1")
@pytest.mark.parametrize(
    "document",
    [
        b"", b"<a/>", b"<NativeDicomModel>", b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel>&b;</NativeDicomModel>',
        b'<NativeDicomModel><DicomAttribute vr="LO"/></NativeDicomModel>',
        b'<NativeDicomModel><DicomAttribute tag="00280010" vr="US"><Value number="1">x</Value></DicomAttribute>'
        b"</NativeDicomModel>",
        b'<NativeDicomModel><DicomAttribute tag="00280010" vr="US"><Value number="999999999">1</Value>'
        b"</DicomAttribute></NativeDicomModel>",
        '<NativeDicomModel xmlns="a"/>'.encode("utf-16"),
        '<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel>&b;</NativeDicomModel>'.encode("utf-16"),
        b"\xff\xfe<\x00\x00\xd8", b"\xff\xfe<",
    ],
)  # fmt: skip
def test_xml_that_is_not_the_model(document: bytes) -> None:
    with pytest.raises(Malformed):
        metadata_in.datasets(document, is_xml=True)


@pytest.mark.asvs("V1.5.1")
def test_xml_too_deep() -> None:
    inner = b""
    for _ in range(30):
        inner = b'<DicomAttribute tag="00400275" vr="SQ"><Item number="1">' + inner + b"</Item></DicomAttribute>"
    with pytest.raises(TooDeep):
        metadata_in.datasets(b"<NativeDicomModel>" + inner + b"</NativeDicomModel>", is_xml=True)


@pytest.mark.parametrize("kind", ["application/pdf", "text/xml", "model/stl"])
async def test_documents_come_under_their_own_media_type(house: House, kind: str) -> None:
    made = Made(sop_class="1.2.840.10008.5.1.4.1.1.104.1", has_pixels=False)
    told = dicom.to_json(made.data_set, "1.2.840.10008.1.2.1")
    told["00420011"] = {"vr": "OB", "BulkDataURI": "document"}
    told["00420012"] = {"vr": "LO", "Value": [kind]}
    response = await send(house, (JSON, "", json.dumps([told]).encode()), (kind, "document", b"%PDF-1.4 and so on"))
    assert response.status_code == 200, response.text
    async with house.clinician() as client:
        value = await client.get(f"{made.path}/bulkdata/00420011", headers={"Accept": "application/octet-stream"})
        assert value.content == b"%PDF-1.4 and so on"


async def test_what_has_no_name_is_refused_before_it_is_written_and_read_as_a_file() -> None:
    drafts = [dicom.draft({}), dicom.draft({"00080018": {"vr": "UI", "Value": ["1.2.3"]}})]

    async def read(_content: bytes, _is_xml: bool) -> list[Draft]:
        return drafts

    async def parts() -> Any:
        yield PartBegins(JSON, {}, "")
        yield PartEnds()

    assembly = stow_metadata.Assembly(read, Room(1 << 30, 1 << 30).share("one"))
    assert [event async for event in assembly.events(parts())] == []
    assert [type(fault) for fault in assembly.refused] == [dicom.Malformed] * 2
