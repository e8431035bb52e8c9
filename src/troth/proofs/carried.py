"""What was found of one version, told of the next until that was looked at: what did not change stands as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from troth.notice import Clause, Notice, diff
from troth.proofs.model import Proven, Report, Standing

LOOKED_AT: Final = "this version is being looked at now"


def untold(clause: Clause, notice: Notice, why: str) -> Proven:
    """A promise of which nobody can say yet how it stands; a statement has nothing to keep.

    Args:
        clause: The promise.
        notice: Whose it is.
        why: In words.
    """
    section = next(section for section in notice.sections if clause in section.clauses)
    return Proven(
        clause_id=clause.id,
        kind=clause.kind,
        section=f"{section.number} {section.title}",
        says=clause.sentence(notice),
        promises=clause.promises,
        standing=Standing.STATED if clause.is_statement else Standing.UNPROVEN,
        enforcer=clause.enforcer(),
        looks_for=clause.looks_for(),
        reason="this says how things are" if clause.is_statement else why,
        is_blind=not clause.is_statement,
    )


def carried(report: Report, before: Notice, after: Notice) -> Report:
    """A report of one version, told of a later one that no run has looked at.

    A clause with the same sentence and the same terms stands as it was found. Of another nothing is said yet, unless
    it was broken: that is not ended by writing it otherwise.

    Args:
        report: Of the earlier version.
        before: The earlier version.
        after: The version in force.
    """
    changed = {each.clause_id for each in diff(before, after)}
    known = {each.clause_id: each for each in report.promises}

    def one(clause: Clause) -> Proven:
        new, old = untold(clause, after, LOOKED_AT), known.get(clause.id)
        if old is None or old.kind != new.kind:
            return new
        if clause.id in changed or old.says != new.says:
            return old if old.standing is Standing.BROKEN else new
        return replace(old, section=new.section)

    return replace(report, version=after.version, promises=tuple(one(clause) for clause in after.clauses))
