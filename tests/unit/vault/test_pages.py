"""The page format."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.vault import pages

BODY = bytes(range(252)) * 16


@pytest.mark.asvs("V11.3.2")
def test_the_format_does_not_change_by_accident() -> None:
    page = pages.frame(7, 3, BODY)
    assert len(page) == pages.PAGE_BYTES
    assert page[:24].hex() == "54524f54484b45590001000000000007" + "0000000000000003"
    assert page[24:40].hex() == "bee7a2a6443cde5ee57c80a7974595c3"
    assert pages.SLOTS_PER_PAGE == 42
    assert pages.start_in_file(0) == 4096 + 64
    assert pages.start_in_file(42) == 2 * 4096 + 64
    assert pages.start_in_file(43) == 2 * 4096 + 160


@given(st.integers(0, 4095), st.integers(1, 255))
def test_any_changed_byte_is_seen(at: int, change: int) -> None:
    page = bytearray(pages.frame(7, 3, BODY))
    assert pages.is_whole(bytes(page), 7)
    page[at] ^= change
    assert not pages.is_whole(bytes(page), 7)


def test_a_page_is_whole_only_in_its_place() -> None:
    page = pages.frame(7, 3, BODY)
    assert not pages.is_whole(page, 8)
    assert not pages.is_whole(page[:-1], 7)
    assert pages.is_whole(pages.EMPTY_PAGE, 8)


def test_the_newest_whole_page_counts() -> None:
    old, new = pages.frame(1, 3, BODY), pages.frame(1, 4, BODY)
    torn = new[:2048] + old[2048:-1] + b"?"
    assert pages.newest(1, old, new) == new
    assert pages.newest(1, new, old) == new
    assert pages.newest(1, torn, old) == old
    assert pages.newest(1, pages.EMPTY_PAGE, old) == old
    assert pages.newest(1, torn, torn) is None


@given(st.integers(0, pages.MAX_SLOTS - 1))
def test_slots_do_not_overlap(slot: int) -> None:
    ref = pages.new_ref(slot)
    assert pages.slot_of(ref) == slot
    start = pages.start_in_file(slot)
    assert start // pages.PAGE_BYTES == pages.page_of(slot)
    assert start % pages.PAGE_BYTES >= pages.FRAME_BYTES
    assert start % pages.PAGE_BYTES + pages.SLOT_BYTES <= pages.PAGE_BYTES
    following = pages.start_in_file(slot + 1)
    assert following - start in (pages.SLOT_BYTES, pages.SLOT_BYTES + pages.FRAME_BYTES)


def test_a_slot_gives_back_what_was_put_in() -> None:
    ref, parent, nonce, wrapped = pages.new_ref(9), pages.new_ref(2), os.urandom(12), os.urandom(48)
    slot = pages.fill(ref, parent, nonce, wrapped)
    assert len(slot) == pages.SLOT_BYTES
    assert (slot[pages.INCARNATION], slot[pages.PARENT]) == (ref[4:], parent)
    assert (slot[pages.NONCE], slot[pages.WRAPPED]) == (nonce, wrapped)
    assert pages.holds(slot, ref)
    assert not pages.holds(slot, pages.new_ref(9))
    assert not pages.holds(pages.EMPTY_SLOT, ref)
    assert pages.is_free(pages.EMPTY_SLOT)
    assert not pages.is_free(slot)
    page = bytearray(pages.EMPTY_PAGE)
    start = pages.start_in_page(9)
    page[start : start + pages.SLOT_BYTES] = slot
    assert pages.free_slots(bytes(page), 1) == [number for number in range(42) if number != 9]


def test_the_head_gives_back_what_was_put_in() -> None:
    fields = os.urandom(16), 5, os.urandom(12), os.urandom(48)
    page = pages.frame(0, 1, pages.head_body(*fields))
    assert len(page) == pages.PAGE_BYTES
    assert pages.read_head(page) == fields
    assert int.from_bytes(page[pages.DESTRUCTIONS], "big") == 5
