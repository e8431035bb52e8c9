"""What a program asks a notice: the terms of one thing, by its key."""

from __future__ import annotations

from typing import TypeVar

from troth.notice.clauses.base import Clause
from troth.notice.clauses.category import Category
from troth.notice.clauses.purpose import Purpose
from troth.notice.clauses.retention import Retention
from troth.notice.clauses.right import Right
from troth.notice.model import Notice

C = TypeVar("C", bound=Clause)


def retention(notice: Notice, category: str = "imaging_study") -> Retention:
    """The retention rule of a thing.

    Args:
        notice: The notice in force.
        category: Key of the rule, such as `imaging_study`.

    Raises:
        KeyError: The notice has no such rule.
    """
    return _of(Retention, notice.find("retention", category), category)


def right(notice: Notice, kind: str) -> Right:
    """The terms of a right.

    Args:
        notice: The notice in force.
        kind: `access`, `erase`, `rectify`, `restrict`, `object`, `port` and so on.

    Raises:
        KeyError: The notice does not grant it.
    """
    found = next((clause for clause in notice.all("right") if getattr(clause, "right", "") == kind), None)
    return _of(Right, found, kind)


def purpose(notice: Notice, key: str) -> Purpose:
    """The activity behind a purpose.

    Args:
        notice: The notice in force.
        key: Such as `diagnosis`.

    Raises:
        KeyError: The notice has no such activity.
    """
    return _of(Purpose, notice.find("purpose", key), key)


def category(notice: Notice, key: str) -> Category:
    """A category of data.

    Args:
        notice: The notice in force.
        key: Such as `images`.

    Raises:
        KeyError: The notice has no such category.
    """
    return _of(Category, notice.find("category", key), key)


def _of(kind: type[C], found: Clause | None, key: str) -> C:
    if not isinstance(found, kind):
        raise KeyError(key)
    return found
