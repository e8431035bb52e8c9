"""What the story sends by DICOM: in a thread that nothing waits for, and how its statuses are told."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

Result = TypeVar("Result")

NO_ANSWER: Final = -1
AGAIN: Final = (NO_ANSWER, 0xA700)
"""What passes on a busy machine: no answer in time, or out of resources (DICOM PS3.4 table B.2-1)."""

_REASONS: Final = {NO_ANSWER: "the association was rejected, or no answer came within 30 s", 0xA700: "out of resources"}


async def in_thread(work: Callable[[], Result]) -> Result:
    """As `asyncio.to_thread`, but whoever stops the story does not wait until the other side has answered."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Result] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the story was stopped, and its loop with it
            loop.call_soon_threadsafe(lambda: None if result.done() else tell())

    def run() -> None:
        try:
            found = work()
        except Exception as fault:
            raised = fault
            settle(lambda: result.set_exception(raised))
        else:
            settle(lambda: result.set_result(found))

    threading.Thread(target=run, name="sending", daemon=True).start()
    return await result


def said_of(statuses: Sequence[int]) -> str:
    """Statuses of C-STORE in words: how many of each but success, and why.

    Args:
        statuses: As the sender got them.
    """
    counted = sorted((status, count) for status, count in Counter(statuses).items() if status)
    return ", ".join(
        f"{count} of {len(statuses)} "
        + ("without a status" if status == NO_ANSWER else f"{status:04X}")
        + f" ({_REASONS.get(status, 'see DICOM PS3.4 table B.2-1')})"
        for status, count in counted
    )
