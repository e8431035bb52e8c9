"""The worker's engine in a test: DBOS on PostgreSQL, as `main` starts it, for each deployment of a module.

A process has one engine. What the rooms register is told apart by deployment, so that several can be open at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from dbos import DBOS

from troth.kit import ids
from troth.kit.durable import Durable, StepFailed

Before = Callable[[str], None]
Part = TypeVar("Part")


class Engine:
    """Starts the engine once it is needed; one in each module."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._durable: Durable | None = None
        self._starting = asyncio.Lock()

    async def worker(self) -> Worker:
        """The engine as one more deployment has it."""
        async with self._starting:
            if self._durable is None:
                durable = Durable(self._dsn, f"test-{ids.uuid7()}", attempts=2, first_wait_seconds=0.01)
                await durable.launch()
                self._durable = durable
        return Worker(self._durable)

    async def stop(self) -> None:
        """End it."""
        if self._durable is not None:
            await self._durable.stop()


class Worker:
    """The engine as one deployment has it; `steps` says what it did.

    Args:
        durable: The engine of the process.
    """

    Failed = StepFailed

    def __init__(self, durable: Durable) -> None:
        self._durable, self._place = durable, str(ids.uuid7())
        self.steps: list[str] = []
        self._before: Before | None = None
        self._parts: dict[type[Any], Any] = {}
        self._begun: set[str] = set()
        self._ended: set[str] = set()
        self._counting = threading.Lock()

    def register(self, name: str, body: Callable[..., None]) -> None:
        """Register a workflow."""

        def run(*arguments: Any) -> None:
            try:
                body(*arguments)
            finally:
                with self._counting:
                    self._ended.add(str(DBOS.workflow_id))

        self._durable.register(f"{name}@{self._place}", run)

    def made(self, kind: type[Part], make: Callable[[], Part]) -> Part:
        """A part of the worker, made once: it registers its workflows when it is made.

        Args:
            kind: Its class.
            make: Makes it.
        """
        if kind not in self._parts:
            self._parts[kind] = make()
        found: Part = self._parts[kind]
        return found

    def step(self, name: str, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Any:
        """Run a step, and note how each attempt ended."""

        async def noted(*given: Any) -> Any:
            try:
                result = await work(*given)
            except Exception:
                self.steps.append(f"{name} failed")
                raise
            self.steps.append(name)
            return result

        if self._before is not None:
            self._before(name)
        return self._durable.step(name, noted, *arguments)

    def sleep(self, seconds: float) -> None:
        """A pause after a failure lasts an hour: a test that comes to one has gone wrong."""
        raise AssertionError(f"it waits {seconds} seconds to try again")

    async def start(self, name: str, workflow_id: str, *arguments: Any) -> None:
        """Start a workflow; starting the same id again changes nothing."""
        own = f"{workflow_id}@{self._place}"
        with self._counting:
            if own in self._begun:
                return
            self._begun.add(own)
        await self._durable.start(f"{name}@{self._place}", own, *arguments)

    @property
    def is_idle(self) -> bool:
        """Everything that was started has ended."""
        with self._counting:
            return self._begun == self._ended

    async def rest(self) -> None:
        """Wait until everything that was started has ended."""
        while not self.is_idle:
            await asyncio.sleep(0.02)

    @contextmanager
    def before_each(self, happens: Before) -> Iterator[None]:
        """Let something happen before each step of a block, in the thread of the workflow.

        Args:
            happens: Is told the name of the step.
        """
        self._before = happens
        try:
            yield
        finally:
            self._before = None

    async def carry(self, *works: Any, until: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Let parts of the worker take up what waits, until nothing does and all that was begun has ended.

        Args:
            *works: Such as `Fulfilment`; each has `take`.
            until: What still waits; nothing, when it is done.
        """
        stop = asyncio.Event()
        taking = [asyncio.create_task(work.take(stop, 0.05)) for work in works]
        while (await until() or not self.is_idle) and not any(task.done() for task in taking):
            await asyncio.sleep(0.02)
        stop.set()
        await asyncio.gather(*taking)
