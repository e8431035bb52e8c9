"""`make hostile`: every costly or hostile input, through the doors of one running node, and what each of them costs.

For each: by how much each serving process grew at its peak (the kernel's own high water), the processor time of all of
them together with their confined children, the memory of the child, how long a neighbour waited for a page meanwhile,
whether what is stored is the same afterwards, and what was answered. Bounds are those of `docs/hostile.md`, which this
writes. Ends with 1 where one is passed.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.common import dimse as wire
from tests.common.node import ROOT, a_node
from tests.conformance import test_bad_input as doors
from tests.conformance.hostile import Hostile
from tests.hostile import dicom_inputs, http_inputs

SERVING_BYTES, CHILD_BYTES, CPU_SECONDS, WAIT_SECONDS = 64 << 20, 768 << 20, 2.0, 1.0
_ANSWER_SECONDS = 1.0  # who announces more than it sends gets none
REPORT = ROOT / "docs" / "hostile.md"
_PARTS = ("web", "dicom", "worker")


@dataclass
class Cost:
    """What one input cost."""

    family: str
    door: str
    input_bytes: int
    answer: str
    grown_bytes: int = 0
    child_bytes: int = 0
    cpu_seconds: float = 0.0
    waited_seconds: float = 0.0
    is_stored: bool = False
    is_alive: bool = True

    @property
    def passed(self) -> list[str]:
        """The bounds that it passed."""
        found = {
            "memory": self.grown_bytes > SERVING_BYTES,
            "child": self.child_bytes > CHILD_BYTES,
            "processor": self.cpu_seconds > CPU_SECONDS,
            "waiting": self.waited_seconds > WAIT_SECONDS,
            "stored": self.is_stored,
            "a part died": not self.is_alive,
            "answer": self.answer.startswith("5") and self.answer != "503",
        }
        return [name for name, is_so in found.items() if is_so]


class Meters:
    """All processes of a node."""

    def __init__(self, house: doors.House) -> None:
        self._house = house
        self._parts = {name: house.node.part(name) for name in _PARTS}

    @asynccontextmanager
    async def measure(self, cost: Cost, *, may_store: bool = False) -> AsyncIterator[Cost]:
        """Measure what is done inside."""
        before = await self._house.holdings()
        pids = {name: part.pid for name, part in self._parts.items()}
        high = {name: _reset(part) for name, part in self._parts.items()}
        for child in self._children():
            _reset(child)
        spent = self._cpu()
        ended = asyncio.Event()
        neighbour = asyncio.create_task(self._wait_of_a_neighbour(ended))
        yield cost
        ended.set()
        cost.waited_seconds = await neighbour
        cost.grown_bytes = max(_high(part) - high[name] for name, part in self._parts.items())
        cost.child_bytes = max((_high(child) for child in self._children()), default=0)
        cost.cpu_seconds = self._cpu() - spent
        cost.is_stored = not may_store and await self._house.holdings() != before
        cost.is_alive = all(self._house.node.part(name).pid == pid for name, pid in pids.items())

    def _children(self) -> list[psutil.Process]:
        return [child for part in self._parts.values() for child in part.children(recursive=True)]

    def _cpu(self) -> float:
        total = 0.0
        for part in self._parts.values():
            times = part.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        for child in self._children():
            with suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                total += times.user + times.system
        return total

    async def _wait_of_a_neighbour(self, ended: asyncio.Event) -> float:
        longest = 0.0
        async with httpx.AsyncClient(base_url=self._house.node.url, timeout=60) as other:
            while not ended.is_set():
                began = time.monotonic()
                with suppress(httpx.HTTPError):
                    await other.get("/robots.txt")
                longest = max(longest, time.monotonic() - began)
                await asyncio.sleep(0.02)
        return longest


def _reset(process: psutil.Process) -> int:
    with suppress(OSError):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return _high(process)


def _high(process: psutil.Process) -> int:
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


class Campaign:
    """Sends everything, one after the other.

    Args:
        house: The node, and whoever may come in.
    """

    def __init__(self, house: doors.House) -> None:
        self._house = house
        self._meters = Meters(house)
        self.costs: list[Cost] = []

    async def run(self, share: int, only: str = "") -> None:
        """Send one of `share` of the inputs, all of them with 1, or those of some name."""
        for number, (send, cost, may_store) in enumerate(self._steps()):
            if number % share or only not in cost.family:
                continue
            async with self._meters.measure(cost, may_store=may_store):
                cost.answer = await send()
            self.costs.append(cost)
            if cost.passed or number % 100 == 0:
                print(number, cost.door, cost.family, cost.answer, *cost.passed, file=sys.stderr, flush=True)

    def _steps(self) -> Iterator[tuple[Callable[[], Awaitable[str]], Cost, bool]]:
        for asked in http_inputs.every():
            yield self._request(asked), Cost(f"{asked.family}", f"HTTP, {asked.who}", len(asked.body) + 500, ""), False
        for one in [*dicom_inputs.instances(), dicom_inputs.wide_rows()]:
            yield self._stow(one), Cost(one.name, "STOW-RS", len(one.file), ""), one.status == 0
            yield self._c_store(one), Cost(one.name, "C-STORE", len(one.dataset), ""), one.status == 0
        for one in dicom_inputs.pictures():
            yield self._stow(one), Cost(f"{one.name}: stored", "STOW-RS", len(one.file), ""), True
            for drawn in ("rendered", "thumbnail", "rendered?viewport=100,100", "frames/1"):
                yield self._drawn(one, drawn), Cost(f"{one.name}: {drawn}", "WADO-RS", len(one.file), ""), False
        for name, octets in dicom_inputs.of_strangers():
            yield self._dimse(octets, is_associated=False), Cost(name, "DIMSE, stranger", len(octets), ""), False
        for name, octets in dicom_inputs.of_peers():
            yield self._dimse(octets, is_associated=True), Cost(name, "DIMSE, peer", len(octets), ""), False

    def _request(self, asked: http_inputs.Asked) -> Callable[[], Awaitable[str]]:
        async def send() -> str:
            who = {"stranger": {}, "reader": self._house.reading, "sender": self._house.storing}[asked.who]
            given = [
                (name.encode(), value.encode("latin-1", "replace")) for name, value in {**who, **asked.headers}.items()
            ]
            try:
                url = httpx.URL(self._house.node.url).copy_with(raw_path=asked.path.encode("latin-1", "replace"))
                answer = await self._house.client.request(asked.method, url, headers=given, content=asked.body)
            except httpx.InvalidURL:
                return "no address"
            except httpx.HTTPError as fault:
                return f"closed ({type(fault).__name__})"
            return str(answer.status_code)

        return send

    def _stow(self, one: Hostile) -> Callable[[], Awaitable[str]]:
        async def send() -> str:
            return str((await self._house.stow(one.file)).status_code)

        return send

    def _c_store(self, one: Hostile) -> Callable[[], Awaitable[str]]:
        async def send() -> str:
            return f"{await self._house.c_store(one):04X}"

        return send

    def _drawn(self, one: Hostile, what: str) -> Callable[[], Awaitable[str]]:
        async def send() -> str:
            path = (
                f"/dicomweb/studies/{dicom_inputs.STUDY}.9/series/{dicom_inputs.STUDY}.9.0/instances/{one.instance_uid}"
            )
            headers = {**self._house.reading, "Accept": "*/*" if what.startswith("frames") else "image/jpeg"}
            return str((await self._house.client.get(f"{path}/{what}", headers=headers)).status_code)

        return send

    def _dimse(self, octets: bytes, *, is_associated: bool) -> Callable[[], Awaitable[str]]:
        async def send() -> str:
            async with self._house.peer(is_associated=is_associated) as peer:
                with suppress(ConnectionError, TimeoutError):
                    peer.send(octets)
                    if is_associated:
                        peer.send(wire.ABORT)
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        await peer.writer.drain()
                        kind, _ = await peer.pdu()
                        return f"PDU {kind}"
            return "closed"

        return send


def table(costs: list[Cost]) -> str:
    """The report in Markdown: by door and kind the worst of each figure, and every one that passed a bound."""
    groups: dict[tuple[str, str], list[Cost]] = {}
    for cost in costs:
        groups.setdefault((cost.door, re.split(r"[:,] | \d", cost.family)[0]), []).append(cost)
    lines = [
        "| door | kind | inputs | longest, KB | serving, MB | child, MB | processor, s | waited, s | answers |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (door, kind), some in groups.items():
        answers = ", ".join(sorted({cost.answer for cost in some}))
        figures = (
            f"{len(some)} | {max(c.input_bytes for c in some) >> 10:,}",
            f"{max(c.grown_bytes for c in some) / 2**20:.0f} | {max(c.child_bytes for c in some) / 2**20:.0f}",
            f"{max(c.cpu_seconds for c in some):.2f} | {max(c.waited_seconds for c in some):.2f}",
        )
        lines.append(f"| {door} | {kind} | {' | '.join(figures)} | {answers} |")
    passed = [cost for cost in costs if cost.passed]
    lines += ["", f"Passed a bound: {len(passed)} of {len(costs)}.", ""]
    for cost in passed:
        figures = (
            f"grew {cost.grown_bytes / 2**20:.0f} MB, child {cost.child_bytes / 2**20:.0f} MB",
            f"{cost.cpu_seconds:.2f} s, waited {cost.waited_seconds:.2f} s, answered {cost.answer}",
        )
        lines.append(
            f"- {cost.door}: {cost.family} ({cost.input_bytes:,} bytes): {', '.join(cost.passed)}; {', '.join(figures)}"
        )
    return "\n".join(lines) + "\n"


async def campaign(share: int, only: str = "") -> list[Cost]:
    """Start a node and send everything."""
    with a_node("troth-hostile-") as node:
        access = await node.grant_access()
        async with node.rooms() as rooms, httpx.AsyncClient(base_url=node.url, timeout=60) as client:
            house = doors.House(node, access, rooms, client)
            good = Hostile(
                "good", doors.hostile.dataset(instance_uid=doors.GOOD_UID), 0, "", instance_uid=doors.GOOD_UID
            )
            assert await house.c_store(good) == 0
            made = Campaign(house)
            await made.run(share, only)
            return made.costs


def main() -> int:
    """Run, print, and keep the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=int, default=1, help="one of so many inputs")
    parser.add_argument("--only", default="", help="those with this in their name")
    parser.add_argument("--keep", action="store_true", help="write docs/hostile.md anew")
    asked = parser.parse_args()
    costs = asyncio.run(campaign(asked.share, asked.only))
    told = table(costs)
    print(told)
    if asked.keep:
        front = REPORT.read_text().split("<!-- results -->")[0]
        REPORT.write_text(f"{front}<!-- results -->\n\n{told}")
    return any(cost.passed for cost in costs)


if __name__ == "__main__":
    raise SystemExit(main())
