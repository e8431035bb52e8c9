"""The keyring on real files, and from several processes."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from troth.vault import (
    KeyDestroyed,
    KeyLost,
    KeyRef,
    Keyring,
    KeyringDamaged,
    KeyringMissing,
    KeyringUnsafe,
    SealBroken,
    keyring,
    pages,
)
from troth.vault.mirrors import Draft

MIRRORS = ("slots-a", "slots-b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keyring"


@pytest.fixture
def ring(folder: Path) -> Keyring:
    return Keyring.open(folder, create=True)


def branch(ring: Keyring) -> tuple[KeyRef, KeyRef, KeyRef]:
    """A tenant's key, a subject's below it, a study's below that."""
    tenant = ring.create(None)
    subject = ring.create(tenant)
    return tenant, subject, ring.create(subject)


def test_the_parent_of_a_key_is_what_wraps_it(ring: Keyring) -> None:
    tenant, subject, study = branch(ring)
    assert [ring.parent_of(ref) for ref in (study, subject, tenant)] == [subject, tenant, None]
    ring.destroy([subject])
    with pytest.raises(KeyDestroyed):
        ring.parent_of(study)


def test_a_parent_that_was_written_into_the_slot_is_none(ring: Keyring, folder: Path) -> None:
    tenant, subject, study = branch(ring)
    other = ring.create(tenant)
    for name in MIRRORS:
        content = (folder / name).read_bytes()
        start = pages.start_in_file(pages.slot_of(study))
        slot = content[start : start + pages.SLOT_BYTES]
        (folder / name).write_bytes(
            content[:start] + slot.replace(bytes(subject), bytes(other)) + content[start + len(slot) :]
        )
    with pytest.raises(KeyringDamaged):
        Keyring.open(folder).parent_of(study)


def slot_bytes(folder: Path, ref: KeyRef) -> bytes:
    start = pages.start_in_file(pages.slot_of(ref))
    return (folder / "slots-a").read_bytes()[start : start + pages.SLOT_BYTES]


@pytest.mark.asvs("V11.3.3")
def test_unseals_only_under_the_same_key_and_context(ring: Keyring) -> None:
    _, subject, study = branch(ring)
    sealed = ring.seal(study, b"plain", b"head:1")
    assert ring.unseal(study, sealed, b"head:1") == b"plain"
    assert b"plain" not in sealed
    assert ring.seal(study, b"plain", b"head:1") != sealed
    for ref, value, context in [
        (subject, sealed, b"head:1"),
        (study, sealed, b"head:2"),
        (study, sealed[:-1], b"head:1"),
        (study, sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:], b"head:1"),
        (study, b"\x02" + sealed[1:], b"head:1"),
        (study, b"", b"head:1"),
    ]:
        with pytest.raises(SealBroken):
            ring.unseal(ref, value, context)


def test_is_the_same_after_opening_again(ring: Keyring, folder: Path) -> None:
    _, _, study = branch(ring)
    sealed = ring.seal(study, b"plain", b"c")
    signature, public_key = ring.sign(b"checkpoint"), ring.public_key
    ring.close()
    again = Keyring.open(folder)
    assert again.unseal(study, sealed, b"c") == b"plain"
    assert again.public_key == public_key
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature, b"checkpoint")


@pytest.mark.parametrize("level", [0, 1, 2])
def test_destroying_a_key_ends_all_below_and_nothing_else(ring: Keyring, level: int) -> None:
    keys = branch(ring)
    beside = branch(ring)
    sealed = [ring.seal(ref, b"plain", b"c") for ref in keys]
    kept = [ring.seal(ref, b"plain", b"c") for ref in beside]
    ring.destroy([keys[level]])
    for depth, ref in enumerate(keys):
        assert ring.is_alive(ref) == (depth < level)
        if depth < level:
            assert ring.unseal(ref, sealed[depth], b"c") == b"plain"
            continue
        uses = [(ring.unseal, sealed[depth], b"c"), (ring.seal, b"x", b"c"), (ring.create,)]
        for use, *arguments in [*uses, (ring.token, "kind", "value"), (ring.digest, "kind", "value")]:
            with pytest.raises(KeyDestroyed):
                use(ref, *arguments)
    assert [ring.unseal(ref, value, b"c") for ref, value in zip(beside, kept, strict=True)] == [b"plain"] * 3


def test_a_destroyed_key_is_nowhere_in_the_folder(ring: Keyring, folder: Path) -> None:
    _, subject, study = branch(ring)
    wrapped = [slot_bytes(folder, ref)[pages.WRAPPED] for ref in (subject, study)]
    inodes = {name: (folder / name).stat().st_ino for name in MIRRORS}
    assert all((folder / name).read_bytes().count(key) == 1 for name in MIRRORS for key in wrapped)
    ring.destroy([study])
    found = {file.name: file.read_bytes().count(wrapped[1]) for file in folder.iterdir()}
    assert set(found.values()) == {0}
    assert all((folder / name).read_bytes().count(wrapped[0]) == 1 for name in MIRRORS)
    assert {name: (folder / name).stat().st_ino for name in MIRRORS} == inodes, "overwritten in place, never replaced"
    ring.destroy([study])  # may be repeated
    assert not ring.is_alive(study)


