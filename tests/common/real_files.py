"""Every real instance that PyPI carries under a permissive licence: the wheels `pydicom`, `pydicom-data`, `deid-data`.

Many share their UIDs with one another, so each gets UIDs of its own, of the same length where possible, put over the
old ones: not one other byte is touched. All three are under the MIT licence, data and all; `deid-data` ships its clips
in zips, which are opened here.
"""

from __future__ import annotations

import importlib.util
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid

from tests.unit.dicom.files import every_file, name_of

STUDY, SERIES, INSTANCE = 0x0020000D, 0x0020000E, 0x00080018
DEFLATED = "1.2.840.10008.1.2.1.99"
#: What is no instance that can be kept, and why it is refused: name → what is wrong with it.
NO_INSTANCE = {
    "test_files/MR_truncated.dcm": "it ends inside its pixels",
    "test_files/rtplan_truncated.dcm": "it ends inside a sequence",
}


@dataclass
class Sent:
    """A file as it was sent."""

    name: str
    octets: bytes = field(repr=False)
    dataset: Dataset = field(repr=False)

    @property
    def syntax(self) -> str:
        """Transfer syntax it says it is in."""
        return str(self.dataset.file_meta.TransferSyntaxUID)

    @property
    def uids(self) -> tuple[str, str, str]:
        """Study, series and instance."""
        return self.dataset.StudyInstanceUID, self.dataset.SeriesInstanceUID, self.dataset.SOPInstanceUID

    @property
    def path(self) -> str:
        """Where DICOMweb has it, below its root."""
        study, series, instance = self.uids
        return f"/studies/{study}/series/{series}/instances/{instance}"


def read(octets: bytes) -> Dataset:
    """A file as pydicom reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(BytesIO(octets))


@cache
def everything() -> dict[str, Sent]:
    """All instances under their own UIDs, by name."""
    made = [with_own_uids(name, octets) for name, octets in _originals()]
    return {one.name: one for one in made if one is not None}


def _originals() -> Iterator[tuple[str, bytes]]:
    for path in every_file():
        yield name_of(path), path.read_bytes()
    found = importlib.util.find_spec("deid_data")
    assert found is not None, "`make setup` installs it"
    assert found.origin is not None
    for path in sorted(Path(found.origin).parent.glob("data/*/*")):
        if path.suffix == ".dcm":
            yield name_of(path), path.read_bytes()
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as packed:
                yield from ((f"{path.parent.name}/{name}", packed.read(name)) for name in packed.namelist())


def with_own_uids(name: str, octets: bytes) -> Sent | None:
    """A file under new UIDs; None where it is no DICOM instance (an index, or no DICOM at all)."""
    try:
        dataset = read(octets)
    except (InvalidDicomError, EOFError):
        return None
    if "DirectoryRecordSequence" in dataset or not {STUDY, SERIES, INSTANCE} <= set(dataset.keys()):
        return None
    places = {tag: dataset.get_item(tag) for tag in (STUDY, SERIES, INSTANCE)}
    if dataset.file_meta.get("TransferSyntaxUID") == DEFLATED or any(len(one.value) < 40 for one in places.values()):
        return _saved_anew(name, dataset)
    changed = bytearray(octets)
    for tag, there in places.items():
        new = _uid_of(len(there.value.rstrip(b"\0 ")))
        changed[there.value_tell : there.value_tell + len(new)] = new
        if tag == INSTANCE:
            meta = dataset.file_meta.get_item(0x00020003)
            old, at = there.value.rstrip(b"\0 "), octets.find(there.value.rstrip(b"\0 "), 132)
            if meta is not None and 0 < at < there.value_tell:
                changed[at : at + len(old)] = new
    return Sent(name, bytes(changed), read(bytes(changed)))


def _uid_of(length: int) -> bytes:
    uid = generate_uid(prefix="2.25.")
    return str(uid)[:length].ljust(length, "7").encode()


def _saved_anew(name: str, dataset: Dataset) -> Sent:
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = (generate_uid() for _ in range(3))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    out = BytesIO()
    dataset.save_as(out)
    return Sent(name, out.getvalue(), read(out.getvalue()))
