"""What controllers have told us to do: a processor does nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.terms import SLUG, term

AGREEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "dpa": "a contract between your hospital and us (GDPR Art. 28(3)) has to be in force",
        "baa": "a business associate agreement (45 CFR 164.504(e)) has to be in force",
    }
)


@clause("instruction", "What a controller has told us to do. As processor we do nothing that no instruction names.")
class Instruction(Clause):
    """A documented instruction (GDPR Art. 28(3)(a)), standing for every controller of the deployment."""

    purposes: tuple[str, ...] = term("Keys of the activities that controllers instruct", pattern=SLUG, least=1)
    key: str = term(
        "Short name; with one, each controller gives the instruction itself, and the fact `instruction:<key>` says so",
        pattern=SLUG,
        default="",
    )
    agreement: Literal["none", "dpa", "baa"] = term(
        "The agreement that has to be on file with a controller first; the fact is `agreement:<form>`", default="none"
    )
    controllers_in: tuple[str, ...] = term(
        "Controllers of which countries it is about; left out, of all", choices=vocabulary.PLACES, default=()
    )

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """What a controller has to have given before anything is done for it."""
        needed = [f"instruction:{self.key}"] if self.key else []
        needed += [f"agreement:{self.agreement}"] if self.agreement != "none" else []
        where = ""
        if self.controllers_in:
            named = cedar.texts(f"controller:{code}" for code in vocabulary.places(self.controllers_in))
            where = f" && context.claims.containsAny({named})"
        for claim in needed:
            text = (
                f"@id({cedar.text(self.id)})\n"
                "forbid (principal, action, resource)\n"
                f"when {{ {cedar.texts(self.purposes)}.contains(context.purpose){where} "
                f"&& !context.claims.contains({cedar.text(claim)}) }};"
            )
            yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """A processor's activity without an instruction compiles to nothing, so it is refused."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "each act for these purposes was done while the instruction and the agreement held"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.agreement != "none":
            yield Row("Agreement", AGREEMENTS[self.agreement])
        yield Row("What stops us", "without an instruction for a purpose, everything for that purpose is refused")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """That a controller can give the instruction and file the agreement that it asks for."""
        if self.key:
            yield Need("instruct", "give", "give", "no organisation can give an instruction here")
            yield Need("instruct", "revoke", "revoke", "no organisation can take an instruction back here")
        if self.agreement != "none":
            yield Need("file", "agreement", "agreement", "no agreement can be filed here")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its activities must exist and be a processor's."""
        for key in self.purposes:
            found = notice.find("purpose", key)
            if found is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause, or leave it out here")
            elif getattr(found, "capacity", "") != "processor":
                yield Fault(f"§ {found.id} is an activity of our own and needs no instruction", "leave it out here")
