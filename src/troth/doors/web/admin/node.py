"""This computer as the page says it: each figure with its state, and what to do where something is wrong. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from troth.doors.web import words
from troth.doors.web.admin.views import NodeLine
from troth.proofs import NodeFigures

_LEAST_FREE: Final = 0.1
"""Part of the disk below which space is running out."""
_OLD: Final = timedelta(days=2)
_LATE: Final = timedelta(minutes=10)


def node_lines(found: NodeFigures, now: datetime) -> tuple[NodeLine, ...]:
    """The lines of the page.

    Args:
        found: What was counted.
        now: The present.
    """
    return (_disk(found), _database(found), *_backup(found, now), _work(found, now), _version(found))


def _disk(found: NodeFigures) -> NodeLine:
    value = f"{words.length(found.free_bytes)} free of {words.length(found.disk_bytes)}"
    if found.free_bytes < found.disk_bytes * _LEAST_FREE:
        return NodeLine(
            "Disk of the data folder", value, "broken", "Nearly full",
            "Give the disk more space, or move the data folder to a larger one. What does not fit is refused.",
        )  # fmt: skip
    return NodeLine("Disk of the data folder", value, "kept", "Enough")


def _database(found: NodeFigures) -> NodeLine:
    return NodeLine("Database", words.length(found.database_bytes), "kept", "Answers")


def _backup(found: NodeFigures, now: datetime) -> tuple[NodeLine, ...]:
    made = found.backed_up_at
    if made is None:
        return (NodeLine("Last backup", "none", "broken", "Missing", "Make one with troth backup, every day."),)
    value = words.moment(made)
    if now - made > _OLD:
        line = NodeLine("Last backup", value, "broken", "Old", "Make one with troth backup, every day.")
    elif found.verified_at is None:
        line = NodeLine("Last backup", value, "open", "Not checked", "Check it, so that it can be relied on.")
    else:
        line = NodeLine("Last backup", value, "kept", "Read back")
    if found.follows:
        return line, NodeLine("What is erased is erased in backups", "every folder is there", "kept", "Follows")
    return line, NodeLine(
        "What is erased is erased in backups", "a folder is not there", "broken", "Does not follow",
        "Attach the disk on which the backups are: what was erased meanwhile is then erased there within seconds.",
    )  # fmt: skip


def _work(found: NodeFigures, now: datetime) -> NodeLine:
    if found.oldest_at is None:
        return NodeLine("Requests for the worker", "none waits", "kept", "Done")
    value = f"{words.counted(found.waiting, 'waits', 'wait')} since {words.moment(found.oldest_at)}"
    if now - found.oldest_at > _LATE:
        return NodeLine(
            "Requests for the worker", value, "broken", "Late", "See that troth serve runs: the worker is a part of it."
        )
    return NodeLine("Requests for the worker", value, "open", "Waits")


def _version(found: NodeFigures) -> NodeLine:
    return NodeLine("Version", found.version, "kept", "Runs")
