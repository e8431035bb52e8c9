"""Children: from which age somebody may do what, and who speaks for them before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.terms import SLUG, term

_SAID = {
    "refused": "nobody of this age is taken in, and what is known of one is erased",
    "guardian": "a parent or guardian speaks for them",
    "own": "they speak for themselves",
}


@dataclass(frozen=True, kw_only=True)
class Band:
    """An age band."""

    key: str = term("Short name; the fact `age:<key>` says that the person is in it today", pattern=SLUG)
    from_years: int = term("From this birthday on", default=0)
    below_years: int = term("Until the day before this birthday")
    rule: Literal["refused", "guardian", "own"] = term("What holds for it")


@clause(
    "minor", "Age bands: who is taken in, who needs a parent or guardian, who speaks for themselves.", reach="notice"
)
class Minor(Clause):
    """Children (GDPR Art. 8; COPPA 16 CFR 312)."""

    bands: tuple[Band, ...] = term(
        "The bands, youngest first, without a gap; above the last a person is grown", least=1
    )
    does: tuple[str, ...] = term("What they stand for", choices=vocabulary.ACTIONS, least=1)
    guardian_proof: str = term("How a guardian shows that they are one", default="")

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """One forbid per band that is refused or needs a guardian."""
        for band in self.bands:
            if band.rule == "own":
                continue
            text = (
                f"@id({cedar.text(self.id)})\n"
                f"forbid (principal, action in {cedar.actions(self.does)}, resource)\n"
                f"when {{ context.claims.contains({cedar.text('age:' + band.key)}) }}"
            )
            text += '\nunless { context.claims.contains("guardian") };' if band.rule == "guardian" else ";"
            yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The decision itself."""
        return "policy.decision"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return "nobody of a refused age was taken in"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """Each band."""
        for band in self.bands:
            ages = f"{band.from_years} to {band.below_years - 1}" if band.from_years else f"below {band.below_years}"
            yield Row(f"Age {ages}", _SAID[band.rule])
        if self.guardian_proof:
            yield Row("Parents and guardians", self.guardian_proof)

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """That an age is asked, and a guardian known."""
        yield Need("age", "ask", "ask", "nobody is asked for their age here")
        if any(band.rule == "guardian" for band in self.bands):
            yield Need("age", "guardian", "guardian", "no guardian can show here that they are one")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Bands follow each other without a gap; a guardian shows something."""
        edges = [(band.from_years, band.below_years) for band in self.bands]
        starts = [0, *(below for _, below in edges[:-1])]
        if [start for start, _ in edges] != starts or any(start >= below for start, below in edges):
            yield Fault("the age bands overlap or leave a gap", "begin at 0, and each where the one before ends")
        if any(band.rule == "guardian" for band in self.bands) and not self.guardian_proof:
            yield Fault("a guardian speaks for them, and nobody says how one is known", "add guardian_proof")
