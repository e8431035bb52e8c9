"""Every real file that PyPI carries, through both doors and back: the same data set, the same pixels, no new fault.

The files are those of the `pydicom` and `pydicom-data` wheels. Many share their UIDs with one another, so each gets
UIDs of its own, of the same length where possible, put over the old ones: not one other byte is touched on the way in.
"""

from __future__ import annotations

import asyncio
import subprocess
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, generate_uid

from tests.common.node import MODALITY, OUR_AE, Access, NodeProcess, Nursery, a_node
from tests.common.programs import program
from tests.unit.dicom.files import every_file, name_of

STUDY, SERIES, INSTANCE = 0x0020000D, 0x0020000E, 0x00080018
DEFLATED, EXPLICIT = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.1"
MOST_PIXEL_BYTES = 32 << 20
#: What is no instance that can be kept, and why it is refused: name → what is wrong with it.
NO_INSTANCE = {
    "test_files/MR_truncated.dcm": "it ends inside its pixels",
    "test_files/badVR.dcm": "an element is of a value representation that is none",
    "test_files/rtplan_truncated.dcm": "it ends inside a sequence",
}
#: What dcmtk itself cannot send; it goes by the web.
NOT_FOR_DCMTK = {
    "test_files/MR_truncated.dcm",
    "test_files/rtdose_rle_1frame.dcm",
    "test_files/rtplan_truncated.dcm",
    "data/explicit_VR-UN.dcm",
}
PADDING = 0xFFFCFFFC  # behind the data set; dcmtk leaves it away when it sends


@dataclass
class Sent:
    """A file as it was sent."""

    path: Path
    octets: bytes
    dataset: Dataset

    @property
    def name(self) -> str:
        return name_of(self.path)


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
        return DICOMwebClient(f"{self.node.url}/dicomweb", session=session)

    def received(self, one: Sent) -> Dataset:
        """What the archive gives an independent client, in the transfer syntax it keeps."""
        if one.name not in self._held:
            uids = one.dataset.StudyInstanceUID, one.dataset.SeriesInstanceUID, one.dataset.SOPInstanceUID
            reader = self.client(self.access.reading)
            self._held[one.name] = reader.retrieve_instance(*uids, media_types=(("application/dicom", "*"),))
        return self._held[one.name]

    def file(self, one: Sent) -> bytes:
        """The same as the bytes of a file."""
        of = one.dataset
        answer = requests.get(
            f"{self.node.url}/dicomweb/studies/{of.StudyInstanceUID}/series/{of.SeriesInstanceUID}/instances/"
            f"{of.SOPInstanceUID}",
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


def read(octets: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(BytesIO(octets))


def with_own_uids(path: Path) -> Sent | None:
    """A file under new UIDs; None where it is no DICOM instance (an index, or no DICOM at all)."""
    octets = path.read_bytes()
    try:
        dataset = read(octets)
    except (InvalidDicomError, EOFError):
        return None
    if "DirectoryRecordSequence" in dataset or not {STUDY, SERIES, INSTANCE} <= set(dataset.keys()):
        return None
    places = {tag: dataset.get_item(tag) for tag in (STUDY, SERIES, INSTANCE)}
    if dataset.file_meta.get("TransferSyntaxUID") == DEFLATED or any(len(one.value) < 40 for one in places.values()):
        return _saved_anew(path, dataset)
    changed = bytearray(octets)
    for tag, there in places.items():
        new = _uid_of(len(there.value.rstrip(b"\0 ")))
        changed[there.value_tell : there.value_tell + len(new)] = new
        if tag == INSTANCE:
            meta = dataset.file_meta.get_item(0x00020003)
            old, at = there.value.rstrip(b"\0 "), octets.find(there.value.rstrip(b"\0 "), 132)
            if meta is not None and 0 < at < there.value_tell:
                changed[at : at + len(old)] = new
    return Sent(path, bytes(changed), read(bytes(changed)))


def _uid_of(length: int) -> bytes:
    uid = generate_uid(prefix="2.25.")
    return str(uid)[:length].ljust(length, "7").encode()


def _saved_anew(path: Path, dataset: Dataset) -> Sent:
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = (generate_uid() for _ in range(3))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    out = BytesIO()
    dataset.save_as(out)
    return Sent(path, out.getvalue(), read(out.getvalue()))


def everything() -> dict[str, Sent]:
    made = [with_own_uids(path) for path in every_file()]
    return {one.name: one for one in made if one is not None}


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
    file = place.node.folder.with_name(f"{place.node.folder.name}-{one.path.name}")
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
def test_it_is_taken(place: Place, name: str) -> None:
    answer = place.by_web.get(name) or place.by_network[name]
    if name in NO_INSTANCE:
        assert answer != "stored", NO_INSTANCE[name]
    else:
        assert answer == "stored"


@pytest.mark.parametrize("name", TAKEN)
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
def test_the_pixels_are_the_same(place: Place, name: str) -> None:
    sent = place.sent[name]
    if len(sent.octets) > MOST_PIXEL_BYTES:
        pytest.skip("compared as bytes above; decoding it twice needs too much memory here")
    try:
        was = sent.dataset.pixel_array
    except Exception as fault:
        pytest.skip(f"pydicom cannot decode it: {type(fault).__name__}")
    assert (was == place.received(sent).pixel_array).all()


@pytest.mark.parametrize("name", TAKEN)
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
