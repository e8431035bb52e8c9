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
from pathlib import Path

from bench import decisions, orthanc, space, troth
from bench.rows import ROWS, Result, Row
from bench.server import Server
from bench.work import Bench, Figures

_ROOT = Path(__file__).parents[1]
_SEARCHES = ("qido-patient", "qido-date")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--rows", default="", help="ids, separated by commas: " + ", ".join(row.id for row in ROWS))
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


def plan(bench: Bench, wanted: Sequence[str]) -> list[Callable[[Server], Figures]]:
    """The kinds of work that give the wanted rows."""
    kinds: list[tuple[tuple[str, ...], Callable[[Server], Figures]]] = [
        (("cstore-1", "cstore-cpu"), bench.cstore_1),
        (("cstore-4",), bench.cstore_4),
        (("cstore-unmodified",), bench.cstore_unmodified),
        (("stow-1", "stow-cpu"), bench.stow_1),
        (("stow-4",), bench.stow_4),
        (("stow-memory",), bench.stow_memory),
        (("qido-patient",), bench.qido_patient),
        (("qido-date",), bench.qido_date),
        (("wado-study",), bench.wado_study),
        (("metadata",), bench.metadata),
        (("frames",), bench.frames),
        (("rendered",), bench.rendered),
    ]
    return [work for rows, work in kinds if set(rows) & set(wanted)]


def measure(servers: Sequence[Server], bench: Bench, chosen: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """All figures: row, server, rounds. The servers take turns within each round."""
    until = time.monotonic() + 60 * chosen.minutes
    for server in servers:
        bench.note_idle(server)
    if set(chosen.rows) & set(_SEARCHES):
        for server in servers:
            say(f"{server.name}: loading {chosen.studies} studies")
            bench.load(server, chosen.studies)
    figures: dict[str, dict[str, list[float]]] = {}
    for work in plan(bench, chosen.rows):
        if time.monotonic() < until:
            for server in servers:
                work(server)  # once without counting: caches, connections, first files
        for number in range(chosen.rounds):
            if number and time.monotonic() > until:
                say("the time is up: fewer rounds than asked for")
                break
            for server in servers:
                os.sync()  # no server waits for what the other left to the disk
                for row, figure in work(server).items():
                    figures.setdefault(row, {}).setdefault(server.name, []).append(figure)
                    say(f"  {row:<18} {server.name:<8} {figure:10.2f}")
    return figures


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
    alone = {row.id for row in ROWS if row.is_alone} & set(chosen.rows)
    figures: dict[str, dict[str, list[float]]] = {}
    peer_name = peer_version = ""
    try:
        if set(chosen.rows) - alone:
            servers.append(orthanc.start(folder / "orthanc"))
            servers.append(troth.start(folder / "troth", chosen.notice))
            say(", ".join(f"{server.name} {server.version}" for server in servers))
            peer_name, peer_version = servers[0].name, f"{servers[0].name} {servers[0].version}"
            figures = measure(servers, Bench(scratch, chosen.instances, 60), chosen)
        for _ in range(chosen.rounds if alone else 0):
            for row, figure in decisions.figures(alone, chosen.notice, folder).items():
                figures.setdefault(row, {}).setdefault("Troth", []).append(figure)
                say(f"  {row:<18} troth    {figure:10.3f}")
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    results = [
        Result(row, figures[row.id]["Troth"], figures[row.id].get(peer_name, []), peer_version)
        for row in ROWS
        if row.id in figures and _is_wanted(row, chosen.rows)
    ]
    if chosen.format == "json":
        sys.stdout.write(json.dumps([result.as_json() for result in results], indent=1) + "\n")
    else:
        print_table(results, peer_version or "no peer")
    return 0


def _is_wanted(row: Row, wanted: Sequence[str]) -> bool:
    return row.id in wanted


def print_table(results: Sequence[Result], peer: str) -> None:
    """The table for people."""
    head = (
        f"{'work':<52} {'Troth':>8} {'[rounds]':<14} {peer[:15]:>8} {'[rounds]':<8} {'unit':<9} {'ratio':>7}  budget\n"
    )
    sys.stdout.write(head)
    for result in results:
        sys.stdout.write(result.as_text() + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
