"""DICOM peers."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from tests.unit.people.conftest import Happened, permit_for
from troth.people import FieldMalformed, Organisation, OrganisationNotFound, PeerExists, PeerNotFound, People


async def test_a_peer_is_its_title_and_its_address(people: People, hospital: Organisation) -> None:
    peer = await people.add_peer(permit_for(hospital.id), hospital.id, "CT1 ", "192.0.2.10", 11112)
    actor = await people.actor_of_peer(" CT1", "TROTH", "192.0.2.10")
    assert actor is not None
    assert (actor.kind, actor.id, actor.tenant, actor.role) == ("peer", peer.id, hospital.id, "peer")
    assert (actor.name, actor.organisation) == ("CT1", "Northern Hospital")
    assert await people.actor_of_peer("CT1", "TROTH", "::ffff:192.0.2.10") == actor
    for calling, address in (
        ("CT2", "192.0.2.10"),
        ("ct1", "192.0.2.10"),
        ("CT1", "192.0.2.11"),
        ("CT1", "x"),
        ("", ""),
    ):
        assert await people.actor_of_peer(calling, "TROTH", address) is None
    assert await people.peers(permit_for(hospital.id)) == [peer]


async def test_the_title_it_calls_tells_organisations_apart(
    people: People, hospital: Organisation, practice: Organisation
) -> None:
    await people.add_peer(permit_for(hospital.id), hospital.id, "GATE", "192.0.2.20", 104, called_ae="NORTH")
    await people.add_peer(permit_for(practice.id), practice.id, "GATE", "192.0.2.20", 104, called_ae="SOUTH")
    north, south = [await people.actor_of_peer("GATE", called, "192.0.2.20") for called in ("NORTH", "SOUTH")]
    assert north is not None
    assert south is not None
    assert (north.tenant, south.tenant) == (hospital.id, practice.id)
    assert await people.actor_of_peer("GATE", "EAST", "192.0.2.20") is None


async def test_registered_once(people: People, hospital: Organisation, practice: Organisation) -> None:
    await people.add_peer(permit_for(hospital.id), hospital.id, "MR1", "192.0.2.30", 104)
    with pytest.raises(PeerExists):
        await people.add_peer(permit_for(practice.id), practice.id, "MR1", "192.0.2.30", 104)
    with pytest.raises(OrganisationNotFound):
        await people.add_peer(permit_for(practice.id), hospital.id, "MR2", "192.0.2.30", 104)


@pytest.mark.asvs("V1.3.6")
async def test_a_name_is_looked_up_when_it_is_registered(people: People, practice: Organisation) -> None:
    peer = await people.add_peer(permit_for(practice.id), practice.id, "LOCAL", "localhost", 104)
    assert (peer.host, peer.address) == ("localhost", "127.0.0.1")
    assert await people.actor_of_peer("LOCAL", "TROTH", "127.0.0.1") is not None


async def test_a_name_is_looked_up_as_it_was_registered(
    people: People, practice: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images go to the owner of `straße`, and not to that of `strasse`."""
    asked: list[object] = []

    async def lookup(host: object, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(0, 0, 0, "", ("192.0.2.31", 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
    peer = await people.add_peer(permit_for(practice.id), practice.id, "STRASSE", "ct.straße.example", 104)
    assert (asked, peer.address) == (["ct.xn--strae-oqa.example"], "192.0.2.31")


async def test_out_of_use(people: People, hospital: Organisation, practice: Organisation) -> None:
    peer = await people.add_peer(permit_for(hospital.id), hospital.id, "US1", "192.0.2.40", 104)
    for permit in (permit_for(practice.id), permit_for(None)):
        with pytest.raises(PeerNotFound):
            await people.end_peer(permit, peer.id)
    assert await people.actor_of_peer("US1", "TROTH", "192.0.2.40") is not None
    await people.end_peer(permit_for(hospital.id), peer.id)
    assert await people.actor_of_peer("US1", "TROTH", "192.0.2.40") is None
    assert await people.peers(permit_for(None)) == []


@pytest.mark.parametrize(
    ("ae", "host", "port"),
    [
        ("", "192.0.2.1", 104),
        ("A" * 17, "192.0.2.1", 104),
        ("A\\B", "192.0.2.1", 104),
        ("A\nB", "192.0.2.1", 104),
        ("ÄE", "192.0.2.1", 104),
        ("AE", "no such host.invalid", 104),
        ("AE", "x" * 300, 104),
        ("AE", "192.0.2.1", 0),
        ("AE", "192.0.2.1", 65536),
    ],
)
async def test_what_cannot_be_a_peer(people: People, hospital: Organisation, ae: str, host: str, port: int) -> None:
    with pytest.raises(FieldMalformed):
        await people.add_peer(permit_for(hospital.id), hospital.id, ae, host, port)


async def test_sixteen_characters_are_a_title(people: People, hospital: Organisation) -> None:
    title = f"A B{uuid4().hex[:13].upper()}"
    assert (await people.add_peer(permit_for(hospital.id), hospital.id, title, "192.0.2.50", 104)).ae == title


async def test_another_address_keeps_a_machine_and_another_certificate_makes_it_another(
    people: People, hospital: Organisation, practice: Organisation, happened: Happened
) -> None:
    permit = permit_for(hospital.id)
    peer = await people.add_peer(permit, hospital.id, "MOVES", "192.0.2.60", 104)
    moved = await people.change_peer(permit, peer.id, "192.0.2.61", 105)
    assert (moved.id, moved.address, moved.port) == (peer.id, "192.0.2.61", 105)
    assert await people.actor_of_peer("MOVES", "TROTH", "192.0.2.60") is None
    first = await people.change_peer(permit, peer.id, "192.0.2.61", 105, "AB:" * 31 + "AB", over_tls=True)
    assert first.id != peer.id
    assert await people.caller_of_peer("MOVES", "TROTH", "192.0.2.99", "ab" * 32) is not None
    assert await people.known_peer(hospital.id, peer.id) is None
    for permit_, fault in ((permit_for(practice.id), PeerNotFound), (permit_for(None), PeerNotFound)):
        with pytest.raises(fault):
            await people.change_peer(permit_, first.id, "192.0.2.61", 105)
    await people.add_peer(permit, hospital.id, "MOVES", "192.0.2.62", 104)
    with pytest.raises(PeerExists):
        await people.change_peer(permit, first.id, "192.0.2.62", 105)
    await people.end_peer(permit, first.id)
    found = [each for each in await happened(hospital) if (each.payload or {}).get("ae") == "MOVES"]
    assert [each.kind.rpartition(":")[2] for each in found] == ["added", "changed", "changed", "added", "ended"]
    assert (found[2].payload or {})["before"] == str(peer.id)
