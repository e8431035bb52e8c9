"""Generated CT instances: no real person, fresh UIDs at each call, made by patching one template in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

_UID_LENGTH = 44


def fresh_uid() -> str:
    """A UID of fixed length, so that it can be patched in place."""
    return "2.25." + str(uuid4().int).rjust(39, "1")[:39]


@dataclass(frozen=True)
class Scan:
    """What differs from one generated instance to the next."""

    patient: int
    study_uid: str
    series_uid: str
    number: int = 1
    date: str = "20260105"
    modality: str = "CT"


class Template:
    """One instance of a given size whose identifiers are patched.

    Args:
        side: Rows and columns; 512 gives 525 KB.
    """

    def __init__(self, side: int) -> None:
        self.side = side
        self._marks = {
            name: f"2.25.{digit * 39}".encode() for name, digit in (("instance", "7"), ("study", "8"), ("series", "9"))
        }
        octets = self._write(side)
        self._octets = octets
        self._places = {name: _places(octets, mark) for name, mark in self._marks.items()}
        self._places |= {
            "patient": _places(octets, b"PID0000000"),
            "name": _places(octets, b"NAME000000"),
            "date": _places(octets, b"19010203"),
            "modality": _places(octets, b"CT", after=b"\x08\x00\x60\x00CS\x02\x00"),
            "number": _places(octets, b"123456"),
        }

    @property
    def length(self) -> int:
        """Bytes of one instance as a file."""
        return len(self._octets)

    def instance(self, scan: Scan) -> tuple[str, bytes]:
        """A new instance.

        Returns:
            Its SOP Instance UID and the Part 10 file.
        """
        octets = bytearray(self._octets)
        uid = fresh_uid()
        values = {
            "instance": uid,
            "study": scan.study_uid,
            "series": scan.series_uid,
            "patient": f"PID{scan.patient:07d}",
            "name": f"NAME{scan.patient:06d}",
            "date": scan.date,
            "modality": scan.modality,
            "number": f"{scan.number:06d}",
        }
        for key, value in values.items():
            encoded = value.encode()
            for at in self._places[key]:
                octets[at : at + len(encoded)] = encoded
        return uid, bytes(octets)

    def _write(self, side: int) -> bytes:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = self._marks["instance"].decode()
        dataset.StudyDate = dataset.SeriesDate = "19010203"
        dataset.StudyTime = "101500"
        dataset.AccessionNumber = "A1"
        dataset.Modality = "CT"
        dataset.Manufacturer = "Bench"
        dataset.ReferringPhysicianName = "Referrer^R"
        dataset.StudyDescription = "Generated chest"
        dataset.SeriesDescription = "Axial"
        dataset.PatientName = "NAME000000^Generated"
        dataset.PatientID = "PID0000000"
        dataset.PatientBirthDate = "19700101"
        dataset.PatientSex = "O"
        dataset.SliceThickness = "1.0"
        dataset.StudyInstanceUID = self._marks["study"].decode()
        dataset.SeriesInstanceUID = self._marks["series"].decode()
        dataset.StudyID = "1"
        dataset.SeriesNumber = "1"
        dataset.InstanceNumber = "123456"
        dataset.ImagePositionPatient = [0.0, 0.0, 0.0]
        dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        dataset.FrameOfReferenceUID = "2.25.123"
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.Rows = dataset.Columns = side
        dataset.PixelSpacing = [0.7, 0.7]
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        dataset.PixelRepresentation = 0
        dataset.WindowCenter, dataset.WindowWidth = "1040", "400"
        dataset.RescaleIntercept, dataset.RescaleSlope = "-1024", "1"
        pixels = np.random.default_rng(1).normal(1000, 60, (side, side)).clip(0, 4095).astype("<u2")
        dataset.PixelData = pixels.tobytes()
        target = io.BytesIO()
        dataset.save_as(target, enforce_file_format=True)
        return target.getvalue()


def _places(octets: bytes, mark: bytes, after: bytes = b"") -> list[int]:
    head = octets[: 4096 if len(octets) > 4096 else None]
    found = []
    at = head.find(after + mark)
    while at >= 0:
        found.append(at + len(after))
        at = head.find(after + mark, at + 1)
    assert found, f"the template lost {mark!r}"
    return found


def study(
    template: Template, count: int, patient: int, *, date: str = "20260105", modality: str = "CT"
) -> Iterator[tuple[str, bytes]]:
    """The instances of one new study with one series.

    Args:
        template: Size.
        count: How many instances.
        patient: Number of the generated person.
        date: StudyDate.
        modality: Two letters.
    """
    first = Scan(patient, fresh_uid(), fresh_uid(), 1, date, modality)
    for number in range(1, count + 1):
        yield template.instance(replace(first, number=number))


def write_files(folder: Path, template: Template, count: int, per_study: int = 50) -> list[Path]:
    """Files of new studies.

    Args:
        folder: Where; made if absent.
        template: Size.
        count: How many files.
        per_study: Instances of one study.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for start in range(0, count, per_study):
        patient = int(uuid4().int % 10_000_000)
        for uid, octets in study(template, min(per_study, count - start), patient):
            path = folder / f"{uid}.dcm"
            path.write_bytes(octets)
            files.append(path)
    return files
