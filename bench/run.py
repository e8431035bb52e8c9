"""`python -m bench.run`: Troth and Debian's Orthanc, the same work in turn, medians of the rounds."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench import decisions, entries, life, orthanc, space, troth
from bench.rows import ROWS, Peer, Result, head
from bench.server import Server
from bench.work import Bench, Figures

_ROOT = Path(__file__).parents[1]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--rows", default="", help="ids, separated by commas: " + ", ".join(row.id for row in ROWS))
    parser.add_argument("--peer", choices=[*orthanc.PEERS, "both"], default="sqlite", help="index of Orthanc")
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 11), help="of each kind of work")
    parser.add_argument("--instances", type=int, default=120, help="of one C-STORE round, 10 to 2000")
    parser.add_argument("--studies", type=int, default=1000, help="loaded for the searches, 50 to 20000")
    parser.add_argument("--notice", type=Path, default=_ROOT / "notices" / "imaging-cloud")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="disk that both servers write to")  # noqa: S108
    parser.add_argument("--minutes", type=float, default=5, help="after this time each row gets one round only")
    chosen = parser.parse_args(given)
    chosen.instances = min(2000, max(10, chosen.instances))
    chosen.studies = min(20_000, max(50, chosen.studies))
    known = {row.id for row in ROWS}
    chosen.rows = [row for row in chosen.rows.split(",") if row] or sorted(known)
    if unknown := set(chosen.rows) - known:
        parser.error(f"unknown rows: {', '.join(sorted(unknown))}")
    return chosen


Work = Callable[[Server], Figures]


def plan(bench: Bench, wanted: Sequence[str]) -> list[tuple[Work, bool]]:
    """The kinds of work that give the wanted rows, and whether they are done once without counting before."""
    kinds: list[tuple[tuple[str, ...], Work, bool]] = [
        (("cstore-1", "cstore-cpu"), bench.cstore_1, True),
        (("cstore-4",), bench.cstore_4, True),
        (("cstore-unmodified",), bench.cstore_unmodified, True),
        (("stow-1", "stow-cpu"), bench.stow_1, True),
        (("stow-4",), bench.stow_4, True),
        (("stow-memory",), bench.stow_memory, True),
        (("stow-flat",), bench.stow_flat, False),
        (("qido-patient", "qido-patient-p95"), bench.qido_patient, True),
        (("qido-date", "qido-date-p95"), bench.qido_date, True),
        (("wado-study",), bench.wado_study, True),
        (("metadata",), bench.metadata, True),
        (("frames",), bench.frames, True),
        (("rendered",), bench.rendered, True),
        (("zip",), bench.zip, True),
        (("erase", "erase-whole"), bench.erase, False),
    ]
    return [(work, is_warmed) for rows, work, is_warmed in kinds if set(rows) & set(wanted)]


def measure(servers: Sequence[Server], bench: Bench, chosen: argparse.Namespace, taken: Taken) -> None:
    """The rows of running servers. They take turns within each round."""
    until = time.monotonic() + 60 * chosen.minutes
    for server in servers:
        bench.note_idle(server)
    is_loaded = False
    for work, is_warmed in plan(bench, chosen.rows):
        if work in (bench.qido_patient, bench.qido_date) and not is_loaded:
            # After the rows that store: what a server still does for thousands of studies is no part of their cost.
            for server in servers:
                say(f"{server.name}: loading {chosen.studies} studies")
                bench.load(server, chosen.studies)
            is_loaded = True
        if is_warmed and time.monotonic() < until:
            for server in servers:
                work(server)  # once without counting: caches, connections, first files
        for number in range(chosen.rounds):
            if number and time.monotonic() > until:
                say("the time is up: fewer rounds than asked for")
                break
            for server in servers:
                os.sync()  # no server waits for what the other left to the disk
                taken.take(server.name, work(server))


class Taken:
    """Figures so far: row, server, rounds."""

    def __init__(self) -> None:
        self._figures: dict[str, dict[str, list[float]]] = {}

    def take(self, name: str, figures: Figures) -> None:
        """Note the figures of one round of a server."""
        for row, figure in figures.items():
            self._figures.setdefault(row, {}).setdefault(name, []).append(figure)
            say(f"  {row:<18} {name:<10} {figure:10.3f}")

    def results(self, chosen: argparse.Namespace) -> list[Result]:
        """The lines of the table that were asked for."""
        return [
            Result(
                row,
                row.work.format(studies=chosen.studies),
                self._figures[row.id][troth.NAME],
                tuple(
                    Peer(name, orthanc.version(), self._figures[row.id][name])
                    for name in _peers(chosen).values()
                    if name in self._figures[row.id]
                ),
            )
            for row in ROWS
            if row.id in chosen.rows and troth.NAME in self._figures.get(row.id, {})
        ]


def _peers(chosen: argparse.Namespace) -> dict[str, str]:
    """The peers of a run: kind of index, name."""
    return {index: name for index, name in orthanc.PEERS.items() if chosen.peer in (index, "both")}


def _starts(chosen: argparse.Namespace) -> dict[str, life.Start]:
    peers = {name: partial(orthanc.start, index=index) for index, name in _peers(chosen).items()}
    return {**peers, troth.NAME: partial(troth.launch, notice=chosen.notice)}


def say(line: str) -> None:
    """Progress goes to standard error; the result alone to standard output."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main() -> int:
    """Measure and print. 0 also where a budget is missed: the table says so."""
    chosen = arguments()
    space.enter()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that the servers are stopped too
    folder = Path(tempfile.mkdtemp(prefix="troth-measured-", dir=chosen.folder))
    folder.chmod(0o711)
    memory = Path("/dev/shm")  # noqa: S108
    memory = memory if memory.is_dir() else folder
    scratch = Path(tempfile.mkdtemp(prefix="troth-measured-", dir=memory))
    servers: list[Server] = []
    wanted, taken = set(chosen.rows), Taken()
    alone = {row.id for row in ROWS if row.is_alone} & wanted
    try:
        if wanted & set(life.ROWS):
            life.measure(_starts(chosen), folder, chosen.rounds, taken.take)
        if wanted - alone - set(life.ROWS):
            servers += [orthanc.start(folder / index, index) for index in _peers(chosen)]
            servers.append(troth.start(folder / "troth", chosen.notice))
            say(", ".join(f"{server.name} {server.version}" for server in servers))
            measure(servers, Bench(scratch, chosen.instances, 60, chosen.notice), chosen, taken)
        for _ in range(chosen.rounds if alone else 0):
            taken.take(troth.NAME, decisions.figures(alone, chosen.notice, folder))
            if alone & {"ledger", "ledger-inclusion"}:
                taken.take(troth.NAME, entries.figures(folder))
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    results = taken.results(chosen)
    if chosen.format == "json":
        sys.stdout.write(json.dumps([result.as_json() for result in results], indent=1) + "\n")
    else:
        names = {peer.name: f"{peer.name} {peer.version}" for result in results for peer in result.peers}
        lines = [head(list(names.values())), *(result.as_text() for result in results)]
        sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
