"""What people may pass on, and to whom."""

from __future__ import annotations

from collections.abc import Iterator

from troth.notice import vocabulary
from troth.notice.clauses.base import Clause, Evidence, Lookup, Row, clause
from troth.notice.period import Period
from troth.notice.terms import term


@clause("sharing", "What people may share, with whom, and how it ends.")
class Sharing(Clause):
    """Sharing by a person. No action for it exists yet, so policy refuses every attempt."""

    by: tuple[str, ...] = term("Roles that may share", choices=vocabulary.ROLES, default=())
    to: tuple[str, ...] = term("Roles that may receive", choices=vocabulary.ROLES, default=())
    longest: Period | None = term("The longest time a share may last", default=None)
    is_revocable: bool = term("It can be stopped, at once", default=True)

    def enforcer(self) -> str:
        """Nothing leaves without a permit, and none is given for sharing yet."""
        return "policy.require"

    def evidence(self) -> Evidence:
        """Nothing yet: the kinds come with the room that shares."""
        return Evidence((), "shares that were opened by their receiver alone, and none after it ended")

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", "sharing is not switched on yet, so every attempt is refused")
