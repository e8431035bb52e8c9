"""Whether a refusal tells by its time that something is there: another patient's study against one that is absent.

    .venv/bin/python -m tools.equal_time [--rounds 400]

A patient of a hospital asks for both, in turn and in an order that chance decides, at each door. P is how often the
absent one was answered later (half of a tie counts): 0.5 where time tells nothing. It is wanted within 0.45 to 0.55.
Doors are called without a socket between.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import time
from uuid import uuid4

from tests.common.deployment import Deployment, start
from tests.common.servers import MIGRATIONS, ServedDatabase, copy_of_template, open_folder
from troth.kit import ids, migrate
from troth.kit.postgres import EmbeddedServer

BOUNDS = (0.45, 0.55)


def later(first: list[float], second: list[float]) -> float:
    """How often a value of the second list is larger than one of the first (the area under the curve of both)."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    total = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which)
    n, m = len(first), len(second)
    return (total - m * (m + 1) / 2) / (n * m)


async def measure(place: Deployment, rounds: int) -> bool:
    """Ask, and say what was found."""
    other, own = await place.study(), await place.study()
    patient = await place.patient(own)
    good = True
    for name, path in (
        (
            "DICOMweb metadata",
            lambda is_there: f"/dicomweb/studies/{other.uid if is_there else ids.dicom_uid()}/metadata",
        ),
        ("page of a scan", lambda is_there: f"/scans/{other.id if is_there else uuid4()}"),
    ):
        times: dict[bool, list[float]] = {True: [], False: []}
        for number in range(rounds + 20):
            order = [True, False]
            random.shuffle(order)
            for is_there in order:
                began = time.perf_counter()
                answer = await patient.web.get(path(is_there))
                took = time.perf_counter() - began
                assert answer.status_code == 404, answer.status_code
                if number >= 20:
                    times[is_there].append(took)
        found = later(times[True], times[False])
        middle = {key: 1000 * sorted(each)[len(each) // 2] for key, each in times.items()}
        good &= BOUNDS[0] <= found <= BOUNDS[1]
        print(
            f"{name:20} {rounds} rounds  another's {middle[True]:.2f} ms  absent {middle[False]:.2f} ms  P {found:.3f}"
        )
    return good


async def run(rounds: int) -> bool:
    folder = open_folder("troth-equal-")
    server = EmbeddedServer(folder, {"fsync": "off"})
    server.start()
    try:
        migrate.upgrade(server.dsn("troth_owner"), MIGRATIONS)
        place = await start(ServedDatabase(server, copy_of_template(server)), folder / "data", "imaging-cloud")
        try:
            return await measure(place, rounds)
        finally:
            await place.close()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(server.socket_folder, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=400)
    sys.exit(0 if asyncio.run(run(parser.parse_args().rounds)) else 1)
