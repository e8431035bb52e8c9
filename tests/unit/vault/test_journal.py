"""The journal of destroyed keys: whole records only, a torn end is written over, copies are brought up to date."""

from __future__ import annotations

import os
from pathlib import Path

from troth.vault import KeyRef, Keyring, journal


def refs(count: int) -> list[KeyRef]:
    return [KeyRef(os.urandom(16)) for _ in range(count)]


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    path, gone = tmp_path / "destroyed", refs(5)
    assert list(journal.read(path)) == []
    journal.append(path, gone[:2])
    journal.append(path, gone[2:])
    assert [one.ref for one in journal.read(path)] == gone
    assert [one.ref for one in journal.read(path, 3)] == gone[3:]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_torn_end_counts_as_not_written(tmp_path: Path) -> None:
    path, gone = tmp_path / "destroyed", refs(3)
    journal.append(path, gone[:2])
    whole = path.read_bytes()
    for torn in (whole[:-1], whole[:-20], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(torn)
        assert [one.ref for one in journal.read(path)] == gone[:1]
        journal.append(path, gone[2:])
        assert [one.ref for one in journal.read(path)] == [gone[0], gone[2]]


def test_a_copy_follows(tmp_path: Path) -> None:
    source, target, gone = tmp_path / "destroyed", tmp_path / "copy", refs(4)
    assert journal.copy(source, target) == 0
    journal.append(source, gone[:3])
    assert journal.copy(source, target) == 3
    journal.append(source, gone[3:])
    assert (journal.copy(source, target), journal.copy(source, target)) == (1, 0)
    assert target.read_bytes() == source.read_bytes()


def test_a_keyring_writes_down_what_it_destroys_and_no_key(tmp_path: Path) -> None:
    keyring = Keyring.open(tmp_path / "keys", create=True)
    parent = keyring.create(None)
    gone, kept = keyring.create_many([parent, parent])
    keyring.destroy([gone, KeyRef(os.urandom(16))])
    keyring.destroy([gone])
    assert [one.ref for one in journal.read(tmp_path / "keys" / journal.NAME)] == [gone]
    assert dict(keyring.refs()) == {parent: None, kept: parent}
