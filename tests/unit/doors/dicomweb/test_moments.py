from __future__ import annotations

from datetime import timedelta

import pytest

from troth.doors.dicomweb import moments
from troth.doors.dicomweb.moments import Moments
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
