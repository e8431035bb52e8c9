"""The rows of `make bench`: what is measured, in which unit, and what DESIGN §8 asks for."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        id: Short name for `--rows`.
        work: What is done.
        unit: Of both figures.
        is_rate: Higher is better; else lower.
        ratio: Times better than the peer that is asked for, or None.
        bound: Figure that is asked for whatever the peer does, or None.
        is_alone: The peer has nothing to compare with.
    """

    id: str
    work: str
    unit: str
    is_rate: bool
    ratio: float | None = None
    bound: float | None = None
    is_alone: bool = False

    @property
    def budget(self) -> str:
        """The budget as text."""
        asked = []
        if self.ratio is not None:
            asked.append(f">= {self.ratio:g}x")
        if self.bound is not None:
            asked.append(f"{'>=' if self.is_rate else '<='} {self.bound:g} {self.unit}")
        return ", ".join(asked)


ROWS = [
    Row("cstore-1", "C-STORE, 1 association, 525 KB CT", "inst/s", True, ratio=1.4),
    Row("cstore-4", "C-STORE, 4 associations, 525 KB CT", "inst/s", True, ratio=1.2),
    Row("cstore-unmodified", "C-STORE, 1 association, client without TCP_NODELAY", "inst/s", True, ratio=5),
    Row("cstore-cpu", "C-STORE, 1 association, server CPU with database", "ms/inst", False, bound=2.4),
    Row("stow-1", "STOW-RS, 1 client, batches of 50", "inst/s", True, ratio=2.2),
    Row("stow-4", "STOW-RS, 4 clients, batches of 50", "inst/s", True, ratio=1.3),
    Row("stow-cpu", "STOW-RS, 1 client, server CPU with database", "ms/inst", False),
    Row("stow-memory", "STOW-RS, 4 clients, memory over idle", "MB", False, bound=120),
    Row("qido-patient", "QIDO-RS by PatientID, p50", "ms", False, bound=3),
    Row("qido-date", "QIDO-RS by month and modality, p50", "ms", False, bound=3),
    Row("wado-study", "WADO-RS study of 100 instances", "MB/s", True, bound=500),
    Row("metadata", "WADO-RS metadata of a series of 100", "ms", False, bound=10),
    Row("frames", "WADO-RS frames one by one", "frames/s", True, bound=400),
    Row("rendered", "WADO-RS rendered JPEG, one by one", "images/s", True, bound=150),
    Row("decision", "decision p50, 200 policies", "ms", False, bound=1, is_alone=True),
    Row("decision-denied", "decision p50, 200 policies, denied with its reason", "ms", False, bound=1, is_alone=True),
    Row("list-filtered", "list of 10,000 studies filtered in SQL", "ms", False, bound=50, is_alone=True),
]


@dataclass(frozen=True)
class Result:
    """A row with its figures: the medians of the rounds."""

    row: Row
    troth: list[float]
    peer: list[float]
    peer_version: str

    @property
    def ratio(self) -> float | None:
        """Times better than the peer; below 1 the peer is better. None where there is no peer."""
        if not self.peer:
            return None
        ours, theirs = median(self.troth), median(self.peer)
        return ours / theirs if self.row.is_rate else theirs / ours

    @property
    def is_met(self) -> bool | None:
        """Whether the budget is kept; None without one."""
        row, ours = self.row, median(self.troth)
        if row.ratio is None and row.bound is None:
            return None
        if row.ratio is not None and (self.ratio is None or self.ratio < row.ratio):
            return False
        if row.bound is None:
            return True
        return ours >= row.bound if row.is_rate else ours <= row.bound

    def as_json(self) -> dict[str, object]:
        """The line for FORMAT=json."""
        return {
            "work": self.row.work,
            "troth": round(median(self.troth), 2),
            "peer": round(median(self.peer), 2) if self.peer else None,
            "peer_version": self.peer_version if self.peer else None,
            "unit": self.row.unit,
            "ratio": round(self.ratio, 2) if self.ratio is not None else None,
            "budget": self.row.budget,
            "met": self.is_met,
        }

    def as_text(self) -> str:
        """The line for people: medians, and the range of our rounds."""
        met = {True: "met", False: "MISSED", None: ""}[self.is_met]
        spread = f"[{min(self.troth):.4g}-{max(self.troth):.4g}]"
        theirs = f"[{min(self.peer):.4g}-{max(self.peer):.4g}]" if self.peer else ""
        middle = f"{median(self.peer):.4g}" if self.peer else "-"
        ratio = f"{self.ratio:.2f}x" if self.ratio is not None else "-"
        return (
            f"{self.row.work:<52} {median(self.troth):>8.4g} {spread:<14} {middle:>8} {theirs:<14} "
            f"{self.row.unit:<9} {ratio:>7}  {self.row.budget:<22} {met}"
        )
