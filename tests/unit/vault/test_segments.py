"""Locators."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.vault import SealBroken
from troth.vault.segments import SEGMENT_BYTES, STORED_BYTES, TAG_BYTES, Extent, Place, joined

PACK = bytes(range(16))


def whole(length: int) -> Place:
    place = Place(b"prefix7", length, ())
    return Place(b"prefix7", length, (Extent(PACK, 32, length + place.segments * TAG_BYTES),))


@pytest.mark.asvs("V11.3.2")
def test_the_format_does_not_change_by_accident() -> None:
    assert whole(5).encode().hex() == (
        "01"
        + b"prefix7".hex()
        + "0000000000000005"
        + "0001"
        + "00000001"
        + PACK.hex()
        + "0000"
        + "00000020"
        + "00000015"
    )


@given(st.lists(st.tuples(st.sampled_from([PACK, b"p" * 16]), st.integers(0, 2**32 - 1), st.integers(0, 2**20))))
def test_a_locator_gives_back_the_place(rows: list[tuple[bytes, int, int]]) -> None:
    stored = sum(row[2] for row in rows)
    segments = max(1, -(-stored // STORED_BYTES))
    if stored <= (segments - 1) * STORED_BYTES + (TAG_BYTES if segments > 1 else TAG_BYTES - 1):
        return
    place = Place(b"prefix7", stored - segments * TAG_BYTES, tuple(Extent(*row) for row in rows))
    assert Place.decode(place.encode()) == place


@given(st.binary(max_size=120))
def test_other_bytes_are_refused(noise: bytes) -> None:
    with pytest.raises(SealBroken):
        Place.decode(noise)


def test_a_locator_has_to_add_up() -> None:
    good = whole(SEGMENT_BYTES + 1).encode()
    assert Place.decode(good).segments == 2
    for at in (0, 8, 15, 17, 21, len(good) - 1, len(good) - 9):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        with pytest.raises(SealBroken):
            Place.decode(bad)
    for bad in (good[:-1], good + b"\0", good[:22], b""):
        with pytest.raises(SealBroken):
            Place.decode(bad)


def test_pieces_across_extents() -> None:
    place = Place(
        b"prefix7", 3 * SEGMENT_BYTES, (Extent(PACK, 100, STORED_BYTES + 10), Extent(PACK, 9, 2 * STORED_BYTES - 10))
    )
    assert list(place.pieces(0, 0)) == [Extent(PACK, 100, STORED_BYTES)]
    assert list(place.pieces(1, 1)) == [Extent(PACK, 100 + STORED_BYTES, 10), Extent(PACK, 9, STORED_BYTES - 10)]
    assert sum(piece.length for piece in place.pieces(0, 2)) == 3 * STORED_BYTES


def test_neighbours_become_one() -> None:
    other = b"q" * 16
    rows = [Extent(PACK, 0, 5), Extent(PACK, 5, 5), Extent(other, 10, 5), Extent(PACK, 10, 5), Extent(PACK, 16, 5)]
    assert joined(rows) == [Extent(PACK, 0, 10), Extent(other, 10, 5), Extent(PACK, 10, 5), Extent(PACK, 16, 5)]
