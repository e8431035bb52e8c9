"""JPEG of every process, held against dcmtk, which wrote or reads it with codecs of its own."""

from __future__ import annotations

import io
import struct
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels import apply_color_lut

from tests.common.objects import Made, fragments
from tests.common.programs import program
from tests.unit.dicom.files import some_files
from tests.unit.dicom.test_painting import frame_of
from tests.unit.dicom.test_specimens import STUDY
from troth.dicom import CannotRender, jpeg, render
from troth.dicom.codecs import decode
from troth.dicom.picture import _expanded
from troth.dicom.specimens import phantom_ct

#: How dcmcjpeg is asked for a process.
PROCESSES = {
    "12 bits, extended": (("+ee", "+q", "95"), "1.2.840.10008.1.2.4.51"),
    "16 bits, lossless": (("+el", "+sv", "6"), "1.2.840.10008.1.2.4.57"),
    "16 bits, lossless, first-order": (("+e1",), "1.2.840.10008.1.2.4.70"),
}


def told(*arguments: object) -> None:
    subprocess.run([program(str(arguments[0])), *map(str, arguments[1:])], check=True, capture_output=True)


@pytest.mark.parametrize("process", PROCESSES)
def test_what_dcmtk_wrote_is_read(process: str, tmp_path: Path) -> None:
    options, syntax = PROCESSES[process]
    (content,) = phantom_ct(STUDY, slices=1, size=128)
    (tmp_path / "native").write_bytes(content)
    told("dcmcjpeg", *options, tmp_path / "native", tmp_path / "jpeg")
    frame, picture = frame_of((tmp_path / "jpeg").read_bytes())
    assert picture.syntax == syntax
    values, _ = decode(frame, picture)
    assert values.dtype == np.dtype("<u2")
    if "lossless" in process:
        assert np.array_equal(values, decode(*frame_of(content))[0])
    told("dcmdjpeg", tmp_path / "jpeg", tmp_path / "back")
    back, _ = decode(*frame_of((tmp_path / "back").read_bytes()))
    assert np.abs(values.astype("i4") - back).max() <= 1
    shown = np.asarray(Image.open(io.BytesIO(render(frame, picture, media_type="image/png")))).astype("i4")
    assert (
        np.abs(shown - np.asarray(Image.open(io.BytesIO(render(*frame_of(content), media_type="image/png"))))).max()
        < 64
    )


REAL = {"JPEG-lossy.dcm", "JPEG-LL.dcm", "bad_sequence.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm", "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_small_odd_jpeg.dcm", "SC_jpeg_no_color_transform.dcm"}  # fmt: skip


@pytest.mark.parametrize("path", [path for path in some_files() if path.name in REAL], ids=lambda path: path.name)
def test_real_streams_are_what_dcmtk_reads(path: Path, tmp_path: Path) -> None:
    frame, picture = frame_of(path.read_bytes()) if path.name != "bad_sequence.dcm" else from_bad(path)
    values, _ = decode(frame, picture)
    told("dcmdjpeg", path, tmp_path / "back")
    back = pydicom.dcmread(tmp_path / "back", force=True)
    kind = f"<u{back.BitsAllocated // 8}"
    expected = np.frombuffer(back.PixelData, kind, values.size)
    if picture.samples == 3 and back.PlanarConfiguration:
        expected = expected.reshape(3, *values.shape[:2]).transpose(1, 2, 0)
    assert np.abs(values.astype("i4") - expected.reshape(values.shape)).max() <= (0 if picture.samples == 1 else 3)


def from_bad(path: Path) -> tuple[bytes, object]:
    """Its UIDs are hexadecimal, so it is no instance; its pixels are."""
    dataset = pydicom.dcmread(path)
    made = Made("1.2.840.10008.1.2.4.70")
    for tag in (0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103):
        made.number(tag, dataset[tag].value)
    return frame_of(made.raw(0x7FE00010, fragments(pydicom.encaps.get_frame(dataset.PixelData, 0))).file)


