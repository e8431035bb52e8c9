"""A real node as a process group of its own: started, killed and started again on the same data folder."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psutil

from tests.common.servers import open_folder
from troth.kit.owner import owning
from troth.kit.postgres import EmbeddedServer
from troth.main.first_start import permit_for
from troth.main.node import server_for
from troth.main.settings import Settings, load
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.policy import Target

ROOT = Path(__file__).parents[2]
NOTICE = ROOT / "notices" / "imaging-cloud"
ORGANISATION = "Example Hospital"  # made by the first start, as notices/imaging-cloud/organisations.yaml says
MODALITY = "MODALITY"
OUR_AE = "TROTH"
START_SECONDS = 120.0
_ADDRESSES = re.compile(r"^(pages|viewer|dicom) .*?(localhost|[0-9.]+):(\d+)$", re.MULTILINE)


class DidNotStart(AssertionError):
    """The node ended, or said no addresses in time."""


@dataclass(frozen=True)
class Access:
    """What a client needs to come in.

    Attributes:
        tenant: The organisation.
        reading: Bearer token of a clinician, for diagnosis.
        storing: Bearer token of a machine that stores, for care.
    """

    tenant: UUID
    reading: str
    storing: str


class Nursery:
    """A process that has imported everything and forks nodes; see `tests.common.nursery`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.common.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def start(self, log: Path, arguments: list[str]) -> int:
        """Start `troth` with these arguments; returns its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(log), *arguments]).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@dataclass
class NodeProcess:
    """`troth serve` on a folder.

    Attributes:
        folder: The data folder.
        nursery: Forks the node, for tests that start it often; without one it is a new Python each time.
        ports: Of `pages`, `viewer` and `dicom`; new ones at each start.
        starts_seconds: How long each start took until the addresses were said.
        notice: The folder of its notice.
    """

    folder: Path
    nursery: Nursery | None = None
    ports: dict[str, int] = field(default_factory=dict)
    starts_seconds: list[float] = field(default_factory=list)
    notice: Path = field(default_factory=lambda: NOTICE)
    _process: psutil.Process | None = None
    _began: float = 0.0

    @property
    def settings(self) -> Settings:
        """Settings of this deployment, for rooms beside the node."""
        return load(self.folder, notice=(self.notice,))

    @property
    def url(self) -> str:
        """Origin of the pages and of DICOMweb."""
        return f"http://localhost:{self.ports['pages']}"

    @property
    def log(self) -> Path:
        """Everything the node wrote."""
        return self.folder.with_name(self.folder.name + ".log")

    @property
    def said(self) -> str:
        """The end of what the node wrote."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def launch(self) -> None:
        """Begin a start; `await_ready` waits for its end."""
        arguments = ["serve", "--data-dir", str(self.folder), "--notice", str(self.notice)]
        for door in ("http", "viewer", "dicom"):
            arguments += [f"--{door}", "127.0.0.1:0"]
        self.log.unlink(missing_ok=True)
        self.log.touch(0o600)
        self._began = time.monotonic()
        if self.nursery is not None:
            self._process = psutil.Process(self.nursery.start(self.log, arguments))
            return
        command = [sys.executable, "-m", "troth.main.cli", *arguments]
        with self.log.open("wb") as sink:
            self._process = psutil.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
            )

    def await_ready(self) -> None:
        """Wait until every part answers.

        Raises:
            DidNotStart: It does not.
        """
        process = self._running()
        while True:
            found = {name: int(port) for name, _, port in _ADDRESSES.findall(self.log.read_text(errors="replace"))}
            if len(found) == 3:
                self.ports = found
                self.starts_seconds.append(time.monotonic() - self._began)
                return
            if not _is_alive(process) or time.monotonic() - self._began > START_SECONDS:
                raise DidNotStart(f"the node did not start: {self.said}")
            time.sleep(0.01)

    def start(self) -> None:
        """Start and wait."""
        self.launch()
        self.await_ready()

    def tree(self) -> list[psutil.Process]:
        """Every process of the node, the parent first."""
        parent = self._running()
        return [parent, *parent.children(recursive=True)]

    def part(self, name: str) -> psutil.Process:
        """The process of one part."""
        (part,) = [child for child in self.tree()[0].children() if child.name() == f"troth-{name}"]
        return part

    def kill(self, *, every_backend: bool = True) -> None:
        """SIGKILL parent, web, dicom, worker and the database server at one blow.

        Args:
            every_backend: Also the server's own children; without it they see the end of the server by themselves,
                some milliseconds later.
        """
        process = self._running()
        process.suspend()  # so that it neither starts a part again nor, by its own end, asks one to end well
        others = process.children(recursive=every_backend)
        # Stopped first, so that no part has the time to say that the server is gone.
        for blow in (psutil.Process.suspend, psutil.Process.kill):
            for other in others:
                with suppress(psutil.NoSuchProcess):
                    blow(other)
        process.kill()
        process.wait(30)
        self._process = None

    def stop(self) -> None:
        """SIGTERM, as an operator would; SIGKILL if that is not enough."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            process.terminate()
        try:
            process.wait(60)
        except psutil.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)

    def remove(self) -> None:
        """Stop and leave nothing behind."""
        self.stop()
        server = server_for(self.settings)
        assert isinstance(server, EmbeddedServer)
        for folder in (server.socket_folder, self.folder):
            shutil.rmtree(folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    @asynccontextmanager
    async def rooms(self) -> AsyncIterator[Rooms]:
        """The rooms of the running deployment, opened beside it as `troth admin` does."""
        settings = self.settings
        with owning(self.folder), ThreadPoolExecutor() as threads:  # of its own: threads that are there are root's
            asyncio.get_running_loop().set_default_executor(threads)
            rooms = open_rooms(settings, server_for(settings), load_notices(settings), connections=2)
            try:
                yield rooms
            finally:
                await rooms.people.settled()
                await rooms.close()
                asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())

    async def public_key(self) -> bytes:
        """Of the deployment."""
        async with self.rooms() as rooms:
            return rooms.keyring.public_key

    async def grant_access(self) -> Access:
        """Register the modality, and issue tokens for DICOMweb."""
        async with self.rooms() as rooms:
            house = await rooms.people.organisation_named(ORGANISATION)
            permit = await permit_for(rooms, "administer", Target("organisation", house.id, house.id))
            await rooms.people.add_peer(permit, house.id, MODALITY, "127.0.0.1", 104, called_ae=OUR_AE)
            day = timedelta(hours=24)
            reading = await rooms.people.issue_token(permit, house.id, "clinician", "diagnosis", day)
            storing = await rooms.people.issue_token(permit, house.id, "peer", "care", day)
        return Access(house.id, reading, storing)

    def _running(self) -> psutil.Process:
        assert self._process is not None, "the node is not running"
        return self._process


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `troth` beside a node, as an operator would."""
    return subprocess.run(
        [sys.executable, "-m", "troth.main.cli", *arguments, "--data-dir", str(folder)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "TROTH_NOTICE": str(NOTICE)},
    )  # fmt: skip


def sweep(node: NodeProcess, *options: str) -> dict[str, int]:
    """`troth archive sweep` without a grace time, beside the node."""
    done = command(node.folder, "archive", "sweep", "--grace", "0m", "--json", *options)
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counts


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def a_node(prefix: str = "troth-node-", nursery: Nursery | None = None) -> Iterator[NodeProcess]:
    """A started node in a new folder; everything of it is gone afterwards."""
    node = NodeProcess(open_folder(prefix), nursery)
    try:
        node.start()
        yield node
    finally:
        node.remove()
