from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from troth.doors import moments
from troth.doors.moments import Moments
from troth.kit import clock


async def test_what_is_known_lasts_a_second_and_refusals_never(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    known: Moments[str, str | None] = Moments()

    def asking(answer: str | None) -> object:
        async def ask() -> str | None:
            asked.append(answer or "nobody")
            return answer

        return ask

    assert await known.of("one", asking("a")) == "a"
    assert await known.of("one", asking("b")) == "a"
    with clock.moved(timedelta(seconds=1)):
        assert await known.of("one", asking("c")) == "c"
    with clock.moved(timedelta(seconds=-60)):
        assert await known.of("one", asking("d")) == "d"  # the clock was set back: nothing is older than now
    assert await known.of("two", asking(None)) is None
    assert await known.of("two", asking(None)) is None
    assert asked == ["a", "c", "d", "nobody", "nobody"]
    monkeypatch.setattr(moments, "_MOST", 1)
    await known.of("three", asking("e"))
    assert await known.of("one", asking("f")) == "f"


async def test_what_is_refused_is_not_remembered() -> None:
    known: Moments[str, str] = Moments()

    async def refuse() -> str:
        raise PermissionError

    async def allow() -> str:
        return "now"

    with pytest.raises(PermissionError):
        await known.of("one", refuse)
    assert await known.of("one", allow) == "now"


async def test_of_many_at_once_one_asks_and_none_inherits_a_failure() -> None:
    known: moments.Moments[str, int] = moments.Moments()
    asked: list[int] = []

    async def ask() -> int:
        asked.append(1)
        await asyncio.sleep(0.01)
        if len(asked) == 1:
            raise ValueError
        return len(asked)

    answers = await asyncio.gather(*(known.of("a", ask) for _ in range(5)), return_exceptions=True)
    assert isinstance(answers[0], ValueError)
    assert all(isinstance(one, int) for one in answers[1:])
    asked[:] = [1]
    assert await asyncio.gather(*(known.of("b", ask) for _ in range(5))) == [2] * 5


async def test_whoever_goes_away_takes_nobody_along() -> None:
    known: moments.Moments[str, int] = moments.Moments()

    async def ask() -> int:
        await asyncio.sleep(0.02)
        return 1

    first = asyncio.create_task(known.of("a", ask))
    second = asyncio.create_task(known.of("a", ask))
    await asyncio.sleep(0.005)
    first.cancel()
    assert await second == 1
