"""How changes of the notice are made and told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice.clauses.base import Clause, Evidence, Lookup, Row, clause
from troth.notice.terms import term


@clause("amendment", "How the notice changes: who decides it, and how people hear of it.")
class Amendment(Clause):
    """The promise about changes."""

    tells: tuple[Literal["posted", "mailed"], ...] = term("How people hear of a change", least=1)

    def enforcer(self) -> str:
        """Publishing needs two people and a signature."""
        return "notice.publish"

    def evidence(self) -> Evidence:
        """Published versions."""
        return Evidence(
            ("notice:version:published",), "every version in force was signed and named two different people"
        )

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row(
            "What stops us", "a version counts only with two people behind it and a signature; old ones stay to be read"
        )
