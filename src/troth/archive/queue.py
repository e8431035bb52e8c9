"""Natural batches: whatever came while the last commit ran goes with the next one. No timer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from uuid import UUID

from troth.archive.arriving import Item

Durable = asyncio.Future[None]
Commit = Callable[[UUID, list[Item], bool], Awaitable[Durable | None]]

_MOST_INSTANCES = 200


class Queue:
    """Gathers instances per organisation and commits them one batch after the other.

    Args:
        commit: Stores one batch and sets the outcomes of its items; told whether more is waiting. What it gives back
            ends when they are durable, and the next batch is begun meanwhile; None: they are already.
    """

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._waiting: dict[UUID, deque[tuple[list[Item], asyncio.Future[None]]]] = {}
        self._drains: dict[UUID, asyncio.Task[None]] = {}

    async def put(self, tenant: UUID, items: Sequence[Item]) -> None:
        """Commit items, together with whatever else is waiting.

        Args:
            tenant: The organisation.
            items: Instances of one call; their outcomes are set on return.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append((list(items), done))
        if tenant not in self._drains:
            self._drains[tenant] = asyncio.create_task(self._drain(tenant))
        await done

    async def _drain(self, tenant: UUID) -> None:
        try:
            while self._waiting.get(tenant):
                await self._next(tenant)
        finally:
            del self._drains[tenant]
            for _, done in self._waiting.pop(tenant, ()):
                done.cancel()

    async def _next(self, tenant: UUID) -> None:
        waiting, batch, futures = self._waiting[tenant], list[Item](), list[asyncio.Future[None]]()
        while waiting and (not batch or len(batch) + len(waiting[0][0]) <= _MOST_INSTANCES):
            items, done = waiting.popleft()
            batch += items
            futures.append(done)
        try:
            durable = await self._commit(tenant, batch, bool(waiting))
        except BaseException as fault:
            _end(futures, fault)
            if not isinstance(fault, Exception):
                raise
        else:
            if durable is None:
                _end(futures, None)
            else:
                durable.add_done_callback(partial(_flushed, futures))


def _flushed(futures: Sequence[Durable], durable: Durable) -> None:
    _end(futures, asyncio.CancelledError() if durable.cancelled() else durable.exception())


def _end(futures: Sequence[Durable], fault: BaseException | None) -> None:
    for done in futures:
        if done.done():
            continue  # the caller went away; the instances are stored all the same
        if fault is None:
            done.set_result(None)
        elif isinstance(fault, Exception):
            done.set_exception(fault)
        else:
            done.cancel()
