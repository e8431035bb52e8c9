"""What leaves only when nobody can be found in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import cedar
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.terms import SLUG, term

_SAID = {
    "aggregate": "only counts leave",
    "basic": "everything that names you is removed, after the standard of DICOM",
    "clean_pixels": "everything that names you is removed, also from the picture itself",
    "pseudonym": "your name is replaced; who holds the key is named here",
}


@clause(
    "deidentification", "What leaves only when nobody can be found in it, and how that is made sure.", reach="notice"
)
class Deidentification(Clause):
    """De-identification (DICOM PS3.15 Annex E) and the gate for statistics."""

    key: str = term("Short name; the fact `deidentified:<key>` says that the gate was passed", pattern=SLUG)
    purposes: tuple[str, ...] = term("Keys of the activities that it guards", pattern=SLUG, least=1)
    profile: Literal["aggregate", "basic", "clean_pixels", "pseudonym"] = term("How identities are taken out")
    smallest_group: int = term("Fewest people behind a number or a combination (k)", default=5)
    budget_thousandths: int = term("Privacy budget (epsilon) per year, in thousandths; 0: no noise is used", default=0)

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """Nothing is released for these purposes that has not passed the gate."""
        text = (
            f"@id({cedar.text(self.id)})\n"
            'forbid (principal, action in [Action::"release", Action::"disclose"], resource)\n'
            f"when {{ {cedar.texts(self.purposes)}.contains(context.purpose) "
            f"&& !context.claims.contains({cedar.text('deidentified:' + self.key)}) }};"
        )
        yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The decision about every release."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "nothing was released for these purposes that had not passed the gate"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """How, and what stops us."""
        yield Row("How", f"{_SAID[self.profile]}; no number stands for fewer than {self.smallest_group} people")
        yield Row("What stops us", "what has not passed the gate is refused, whoever asks")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """The gate, once something is done for one of its activities."""
        if not any(getattr(notice.find("purpose", key), "access", ()) for key in self.purposes):
            return
        yield Need("gate", self.profile, "gate", "nothing here takes the names out like this")
        if self.budget_thousandths:
            yield Need("gate", "budget", "budget", "no privacy budget is kept")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its activities exist; one person is no group."""
        for key in self.purposes:
            if notice.find("purpose", key) is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause")
        if self.smallest_group < 2:
            yield Fault("a group of one is a person", "make smallest_group at least 2")
