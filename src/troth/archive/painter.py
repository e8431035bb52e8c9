"""Pictures of frames; what strangers compressed is decoded in a child process that may crash or run away alone."""

from __future__ import annotations

import asyncio
import resource
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from threading import Lock
from typing import Any

from troth import dicom

_CHILD_BYTES = 3 << 30  # address space, of which the codecs' libraries reserve much and use little
_MOST_PICTURES = 500
_SECONDS = 10.0


class Painter:
    """Renders frames. The child starts with the first compressed frame and is made anew after a few hundred."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._lock = Lock()

    async def paint(self, head: bytes, syntax: str, pixels: bytes, frame: int, options: dict[str, Any]) -> bytes:
        """Make a picture of a frame.

        Args:
            head: Head of the instance.
            syntax: Its transfer syntax.
            pixels: The frame as it is stored.
            frame: Its number, counted from 1.
            options: Those of `dicom.render`.

        Raises:
            troth.dicom.CannotRender: There is no picture of it; also when the decoder died of it.
        """
        picture = await asyncio.to_thread(_picture, head, syntax, frame)
        if syntax in _NATIVE:
            return await asyncio.to_thread(dicom.render, pixels, picture, **options)
        pool = self._started()
        try:
            future = pool.submit(dicom.render, pixels, picture, **options)
            return await asyncio.wait_for(asyncio.wrap_future(future), _SECONDS)
        except (BrokenProcessPool, TimeoutError, MemoryError):
            self._end(pool)
            raise dicom.CannotRender from None

    def close(self) -> None:
        """End the child."""
        if self._pool is not None:
            self._end(self._pool)

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    1,
                    mp_context=get_context("spawn"),
                    initializer=resource.setrlimit,
                    initargs=(resource.RLIMIT_AS, (_CHILD_BYTES, _CHILD_BYTES)),
                    max_tasks_per_child=_MOST_PICTURES,
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


def _picture(head: bytes, syntax: str, frame: int) -> dicom.Picture:
    return dicom.Picture.of(dicom.to_json(head, syntax), syntax, frame)