def teal() -> tuple[bytes, bytes]:
    """A black picture as JFIF in YCbCr, and the same without the marker that says so."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    whole = out.getvalue()
    (length,) = struct.unpack_from(">H", whole, 4)
    return whole, whole[:2] + whole[4 + length :]


def rgb(stream: bytes, photometric: str) -> np.ndarray:
    made = Made("1.2.840.10008.1.2.4.50").number(0x00280002, 3).number(0x00280006, 0)
    made.text(0x00280004, "CS", photometric).raw(0x7FE00010, fragments(stream))
    frame, picture = frame_of(made.file)
    return np.asarray(Image.open(io.BytesIO(render(frame, picture, media_type="image/png"))))


def test_a_stream_that_says_its_colours_is_believed() -> None:
    """JFIF is YCbCr by definition; a header that says RGB beside it is wrong (PS3.5 8.2.1), and black became teal."""
    jfif, bare = teal()
    assert rgb(jfif, "RGB").max() == 0
    assert rgb(jfif, "YBR_FULL_422").max() == 0
    assert rgb(bare, "YBR_FULL_422").max() == 0
    assert tuple(rgb(bare, "RGB")[0, 0]) == (0, 128, 128), "nothing but the header says what it is"


def test_size_and_bits_of_the_stream_are_read_before_it_is_decoded() -> None:
    jfif, _ = teal()
    at = jfif.index(b"\xff\xc0")
    for change in (jfif[: at + 5] + b"\xff\xff\xff\xff" + jfif[at + 9 :], jfif[: at + 4] + b"\x10" + jfif[at + 5 :]):
        made = Made("1.2.840.10008.1.2.4.50").number(0x00280002, 3).text(0x00280004, "CS", "RGB")
        with pytest.raises(CannotRender):
            decode(*frame_of(made.raw(0x7FE00010, fragments(change)).file))
    for broken in (b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\0\2" * 5000, b"\xff\xd8" + b"\xff" * 9000, b"GIF89a"):
        with pytest.raises(CannotRender):
            jpeg.described(broken)


@pytest.mark.parametrize(
    "path", [path for path in some_files() if path.name.startswith("gdcm-US-ALOKA-16")], ids=lambda path: path.name
)
def test_palettes_in_segments(path: Path) -> None:
    frame, picture = frame_of(path.read_bytes())
    peer = pydicom.dcmread(path)
    expected = apply_color_lut(peer.pixel_array, peer) >> 8
    drawn = np.asarray(Image.open(io.BytesIO(render(frame, picture, media_type="image/png"))))
    assert np.abs(drawn.astype("i4") - expected).max() <= 1


SEGMENTS = {
    "discrete": ((0, 3, 7, 8, 9), [7, 8, 9]),
    "a line": ((0, 1, 10, 1, 4, 18), [10, 12, 14, 16, 18]),
    "once more": ((0, 1, 5, 1, 2, 9, 2, 2, 0, 0), [5, 7, 9, 5, 7, 9]),
}


@pytest.mark.parametrize(("words", "entries"), SEGMENTS.values(), ids=SEGMENTS)
def test_segments(words: tuple[int, ...], entries: list[int]) -> None:
    raw = struct.pack(f"<{len(words)}H", *words)
    assert _expanded(raw, len(entries)) == struct.pack(f"<{len(entries)}H", *entries)
    assert _expanded(raw, len(entries) + 1) == b"", "a table that is too short is none"


@pytest.mark.parametrize(
    "words", [(2, 1, 0, 0) * 10_000, (0, 0) * 30_000, (0, 1, 5, 2, 65535, 0, 0), (1, 0, 5), (9, 9), (0,)]
)
def test_hostile_segments_end(words: tuple[int, ...]) -> None:
    assert _expanded(struct.pack(f"<{len(words)}H", *words), 65536) == b""
