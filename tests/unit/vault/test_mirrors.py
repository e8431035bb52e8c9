"""Torn pages, dead writers, disks that refuse."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from troth.vault import KeyRef, Keyring, KeyringDamaged, mirrors, pages

MIRRORS = ("slots-a", "slots-b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keyring"


@pytest.fixture
def ring(folder: Path) -> Keyring:
    return Keyring.open(folder, create=True)


def damage(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b", buffering=0) as file:
        file.seek(offset)
        file.write(content)


def same(folder: Path) -> bool:
    return (folder / "slots-a").read_bytes() == (folder / "slots-b").read_bytes()


@pytest.mark.parametrize("name", MIRRORS)
@pytest.mark.parametrize("page", [0, 1, 2])
def test_a_torn_page_is_mended_from_the_mirror(ring: Keyring, folder: Path, name: str, page: int) -> None:
    refs = ring.create_many([None] * 60)
    sealed = [ring.seal(ref, b"x", b"c") for ref in refs]
    ring.close()
    damage(folder / name, page * 4096 + 512, os.urandom(4096 - 512))
    assert not same(folder)
    again = Keyring.open(folder)
    assert [again.unseal(ref, value, b"c") for ref, value in zip(refs, sealed, strict=True)] == [b"x"] * 60
    assert same(folder)


def test_a_page_damaged_while_open_is_mended_by_reader_and_writer(ring: Keyring, folder: Path) -> None:
    refs = ring.create_many([None] * 3)
    sealed = ring.seal(refs[0], b"x", b"c")
    start = pages.start_in_file(pages.slot_of(refs[0]))
    ring._cache.clear()
    damage(folder / "slots-a", start + pages.WRAPPED.start, os.urandom(8))
    assert ring.unseal(refs[0], sealed, b"c") == b"x"
    assert same(folder)
    damage(folder / "slots-a", start + pages.WRAPPED.start, os.urandom(8))
    ring.create(None)  # rewrites the page, but not the damage
    assert same(folder)
    assert ring.unseal(refs[0], sealed, b"c") == b"x"


def test_a_page_damaged_in_both_is_refused(ring: Keyring, folder: Path) -> None:
    ring.create(None)
    ring.close()
    for name in MIRRORS:
        damage(folder / name, 4096 + 100, os.urandom(50))
    with pytest.raises(KeyringDamaged, match="page 1"):
        Keyring.open(folder)


def test_both_heads_lost(ring: Keyring, folder: Path) -> None:
    ring.close()
    for name in MIRRORS:
        damage(folder / name, 0, bytes(4096))
    with pytest.raises(KeyringDamaged):
        Keyring.open(folder)


@pytest.mark.parametrize("name", MIRRORS)
def test_a_short_or_odd_file_is_completed(ring: Keyring, folder: Path, name: str) -> None:
    ref = ring.create(None)
    sealed = ring.seal(ref, b"x", b"c")
    ring.close()
    for length in (0, 4096, 4096 + 300):
        os.truncate(folder / name, length)
        again = Keyring.open(folder)
        assert again.unseal(ref, sealed, b"c") == b"x"
        assert same(folder)
        again.close()


@pytest.mark.parametrize("acknowledged", [1, 2], ids=["first mirror only", "both mirrors"])
def test_a_destruction_cut_short_goes_forward(
    ring: Keyring, folder: Path, monkeypatch: pytest.MonkeyPatch, acknowledged: int
) -> None:
    """The writer dies after the first mirror: the next writer or opening finishes its work."""
    ref, kept = ring.create(None), ring.create(None)
    start = pages.start_in_file(pages.slot_of(ref))
    wrapped = (folder / "slots-a").read_bytes()[start:][pages.WRAPPED]
    whole = mirrors.Mirrors._write
    written = []

    def dies(self: mirrors.Mirrors, fd: int, page: dict[int, bytes]) -> None:
        if len(written) == acknowledged:
            raise KeyboardInterrupt
        written.append(fd)
        whole(self, fd, page)

    with monkeypatch.context() as patch:
        patch.setattr(mirrors.Mirrors, "_write", dies)
        patch.setattr(mirrors.Mirrors, "_confirm", lambda *_: dies(ring._mirrors, 0, {}))
        with pytest.raises(KeyboardInterrupt):
            ring.destroy([ref])
    assert (wrapped in (folder / "slots-b").read_bytes()) == (acknowledged == 1)
    ring.create(None)  # another writer, no new opening
    assert wrapped not in (folder / "slots-a").read_bytes() + (folder / "slots-b").read_bytes()
    assert same(folder)
    assert not ring.is_alive(ref)
    assert ring.is_alive(kept)


def test_a_disk_that_refuses_is_not_taken_for_success(
    ring: Keyring, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = ring.create(None)

    def full(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(KeyringDamaged):
            ring.create(None)
        with pytest.raises(KeyringDamaged):
            ring.destroy([ref])
    ring.destroy([ref])  # again, with a disk that works: confirmed now
    assert not ring.is_alive(ref)
    assert same(folder)


def test_a_destruction_that_the_disk_does_not_confirm(ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = ring.create(None)
    whole = os.preadv

    def stale(fd: int, buffers: list[bytearray], offset: int) -> int:
        count = whole(fd, buffers, offset)
        buffers[0][100:101] = b"?"
        return count

    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", stale)
        with pytest.raises(KeyringDamaged, match="confirmed"):
            ring.destroy([ref])
    ring.destroy([ref])


def test_a_raise_in_a_draft_writes_nothing(ring: Keyring, folder: Path) -> None:
    before = (folder / "slots-a").read_bytes()
    with pytest.raises(RuntimeError), ring._mirrors.drafting() as draft:
        draft.put(0, b"\xff" * pages.SLOT_BYTES)
        raise RuntimeError
    assert (folder / "slots-a").read_bytes() == before


def test_reading_past_the_page_cache_where_it_cannot_be(ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = ring.create(None)
    whole = os.open

    def no_direct(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_DIRECT:
            raise OSError(22, "Invalid argument")
        return whole(path, flags, *mode)

    monkeypatch.setattr(os, "open", no_direct)
    ring.destroy([ref])
    assert not ring.is_alive(KeyRef(ref))
