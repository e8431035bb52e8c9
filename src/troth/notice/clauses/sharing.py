"""What people may pass on, and to whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import vocabulary
from troth.notice.clauses.base import Clause, Lookup, Row, clause
from troth.notice.needs import Need
from troth.notice.period import Period
from troth.notice.terms import term

_NEEDS = {
    "affirmation": "the receiver affirms to keep it secret",
    "code": "the receiver enters a code that came another way",
    "authorisation": "you, or whoever speaks for you, authorise it in writing",
}


@clause("sharing", "What people may share, with whom, and how it ends.")
class Sharing(Clause):
    """Sharing by a person. No action for it exists yet, so policy refuses every attempt."""

    by: tuple[str, ...] = term("Roles that may share", choices=vocabulary.ROLES, default=())
    to: tuple[str, ...] = term("Roles that may receive", choices=vocabulary.ROLES, default=())
    longest: Period | None = term("The longest time a share may last", default=None)
    needs: tuple[Literal["affirmation", "code", "authorisation"], ...] = term(
        "What the receiver does first: affirm secrecy, enter a code; or what the person gives", default=()
    )
    is_revocable: bool = term("It can be stopped, at once", default=True)

    def enforcer(self) -> str:
        """Nothing leaves without a permit, and none is given for sharing yet."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "each share was opened by its receiver alone, and none after it ended"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.longest is not None:
            yield Row("How long", f"{self.longest.words} at most")
        for need in self.needs:
            yield Row("First", _NEEDS[need])
        yield Row("What stops us", "sharing is not switched on yet, so every attempt is refused")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """That something can be shared, opened by who receives it, and ended; and what comes first."""
        yield Need("share", "make", "make", "nothing can be shared here")
        yield Need("share", "open", "open", "nobody can open what was shared")
        yield Need("share", "end", "end", "no share can be ended")
        for need in self.needs:
            yield Need("share", need, need, f"no share asks for: {_NEEDS[need]}")
