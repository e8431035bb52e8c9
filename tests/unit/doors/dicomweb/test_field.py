"""What programs and devices of others send, taken and given back as it is."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Callable
from io import BytesIO

import httpx
import pydicom
import pytest
from pydicom.pixels import pixel_array

from tests.common import objects
from tests.common.objects import Made, fragments, video
from tests.unit.dicom.files import flat_memory, nested, wheel
from tests.unit.doors.dicomweb.conftest import House
from tests.unit.doors.dicomweb.test_app import message, parts_of, path_of, stow
from troth.archive import painter
from troth.dicom import encode, part10, recode, scan, syntaxes
from troth.dicom.specimens import retagged
from troth.doors.dicomweb import retrieving

STREAM = (b"\x00\x00\x00\x18ftypmp42" + bytes(1000), b"moov" * 20, b"mdat" + bytes(range(200)))


@pytest.mark.parametrize("length", [70, 71, 73, 200])
async def test_boundaries_of_real_clients_are_taken(house: House, length: int) -> None:
    """Orthanc's has 73 characters, three more than RFC 2046 5.1.1 allows."""
    boundary = "0123456789-ab" * 20
    kind = f'multipart/related; type="application/dicom"; boundary={boundary[:length]}'
    content = message(Made().file).replace(b"--b-1", b"--" + boundary[:length].encode())
    async with house.sender() as client:
        answer = await client.post("/studies", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 200


async def test_a_boundary_without_bound_is_refused(house: House) -> None:
    kind = f'multipart/related; type="application/dicom"; boundary={"x" * 201}'
    async with house.sender() as client:
        assert (await client.post("/studies", content=b"--", headers={"Content-Type": kind})).status_code == 400


@pytest.mark.conformance("bulk video/*", "HTTP 406")
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("syntax", sorted(syntaxes.VIDEO))
async def test_video_is_kept_as_one_stream(house: House, syntax: str, pieces: int) -> None:
    made = video(syntax, pieces=STREAM[:pieces])
    assert (await stow(house, made.file)).status_code == 200
    async with house.clinician() as client:
        assert (await client.get(made.path)).content.endswith(made.data_set)
        for kind in ("application/octet-stream", retrieving._VIDEO_TYPES[syntax]):
            value = await client.get(f"{made.path}/bulkdata/7FE00010", headers={"Accept": kind})
            assert value.content == b"".join(STREAM[:pieces])
            assert value.headers["content-type"] == f"{kind};transfer-syntax={syntax}"
        for asked in ("frames/1", "frames/2", "rendered", "thumbnail", "frames/1/rendered"):
            answer = await client.get(f"{made.path}/{asked}", headers={"Accept": "*/*"})
            assert (answer.status_code, "video" in answer.json()["title"]) == (406, True), asked


async def test_a_player_asks_for_pieces_of_a_video(house: House) -> None:
    made = video("1.2.840.10008.1.2.4.102", pieces=STREAM)
    await stow(house, made.file)
    whole = b"".join(STREAM)
    async with house.clinician() as client:
        for start, stop in ((0, 5), (1000, 1100), (1005, len(whole) - 1), (len(STREAM[0]), len(STREAM[0]) + 79)):
            asked = {"Accept": "video/mp4", "Range": f"bytes={start}-{stop}"}
            part = await client.get(f"{made.path}/bulkdata/7FE00010", headers=asked)
            assert (part.status_code, part.content) == (206, whole[start : stop + 1])
            assert part.headers["content-type"].startswith("video/mp4;")
        other = await client.get(f"{made.path}/bulkdata/7FE00010", headers={"Accept": "video/mpeg2"})
        assert other.status_code == 406


CLINICAL = {
    "no pixels at all": Made().put(0x7FE00010, "OW", b""),
    "half of the pixels": Made().put(0x7FE00010, "OB", bytes(32)),
    "fewer frames than it says": Made().text(0x00280008, "IS", "3"),
    "fewer fragments than frames": Made("1.2.840.10008.1.2.4.50")
    .text(0x00280008, "IS", "3")
    .raw(0x7FE00010, fragments(b"\xff\xd8\xff\xd9")),
    "1A as the number of frames": Made().text(0x00280008, "IS", "1A"),
    "more frames than there are numbers": Made().text(0x00280008, "IS", "9999999999"),
}


@pytest.mark.parametrize("made", CLINICAL.values(), ids=CLINICAL)
async def test_what_is_odd_is_kept_for_the_patient(house: House, made: Made) -> None:
    """An archive that refuses loses it; drawing may fail instead."""
    answer = await stow(house, made.file)
    assert answer.status_code == 200, answer.text
    async with house.clinician() as client:
        assert (await client.get(made.path)).content.endswith(made.data_set)
        assert (await client.get(f"{made.path}/metadata")).status_code == 200
        drawn = await client.get(f"{made.path}/rendered", headers={"Accept": "image/png"})
        assert drawn.status_code in (200, 404, 406)


async def test_the_frames_that_are_whole_are_given(house: House) -> None:
    made = CLINICAL["fewer frames than it says"]
    await stow(house, made.file)
    async with house.clinician() as client:
        octets = {"Accept": "application/octet-stream"}
        assert (await client.get(f"{made.path}/frames/1", headers=octets)).content == bytes(range(64))
        assert (await client.get(f"{made.path}/frames/2", headers=octets)).status_code == 404


LARGE = {
    "frames": lambda: objects.slide(9000),
    "contours": lambda: objects.structures(6000, 10),
    "text": lambda: objects.long_text(26 << 20),
}


@pytest.mark.parametrize("made", LARGE.values(), ids=LARGE)
@pytest.mark.conformance("large head_bytes")
async def test_what_is_large_beside_the_pixels_goes_in_and_out(house: House, made: Callable[[], Made]) -> None:
    one = made()
    content = one.file
    async with house.sender() as client:
        with flat_memory(24 << 20):
            answer = await client.post(
                "/studies", content=pieces_of(content), headers={"Content-Type": "application/dicom"}
            )
    assert answer.status_code == 200, answer.text
    async with house.clinician() as client:
        given = await client.get(one.path)
        assert given.content[given.content.index(b"DICM") :].endswith(one.data_set)
        told = await client.get(f"{one.path}/metadata")
        assert len(told.json()) == 1
        series = await client.get(one.path.split("/instances")[0] + "/metadata")
        assert series.content == told.content
        assert "content-length" not in told.headers, "it comes piece by piece"
        xml = {"Accept": 'multipart/related; type="application/dicom+xml"'}
        assert (await client.get(f"{one.path}/metadata", headers=xml)).status_code == 406
        if "52009230" in told.json()[0]:
            assert len(told.json()[0]["52009230"]["Value"]) == 9000
            drawn = await client.get(f"{one.path}/frames/8999/rendered", headers={"Accept": "image/png"})
            assert drawn.status_code == 200


async def pieces_of(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 64 << 10):
        yield content[at : at + (64 << 10)]


async def test_jpeg_of_twelve_bits_is_drawn_in_the_confined_child(house: House) -> None:
    content = retagged(wheel("JPGExtended.dcm"), seed=12)
    assert (await stow(house, content)).status_code == 200
    async with house.clinician() as client:
        for asked in ("rendered", "thumbnail", "frames/1/rendered"):
            drawn = await client.get(f"{path_of(content)}/{asked}", headers={"Accept": "image/png"})
            assert (drawn.status_code, drawn.content[:4]) == (200, b"\x89PNG")


REFUSED = {
    "cut in the pixels": lambda made: made.file[:-20],
    "a level too deep": lambda made: made.raw(0x00400275, nested(40)).file,
    "an element before its time": lambda made: made.raw(0x00200012, encode.text(0x0020000D, "UI", "1.2")).file,
}


@pytest.mark.parametrize("break_it", REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_taken_is_named_with_the_reason(house: House, break_it: Callable[[Made], bytes]) -> None:
    """PS3.18 Table 10.5.3-2: class and instance of what failed, wherever they can be read; in words in a header."""
    made, good = Made(), Made()
    answer = await stow(house, break_it(made), good.file)
    assert answer.status_code == 202
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081150"]["Value"] == [made.sop_class]
    assert failed["00081155"]["Value"] == [made.instance]
    assert failed["00081197"]["Value"] == [0xC000]
    assert "0008119A" not in answer.json()
    assert "1 of the failed: " in answer.headers["warning"]


async def test_what_has_no_name_is_told_without(house: House) -> None:
    answer = await stow(house, b"nothing of DICOM" * 100)
    assert answer.status_code == 409
    assert [item["00081197"]["Value"] for item in answer.json()["0008119A"]["Value"]] == [[0xC000]]
    assert "This is not a DICOM file" in answer.headers["warning"]


@pytest.mark.conformance("reason A900")
async def test_a_meta_group_that_names_another_instance_is_refused_as_c_store_does(house: House) -> None:
    made, other = Made(), Made()
    for sop_class, instance in ((made.sop_class, other.instance), (objects.SLIDE, made.instance)):
        answer = await stow(house, part10(sop_class, instance, made.syntax) + made.data_set)
        (failed,) = answer.json()["00081198"]["Value"]
        assert (failed["00081155"]["Value"], failed["00081197"]["Value"]) == ([made.instance], [0xA900])


async def test_files_without_a_preamble_are_taken_with_and_without_their_meta_group(house: House) -> None:
    for content in (made := Made()).data_set, Made().file[128 + 4 :], Made().file[128 + 4 + 12 :]:
        assert (await stow(house, content)).status_code == 200
    assert (await stow(house, made.file)).status_code == 200, "the same once more"


async def test_405_names_every_method_of_the_address(house: House) -> None:
    async with house.sender() as client:
        allowed = {one.strip() for one in (await client.delete("/studies")).headers["allow"].split(",")}
        assert allowed >= {"GET", "POST", "OPTIONS"}
        assert "POST" not in (await client.delete("/series")).headers["allow"]


async def test_an_annotation_may_stand_in_quotes(house: House) -> None:
    """PS3.18 8.3.5.1.1 writes it so."""
    made = Made()
    await stow(house, made.file)
    async with house.clinician() as client:
        bare, quoted, plain = [
            (await client.get(f"{made.path}/rendered{query}", headers={"Accept": "image/png"})).content
            for query in ("?annotation=patient,technique", '?annotation="patient","technique"', "")
        ]
    assert bare == quoted != plain


OCTETS = 'multipart/related; type="application/octet-stream"'
COMPRESSED = (
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_rle_2frame.dcm",
    "rtdose_rle.dcm",
)


@pytest.mark.parametrize("name", COMPRESSED)
async def test_frames_are_uncompressed_where_nothing_is_said(house: House, name: str) -> None:
    """PS3.18 8.7.3.5.2: the default is Explicit VR Little Endian."""
    content = retagged(wheel(name), seed=COMPRESSED.index(name) + 60)
    assert (await stow(house, content)).status_code == 200
    peer = pydicom.dcmread(BytesIO(content))
    last = int(peer.get("NumberOfFrames") or 1)
    async with house.clinician() as client:
        for accept in (OCTETS, f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.1", "application/octet-stream"):
            answer = await client.get(f"{path_of(content)}/frames/{last}", headers={"Accept": accept})
            assert answer.status_code == 200
            (told, frame), *_ = parts_of(answer) if accept.startswith("multi") else [("", answer.content)]
            assert "transfer-syntax=1.2.840.10008.1.2.1" in (told or answer.headers["content-type"])
            assert frame == pixel_array(peer, index=last - 1).astype(f"<u{peer.BitsAllocated // 8}").tobytes()
        every = await client.get(
            f"{path_of(content)}/frames/{','.join(map(str, range(1, last + 1)))}", headers={"Accept": OCTETS}
        )
        assert len(parts_of(every)) == last
        held = await client.get(f"{path_of(content)}/frames/1", headers={"Accept": f"{OCTETS}; transfer-syntax=*"})
        assert peer.file_meta.TransferSyntaxUID in parts_of(held)[0][0]
        assert parts_of(held)[0][1] == pydicom.encaps.get_frame(peer.PixelData, 0, number_of_frames=last)


async def test_a_frame_that_is_unpacked_costs_what_the_budget_says_and_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = retagged(wheel("JPEG2000.dcm"), seed=80)
    assert (await stow(house, content)).status_code == 200
    unpacked = pixel_array(pydicom.dcmread(BytesIO(content)), index=0).nbytes
    assert unpacked > 500_000
    peaks: list[int] = []
    async with house.clinician() as client:
        for most, status in ((unpacked, 200), (unpacked - 1, 406), (unpacked, 200)):
            monkeypatch.setattr(painter, "MOST_PICTURE_BYTES", most)
            tracemalloc.start()
            try:
                answer = await client.get(f"{path_of(content)}/frames/1", headers={"Accept": OCTETS})
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
            assert answer.status_code == status
            held = await client.get(f"{path_of(content)}/frames/1", headers={"Accept": f"{OCTETS}; transfer-syntax=*"})
            assert held.status_code == 200, "as it came it is given whatever it would unpack to"
    assert peaks[1] < unpacked <= max(peaks) < 4 * unpacked, "what is refused is not taken from the child first"


async def test_what_no_codec_reads_is_406_before_the_first_frame(house: House) -> None:
    made = Made("1.2.840.10008.1.2.4.90").text(0x00280008, "IS", "2").raw(0x7FE00010, fragments(b"no", b"stream"))
    await stow(house, made.file)
    async with house.clinician() as client:
        for frames in ("1", "1,2"):
            answer = await client.get(f"{made.path}/frames/{frames}", headers={"Accept": OCTETS})
            assert (answer.status_code, answer.headers["content-type"]) == (406, "application/problem+json")


@pytest.mark.parametrize(
    "made", [Made, lambda: Made().put(0x0040A160, "UT", b"said " * 600_000)], ids=["small", "large"]
)
async def test_implicit_vr_goes_out_explicit_where_nothing_is_said(house: House, made: Callable[[], Made]) -> None:
    one = made()
    header, bulk = scan(one.file)
    implicit = recode(header.head, syntaxes.EXPLICIT_LITTLE, syntaxes.IMPLICIT_LITTLE) + bulk
    file = part10(one.sop_class, one.instance, syntaxes.IMPLICIT_LITTLE) + implicit
    assert (await stow(house, file)).status_code == 200
    kind = 'multipart/related; type="application/dicom"'
    async with house.clinician() as client:
        for accept in (kind, f"{kind}; transfer-syntax=1.2.840.10008.1.2.1", "application/dicom"):
            answer = await client.get(one.path, headers={"Accept": accept})
            (told, content), *_ = parts_of(answer) if accept.startswith("multi") else [("", answer.content)]
            assert "transfer-syntax=1.2.840.10008.1.2.1" in (told or answer.headers["content-type"])
            assert pydicom.dcmread(BytesIO(content)) == pydicom.dcmread(BytesIO(file))
        held = await client.get(one.path, headers={"Accept": "application/dicom; transfer-syntax=*"})
        assert held.content.endswith(implicit)


def report(content: bytes) -> Made:
    made = Made(sop_class="1.2.840.10008.5.1.4.1.1.104.1", has_pixels=False).text(0x00080060, "CS", "DOC")
    return made.put(0x00420011, "OB", content).text(0x00420012, "LO", "application/pdf")


async def test_a_report_in_pdf_is_rendered_as_itself(house: House) -> None:
    made, other = report(b"%PDF-1.4 a report"), report(b"<script>alert(1)</script>")
    await stow(house, made.file, other.file)
    async with house.clinician() as client:
        for accept in ("application/pdf", "text/html,*/*;q=0.8", "*/*"):
            shown = await client.get(f"{made.path}/rendered", headers={"Accept": accept})
            assert (shown.status_code, shown.headers["content-type"]) == (200, "application/pdf")
            assert shown.content.rstrip(b"\0") == b"%PDF-1.4 a report"
            assert "frame-ancestors 'self'" in shown.headers["content-security-policy"]
            assert shown.headers["x-content-type-options"] == "nosniff"
            assert (await client.get(f"{other.path}/rendered", headers={"Accept": accept})).status_code == 406
        assert (await client.get(f"{made.path}/rendered", headers={"Accept": "image/png"})).status_code == 406
        assert (await client.get(f"{made.path}/thumbnail")).status_code == 406


@pytest.mark.conformance(
    "GET studies/{study}/bulkdata",
    "GET studies/{study}/series/{series}/bulkdata",
    "GET studies/{study}/series/{series}/instances/{instance}/bulkdata",
)
async def test_all_bulk_values_of_a_study(house: House) -> None:
    """Those that the metadata points to, in its order; pixels as their frames (PS3.18 10.4.1.1.5)."""
    long = bytes(range(256)) * 8
    native = Made().put(0x00091010, "OB", long).text(0x00090010, "LO", "MAKER")
    jpeg = Made("1.2.840.10008.1.2.4.50").text(0x00280008, "IS", "2").raw(0x7FE00010, fragments(b"\xff\xd8ab", b"cd"))
    bare = Made(has_pixels=False)
    for one in (jpeg, bare):
        one.text(0x0020000D, "UI", native.study).text(0x0020000E, "UI", native.series).text(0x00100020, "LO", "BULK")
        one.study, one.series = native.study, native.series
    native.text(0x00100020, "LO", "BULK")
    for one in (bare, native, jpeg):
        await house.rooms.store(one.file)
    accept = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
    async with house.clinician() as client:
        for path in (f"/studies/{native.study}", f"/studies/{native.study}/series/{native.series}"):
            told = await client.get(f"{path}/bulkdata", headers=accept)
            assert told.status_code == 200
            parts = located(told)
            values = {place.rsplit("/instances/", 1)[1]: content for place, content in parts}
            assert values == {
                f"{native.instance}/bulkdata/00091010": long,
                f"{native.instance}/bulkdata/7FE00010": bytes(range(64)),
                f"{jpeg.instance}/frames/1": b"\xff\xd8ab",
                f"{jpeg.instance}/frames/2": b"cd",
            }
            for place, content in parts:
                again = await client.get(place.split("/dicomweb", 1)[1], headers={"Accept": accept["Accept"]})
                assert content in again.content
        one = await client.get(f"{native.path}/bulkdata", headers=accept)
        assert [content for _, content in located(one)] == [long, bytes(range(64))]
        assert (await client.get(f"{bare.path}/bulkdata", headers=accept)).status_code == 404
        assert (await client.get(f"{native.path}/bulkdata", headers={"Accept": "image/png"})).status_code == 406


def located(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """Content-Location and content of each part."""
    boundary = answer.headers["content-type"].split('boundary="')[1].rstrip('"')
    found = []
    for part in answer.content.split(f"--{boundary}".encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        place = head.split(b"Content-Location: ")[1].split(b"\r\n")[0].decode()
        found.append((place, content.removesuffix(b"\r\n")))
    return found
