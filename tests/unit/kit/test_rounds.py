from __future__ import annotations

import asyncio

import pytest

from troth.kit.rounds import Answer, Rounds


async def test_who_asks_while_one_runs_shares_the_next() -> None:
    started: list[Answer] = []
    rounds = Rounds(started.append)
    first, second, third = rounds.begin(), rounds.begin(), rounds.begin()
    assert first is not second
    assert second is third
    assert started == [first]
    rounds.ended(first, None)
    await first
    assert started == [first, second]
    fourth = rounds.begin()
    assert fourth is not second
    rounds.ended(second, ValueError("the disk"))
    with pytest.raises(ValueError, match="the disk"):
        await third
    rounds.ended(fourth, None)
    await fourth
    assert started == [first, second, fourth]
    assert rounds.begin() is not fourth


async def test_who_gives_up_does_not_end_it_for_the_others() -> None:
    started: list[Answer] = []
    rounds = Rounds(started.append)
    answer = rounds.begin()
    hasty = asyncio.ensure_future(asyncio.shield(answer))
    await asyncio.sleep(0)
    hasty.cancel()
    rounds.ended(answer, None)
    await answer
    with pytest.raises(asyncio.CancelledError):
        await hasty
