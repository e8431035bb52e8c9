"""Whether something stands past its day: the half of a retention rule that no entry can show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from troth.lifecycle import Overdue
from troth.notice import Clause, Notice
from troth.proofs.model import Finding, Verdict

_LOOK: Final = "overdue"


def findings(
    notices: Iterable[Notice], overdue: Sequence[Overdue] | None
) -> Mapping[tuple[str, str], Sequence[Finding]]:
    """What was counted, by notice and clause; where nothing counts it, that is said.

    What stands past its day is so now: disposing of it ends that, and no words do.

    Args:
        notices: In force.
        overdue: What was counted; None where nobody could.
    """
    return {
        (notice.name, clause.id): [_finding(notice, clause, overdue or ())]
        for notice in notices
        for clause in notice.all("retention")
    }


def _finding(notice: Notice, clause: Clause, overdue: Sequence[Overdue]) -> Finding:
    activities = {each.key for each in notice.all("purpose") if clause.key in getattr(each, "retention", ())}
    mine = [each for each in overdue if each.clause == clause.id and (not each.activity or each.activity in activities)]
    held, past = sum(each.held for each in mine), sum(each.past for each in mine)
    if past:
        return Finding(_LOOK, Verdict.BROKEN, "something is kept past its day", held - past, held, late=past)
    if mine and all(each.is_whole for each in mine):
        return Finding(_LOOK, Verdict.HOLDS, "nothing is kept past its day", held, held)
    return Finding(_LOOK, Verdict.BLIND, "nothing computes yet whether something is kept past its day")
