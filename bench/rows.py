"""The rows of `make bench`: what is measured, in which unit, and what DESIGN §8 asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        id: Short name for `--rows`.
        work: What is done; may name the options `{studies}`.
        unit: Of both figures.
        is_rate: Higher is better; else lower.
        ratio: Times better than the peer that is asked for, or None.
        bound: Figure that is asked for whatever the peer does, or None.
        is_alone: The peer has nothing to compare with, and no server of the run takes part.
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
    Row("stow-flat", "STOW-RS, 4 clients, memory that 24 more batches of 26 MB add", "MB", False),
    Row("qido-patient", "QIDO-RS by PatientID, p50 of {studies:,} studies", "ms", False, bound=3),
    Row("qido-patient-p95", "QIDO-RS by PatientID, p95 of {studies:,} studies", "ms", False, bound=20),
    Row("qido-date", "QIDO-RS by month and modality, p50 of {studies:,} studies", "ms", False, bound=3),
    Row("qido-date-p95", "QIDO-RS by month and modality, p95 of {studies:,} studies", "ms", False, bound=20),
    Row("wado-study", "WADO-RS study of 100 instances", "MB/s", True, bound=500),
    Row("metadata", "WADO-RS metadata of a series of 100", "ms", False, bound=10),
    Row("frames", "WADO-RS frames one by one", "frames/s", True, bound=400),
    Row("rendered", "WADO-RS rendered JPEG, one by one", "images/s", True, bound=150),
    Row("zip", "study of 100 instances as a zip with DICOMDIR", "MB/s", True, bound=200),
    Row("erase", "patient with 1,000 instances erased: unreadable", "ms", False, bound=50),
    Row("erase-whole", "patient with 1,000 instances erased: all done", "ms", False),
    Row("start-first", "cold start of the whole stack, new folder", "s", False, bound=3),
    Row("start", "cold start of the whole stack, folder in use", "s", False, bound=3),
    Row("idle-memory", "memory of the whole stack, idle (PSS)", "MB", False, bound=250),
    Row("idle-cpu", "CPU of the whole stack, idle", "ms/s", False),
    Row("ledger", "ledger, entries appended by 8 connections", "/s", True, bound=3000, is_alone=True),
    Row(
        "ledger-inclusion",
        "ledger, from commit to place in the signed tree, p99",
        "ms",
        False,
        bound=1000,
        is_alone=True,
    ),
    Row("decision", "decision p50, 200 policies", "ms", False, bound=1, is_alone=True),
    Row("decision-denied", "decision p50, 200 policies, denied with its reason", "ms", False, bound=1, is_alone=True),
    Row("list-filtered", "list of 10,000 studies filtered in SQL", "ms", False, bound=50, is_alone=True),
]


@dataclass(frozen=True)
class Peer:
    """Another server of the run.

    Attributes:
        name: As in the table's head.
        version: As the server says.
        figures: One of each round.
    """

    name: str
    version: str
    figures: list[float]


@dataclass(frozen=True)
class Result:
    """A row with its figures: the medians of the rounds."""

    row: Row
    work: str
    troth: list[float]
    peers: tuple[Peer, ...] = ()

    def ratio(self, peer: Peer) -> float:
        """Times better than a peer; below 1 the peer is better."""
        ours, theirs = median(self.troth), median(peer.figures)
        better, worse = (ours, theirs) if self.row.is_rate else (theirs, ours)
        return better / worse if worse else float("inf")

    @property
    def is_met(self) -> bool | None:
        """Whether the budget is kept, against each peer; None without one."""
        row, ours = self.row, median(self.troth)
        if row.ratio is None and row.bound is None:
            return None
        if row.ratio is not None and (not self.peers or min(map(self.ratio, self.peers)) < row.ratio):
            return False
        if row.bound is None:
            return True
        return ours >= row.bound if row.is_rate else ours <= row.bound

    def as_json(self) -> dict[str, object]:
        """The line for FORMAT=json."""
        told = [
            {
                "peer": round(median(peer.figures), 2),
                "peer_version": f"{peer.name} {peer.version}",
                "ratio": round(self.ratio(peer), 2),
            }
            for peer in self.peers
        ]
        return {
            "work": self.work,
            "troth": round(median(self.troth), 2),
            **(told[0] if told else {"peer": None, "peer_version": None, "ratio": None}),
            "unit": self.row.unit,
            "budget": self.row.budget,
            "met": self.is_met,
            **({"peers": told} if len(told) > 1 else {}),
        }

    def as_text(self) -> str:
        """The line for people: medians, and the range of the rounds."""
        met = {True: "met", False: "MISSED", None: ""}[self.is_met]
        theirs = [f"{_figures(peer.figures)} {self.ratio(peer):>7.2f}x" for peer in self.peers]
        return " ".join(
            [f"{self.work:<66}", _figures(self.troth), *theirs, f"{self.row.unit:<9}", f"{self.row.budget:<22}", met]
        ).rstrip()


def head(peers: Sequence[str]) -> str:
    """The head of the table.

    Args:
        peers: Name and version of each.
    """
    columns = [f"{name:>9} {'[rounds]':<16} {'ratio':>8}" for name in peers]
    return " ".join([f"{'work':<66}", f"{'Troth':>9} {'[rounds]':<16}", *columns, f"{'unit':<9}", "budget"])


def _figures(rounds: Sequence[float]) -> str:
    return f"{median(rounds):>9.4g} {f'[{min(rounds):.4g}-{max(rounds):.4g}]':<16}"
