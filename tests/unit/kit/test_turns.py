from __future__ import annotations

import asyncio

import pytest

from troth.kit.turns import TooManyWaiting, Turns


async def test_those_who_wait_are_served_one_after_the_other_and_not_crowd_by_crowd() -> None:
    turns, order = Turns(1, most_of_one=1, most_waiting=10), []

    async def take(who: str) -> None:
        async with turns.turn(who):
            order.append(who)
            await asyncio.sleep(0)

    async with turns.turn("first"):
        waiting = [asyncio.create_task(take(who)) for who in ("a", "a", "a", "b", "c", "b")]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert order == ["a", "b", "c", "a", "b", "a"]
    assert not turns._waiting
    assert not turns._taken


@pytest.mark.asvs("V2.4.1")
async def test_nobody_has_more_than_a_share() -> None:
    turns = Turns(3, most_of_one=2, most_waiting=1)
    async with turns.turn("a"), turns.turn("a"):
        third = asyncio.create_task(turns.turn("a").__aenter__())
        await asyncio.sleep(0)
        assert not third.done()
        async with turns.turn("b"):
            with pytest.raises(TooManyWaiting):
                await turns.turn("a").__aenter__()
        third.cancel()
        with pytest.raises(asyncio.CancelledError):
            await third
    assert not turns._waiting
    assert not turns._taken


async def test_who_goes_away_while_waiting_holds_nobody_up() -> None:
    turns = Turns(1, most_of_one=1, most_waiting=5)
    async with turns.turn("a"):
        gone = asyncio.create_task(turns.turn("a").__aenter__())
        second = turns.turn("b")
        next_one = asyncio.create_task(second.__aenter__())
        await asyncio.sleep(0)
    gone.cancel()  # its turn had come already
    await asyncio.gather(gone, return_exceptions=True)
    await asyncio.wait_for(next_one, 1)
    assert dict(turns._taken) == {"b": 1}, "who went away has no turn"
    await second.__aexit__(None, None, None)
    assert not turns._taken
