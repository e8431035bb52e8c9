"""What the platform said of itself: results of runs, and promises found broken, as their entries have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Checked

_RAN, _BROKEN = "proofs:run:ended", "proofs:clause:broken"
_MENDED, _ANSWERED = "proofs:clause:mended", "proofs:breach:answered"
_KEPT_RUNS: Final = 256
KINDS: Final = (_RAN, _BROKEN, _MENDED, _ANSWERED)


class Own:
    """Runs and breaks by their ids, and how many entries there are from before entries named any."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        """SHA-256 of the results by run, the newest last."""
        self.breaches: dict[str, str] = {}
        """How each break stands: `open`, `mended`, or `answered:` with how much was answered for."""
        self.nameless: Counter[str] = Counter()
        """Entries of each kind that name no run and no break: written before the program named them."""

    def see(self, leaf: Leaf) -> None:
        """An entry of ours about ourselves."""
        if leaf.kind == _RAN and leaf.ref("run"):
            self.runs[leaf.ref("run")] = leaf.word("sha256")
            if len(self.runs) > _KEPT_RUNS:
                del self.runs[next(iter(self.runs))]
        elif leaf.kind == _BROKEN and leaf.ref("breach"):
            self.breaches[leaf.ref("breach")] = "open"
        elif leaf.kind in (_RAN, _BROKEN):
            self.nameless[leaf.kind] += 1
        elif leaf.kind == _MENDED and leaf.ref("breach"):
            self.breaches[leaf.ref("breach")] = "mended"
        elif leaf.kind == _ANSWERED:
            self.breaches[leaf.ref("breach")] = f"answered:{leaf.counts.get('against', 0)}"

    def compared(self, runs: Mapping[str, str], breaches: Mapping[str, str], waiting: Collection[str]) -> Checked:
        """Hold the tables against the entries.

        A row from before entries named any counts as not named, and not as changed: as many as there are such entries.
        Nobody could answer for one then, so one that was answered is named.

        Args:
            runs: SHA-256 of the results that are stored, by run.
            breaches: The breaks that are stored, and how each stands.
            waiting: Runs and breaks whose entries have no place in the tree yet.
        """
        wrong = [
            *(f"the results of run {run}" for run in self._differing(runs, self.runs, waiting, _RAN)),
            *(f"the break {breach}" for breach in self._differing(breaches, self.breaches, waiting, _BROKEN)),
            *(f"the break {breach}, which is gone" for breach in self.breaches if breach not in breaches),
        ]  # fmt: skip
        if wrong:
            more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            return Checked("tamper_evident", False, f"what was found of promises was changed: {wrong[0]}{more}")
        return Checked("tamper_evident", True, f"{len(runs)} stored results are those that the ledger names")

    def _differing(
        self, stored: Mapping[str, str], named: Mapping[str, str], waiting: Collection[str], kind: str
    ) -> list[str]:
        """The newest rows first, of which the newest are those that cannot be from before."""
        unlike = [each for each, state in stored.items() if named.get(each) != state and each not in waiting]
        before = [each for each in unlike if each not in named and not stored[each].startswith("answered:")]
        kept = set(before[max(0, len(before) - self.nameless[kind]) :])
        return [each for each in unlike if each not in kept]
