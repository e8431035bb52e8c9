"""What a clause needs of the program, and what the program serves: a promise that nothing can keep is not possible.

A clause says what it needs (`Clause.prerequisites`, pure); beside each route, job, command and listener stands what it
serves (`Serves`). A need that nothing serves is told to readers, and a notice that does not say so does not pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Need:
    """One thing without which a clause cannot be kept.

    Attributes:
        topic: What it is about, such as `right` or `send`.
        name: Which of them, such as `access:ask` or `sms`.
        part: The word by which `not_yet` names it, such as `extend`.
        lacks: What is missing, in words that end the sentence "Not possible here yet: ...".
        audience: For whom; empty where it makes no difference.
    """

    topic: str
    name: str
    part: str
    lacks: str
    audience: str = ""


@dataclass(frozen=True, slots=True)
class Serves:
    """One thing that the program can do for a clause.

    Attributes:
        topic: As in the need.
        name: As in the need.
        by: What does it: `route:`, `job:`, `command:` or `listener:` with its name; a test finds each alive.
        audiences: For whom; empty: for all.
    """

    topic: str
    name: str
    by: str
    audiences: tuple[str, ...] = ()

    def meets(self, need: Need) -> bool:
        """Whether it is what a clause needs."""
        is_for = not need.audience or not self.audiences or need.audience in self.audiences
        return (self.topic, self.name) == (need.topic, need.name) and is_for


def unserved(clause: Any, notice: Any, serves: Collection[Serves]) -> tuple[Need, ...]:
    """What a clause needs and nothing serves.

    Args:
        clause: Of the notice.
        notice: The notice.
        serves: All that the program serves.
    """
    return tuple(need for need in clause.prerequisites(notice) if not any(each.meets(need) for each in serves))


def is_marked(clause: Any, need: Need) -> bool:
    """Whether a clause itself says that a need is not met yet."""
    return clause.not_yet is True or (clause.not_yet is not False and need.part in clause.not_yet)


def misstated(clause: Any, notice: Any, serves: Collection[Serves]) -> Iterator[tuple[str, str]]:
    """Where a clause says something else of what is possible than the program: what is wrong, and how to mend it.

    Args:
        clause: Of the notice.
        notice: The notice.
        serves: All that the program serves.
    """
    needs, missing = tuple(clause.prerequisites(notice)), unserved(clause, notice, serves)
    for need in dict.fromkeys(missing):
        if not is_marked(clause, need):
            yield (
                f"this is not possible here: {need.lacks}",
                f"add not_yet: true, or not_yet: [{need.part}] where the rest can be kept; or take it out",
            )
    if clause.not_yet is True and needs and not missing:
        yield "it says not_yet, and all that it needs is there", "take the mark off"
    for part in clause.not_yet if isinstance(clause.not_yet, tuple) else ():
        if not any(need.part == part for need in missing):
            known = ", ".join(sorted({need.part for need in missing})) or "none"
            yield f"it says not_yet of {part!r}, and that is there, or no part of it", f"take it off; missing: {known}"
