"""What the platform said of itself: results of runs, and promises found broken, as their entries have them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from troth.proofs.looks.leaf import Leaf
from troth.proofs.model import Checked

_RAN, _BROKEN = "proofs:run:ended", "proofs:clause:broken"
_MENDED, _ANSWERED = "proofs:clause:mended", "proofs:breach:answered"
_KEPT_RUNS: Final = 256


class Own:
    """Runs and breaks by their ids. Entries from before they named any are left out."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        """SHA-256 of the results by run, the newest last."""
        self.breaches: dict[str, str] = {}
        """How each break stands: `open`, `mended`, or `answered:` with how much was answered for."""

    def see(self, leaf: Leaf) -> None:
        """An entry of ours about ourselves."""
        if leaf.kind == _RAN and leaf.ref("run"):
            self.runs[leaf.ref("run")] = leaf.word("sha256")
            if len(self.runs) > _KEPT_RUNS:
                del self.runs[next(iter(self.runs))]
        elif leaf.kind == _BROKEN and leaf.ref("breach"):
            self.breaches[leaf.ref("breach")] = "open"
        elif leaf.kind == _MENDED and leaf.ref("breach"):
            self.breaches[leaf.ref("breach")] = "mended"
        elif leaf.kind == _ANSWERED:
            self.breaches[leaf.ref("breach")] = f"answered:{leaf.counts.get('against', 0)}"

    def compared(self, runs: Mapping[str, str], breaches: Mapping[str, str], waiting: Collection[str]) -> Checked:
        """Hold the tables against the entries.

        Args:
            runs: SHA-256 of the results that are stored, by run.
            breaches: The breaks that are stored, and how each stands.
            waiting: Runs and breaks whose entries have no place in the tree yet.
        """
        wrong = [
            *(f"the results of run {run}" for run, sha256 in runs.items() if self._differs(run, sha256, waiting)),
            *(
                f"the break {breach}" for breach, state in breaches.items()
                if self.breaches.get(breach) != state and breach not in waiting
            ),
            *(f"the break {breach}, which is gone" for breach in self.breaches if breach not in breaches),
        ]  # fmt: skip
        if wrong:
            more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            return Checked("tamper_evident", False, f"what was found of promises was changed: {wrong[0]}{more}")
        return Checked("tamper_evident", True, f"{len(runs)} stored results are those that the ledger names")

    def _differs(self, run: str, sha256: str, waiting: Collection[str]) -> bool:
        return run not in waiting and self.runs.get(run) != sha256
