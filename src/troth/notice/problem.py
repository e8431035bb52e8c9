"""One thing that is wrong with a notice, with its place and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with a notice.

    Attributes:
        path: The file, as it was named.
        line: Line in the file, from 1.
        what: What is wrong, in one sentence.
        hint: How to mend it.
    """

    path: str
    line: int
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}" + (f" ({self.hint})" if self.hint else "")
