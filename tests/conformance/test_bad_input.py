"""Bad input through the real doors of one running node: told clearly, cheap, nothing stored, in the ledger.

Bounds of the product (DESIGN §9): less than 64 MB more memory at its peak and less than 2 s of CPU for each.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
import psutil
import pytest

from tests.common import dimse as wire
from tests.common.arrivals import shown_in
from tests.common.node import MODALITY, OUR_AE, Access, NodeProcess, a_node
from tests.conformance import hostile
from tests.conformance.hostile import CT, DEFLATED, EXPLICIT, STUDY, Hostile
from troth.kit import clock
from troth.kit.owner import as_caller
from troth.main.first_start import permit_for
from troth.policy import Actor, Target

MOST_BYTES = 64 << 20
MOST_CPU_SECONDS = 2.0
HOSTILE = hostile.hostile_instances()
CONTEXTS = wire.context(1, wire.VERIFICATION, ["1.2.840.10008.1.2"]) + b"".join(
    wire.context(number, CT, [syntax]) for number, syntax in ((3, EXPLICIT), (5, DEFLATED))
)
GOOD_UID = STUDY + ".1.9"
_HOLDINGS = """
    select (select count(*) from study) as studies, (select count(*) from series) as series,
        (select count(*) from instance) as instances, (select count(*) from study_token) as tokens,
        (select count(*) from tombstone) as tombstones, (select count(*) from subject) as subjects,
        (select coalesce(sum(head_bytes + bulk_bytes), 0) from instance) as bytes"""


@dataclass
class House:
    """One running node, whoever may come in, and one instance that it holds."""

    node: NodeProcess
    access: Access
    rooms: Any
    client: httpx.AsyncClient
    subject_id: Any = None

    async def holdings(self) -> dict[str, int]:
        """What is stored: rows of every kind, and the room that packs really take."""
        async with self.rooms.database.transaction(self.scope) as connection:
            (row,) = await (await connection.execute(_HOLDINGS)).fetchall()
        return dict(row)

    @property
    def scope(self) -> Actor:
        """The organisation."""
        return Actor("system", tenant=self.access.tenant)

    def pack_bytes(self) -> int:
        """Room that packs take on the disk."""
        return sum(path.stat().st_blocks * 512 for path in (self.node.folder / "packs").glob("*.pack"))

    async def events(self, kind: str) -> list[Any]:
        """Entries of the ledger, newest first."""
        async with self.rooms.database.transaction(self.scope) as connection:
            return await self.rooms.ledger.latest(connection, kinds=[kind], limit=1000)

    @asynccontextmanager
    async def peer(self, *, is_associated: bool = True) -> AsyncIterator[wire.RawPeer]:
        """A socket at the DICOM door, by default with an association of the registered modality."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.node.ports["dicom"])
        peer = wire.RawPeer(reader, writer)
        try:
            if is_associated:
                peer.send(wire.associate_request(calling=MODALITY, called=OUR_AE, contexts=CONTEXTS))
                kind, _ = await peer.pdu()
                assert kind == 2
            yield peer
        finally:
            peer.hang_up()

    async def c_store(self, one: Hostile) -> int:
        """Send an instance by C-STORE, in PDUs of 64 KiB; its status."""
        number = 3 if one.syntax == EXPLICIT else 5
        async with self.peer() as peer:
            peer.send(wire.data(wire.pdv(number, 3, wire.store_command(one.instance_uid))))
            step = 65_536
            pieces = [one.dataset[at : at + step] for at in range(0, len(one.dataset), step)] or [b""]
            for piece in pieces:
                peer.send(wire.data(wire.pdv(number, 2 if piece is pieces[-1] else 0, piece)))
                await peer.writer.drain()
            return await peer.status()

    async def stow(self, *files: bytes, **headers: str) -> httpx.Response:
        """Send files by STOW-RS."""
        body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files)
        kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b', **self.storing, **headers}
        return await self.client.post("/dicomweb/studies", content=body + b"--b--\r\n", headers=kind)

    @property
    def storing(self) -> dict[str, str]:
        """Headers of whoever may store."""
        return {"Authorization": f"Bearer {self.access.storing}"}

    @property
    def reading(self) -> dict[str, str]:
        """Headers of a clinician."""
        return {"Authorization": f"Bearer {self.access.reading}"}

    async def is_alive(self) -> None:
        """C-ECHO and a page."""
        async with self.peer() as peer:
            peer.send(wire.data(wire.pdv(1, 3, wire.echo_command())))
            assert await peer.status() == 0
        assert (await self.client.get("/notice")).status_code == 200


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    with a_node("troth-bad-") as node:
        access = await node.grant_access()
        async with node.rooms() as rooms, httpx.AsyncClient(base_url=node.url, timeout=60) as client:
            house = House(node, access, rooms, client)
            good = Hostile("good", hostile.dataset(instance_uid=GOOD_UID), 0, "", instance_uid=GOOD_UID)
            assert await house.c_store(good) == 0
            assert (await house.stow(good.file)).status_code == 200
            await house.is_alive()
            async with rooms.database.transaction(house.scope) as connection:
                (row,) = await (await connection.execute("select subject_id from study")).fetchall()
            house.subject_id = row["subject_id"]
            yield house


