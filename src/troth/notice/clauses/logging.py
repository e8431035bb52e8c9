"""What is written down, before it happens."""

from __future__ import annotations

from collections.abc import Iterator

from troth.notice.clauses.base import Clause, Evidence, Lookup, Row, clause
from troth.notice.terms import term


@clause("logging", "What is written into the ledger, and who can read it.")
class Logging(Clause):
    """The promise to write everything down."""

    readers: tuple[str, ...] = term(
        "Who can read it: the people it is about, the privacy office", choices=("subject", "office", "auditor"), least=1
    )

    def enforcer(self) -> str:
        """The ledger: no entry, no read."""
        return "ledger.service"

    def evidence(self) -> Evidence:
        """The tree, its signatures, and the counts."""
        return Evidence(
            ("archive:study:opened", "archive:viewing:closed", "archive:studies:queried", "policy:access:refused"),
            "the tree of entries adds up, every head is signed, and each opening has its entry from before it",
        )

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", "if it cannot be written down, it does not open; an entry altered later is found")
