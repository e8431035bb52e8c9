"""A notice as data: its head, its sections, its clauses."""

# ruff: noqa: RUF009 - `term` declares a field, it makes no value
from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TypeVar
from zoneinfo import ZoneInfo

from troth.notice.clauses.base import Clause
from troth.notice.clauses.category import Category
from troth.notice.clauses.purpose import Purpose
from troth.notice.clauses.retention import Retention
from troth.notice.clauses.right import Right
from troth.notice.right_terms import RightTerms
from troth.notice.terms import term
from troth.notice.vocabulary import AUDIENCES, PLACES, SURFACES, places

C = TypeVar("C", bound=Clause)


@dataclass(frozen=True, kw_only=True)
class Cover:
    """What a reader of one audience sees first."""

    audience: str = term("For whom", choices=AUDIENCES)
    title: str = term("The heading of the page")
    lead: str = term("One or two sentences below it")


@dataclass(frozen=True, kw_only=True)
class Short:
    """One row of "In short"."""

    audience: str = term("For whom", choices=AUDIENCES)
    ask: str = term("The question in a word or three, such as: How long")
    answer: str = term("The answer in one or two short sentences")
    clause: str = term("The clause that says it in full", pattern=r"^[0-9]{1,3}\.[0-9]{1,3}$")


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands above the sections."""

    notice: str = term("Short name of the notice, such as imaging-cloud", pattern=r"^[a-z][a-z0-9-]{0,63}$")
    version: int = term("Number of the version; one more for every change")
    effective_on: date = term("From which day it counts")
    deployment: str = term("Name of the service, as its users know it")
    language: str = term("Language of the sentences (BCP 47)", pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")
    zone: str = term(
        "Time zone in which days are counted, such as Europe/London", pattern=r"^[A-Za-z_]+(/[A-Za-z_]+)*$"
    )
    surfaces: tuple[str, ...] = term(
        "Where the notice holds: every way in and out of the service",
        choices=SURFACES,
        least=1,
    )
    covers: tuple[Cover, ...] = term("What each audience sees first; audiences without a cover get no page", least=1)
    short: tuple[Short, ...] = term("The rows of In short", default=())
    applies_in: tuple[str, ...] = term(
        "Where the reader lives: ISO 3166 codes, EU or EEA; left out, everywhere", choices=PLACES, default=()
    )
    supplements: str = term(
        "Short name of the notice that this one adds to; readers get both, and this one goes first", default=""
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered section."""

    number: int
    title: str
    clauses: tuple[Clause, ...]
    line: int


@dataclass(frozen=True)
class Notice:
    """One version of one notice, as loaded.

    Attributes:
        head: What stands above the sections.
        sections: In their order.
        path: The file it came from, as it was named.
        source: Its YAML text, exactly.
    """

    head: Head
    sections: tuple[Section, ...]
    path: str
    source: str

    @cached_property
    def clauses(self) -> tuple[Clause, ...]:
        """All clauses, in the order of the notice."""
        return tuple(clause for section in self.sections for clause in section.clauses)

    @cached_property
    def _by_key(self) -> dict[tuple[str, str], Clause]:
        return {(clause.kind, clause.key): clause for clause in reversed(self.clauses) if clause.key}

    @cached_property
    def _by_id(self) -> dict[str, Clause]:
        return {clause.id: clause for clause in reversed(self.clauses)}

    def find(self, kind: str, key: str) -> Clause | None:
        """The clause of a kind with this key, or None."""
        return self._by_key.get((kind, key))

    def clause(self, clause_id: str) -> Clause | None:
        """The clause with this number, such as "4.1", or None."""
        return self._by_id.get(clause_id)

    def all(self, kind: str) -> tuple[Clause, ...]:
        """All clauses of a kind, in the order of the notice."""
        return tuple(clause for clause in self.clauses if clause.kind == kind)

    @property
    def name(self) -> str:
        """Short name, such as `imaging-cloud`."""
        return self.head.notice

    @property
    def version(self) -> int:
        """Number of the version."""
        return self.head.version

    @property
    def label(self) -> str:
        """Name and version, as permits and ledger entries carry it."""
        return f"{self.head.notice} {self.head.version}"

    @property
    def audiences(self) -> tuple[str, ...]:
        """The audiences that it has a page for."""
        return tuple(cover.audience for cover in self.head.covers)

    @property
    def regions(self) -> tuple[str, ...]:
        """ISO 3166 codes of the places where the notice says that data is kept."""
        found = {region for clause in self.all("residency") for region in getattr(clause, "regions", ())}
        return tuple(sorted(found))

    @property
    def places(self) -> frozenset[str]:
        """ISO 3166 codes of the countries whose readers it is for; empty when it is for all."""
        return places(self.head.applies_in)

    def applies_to(self, audience: str, region: str = "") -> bool:
        """Whether it is for a reader of this audience who lives there.

        Args:
            audience: `patients`, `users` or `visitors`.
            region: ISO 3166 code; empty when nobody knows, and then only notices for everywhere apply.
        """
        return audience in self.audiences and (not self.head.applies_in or region in self.places)

    @cached_property
    def zone(self) -> ZoneInfo:
        """Time zone in which days are counted."""
        return ZoneInfo(self.head.zone)

    @property
    def promises(self) -> frozenset[str]:
        """Ids of the ledger of promises that some clause states."""
        return frozenset(promise for clause in self.clauses for promise in clause.promises)

    def category(self, key: str) -> Category:
        """A category of data, such as `images`.

        Raises:
            KeyError: The notice has no such category.
        """
        return _of(Category, self.find("category", key), key)

    def purpose(self, key: str) -> Purpose:
        """The activity behind a purpose, such as `diagnosis`.

        Raises:
            KeyError: The notice has no such activity.
        """
        return _of(Purpose, self.find("purpose", key), key)

    def retention(self, key: str = "imaging_study") -> Retention:
        """The retention rule of a thing, such as `imaging_study`.

        Raises:
            KeyError: The notice has no such rule.
        """
        return _of(Retention, self.find("retention", key), key)

    def right(self, kind: str) -> RightTerms:
        """The terms of a right: `access`, `erase`, `rectify`, `restrict`, `object`, `port` and so on.

        Raises:
            KeyError: The notice does not grant it.
        """
        found = next((clause for clause in self.all("right") if getattr(clause, "right", "") == kind), None)
        return RightTerms(_of(Right, found, kind), self.zone)


def _of(kind: type[C], found: Clause | None, key: str) -> C:
    if not isinstance(found, kind):
        raise KeyError(key)
    return found


def retention(notice: Notice, category: str = "imaging_study") -> Retention:
    """The retention rule of a thing; see `Notice.retention`."""
    return notice.retention(category)


def right(notice: Notice, kind: str) -> RightTerms:
    """The terms of a right; see `Notice.right`."""
    return notice.right(kind)
