"""Pictures of frames; what strangers compressed is decoded in a confined child that may crash or run away alone."""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from troth import dicom
from troth.archive import confining

_MOST_PICTURES = 500
_START_SECONDS = 60.0
_SECONDS = 10.0  # by the clock; of processor time it gets two, see `confining`


class Painter:
    """Renders frames. The child starts with the first compressed frame and is made anew after a few hundred."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._lock = Lock()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def paint(self, head: bytes, syntax: str, frames: list[bytes], number: int, options: dict[str, Any]) -> bytes:
        """Make a picture of a frame, or of several one after the other.

        Args:
            head: Head of the instance.
            syntax: Its transfer syntax.
            frames: The frames as they are stored.
            number: Number of the first, counted from 1.
            options: Those of `dicom.render`.

        Raises:
            troth.dicom.CannotRender: There is no picture of it; also when the decoder died of it.
        """
        pictures = await asyncio.to_thread(_pictures, head, syntax, number, len(frames))
        if syntax in _NATIVE:
            return await asyncio.to_thread(_drawn, frames, pictures, options)
        turn = self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with turn:  # one at a time: the time limit is for this picture alone, and so is the child's end
            return await self._decoded(frames, pictures, options)

    def close(self) -> None:
        """End the child."""
        if self._pool is not None:
            self._end(self._pool)

    async def _decoded(self, frames: list[bytes], pictures: list[dicom.Picture], options: dict[str, Any]) -> bytes:
        pool = self._started()
        try:
            await asyncio.wait_for(asyncio.wrap_future(pool.submit(confining.allot)), _START_SECONDS)
            future = pool.submit(_paint, frames, pictures, options)
            return await asyncio.wait_for(asyncio.wrap_future(future), _SECONDS)
        except (BrokenProcessPool, TimeoutError, MemoryError):
            self._end(pool)
            raise dicom.CannotRender from None
        except asyncio.CancelledError:
            self._end(pool)  # it may be at work on this still; the next one gets a child of its own
            raise

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    1,
                    mp_context=get_context("spawn"),
                    initializer=confining.confine,
                    max_tasks_per_child=2 * _MOST_PICTURES,
                )
            return self._pool

    def _end(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        # A child that runs away has to be killed; the executor has no public way to do it.
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)


_NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})


def _paint(frames: list[bytes], pictures: list[dicom.Picture], options: dict[str, Any]) -> bytes:
    confining.allot()
    return _drawn(frames, pictures, options)


def _drawn(frames: list[bytes], pictures: list[dicom.Picture], options: dict[str, Any]) -> bytes:
    if len(frames) == 1:
        return dicom.render(frames[0], pictures[0], **options)
    return dicom.animate(frames, pictures, **options)


def _pictures(head: bytes, syntax: str, number: int, count: int) -> list[dicom.Picture]:
    metadata = dicom.to_json(head, syntax, frames=range(number, number + count))
    return [dicom.Picture.of(metadata, syntax, at) for at in range(number, number + count)]
