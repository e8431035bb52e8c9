"""What the platform really collects against what the notices say: nothing may be there that no clause covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from troth.notice.clauses.category import Category
from troth.notice.clauses.cookie import Cookies
from troth.notice.clauses.purpose import Purpose
from troth.notice.clauses.surface import Surface
from troth.notice.model import Notice
from troth.notice.problem import Problem
from troth.notice.vocabulary import HOLDINGS


@dataclass(frozen=True, slots=True)
class Collecting:
    """One thing of the program by which something about people comes in, is kept or is done.

    Attributes:
        way: What it is.
        name: Its name in the program, such as `sign_in`.
        surface: The surface it stands on, such as `portal`; empty for cookies, columns and jobs.
        by: The actions by which it is filled; where no activity of the notices allows any of them, nothing comes in
            and nothing has to be said. Empty: it is always in use.
        parts: Its fields or columns, each with what it holds, of `HOLDINGS`; empty where it says nothing of anybody.
    """

    way: Literal["form", "cookie", "listener", "column", "job"]
    name: str
    surface: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    by: tuple[str, ...] = ()


def coverage(notices: Sequence[Notice], collecting: Iterable[Collecting]) -> list[Problem]:
    """What no clause covers.

    Args:
        notices: Of the deployment, together.
        collecting: Everything that the program has.
    """
    said = _Said(notices)
    return sorted({problem for each in collecting for problem in said.missing(each)})


class _Said:
    """What the notices of a deployment list, taken together."""

    def __init__(self, notices: Sequence[Notice]) -> None:
        self._path = notices[0].path
        clauses = [clause for notice in notices for clause in notice.clauses]
        self._surfaces = {surface for notice in notices for surface in notice.head.surfaces}
        self._holdings = {each for clause in clauses if isinstance(clause, Category) for each in clause.holdings}
        self._cookies = {each.name for clause in clauses if isinstance(clause, Cookies) for each in clause.cookies}
        activities = [clause for clause in clauses if isinstance(clause, Purpose)]
        self._actions = {name for each in activities for access in each.access for name in access.does}
        self._forms = {clause.key: clause for clause in clauses if isinstance(clause, Surface) and clause.way == "form"}

    def missing(self, each: Collecting) -> Iterator[Problem]:
        """What no clause says of one thing."""
        if each.by and not self._actions & set(each.by):
            return
        if each.way == "cookie" and each.name not in self._cookies:
            hint = "list it under cookies of a cookie clause, or do not set it"
            yield self._problem(f"the cookie {each.name!r} is in no clause", hint)
        if each.surface and each.surface not in self._surfaces:
            hint = f"add {each.surface} to surfaces, if the notice holds there; else take the {each.way} away"
            what = f"the {each.way} {each.name!r} stands on the surface {each.surface!r}, which no notice lists"
            yield self._problem(what, hint)
        for part, holding in each.parts.items():
            if holding and holding not in self._holdings:
                words = HOLDINGS.get(holding, "which the language does not know")
                what = f"{_of(each, part)} holds {holding!r} ({words}), which no category lists"
                hint = f"add covers: [{holding}] to a category, or take it away"
                yield self._problem(what, hint)
        listed = self._forms.get(each.name) if each.way == "form" else None
        if listed is not None:
            yield from self._fields(each, listed)

    def _fields(self, each: Collecting, listed: Surface) -> Iterator[Problem]:
        """A form that the notice describes has the fields that it says, and no other."""
        asked = {part for part, holding in each.parts.items() if holding}
        told = {one.name for one in listed.fields}
        for name in sorted(asked - told):
            hint = "add the field to the clause, or take it out of the form"
            yield self._problem(f"§ {listed.id}: {_of(each, name)} is not in the clause", hint)
        for name in sorted(told - asked):
            hint = "take the field out of the clause, or put it into the form"
            yield self._problem(f"§ {listed.id}: the form {each.name!r} has no field {name!r}", hint)

    def _problem(self, what: str, hint: str) -> Problem:
        return Problem(self._path, 1, what, hint)


def _of(each: Collecting, part: str) -> str:
    named = {"form": "field", "column": "column", "job": "job", "listener": "line", "cookie": "cookie"}[each.way]
    return f"the {named} {part!r} of {each.name!r}" if part != each.name else f"the {named} {part!r}"
