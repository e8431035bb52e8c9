"""How changes of the notice are made and told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.period import Period
from troth.notice.terms import term


@clause("amendment", "How the notice changes: who decides it, and how people hear of it.")
class Amendment(Clause):
    """The promise about changes."""

    tells: tuple[Literal["posted", "mailed"], ...] = term("How people hear of a change", least=1)
    mails: Literal["never", "material", "every"] = term(
        "Which changes are mailed to each account, once", default="never"
    )
    before: Period | None = term("How long before a change counts it is told", default=None)
    objection: Literal["leave", "pins"] = term(
        "Who disagrees with a change: may leave, or keeps the purposes of the version before", default="leave"
    )

    @property
    def is_mailed(self) -> bool:
        """Whether accounts are written to at all."""
        return self.mails != "never"

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """Our programs may write of a change; who objected to it stays with the activities of the version before."""
        if self.is_mailed:
            yield self._telling()
        if self.objection != "pins":
            return
        keys = sorted(found.key for found in notice.all("purpose"))
        known = (
            f"(context.purpose == {cedar.text(key)} && context.claims.contains({cedar.text('before:' + key)}))"
            for key in keys
        )
        text = (
            f"@id({cedar.text(self.id)})\n"
            "forbid (principal, action, resource)\n"
            f'when {{ context.claims.contains("pinned") && {cedar.texts(keys)}.contains(context.purpose) }}\n'
            f"unless {{ {' || '.join(known)} }};"
        )
        yield Policy(self.id, text, "forbid")

    def _telling(self) -> Policy:
        conditions = [
            f"context.purpose == {cedar.text(vocabulary.AMENDING)}",
            'principal.kind == "system" && principal.role == "worker"',
            cedar.is_one_of(("notice",)),
        ]
        text = (
            f"@id({cedar.text(self.id)})\n"
            f"permit (principal, action in {cedar.actions(['tell_change'])}, resource)\n"
            f"when {{ {' && '.join(conditions)} }};"
        )
        return Policy(self.id, text, "permit", (), vocabulary.AMENDING, "A6-1-c")

    def enforcer(self) -> str:
        """Publishing needs two people and a signature."""
        return "notice.proposals"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        told = "; a letter left once for each account that was counted for a change" if self.is_mailed else ""
        return f"every version that was in force was signed by two people who let neither in the other{told}"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """What stops us."""
        if self.is_mailed:
            which = "every change" if self.mails == "every" else "each change that weighs on what we already hold"
            yield Row("Who is told", f"{which} is mailed to every account it is about, once, before it counts")
        if self.objection == "pins":
            yield Row("If you disagree", "your data stays with the purposes of the version before")
        yield Row(
            "What stops us", "a version counts only with two people behind it and a signature; old ones stay to be read"
        )

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """Somebody who posts and mails, and a way to object."""
        for way in self.tells:
            yield Need("tell", way, way, f"no change is {way} here")
        if self.objection == "pins":
            yield Need("answer", "version", "objection", "nobody can object to a change here")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """What is mailed is told by mail; there is one promise about changes, or two that agree."""
        if ("mailed" in self.tells) != self.is_mailed:
            yield Fault("mailed changes and which they are belong together", "give both tells: mailed and mails")
        for found in notice.all("amendment"):
            if isinstance(found, Amendment) and (found.tells, found.mails) != (self.tells, self.mails):
                yield Fault(f"§ {found.id} tells of changes in another way", "make the two agree")
