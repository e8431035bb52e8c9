"""The listener over real sockets: a peer that keeps to the rules, and peers that do not."""

from __future__ import annotations

import asyncio
import os
import struct
from datetime import timedelta
from typing import Any

import pytest

from tests.common import dimse as wire
from tests.common.dimse import RecordingRooms, Served
from troth.doors.dimse import Limits
from troth.kit import clock, threads
from troth.kit.errors import Conflict, PermitDenied, TooLarge

QUICK = Limits(artim_seconds=1.0, idle_seconds=1.0, drain_seconds=2.0, dataset_bytes=100_000)
PATIENT = Limits(drain_seconds=2.0, dataset_bytes=100_000)


@pytest.fixture
async def served() -> Served:
    async with Served(RecordingRooms(), PATIENT) as it:
        yield it


@pytest.fixture
async def quick() -> Served:
    async with Served(RecordingRooms(), QUICK) as it:
        yield it


async def still_serves(served: Served) -> None:
    peer = await served.associate()
    peer.send(wire.data(wire.pdv(1, 3, wire.echo_command())))
    assert await peer.status() == 0
    peer.send(wire.RELEASE)
    assert (await peer.pdu())[0] == 6
    peer.hang_up()


def store(peer: wire.RawPeer, command: bytes | None = None, dataset: bytes | None = None) -> None:
    peer.send(wire.data(wire.pdv(3, 3, command if command is not None else wire.store_command())))
    peer.send(wire.data(wire.pdv(3, 2, dataset if dataset is not None else wire.tiny_dataset())))


# -- the way it should be ------------------------------------------------------------------------------------------


async def test_echo_and_release(served: Served) -> None:
    await still_serves(served)
    asked = served.rooms.people.asked
    assert asked == [("MODALITY", "TROTH", "127.0.0.1")] * 2, "at the association and at the echo: is it still known"
    assert served.rooms.policy.asked == 0, "an echo touches nothing that needs a decision"


