"""What is written down, before it happens."""

from __future__ import annotations

from collections.abc import Iterator

from troth.notice.clauses.base import Clause, Lookup, Row, clause
from troth.notice.needs import Need
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

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "the ledger adds up; each viewing that ended, disclosure and collected copy has its entry from before it"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", "if it cannot be written down, it does not open; an entry altered later is found")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """A way to read it for each of its readers."""
        lacks = {"subject": "you cannot read it here", "office": "no page shows it to the privacy office"}
        for reader in self.readers:
            yield Need("read_log", reader, reader, lacks.get(reader, f"no page shows it to the {reader}"))
