from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from tests.common import objects
from tests.unit.archive.rooms import instance, to_file
from troth import dicom
from troth.archive import painter
from troth.archive.painter import Frames, Head, Painter
from troth.dicom import painting, pictures, text
from troth.kit import children
from troth.kit.errors import Unavailable

JPEG = str(JPEGBaseline8Bit)


def compressed(frame: bytes, rows: int = 16, columns: int = 16, syntax: str = JPEG) -> tuple[bytes, bytes]:
    """The head of an instance with one compressed frame, and the frame."""
    dataset = pydicom.dcmread(BytesIO(instance()))
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dicom.scan(to_file(dataset, syntax))[0].head, frame


def jpeg(rows: int = 16, columns: int = 16) -> bytes:
    written = BytesIO()
    Image.new("L", (columns, rows), 80).save(written, "JPEG")
    return written.getvalue()


async def paint(made: Painter, head: bytes, syntax: str, frames: list[bytes], **options: Any) -> bytes:
    async def pieces(number: int) -> AsyncIterator[bytes]:
        yield frames[number - 1]

    sent = Frames(range(1, len(frames) + 1), sum(map(len, frames)), pieces)
    return await made.paint("tenant", Head.of(head), syntax, sent, options)


@pytest.fixture
async def made() -> AsyncIterator[Painter]:
    one = Painter()
    yield one
    one.close()


async def test_a_frame_is_decoded_and_one_that_is_broken_stops_no_other(made: Painter) -> None:
    head, frame = compressed(jpeg())
    options: dict[str, Any] = {"media_type": "image/png"}
    assert await paint(made, head, JPEG, [frame], **options | {"notes": ("Æ", "1970-01-02")})
    moving = Image.open(BytesIO(await paint(made, head, JPEG, [frame, jpeg()], media_type="image/gif")))
    assert moving.size == (16, 16)
    assert Image.open(BytesIO(await paint(made, head, JPEG, [frame], **options))).size == (16, 16)
    for broken in (b"\xff\xd8" + bytes(100), frame[:40], jpeg(4096, 4096)):
        with pytest.raises(dicom.CannotRender):
            await paint(made, head, JPEG, [broken], **options)
    assert await paint(made, head, JPEG, [frame], **options)


async def test_a_picture_is_drawn_whatever_its_texts_are_written_in(made: Painter) -> None:
    """The child opens no file any more, and each repertoire is a file of its own."""
    dataset, syntax = pydicom.dcmread(BytesIO(instance())), "1.2.840.10008.1.2.1"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SpecificCharacterSet, dataset.StudyDescription = "S" * 32, "TEXT" * 4
    head = dicom.scan(to_file(dataset, syntax))[0].head
    for term in filter(None, text._CODECS):
        for declared in (term, f"\\{term}"):
            raw = b"\xc4\xb0\xce\x1b$B$d\x1b(B\x1b-F\xc4\xb0".ljust(16)
            there = head.replace(b"S" * 32, declared.encode().ljust(32)).replace(b"TEXT" * 4, raw)
            assert await paint(made, there, syntax, [dataset.PixelData], media_type="image/png"), declared


