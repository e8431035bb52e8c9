"""Bad input for searching, retrieving and committing, and permits that end in the middle: over the real archive."""

from __future__ import annotations

import asyncio
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, Association, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.common import dimse as wire
from tests.common.hospital import MODALITY, OUR_AE, Hospital, open_hospital
from tests.common.programs import run
from tests.common.servers import ServedDatabase
from tests.conformance.station import free_port, keys, send, specimens
from troth.doors import dimse
from troth.doors.dimse import finding
from troth.policy import Target
from troth.vault import Keyring

IMPLICIT = "1.2.840.10008.1.2"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{last}" for last in (1, 2, 3))
COMMIT = "1.2.840.10008.1.20.1"
SLICES = 24


class Door:
    def __init__(self, hospital: Hospital, listener: dimse.Listener, study_uid: str) -> None:
        self.hospital, self.listener, self.study_uid = hospital, listener, study_uid

    async def peer(self) -> wire.RawPeer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port)
        peer = wire.RawPeer(reader, writer)
        contexts = b"".join(
            wire.context(number, sop_class, [IMPLICIT])
            for number, sop_class in ((1, FIND), (3, MOVE), (5, GET), (7, COMMIT), (9, wire.VERIFICATION))
        )
        peer.send(wire.associate_request(calling=MODALITY, called=OUR_AE, contexts=contexts))
        assert (await peer.pdu())[0] == 2
        return peer

    async def still_serves(self) -> None:
        peer = await self.peer()
        peer.send(wire.data(wire.pdv(9, 3, wire.echo_command())))
        assert await peer.status() == 0
        peer.hang_up()


@pytest.fixture(scope="module")
async def door(
    database: ServedDatabase, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Door]:
    hospital = await open_hospital(database, keyring, tmp_path_factory.mktemp("hospital"))
    listener = dimse.create(hospital, dimse.Limits(drain_seconds=1.0, identifier_bytes=1 << 20))
    await listener.start("127.0.0.1", 0)
    folder = tmp_path_factory.mktemp("sent")
    first = pydicom.dcmread(specimens(folder)[0])
    (folder / "slices").mkdir()
    for number in range(SLICES):
        first.SOPInstanceUID = first.file_meta.MediaStorageSOPInstanceUID = f"2.25.{10_000 + number}"
        first.StudyInstanceUID, first.SeriesInstanceUID = "2.25.1", "2.25.2"
        first.InstanceNumber = number
        first.save_as(folder / "slices" / f"{number}.dcm")
    await send(listener.port, [*folder.glob("*.dcm"), *(folder / "slices").iterdir()])
    yield Door(hospital, listener, "2.25.1")
    await listener.stop()


def command(field: int, sop_class: str, *, dataset: int = 1, more: bytes = b"") -> bytes:
    return wire.command_set(
        wire.element(2, sop_class.encode())
        + wire.element(0x100, wire.short(field))
        + wire.element(0x110, wire.short(5))
        + more
        + wire.element(0x700, wire.short(0))
        + wire.element(0x800, wire.short(dataset))
    )


def action() -> bytes:
    return wire.command_set(
        wire.element(3, COMMIT.encode())
        + wire.element(0x100, wire.short(0x130))
        + wire.element(0x110, wire.short(5))
        + wire.element(0x800, wire.short(1))
        + wire.element(0x1001, b"1.2.840.10008.1.20.1.1")
        + wire.element(0x1008, wire.short(1))
    )


