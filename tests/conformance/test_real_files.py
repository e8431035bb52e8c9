"""Every real file that PyPI carries, through both doors and back: the same data set, the same pixels, no new fault.

What comes back is read by an independent client, dicomweb-client, in each way there is: as an instance, as metadata, as
frames, as bulk values, as a picture. dcmtk sends what it can, the web the rest; dciodvfy reads what comes out.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import UID
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet  # type: ignore[attr-defined]

from tests.common.node import MODALITY, OUR_AE, Access, NodeProcess, Nursery, a_node
from tests.common.programs import program
from tests.common.real_files import DEFLATED, NO_INSTANCE, Sent, everything

EXPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
MOST_PIXEL_BYTES = 32 << 20
#: What dcmtk itself cannot send, or would change (it evens out a value of odd length); it goes by the web.
NOT_FOR_DCMTK = {
    "test_files/MR_truncated.dcm",
    "test_files/rtdose_rle_1frame.dcm",
    "test_files/rtplan_truncated.dcm",
    "data/explicit_VR-UN.dcm",
    "humans/ctbrain2.dcm",
}
#: Of what no picture is made here, and why; the viewer has decoders of its own. They leave as they are.
NOT_DRAWN = {
    "test_files/JPEG2000-embedded-sequence-delimiter.dcm": "its stream is broken; pydicom reads it neither",
}
PADDING = 0xFFFCFFFC  # behind the data set; dcmtk leaves it away when it sends


@dataclass
class Place:
    """A node that has been sent everything."""

    node: NodeProcess
    access: Access
    sent: dict[str, Sent]
    by_web: dict[str, str] = field(default_factory=dict)
    by_network: dict[str, str] = field(default_factory=dict)
    _held: dict[str, Dataset] = field(default_factory=dict)

    def client(self, token: str) -> DICOMwebClient:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {token}"
        made = DICOMwebClient(f"{self.node.url}/dicomweb", session=session)
        made.host = urlsplit(self.node.url).netloc  # it would leave the port away, and be given addresses without it
        made.set_http_retry_params(False)
        return made

    def received(self, one: Sent) -> Dataset:
        """What the archive gives an independent client, in the transfer syntax it keeps."""
        if one.name not in self._held:
            reader = self.client(self.access.reading)
            self._held[one.name] = reader.retrieve_instance(*one.uids, media_types=(("application/dicom", "*"),))
        return self._held[one.name]

    def file(self, one: Sent) -> bytes:
        """The same as the bytes of a file."""
        answer = requests.get(
            f"{self.node.url}/dicomweb{one.path}",
            headers={
                "Authorization": f"Bearer {self.access.reading}",
                "Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*',
            },
            timeout=120,
        )
        assert answer.status_code == 200
        boundary = answer.headers["Content-Type"].split("boundary=")[1].split(";")[0].strip('"')
        part = answer.content.split(b"\r\n\r\n", 1)[1]
        return part[: part.rindex(b"\r\n--" + boundary.encode())]


SENT = everything()
TAKEN = [name for name in SENT if name not in NO_INSTANCE]


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[Place]:
    nursery = Nursery()
    try:
        with a_node("troth-files-", nursery) as node:
            place = Place(node, await node.grant_access(), SENT)
            await asyncio.to_thread(send, place)
            yield place
    finally:
        nursery.close()


def send(place: Place) -> None:
    """Every other file by STOW-RS, the rest by C-STORE with dcmtk; the answer of each is kept."""
    storing = requests.Session()
    storing.headers["Authorization"] = f"Bearer {place.access.storing}"
    for number, one in enumerate(place.sent.values()):
        if number % 2 and _is_for_dcmtk(one):
            place.by_network[one.name] = _by_network(place, one)
        else:
            kind = 'multipart/related; type="application/dicom"; boundary=seam'
            answer = storing.post(
                f"{place.node.url}/dicomweb/studies",
                data=b"--seam\r\nContent-Type: application/dicom\r\n\r\n" + one.octets + b"\r\n--seam--",
                headers={"Content-Type": kind, "Accept": "application/dicom+json"},
                timeout=60,
            )
            place.by_web[one.name] = "stored" if answer.status_code == 200 else answer.text[:400]


def _is_for_dcmtk(one: Sent) -> bool:
    """dcmtk sends only what it can parse and what its build knows by name."""
    return one.name not in NOT_FOR_DCMTK and one.dataset.file_meta.TransferSyntaxUID in {
        "1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
    }  # fmt: skip


def _by_network(place: Place, one: Sent) -> str:
    file = place.node.folder.with_name(f"{place.node.folder.name}-{Path(one.name).name}")
    file.write_bytes(one.octets)
    proposed = {
        "1.2.840.10008.1.2.2": "-xb", "1.2.840.10008.1.2.5": "-xr", "1.2.840.10008.1.2.4.50": "-xy",
        "1.2.840.10008.1.2.4.70": "-xs", "1.2.840.10008.1.2.4.80": "-xt", "1.2.840.10008.1.2.4.90": "-xv",
        "1.2.840.10008.1.2.4.91": "-xw", "1.2.840.10008.1.2": "-xi",
    }.get(str(one.dataset.file_meta.TransferSyntaxUID), "-xe")  # fmt: skip
    try:
        told = subprocess.run(
            [program("storescu"), "-v", "-R", proposed, "-aet", MODALITY, "-aec", OUR_AE, "127.0.0.1",
             str(place.node.ports["dicom"]), str(file)],
            capture_output=True, text=True, errors="replace", timeout=120, check=False,
        )  # fmt: skip
        return "stored" if told.returncode == 0 and "Success" in told.stderr + told.stdout else told.stderr[-400:]
    finally:
        file.unlink()


@pytest.mark.parametrize("name", SENT)
@pytest.mark.conformance(
    "client real files", "client dcmtk", "POST studies", 'STOW takes multipart/related; type="application/dicom"'
)
def test_it_is_taken(place: Place, name: str) -> None:
    answer = place.by_web.get(name) or place.by_network[name]
    if name in NO_INSTANCE:
        assert answer != "stored", NO_INSTANCE[name]
    else:
        assert answer == "stored"


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.conformance(
    "client real files",
    "attributes on the way in",
    "client dicomweb-client",
    "GET studies/{study}/series/{series}/instances/{instance}",
)
def test_the_same_comes_out(place: Place, name: str) -> None:
    sent = place.sent[name]
    held = place.received(sent)
    syntax = sent.dataset.file_meta.TransferSyntaxUID
    if not syntax.is_deflated:
        assert held.file_meta.TransferSyntaxUID == really(sent, syntax)
    missing = object()
    for tag in sent.dataset.keys() | held.keys():
        if pydicom.tag.Tag(tag).element == 0:
            continue  # group lengths are retired, and the sender's are not part of what is kept by every toolkit
        was, now = sent.dataset.get(tag, missing), held.get(tag, missing)
        assert was is not missing, f"{tag} was not sent"
        if now is missing and tag == PADDING and name in place.by_network:
            continue
        assert now is not missing, f"{tag} is gone"
        assert same_value(was, now), tag


def really(sent: Sent, syntax: UID) -> str:
    """A file whose elements are written otherwise than it says is kept as what it is."""
    written = sent.dataset.original_encoding
    if not syntax.is_encapsulated and written != (syntax.is_implicit_VR, syntax.is_little_endian):
        return "1.2.840.10008.1.2" if written[0] else EXPLICIT
    return str(syntax)


def same_value(was: pydicom.DataElement, now: pydicom.DataElement) -> bool:
    if was.VR == "SQ":
        return len(was.value) == len(now.value) and all(
            {e.tag for e in one} == {e.tag for e in other} and all(same_value(e, other[e.tag]) for e in one)
            for one, other in zip(was.value, now.value, strict=True)
        )
    return bool(was.value == now.value) or (was.value != was.value and now.value != now.value)


@pytest.mark.parametrize(
    "name", [name for name, one in SENT.items() if "PixelData" in one.dataset and name not in NO_INSTANCE]
)
@pytest.mark.conformance("client real files")
def test_the_pixels_are_the_same(place: Place, name: str) -> None:
    sent = place.sent[name]
    if len(sent.octets) > MOST_PIXEL_BYTES:
        pytest.skip("compared as bytes above; decoding it twice needs too much memory here")
    try:
        was = sent.dataset.pixel_array
    except Exception as fault:
        pytest.skip(f"pydicom cannot decode it: {type(fault).__name__}")
    assert (was == place.received(sent).pixel_array).all()


def is_drawable(name: str) -> bool:
    return name not in NO_INSTANCE and "PixelData" in SENT[name].dataset and len(SENT[name].octets) <= MOST_PIXEL_BYTES


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.conformance(
    "client dicomweb-client",
    "GET studies/{study}/series/{series}/instances/{instance}/metadata",
    "GET studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}",
    "GET studies/{study}/series/{series}/instances",
)
def test_metadata_and_bulk_values_say_the_same(place: Place, name: str) -> None:
    """Each element is in the metadata, and what is behind an address there is what was sent."""
    sent, reader = place.sent[name], place.client(place.access.reading)
    told = reader.retrieve_instance_metadata(*sent.uids)
    (found,) = reader.search_for_instances(*sent.uids[:2], search_filters={"SOPInstanceUID": sent.uids[2]})
    assert found["00080018"]["Value"] == [sent.uids[2]]
    expected = {f"{tag:08X}" for tag in map(int, sent.dataset.keys()) if tag & 0xFFFF and tag != PADDING}
    assert expected <= told.keys() | {"00080005"}
    for key, element in told.items():
        was = sent.dataset.get(int(key, 16))
        if was is None or "BulkDataURI" not in element or was.VR == "SQ" or not isinstance(was.value, bytes):
            continue
        if len(was.value) > MOST_PIXEL_BYTES or (key == "7FE00010" and is_compressed(sent)):
            continue  # compressed frames are compared one by one
        value = b"".join(reader.retrieve_bulkdata(element["BulkDataURI"]))
        assert value == as_little(sent, was), key


@pytest.mark.parametrize("name", filter(is_drawable, SENT))
@pytest.mark.conformance(
    "client dicomweb-client",
    "GET studies/{study}/series/{series}/instances/{instance}/frames/{frames}",
    "frames application/octet-stream",
)
def test_frames_are_the_same(place: Place, name: str) -> None:
    """The first and the last frame, as they lie in the file; native ones little endian."""
    sent, reader = place.sent[name], place.client(place.access.reading)
    said = str(sent.dataset.get("NumberOfFrames") or 1)
    count = int(said) if said.isdecimal() else 1  # one file says that it has 1A
    numbers = sorted({1, count})
    frames = reader.retrieve_instance_frames(*sent.uids, numbers, media_types=(("application/octet-stream", "*"),))
    if is_compressed(sent):
        expected = [get_frame(sent.dataset.PixelData, number - 1, number_of_frames=count) for number in numbers]
    else:
        value = as_little(sent, sent.dataset["PixelData"])
        bits = sent.dataset.Rows * sent.dataset.Columns * sent.dataset.SamplesPerPixel * sent.dataset.BitsAllocated
        if sent.dataset.PhotometricInterpretation == "YBR_FULL_422":
            bits = bits * 2 // 3
        if bits % 8:
            pytest.skip("its frames of single bits do not begin at a byte")
        size = bits // 8
        expected = [value[(number - 1) * size : number * size] for number in numbers]
    assert [bytes(frame) for frame in frames] == expected


@pytest.mark.parametrize("name", filter(is_drawable, SENT))
@pytest.mark.conformance(
    "client dicomweb-client", "GET studies/{study}/series/{series}/instances/{instance}/rendered", "HTTP 406"
)
def test_it_is_drawn_or_it_is_said_that_it_cannot_be(place: Place, name: str) -> None:
    sent, reader = place.sent[name], place.client(place.access.reading)
    if name in NOT_DRAWN:
        with pytest.raises(requests.HTTPError, match="406"):
            reader.retrieve_instance_rendered(*sent.uids, media_types=("image/png",))
        return
    drawn = reader.retrieve_instance_rendered(*sent.uids, media_types=("image/png",))
    picture = Image.open(BytesIO(drawn))
    assert picture.size == (sent.dataset.Columns, sent.dataset.Rows)


def is_compressed(sent: Sent) -> bool:
    return bool(sent.dataset.file_meta.TransferSyntaxUID.is_encapsulated)


def as_little(sent: Sent, element: pydicom.DataElement) -> bytes:
    """A binary value in little endian, as every other value that leaves over the web."""
    value = bytes(element.value)
    width = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}.get(element.VR, 1)
    if element.tag == 0x7FE00010 and width == 2:
        width = max(2, sent.dataset.BitsAllocated // 8)
    if sent.syntax != BIG or width == 1:
        return value
    return np.frombuffer(value, f">u{width}").byteswap().tobytes()


@pytest.mark.parametrize("name", [name for name in TAKEN if SENT[name].syntax == BIG])
@pytest.mark.conformance("SCU Storage C-GET", "attributes on the way out", "client pynetdicom")
def test_big_endian_leaves_little_endian_over_the_network(place: Place, name: str) -> None:
    """For a peer that takes nothing else the elements are written anew, and pixels of any width turned round."""
    sent, got = place.sent[name], []
    asked = Dataset()
    asked.QueryRetrieveLevel = "IMAGE"
    asked.StudyInstanceUID, asked.SeriesInstanceUID, asked.SOPInstanceUID = sent.uids
    model = StudyRootQueryRetrieveInformationModelGet
    entity = AE(MODALITY)
    entity.add_requested_context(model)
    entity.add_requested_context(sent.dataset.SOPClassUID, EXPLICIT)

    def take(event: evt.Event) -> int:
        got.append(event.dataset)
        got[-1].file_meta = event.file_meta
        return 0

    association = entity.associate(
        "127.0.0.1", place.node.ports["dicom"], ae_title=OUR_AE,
        ext_neg=[build_role(sent.dataset.SOPClassUID, scp_role=True)], evt_handlers=[(evt.EVT_C_STORE, take)],
    )  # fmt: skip
    try:
        assert [status.Status for status, _ in association.send_c_get(asked, model)][-1] == 0
    finally:
        association.release()
    (held,) = got
    assert held.file_meta.TransferSyntaxUID == EXPLICIT
    assert {one.tag for one in held} >= {one.tag for one in sent.dataset if one.tag.element and one.tag != PADDING}
    if "PixelData" in sent.dataset:
        assert (held.pixel_array == sent.dataset.pixel_array).all()


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.conformance("client dciodvfy")
def test_no_fault_is_new(place: Place, tmp_path: Path, name: str) -> None:
    """dciodvfy finds in what comes out only what it found in what went in."""
    sent = place.sent[name]
    if sent.dataset.file_meta.TransferSyntaxUID == DEFLATED or len(sent.octets) > MOST_PIXEL_BYTES:
        pytest.skip("dciodvfy does not read it in this form")
    before, after = tmp_path / "before.dcm", tmp_path / "after.dcm"
    before.write_bytes(sent.octets)
    after.write_bytes(place.file(sent))
    assert faults(after) <= faults(before)


def faults(file: Path) -> set[str]:
    told = subprocess.run(
        [program("dciodvfy"), str(file)], capture_output=True, text=True, errors="replace", timeout=60, check=False
    )
    return {line for line in told.stderr.splitlines() if line.startswith("Error")}
