"""Where something is collected: a form with its fields, a listener, a job, an import."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from troth.notice import vocabulary
from troth.notice.clauses.base import Clause, Evidence, Fault, Lookup, Row, clause
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

    def enforcer(self) -> str:
        """The comparison at the start."""
        return "notice.coverage"

    def evidence(self) -> Evidence:
        """The start."""
        return Evidence(("main:node:started",), "no node started with a form, line or job that is not listed")

    def kept(self, notice: Lookup) -> Iterator[Row]:
        """Each field."""
        for field in self.fields:
            why = f"; {field.why}" if field.why else ""
            yield Row(field.name.replace("_", " "), ("needed" if field.is_required else "if you like") + why)
        yield Row("What stops us", "a field that does not stand here is refused and not kept")

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
        if len({field.name for field in self.fields}) < len(self.fields):
            yield Fault("a field stands twice", "say it once")
