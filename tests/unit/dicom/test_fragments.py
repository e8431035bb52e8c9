from __future__ import annotations

import struct

import pytest

from troth.dicom import Fragments, Malformed


def item(content: bytes) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
def test_places_and_offsets(size: int) -> None:
    value = item(struct.pack("<2L", 0, 12)) + item(b"abcd") + item(b"ef") + END
    fragments = Fragments(10)
    used = sum(
        fragments.feed((value + b"tail")[at : at + size])
        for at in range(0, len(value) + 4, size)
        if not fragments.is_closed
    )
    assert fragments.is_closed
    assert used == fragments.length == len(value)
    assert [value[at : at + n] for at, n in zip(fragments.starts, fragments.lengths, strict=True)] == [b"abcd", b"ef"]
    assert fragments.basic_offsets == (0, 12)


def test_delimiter_needs_a_table_before_it() -> None:
    with pytest.raises(Malformed):
        Fragments(10).feed(END)
