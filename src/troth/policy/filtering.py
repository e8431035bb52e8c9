"""Which rows of a list somebody may see, as a condition for SQL made from the very policies that decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, LiteralString, NamedTuple, Protocol
from uuid import UUID

from troth.policy import conditions
from troth.policy.conditions import FALSE, TRUE, All, Atom, Condition, Not, all_of
from troth.policy.facts import FactSet
from troth.policy.model import Actor
from troth.policy.residual import CLAIM, MOMENT

NOBODY = Actor("anonymous")


@dataclass(frozen=True, slots=True)
class Column:
    """How SQL reads an attribute of a row. Only columns and comparisons that are leakproof belong here.

    Attributes:
        sql: The expression, such as `s.subject_id`.
        kind: Its type.
        is_nullable: It may be null: the row then has no such attribute.
        parameters: Further parameters that the expression names.
        is_sealed: The fact itself is sealed, and the expression only says that it may hold: a row is then shown only
            where it is allowed either way.
    """

    sql: LiteralString
    kind: Literal["uuid", "text", "bool"]
    is_nullable: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    is_sealed: bool = False


Columns = Mapping[str, Column | bool]
"""Attribute to column; `True` and `False` for a flag that all rows share. What is missing no row has."""


class RowFacts(Protocol):
    """Facts that differ from row to row, such as a restriction or an objection. Rooms that give facts implement it."""

    def column(self, name: str, row: Columns, actor: Actor) -> Column | None:
        """How SQL reads a fact of a row.

        Args:
            name: `context.is_restricted`, `context.is_held`, or a claim such as `claim:objection:care`.
            row: The columns of the row: `tenant`, `subject`, `id`.
            actor: Who lists, for facts that hold between somebody and a row.

        Returns:
            The column, or None where the fact does not depend on the row.
        """
        ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows of a list an actor may see. It holds for the moment it was made in, as a permit does.

    Attributes:
        condition: What a row has to meet.
        clauses: Clauses that allow some of the rows.
        facts: The moment; facts that no column tells are taken from it.
        row_facts: Tells facts of rows.
        actor: Who lists.
    """

    condition: Condition
    clauses: tuple[str, ...]
    facts: FactSet
    row_facts: tuple[RowFacts, ...] = ()
    actor: Actor = NOBODY

    @property
    def is_empty(self) -> bool:
        """Whether no row at all can be seen."""
        return self.condition == FALSE

    def permits(self, row: conditions.Row) -> bool:
        """Whether a row may be seen, without SQL.

        Args:
            row: `tenant`, `subject`, `is_restricted`, `is_present`; facts where they differ from the moment.
        """
        known = {name: self._of_moment(name) for name in _names(self.condition) if name.startswith((MOMENT, CLAIM))}
        return conditions.holds(self.condition, {**known, **row})

    def where(self, columns: Columns, prefix: LiteralString = "filter") -> tuple[LiteralString, dict[str, Any]]:
        """The condition as SQL.

        Args:
            columns: How SQL reads the rows.
            prefix: How the names of the parameters begin.

        Returns:
            A boolean expression with named parameters, and the parameters.
        """
        found: dict[str, Column | bool] = dict(columns)
        for name in _names(self.condition):
            if name.startswith((MOMENT, CLAIM)) and name not in found:
                given = (facts.column(name, columns, self.actor) for facts in self.row_facts)
                found[name] = next((one for one in given if one is not None), self._of_moment(name))
        forms = tuple((name, _form(column)) for name, column in found.items())
        text, used, values = _written(self.condition, forms, prefix)
        parameters: dict[str, Any] = dict(values)
        for name in used:
            column = found[name]
            assert isinstance(column, Column)
            parameters.update(column.parameters)
        return text, parameters

    def _of_moment(self, name: str) -> bool:
        if name.startswith(CLAIM):
            return name.removeprefix(CLAIM) in self.facts.claims
        return bool(getattr(self.facts, name.removeprefix(MOMENT)))


class _Form(NamedTuple):
    """A column without the values of its parameters."""

    sql: LiteralString
    kind: Literal["uuid", "text", "bool"]
    is_nullable: bool
    is_sealed: bool


def _form(column: Column | bool) -> _Form | bool:
    if isinstance(column, bool):
        return column
    return _Form(column.sql, column.kind, column.is_nullable, column.is_sealed)


_Forms = Mapping[str, _Form | bool]


