"""Work that takes days: workflows whose finished steps are never done again (decision 0007).

DBOS keeps the state in PostgreSQL. Workflow bodies are plain functions in threads; every step runs its coroutine on
the worker's own event loop, so that pools and locks belong to one loop. Steps carry ids only, never personal data,
and must be safe to run twice: a step that was interrupted runs again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dbos import DBOS, DBOSConfig, SetWorkflowID

from troth.kit.postgres import url

Result = TypeVar("Result")

# Workflows outlive releases; another version string would strand those under way (reference dependencies §3).
APPLICATION_VERSION = "troth-1"


class Durable:
    """Registers, starts and recovers durable workflows in this process.

    Args:
        dsn: Connection string of `troth_flow`.
        executor_id: Stable name of this worker's place; its unfinished workflows are resumed under the same name.
    """

    def __init__(self, dsn: str, executor_id: str = "worker-1") -> None:
        for name in ("dbos", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workflows: dict[str, Callable[..., Any]] = {}
        configuration: DBOSConfig = {
            "name": "troth",
            "system_database_url": url(dsn),
            "application_version": APPLICATION_VERSION,
            "executor_id": executor_id,
            "log_level": "WARNING",
            "sys_db_pool_size": 4,
            "notification_listener_polling_interval_sec": 0.2,
        }
        DBOS(config=configuration)

    def register(self, name: str, body: Callable[..., None]) -> None:
        """Register a workflow under a name that never changes. Before `launch`.

        Args:
            name: Such as "rights.fulfil".
            body: A function of ids; calls `step` and nothing else that has an effect.
        """
        self._workflows[name] = DBOS.workflow(name=name)(body)

    def step(self, name: str, work: Callable[..., Coroutine[Any, Any, Result]], *arguments: Any) -> Result:
        """Run one step of a workflow; its result is kept and the step is not run again once it ended.

        Args:
            name: Name of the step, as it will be read in the evidence.
            work: Coroutine function; safe to run twice.
            *arguments: Ids.
        """
        loop = self._loop
        if loop is None:
            raise RuntimeError("a step runs only after launch")

        def run() -> Result:
            return asyncio.run_coroutine_threadsafe(work(*arguments), loop).result()

        return DBOS.run_step({"name": name, "retries_allowed": True, "max_attempts": 6, "interval_seconds": 0.5}, run)

    async def launch(self) -> None:
        """Begin to run workflows, resuming what was under way when the last process ended."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(DBOS.launch)

    async def start(self, name: str, workflow_id: str, *arguments: Any) -> None:
        """Start a workflow; starting the same id again changes nothing.

        Args:
            name: As registered.
            workflow_id: Makes the start idempotent.
            *arguments: Ids as text.
        """
        body = self._workflows[name]

        def begin() -> None:
            with SetWorkflowID(workflow_id):
                DBOS.start_workflow(body, *arguments)

        await asyncio.to_thread(begin)

    async def stop(self) -> None:
        """End the process's part; workflows under way go on at the next launch."""
        await asyncio.to_thread(lambda: DBOS.destroy(workflow_completion_timeout_sec=2))
