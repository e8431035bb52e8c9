"""Demo instances: drawn from a seed, so that no real person is in them, and the test files that pydicom ships.

Everything drawn here is a picture of ellipses. UIDs follow from the seed (root 2.25), so a demo is the same each time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import numpy as np
import pydicom
from PIL import Image
from pydicom import data as pydicom_data
from pydicom.uid import UID

from troth.dicom import encode, syntaxes
from troth.dicom.part10 import part10

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

_CT = "1.2.840.10008.5.1.4.1.1.2"
_CR = "1.2.840.10008.5.1.4.1.1.1"
_SPACE = UUID("6f1d8c1e-52c5-4a55-9a3e-5f2d0a6f3b11")


@dataclass(frozen=True, slots=True)
class Study:
    """Whose and which study a specimen belongs to.

    Attributes:
        patient_id: PatientID.
        name: PatientName, as ``Family^Given``.
        birth_date: Date of birth.
        sex: M, F or O.
        study_date: When it was made.
        accession: Accession number.
        description: Study description.
        study_uid: Study Instance UID; drawn from the seed where empty.
        issuer: Issuer of the PatientID, or empty.
        seed: Decides UIDs, noise and the shape of the anatomy.
    """

    patient_id: str
    name: str
    birth_date: date
    sex: str
    study_date: date
    accession: str
    description: str
    study_uid: str = ""
    issuer: str = ""
    seed: int = 1

    def uid(self, *parts: object) -> str:
        """A UID for a part of this study."""
        if not parts and self.study_uid:
            return self.study_uid
        path = ":".join(map(str, (self.seed, self.patient_id, self.accession, self.study_uid, *parts)))
        return f"2.25.{uuid5(_SPACE, path).int}"


def phantom_ct(study: Study, *, slices: int = 24, size: int = 512) -> list[bytes]:
    """A CT series of a drawn head: skull, brain, ventricles, falx; CT Image Storage, explicit VR little endian.

    Args:
        study: Whose it is.
        slices: Number of instances, from the base of the skull to the crown.
        size: Rows and columns.

    Returns:
        Part 10 files in order of position.
    """
    noise = np.random.default_rng(study.seed)
    texture = [_cloud(noise, size, 22), _cloud(noise, size, 9)]
    spacing = 230 / size
    thickness = 150 / slices
    files = []
    for number in range(1, slices + 1):
        height = (number - 0.5) / slices
        units = _head(noise, texture, size, height)
        stored = np.clip(units + 1024, 0, 4095).astype("<u2")
        elements = [
            *_common(study, _CT, "CT", number, "1", "Head 5 mm axial", "HEAD", _times(study)),
            (0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
            (0x00180050, "DS", f"{thickness:.4g}"),
            (0x00180060, "DS", "120"),
            (0x00181151, "IS", "220"),
            (0x00181210, "SH", "H30s"),
            (0x00185100, "CS", "HFS"),
            (0x00200012, "IS", "1"),
            (0x00200032, "DS", f"{-115 + spacing / 2:.4f}\\{-115 + spacing / 2:.4f}\\{(number - 1) * thickness:.4f}"),
            (0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
            (0x00200052, "UI", study.uid("frame of reference")),
            (0x00201040, "LO", ""),
            (0x00201041, "DS", f"{(number - 1) * thickness:.4f}"),
            (0x00280030, "DS", f"{spacing:.6f}\\{spacing:.6f}"),
            *_pixels(size, size, 12),
            (0x00281050, "DS", "40"),
            (0x00281051, "DS", "90"),
            (0x00281052, "DS", "-1024"),
            (0x00281053, "DS", "1"),
            (0x00281054, "LO", "HU"),
        ]
        files.append(_file(elements, stored.tobytes()))
    return files


def phantom_cr(study: Study, *, size: int = 1024) -> list[bytes]:
    """A chest radiograph in two drawn views, frontal and lateral; Computed Radiography Image Storage.

    Args:
        study: Whose it is.
        size: Rows and columns.

    Returns:
        Two Part 10 files.
    """
    noise = np.random.default_rng(study.seed)
    files = []
    for number, (view, draw) in enumerate((("PA", _chest), ("LL", _chest_aside)), start=1):
        light = draw(size) + _cloud(noise, size, 40) * 0.02 + noise.normal(0, 0.008, (size, size))
        stored = np.clip(light * 3600 + 200, 0, 4095).astype("<u2")
        elements = [
            *_common(study, _CR, "CR", number, "1", "Chest PA and lateral", "CHEST", _times(study)),
            (0x00080008, "CS", "ORIGINAL\\PRIMARY"),
            (0x00180060, "DS", "125"),
            (0x00181164, "DS", f"{400 / size:.5f}\\{400 / size:.5f}"),
            (0x00181400, "LO", "Chest"),
            (0x00185101, "CS", view),
            (0x00200012, "IS", "1"),
            (0x00200020, "CS", "L\\F" if view == "PA" else "A\\F"),
            (0x00200062, "CS", "U"),
            *_pixels(size, size, 12),
            (0x00280301, "CS", "NO"),
            (0x00281050, "DS", "2000"),
            (0x00281051, "DS", "3800"),
        ]
        files.append(_file(elements, stored.tobytes()))
    return files


def wheel_ct() -> bytes:
    """The real CT image of the pydicom wheel, CT_small: a slice of a chest, of 2004, of an invented person.

    Raises:
        FileNotFoundError: This pydicom comes without its test files.
    """
    return (Path(pydicom_data.__file__).parent / "test_files" / "CT_small.dcm").read_bytes()


def retagged(file: bytes, *, seed: int = 1, **overrides: Any) -> bytes:
    """The same picture as another person's: new study, series, instance and frame of reference UIDs, other attributes.

    UIDs follow from the old ones and the seed, so files of one series stay one series.

    Args:
        file: A Part 10 file of our own or of a toolkit; not a stranger's.
        seed: Another seed gives other UIDs.
        **overrides: DICOM keyword to value, such as ``PatientName="Other^Person"``; None takes the attribute out.

    Returns:
        A Part 10 file in the same transfer syntax.
    """
    dataset = pydicom.dcmread(BytesIO(file))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        if keyword in dataset:
            setattr(dataset, keyword, UID(f"2.25.{uuid5(_SPACE, f'{seed}:{dataset[keyword].value}').int}"))
    for keyword, value in overrides.items():
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _file(elements: list[tuple[int, str, str | int]], pixels: bytes) -> bytes:
    values = {tag: value for tag, _, value in elements}
    front = part10(str(values[0x00080016]), str(values[0x00080018]), syntaxes.EXPLICIT_LITTLE)
    written = [
        encode.number(tag, vr, value) if isinstance(value, int) else encode.text(tag, vr, value)
        for tag, vr, value in sorted(elements)
    ]
    return b"".join((front, *written, encode.element(0x7FE00010, "OW", pixels)))


def _times(study: Study) -> str:
    clock = random.Random(study.seed)  # noqa: S311 - not a secret
    return f"{clock.randrange(8, 18):02d}{clock.randrange(60):02d}00"


def _common(
    study: Study, sop_class: str, modality: str, number: int, series: str, series_description: str, part: str, time: str
) -> list[tuple[int, str, str | int]]:
    """Modules that all our instances share (PS3.3 C.7.1 to C.7.5, C.12.1)."""
    day = study.study_date.strftime("%Y%m%d")
    issuer: list[tuple[int, str, str | int]] = [(0x00100021, "LO", study.issuer)] if study.issuer else []
    return [
        (0x00080005, "CS", "ISO_IR 192"),
        (0x00080016, "UI", sop_class),
        (0x00080018, "UI", study.uid("instance", modality, number)),
        (0x00080020, "DA", day),
        (0x00080021, "DA", day),
        (0x00080022, "DA", day),
        (0x00080023, "DA", day),
        (0x00080030, "TM", time),
        (0x00080031, "TM", time),
        (0x00080033, "TM", time),
        (0x00080050, "SH", study.accession),
        (0x00080060, "CS", modality),
        (0x00080070, "LO", "Troth"),
        (0x00080090, "PN", ""),
        (0x00081030, "LO", study.description),
        (0x0008103E, "LO", series_description),
        (0x00081090, "LO", "Phantom"),
        (0x00100010, "PN", study.name),
        (0x00100020, "LO", study.patient_id),
        *issuer,
        (0x00100030, "DA", study.birth_date.strftime("%Y%m%d")),
        (0x00100040, "CS", study.sex),
        (0x00180015, "CS", part),
        (0x00181000, "LO", "0"),
        (0x00181020, "LO", "1"),
        (0x0020000D, "UI", study.uid()),
        (0x0020000E, "UI", study.uid("series", modality, series)),
        (0x00200010, "SH", "1"),
        (0x00200011, "IS", series),
        (0x00200013, "IS", str(number)),
    ]


def _pixels(rows: int, columns: int, bits: int) -> list[tuple[int, str, str | int]]:
    return [
        (0x00280002, "US", 1),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280010, "US", rows),
        (0x00280011, "US", columns),
        (0x00280100, "US", 16),
        (0x00280101, "US", bits),
        (0x00280102, "US", bits - 1),
        (0x00280103, "US", 0),
    ]


@lru_cache(maxsize=2)
def _grid(size: int) -> tuple[Plane, Plane]:
    """Coordinates from -1 to 1: across (patient's right to left on the picture) and down."""
    down, across = np.mgrid[0:size, 0:size].astype(np.float32)
    return (across + 0.5) * (2 / size) - 1, (down + 0.5) * (2 / size) - 1


def _inside(size: int, across: float, down: float, wide: float, high: float, turn: float = 0, soft: float = 3) -> Plane:
    """An ellipse: 1 inside, 0 outside, its edge `soft` pixels wide."""
    x, y = _grid(size)
    cosine, sine = np.cos(turn), np.sin(turn)
    u = ((x - across) * cosine + (y - down) * sine) / wide
    v = ((y - down) * cosine - (x - across) * sine) / high
    distance = (np.sqrt(u * u + v * v) - 1) * min(wide, high) * size / 2
    return np.asarray(np.clip(0.5 - distance / soft, 0, 1), dtype=np.float32)


def _cloud(noise: np.random.Generator, size: int, grains: int) -> Plane:
    """Smooth noise between about -1 and 1, `grains` across."""
    coarse = noise.normal(0, 0.5, (grains, grains)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)


def _over(below: Plane, shape: Plane, value: Plane | float) -> Plane:
    return np.asarray(below * (1 - shape) + shape * value, dtype=np.float32)


def _max(one: Plane, other: Plane) -> Plane:
    return np.asarray(np.maximum(one, other), dtype=np.float32)


def _head(noise: np.random.Generator, texture: list[Plane], size: int, height: float) -> Plane:
    """One axial slice in Hounsfield units. `height` goes from 0 at the base to 1 at the crown."""
    round_off = float(np.sqrt(max(0.0, 1 - (max(height - 0.25, 0) / 0.78) ** 2)))
    narrow = 0.86 + 0.14 * min(1.0, height / 0.35)
    wide, high = 0.66 * round_off * narrow, 0.82 * round_off * narrow
    units = np.full((size, size), -1000, np.float32)
    if wide < 0.06:
        return np.asarray(units + noise.normal(0, 3.2, (size, size)), dtype=np.float32)
    units = _over(units, _inside(size, 0, 0, wide + 0.035, high + 0.035), 30)
    units = _over(units, _inside(size, 0, 0, wide, high), 1250)
    bone = 0.075 + 0.05 * max(0.0, height - 0.8)
    brain = _inside(size, 0, 0, max(wide - bone, 0.01), max(high - bone, 0.01))
    units = _over(units, brain, 6)
    tissue = 36 + 4 * texture[0] + 3 * texture[1]
    cortex = _inside(size, 0, 0, max(wide - bone - 0.022, 0.01), max(high - bone - 0.022, 0.01), soft=5)
    units = _over(units, cortex, tissue.astype(np.float32))
    units = _over(units, cortex * _inside(size, 0, 0, wide * 0.62, high * 0.68, soft=30), tissue - 6)
    if height > 0.35:
        for top, bottom in ((-0.95, -0.45), (0.42, 0.95)):
            falx = _inside(size, 0, high * (top + bottom) / 2, 0.008, high * (bottom - top) / 2, soft=4)
            units = _over(units, falx * cortex, 58)
    units = _ventricles(units, size, height, cortex)
    if height < 0.3:
        units = _base(units, size, height, brain, _inside(size, 0, 0, wide - 0.02, high - 0.02))
    return np.asarray(units + noise.normal(0, 3.2, (size, size)), dtype=np.float32)


def _ventricles(units: Plane, size: int, height: float, cortex: Plane) -> Plane:
    """Lateral horns that open and close with the height, the third ventricle and calcified choroid."""
    opening = max(0.0, 1 - abs(height - 0.55) / 0.24)
    if opening > 0:
        for side in (-1, 1):
            front = _inside(size, side * 0.10, -0.15, 0.042 * opening + 0.01, 0.17 * opening, side * 0.22)
            back = _inside(size, side * 0.14, 0.19, 0.045 * opening + 0.01, 0.16 * opening, -side * 0.42)
            units = _over(units, np.maximum(front, back) * cortex, 7)
            units = _over(units, _inside(size, side * 0.125, 0.17, 0.016, 0.02) * (0.8 if opening > 0.6 else 0), 160)
    if 0.36 < height < 0.52:
        units = _over(units, _inside(size, 0, 0.02, 0.016, 0.10) * cortex, 9)
        for side in (-1, 1):
            nucleus = _inside(size, side * 0.17, -0.02, 0.07, 0.14, side * 0.3, soft=10)
            units = _over(units, nucleus * cortex * 0.8, 43)
    return units


def _base(units: Plane, size: int, height: float, brain: Plane, skull: Plane) -> Plane:
    """The low slices: petrous bone, sinuses, orbits, cerebellum."""
    strength = min(1.0, (0.3 - height) / 0.12)
    for side in (-1, 1):
        petrous = _inside(size, side * 0.30, 0.10, 0.22, 0.055, side * 0.55)
        units = _over(units, petrous * brain * strength, 900)
        units = _over(units, _inside(size, side * 0.22, -0.50, 0.165, 0.155, soft=6) * skull * strength, 700)
        units = _over(units, _inside(size, side * 0.22, -0.50, 0.145, 0.135) * skull * strength, -25)
        units = _over(units, _inside(size, side * 0.22, -0.53, 0.085, 0.085) * skull * strength, 22)
    units = _over(units, _inside(size, 0, -0.50, 0.05, 0.13) * skull * strength, -900)
    return _over(units, _inside(size, 0, 0.42, 0.03, 0.05) * brain * strength, 8)


def _chest(size: int) -> Plane:
    """Frontal view: light where the body stops the rays."""
    light = _inside(size, 0, 0.25, 0.93, 1.15, soft=40) * 0.52
    light = np.maximum(light, _inside(size, 0, -0.9, 0.28, 0.45, soft=30) * 0.5)
    for side in (-1, 1):
        lung = _inside(size, side * 0.42, -0.02, 0.34, 0.62, side * -0.08, soft=40)
        lung = lung * (1 - _inside(size, side * 0.48, 0.82, 0.55, 0.36, soft=30))
        light = light - lung * 0.36
        for rib in range(8):
            arc = _inside(size, side * 0.40, -0.42 + rib * 0.145, 0.46, 0.20, soft=6)
            inner = _inside(size, side * 0.40, -0.385 + rib * 0.145, 0.45, 0.20, soft=6)
            light = light + np.clip(arc - inner, 0, 1) * 0.07
        collar = _inside(size, side * 0.38, -0.66, 0.40, 0.028, side * 0.16, soft=8)
        light = np.maximum(light, collar * 0.66)
    spine = _inside(size, 0, 0, 0.10, 1.6, soft=14)
    light = np.maximum(light, spine * 0.62)
    heart = _inside(size, 0.14, 0.36, 0.30, 0.36, -0.35, soft=24)
    light = np.maximum(light, heart * 0.86)
    aorta = _inside(size, 0.10, -0.16, 0.10, 0.17, 0.1, soft=20)
    return _max(light, aorta * 0.68)


def _chest_aside(size: int) -> Plane:
    """Lateral view."""
    light = _inside(size, 0.02, 0.2, 0.72, 1.15, soft=40) * 0.55
    lung = _inside(size, 0.04, -0.05, 0.50, 0.68, 0.12, soft=40)
    lung = lung * (1 - _inside(size, -0.15, 0.84, 0.72, 0.34, 0.15, soft=30))
    light = light - lung * 0.32
    for joint in range(12):
        body = _inside(size, 0.50 - 0.012 * abs(joint - 6), -0.85 + joint * 0.15, 0.085, 0.062, soft=6)
        light = np.maximum(light, body * 0.78)
    for rib in range(7):
        arc = _inside(size, 0.10, -0.55 + rib * 0.16, 0.56, 0.30, 0.35, soft=6)
        inner = _inside(size, 0.10, -0.52 + rib * 0.16, 0.555, 0.30, 0.35, soft=6)
        light = light + np.clip(arc - inner, 0, 1) * 0.05
    heart = _inside(size, -0.20, 0.30, 0.26, 0.33, -0.3, soft=30)
    light = np.maximum(light, heart * 0.80)
    sternum = _inside(size, -0.56, -0.1, 0.035, 0.45, -0.12, soft=8)
    return _max(light, sternum * 0.68)
