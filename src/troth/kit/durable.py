"""Work that takes days: workflows whose finished steps are never done again (decision 0007).

DBOS keeps the state in PostgreSQL. Workflow bodies are plain functions in threads; every step runs its coroutine on
the worker's own event loop, so that pools and locks belong to one loop. Steps carry ids only, never personal data:
what is written of a step outlives an erasure, so anything that is not a number or a short word is refused. A step must
be safe to run twice: one that was interrupted runs again. Nothing is contacted but the database.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import logging
import re
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID

from troth.kit.errors import TrothError
from troth.kit.postgres import url

Result = TypeVar("Result")

# Workflows outlive releases; another version string would strand those under way (reference dependencies §3).
APPLICATION_VERSION = "troth-1"
EXECUTOR = "worker-1"

_WORD = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
_logger = logging.getLogger(__name__)


class StepFailed(TrothError):
    """A step did not succeed, also after it was tried again. The detail is a slug, so that it may be kept."""

    slug = "step-failed"
    title = "A step of work that takes longer did not succeed"


class _Stopping(BaseException):
    """The process ends: the step counts as interrupted, not as failed, so no handler may take it for an outcome."""


class _Words(Serializer):
    """What the engine may keep of inputs, outputs and errors: numbers and short words, as JSON."""

    def name(self) -> str:
        return "troth_words"

    def serialize(self, data: Any) -> str:
        if isinstance(data, BaseException):
            data = {"error": data.detail if isinstance(data, StepFailed) else type(data).__name__}
        _refuse_text(data)
        return json.dumps(data, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        data = json.loads(serialized_data)
        return StepFailed(data["error"]) if isinstance(data, dict) and data.keys() == {"error"} else data


class Durable:
    """Registers, starts and recovers durable workflows in this process.

    Args:
        dsn: Connection string of `troth_flow`.
        executor_id: Stable name of this worker's place; its unfinished workflows are resumed under the same name.
        attempts: How often a step is tried before it counts as failed.
        first_wait_seconds: Pause after the first attempt; doubled after each further one.
    """

    #: What `step` raises, for workflows that are imported where the engine is not.
    Failed = StepFailed

    def __init__(
        self, dsn: str, executor_id: str = EXECUTOR, *, attempts: int = 8, first_wait_seconds: float = 0.5
    ) -> None:
        logging.getLogger("alembic").setLevel(logging.WARNING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workflows: dict[str, Callable[..., Any]] = {}
        self._running: set[concurrent.futures.Future[Any]] = set()
        self._bodies = 0
        self._counting = threading.Lock()
        self._is_stopping = False
        self._attempts = attempts
        self._first_wait_seconds = first_wait_seconds
        # The engine's own telemetry and its vendor's console stay off: no key, no endpoint, nothing leaves.
        configuration: DBOSConfig = {
            "name": "troth",
            "system_database_url": url(dsn),
            "application_version": APPLICATION_VERSION,
            "executor_id": executor_id,
            "enable_otlp": False,
            "log_level": "ERROR",
            "serializer": _Words(),
            "sys_db_pool_size": 4,
            "notification_listener_polling_interval_sec": 0.2,
            "notification_coalesce_sec": 0.1,  # no workflow of ours waits for a message; 10 ms would cost CPU for ever
        }
        DBOS(config=configuration)

    def register(self, name: str, body: Callable[..., None]) -> None:
        """Register a workflow under a name that never changes. Before `launch`.

        Args:
            name: Such as "rights.fulfil".
            body: A function of ids; calls `step` and `sleep` and nothing else that has an effect.
        """

        def run_body(*arguments: Any) -> None:  # the engine marks what it registers, and a method cannot be marked
            self._count(1)
            try:
                body(*arguments)
            finally:
                self._count(-1)

        self._workflows[name] = DBOS.workflow(name=name)(run_body)

    def step(self, name: str, work: Callable[..., Coroutine[Any, Any, Result]], *arguments: Any) -> Result:
        """Run one step of a workflow; its result is kept and the step is not run again once it ended.

        Args:
            name: Name of the step, as it will be read in the evidence.
            work: Coroutine function; safe to run twice.
            *arguments: Ids.

        Raises:
            StepFailed: It did not succeed, also after it was tried again.
        """

        def run() -> Result:
            return self._run(name, work, arguments)

        try:
            return DBOS.run_step(
                {
                    "name": name,
                    "retries_allowed": True,
                    "max_attempts": self._attempts,
                    "interval_seconds": self._first_wait_seconds,
                },
                run,
            )
        except StepFailed:
            raise
        except Exception as fault:  # noqa: BLE001 - the engine's own, after the last attempt
            raise StepFailed(type(fault).__name__) from None

    def sleep(self, seconds: float) -> None:
        """Wait within a workflow; what is left of it is waited after a restart.

        Args:
            seconds: How long.
        """
        DBOS.sleep(seconds)

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
        self._is_stopping = True
        for running in list(self._running):
            running.cancel()
        # The engine waits in whole seconds, so it is left out where nothing is under way.
        await asyncio.to_thread(lambda: DBOS.destroy(workflow_completion_timeout_sec=2 if self._bodies else 0))

    def _count(self, change: int) -> None:
        with self._counting:
            self._bodies += change

    def _run(self, name: str, work: Callable[..., Coroutine[Any, Any, Result]], arguments: tuple[Any, ...]) -> Result:
        """One attempt: on the worker's loop, waited for in this thread."""
        if self._loop is None or self._is_stopping:
            raise _Stopping
        running = asyncio.run_coroutine_threadsafe(work(*arguments), self._loop)
        self._running.add(running)
        try:
            return running.result()
        except TrothError as fault:
            reason = fault.slug
        except Exception as fault:  # noqa: BLE001 - whatever it was, only its name is kept
            reason = type(fault).__name__
        finally:
            self._running.discard(running)
        if self._is_stopping:
            raise _Stopping
        _logger.warning("step %s did not succeed: %s", name.split(" ")[0], reason)
        raise StepFailed(reason)


def _refuse_text(data: Any) -> None:
    """Raise where something is neither a number nor a short word nor made of those."""
    if data is None or isinstance(data, bool | int | float):
        return
    if isinstance(data, str) and _WORD.fullmatch(data):
        return
    if isinstance(data, list | tuple):
        for part in data:
            _refuse_text(part)
    elif isinstance(data, dict):
        _refuse_text([*data.keys(), *data.values()])
    else:
        raise TypeError("durable work keeps ids, numbers and short words only")
