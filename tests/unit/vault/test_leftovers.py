"""What nobody names goes, byte for byte; what somebody may still write to is left alone."""

from __future__ import annotations

import asyncio
import hashlib
import os
from datetime import timedelta
from pathlib import Path

import pytest

from troth.kit import clock
from troth.vault import (
    KeyCensus,
    Keyring,
    Named,
    ObjectMissing,
    Packs,
    SealBroken,
    SealedObject,
    copy_packs,
    free_unnamed,
    quiet_packs,
)

LATER = timedelta(minutes=5)


def put(packs: Packs, length: int) -> tuple[SealedObject, bytes]:
    content = os.urandom(length)
    writer = packs.writer()
    writer.feed(content)
    return writer.finish(), content


def sweep(packs: Packs, *kept: SealedObject, is_dry: bool = False) -> tuple[int, int, int]:
    quiet = quiet_packs(packs, clock.now() + LATER)
    named = Named(list(quiet))
    for one in kept:
        named.add(one.locator)
    found = [free_unnamed(packs, pack, named, clock.now() + LATER, is_dry=is_dry) for pack in quiet]
    return len(quiet), sum(one.length_bytes for one in found), sum(one.is_removed for one in found)


async def test_a_dead_process_leaves_bytes_that_go(tmp_path: Path) -> None:
    dead, packs = Packs(tmp_path), Packs(tmp_path)
    kept, content = put(dead, 700_000)
    lost, _ = put(dead, 300_000)
    also, more = put(dead, 5_000)
    assert sweep(packs, kept, also) == (0, 0, 0), "its writer lives"
    await dead.sync()
    dead.close()
    assert sweep(packs, kept, also, is_dry=True)[1] >= 300_000
    assert sweep(packs, kept, also) == (1, 300_000 + 2 * 16, 0)
    assert sweep(packs, kept, also) == (1, 0, 0)
    assert await packs.read(kept.locator, kept.key) == content
    assert await packs.read(also.locator, also.key) == more
    with pytest.raises(SealBroken):
        await packs.read(lost.locator, lost.key)
    looked, freed, removed = sweep(packs)
    assert (looked, removed) == (1, 1)
    assert freed >= 705_000
    with pytest.raises(ObjectMissing):
        await Packs(tmp_path).read(kept.locator, kept.key)


async def test_a_young_pack_is_left_alone(tmp_path: Path) -> None:
    dead, packs = Packs(tmp_path), Packs(tmp_path)
    put(dead, 5_000)
    dead.close()
    assert quiet_packs(packs, clock.now() - LATER) == {}


async def test_a_full_pack_in_which_an_object_grows_is_not_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("troth.vault.packs.PACK_BYTES", 9 << 20)
    living, packs = Packs(tmp_path), Packs(tmp_path)
    growing = living.writer()
    growing.feed(os.urandom(5 << 20))  # an extent lies in the first pack
    put(living, 6 << 20)  # the second one is begun
    assert len(list(living.iter_packs())) == 2
    assert quiet_packs(packs, clock.now() + LATER) == {}
    growing.finish()
    assert len(quiet_packs(packs, clock.now() + LATER)) == 1, "the full one is let go, the other one is written to"


def test_keys_that_nobody_names(tmp_path: Path) -> None:
    keyring = Keyring.open(tmp_path / "keys", create=True)
    tenant, other = keyring.create_many([None, None])
    subject, lone = keyring.create_many([tenant, tenant])
    study = keyring.create(subject)
    census = KeyCensus(keyring)
    census.name(study)
    census.name(os.urandom(16))
    assert set(census.unnamed()) == {other, lone}, "what is above a named key is needed"


async def test_a_copy_of_packs_takes_only_what_has_changed(tmp_path: Path) -> None:
    dead, packs = Packs(tmp_path / "packs"), Packs(tmp_path / "packs")
    first, _ = put(dead, 700_000)
    gone, _ = put(dead, 900_000)
    await dead.sync()
    dead.close()
    target = tmp_path / "copy"
    [one] = copy_packs(packs, target, {})
    assert one.is_settled
    assert hashlib.sha256((target / one.name).read_bytes()).hexdigest() == one.sha256
    stamp = (target / one.name).stat().st_mtime_ns
    known = {one.name: one}
    assert list(copy_packs(packs, target, known)) == [one]
    assert (target / one.name).stat().st_mtime_ns == stamp, "it was not copied again"
    await packs.free([gone.locator])
    [less] = copy_packs(packs, target, known)
    assert less.sha256 != one.sha256
    assert hashlib.sha256((target / less.name).read_bytes()).hexdigest() == less.sha256
    assert (target / less.name).stat().st_blocks * 512 < 800_000, "holes stay holes"
    again = Packs(target)
    assert len(await again.read(first.locator, first.key)) == 700_000
    await asyncio.sleep(0)
