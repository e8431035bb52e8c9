"""Where something is collected: a form with its fields, a listener, a job, an import."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from troth.notice import cedar, vocabulary
from troth.notice.clauses.base import Clause, Fault, Lookup, Policy, Row, clause
from troth.notice.needs import Need
from troth.notice.terms import SLUG, term


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a form."""

    name: str = term("Its name in the form", pattern=SLUG)
    category: str = term("Key of the category of what goes in", pattern=SLUG)
    is_required: bool = term("Without it the form cannot be sent", default=False)
    why: str = term("Why it is asked, to be shown beside it", default="")


@clause("surface", "Where something is collected: which form, line or job, and with which fields. No other field is.")
class Surface(Clause):
    """A collecting surface."""

    key: str = term("Name of the form, listener, job or import in the program", pattern=SLUG)
    at: str = term("Which surface it stands on", choices=vocabulary.SURFACES)
    way: Literal["form", "listener", "job", "import", "telemetry"] = term("What it is", default="form")
    purposes: tuple[str, ...] = term("What for", pattern=SLUG, least=1)
    fields: tuple[Field, ...] = term("The fields of the form", default=())
    levels: tuple[str, ...] = term(
        "Levels of service that have it; for an organisation of any other it is closed. Left out, all have it",
        pattern=SLUG,
        default=(),
    )
    closes: tuple[str, ...] = term(
        "What cannot be done there without the level; left out, nothing can", choices=vocabulary.ACTIONS, default=()
    )

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """What comes in by a service that the organisation's level does not have is refused."""
        if not self.levels:
            return
        subscribed = cedar.texts(f"level:{level}" for level in self.levels)
        action = f"action in {cedar.actions(self.closes)}" if self.closes else "action"
        text = (
            f"@id({cedar.text(self.id)})\n"
            f"forbid (principal, {action}, resource)\n"
            f"when {{ {cedar.texts(self.purposes)}.contains(context.purpose) "
            f"&& context.claims.contains({cedar.text(f'via:{self.key}')}) "
            f"&& !context.claims.containsAny({subscribed}) }};"
        )
        yield Policy(self.id, text, "forbid", levels=self.levels)

    def enforcer(self) -> str:
        """The comparison at the start, and the decision where there are levels of service."""
        return "policy.decision" if self.levels else "notice.coverage"

    def looks_for(self) -> str:
        """What is computed over all that happened."""
        if self.levels:
            return f"each act at {self.key} was done at a level of service that has it"
        return "no node started with a form, line or job that is not listed"

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """Each field; which levels have it."""
        if self.levels:
            yield Row("Levels of service", ", ".join(level.replace("_", " ") for level in self.levels))
            closed = ", ".join(vocabulary.ACTIONS[name].words for name in self.closes) or "anything"
            yield Row("What stops us", f"for an organisation of any other level it is closed: nobody can {closed}")
            return
        for field in self.fields:
            why = f"; {field.why}" if field.why else ""
            yield Row(field.name.replace("_", " "), ("needed" if field.is_required else "if you like") + why)
        yield Row("What stops us", "a field that does not stand here is refused and not kept")

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """That an organisation's level can be set; devices that report have somewhere to report to."""
        if self.levels:
            yield Need("level", "set", "level", "no organisation's level of service can be set")
        if self.way == "telemetry":
            yield Need("take", "telemetry", "take", "no device reports anything here")

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """Its categories and purposes exist; a form has fields."""
        for key in self.purposes:
            if notice.find("purpose", key) is None:
                yield Fault(f"the purpose {key!r} is not in this notice", "add a purpose clause")
        for field in self.fields:
            if notice.find("category", field.category) is None:
                yield Fault(f"the category {field.category!r} is not in this notice", "add a category clause")
        if self.way == "form" and not self.fields:
            yield Fault("a form without fields collects nothing", "add fields")
        if self.closes and not self.levels:
            yield Fault("it closes something for no level", "add levels, or take closes out")
        if len({field.name for field in self.fields}) < len(self.fields):
            yield Fault("a field stands twice", "say it once")
