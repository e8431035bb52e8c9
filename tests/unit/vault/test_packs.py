"""Packs on real files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troth.vault import ObjectMissing, PackFault, Packs, SealBroken, SealedObject, pack_files, packs, segments
from troth.vault.segments import SEGMENT_BYTES, Place

MIB = 1 << 20
SIZES = [0, 1, 255, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES, 5 * MIB + 7]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Packs]:
    store = Packs(tmp_path / "packs")
    yield store
    store.close()


def put(store: Packs, plain: bytes, chunk: int = 100_000) -> SealedObject:
    writer = store.writer()
    for start in range(0, len(plain), chunk):
        writer.feed(plain[start : start + chunk])
    return writer.finish()


def raw(store: Packs, tmp_path: Path) -> bytes:
    return b"".join((tmp_path / "packs" / pack.name).read_bytes() for pack in store.iter_packs())


def overwrite(tmp_path: Path, extent: segments.Extent, shift: int, content: bytes) -> None:
    with (tmp_path / "packs" / f"{extent.pack_id.hex()}.pack").open("r+b", buffering=0) as file:
        file.seek(extent.offset + shift)
        file.write(content)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("chunk", [70_001, SEGMENT_BYTES, 6 * MIB])
async def test_gives_back_what_was_put_in(store: Packs, size: int, chunk: int) -> None:
    plain = os.urandom(size)
    sealed = put(store, plain, chunk)
    await store.sync()
    assert (sealed.length_bytes, sealed.sha256) == (size, hashlib.sha256(plain).digest())
    assert await store.read(sealed.locator, sealed.key) == plain
    streamed = [part async for part in store.stream(sealed.locator, sealed.key)]
    assert b"".join(streamed) == plain
    assert max(map(len, streamed)) <= MIB
    assert sealed.key.hex() not in repr(sealed)
    assert repr(sealed.key) not in repr(sealed)


async def test_nothing_is_stored_in_the_clear(store: Packs, tmp_path: Path) -> None:
    plain = b"FORTUNATA^PRIMA " * 40_000
    sealed = put(store, plain)
    assert b"FORTUNATA" not in raw(store, tmp_path)
    assert sealed.key not in raw(store, tmp_path)
    folder = tmp_path / "packs"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


async def test_another_key_does_not_open(store: Packs) -> None:
    one, two = put(store, b"one"), put(store, b"two")
    assert await store.read(one.locator, one.key) == b"one"
    with pytest.raises(SealBroken):
        await store.read(one.locator, two.key)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.data())
def test_a_ranged_read_equals_a_slice(tmp_path: Path, ends: st.DataObject) -> None:
    plain = hashlib.shake_128(b"seed").digest(5 * SEGMENT_BYTES + 77)
    edges = st.one_of(
        st.integers(0, len(plain) + 10),
        st.builds(lambda count, shift: max(0, count * SEGMENT_BYTES + shift), st.integers(0, 6), st.integers(-2, 2)),
    )
    start, stop = ends.draw(edges), ends.draw(st.one_of(st.none(), edges))

    async def ranged() -> bytes:
        store = Packs(tmp_path / "packs")
        sealed = put(store, plain)
        try:
            return await store.read(sealed.locator, sealed.key, start, stop)
        finally:
            store.close()
            for pack in (tmp_path / "packs").iterdir():
                pack.unlink()

    assert asyncio.run(ranged()) == plain[start:stop]


async def test_a_ranged_read_touches_only_its_segments(store: Packs, tmp_path: Path) -> None:
    plain = os.urandom(4 * SEGMENT_BYTES)
    sealed = put(store, plain)
    (extent,) = Place.decode(sealed.locator).extents
    overwrite(tmp_path, extent, 2 * segments.STORED_BYTES + 5, b"tampered")
    first = SEGMENT_BYTES * 2
    assert await store.read(sealed.locator, sealed.key, 10, first) == plain[10:first]
    assert await store.read(sealed.locator, sealed.key, first + SEGMENT_BYTES) == plain[first + SEGMENT_BYTES :]
    with pytest.raises(SealBroken):
        await store.read(sealed.locator, sealed.key, first, first + 1)


async def test_a_range_before_the_start_is_an_error_of_the_caller(store: Packs) -> None:
    sealed = put(store, b"plain")
    for start, stop in [(-1, None), (0, -1)]:
        with pytest.raises(ValueError):
            await store.read(sealed.locator, sealed.key, start, stop)


@pytest.mark.asvs("V11.3.3")
async def test_changed_segments_are_seen(store: Packs, tmp_path: Path) -> None:
    plain = os.urandom(3 * SEGMENT_BYTES + 100)
    size = segments.STORED_BYTES

    def cut(place: Place, order: list[int], length: int) -> bytes:
        """A locator that names segments in another order or leaves some out."""
        (whole,) = place.extents
        lengths = [size, size, size, 100 + 16]
        parts = [segments.Extent(whole.pack_id, whole.offset + index * size, lengths[index]) for index in order]
        return Place(place.prefix, length, tuple(parts)).encode()

    sealed = put(store, plain)
    place = Place.decode(sealed.locator)
    assert await store.read(cut(place, [0, 1, 2, 3], len(plain)), sealed.key) == plain
    lies = {
        "reordered": cut(place, [1, 0, 2, 3], len(plain)),
        "repeated": cut(place, [0, 0, 2, 3], len(plain)),
        "end cut off at a segment": cut(place, [0, 1, 2], 3 * SEGMENT_BYTES),
        "start cut off": cut(place, [1, 2, 3], 2 * SEGMENT_BYTES + 100),
        "middle left out": cut(place, [0, 2, 3], 2 * SEGMENT_BYTES + 100),
        "another prefix": Place(b"another", len(plain), place.extents).encode(),
    }
    for what, locator in lies.items():
        with pytest.raises(SealBroken):
            await store.read(locator, sealed.key)
            pytest.fail(what)
        with pytest.raises(SealBroken):
            _ = [part async for part in store.stream(locator, sealed.key, SEGMENT_BYTES)]
            pytest.fail(what)
    for shift in (0, size - 1, size, 3 * size + 100 + 15):
        again = put(store, plain)
        (extent,) = Place.decode(again.locator).extents
        before = raw_at(tmp_path, extent, shift)
        overwrite(tmp_path, extent, shift, bytes([before ^ 1]))
        with pytest.raises(SealBroken):
            await store.read(again.locator, again.key)


def raw_at(tmp_path: Path, extent: segments.Extent, shift: int) -> int:
    return (tmp_path / "packs" / f"{extent.pack_id.hex()}.pack").read_bytes()[extent.offset + shift]


@pytest.mark.asvs("V11.3.3")
async def test_segments_of_another_object_do_not_fit(store: Packs, tmp_path: Path) -> None:
    one, two = put(store, b"one"), put(store, b"two")
    (first,), (second,) = (Place.decode(each.locator).extents for each in (one, two))
    stored = raw(store, tmp_path)
    overwrite(tmp_path, first, 0, stored[second.offset : second.offset + second.length])
    with pytest.raises(SealBroken):
        await store.read(one.locator, one.key)


async def test_a_lost_or_short_pack_is_named_as_missing(store: Packs, tmp_path: Path) -> None:
    sealed = put(store, os.urandom(1000))
    (pack,) = (tmp_path / "packs").iterdir()
    os.truncate(pack, 500)
    with pytest.raises(ObjectMissing):
        await store.read(sealed.locator, sealed.key)
    pack.unlink()
    elsewhere = Packs(tmp_path / "packs")
    with pytest.raises(ObjectMissing):
        await elsewhere.read(sealed.locator, sealed.key)
    await elsewhere.free([sealed.locator])  # nothing left to give back
    elsewhere.close()


async def test_sync_covers_all_that_was_finished(store: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sync at a time; a call made during one waits for the next, and many share it."""
    gate = threading.Event()
    begun = threading.Event()
    whole = os.fdatasync
    rounds: list[int] = []

    def slow(fd: int) -> None:
        rounds.append(os.fstat(fd).st_size)
        begun.set()
        assert gate.wait(10)
        whole(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    put(store, b"first")
    first = asyncio.create_task(store.sync())
    await asyncio.to_thread(begun.wait, 10)
    put(store, b"second, written while the first sync runs")
    others = [asyncio.create_task(store.sync()) for _ in range(8)]
    await asyncio.sleep(0)
    assert len(rounds) == 1
    end = sum(pack.length_bytes for pack in store.iter_packs())
    gate.set()
    others[0].cancel()  # one that gives up does not take the others with it
    await asyncio.gather(first, *others[1:])
    assert rounds[0] < end
    assert rounds[1:] == [end]
    await store.sync()  # nothing to do
    assert len(rounds) == 2


async def test_many_writers_and_syncs_at_once(store: Packs) -> None:
    async def one(number: int) -> tuple[bytes, SealedObject]:
        plain = hashlib.shake_128(b"%d" % number).digest(number * 9_000)
        writer = store.writer()
        for start in range(0, len(plain), 50_000):
            writer.feed(memoryview(plain)[start : start + 50_000])
            await asyncio.sleep(0)
        sealed = writer.finish()
        await store.sync()
        return plain, sealed

    for plain, sealed in await asyncio.gather(*map(one, range(60))):
        assert await store.read(sealed.locator, sealed.key) == plain


async def test_large_objects_at_once_lie_in_extents(store: Packs) -> None:
    chunk = os.urandom(MIB)
    writers = [store.writer() for _ in range(3)]
    for _ in range(10):
        for writer in writers:
            writer.feed(chunk)
    done = [writer.finish() for writer in writers]
    assert all(len(Place.decode(sealed.locator).extents) == 3 for sealed in done)
    for sealed in done:
        assert await store.read(sealed.locator, sealed.key) == chunk * 10
        assert await store.read(sealed.locator, sealed.key, 4 * MIB - 5, 4 * MIB + 5) == chunk[-5:] + chunk[:5]


def test_many_threads_write(tmp_path: Path) -> None:
    store = Packs(tmp_path / "packs")
    done: list[tuple[bytes, SealedObject]] = []

    def work() -> None:
        for _ in range(20):
            plain = os.urandom(30_000)
            done.append((plain, put(store, plain)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def check() -> None:
        await store.sync()
        for plain, sealed in done:
            assert await store.read(sealed.locator, sealed.key) == plain

    asyncio.run(check())
    asyncio.run(check())  # and from another loop
    store.close()


async def test_rolls_to_a_new_pack(store: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 5 * MIB)
    done = [(plain, put(store, plain)) for plain in (os.urandom(3 * MIB), os.urandom(9 * MIB), b"small")]
    await store.sync()
    assert len(list(store.iter_packs())) == 4
    for plain, sealed in done:
        assert await store.read(sealed.locator, sealed.key) == plain


async def test_each_process_has_a_pack_of_its_own(store: Packs, tmp_path: Path) -> None:
    other = Packs(tmp_path / "packs")
    mine, theirs = put(store, b"mine"), put(other, b"theirs")
    assert len(list(store.iter_packs())) == 2
    assert await store.read(theirs.locator, theirs.key) == b"theirs"
    assert await other.read(mine.locator, mine.key) == b"mine"
    other.close()
    store._process_id = -1  # as after a fork
    put(store, b"child's")
    assert len(list(store.iter_packs())) == 3


async def test_new_names_are_synced_with_the_bytes(store: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: calls.append("bytes"))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("folder"))
    put(store, b"one")
    await store.sync()
    put(store, b"two")
    await store.sync()
    assert calls == ["bytes", "folder", "bytes"]


async def test_a_failed_sync_is_never_forgotten(store: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    before = put(store, b"before")
    await store.sync()

    def broken(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        late = store.writer()
        late.feed(b"late")
        put(store, b"lost")
        results = await asyncio.gather(store.sync(), store.sync(), return_exceptions=True)
        assert [type(result) for result in results] == [PackFault, PackFault]
    with pytest.raises(PackFault):  # Linux would now report success
        await store.sync()
    with pytest.raises(PackFault):
        late.finish()
    assert await store.read(before.locator, before.key) == b"before"


async def test_a_full_disk_stops_one_object_only(store: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, b"before")
    whole = os.pwritev
    writer = store.writer()
    writer.feed(os.urandom(MIB))

    def full(fd: int, buffers: list[bytes], offset: int) -> int:
        whole(fd, [buffers[0][:5000]], offset)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", full)
        with pytest.raises(PackFault, match="No space"):
            writer.finish()
    writer.abort()
    after = put(store, b"after")
    await store.sync()
    assert await store.read(after.locator, after.key) == b"after"


async def test_a_short_write_is_carried_on(store: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = os.urandom(MIB)
    whole = os.pwritev
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", lambda fd, buffers, offset: whole(fd, [buffers[0][:777]], offset))
        sealed = put(store, plain)
    assert await store.read(sealed.locator, sealed.key) == plain


async def test_abort_leaves_nothing(store: Packs) -> None:
    put(store, b"x")
    held = sum(pack.held_bytes for pack in store.iter_packs())
    writer = store.writer()
    writer.feed(os.urandom(9 * MIB))
    await store.sync()
    assert sum(pack.held_bytes for pack in store.iter_packs()) >= held + 8 * MIB
    writer.abort()
    writer.abort()
    assert sum(pack.held_bytes for pack in store.iter_packs()) <= held + 8192
    for use in (lambda: writer.feed(b"x"), writer.finish):
        with pytest.raises(PackFault):
            use()


async def test_a_finished_object_stays(store: Packs) -> None:
    writer = store.writer()
    writer.feed(b"plain")
    assert writer.length_bytes == 5
    sealed = writer.finish()
    writer.abort()
    with pytest.raises(PackFault):
        writer.finish()
    assert await store.read(sealed.locator, sealed.key) == b"plain"


@pytest.mark.parametrize("can_punch", [True, False])
async def test_free_gives_the_room_back(
    store: Packs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_punch: bool
) -> None:
    if not can_punch:
        monkeypatch.setattr(pack_files, "_PUNCH_HOLE", 0x4000)  # unknown to every file system: EOPNOTSUPP
    plain = os.urandom(2 * MIB)
    first, kept, second = (put(store, plain) for _ in range(3))
    await store.sync()
    (before,) = store.iter_packs()
    (extent,) = Place.decode(first.locator).extents
    await store.free([first.locator, second.locator])
    await store.free([first.locator])  # may be repeated
    (after,) = store.iter_packs()
    assert after.length_bytes == before.length_bytes
    if can_punch:
        assert before.held_bytes - after.held_bytes >= 4 * MIB - 16_384
    assert not any(raw(store, tmp_path)[extent.offset : extent.offset + extent.length])
    assert await store.read(kept.locator, kept.key) == plain
    for gone in (first, second):
        with pytest.raises(SealBroken):
            await store.read(gone.locator, gone.key)


async def test_neighbours_freed_together_leave_no_block(store: Packs) -> None:
    small = [put(store, os.urandom(1000)) for _ in range(200)]
    await store.sync()
    await store.free([sealed.locator for sealed in small])
    (after,) = store.iter_packs()
    assert after.held_bytes <= 8192


async def test_a_refused_hole_is_told(store: Packs) -> None:
    (extent,) = Place.decode(put(store, b"plain").locator).extents
    pack = store._folder.find(extent.pack_id)
    pack_files.give_back(pack.fd, extent)
    with pytest.raises(PackFault):  # EINVAL
        pack_files.give_back(pack.fd, extent._replace(length=0))


async def test_reads_wait_for_the_disk_on_a_thread(store: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = put(store, b"plain")
    threads: list[bool] = []
    whole = os.preadv

    def cold(fd: int, buffers: list[memoryview], offset: int, flags: int = 0) -> int:
        threads.append(threading.current_thread() is threading.main_thread())
        if flags & os.RWF_NOWAIT:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return whole(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", cold)
    assert await store.read(sealed.locator, sealed.key) == b"plain"
    assert threads == [True, False]


async def test_a_stream_may_be_left_in_the_middle(store: Packs) -> None:
    sealed = put(store, os.urandom(4 * MIB))
    stream = store.stream(sealed.locator, sealed.key)
    assert len(await anext(stream)) == MIB // 4
    await stream.aclose()  # type: ignore[attr-defined]


async def test_more_packs_than_open_files(store: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_files, "_OPEN_FILES", 2)
    monkeypatch.setattr(packs, "PACK_BYTES", 1000)
    done = [(plain, put(store, plain)) for plain in (os.urandom(900) for _ in range(6))]
    for plain, sealed in done * 2:
        assert await store.read(sealed.locator, sealed.key) == plain
    assert len(store._folder._open) == 2


async def test_objects_that_end_together_are_written_at_once(store: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, writes = os.pwritev, 0

    def counted(*arguments: Any) -> int:
        nonlocal writes
        writes += 1
        return whole(*arguments)

    plains = [b"a head", os.urandom(2 * SEGMENT_BYTES), b"", os.urandom(20 * SEGMENT_BYTES + 1)]
    writers = [store.writer() for _ in plains]
    for writer, plain in zip(writers, plains, strict=True):
        writer.feed(plain)
    put(store, b"the pack is there")
    monkeypatch.setattr(os, "pwritev", counted)
    sealed = store.finish(writers)
    assert writes == 1
    await store.sync()
    assert [await store.read(one.locator, one.key) for one in sealed] == plains
    with pytest.raises(PackFault):
        store.finish(writers)


async def test_a_write_that_fails_leaves_objects_that_can_be_aborted(
    store: Packs, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = [store.writer() for _ in range(2)]
    for writer in writers:
        writer.feed(b"plain")

    def full(*arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwritev", full)
        with pytest.raises(PackFault):
            store.finish(writers)
    for writer in writers:
        writer.abort()
    sealed = put(store, b"room again")
    await store.sync()
    assert await store.read(sealed.locator, sealed.key) == b"room again"