REQUESTS = {
    "find": (1, command(0x20, FIND), 0xA900),
    "move": (3, command(0x21, MOVE, more=wire.element(0x600, MODALITY.encode())), 0xA900),
    "get": (5, command(0x10, GET), 0xA900),
    "commit": (7, action(), 0x0115),
}
NESTED = struct.pack("<HHI", 0x0008, 0x1110, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
LEVEL = struct.pack("<HHI", 0x0008, 0x0052, 6) + b"STUDY "
BAD = {
    "empty": b"",
    "garbage": bytes(range(256)) * 8,
    "cut": LEVEL[:-3],
    "longer than the message": struct.pack("<HHI", 8, 0x52, 0xFFFFFFF0) + b"STUDY",
    "20,000 nested sequences": NESTED * 20_000,
    "pixels": LEVEL + struct.pack("<HHI", 0x7FE0, 0x10, 4) + b"\0\0\0\0",
    "file meta": struct.pack("<HHI", 2, 0x10, 4) + b"1.2\0" + LEVEL,
    "path for a uid": LEVEL + struct.pack("<HHI", 0x20, 0xD, 12) + b"../../passwd",
    "nul and sql": LEVEL + struct.pack("<HHI", 0x20, 0xD, 14) + b"1'; drop\0table",
}


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.conformance("C-FIND A900", "C-MOVE and C-GET A900", "N-ACTION 0115")
async def test_a_bad_data_set_is_refused_and_the_association_goes_on(door: Door, name: str, octets: bytes) -> None:
    context, request, status = REQUESTS[name]
    peer = await door.peer()
    peer.send(wire.data(wire.pdv(context, 3, request)))
    for at in range(0, max(1, len(octets)), 100_000):
        is_last = at + 100_000 >= len(octets)
        peer.send(wire.data(wire.pdv(context, 2 if is_last else 0, octets[at : at + 100_000])))
    found = await peer.status()
    assert found in (status, 0xC002) if name == "find" else found == status
    peer.send(wire.data(wire.pdv(9, 3, wire.echo_command())))
    assert await peer.status() == 0
    peer.hang_up()


@pytest.mark.asvs("V5.2.2")
@pytest.mark.conformance("C-FIND 0122")
async def test_a_class_that_is_not_that_of_the_context_is_told(door: Door) -> None:
    peer = await door.peer()
    peer.send(wire.data(wire.pdv(1, 3, command(0x20, MOVE))) + wire.data(wire.pdv(1, 2, LEVEL)))
    assert await peer.status() == 0x0122
    peer.hang_up()


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.conformance("limit identifier_bytes", "association abort")
async def test_a_data_set_without_end_ends_the_association(door: Door, name: str) -> None:
    context, request, _ = REQUESTS[name]
    peer = await door.peer()
    peer.send(wire.data(wire.pdv(context, 3, request)))
    for _ in range(12):
        peer.send(wire.data(wire.pdv(context, 0, bytes(100_000))))
    assert (await peer.pdu())[0] == 7
    peer.hang_up()
    await door.still_serves()


@pytest.mark.conformance("association operations")
async def test_answers_nobody_waits_for_and_a_second_request_at_once(door: Door) -> None:
    peer = await door.peer()
    peer.send(wire.data(wire.pdv(1, 3, command(0x8001, FIND, dataset=0x101, more=wire.element(0x120, wire.short(1))))))
    assert (await peer.pdu())[0] == 7
    peer.hang_up()
    peer = await door.peer()
    cancel = wire.command_set(
        wire.element(0x100, wire.short(0xFFF))
        + wire.element(0x120, wire.short(77))
        + wire.element(0x800, wire.short(0x101))
    )
    peer.send(wire.data(wire.pdv(1, 3, cancel)))  # of nothing
    one = wire.data(wire.pdv(1, 3, command(0x20, FIND))) + wire.data(wire.pdv(1, 2, LEVEL))
    peer.send(one + one)
    kinds = []
    while (kind := (await peer.pdu())[0]) == 4:
        kinds.append(kind)
    assert kind == 7, "one operation at a time was agreed on"
    peer.hang_up()
    await door.still_serves()


@pytest.mark.conformance("C-FIND FE00", "association operations")
async def test_a_search_is_cancelled(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_STUDIES_OF_A_PAGE", 1)
    cancel = wire.command_set(
        wire.element(0x100, wire.short(0xFFF))
        + wire.element(0x120, wire.short(5))
        + wire.element(0x800, wire.short(0x101))
    )
    look = door.hospital.archive.query

    async def slowly(*asked: Any) -> Any:
        await asyncio.sleep(0.3)
        return await look(*asked)

    monkeypatch.setattr(door.hospital.archive, "query", slowly)
    peer = await door.peer()
    peer.send(wire.data(wire.pdv(1, 3, command(0x20, FIND))) + wire.data(wire.pdv(1, 2, LEVEL)))
    statuses: list[int] = []
    while not statuses or statuses[-1] in (0xFF00, 0xFF01):
        kind, body = await peer.pdu()
        assert kind == 4
        if body[5] & 1:
            statuses.append(wire.status_of(body[6:]))
        if len(statuses) == 1:
            peer.send(wire.data(wire.pdv(1, 3, cancel)))
    assert statuses[-1] == 0xFE00
    assert len(statuses) < 4, "the matches that were left are not told"
    peer.hang_up()


@pytest.mark.conformance("C-FIND A700", "limit answers")
async def test_a_search_ends_at_its_limit_and_says_so(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_STUDIES_OF_A_PAGE", 1)
    for answers, status in ((10_000, 0), (2, 0xA700)):
        few = dimse.create(door.hospital, dimse.Limits(drain_seconds=1.0, answers=answers))
        await few.start("127.0.0.1", 0)
        _code, said = await run(
            "findscu", "-v", "-S", "-aet", MODALITY, "-aec", OUR_AE, "-k", "QueryRetrieveLevel=STUDY", "-k",
            "StudyInstanceUID", "127.0.0.1", few.port,
        )  # fmt: skip
        await few.stop()
        assert said.count("(Pending)") == min(answers, 4), said
        assert ("OutOfResources" in said.replace(" ", "")) == (status != 0), said


# -- what ends in the middle ---------------------------------------------------------------------------------------


class Slow:
    """A destination that takes its time, and does something when the first instance came."""

    def __init__(self, door: Door, at_first: Callable[[], None] = lambda: None, pause_seconds: float = 0.25) -> None:
        self.got: list[str] = []
        self.port = free_port()
        self.came = threading.Event()
        self._at_first, self._pause = at_first, pause_seconds
        self.ae = AE("SLOW")
        self.ae.add_supported_context(CTImageStorage, "1.2.840.10008.1.2.1")
        self.server = self.ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._take)]
        )

    def _take(self, event: evt.Event) -> int:
        self.got.append(str(event.request.AffectedSOPInstanceUID))
        if len(self.got) == 1:
            self.came.set()
            self._at_first()
        time.sleep(self._pause)
        return 0x0000


