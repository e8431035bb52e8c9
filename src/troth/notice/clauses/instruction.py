"""What controllers have told us to do: a processor does nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from troth.notice.clauses.base import Clause, Evidence, Fault, Lookup, Row, clause
from troth.notice.terms import SLUG, term


@clause("instruction", "What a controller has told us to do. As processor we do nothing that no instruction names.")
class Instruction(Clause):
    """A documented instruction (GDPR Art. 28(3)(a)), standing for every controller of the deployment."""

    purposes: tuple[str, ...] = term("Keys of the activities that controllers instruct", pattern=SLUG, least=1)

    def enforcer(self) -> str:
        """A processor's activity without an instruction compiles to nothing, so it is refused."""
        return "policy.require"

    def evidence(self) -> Evidence:
        """Every access rests on an instructed activity."""
        return Evidence(("archive:study:opened",), "every opening was for a purpose that the hospital has instructed")

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        yield Row("What stops us", "without an instruction for a purpose, everything for that purpose is refused")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its activities must exist and be a processor's."""
        for key in self.purposes:
            found = notice.find("purpose", key)
            if found is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause, or leave it out here")
            elif getattr(found, "capacity", "") != "processor":
                yield Fault(f"§ {found.id} is an activity of our own and needs no instruction", "leave it out here")
