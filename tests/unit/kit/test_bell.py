"""Looking for work: at once when the bell rings, seldom when nothing happens."""

from __future__ import annotations

import asyncio
import time

from troth.kit.bell import Bell, looks


async def looking(stop: asyncio.Event, seen: list[float], pause_seconds: float, bell: Bell | None) -> None:
    async for _ in looks(stop, pause_seconds, bell):
        seen.append(time.monotonic())


async def until(seen: list[float], count: int) -> None:
    async with asyncio.timeout(10):
        while len(seen) < count:
            await asyncio.sleep(0.001)


async def test_without_a_bell_it_looks_again_and_again() -> None:
    stop, seen = asyncio.Event(), list[float]()
    work = asyncio.create_task(looking(stop, seen, 0.01, None))
    await until(seen, 4)
    stop.set()
    await asyncio.wait_for(work, 5)


async def test_with_a_bell_it_looks_when_that_rings() -> None:
    stop, seen, bell = asyncio.Event(), list[float](), Bell(3600)
    work = asyncio.create_task(looking(stop, seen, 0.01, bell))
    await asyncio.sleep(0.2)
    assert len(seen) == 1
    bell.ring()
    await until(seen, 2)
    stop.set()
    await asyncio.wait_for(work, 5)


async def test_what_is_written_while_it_looks_is_not_missed() -> None:
    stop, seen, bell = asyncio.Event(), list[float](), Bell(3600)

    async def look() -> None:
        async for _ in looks(stop, 0.05, bell):
            seen.append(time.monotonic())
            if len(seen) == 1:
                bell.ring()

    work = asyncio.create_task(look())
    await until(seen, 2)
    assert seen[1] - seen[0] >= 0.04, "it rests between two looks, however often it rings"
    stop.set()
    await asyncio.wait_for(work, 5)


async def test_what_is_due_by_the_clock_is_found_without_a_ring() -> None:
    stop, seen, bell = asyncio.Event(), list[float](), Bell(0.02)
    work = asyncio.create_task(looking(stop, seen, 0.01, bell))
    await until(seen, 3)
    stop.set()
    await asyncio.wait_for(work, 5)


async def test_the_end_is_not_waited_for() -> None:
    stop, seen, bell = asyncio.Event(), list[float](), Bell(3600)
    work = asyncio.create_task(looking(stop, seen, 3600, bell))
    await until(seen, 1)
    stop.set()
    await asyncio.wait_for(work, 5)
    assert len(seen) == 1
