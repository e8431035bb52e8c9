"""The notice as a reader sees it: sections, sentences, how each is kept, and what it comes down to."""

from __future__ import annotations

from dataclasses import dataclass

from troth.notice.clauses.base import Clause, Row
from troth.notice.model import Cover, Notice, Short
from troth.notice.needs import is_marked


@dataclass(frozen=True, slots=True)
class Sentence:
    """One promise on the page.

    Attributes:
        clause_id: Its number, such as "4.1".
        kind: Kind of the clause.
        says: The promise, to be read aloud.
        promises: Ids in the ledger of promises.
        kept: "How this is kept", line by line: first what is not possible yet, last what is looked for.
        enforcer: The part of the program that keeps it, such as `policy.decision`.
    """

    clause_id: str
    kind: str
    says: str
    promises: tuple[str, ...]
    kept: tuple[Row, ...]
    enforcer: str

    @property
    def anchor(self) -> str:
        """Id of the place on the page, such as `p4-1`."""
        return "p" + self.clause_id.replace(".", "-")


@dataclass(frozen=True, slots=True)
class RenderedSection:
    """A section with the promises that are for this audience."""

    number: int
    title: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A notice for one audience."""

    notice: Notice
    cover: Cover
    short: tuple[Short, ...]
    sections: tuple[RenderedSection, ...]

    @property
    def promises(self) -> int:
        """How many promises the page makes."""
        return sum(len(section.sentences) for section in self.sections)


def render(notice: Notice, audience: str = "patients") -> Rendered:
    """The notice for one audience.

    Args:
        notice: The notice.
        audience: `patients`, `users` or `visitors`.

    Raises:
        KeyError: The notice has no page for this audience.
    """
    covers = {cover.audience: cover for cover in notice.head.covers}
    sections = []
    for section in notice.sections:
        sentences = tuple(sentence(notice, clause.id) for clause in section.clauses if audience in clause.audiences)
        if sentences:
            sections.append(RenderedSection(section.number, section.title, sentences))
    short = tuple(row for row in notice.head.short if row.audience == audience)
    return Rendered(notice, covers[audience], short, tuple(sections))


def sentence(notice: Notice, clause_id: str) -> Sentence:
    """One promise as a reader sees it.

    Args:
        notice: The notice.
        clause_id: Its number, such as "4.1".

    Raises:
        KeyError: The notice has no such clause.
    """
    found = notice.clause(clause_id)
    if found is None:
        raise KeyError(clause_id)
    lacks = lacking(found, notice)
    first = (Row("Not yet", f"we promise this and cannot do all of it: {'; '.join(lacks)}"),) if lacks else ()
    rows = (*first, *found.kept(notice), Row("Looked for", found.looks_for()))
    return Sentence(found.id, found.kind, found.sentence(notice), found.promises, rows, found.enforcer())


def lacking(clause: Clause, notice: Notice) -> tuple[str, ...]:
    """What a clause itself says is not possible yet, each in words; empty where all of it is.

    Args:
        clause: Of the notice.
        notice: The notice.
    """
    if clause.not_yet is False:
        return ()
    words = tuple(dict.fromkeys(need.lacks for need in clause.prerequisites(notice) if is_marked(clause, need)))
    return words or ("nothing here does this",)
