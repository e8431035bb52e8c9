"""Every system call that writes fails once while instances come in: nothing is acknowledged that is not held.

strace makes one call fail (`--inject=…:when=N`). The suite tries a few; `TROTH_FAULTS=all` (`make faults`) goes through
every N of each call until it is not reached any more.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import httpx
import psutil
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from tests.common.node import MODALITY, OUR_AE, Access, NodeProcess, Nursery, a_node, sweep
from tests.crash.examine import Findings, examine
from tests.crash.ingest import Book, Specimen, multipart, referenced, specimens

FEW = [
    ("web", "pwritev2", "EIO", 1), ("web", "pwritev2", "ENOSPC", 2), ("web", "fdatasync", "EIO", 1),
    ("web", "fdatasync", "EIO", 2), ("web", "fsync", "EIO", 1), ("web", "pwrite64", "EIO", 1),
    ("dicom", "pwritev2", "ENOSPC", 1), ("dicom", "fdatasync", "EIO", 1), ("dicom", "openat", "ENOSPC", 1),
    ("postgres", "fdatasync", "EIO", 1), ("postgres", "pwrite64", "ENOSPC", 1),
]  # fmt: skip
CALLS = ("pwritev2", "pwrite64", "fdatasync", "fsync", "openat", "ftruncate", "fallocate")
# These wake an event loop or end an answer: who waits for that waits for a minute, so their turn comes last.
WAKES = ("write", "writev")
MOST = 60
IS_ALL = os.environ.get("TROTH_FAULTS") == "all"

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and not os.environ.get("CI"), reason="strace is not there"
)


@dataclass
class Run:
    """A node, what it acknowledged, and what was made to fail."""

    node: NodeProcess
    access: Access
    book: Book = field(default_factory=Book)
    injected: list[tuple[str, str, str, int]] = field(default_factory=list)
    not_reached: list[tuple[str, str, str, int]] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    refusals: int = 0
    number: int = 0


@contextmanager
def failing(pids: list[int], call: str, error: str, number: int) -> Iterator[list[str]]:
    """One call of these processes fails; afterwards the list holds what strace saw of it."""
    seen: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "strace"
        command = ["strace", "-f", "-q", "-o", str(log), "-e", f"trace={call}"]
        command += ["-e", f"inject={call}:error={error}:when={number}"]
        for pid in pids:
            command += ["-p", str(pid)]
        strace = subprocess.Popen(command, stderr=subprocess.PIPE)
        give_up_at = time.monotonic() + 30
        while any(_tracer(pid) == 0 for pid in pids if psutil.pid_exists(pid)):
            assert strace.poll() is None, strace.stderr and strace.stderr.read()
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
        try:
            yield seen
        finally:
            strace.send_signal(signal.SIGINT)
            try:
                strace.wait(30)
            except subprocess.TimeoutExpired:  # it waits for a process that has ended meanwhile
                strace.kill()
                strace.wait(30)
            seen += [line for line in log.read_text(errors="replace").splitlines() if "(INJECTED)" in line]


def _tracer(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return -1
    return int(status.partition("TracerPid:")[2].split()[0])


def stow(run: Run, sent: list[Specimen]) -> None:
    """What the answer names as held counts as acknowledged, nothing else."""
    try:
        answer = httpx.post(
            f"{run.node.url}/dicomweb/studies",
            content=multipart([one.file for one in sent]),
            headers={
                "Authorization": f"Bearer {run.access.storing}",
                "Content-Type": 'multipart/related; type="application/dicom"; boundary=kill',
                "Accept": "application/dicom+json",
            },
            timeout=60,
        )
    except httpx.TransportError:
        run.refusals += 1
        return
    held = referenced(answer) if answer.status_code in (200, 202) else set()
    run.book.acknowledged([one for one in sent if one.instance_uid in held])
    run.refusals += len(held) < len(sent)


def c_store(run: Run, sent: list[Specimen]) -> None:
    ae = AE(MODALITY)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", run.node.ports["dicom"], ae_title=OUR_AE)
    for one in sent:
        try:
            status = association.send_c_store(one.dataset)
        except RuntimeError:
            run.refusals += 1
            break
        if status.get("Status") == 0:
            run.book.acknowledged([one])
        else:
            run.refusals += 1
    if association.is_established:
        association.release()
    ae.shutdown()


def renew(run: Run, part: str) -> None:
    """End a part, so that the next one begins with a new pack; wait until it answers again."""
    old = run.parts[part]
    with suppress(psutil.NoSuchProcess):  # what failed before may have ended it
        psutil.Process(old).kill()
    give_up_at = time.monotonic() + 120
    while time.monotonic() < give_up_at:
        time.sleep(0.2)
        fresh = [one.pid for one in run.node.tree()[0].children() if one.name() == f"troth-{part}" and one.pid != old]
        if fresh and _answers(run):
            run.parts[part] = fresh[0]
            return
    raise AssertionError(f"{part} did not come back: {run.node.said}")


def _answers(run: Run) -> bool:
    headers = {"Authorization": f"Bearer {run.access.storing}", "Accept": "application/dicom+json"}
    try:
        answer = httpx.get(f"{run.node.url}/dicomweb/studies?limit=1", headers=headers, timeout=30)
        ae = AE(MODALITY)
        ae.acse_timeout = 30
        ae.add_requested_context("1.2.840.10008.1.1")
        association = ae.associate("127.0.0.1", run.node.ports["dicom"], ae_title=OUR_AE)
        is_there = association.is_established
        if is_there:
            association.release()
        ae.shutdown()
    except httpx.TransportError:
        return False
    return answer.status_code in (200, 204) and is_there


def inject(run: Run, place: str, call: str, error: str, number: int) -> bool:
    """Send while one call fails; whether it came to that."""
    run.number += 1
    sent = specimens(run.number)
    door = stow if place == "web" or (place == "postgres" and number % 2) else c_store
    pids = (
        [one.pid for one in run.node.tree() if one.name() == "postgres"] if place == "postgres" else [run.parts[place]]
    )
    with failing(pids, call, error, number) as seen:
        door(run, sent[:4])
        door(run, sent[4:])
    if os.environ.get("TROTH_TRACE"):
        print(*seen, sep="\n")
    return bool(seen)


@pytest.fixture(scope="module")
async def run() -> AsyncIterator[Run]:
    nursery = Nursery()
    try:
        with a_node("troth-faults-", nursery) as node:
            run = Run(node, await node.grant_access())
            run.parts = {name: node.part(name).pid for name in ("web", "dicom", "worker")}
            for one in _all(run) if IS_ALL else FEW:
                attempt(run, one)
            node.kill()
            node.start()
            yield run
    finally:
        nursery.close()


def _all(run: Run) -> Iterator[tuple[str, str, str, int]]:
    """Every call at every place, until the number is not reached any more."""
    for calls in (CALLS, WAKES):
        for place, call, error in product(("web", "dicom", "postgres"), calls, ("EIO", "ENOSPC")):
            for number in range(1, MOST + 1):
                yield place, call, error, number
                if run.not_reached and run.not_reached[-1] == (place, call, error, number):
                    break


def attempt(run: Run, one: tuple[str, str, str, int]) -> None:
    place = one[0]
    if place != "postgres":
        renew(run, place)
    before = len(run.book.acked), run.refusals
    (run.injected if inject(run, *one) else run.not_reached).append(one)
    if os.environ.get("TROTH_TRACE"):
        print(one, one in run.injected, len(run.book.acked) - before[0], "acknowledged", run.refusals - before[1])
    if place == "postgres":
        give_up_at = time.monotonic() + 90
        while not _answers(run):
            assert time.monotonic() < give_up_at, run.node.said
            time.sleep(0.5)


@pytest.fixture(scope="module")
async def findings(run: Run) -> Findings:
    return await examine(run.node, run.access, run.book, [])


def test_nothing_was_acknowledged_that_is_not_held(
    run: Run, findings: Findings, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(
            f"\nfailed calls {len(run.injected)}, not reached {len(run.not_reached)}, refused answers {run.refusals}, "
            f"acknowledged {len(run.book.acked)}, lost {len(findings.lost)}, altered {len(findings.altered)}, "
            f"half-made {len(findings.half_made)}, left over {findings.leftovers}"
        )
    assert (findings.lost, findings.altered) == (set(), set())
    assert findings.is_sound, (findings.half_made, findings.ledger)


def test_the_calls_really_failed_and_were_noticed(run: Run) -> None:
    assert len(run.injected) >= len(FEW) // 2, run.not_reached
    assert run.refusals
    assert run.book.acked


async def test_a_sweep_takes_away_what_the_failures_left(run: Run, findings: Findings) -> None:
    sweep(run.node)
    after = await examine(run.node, run.access, run.book, [])
    assert (after.leftovers, after.lone_subjects) == (0, 0)
    assert after.is_sound