@lru_cache(maxsize=512)
def _written(
    condition: Condition, forms: tuple[tuple[str, _Form | bool], ...], prefix: LiteralString
) -> tuple[LiteralString, tuple[str, ...], Mapping[str, Any]]:
    """The condition as SQL, the columns that it names, and the values of its own: the same for each search."""
    columns = dict(forms)
    settled = conditions.mapped(_certain(condition, columns), lambda atom: _settled(atom, columns))
    writer = _Writer(columns, prefix)
    text = writer.text(settled)
    return text, tuple(writer.used), MappingProxyType(writer.values)


@lru_cache(maxsize=512)
def _names(condition: Condition) -> frozenset[str]:
    match condition:
        case Atom(name):
            return frozenset((name,))
        case Not(atom):
            return frozenset((atom.name,))
    return frozenset(name for part in condition.parts for name in _names(part))


def _certain(condition: Condition, columns: _Forms) -> Condition:
    """What is sure to hold, whatever the sealed facts are: a sealed fact never counts as holding."""
    match condition:
        case Atom(name):
            column = columns.get(name, False)
            return FALSE if isinstance(column, _Form) and column.is_sealed else condition
        case Not():
            return condition
        case All(parts):
            return all_of(_certain(part, columns) for part in parts)
    return conditions.any_of(_certain(part, columns) for part in condition.parts)


def _settled(atom: Atom, columns: _Forms) -> Condition:
    """An atom of the row, or what it comes to where all rows are alike."""
    column = columns.get(atom.name, False)
    if isinstance(column, bool):
        return TRUE if column and atom.asks == "true" else FALSE
    if atom.asks == "present" and not column.is_nullable:
        return TRUE
    if atom.asks == "equal":
        values = tuple(value for value in atom.values if column.kind != "uuid" or _uuid(value) is not None)
        return Atom(atom.name, "equal", values) if values else FALSE
    return atom


def _uuid(value: str) -> UUID | None:
    try:
        found = UUID(value)
    except ValueError:
        return None
    return found if str(found) == value else None


class _Writer:
    """Writes a condition as SQL, each value as a parameter.

    Attributes:
        used: Names of the columns that it compares.
        values: Parameters of the condition itself.
    """

    def __init__(self, columns: _Forms, prefix: LiteralString) -> None:
        self._columns = columns
        self._prefix = prefix
        self.used: dict[str, None] = {}
        self.values: dict[str, Any] = {}

    def text(self, condition: Condition) -> LiteralString:
        """A condition of settled atoms as SQL."""
        match condition:
            case Atom():
                return self._atom(condition)
            case Not(atom):
                return "not " + self._atom(atom)
            case All(parts):
                return self._joined(parts, " and ", "true")
        return self._joined(condition.parts, " or ", "false")

    def _joined(self, parts: Iterable[Condition], word: LiteralString, empty: LiteralString) -> LiteralString:
        texts = [self.text(part) for part in sorted(parts, key=repr)]
        return "(" + word.join(texts) + ")" if texts else empty

    def _atom(self, atom: Atom) -> LiteralString:
        column = self._columns[atom.name]
        assert isinstance(column, _Form)
        self.used[atom.name] = None
        if atom.asks == "present":
            return "(" + column.sql + " is not null)"
        if atom.asks == "true":
            return "(" + column.sql + " is true)" if column.is_nullable else column.sql
        values: list[Any] = [_uuid(value) if column.kind == "uuid" else value for value in atom.values]
        # The number of values so far makes the name; it is a number of ours and no text of anybody's.
        name: LiteralString = f"{self._prefix}_{len(self.values)}"
        self.values[name] = values[0] if len(values) == 1 else values
        compared: LiteralString = " = %(" + name + ")s" if len(values) == 1 else " = any(%(" + name + ")s)"
        return "((" + column.sql + compared + ") is true)" if column.is_nullable else "(" + column.sql + compared + ")"


def made(
    permits: Iterable[tuple[str, Condition]],
    refusals: Iterable[Condition],
    facts: FactSet,
    row_facts: tuple[RowFacts, ...] = (),
    actor: Actor = NOBODY,
) -> Filter:
    """A filter from what remains of the policies.

    Args:
        permits: Clause and condition of each policy that allows some row.
        refusals: Conditions under which something forbids, or cannot be told.
        facts: The moment.
        row_facts: Who tells facts of rows.
        actor: Who lists.
    """
    allowing = [(clause, condition) for clause, condition in permits if condition != FALSE]
    condition = all_of(
        [
            conditions.any_of(each for _, each in allowing),
            *(conditions.opposite(each) for each in refusals),
        ]
    )
    clauses = tuple(dict.fromkeys(clause for clause, _ in allowing)) if condition != FALSE else ()
    return Filter(condition, clauses, facts, row_facts, actor)
