from __future__ import annotations

import pydicom
import pytest
from pydicom import data

from troth.dicom import scan
from troth.dicom.text import Charset, charset_of

FILES = [
    "chrArab",
    "chrFren",
    "chrGerm",
    "chrGreek",
    "chrH31",
    "chrH32",
    "chrHbrw",
    "chrI2",
    "chrRuss",
    "chrX1",
    "chrX2",
]


@pytest.mark.parametrize("name", FILES)
def test_names_of_the_world(name: str) -> None:
    path = data.get_charset_files(f"{name}.dcm")[0]
    with open(path, "rb") as file:
        header, _ = scan(file.read())
    assert header.values[0x00100010] == str(pydicom.dcmread(path).PatientName).rstrip("=")
    assert not header.values[0x00100010].isascii()


@pytest.mark.parametrize(
    ("declared", "raw", "text"),
    [
        (b"", b"caf\xe9", "café"),
        (b"ISO_IR 192", "日本".encode(), "日本"),
        (b"ISO IR 192", "日本".encode(), "日本"),
        (b"utf-8", "日本".encode(), "日本"),
        (b"ISO_IR 192", b"\xff\xfe", "\ufffd\ufffd"),
        (b"no such thing", b"\xe9", "é"),
        (b"zip", b"x", "x"),
        (b"GB18030", "王".encode("gb18030"), "王"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        (b"\\ISO-2022-IR-87", b"\x1b$B;3ED\x1b(B", "山田"),
    ],
)
def test_repertoires(declared: bytes, raw: bytes, text: str) -> None:
    assert charset_of(declared).decode(raw) == text


def test_nothing_raises() -> None:
    for declared in ("", "ISO_IR 192", "ISO 2022 IR 13\\ISO 2022 IR 87", "\\ISO 2022 IR 149", "GBK", "x\\" * 50):
        charset = Charset(declared)
        for raw in (b"", b"\x1b", b"\x1b$", b"\x1b$B\xff\xff", b"\x1b$)C\xff", bytes(range(256))):
            assert isinstance(charset.decode(raw), str)
            assert isinstance(charset.decode(raw, is_name=True), str)
