from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels import pixel_array

from tests.unit.dicom.files import PEER_CANNOT, name_of, some_files, wheel
from troth.dicom import CannotRender, Picture, frame_table, render, scan, to_json
from troth.dicom.codecs import decode
from troth.kit.errors import TrothError

#: Its stream is broken.
UNSEEN = {"JPEG2000-embedded-sequence-delimiter.dcm"}


def frame_of(content: bytes, number: int = 1) -> tuple[bytes, Picture]:
    header, bulk = scan(content)
    table = frame_table(header, lambda start, stop: bulk[start:stop])
    picture = Picture.of(to_json(header.head, header.syntax), header.syntax, number)
    return table.read(number, lambda start, stop: bulk[start:stop]), picture


def pictures() -> list[Path]:
    found = []
    for path in some_files():
        try:
            header, _ = scan(path.read_bytes())
        except TrothError:
            continue
        if header.has_pixels and path.name not in PEER_CANNOT and header.rows * header.columns <= 1 << 20:
            found.append(path)
    return found


@pytest.mark.parametrize("path", pictures(), ids=name_of)
def test_values_are_those_of_pydicom(path: Path) -> None:
    content = path.read_bytes()
    if path.name in UNSEEN:
        with pytest.raises(CannotRender):
            render(*frame_of(content))
        return
    frame, picture = frame_of(content)
    image = Image.open(io.BytesIO(render(frame, picture, media_type="image/png")))
    assert image.size == (picture.columns, picture.rows)
    assert image.mode == ("RGB" if picture.samples == 3 or picture.palette else "L")
    values, is_rgb = decode(frame, picture)
    peer = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in peer.file_meta:
        return
    is_422 = picture.photometric == "YBR_FULL_422"
    try:
        expected = pixel_array(peer, index=0, raw=not (is_rgb or is_422))
    except RuntimeError:
        return  # pydicom has no decoder for it here
    if is_422 and not is_rgb:
        got = np.asarray(image).astype("i4")
    else:
        mask = (1 << picture.bits_stored) - 1
        got, expected = values.astype("i8") & mask, expected.astype("i8") & mask
    assert np.abs(got - expected).max() <= (2 if is_422 else 0)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm"])
def test_window(name: str) -> None:
    frame, picture = frame_of(wheel(name))
    real = pydicom.dcmread(io.BytesIO(wheel(name))).pixel_array * picture.slope + picture.intercept
    centre, width = 300.0, 700.0
    expected = np.clip(((real - (centre - 0.5)) / (width - 1) + 0.5) * 255 + 0.5, 0, 255).astype("u1")
    drawn = render(frame, picture, media_type="image/png", window=(centre, width))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(drawn))), expected)
    inverse = render(frame, replace(picture, is_inverse=True), media_type="image/png", window=(centre, width))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(inverse))), 255 - expected)
    for function in ("SIGMOID", "LINEAR_EXACT"):
        other = render(frame, replace(picture, function=function), media_type="image/png", window=(centre, width))
        difference = np.asarray(Image.open(io.BytesIO(other))).astype("i2") - expected
        assert np.abs(difference).max() < 40


def test_size_and_forms() -> None:
    frame, picture = frame_of(wheel("CT_small.dcm"))
    for media_type, kind in (("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/gif", "GIF")):
        image = Image.open(io.BytesIO(render(frame, picture, media_type=media_type, size=(64, 1000))))
        assert (image.format, image.size) == (kind, (64, 64))
    assert Image.open(io.BytesIO(render(frame, picture, size=(4000, 4000)))).size == (128, 128)
    with pytest.raises(CannotRender):
        render(frame, picture, media_type="image/webp")


def sequence(*items: dict[str, object]) -> dict[str, object]:
    return {"vr": "SQ", "Value": list(items)}


def window(centre: float) -> dict[str, object]:
    return {"00281050": {"vr": "DS", "Value": [centre]}, "00281051": {"vr": "DS", "Value": [9.0]}}


def test_frame_values_of_enhanced_images() -> None:
    metadata = {
        "00280010": {"vr": "US", "Value": [2]},
        "00280011": {"vr": "US", "Value": [2]},
        "00280100": {"vr": "US", "Value": [16]},
        "00280101": {"vr": "US", "Value": [16]},
        "52009229": sequence({"00289145": sequence({"00281053": {"vr": "DS", "Value": [2.0]}})}),
        "52009230": sequence(*({"00289132": sequence(window(centre))} for centre in (1.0, 5.0))),
    }
    assert Picture.of(metadata, "1.2.840.10008.1.2.1", 2).window == (5.0, 9.0)
    assert Picture.of(metadata, "1.2.840.10008.1.2.1", 1).slope == 2.0


def test_too_many_pixels_are_not_decoded() -> None:
    metadata = {
        "00280010": {"vr": "US", "Value": [65535]},
        "00280011": {"vr": "US", "Value": [65535]},
        "00280100": {"vr": "US", "Value": [8]},
    }
    with pytest.raises(CannotRender):
        Picture.of(metadata, "1.2.840.10008.1.2.1")


@pytest.mark.parametrize(
    "name", ["JPEG2000.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small_RLE.dcm"]
)
def test_streams_that_lie_or_break(name: str) -> None:
    frame, picture = frame_of(wheel(name))
    assert render(frame, picture)
    for wrong in (replace(picture, rows=picture.rows - 1), replace(picture, columns=picture.columns + 5)):
        if name != "MR_small_RLE.dcm" or wrong.columns > picture.columns:
            with pytest.raises(CannotRender):
                render(frame, wrong)
    for broken in (b"", frame[:40], b"\0" * 500, frame[:8] + b"\xff" * 60 + frame[68:200]):
        with pytest.raises(CannotRender):
            render(broken, picture)


def test_rle_never_gives_more_than_asked() -> None:
    frame, picture = frame_of(wheel("MR_small_RLE.dcm"))
    bomb = struct.pack("<16L", 2, 64, 3_000_064, *[0] * 13) + b"\x81a" * 3_000_000  # 2 x 192 MB
    values, _ = decode(bomb, picture)
    assert values.shape == (picture.rows, picture.columns)
    assert decode(frame, picture)[0].max() > 0
