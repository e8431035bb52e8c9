"""`python -m bench.growth`: whether an instance costs more the more there are. Fills Troth with small instances.

    python -m bench.growth                       # 100,000 instances, a line for each 10,000
    python -m bench.growth --instances 20000 --step 2000

Prints server CPU (with PostgreSQL, ms/instance), memory over idle and instances per second for each step. No peer.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bench import loads, meter, scans, troth

_ROOT = Path(__file__).parents[1]
_BATCH = 50


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__)
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--step", type=int, default=10_000, help="a multiple of 50")
    parser.add_argument("--per-study", type=int, default=50, choices=(1, 5, 10, 25, 50))
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--notice", type=Path, default=_ROOT / "notices" / "imaging-cloud")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="disk that it writes to")  # noqa: S108
    chosen = parser.parse_args()
    chosen.step = max(_BATCH, chosen.step // _BATCH * _BATCH)
    return chosen


def body(template: scans.Template, first: int, per_study: int) -> bytes:
    """One STOW body of a batch: studies of generated persons.

    Args:
        template: Size.
        first: Number of the first person.
        per_study: Instances of one study.
    """
    instances: list[bytes] = []
    for number in range(_BATCH // per_study):
        instances += [octets for _, octets in scans.study(template, per_study, first + number)]
    return loads.stow_body(instances)


def main() -> int:
    """Fill and print."""
    chosen = arguments()
    folder = Path(tempfile.mkdtemp(prefix="troth-growth-", dir=chosen.folder))
    folder.chmod(0o711)
    template = scans.Template(16)
    server = troth.start(folder / "troth", chosen.notice)
    try:
        idle_bytes = meter.memory_bytes(server.pid)
        sys.stdout.write(f"{'instances':>10} {'ms/inst':>8} {'MB over idle':>13} {'inst/s':>7}\n")
        for done in range(0, chosen.instances, chosen.step):
            cpu, took, sent = 0.0, 0.0, 0
            while sent < chosen.step:  # bodies are made in pieces, outside of what is measured
                count = min(20, (chosen.step - sent) // _BATCH)
                persons = range(done + sent, done + sent + count * _BATCH, _BATCH)
                bodies = [body(template, first, chosen.per_study) for first in persons]
                with meter.Meter(server.pid) as cost:
                    took += loads.stow(server, bodies, chosen.clients)
                cpu += cost.cpu_seconds
                sent += count * _BATCH
            over = (meter.memory_bytes(server.pid) - idle_bytes) / 2**20
            sys.stdout.write(f"{done + sent:>10} {cpu * 1000 / sent:>8.3f} {over:>13.1f} {sent / took:>7.0f}\n")
            sys.stdout.flush()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
