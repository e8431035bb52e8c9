"""Confined children that compute for us what strangers sent: they may crash, run away or be taken over alone.

A child is a process of its own with one pipe. We tell it in Python's own way what to run, for it may trust us; what it
answers is plain bytes that are not believed, for we may not trust it. It is ended when a task takes too long, grows too
large or is given up, and made anew after some hundreds.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from troth.kit import confinement
from troth.kit.errors import TrothError, Unavailable
from troth.kit.owner import as_caller
from troth.kit.turns import Turns

MOST = 2
MOST_OF_ONE = 1
MOST_WAITING = 64
START_SECONDS = 60.0
TASK_SECONDS = 10.0
"""By the clock, from its turn on; of processor time it has what the caller says."""
_MOST_TASKS = 500
_DONE, _FAILED = b"+", b"-"

Contents = Iterable[AsyncIterator[bytes]]
Prepare = Callable[[], None]
Task = Callable[..., bytes]


class ChildLate(Unavailable):
    """It did not come to its end in its time; with less to do at once it may."""

    slug = "child-late"
    title = "This took longer than it may; try again in a moment"


class ChildEnded(Exception):
    """The child died of it, or of the memory that it wanted."""


class ChildRefused(Exception):
    """The task raised an error of ours.

    Attributes:
        slug: Of the error, as the child says.
    """

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


class Children:
    """Children that are prepared for the same tasks. They start when they are needed.

    Args:
        prepare: Loads what the tasks need, before no file can be opened; a function of a module, as every task is.
    """

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._free: list[_Child] = []
        self._all: set[_Child] = set()
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(2 * MOST, thread_name_prefix="children")
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()

    async def run(
        self,
        who: Hashable,
        task: Task,
        arguments: tuple[Any, ...],
        contents: Contents,
        *,
        seconds: float,
        most_bytes: int,
    ) -> bytes:
        """Run a task.

        Args:
            who: Whose share of the children it counts in.
            task: Takes a list of `bytearray` and the arguments, and returns bytes.
            arguments: Further arguments.
            contents: What it works on, each in pieces.
            seconds: Of processor time.
            most_bytes: Most of an answer.

        Raises:
            ChildRefused: The task refused it.
            ChildEnded: The child died of it.
            ChildLate: It took too long.
            TooManyWaiting: There is no room to wait.
        """
        fresh = Turns(MOST, most_of_one=MOST_OF_ONE, most_waiting=MOST_WAITING)
        turns = self._turns.setdefault(asyncio.get_running_loop(), fresh)
        async with turns.turn(who):
            child = self._taken()
            is_whole = False
            try:
                if not child.is_ready:
                    async with asyncio.timeout(START_SECONDS):
                        await self._apart(child.wait_ready)
                async with asyncio.timeout(TASK_SECONDS):
                    answer = await self._ask(child, task, arguments, contents, seconds, most_bytes)
                is_whole = True
            except TimeoutError:
                raise ChildLate from None
            except (EOFError, OSError, BrokenPipeError):
                if await self._apart(child.ran_out_of_time):
                    raise ChildLate from None
                raise ChildEnded from None
            finally:
                self._give_back(child, is_whole=is_whole)
        if answer[:1] == _DONE:
            return answer[1:]
        slug = answer[1:200].decode("ascii", "replace")
        if slug == "memory":
            raise ChildEnded
        raise ChildRefused(slug)

    def close(self) -> None:
        """End all children."""
        with self._lock:
            ending, self._free = list(self._all), []
            self._all.clear()
        for child in ending:
            child.end()

    async def _ask(
        self, child: _Child, task: Task, arguments: tuple[Any, ...], contents: Contents, seconds: float, most_bytes: int
    ) -> bytes:
        sources = list(contents)
        await self._apart(child.send, (task, arguments, len(sources), seconds))
        for source in sources:
            async for piece in source:
                if piece:
                    await self._apart(child.send_bytes, piece)
            await self._apart(child.send_bytes, b"")
        answer: bytes = await self._apart(child.receive, most_bytes)
        return answer

    async def _apart(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """In a thread of ours: a pipe may be full, and the child may not read."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def _taken(self) -> _Child:
        with self._lock:
            if self._free:
                return self._free.pop()
        child = _Child(self._prepare)
        with self._lock:
            self._all.add(child)
        return child

    def _give_back(self, child: _Child, *, is_whole: bool) -> None:
        with self._lock:
            if is_whole and child.tasks < _MOST_TASKS and child in self._all:
                self._free.append(child)
                return
            self._all.discard(child)
        self._threads.submit(child.end)  # the kernel may take a while to free what it held


class _Child:
    """One child, from outside."""

    def __init__(self, prepare: Prepare) -> None:
        ours, theirs = _pipe()
        self._connection = ours
        # Started by the thread of the event loop, with which it dies (PR_SET_PDEATHSIG).
        with as_caller():  # a program started as another user than oneself does not find its libraries
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from troth.kit.children import serve; serve({theirs.fileno()})"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={
                    "PATH": os.defpath,
                    "OPENBLAS_NUM_THREADS": "1",
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                },
                cwd="/",
            )
        theirs.close()
        self._connection.send(prepare)
        self.is_ready = False
        self.tasks = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> None:
        self._connection.recv_bytes(16)
        self.is_ready = True

    def send(self, told: Any) -> None:
        self.tasks += 1
        self._connection.send(told)

    def send_bytes(self, piece: bytes) -> None:
        self._connection.send_bytes(piece)

    def receive(self, most_bytes: int) -> bytes:
        return self._connection.recv_bytes(most_bytes + 1)

    def ran_out_of_time(self) -> bool:
        """Whether the kernel ended it for its processor time."""
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            return -self._process.wait(1) in confinement.TIME_SIGNALS
        return False

    def end(self) -> None:
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with suppress(OSError):
            self._connection.close()


def _pipe() -> tuple[Connection, Connection]:
    from multiprocessing import Pipe

    return Pipe()


def serve(descriptor: int) -> None:
    """The life of a child.

    Args:
        descriptor: Its end of the pipe.
    """
    connection = Connection(descriptor)
    connection.recv()()
    confinement.confine()
    connection.send_bytes(_DONE)
    while True:
        try:
            task, arguments, count, seconds = connection.recv()
            contents = [_gathered(connection) for _ in range(count)]
        except EOFError:
            return
        except MemoryError:
            os._exit(1)
        confinement.allot(seconds)
        answer = _answer(task, contents, arguments)
        confinement.allot(0)
        del contents
        connection.send_bytes(answer)
        del answer  # what waits holds nothing of anybody


def _answer(task: Task, contents: list[bytearray], arguments: tuple[Any, ...]) -> bytes:
    try:
        return _DONE + bytes(task(contents, *arguments))
    except TrothError as fault:
        return _FAILED + fault.slug.encode()
    except MemoryError:
        return _FAILED + b"memory"
    except Exception:  # noqa: BLE001 - it may be anything, and is told outside as one thing
        return _FAILED + TrothError.slug.encode()


def _gathered(connection: Connection) -> bytearray:
    content = bytearray()
    while piece := connection.recv_bytes():
        content += piece
    return content
