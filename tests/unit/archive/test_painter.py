from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from tests.unit.archive.rooms import instance, to_file
from troth import dicom
from troth.archive import confining, painter
from troth.archive.painter import Painter

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


@pytest.fixture
async def made() -> AsyncIterator[Painter]:
    one = Painter()
    yield one
    one.close()


def confine() -> None:
    """As the painter's child does; named here, so that this module is loaded before nothing can be."""
    confining.confine()


def attempts() -> dict[str, str]:
    """What a decoder that was taken over would try, and what became of it."""

    def write() -> None:
        Path("/tmp/troth-confined").write_text("x")

    def reach() -> None:
        socket.create_connection(("127.0.0.1", 9), timeout=1)

    def fork() -> None:
        if os.fork() == 0:
            os._exit(0)

    def run() -> None:
        os.posix_spawn("/bin/true", ["true"], {})

    def grow() -> None:
        bytearray(2 << 30)

    def raise_limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    def duplicate() -> None:
        os.close(0)
        os.dup(1)

    tried = {
        "read": lambda: Path("/etc/hostname").read_text(), "write": write, "socket": socket.socket, "reach": reach,
        "fork": fork, "run": run, "grow": grow, "raise": raise_limit, "duplicate": duplicate,
        "keys": lambda: os.listdir("/proc"), "trace": lambda: os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR),
    }  # fmt: skip
    outcome = {}
    for name, attempt in tried.items():
        try:
            attempt()
            outcome[name] = "done"
        except (OSError, MemoryError, ValueError) as refused:
            outcome[name] = type(refused).__name__
    outcome["user"] = str(os.geteuid())
    return outcome


def test_the_child_can_open_reach_start_and_take_nothing() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=confine) as pool:
        outcome = pool.submit(attempts).result(120)
    is_root = os.geteuid() == 0
    left = {"fork", "run"} if not is_root and outcome["fork"] == "done" else set()
    assert {name for name, became in outcome.items() if became == "done"} <= left, outcome
    if is_root:
        assert int(outcome["user"]) >= 61184
    assert not Path("/tmp/troth-confined").exists()


def spin() -> None:
    confining.allot()
    until = time.process_time() + 60
    while time.process_time() < until:
        pass


async def test_a_frame_is_decoded_and_one_that_is_broken_stops_no_other(made: Painter) -> None:
    head, frame = compressed(jpeg())
    options: dict[str, Any] = {"media_type": "image/png"}
    assert await made.paint(head, JPEG, [frame], 1, options | {"notes": ("Æ", "1970-01-02")})
    moving = Image.open(BytesIO(await made.paint(head, JPEG, [frame, jpeg()], 1, {"media_type": "image/gif"})))
    assert moving.size == (16, 16)
    assert Image.open(BytesIO(await made.paint(head, JPEG, [frame], 1, options))).size == (16, 16)
    for broken in (b"\xff\xd8" + bytes(100), frame[:40], jpeg(4096, 4096)):
        with pytest.raises(dicom.CannotRender):
            await made.paint(head, JPEG, [broken], 1, options)
    assert await made.paint(head, JPEG, [frame], 1, options)


async def test_a_child_that_dies_takes_one_picture_with_it(made: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    head, frame = compressed(jpeg())
    await made.paint(head, JPEG, [frame], 1, {})
    (process,) = made._started()._processes.values()  # type: ignore[attr-defined]
    process.kill()
    results = await asyncio.gather(*(made.paint(head, JPEG, [frame], 1, {}) for _ in range(4)), return_exceptions=True)
    assert len([one for one in results if isinstance(one, dicom.CannotRender)]) <= 1
    assert len([one for one in results if isinstance(one, bytes)]) >= 3
    monkeypatch.setattr(painter, "_SECONDS", 0.0)
    with pytest.raises(dicom.CannotRender):
        await made.paint(head, JPEG, [frame], 1, {})
    monkeypatch.undo()
    assert await made.paint(head, JPEG, [frame], 1, {})


def test_the_kernel_ends_who_computes_too_long() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=confine) as pool:
        with pytest.raises(Exception, match="terminated abruptly"):
            pool.submit(spin).result(120)


@pytest.mark.parametrize(("rows", "columns"), [(65535, 65535), (0, 16)])
async def test_too_large_a_frame_is_refused_before_any_decoder_sees_it(made: Painter, rows: int, columns: int) -> None:
    head, frame = compressed(jpeg(), rows, columns)
    with pytest.raises(dicom.CannotRender):
        await made.paint(head, JPEG, [frame], 1, {})
    assert made._pool is None


async def test_a_picture_can_move_be_cut_turned_and_carry_words(made: Painter) -> None:
    content = instance()
    header, pixels = dicom.scan(content)
    form: dict[str, Any] = {"media_type": "image/gif"}
    moving = Image.open(BytesIO(await made.paint(header.head, header.syntax, [pixels, pixels[::-1]], 1, form)))
    assert getattr(moving, "n_frames", 0) == 2
    whole = Image.open(BytesIO(await made.paint(header.head, header.syntax, [pixels], 1, {"media_type": "image/png"})))
    part = {"media_type": "image/png", "region": (4, 0, -8, 8)}
    turned = Image.open(BytesIO(await made.paint(header.head, header.syntax, [pixels], 1, part)))
    assert turned.size == (8, 8)
    assert turned.getpixel((7, 3)) == whole.getpixel((4, 3))
    for outside in ((16, 0, 4, 4), (0, -1, 4, 4), (0, 0, 0, 4)):
        with pytest.raises(dicom.CannotRender):
            await made.paint(header.head, header.syntax, [pixels], 1, {"region": outside})
    with pytest.raises(dicom.CannotRender):
        await made.paint(header.head, header.syntax, [pixels, pixels], 1, {"media_type": "image/png"})
    written = await made.paint(header.head, header.syntax, [pixels], 1, {"media_type": "image/png", "notes": ("A",)})
    assert Image.open(BytesIO(written)).tobytes() != whole.tobytes()