@pytest.mark.asvs("V1.4.1")
async def test_a_child_that_dies_takes_one_picture_with_it(made: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    head, frame = compressed(jpeg())
    await paint(made, head, JPEG, [frame])
    (child,) = made._children._free
    os.kill(child.pid, signal.SIGKILL)
    results = await asyncio.gather(*(paint(made, head, JPEG, [frame]) for _ in range(4)), return_exceptions=True)
    assert len([one for one in results if isinstance(one, dicom.CannotRender)]) <= 1
    assert len([one for one in results if isinstance(one, bytes)]) >= 3
    monkeypatch.setattr(children, "TASK_SECONDS", 0.0)
    with pytest.raises(Unavailable):
        await paint(made, head, JPEG, [frame])
    monkeypatch.undo()
    assert await paint(made, head, JPEG, [frame])


async def test_a_picture_that_is_not_done_in_its_time_may_be_had_later(
    made: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, frame = compressed(jpeg())
    monkeypatch.setattr(painter, "_SECONDS", 0.001)
    frames = [frame, *(jpeg() for _ in range(199))]
    with pytest.raises(Unavailable):
        await paint(made, head, JPEG, frames, media_type="image/gif", size=(8192, 8192), notes=("A" * 200,) * 50)
    monkeypatch.undo()
    assert await paint(made, head, JPEG, [frame])


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", JPEG])
def test_the_memory_of_a_picture_is_counted_before_it_is_drawn(monkeypatch: pytest.MonkeyPatch, syntax: str) -> None:
    head, frame = compressed(jpeg())
    asked: list[bytes] = []
    monkeypatch.setattr(painting, "decode", lambda frame, _picture: asked.append(frame))
    needed = 16 * 16 * (2 * (syntax == JPEG) + (syntax != JPEG) + 2)
    for most, is_drawn in ((needed - 1, False), (needed, True)):
        monkeypatch.setattr(pictures, "DRAWING_BYTES", most)
        with pytest.raises(dicom.CannotRender if not is_drawn else TypeError):
            pictures.drawn([bytearray(head), bytearray(frame)], syntax, 1, None, {})
        assert bool(asked) is is_drawn


async def test_a_large_frame_goes_by_in_pieces_and_native_ones_too_are_drawn_apart(made: Painter) -> None:
    header, pixels = dicom.scan(instance(BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(range(256))))
    table = dicom.frame_table(header)

    async def pieces(_number: int) -> AsyncIterator[bytes]:
        for at in range(0, 256, 10):
            yield pixels[at : at + 10]

    options = {"media_type": "image/png"}
    parts = Frames([1], 256, pieces, table)
    drawn = await made.paint("t", Head.of(header.head), header.syntax, parts, options)
    assert Image.open(BytesIO(drawn)).tobytes() == bytes(range(256))
    assert made._children._all


def test_what_is_drawn_in_bands_is_what_is_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    described = {
        "00280010": 40, "00280011": 16, "00280100": 16, "00280101": 12, "00280102": 11, "00280103": 1, "00280002": 1,
    }  # fmt: skip
    cases: list[tuple[dict[str, Any], bytes]] = [
        ({}, bytes(range(256)) * 5),
        ({"00280100": 32, "00280101": 32, "00280102": 31}, bytes(range(256)) * 10),
        ({"00280002": 3, "00280100": 8, "00280101": 8, "00280103": 0, "00280004": "YBR_FULL"}, bytes(range(240)) * 8),
        ({"00280002": 3, "00280103": 0, "00280004": "RGB"}, bytes(range(240)) * 16),
    ]
    for extra, pixels in cases:
        metadata = {key: {"Value": [value]} for key, value in (described | extra).items()}
        picture = dicom.Picture.of(metadata, "1.2.840.10008.1.2.1")
        monkeypatch.setattr(painting, "_BAND_PIXELS", 1 << 20)
        whole = dicom.render(pixels, picture, media_type="image/png")
        monkeypatch.setattr(painting, "_BAND_PIXELS", 50)
        assert dicom.render(pixels, picture, media_type="image/png") == whole


@pytest.mark.parametrize(("rows", "columns"), [(65535, 65535), (0, 16)])
def test_too_large_a_frame_is_refused_before_any_decoder_sees_it(
    monkeypatch: pytest.MonkeyPatch, rows: int, columns: int
) -> None:
    head, frame = compressed(jpeg(), rows, columns)
    monkeypatch.setattr(painting, "decode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(dicom.CannotRender):
        pictures.drawn([bytearray(head), bytearray(frame)], JPEG, 1, None, {})


async def test_a_picture_can_move_be_cut_turned_and_carry_words(made: Painter) -> None:
    content = instance()
    header, pixels = dicom.scan(content)
    form: dict[str, Any] = {"media_type": "image/gif"}
    moving = Image.open(BytesIO(await paint(made, header.head, header.syntax, [pixels, pixels[::-1]], **form)))
    assert getattr(moving, "n_frames", 0) == 2
    whole = Image.open(BytesIO(await paint(made, header.head, header.syntax, [pixels], media_type="image/png")))
    part = {"media_type": "image/png", "region": (4, 0, -8, 8)}
    turned = Image.open(BytesIO(await paint(made, header.head, header.syntax, [pixels], **part)))
    assert turned.size == (8, 8)
    assert turned.getpixel((7, 3)) == whole.getpixel((4, 3))
    for outside in ((16, 0, 4, 4), (0, -1, 4, 4), (0, 0, 0, 4)):
        with pytest.raises(dicom.CannotRender):
            await paint(made, header.head, header.syntax, [pixels], region=outside)
    with pytest.raises(dicom.CannotRender):
        await paint(made, header.head, header.syntax, [pixels, pixels], media_type="image/png")
    written = await paint(made, header.head, header.syntax, [pixels], media_type="image/png", notes=("A",))
    assert Image.open(BytesIO(written)).tobytes() != whole.tobytes()


async def test_what_a_head_says_is_read_in_the_child(made: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makers' elements in implicit VR, several repertoires, and the groups of one frame among thousands."""
    many = objects.slide(3000)
    header, pixels = dicom.scan(many.file)
    head = header.head
    monkeypatch.setattr(pictures, "to_json", lambda *_, **__: pytest.fail("it was read outside"))
    frame = Frames([2999], 64, lambda _number: Head.of(pixels[2998 * 64 : 2999 * 64]).pieces)
    drawn = await made.paint("t", Head.of(head), header.syntax, frame, {"media_type": "image/png"})
    assert Image.open(BytesIO(drawn)).size == (8, 8)
    other = pydicom.dcmread(BytesIO(instance()))
    other.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    other.PatientName = "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"
    other.add_new(0x20010010, "LO", "Philips Imaging DD 001")
    other.add_new(0x20011003, "FL", 1.0)
    found, rest = dicom.scan(to_file(other, "1.2.840.10008.1.2"))
    native = Frames([1], len(rest), lambda _number: Head.of(rest).pieces, dicom.frame_table(found))
    assert await made.paint("t", Head.of(found.head), found.syntax, native, {"media_type": "image/png"})
