"""A copy of the keyring: opened by its recovery key alone, and dead for what was destroyed since."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from troth.kit import clock
from troth.vault import KeyDestroyed, KeyRef, Keyring, RecoveryRefused, escrow, journal

RECOVERY = "a-recovery-key-of-many-characters"


def copied(tmp_path: Path) -> tuple[Keyring, list[KeyRef], Path]:
    keyring = Keyring.open(tmp_path / "keys", create=True)
    tenant = keyring.create(None)
    refs = [tenant, *keyring.create_many([tenant] * 60)]
    now = clock.now()
    escrow.make(
        tmp_path / "keys", tmp_path / "copies" / "one", RECOVERY, "one", (now, now + timedelta(days=7)),
        keyring.public_key, {"database": "{}"},
    )  # fmt: skip
    return keyring, refs, tmp_path / "copies" / "one"


def test_a_copy_opens_what_was_sealed(tmp_path: Path) -> None:
    keyring, refs, copy = copied(tmp_path)
    sealed = keyring.seal(refs[7], b"plain", b"context")
    assert escrow.open_copy(copy, tmp_path / "again", RECOVERY) == {"database": "{}"}
    again = Keyring.open(tmp_path / "again")
    assert again.unseal(refs[7], sealed, b"context") == b"plain"
    assert again.public_key == keyring.public_key
    assert list(escrow.copies(tmp_path / "copies")) == [copy]


def test_the_root_key_is_nowhere_in_the_clear(tmp_path: Path) -> None:
    _, _, copy = copied(tmp_path)
    root = (tmp_path / "keys" / "root.key").read_bytes()
    for path in copy.iterdir():
        content = path.read_bytes()
        assert root not in content
        assert root.hex().encode() not in content
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.asvs("V11.4.4")
@pytest.mark.parametrize("recovery", ["", "another-recovery-key-of-many-characters"])
def test_another_recovery_key_opens_nothing(tmp_path: Path, recovery: str) -> None:
    _, _, copy = copied(tmp_path)
    with pytest.raises(RecoveryRefused):
        escrow.open_copy(copy, tmp_path / "again", recovery)
    assert not (tmp_path / "again").exists()
    with pytest.raises(RecoveryRefused):
        escrow.about(tmp_path)


@pytest.mark.asvs("V11.4.4")
def test_a_short_recovery_key_is_refused(tmp_path: Path) -> None:
    keyring = Keyring.open(tmp_path / "keys", create=True)
    now = clock.now()
    with pytest.raises(RecoveryRefused):
        escrow.make(tmp_path / "keys", tmp_path / "copy", "short", "one", (now, now), keyring.public_key, {})


def test_what_is_destroyed_afterwards_is_destroyed_in_the_copy(tmp_path: Path) -> None:
    keyring, refs, copy = copied(tmp_path)
    sealed = {ref: keyring.seal(ref, b"plain", b"c") for ref in refs[1:4]}
    wrapped = bytes(keyring._slot(refs[1]) or b"")[44:92]
    assert wrapped in (copy / "slots-a").read_bytes()
    later = keyring.create(refs[0])
    keyring.destroy([refs[1], later])
    source = tmp_path / "keys" / journal.NAME
    assert (escrow.follow(copy, source), escrow.follow(copy, source)) == (2, 0)
    for name in ("slots-a", "slots-b"):
        assert wrapped not in (copy / name).read_bytes(), "overwritten in place, in both files"
    escrow.open_copy(copy, tmp_path / "again", RECOVERY)
    again = Keyring.open(tmp_path / "again")
    with pytest.raises(KeyDestroyed):
        again.unseal(refs[1], sealed[refs[1]], b"c")
    assert again.unseal(refs[2], sealed[refs[2]], b"c") == b"plain"


def test_a_destroyed_copy_is_gone(tmp_path: Path) -> None:
    _, _, copy = copied(tmp_path)
    escrow.destroy(copy)
    assert not copy.exists()
