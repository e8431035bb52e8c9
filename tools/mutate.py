"""Take each enforcement out, one at a time: every one must be missed by what shows the promises.

Each compiled policy of each notice is left out, and turned round: that must break an expectation, of those written by
hand from the sentences of the notices (`tests/promises/expected/`). Facts, row policies of the database and orderings
are taken out by the edits of `tests/promises/edits/`: each must break a promise test; see `tools/edits.py`. What
nothing misses is a promise that no test would miss.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.common import expected  # noqa: E402
from tools import edits  # noqa: E402
from troth.notice import Policy  # noqa: E402
from troth.policy.decision import Decider  # noqa: E402

_EVERY = ["policy", *edits.KINDS]


@dataclass
class Score:
    """How the mutants of one notice fared."""

    notice: str
    policies: int = 0
    wrong: list[str] = field(default_factory=list)
    killed: int = 0
    survived: list[str] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """Killed of all, in percent; nothing while the notice itself does not meet what is expected."""
        mutants = self.killed + len(self.survived)
        return 0.0 if self.wrong or not mutants else 100 * self.killed / mutants

    def as_json(self) -> dict[str, object]:
        """The line for FORMAT=json."""
        return {
            "notice": self.notice,
            "policies": self.policies,
            "mutants": self.killed + len(self.survived),
            "killed": self.killed,
            "survived": self.survived,
            "wrong": self.wrong,
            "score": round(self.percent, 1),
        }


class Changed(Decider):
    """A decider with one policy left out or turned round. What Cedar said of the others is not asked again.

    Args:
        whole: With all policies as they are.
        number: Place of the policy.
        turned: What stands in its place; nothing leaves it out.
    """

    def __init__(self, whole: Decider, number: int, turned: Policy | None) -> None:
        policies = list(whole.compiled.policies)
        policies[number : number + 1] = [turned] if turned is not None else []
        kept = 1 if turned is not None else 0
        self.compiled = replace(whole.compiled, policies=tuple(policies))
        self._read = whole._read[: number + kept] + whole._read[number + 1 :]
        self._scopes = whole._scopes[: number + kept] + whole._scopes[number + 1 :]
        self._actions, self._purposes = whole._actions, whole._purposes
        self._bearing = {}


def mutants(whole: Decider, number: int) -> Iterator[tuple[str, Decider]]:
    """A policy left out, and the policy with the opposite effect."""
    policy = whole.compiled.policies[number]
    words = " ".join(policy.text.split())
    yield f"without {words}", Changed(whole, number, None)
    yield f"opposite of {words}", Changed(whole, number, _turned(policy))


def _turned(policy: Policy) -> Policy:
    if policy.effect == "permit":
        return replace(policy, effect="forbid", text=policy.text.replace("permit (", "forbid (", 1))
    return replace(policy, effect="permit", text=policy.text.replace("forbid (", "permit (", 1))


def measure(name: str) -> Score:
    """The score of one notice; one of which nothing is expected has none.

    Args:
        name: Folder of `notices/`.
    """
    score = Score(name)
    rows = expected.of_notice(name) if name in expected.names() else []
    whole = Decider(expected.compiled(name))
    score.policies = len(whole.compiled.policies)
    score.wrong = [str(row) for row in rows if not row.is_met(whole)]
    witnesses: dict[str, list[expected.Expected]] = {}  # a row that never named a clause cannot miss a policy of it
    for row in rows:
        if not row.is_met(whole):
            continue
        verdict = row.verdict(whole)
        for clause_id in {*verdict.allowed_by, *verdict.forbidden_by}:
            witnesses.setdefault(clause_id, []).append(row)
    for number, policy in enumerate(whole.compiled.policies):
        near = witnesses.get(policy.clause_id, [])
        for words, mutant in mutants(whole, number):
            killer = next((row for row in near if not row.is_met(mutant)), None)
            if killer is None:
                score.survived.append(words)
                continue
            score.killed += 1
            near.remove(killer)
            near.insert(0, killer)  # what misses a policy misses its opposite as well
        if near:
            near.append(near.pop(0))  # and the next policy is likely missed by the next row
    return score


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; 0 where every mutant of every notice was killed, and every edit noticed.

    Args:
        words: Arguments; those of the command line when left out.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--kind", action="append", choices=["policy", *edits.KINDS], help="all when left out")
    parser.add_argument("--edit", action="append", default=[], help="only this edit; may be repeated")
    parser.add_argument("--again", action="store_true", help="also what was measured before and has not changed")
    parser.add_argument("--told", action="store_true", help="only tell what was measured before; measure no edit")
    parser.add_argument("--keep", action="store_true", help="write the edits into docs/mutation.md")
    parser.add_argument("notices", nargs="*", help="folders of notices/, and nothing else; all when left out")
    chosen = parser.parse_args(words)
    kinds = ["policy"] if chosen.notices else chosen.kind or [] if chosen.edit else chosen.kind or _EVERY
    folders = chosen.notices or sorted(path.parent.name for path in ROOT.glob("notices/*/organisations.yaml"))
    scores = [measure(name) for name in folders] if "policy" in kinds else []
    wanted = [each for each in edits.every() if each.kind in kinds or each.id in chosen.edit]
    if chosen.told:
        outcomes = [one for one in edits.kept().values() if one.edit in {edit.id for edit in wanted}]
    else:
        outcomes = edits.measured(wanted, _say, again=chosen.again)
    if chosen.keep:
        edits.keep(outcomes)
    if chosen.format == "json":
        print(json.dumps([*(score.as_json() for score in scores), *(asdict(one) for one in outcomes)], indent=1))
    else:
        for score in scores:
            _print(score)
        if rows := [edits.row_of(one) for one in outcomes]:
            print(f"{edits.table(rows)}\n{edits.summary(rows)}")
    is_noticed = len(outcomes) == len(wanted) and all(one.noticed_by for one in outcomes)
    is_whole = is_noticed and all(score.percent == 100 for score in scores)
    return 0 if is_whole else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(score: Score) -> None:
    for words in score.wrong:
        print(f"  WRONG     {words}")
    for words in score.survived:
        print(f"  SURVIVED  {words[:300]}")
    outcome = f"{score.killed} of {score.killed + len(score.survived)} mutants killed  {score.percent:.1f} %"
    print(f"{score.notice:<20} {score.policies:>4} policies  {outcome}")


if __name__ == "__main__":
    sys.exit(main())
