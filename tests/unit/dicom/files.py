"""Real files for the tests of `dicom`, and writers of hostile ones."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pydicom
from pydicom import data

from troth.dicom import encode, part10

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
_LARGE_BYTES = 5 << 20
_SITE = Path(pydicom.__file__).parents[1]
_FOLDERS = (Path(data.__file__).parent, _SITE / "data_store" / "data")
#: We take them; pydicom ends in an exception where it converts a number that is none.
PEER_CANNOT = {"badVR.dcm"}
_OTHER = {".py", ".pyc", ".json", ".txt", ".md"}


@cache
def every_file() -> tuple[Path, ...]:
    """All files of the pydicom wheel, and of the pydicom-data one where it is there."""
    paths = [path for folder in _FOLDERS if folder.is_dir() for path in sorted(folder.rglob("*"))]
    return tuple(
        path for path in paths if path.is_file() and path.suffix not in _OTHER and "__pycache__" not in str(path)
    )


@cache
def some_files() -> tuple[Path, ...]:
    """Those that are small enough to be read again and again."""
    return tuple(path for path in every_file() if path.stat().st_size < _LARGE_BYTES)


def name_of(path: Path) -> str:
    return "/".join(path.parts[-2:])


def wheel(name: str) -> bytes:
    return (_FOLDERS[0] / "test_files" / name).read_bytes()


def more(name: str) -> Path:
    return _FOLDERS[1] / name


def dataset(*, pixels: bytes | None = None, between: bytes = b"", **uids: str) -> bytes:
    """A small explicit little endian data set; `between` goes before the rows."""
    uid = {"instance": "1.2.3", "study": "1.2.4", "series": "1.2.5"} | uids
    parts = [
        encode.text(0x00080016, "UI", CT),
        encode.text(0x00080018, "UI", uid["instance"]),
        encode.text(0x0020000D, "UI", uid["study"]),
        encode.text(0x0020000E, "UI", uid["series"]),
        between,
    ]
    if pixels is not None:
        parts += [
            encode.number(0x00280010, "US", 4),
            encode.number(0x00280011, "US", 4),
            encode.number(0x00280100, "US", 8),
            encode.element(0x7FE00010, "OB", pixels),
        ]
    return b"".join(parts)


def file(content: bytes, syntax: str = EXPLICIT) -> bytes:
    return part10(CT, "1.2.3", syntax) + content


def nested(levels: int, *, is_defined: bool = False) -> bytes:
    """A sequence in a sequence in a sequence."""
    content = b""
    if is_defined:
        for _ in range(levels):
            content = encode.sequence(0x00081140, [content])
        return content
    begin = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    end = struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return begin * levels + end * levels


@contextmanager
def flat_memory(limit_bytes: int = 64 << 20) -> Iterator[None]:
    """What happens inside costs no more than that at any moment."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit_bytes
    finally:
        tracemalloc.stop()


def encode_fragments(contents: list[bytes]) -> bytes:
    """An encapsulated pixel element; the first content is the offset table."""
    items = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(one)) + one for one in contents)
    begin = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    return begin + items + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
