"""The only place that knows what time it is. Tests move it; nothing else may."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

_offset = timedelta(seconds=float(os.environ.get("TROTH_CLOCK_OFFSET_SECONDS", "0")))


def now() -> datetime:
    """The current instant in UTC."""
    return datetime.now(UTC) + _offset


def today() -> date:
    """The current date in UTC."""
    return now().date()


@contextmanager
def moved(by: timedelta) -> Iterator[None]:
    """Move the clock for the length of a block. For tests.

    Args:
        by: How far to move it; negative moves back.
    """
    global _offset
    before = _offset
    _offset = before + by
    try:
        yield
    finally:
        _offset = before
