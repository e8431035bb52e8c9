"""The notice as a reader sees it: sections, sentences, how each is kept, and what it comes down to."""

from __future__ import annotations

from dataclasses import dataclass

from troth.notice.clauses.base import Row
from troth.notice.model import Cover, Notice, Short


@dataclass(frozen=True, slots=True)
class Sentence:
    """One promise on the page.

    Attributes:
        clause_id: Its number, such as "4.1".
        kind: Kind of the clause.
        says: The promise, to be read aloud.
        promises: Ids in the ledger of promises.
        kept: "How this is kept", line by line; the last is the proof that is looked for.
        enforcer: The part of the program that keeps it, such as `policy.decision`.
        evidence: Kinds of ledger entries that bear on it.
    """

    clause_id: str
    kind: str
    says: str
    promises: tuple[str, ...]
    kept: tuple[Row, ...]
    enforcer: str
    evidence: tuple[str, ...]

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
    evidence = found.evidence()
    rows = (*found.kept(notice), Row("Proof", evidence.looks_for))
    return Sentence(
        found.id, found.kind, found.sentence(notice), found.promises, rows, found.enforcer(), evidence.kinds
    )
