"""What every kind of promise has: its words, its rule, its proof, and the part of the program that keeps it."""

# ruff: noqa: RUF009 - `term` declares a field, it makes no value
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Literal, Protocol, TypeVar, dataclass_transform

from troth.notice.needs import Need
from troth.notice.terms import SLUG, term
from troth.notice.vocabulary import AUDIENCES


@dataclass(frozen=True, slots=True)
class Policy:
    """One Cedar policy of a clause.

    Attributes:
        clause_id: The clause it comes from; also its `@id`.
        text: The policy, with its annotation.
        effect: `permit` or `forbid`.
        under: Further clauses it rests on, such as that of the recipient.
        purpose: The purpose it serves; empty for a rule of all purposes.
        basis: DPV name of the lawful basis, such as `A6-1-f`.
        obligations: What whoever uses the permit has to do, such as `region:GB`.
        says: The sentence of the clause, for whoever may be told why something is refused.
        role: The role that a permit is for.
        does: The actions that a permit is for.
        requires: The claims that a permit asks for.
        levels: The levels of service that have what a prohibition keeps from all others.
    """

    clause_id: str
    text: str
    effect: Literal["permit", "forbid"]
    under: tuple[str, ...] = ()
    purpose: str = ""
    basis: str = ""
    obligations: tuple[str, ...] = ()
    says: str = ""
    role: str = ""
    does: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a clause, found by the clause itself; `check` adds the place."""

    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class Limit:
    """When something that a clause rests on begins and ends.

    Attributes:
        what: What it is, such as "the contract".
        since: First day, if it has one.
        until: Last day, if it has one.
    """

    what: str
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line below a sentence: what it is about, and the words."""

    term: str
    words: str


@dataclass(frozen=True, kw_only=True)
class LegalSource:
    """Where a number comes from, and when somebody looks again."""

    source: str = term("The rule, as a lawyer would cite it")
    effective_on: date = term("Since when it applies")
    review_on: date = term("When somebody has to look whether it still applies")
    url: str = term("Where it can be read", default="")


class Lookup(Protocol):
    """How a clause finds the others of its notice without knowing their kinds."""

    def find(self, kind: str, key: str) -> Clause | None:
        """The clause of a kind with this key, or None."""
        ...

    def all(self, kind: str) -> tuple[Clause, ...]:
        """All clauses of a kind, in the order of the notice."""
        ...

    @property
    def audiences(self) -> tuple[str, ...]:
        """The audiences that the notice has a page for."""
        ...

    @property
    def regions(self) -> tuple[str, ...]:
        """ISO 3166 codes of the places where the notice says that data is kept."""
        ...


@dataclass(frozen=True, kw_only=True)
class Clause(ABC):
    """One promise.

    Attributes:
        kind: The word that stands in the file.
        about: What the kind is for, for authors and for the reference page.
        reach: Where several notices are in force together: a prohibition of the kind acts in the whole deployment, as
            a safeguard does, or only for what its own notice is about.
        line: Line in the file.
    """

    kind: ClassVar[str] = ""
    about: ClassVar[str] = ""
    reach: ClassVar[Literal["deployment", "notice"]] = "deployment"

    id: str = term(
        "Number of the clause, section.number; once published it keeps its meaning", pattern=r"^[0-9]{1,3}\.[0-9]{1,3}$"
    )
    key: str = term("Short name by which other clauses and the program refer to it", pattern=SLUG, default="")
    says: str = term(
        "The promise in the author's own words, to be read aloud; left out, it is made from the terms", default=""
    )
    promises: tuple[str, ...] = term(
        "Ids in the ledger of promises that this clause states", pattern=r"^[A-Z]{2}-[0-9]{2}$", default=()
    )
    audiences: tuple[str, ...] = term(
        "Who it is for; left out, everybody", choices=AUDIENCES, name="for", default=AUDIENCES
    )
    not_yet: bool | tuple[str, ...] = term(
        "That it is promised and cannot be done yet: true, or the parts that cannot, such as extend; the check names "
        "them, and asks to take the mark off when they can",
        pattern=SLUG,
        least=1,
        default=False,
    )
    line: int = 0

    def sentence(self, notice: Lookup) -> str:
        """The promise as it is read aloud."""
        return self.says or self.wording(notice)

    def wording(self, notice: Lookup) -> str:
        """The promise made from its terms, for authors who write none of their own."""
        return ""

    def policies(self, notice: Lookup) -> Iterator[Policy]:
        """The Cedar policies that make it so; none where another part of the program does."""
        yield from ()

    @property
    def is_statement(self) -> bool:
        """Whether it says how things are, and promises nothing that could be kept or broken."""
        return False

    def enforcer(self) -> str:
        """The one part of the program that keeps it, or an empty string when nothing does."""
        return ""

    @abstractmethod
    def looks_for(self) -> str:
        """What is computed over all that happened to say whether it is kept, as one sentence."""

    @abstractmethod
    def kept(self, notice: Lookup) -> Iterator[Row]:
        """How this is kept, apart from the proof: basis, what stops us, and so on."""

    def prerequisites(self, notice: Lookup) -> Iterator[Need]:
        """What the program has to have for it; what has no verb cannot be promised. Prohibitions need nothing."""
        yield from ()

    def faults(self, notice: Lookup) -> Iterator[Fault]:
        """What is wrong with it, taken together with the others."""
        yield from ()

    def limits(self) -> Iterator[Limit]:
        """When what it rests on begins and ends."""
        yield from ()

    def content(self) -> dict[str, Any]:
        """Its terms without its place, to compare versions."""
        return {name: value for name, value in vars(self).items() if name != "line"}


C = TypeVar("C", bound=Clause)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def clause(
    name: str, about: str, *, reach: Literal["deployment", "notice"] = "deployment"
) -> Callable[[type[C]], type[C]]:
    """Make a class a kind of clause. Used once in each file of `clauses/`.

    Args:
        name: The word that stands in the file.
        about: What the kind is for.
        reach: How far its prohibitions act; see `Clause`.
    """

    def declare(model: type[C]) -> type[C]:
        made = dataclass(frozen=True, kw_only=True)(model)
        made.kind = name
        made.about = about
        made.reach = reach
        return made

    return declare
