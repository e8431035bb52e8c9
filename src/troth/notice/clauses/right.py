"""What a person may ask of us, until when we answer, and what a restriction stops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from troth.notice import cedar, vocabulary
from troth.notice import law as legal
from troth.notice.clauses.base import Clause, Fault, LegalSource, Limit, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.period import Period
from troth.notice.terms import SLUG, term

_ASKING = {"patients": "patients", "users": "people with an account for work", "visitors": "visitors"}
_STEPS = {
    "acknowledge": "nobody says that a request has come",
    "decide": "nobody decides such a request",
    "answer": "nobody answers such a request",
}


@dataclass(frozen=True, kw_only=True)
class StillAllowed:
    """What goes on while something is restricted (GDPR Art. 18(2))."""

    actions: tuple[str, ...] = term("Actions", choices=vocabulary.ACTIONS, default=())
    purposes: tuple[str, ...] = term("Purposes", pattern=SLUG, default=())


@clause("right", "What a person may ask of us, and until when we answer.")
class Right(Clause):
    """A right of the subject with its clock (GDPR Art. 12(3), 15 to 22)."""

    right: str = term("Which right", choices=legal.RIGHTS)
    period: Period = term("Until when we answer, as an ISO 8601 period")
    extension: Period | None = term("How much longer it may take, if we say so within the period", default=None)
    acknowledge: Period = term("Until when we say that we have got it")
    is_free: bool = term("It costs nothing", default=True)
    except_bases: tuple[str, ...] = term("Bases against which it does not stand", choices=legal.BASES, default=())
    decided_by: Literal["rule", "person"] = term(
        "Who decides an objection: the rule of the bases, at once; or a person, while the use rests", default="rule"
    )
    still_allowed: StillAllowed | None = term("For a restriction: what goes on all the same", default=None)
    law: LegalSource | None = term("The law that sets the period", default=None)

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """A restriction stops every use but those that go on."""
        if self.right == "object":
            yield from self._objections(notice)
        if self.right != "restrict":
            return
        allowed = self.still_allowed or StillAllowed()
        text = (
            f"@id({cedar.text(self.id)})\n"
            "forbid (principal, action, resource)\n"
            "when { resource.is_restricted || context.is_restricted }\n"
            f"unless {{ action in {cedar.actions(allowed.actions)} "
            f"|| {cedar.texts(allowed.purposes)}.contains(context.purpose) }};"
        )
        yield Policy(self.id, text, "forbid")

    def _objections(self, notice: Lookup) -> Iterator[Policy]:
        """An objection stops the activity for that person, where the right stands against its basis.

        Against direct marketing it stands whatever the basis (GDPR Art. 21(2) and (3)); what a marketing clause names
        is stopped there.
        """
        named = {key for found in notice.all("marketing") for key in getattr(found, "purposes", ())}
        for found in notice.all("purpose"):
            is_excepted = getattr(found, "basis", "") in self.except_bases and found.key not in vocabulary.MARKETING
            if is_excepted or found.key in named:
                continue
            text = (
                f"@id({cedar.text(self.id)})\n"
                "forbid (principal, action, resource)\n"
                f"when {{ context.purpose == {cedar.text(found.key)} "
                f"&& context.claims.contains({cedar.text('objection:' + found.key)}) }};"
            )
            yield Policy(self.id, text, "forbid")

    def enforcer(self) -> str:
        """The room that handles requests; a restriction is also part of every decision."""
        return "policy.decision" if self.right in ("restrict", "object") else "rights.workflows"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        return f"every request for this was acknowledged, and answered within {self.period.words} on the calendar"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """The clock, the cost, the exceptions."""
        longer = f"; in a hard case {self.extension.words} more, and then we tell you why" if self.extension else ""
        yield Row(
            "When",
            f"we say within {self.acknowledge.words} that we have it, and answer within {self.period.words}{longer}",
        )
        yield Row("What it costs", "nothing" if self.is_free else "a fee that we name first")
        for basis in self.except_bases:
            yield Row("Not against", legal.BASES[basis])
        if self.decided_by == "person":
            yield Row("Who decides", "a person, with the reason; until then we do not do what you object to")
        yield Row("Law", legal.article(legal.RIGHTS[self.right]))

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """A way to ask for each of its readers; that it is acknowledged, decided, answered, and extended where said."""
        for audience in (each for each in self.audiences if each in notice.audiences):
            lacks = f"{_ASKING[audience]} cannot ask for this here"
            yield Need("right", f"{self.right}:ask", audience, lacks, audience)
        for part, lacks in _STEPS.items():
            yield Need("right", f"{self.right}:{part}", part, lacks)
        if self.extension is not None:
            yield Need("right", f"{self.right}:extend", "extend", "nobody can take longer and say why")

    def limits(self) -> Iterator[Limit]:
        """When somebody has to look at the law again."""
        if self.law is not None:
            yield Limit("the last look at the law", until=self.law.review_on)

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """One clause per right; the purposes of a restriction must exist."""
        if any(getattr(found, "right", "") == self.right and found.id < self.id for found in notice.all("right")):
            yield Fault(f"the right {self.right!r} stands twice", "say it once")
        if (self.right == "restrict") != (self.still_allowed is not None):
            yield Fault("still_allowed belongs to a restriction, and to every one", "add it there, remove it elsewhere")
        if self.decided_by == "person" and self.right != "object":
            yield Fault("decided_by belongs to the right to object", "remove it here; every other right is answered")
        for key in self.still_allowed.purposes if self.still_allowed else ():
            if notice.find("purpose", key) is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause, or leave it out here")
