"""Conditions on a row that nobody has read yet: a small algebra that decides what can be decided, and keeps the rest.

An atom asks one thing of a row. Everything is kept flat and simplified while it is built, so that a condition that is
always true or never true shows as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Row: TypeAlias = Mapping[str, str | bool | None]


@dataclass(frozen=True, slots=True)
class Atom:
    """One question about an attribute of a row.

    Attributes:
        name: The attribute, such as `subject`.
        asks: `present`: it has a value. `true`: it is true. `equal`: it is one of `values`.
        values: What it is compared with, sorted.
    """

    name: str
    asks: Literal["present", "true", "equal"]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of an atom."""

    atom: Atom


@dataclass(frozen=True, slots=True)
class All:
    """Every one of these holds; none of none is never met, so `TRUE` is all of none."""

    parts: frozenset[Condition]


@dataclass(frozen=True, slots=True)
class Any:
    """One of these holds; `FALSE` is any of none."""

    parts: frozenset[Condition]


Condition: TypeAlias = Atom | Not | All | Any
TRUE = All(frozenset())
FALSE = Any(frozenset())


def opposite(condition: Condition) -> Condition:
    """What holds exactly where this does not."""
    match condition:
        case Atom():
            return Not(condition)
        case Not(atom):
            return atom
        case All(parts):
            return any_of(opposite(part) for part in parts)
    return all_of(opposite(part) for part in condition.parts)


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Every one of them."""
    return _joined(All, Any, conditions)


def any_of(conditions: Iterable[Condition]) -> Condition:
    """One of them at least."""
    return _joined(Any, All, conditions)


def _joined(kind: type[All | Any], other: type[All | Any], conditions: Iterable[Condition]) -> Condition:
    """Join flat, and drop what the rest decides: of `a and (not a or b)` remains `a and b`."""
    parts: set[Condition] = set()
    for condition in conditions:
        parts |= condition.parts if isinstance(condition, kind) else {condition}
    if len(parts) < 2:
        return next(iter(parts)) if parts else kind(frozenset())
    nothing: Condition = other(frozenset())
    while True:
        if nothing in parts or any(opposite(part) in parts for part in parts if isinstance(part, Atom | Not)):
            return nothing
        settled = {part for part in parts if not isinstance(part, other)}
        reduced = set(settled)
        for part in parts - settled:
            assert isinstance(part, other)
            if part.parts & settled:
                continue  # one of its parts holds here anyway
            left = {inner for inner in part.parts if not _is_atomic(inner) or opposite(inner) not in settled}
            joined = _joined(other, kind, left)
            reduced |= joined.parts if isinstance(joined, kind) else {joined}
        if reduced == parts:
            return next(iter(parts)) if len(parts) == 1 else kind(frozenset(parts))
        parts = reduced


def _is_atomic(condition: Condition) -> bool:
    return isinstance(condition, Atom | Not)


def mapped(condition: Condition, change: Callable[[Atom], Condition]) -> Condition:
    """The same condition with each atom replaced.

    Args:
        condition: A condition.
        change: What stands for an atom.
    """
    match condition:
        case Atom():
            return change(condition)
        case Not(atom):
            return opposite(change(atom))
        case All(parts):
            return all_of(mapped(part, change) for part in parts)
    return any_of(mapped(part, change) for part in condition.parts)


def holds(condition: Condition, row: Row) -> bool:
    """Whether it holds for a row.

    Args:
        condition: A condition.
        row: Attribute to value; what is not there is not present.
    """
    match condition:
        case Atom(name, asks, values):
            value = row.get(name)
            if asks == "present":
                return value is not None
            return value is True if asks == "true" else value in values
        case Not(atom):
            return not holds(atom, row)
        case All(parts):
            return all(holds(part, row) for part in parts)
    return any(holds(part, row) for part in condition.parts)