async def moved(door: Door, slow: Slow, work: Callable[[Association, Dataset], Any]) -> Any:
    place = door.hospital.organisation.id
    inside = door.hospital.permit("administer", Target("organisation", place, place))
    peer = await door.hospital.people.add_peer(inside, place, "SLOW", "127.0.0.1", slow.port)
    ae = AE(MODALITY)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
    ae.dimse_timeout = ae.network_timeout = 60

    def in_thread() -> Any:
        association = ae.associate("127.0.0.1", door.listener.port, ae_title=OUR_AE)
        assert association.is_established
        try:
            return work(association, keys("STUDY", StudyInstanceUID=door.study_uid))
        finally:
            association.release()

    try:
        return await asyncio.to_thread(in_thread)
    finally:
        slow.server.shutdown()
        await door.hospital.people.end_peer(inside, peer.id)


def whole_move(association: Association, asked: Dataset) -> Dataset:
    model = StudyRootQueryRetrieveInformationModelMove
    return list(association.send_c_move(asked, "SLOW", model))[-1][0]


@pytest.mark.conformance("limit permit_seconds", "security decision")
async def test_a_restriction_is_felt_within_a_second_of_a_move(door: Door) -> None:
    loop = asyncio.get_running_loop()
    hospital = door.hospital
    target = await hospital.archive.target(hospital.clinician, door.study_uid)
    assert target.id is not None

    async def restrict(is_restricted: bool) -> None:
        await hospital.archive.restrict_study(hospital.permit("restrict", target), target.id, is_restricted, "asked")

    slow = Slow(door, lambda: asyncio.run_coroutine_threadsafe(restrict(True), loop).result(10))
    try:
        last = await moved(door, slow, whole_move)
    finally:
        await restrict(False)
    assert last.Status == 0xB000
    assert last.NumberOfCompletedSuboperations == len(slow.got)
    assert last.NumberOfFailedSuboperations == SLICES - len(slow.got)
    assert 1 <= len(slow.got) <= 6, "each takes a quarter of a second at least"


async def test_a_peer_taken_out_of_use_moves_nothing_more(door: Door) -> None:
    """The destination is taken out of use at the first instance: no other association to it is opened after that."""
    slow = Slow(door, pause_seconds=0.0)
    last = await moved(door, slow, whole_move)
    assert (last.Status, len(slow.got)) == (0, SLICES)
    gone = Slow(door)
    gone.server.shutdown()
    ae = AE(MODALITY)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelMove)

    def ask() -> int:
        association = ae.associate("127.0.0.1", door.listener.port, ae_title=OUR_AE)
        status = whole_move(association, keys("STUDY", StudyInstanceUID=door.study_uid)).Status
        association.release()
        return int(status)

    assert await asyncio.to_thread(ask) == 0xA801


@pytest.mark.conformance("C-MOVE and C-GET FE00", "association operations")
async def test_a_move_is_cancelled(door: Door) -> None:
    model = StudyRootQueryRetrieveInformationModelMove

    def work(association: Association, asked: Dataset) -> Dataset:
        last = Dataset()
        for number, (status, _) in enumerate(association.send_c_move(asked, "SLOW", model, msg_id=9)):
            if number == 1:
                association.send_c_cancel(9, query_model=model)
            last = status
        return last

    slow = Slow(door)
    last = await moved(door, slow, work)
    assert last.Status == 0xFE00
    assert last.NumberOfCompletedSuboperations == len(slow.got) < SLICES
    assert last.NumberOfRemainingSuboperations == SLICES - len(slow.got)


async def test_who_asked_goes_away_and_nothing_more_is_sent(door: Door) -> None:
    def work(association: Association, asked: Dataset) -> None:
        responses = association.send_c_move(asked, "SLOW", StudyRootQueryRetrieveInformationModelMove)
        next(responses)
        association.abort()

    slow = Slow(door)
    await moved(door, slow, work)
    await asyncio.sleep(0.6)
    assert len(slow.got) <= 5
    closed = (await door.hospital.events("archive:viewing:closed"))[0]
    assert closed.counts["instances"] <= len(slow.got) + 1
    await door.still_serves()


@pytest.mark.parametrize("number", [300])
@pytest.mark.conformance("association idle")
async def test_idle_connections_do_not_stop_service(door: Door, number: int) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", door.listener.port) for _ in range(number)]
    await door.still_serves()
    assert door.listener.tally.displaced >= number - 256
    for _, writer in idle:
        writer.close()
