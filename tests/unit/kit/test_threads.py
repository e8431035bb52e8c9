from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextvars import copy_context
from threading import Event
from typing import Any

import pytest

from troth.kit.threads import SharedThreads, work_for

Task = Callable[[], Any]


@pytest.fixture
def threads() -> Iterator[SharedThreads]:
    made = SharedThreads(3)
    yield made
    made.shutdown()


def of(threads: SharedThreads, who: str | None, *tasks: Task) -> list[asyncio.Future[Any]]:
    """Tasks of somebody, handed in as `asyncio.to_thread` does it."""
    return copy_context().run(_handed_in, threads, who, tasks)


def _handed_in(threads: SharedThreads, who: str | None, tasks: tuple[Task, ...]) -> list[asyncio.Future[Any]]:
    work_for(who)
    return [asyncio.wrap_future(threads.submit(task)) for task in tasks]


async def test_one_organisation_cannot_take_all_threads(threads: SharedThreads) -> None:
    let_go = Event()
    try:
        crowd = of(threads, "one", *[let_go.wait] * 50)
        (other,) = of(threads, "other", lambda: 7)
        assert await asyncio.wait_for(other, 60) == 7
        assert threads._running["one"] == 2
        assert len(threads._waiting["one"]) == 48
    finally:
        let_go.set()
    assert await asyncio.gather(*crowd) == [True] * 50
    threads.shutdown()
    assert not threads._running
    assert not threads._waiting


async def test_work_of_nobody_does_not_have_what_one_organisation_leaves() -> None:
    """Counted, for as many threads as a machine may have: what nobody is said for may be the same organisation's."""
    for most in (4, 5, 6, 32):
        threads, let_go = SharedThreads(most), Event()
        try:
            crowd = of(threads, "one", *[let_go.wait] * 50) + of(threads, None, *[let_go.wait] * 50)
            (other,) = of(threads, "other", lambda: 7)
            assert await asyncio.wait_for(other, 60) == 7
            assert threads._running["one"] == most * 2 // 3
            assert 1 <= threads._running[None] == most - most * 2 // 3 - 1
        finally:
            let_go.set()
        assert await asyncio.gather(*crowd) == [True] * 100
        threads.shutdown()


async def test_a_task_that_is_refused_is_not_done_later(threads: SharedThreads) -> None:
    threads.shutdown()
    with pytest.raises(RuntimeError):
        of(threads, "one", lambda: 7)
    assert not threads._waiting


async def test_those_who_wait_take_turns(threads: SharedThreads) -> None:
    let_go, order = Event(), list[str]()
    held = [future for who in "abc" for future in of(threads, who, let_go.wait)]
    while sum(threads._running.values()) < 3:
        await asyncio.sleep(0.001)
    waiting = of(threads, "a", *[lambda: order.append("a")] * 30) + of(threads, "b", *[lambda: order.append("b")] * 3)
    let_go.set()
    await asyncio.gather(*held, *waiting)
    assert max(place for place, who in enumerate(order) if who == "b") < 12, "a crowd of another came first"


async def test_faults_and_values_come_back_and_what_is_given_up_is_not_done(threads: SharedThreads) -> None:
    def fail() -> None:
        raise ValueError("so it is")

    with pytest.raises(ValueError, match="so it is"):
        await of(threads, "one", fail)[0]
    let_go, done = Event(), list[int]()
    held = [future for who in "abc" for future in of(threads, who, let_go.wait)]
    (given_up,) = of(threads, "d", lambda: done.append(1))
    given_up.cancel()
    await asyncio.sleep(0)
    let_go.set()
    await asyncio.gather(*held)
    assert await of(threads, "d", lambda: 7)[0] == 7
    assert not done
