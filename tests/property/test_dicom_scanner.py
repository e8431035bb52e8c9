"""No bytes make the scanner, or what reads after it, raise anything but our own errors."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dicom.files import wheel
from troth.dicom import Picture, Scanner, frame_table, reopen, to_json
from troth.kit.errors import TrothError

SEEDS = [
    wheel(name)
    for name in (
        "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "SC_rgb_rle_2frame.dcm", "reportsi.dcm", "test-SR.dcm",
        "image_dfl.dcm", "JPEG2000.dcm", "rtplan.dcm", "693_J2KI.dcm", "MR_small.dcm",
    )
]  # fmt: skip

#: Bytes that mean something to a parser.
WORDS = st.sampled_from(
    [b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\xff\xff\xff\xff", b"\xf0\xff\xff\xff", b"SQ\0\0",
     b"UN\0\0", b"OB\0\0", b"\xe0\x7f\x10\x00", b"\x08\x00\x05\x00", b"\\", b"\x1b$B", b"", b"\0" * 8]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, min(len(content), 4000)))
        change = draw(st.one_of(st.binary(max_size=6), WORDS))
        if draw(st.booleans()):
            content[at : at + len(change)] = change
        else:
            content[at : at + draw(st.integers(0, 40))] = change
    if draw(st.booleans()):
        del content[draw(st.integers(0, len(content))) :]
    return bytes(content)


@settings(max_examples=400, deadline=None)
@given(content=mutated(), size=st.integers(1, 8000))
def test_mutations_of_real_files(content: bytes, size: int) -> None:
    scanner, bulk = Scanner(), []
    try:
        for at in range(0, len(content), size):
            scanner.feed(content[at : at + size])
            bulk.append(scanner.take_bulk())
        header = scanner.finish()
    except TrothError:
        return
    whole = b"".join(bulk)
    assert header.bulk_bytes == len(whole)
    assert reopen(header.head, header.syntax).instance_uid == header.instance_uid
    metadata = to_json(header.head, header.syntax, "/bulkdata/", tail=header.tail)
    json.dumps(metadata, allow_nan=False)
    if header.has_pixels:
        try:
            table = frame_table(header, lambda start, stop: whole[start:stop])
            for number in range(1, min(table.count, 3) + 1):
                table.read(number, lambda start, stop: whole[start:stop])
            Picture.of(to_json(header.head, header.syntax), header.syntax)
        except TrothError:
            return


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=3000), front=st.sampled_from(["", "meta", "group 8"]))
def test_any_bytes(content: bytes, front: str) -> None:
    lead = {"": b"", "meta": SEEDS[0][:334], "group 8": b"\x08\x00\x05\x00CS"}[front]
    scanner = Scanner()
    try:
        scanner.feed(lead + content)
        scanner.finish()
    except TrothError:
        pass