def test_a_slot_that_is_used_again_is_not_the_old_key(ring: Keyring) -> None:
    tenant = ring.create(None)
    old = ring.create(tenant)
    sealed = ring.seal(old, b"plain", b"c")
    ring.destroy([old])
    new = ring.create(tenant)
    assert pages.slot_of(new) == pages.slot_of(old)
    assert new != old
    assert not ring.is_alive(old)
    ring.destroy([old])  # a late repeat must not hit the new key
    assert ring.is_alive(new)
    with pytest.raises(KeyDestroyed):
        ring.unseal(old, sealed, b"c")
    with pytest.raises(SealBroken):
        ring.unseal(new, sealed, b"c")


def test_references_that_never_were_are_lost_and_not_erased(ring: Keyring) -> None:
    branch(ring)
    for stranger in (b"\xff" * 16, bytes(16), b"", b"short", pages.new_ref(1)):
        assert not ring.is_alive(KeyRef(stranger))
        with pytest.raises(KeyLost):
            ring.seal(KeyRef(stranger), b"x", b"c")
        with pytest.raises(KeyLost):
            ring.create(KeyRef(stranger))
        with pytest.raises(KeyLost):
            ring.is_gone(KeyRef(stranger))
    ring.destroy([KeyRef(b"\xff" * 16), KeyRef(b"short")])


def test_create_many_makes_all_or_none(ring: Keyring) -> None:
    tenant = ring.create(None)
    refs = ring.create_many([tenant] * 150 + [None])
    assert len(set(refs)) == 151
    assert all(map(ring.is_alive, refs))
    assert ring.create_many([]) == []
    gone = refs[0]
    ring.destroy([gone])
    before = [page.count(b"\x01") for page in _states(ring)]
    with pytest.raises(KeyDestroyed):
        ring.create_many([tenant, gone])
    assert [page.count(b"\x01") for page in _states(ring)] == before


def _states(ring: Keyring) -> list[bytes]:
    view = ring._mirrors.view
    return [view[at + 64 : at + 4096 : 96] for at in range(4096, len(view), 4096)]


def test_tokens_and_digests_depend_on_key_kind_and_value(ring: Keyring) -> None:
    first, second = ring.create(None), ring.create(None)
    values = [(ref, kind, value) for ref in (first, second) for kind in ("a", "ab") for value in ("b", "bb", "é")]
    tokens = [ring.token(*each) for each in values]
    assert tokens == [ring.token(*each) for each in values]
    assert len(set(tokens)) == len(values)
    assert all(-(2**63) <= token < 2**63 for token in tokens)
    digests = [ring.digest(*each) for each in values]
    assert len(set(digests)) == len(values)
    assert all(len(digest) == 32 for digest in digests)
    assert tokens[0] != int.from_bytes(digests[0][:8], "big", signed=True)


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("is_told", [True, False], ids=["by the count", "by the slots alone"])
def test_no_cached_key_outlives_its_slots(ring: Keyring, folder: Path, level: int, is_told: bool) -> None:
    """Each of the two guards is enough: the live slots are looked at even where the count was missed."""
    keys = branch(ring)
    sealed = ring.seal(keys[2], b"plain", b"c")
    assert ring._cache.keys() >= set(keys)
    Keyring.open(folder).destroy([keys[level]])
    if not is_told:
        ring._count = ring._mirrors.view[pages.DESTRUCTIONS]
    with pytest.raises(KeyDestroyed):
        ring.unseal(keys[2], sealed, b"c")
    assert keys[2] not in ring._cache
    with pytest.raises(KeyDestroyed):
        ring.create(keys[2])


def test_a_dead_parent_in_the_cache_is_not_used(ring: Keyring, folder: Path) -> None:
    _, subject, study = branch(ring)
    sealed = ring.seal(study, b"plain", b"c")
    ring._cache.pop(study)
    Keyring.open(folder).destroy([subject])
    ring._count = ring._mirrors.view[pages.DESTRUCTIONS]
    assert subject in ring._cache
    with pytest.raises(KeyDestroyed):
        ring.unseal(study, sealed, b"c")