async def test_store_is_acknowledged_only_when_the_archive_is_done(served: Served) -> None:
    archive = served.rooms.archive
    archive.may_go_on.clear()
    peer = await served.associate()
    store(peer)
    await asyncio.wait_for(archive.entered.wait(), 5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(peer.reader.read(1), 0.1)
    archive.may_go_on.set()
    assert await peer.status() == 0
    assert [received.dataset for received in archive.stored] == [wire.tiny_dataset()]
    peer.hang_up()


async def test_every_store_is_the_organisations_work_also_under_a_permit_that_was_there(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a task of its own: whose threads it takes is said to each."""
    really_store, whose = served.rooms.archive.store, list[object]()

    async def stored(*told: Any) -> Any:
        whose.append(threads._whose.get())
        return await really_store(*told)

    monkeypatch.setattr(served.rooms.archive, "store", stored)
    peer = await served.associate()
    for _ in range(3):
        store(peer)
        assert await peer.status() == 0
    assert served.rooms.policy.asked == 1
    assert whose == [wire.TENANT] * 3
    peer.hang_up()


async def test_any_cutting_of_a_message_gives_the_same_bytes(served: Served) -> None:
    command, dataset = wire.store_command(), wire.tiny_dataset()
    whole = wire.data(wire.pdv(3, 3, command), wire.pdv(3, 2, dataset))  # dcm4che packs both into one PDU
    bits = b"".join(wire.data(wire.pdv(3, 1, command[n : n + 1])) for n in range(len(command)))
    bits += wire.data(wire.pdv(3, 3, b""))
    bits += wire.data(*(wire.pdv(3, 0, dataset[n : n + 3]) for n in range(0, len(dataset), 3)), wire.pdv(3, 2, b""))
    peer = await served.associate()
    for octets in (whole, bits, whole):
        peer.send(octets)
        assert await peer.status() == 0
    for at in range(0, len(whole), 7):
        peer.send(whole[at : at + 7])
        await asyncio.sleep(0.001)
    assert await peer.status() == 0
    assert [received.dataset for received in served.rooms.archive.stored] == [dataset] * 4
    peer.hang_up()


async def test_a_peer_that_does_not_wait_is_served_in_order(served: Served) -> None:
    peer = await served.associate()
    for number in range(30):
        store(peer, wire.store_command(f"1.2.{number}"), wire.tiny_dataset(f"1.2.{number}"))
        peer.send(wire.data(wire.pdv(1, 3, wire.echo_command())))
    for _ in range(60):
        assert await peer.status() == 0
    uids = [received.header.instance_uid for received in served.rooms.archive.stored]
    assert uids == [f"1.2.{number}" for number in range(30)]
    peer.hang_up()


async def test_answers_are_cut_to_the_peers_pdu(served: Served) -> None:
    peer = await served.associate(max_pdu=40)
    peer.send(wire.data(wire.pdv(1, 3, wire.echo_command())))
    command = b""
    for _ in range(10):
        kind, body = await peer.pdu()
        assert kind == 4
        assert len(body) <= 40
        command += body[6:]
        if body[5] & 2:
            break
    assert wire.status_of(command) == 0
    peer.hang_up()


async def test_large_pdus_up_to_the_bound(served: Served) -> None:
    noise = os.urandom(60_000)
    dataset = wire.tiny_dataset() + struct.pack("<HH2sxxI", 0x7FE0, 0x10, b"OW", len(noise)) + noise
    peer = await served.associate()
    store(peer, dataset=dataset)
    assert await peer.status() == 0
    assert served.rooms.archive.stored[0].dataset == dataset
    peer.hang_up()


# -- who and whether -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "proposal", [{"calling": "STRANGER"}, {"called": "OTHER"}, {"calling": ""}], ids=["calling", "called", "empty"]
)
@pytest.mark.conformance("reject 1 1 3")
async def test_unknown_peers_get_one_and_the_same_answer(served: Served, proposal: dict[str, str]) -> None:
    peer = await served.dial()
    peer.send(wire.associate_request(**proposal))
    assert await peer.pdu() == (3, b"\0\1\1\3")
    peer.hang_up()
    await still_serves(served)


@pytest.mark.parametrize(
    ("proposal", "answer"),
    [({"version": 2}, b"\0\1\2\2"), ({"application": "1.2.3"}, b"\0\1\1\2")],
    ids=["version", "application context"],
)
@pytest.mark.conformance("reject 1 1 2", "reject 1 2 2")
async def test_foreign_protocols(served: Served, proposal: dict[str, object], answer: bytes) -> None:
    peer = await served.dial()
    peer.send(wire.associate_request(**proposal))  # type: ignore[arg-type]
    assert await peer.pdu() == (3, answer)
    peer.hang_up()


async def test_denied_before_a_byte_is_kept(served: Served) -> None:
    served.rooms.policy.is_allowed = False
    peer = await served.associate()
    store(peer)
    assert await peer.status() == 0x0124
    assert served.rooms.archive.receivers == 0
    served.rooms.policy.is_allowed = True
    store(peer)
    assert await peer.status() == 0
    peer.hang_up()


async def test_decided_once_and_again_after_a_second(served: Served) -> None:
    peer = await served.associate()
    for _ in range(3):
        store(peer)
        assert await peer.status() == 0
    assert served.rooms.policy.asked == 1
    with clock.moved(timedelta(seconds=2)):
        served.rooms.policy.is_allowed = False
        store(peer)
        assert await peer.status() == 0x0124
    peer.hang_up()


async def test_a_removed_peer_is_felt_on_a_running_association(served: Served) -> None:
    peer = await served.associate()
    store(peer)
    assert await peer.status() == 0
    served.rooms.people.known.clear()
    with clock.moved(timedelta(seconds=2)):
        store(peer)
        assert await peer.status() == 0x0124
    assert len(served.rooms.archive.stored) == 1
    peer.hang_up()


async def test_revoked_while_the_data_set_comes(served: Served) -> None:
    peer = await served.associate()
    dataset = wire.tiny_dataset()
    peer.send(wire.data(wire.pdv(3, 3, wire.store_command()), wire.pdv(3, 0, dataset[:20])))
    await asyncio.sleep(0.05)
    assert served.rooms.archive.receivers == 1
    served.rooms.policy.is_allowed = False
    with clock.moved(timedelta(seconds=2)):
        peer.send(wire.data(wire.pdv(3, 2, dataset[20:])))
        assert await peer.status() == 0x0124
    assert served.rooms.archive.stored == []
    assert served.rooms.archive.aborted == 1
    peer.hang_up()


# -- what the archive says -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status"),
    [(TooLarge("x"), 0xA700), (Conflict("x"), 0x0111), (PermitDenied(), 0x0124), (RuntimeError("secret"), 0x0110)],
    ids=["too large", "conflict", "denied", "own failure"],
)
@pytest.mark.parametrize("where", ["feed_fault", "store_fault", "outcome"])
@pytest.mark.conformance("C-STORE 0110", "C-STORE 0124", "C-STORE A700", "C-STORE 0111")
async def test_each_error_has_its_status(served: Served, fault: Exception, status: int, where: str) -> None:
    archive = served.rooms.archive
    if where == "outcome":
        archive.outcome = wire.Outcome("refused", fault)  # type: ignore[arg-type]
    else:
        setattr(archive, where, fault)
    peer = await served.associate()
    store(peer)
    kind, body = await peer.pdu()
    assert kind == 4
    assert wire.status_of(body[6:]) == status
    assert b"secret" not in body
    archive.feed_fault = archive.store_fault = None
    archive.outcome = wire.Outcome("already_held")
    store(peer)
    assert await peer.status() == 0, "the association goes on"
    peer.hang_up()


@pytest.mark.parametrize(
    "command",
    [wire.store_command("9.9.9"), wire.store_command(sop_class="1.2.840.10008.5.1.4.1.1.4"), wire.store_command("")],
    ids=["instance", "class", "none"],
)
@pytest.mark.conformance("C-STORE A900")
async def test_uids_of_command_and_data_set_must_agree(served: Served, command: bytes) -> None:
    peer = await served.associate()
    store(peer, command)
    assert await peer.status() == 0xA900
    assert served.rooms.archive.stored == []
    peer.hang_up()


@pytest.mark.conformance("C-STORE 0211", "C-STORE C000")
async def test_other_operations_are_answered_and_change_nothing(served: Served) -> None:
    peer = await served.associate()
    store(peer, wire.store_command(field=0x20))  # C-FIND with an identifier
    assert await peer.status() == 0x0211
    peer.send(wire.data(wire.pdv(3, 3, wire.store_command(field=0x20, dataset=0x101))))
    assert await peer.status() == 0x0211
    peer.send(wire.data(wire.pdv(3, 3, wire.store_command(dataset=0x101))))
    assert await peer.status() == 0xC000
    peer.send(wire.data(wire.pdv(3, 3, wire.store_command(field=0xFFF, dataset=0x101))))  # C-CANCEL has no answer
    store(peer, wire.store_command(field=0x30))  # an echo that carries a data set
    assert await peer.status() == 0
    assert served.rooms.archive.receivers == 0
    peer.hang_up()


@pytest.mark.conformance("limit dataset_bytes", "C-STORE A700")
async def test_a_data_set_above_the_limit_is_refused_and_the_next_one_taken(served: Served) -> None:
    peer = await served.associate()
    peer.send(wire.data(wire.pdv(3, 3, wire.store_command())))
    for _ in range(2):
        peer.send(wire.data(wire.pdv(3, 0, bytes(60_000))))
    peer.send(wire.data(wire.pdv(3, 2, b"")))
    assert await peer.status() == 0xA700
    store(peer)
    assert await peer.status() == 0
    peer.send(wire.data(wire.pdv(3, 3, wire.store_command())))
    for _ in range(4):
        peer.send(wire.data(wire.pdv(3, 0, bytes(60_000))))
    assert (await peer.pdu())[0] == 7, "twice the limit is no data set but an attack"
    assert len(served.rooms.archive.stored) == 1


# -- hostile peers -------------------------------------------------------------------------------------------------

STRANGE = {
    "4 GB association": b"\x01\x00\xff\xff\xff\xff" + bytes(1000),
    "64 MB association": b"\x01\x00\x04\x00\x00\x00" + bytes(1000),
    "random": bytes(range(200, 256)) * 20,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    "data first": wire.data(wire.pdv(1, 3, wire.echo_command())),
    "release first": wire.RELEASE,
    "accept first": b"\x02\x00\x00\x00\x00\x04\0\0\0\0",
    "200 contexts": wire.associate_request(
        contexts=b"".join(wire.context(n % 256 | 1, wire.CT, ["1.2"]) for n in range(0, 400, 2))
    ),
    "empty association": b"\x01\x00\x00\x00\x00\x00",
}


@pytest.mark.parametrize("octets", STRANGE.values(), ids=STRANGE.keys())
@pytest.mark.conformance("limit association_bytes", "association abort")
async def test_a_stranger_is_aborted_at_once(served: Served, octets: bytes) -> None:
    peer = await served.dial()
    peer.send(octets)
    kind, body = await peer.pdu()
    assert (kind, body[2]) == (7, 2)
    assert served.rooms.people.asked == []
    await still_serves(served)
    peer.hang_up()


CROOKED = {
    "4 GB of data": b"\x04\x00\xff\xff\xff\xff",
    "one byte over the bound": struct.pack(">BxI", 4, Limits().pdu_bytes + 1),
    "unknown context": wire.data(wire.pdv(9, 3, wire.echo_command())),
    "context that was refused": wire.data(wire.pdv(5, 3, wire.echo_command())),
    "data without command": wire.data(wire.pdv(3, 2, wire.tiny_dataset())),
    "command inside a data set": wire.data(wire.pdv(3, 3, wire.store_command()), wire.pdv(3, 3, wire.store_command())),
    "context changes": wire.data(wire.pdv(3, 3, wire.store_command()), wire.pdv(1, 2, b"1")),
    "value longer than its PDU": wire.data(struct.pack(">IBB", 4_000_000, 1, 3)),
    "empty PDU": wire.data(),
    "command length lies": wire.data(wire.pdv(1, 3, struct.pack("<HHI", 0, 0x100, 0xFFFFFFFF) + b"\1\0")),
    "command without end": wire.data(*[wire.pdv(1, 1, bytes(6_000))] * 3),
    "a response": wire.data(wire.pdv(3, 3, wire.store_command(field=0x8001, dataset=0x101))),
    "second association": wire.associate_request(),
    "HTTP inside": b"GET / HTTP/1.1\r\n\r\n",
    "release in a message": wire.data(wire.pdv(3, 3, wire.store_command())) + wire.RELEASE,
}


@pytest.mark.parametrize("octets", CROOKED.values(), ids=CROOKED.keys())
@pytest.mark.conformance("limit pdu_bytes", "limit command_bytes", "association abort")
async def test_a_known_peer_that_breaks_the_rules_is_aborted(served: Served, octets: bytes) -> None:
    refused = wire.context(5, "1.2.840.10008.5.1.4.31", ["1.2.840.10008.1.2"])
    taken = wire.context(1, wire.VERIFICATION, ["1.2.840.10008.1.2"]) + wire.context(
        3, wire.CT, ["1.2.840.10008.1.2.1"]
    )
    peer = await served.associate(contexts=taken + refused)
    peer.send(octets)
    kind, body = await peer.pdu()
    assert (kind, body[2]) == (7, 2)
    assert served.rooms.archive.stored == []
    peer.hang_up()
    await still_serves(served)


@pytest.mark.parametrize("ending", [wire.ABORT, b"", None], ids=["abort", "end of stream", "reset"])
async def test_gone_in_the_middle_of_a_data_set(served: Served, ending: bytes | None) -> None:
    peer = await served.associate()
    peer.send(wire.data(wire.pdv(3, 3, wire.store_command())) + wire.data(wire.pdv(3, 0, wire.tiny_dataset())))
    while not served.rooms.archive.receivers:
        await asyncio.sleep(0.01)
    if ending is None:
        peer.writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: reset
    peer.send(ending or b"")
    peer.hang_up()
    for _ in range(200):
        if served.rooms.archive.aborted:
            break
        await asyncio.sleep(0.01)
    assert served.rooms.archive.aborted == 1
    assert served.rooms.archive.stored == []
    assert served.listener.associations == 0
    await still_serves(served)


async def test_gone_while_the_archive_works(served: Served) -> None:
    archive = served.rooms.archive
    archive.may_go_on.clear()
    peer = await served.associate()
    store(peer)
    await asyncio.wait_for(archive.entered.wait(), 5)
    peer.hang_up()
    await asyncio.sleep(0.05)
    archive.may_go_on.set()
    await still_serves(served)
    assert len(archive.stored) == 1, "what was received whole is kept, it is only not acknowledged"


# -- time and numbers ----------------------------------------------------------------------------------------------


@pytest.mark.conformance("limit artim_seconds", "limit idle_seconds")
async def test_silence_and_slow_drips_are_closed(quick: Served) -> None:
    silent, dripping, idle = await quick.dial(), await quick.dial(), await quick.associate()
    request = wire.associate_request()

    async def drip() -> None:
        for at in range(len(request)):
            dripping.send(request[at : at + 1])
            await asyncio.sleep(0.05)

    task = asyncio.create_task(drip())
    await silent.closed()
    await dripping.closed()
    assert (await idle.pdu())[0] == 7
    task.cancel()
    await still_serves(quick)


async def test_half_a_pdu_is_no_sign_of_life(quick: Served) -> None:
    peer = await quick.associate()
    octets = wire.data(wire.pdv(3, 3, wire.store_command()))
    answer = asyncio.create_task(peer.pdu())  # read at once: a reset would drop what lies unread
    for at in range(len(octets)):
        peer.send(octets[at : at + 1])
        await asyncio.sleep(0.05)
        if answer.done():
            break
    assert (await answer)[0] == 7
    peer.hang_up()


async def test_a_slow_archive_is_not_the_peers_fault(quick: Served) -> None:
    quick.rooms.archive.may_go_on.clear()
    peer = await quick.associate()
    store(peer)
    await asyncio.sleep(1.8)
    quick.rooms.archive.may_go_on.set()
    assert await peer.status() == 0
    peer.hang_up()