@dataclass
class Meter:
    """What a process costs while something is done to it; children it starts are counted in."""

    process: psutil.Process
    peak_bytes: int = 0
    cpu_seconds: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure; the peak is the kernel's own, so that nothing between two samples is missed."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as reset:
            reset.write("5")
        bytes_before, cpu_before = self._high_water(), self._cpu()
        yield
        self.peak_bytes = self._high_water() - bytes_before
        self.cpu_seconds = self._cpu() - cpu_before

    def _high_water(self) -> int:
        with open(f"/proc/{self.process.pid}/status") as status:
            (line,) = [line for line in status if line.startswith("VmHWM")]
        children = sum(child.memory_info().rss for child in self.process.children(recursive=True))
        return int(line.split()[1]) * 1024 + children

    def _cpu(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system + times.children_user + times.children_system


COSTS: list[tuple[str, Meter]] = []


@asynccontextmanager
async def bounded(house: House, part: str) -> AsyncIterator[Meter]:
    """Whatever is done inside costs little, stores nothing and leaves the node alive."""
    holdings, packs = await house.holdings(), house.pack_bytes()
    meter = Meter(house.node.part(part))
    pid = meter.process.pid
    with meter.running():
        yield meter
    COSTS.append((os.environ["PYTEST_CURRENT_TEST"].split("::", 1)[1].split(" ")[0], meter))
    assert meter.peak_bytes < MOST_BYTES
    assert meter.cpu_seconds < MOST_CPU_SECONDS
    assert await house.holdings() == holdings
    assert house.pack_bytes() - packs < 1 << 20, "bytes of what was refused must not stay"
    await house.is_alive()
    assert house.node.part(part).pid == pid, "the part died and was started again"


@asynccontextmanager
async def told(house: House, kind: str, reason: str = "") -> AsyncIterator[None]:
    """Whatever is done inside is in the ledger as a refusal, once, with its reason."""
    before = {event.id for event in await house.events(kind)}
    yield
    (event,) = [event for event in await house.events(kind) if event.id not in before]
    assert event.outcome == "refused"
    assert not reason or (event.payload or {})["reason"] == reason


@pytest.mark.parametrize("one", HOSTILE, ids=lambda one: one.name.replace(" ", "-"))
class TestInstances:
    @pytest.mark.conformance("C-STORE C000", "C-STORE A700")
    async def test_c_store(self, house: House, one: Hostile) -> None:
        async with bounded(house, "dicom"), told(house, "archive:instance:refused", one.reason):
            assert await house.c_store(one) == one.status

    @pytest.mark.conformance("reason C000", "reason A700")
    async def test_stow(self, house: House, one: Hostile) -> None:
        async with bounded(house, "web"), told(house, "archive:instance:refused"):
            answer = await house.stow(one.file)
        assert answer.status_code == 409
        (failure,) = [item for key in ("00081198", "0008119A") for item in answer.json().get(key, {}).get("Value", [])]
        assert failure["00081197"]["Value"] == [one.status]


class TestTheSameAgain:
    """Refused, and kept apart for a person to resolve: once, however often it comes."""

    others = tuple(
        Hostile(
            "same UID, other bytes", hostile.dataset(instance_uid=GOOD_UID, comment=comment), 0x0111,
            "duplicate-differs", instance_uid=GOOD_UID,
        )
        for comment in ("not the same", "not the same either")
    )  # fmt: skip

    async def test_c_store(self, house: House) -> None:
        one = self.others[0]
        async with bounded(house, "dicom"), told(house, "archive:instance:quarantined", one.reason):
            assert await house.c_store(one) == 0x0111
        async with bounded(house, "dicom"), told(house, "archive:instance:refused", one.reason):
            assert await house.c_store(one) == 0x0111

    @pytest.mark.conformance("reason 0111")
    async def test_stow(self, house: House) -> None:
        one = self.others[1]
        async with bounded(house, "web"), told(house, "archive:instance:quarantined", one.reason):
            answer = await house.stow(one.file)
        assert answer.status_code == 409
        assert "1 of the failed: Not stored: in conflict; kept apart" in answer.headers["warning"]
        (failure,) = answer.json()["00081198"]["Value"]
        assert failure["00081155"]["Value"] == [GOOD_UID]
        assert failure["00081197"]["Value"] == [0x0111]


class TestPdus:
    """Bytes at the DICOM port that are no message. An association ends with A-ABORT (7), a stranger's socket closes."""

    @pytest.mark.parametrize(
        "octets",
        [struct.pack(">BxI", kind, 0xFFFFFFFF) for kind in (1, 2, 4, 5, 7)],
        ids=["request", "accept", "data", "release", "abort"],
    )
    async def test_a_stranger_announces_4_gb(self, house: House, octets: bytes) -> None:
        async with bounded(house, "dicom"), house.peer(is_associated=False) as peer:
            await flood(peer, octets)
            await peer.closed()

    async def test_a_peer_announces_4_gb(self, house: House) -> None:
        async with bounded(house, "dicom"), house.peer() as peer:
            await flood(peer, struct.pack(">BxI", 4, 0xFFFFFFFF))
            assert (await peer.pdu())[0] in (0, 7)
            await peer.closed()

    async def test_a_value_of_4_gb_inside_a_small_pdu(self, house: House) -> None:
        async with bounded(house, "dicom"), house.peer() as peer:
            peer.send(wire.data(struct.pack(">IBB", 0xFFFFFFFF, 3, 3) + bytes(64)))
            assert (await peer.pdu())[0] == 7
            await peer.closed()

    @pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n\r\n", bytes(65_536), os.urandom(65_536)], ids=len)
    async def test_something_else_than_dicom(self, house: House, octets: bytes) -> None:
        async with bounded(house, "dicom"), house.peer(is_associated=False) as peer:
            peer.send(octets)
            await peer.closed()


async def flood(peer: wire.RawPeer, head: bytes, most_bytes: int = 256 << 20) -> None:
    """Announce, then send for as long as the other side takes it."""
    peer.send(head)
    with suppress(ConnectionError):
        for _ in range(most_bytes >> 20):
            peer.send(bytes(1 << 20))
            async with asyncio.timeout(10):
                await peer.writer.drain()


class TestHttp:
    @pytest.mark.asvs("V1.2.4")
    @pytest.mark.parametrize(
        ("query", "slug"),
        [
            ("NoSuchKey=1", "search-key-unknown"),
            ("00091001=1", "search-key-unknown"),
            ("StudyDate=soon", "search-value-invalid"),
            ("StudyInstanceUID=../../etc", "search-value-invalid"),
            ("offset=99999999999", "parameter-invalid"),
        ],
    )
    async def test_a_search_that_cannot_be_honoured(self, house: House, query: str, slug: str) -> None:
        async with bounded(house, "web"), told(house, "archive:studies:queried", slug):
            answer = await house.client.get(f"/dicomweb/studies?{query}", headers=house.reading)
        assert answer.status_code == 400
        assert answer.json()["type"] == f"urn:troth:{slug}"
        assert (await house.client.get("/dicomweb/studies", headers=house.reading)).status_code == 200

    @pytest.mark.parametrize("uid", ["..%2F..%2Fetc%2Fpasswd", "1." + "2" * 63, "%00", "1.2.3%27%20or%201=1"])
    async def test_a_uid_in_a_path_that_is_none(self, house: House, uid: str) -> None:
        async with bounded(house, "web"):
            for path in (uid, f"{uid}/metadata", f"{STUDY}/series/{uid}/metadata"):
                answer = await house.client.get(f"/dicomweb/studies/{path}", headers=house.reading)
                assert answer.status_code == 404
                assert answer.json()["type"] == "urn:troth:not-found"
        assert (await house.client.get(f"/dicomweb/studies/{STUDY}/metadata", headers=house.reading)).status_code == 200

    @pytest.mark.asvs("V5.2.1")
    async def test_4_gb_announced_and_cut_off(self, house: House) -> None:
        async with bounded(house, "web"):
            _, writer = await asyncio.open_connection("127.0.0.1", house.node.ports["pages"])
            head = f"POST /dicomweb/studies HTTP/1.1\r\nHost: 127.0.0.1:{house.node.ports['pages']}\r\n"
            head += f"Authorization: Bearer {house.access.storing}\r\nContent-Type: application/dicom\r\n"
            writer.write(f"{head}Content-Length: 4294967295\r\n\r\n".encode())
            writer.write(hostile.part10(hostile.dataset()[:-100], EXPLICIT, STUDY) + bytes(50))
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.close()

    async def test_a_message_of_no_parts(self, house: House) -> None:
        async with bounded(house, "web"), told(house, "archive:instance:refused", "multipart-broken"):
            kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b', **house.storing}
            answer = await house.client.post("/dicomweb/studies", content=b"--x" * 30_000, headers=kind)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:troth:multipart-broken")

    async def test_a_header_without_end(self, house: House) -> None:
        async with bounded(house, "web"):
            _, writer = await asyncio.open_connection("127.0.0.1", house.node.ports["pages"])
            writer.write(b"GET /notice HTTP/1.1\r\nX: ")
            with suppress(ConnectionError):
                for _ in range(128):
                    writer.write(b"x" * (1 << 20))
                    async with asyncio.timeout(10):
                        await writer.drain()
            writer.close()

    async def test_a_form_larger_than_any_of_ours(self, house: House) -> None:
        async with bounded(house, "web"):
            answer = await house.client.post("/sign-in", data={"email": "x" * (8 << 20)})
        assert answer.status_code == 413


class TestInvitations:
    async def invite(self, house: House) -> Any:
        target = Target("organisation", house.access.tenant, house.access.tenant)
        permit = await permit_for(house.rooms, "administer", target)
        return await house.rooms.people.invite_subject(permit, house.subject_id, "patient@example.invalid")

    async def form(self, house: House, invitation: Any, code: str) -> dict[str, str]:
        born = date(1970, 1, 2)
        shown = shown_in((await house.client.get(f"/invitation/{invitation.secret}")).text)
        return {
            **shown,
            "name": "Hostile Input", "day": str(born.day), "month": str(born.month), "year": str(born.year),
            "email": "patient@example.invalid", "code": code,
        }  # fmt: skip

    async def test_an_expired_invitation(self, house: House) -> None:
        with clock.moved(timedelta(days=-8)):
            expired = await self.invite(house)
        async with bounded(house, "web"), told(house, "people:invitation:used"):
            answer = await house.client.post(f"/invitation/{expired.secret}")
        assert answer.status_code == 410
        assert (await house.client.get(f"/invitation/{expired.secret}")).status_code == 410
        assert "This invitation is over" in answer.text
        fresh = await self.invite(house)
        assert (await house.client.get(f"/invitation/{fresh.secret}")).status_code == 200

    async def test_an_invitation_that_was_never_made(self, house: House) -> None:
        async with bounded(house, "web"):
            for secret in ("x", "x" * 64, "%2e%2e", "../../etc/passwd", house.access.tenant.hex + "A" * 43):
                answer = await house.client.get(f"/invitation/{secret}")
                assert answer.status_code in (404, 410)

    async def test_a_wrong_code_is_told_and_rate_limited(self, house: House) -> None:
        invitation = await self.invite(house)
        wrong = f"{(int(invitation.code) + 1) % 1_000_000:06}"
        answers, form = [], await self.form(house, invitation, wrong)
        async with bounded(house, "web"):
            before = len(await house.events("people:match:failed"))
            for _ in range(6):
                answers.append(await house.client.post(f"/invitation/{invitation.secret}", data=form))
        assert [answer.status_code for answer in answers] == [422] * 4 + [429] * 2
        failed = await house.events("people:match:failed")
        assert len(failed) - before == 5
        assert {event.outcome for event in failed} == {"refused"}
        right = await house.client.post(f"/invitation/{invitation.secret}", data={**form, "code": invitation.code})
        assert right.status_code == 429

    async def test_the_right_code_lets_in(self, house: House) -> None:
        """The counterpart on the same set-up: the refusals above were not for another reason."""
        invitation = await self.invite(house)
        async with httpx.AsyncClient(base_url=house.node.url) as person:
            answer = await person.post(
                f"/invitation/{invitation.secret}", data=await self.form(house, invitation, invitation.code)
            )
        assert answer.status_code in (302, 303)


async def test_sign_in_asked_for_again_and_again_is_answered_alike(house: House) -> None:
    async with bounded(house, "web"):
        answers = [await house.client.post("/sign-in", data={"email": "nobody@example.invalid"}) for _ in range(7)]
    assert {(answer.status_code, answer.headers["location"]) for answer in answers} == {(303, "/sign-in/sent")}


def test_the_meter_sees_what_a_process_takes() -> None:
    """Control: memory that was given back at once, and CPU, are both seen."""
    meter = Meter(psutil.Process())
    with as_caller(), meter.running():  # rooms beside a node are open as its user
        taken = bytearray(os.urandom(1 << 20) * 100)
        del taken
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
    assert meter.peak_bytes > 90 << 20
    assert meter.cpu_seconds >= 0.3


def test_what_it_cost(capsys: pytest.CaptureFixture[str]) -> None:
    """Runs last, and says what was measured; the bounds are held by each test."""
    if not COSTS:
        pytest.skip("nothing was measured")
    biggest = max(COSTS, key=lambda cost: cost[1].peak_bytes)
    slowest = max(COSTS, key=lambda cost: cost[1].cpu_seconds)
    with capsys.disabled():
        print(
            f"\n{len(COSTS)} bad inputs; most memory {biggest[1].peak_bytes / (1 << 20):.1f} MiB ({biggest[0]}), "
            f"most CPU {slowest[1].cpu_seconds:.2f} s ({slowest[0]})"
        )