def test_a_parent_destroyed_while_waiting_for_the_lock(
    ring: Keyring, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = ring.create(None)
    other = Keyring.open(folder)
    whole = ring._mirrors.drafting

    def late() -> AbstractContextManager[Draft]:
        other.destroy([tenant])
        return whole()

    monkeypatch.setattr(ring._mirrors, "drafting", late)
    with pytest.raises(KeyDestroyed):
        ring.create(tenant)


def test_the_cache_is_bounded(ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "_CACHE_KEYS", 5)
    tenant = ring.create(None)
    for ref in ring.create_many([tenant] * 20):
        assert ring.unseal(ref, ring.seal(ref, b"x", b"c"), b"c") == b"x"
        assert len(ring._cache) <= 5


def test_a_token_needs_no_living_cache(ring: Keyring, folder: Path) -> None:
    tenant = ring.create(None)
    assert Keyring.open(folder).token(tenant, "patient_id", "1") == ring.token(tenant, "patient_id", "1")


@pytest.mark.asvs("V13.3.2")
@pytest.mark.parametrize("name", ["root.key", *MIRRORS])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_refuses_files_that_others_may_touch(ring: Keyring, folder: Path, name: str, mode: int) -> None:
    ring.close()
    (folder / name).chmod(mode)
    with pytest.raises(KeyringUnsafe):
        Keyring.open(folder)
    (folder / name).chmod(0o600)
    Keyring.open(folder).close()


def test_refuses_a_link_as_root_key(ring: Keyring, folder: Path) -> None:
    (folder / "root.key").rename(folder / "elsewhere")
    (folder / "root.key").symlink_to(folder / "elsewhere")
    with pytest.raises(KeyringUnsafe):
        Keyring.open(folder)


def test_files_are_made_for_their_user_only(ring: Keyring, folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_lost_parts(ring: Keyring, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyringMissing):
        Keyring.open(tmp_path / "none")
    study = branch(ring)[2]
    sealed = ring.seal(study, b"plain", b"c")
    ring.close()
    for name in MIRRORS:  # a lost mirror comes back from the other one
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        again = Keyring.open(folder)
        assert again.unseal(study, sealed, b"c") == b"plain"
        assert (folder / name).read_bytes() == content
        again.close()
    root_key = (folder / "root.key").read_bytes()
    for broken in (os.urandom(32), root_key[:31], b""):
        (folder / "root.key").write_bytes(broken)
        with pytest.raises(KeyringDamaged):
            Keyring.open(folder)
    (folder / "root.key").unlink()
    with pytest.raises(KeyringDamaged):  # never a new root key over old slots
        Keyring.open(folder, create=True)
    (folder / "root.key").write_bytes(root_key)
    (folder / "root.key").chmod(0o600)
    Keyring.open(folder).close()
    for name in MIRRORS:
        (folder / name).unlink()
    with pytest.raises(KeyringDamaged):  # never new slots under an old root key
        Keyring.open(folder, create=True)


@pytest.mark.parametrize("stage", ["nothing", "root.new", "slots-a"])
def test_a_creation_that_was_cut_short_is_finished(folder: Path, stage: str) -> None:
    folder.mkdir(mode=0o700)
    if stage != "nothing":
        done = Keyring.open(folder, create=True)
        done.close()
        (folder / "root.key").rename(folder / "root.new")
        (folder / "slots-b").unlink()
        if stage == "root.new":
            (folder / "slots-a").unlink()
    ring = Keyring.open(folder, create=True)
    assert ring.is_alive(ring.create(None))


def test_a_slot_moved_elsewhere_does_not_open(ring: Keyring, folder: Path) -> None:
    tenant, other = ring.create(None), ring.create(None)
    study = ring.create(tenant)
    forged = bytearray(slot_bytes(folder, study))
    forged[pages.PARENT] = other
    with ring._mirrors.drafting() as draft:
        draft.put(pages.slot_of(study), bytes(forged))
    with pytest.raises(KeyringDamaged):
        ring.seal(study, b"x", b"c")


def test_a_chain_without_end_is_refused(ring: Keyring, folder: Path) -> None:
    ref = ring.create(None)
    forged = bytearray(slot_bytes(folder, ref))
    forged[pages.PARENT] = ref
    with ring._mirrors.drafting() as draft:
        draft.put(pages.slot_of(ref), bytes(forged))
    assert not ring.is_alive(ref)
    with pytest.raises(KeyLost):
        ring.seal(ref, b"x", b"c")


def test_only_what_somebody_destroyed_counts_as_erased(ring: Keyring, folder: Path) -> None:
    """A slot that is empty for another reason is a fault: nobody is told that something was erased."""
    tenant = ring.create(None)
    erased, lost = ring.create_many([tenant, tenant])
    below = [ring.create(erased), ring.create(lost)]
    ring.destroy([erased])
    with ring._mirrors.drafting() as draft:
        draft.count_destruction()
        draft.put(pages.slot_of(lost), pages.EMPTY_SLOT)
    for key in (erased, below[0]):
        assert ring.is_gone(key)
        with pytest.raises(KeyDestroyed):
            ring.seal(key, b"x", b"c")
    for key in (lost, below[1]):
        with pytest.raises(KeyLost):
            ring.seal(key, b"x", b"c")
        with pytest.raises(KeyLost):
            ring.is_gone(key)
    other = Keyring.open(folder)
    other.destroy([tenant])  # by another process, after we looked
    with pytest.raises(KeyDestroyed):
        ring.seal(tenant, b"x", b"c")


def test_threads_share_one_keyring(ring: Keyring) -> None:
    tenant = ring.create(None)
    made: list[KeyRef] = []
    faults: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                ref = ring.create(tenant)
                assert ring.unseal(ref, ring.seal(ref, b"x", b"c"), b"c") == b"x"
                made.append(ref)
                if len(made) % 3 == 0:
                    ring.destroy([ref])
                    assert not ring.is_alive(ref)
                    made.remove(ref)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert len(set(made)) == len(made)
    assert all(map(ring.is_alive, made))
