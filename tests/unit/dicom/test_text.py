from __future__ import annotations

import pydicom
import pytest
from pydicom import charset, data

from troth.dicom import scan
from troth.dicom.text import _CODECS, Charset, charset_of

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
        (b"ISO_IR 203", b"\xa4\xa6\xa8\xb4\xb8\xbc\xbd\xbe\xe9", "€ŠšŽžŒœŸé"),
        (b"ISO IR 203", b"\xa4", "€"),
        (b"ISO 2022 IR 203", b"\xbc\xe9", "Œé"),
        (b"\\ISO 2022 IR 203", b"\xa4\x1b-b\xa4\x5c\xa4\x1b-b\xbe", "¤€\\¤Ÿ"),
        (b"\\ISO 2022 IR 203\\ISO 2022 IR 87", b"\x1b-b\xbd\x1b$B;3ED\x1b(B \x1b-b\xa8", "œ山田 š"),
        (b"\\ISO 2022 IR 101", b"\x1b-B\xb9", "š"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        (b"\\ISO-2022-IR-87", b"\x1b$B;3ED\x1b(B", "山田"),
    ],
)
def test_repertoires(declared: bytes, raw: bytes, text: str) -> None:
    assert charset_of(declared).decode(raw) == text


def test_latin_9_switches_back_at_the_parts_of_a_name() -> None:
    name = charset_of(b"\\ISO 2022 IR 203").decode(b"\x1b-b\xbdil^\xa4=\xa4", is_name=True)
    assert name == "œil^¤=¤"


SAMPLES = ("Müller", "Čapek", "Ġorġ", "Āboliņš", "Иванов", "Παπαδόπουλος", "שלום", "عرب", "สมชาย", "ﾔﾏﾀﾞ", "Yılmaz",
           "山田", "丂", "김희중", "王小東")  # fmt: skip


@pytest.mark.filterwarnings("ignore:Failed to encode value")
@pytest.mark.parametrize("term", _CODECS)
@pytest.mark.conformance("charset *")
def test_every_defined_term_is_read_as_pydicom_writes_it(term: str) -> None:
    is_extension = term.startswith("ISO 2022 IR")
    encodings = charset.convert_encodings(["", term] if is_extension else [term])
    read = 0
    for sample in (*SAMPLES, "Smith"):
        try:
            written = charset.encode_string(sample, encodings)
        except UnicodeError:
            continue
        if b"?" in written:  # it has no such sign
            continue
        if term == "ISO 2022 IR 58" and not sample.isascii():
            written = b"\x1b$)A" + sample.encode("gb2312")  # pydicom leaves the escape sequence away
        declared = f"\\{term}" if is_extension else term
        assert charset_of(declared.encode()).decode(written) == sample
        read += 1
    assert read > (term in ("", "ISO_IR 6", "ISO 2022 IR 6"))


def test_nothing_raises() -> None:
    for declared in ("", "ISO_IR 192", "ISO 2022 IR 13\\ISO 2022 IR 87", "\\ISO 2022 IR 149", "GBK", "x\\" * 50):
        read = Charset(declared)
        for raw in (b"", b"\x1b", b"\x1b$", b"\x1b$B\xff\xff", b"\x1b$)C\xff", bytes(range(256))):
            assert isinstance(read.decode(raw), str)
            assert isinstance(read.decode(raw, is_name=True), str)
