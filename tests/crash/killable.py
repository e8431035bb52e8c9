"""Processes that a test runs, ends and kills: workers wired as the real one, forked from a server of their own."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable
from typing import Any

_forks = multiprocessing.get_context("forkserver")
_LOOKS = 1200
_EVERY_S = 0.05


def preload(*modules: str) -> None:
    """Let the server that forks have imported these modules once."""
    _forks.set_forkserver_preload(list(modules))


async def run(
    target: Callable[..., None], *arguments: Any, until: Callable[[], Awaitable[bool]] | None = None
) -> int | None:
    """Run a worker until it is dead or its work is done; returns its exit code.

    `target` gets the arguments, and last an event that it sets once it hears SIGTERM: work that is done before the
    worker has begun would else end it by the signal.
    """
    is_listening = _forks.Event()
    process = _forks.Process(target=target, args=(*arguments, is_listening), daemon=True)
    process.start()
    for _ in range(_LOOKS):
        if not process.is_alive():
            break
        if until is not None and is_listening.is_set() and await until():
            process.terminate()
            break
        await asyncio.sleep(_EVERY_S)
    await asyncio.to_thread(process.join, 20)
    code = process.exitcode
    if code is None:
        process.kill()
        raise AssertionError("the worker did not end")
    return code
