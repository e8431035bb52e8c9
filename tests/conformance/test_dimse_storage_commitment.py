"""Asking over the DICOM network whether it is held, with an independent client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, Association, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
)

from tests.common.hospital import MODALITY, OUR_AE
from tests.conformance.station import Door, free_port, keys, talk
from troth.doors import dimse
from troth.kit import clock
from troth.policy import Actor, Target


@pytest.mark.conformance("C-FIND 0124", "N-ACTION 0124", "limit permit_seconds")
async def test_a_peer_taken_out_of_use_finds_and_asks_nothing_more(door: Door, modality: AE) -> None:
    hospital = door.hospital
    place = hospital.organisation.id
    inside = hospital.permit("administer", Target("organisation", place, place))
    find, commitment = StudyRootQueryRetrieveInformationModelFind, StorageCommitmentPushModel
    modality.add_requested_context(find)
    modality.add_requested_context(commitment)
    association = await asyncio.to_thread(modality.associate, "127.0.0.1", door.port, ae_title=OUR_AE)
    asked, wanted = keys("STUDY", StudyInstanceUID=""), wish((door.sent(0).SOPClassUID, door.sent(0).SOPInstanceUID))
    try:
        assert len(await asyncio.to_thread(lambda: list(association.send_c_find(asked, find)))) > 1
        await hospital.people.end_peer(inside, hospital.modality.id)
        with clock.moved(timedelta(seconds=2)):
            ((refused, _),) = await asyncio.to_thread(lambda: list(association.send_c_find(asked, find)))
            assert refused.Status == 0x0124
            status, _ = await asyncio.to_thread(association.send_n_action, wanted, 1, commitment, WELL_KNOWN)
            assert status.Status == 0x0124
    finally:
        await asyncio.to_thread(association.release)
        hospital.modality = await hospital.people.add_peer(inside, place, MODALITY, "127.0.0.1", 104, called_ae=OUR_AE)


WELL_KNOWN = "1.2.840.10008.1.20.1.1"


Report = tuple[int, Dataset]


def wish(*references: tuple[str, str]) -> Dataset:
    asked = Dataset()
    asked.TransactionUID = generate_uid()
    asked.ReferencedSOPSequence = []
    for sop_class, uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        asked.ReferencedSOPSequence.append(item)
    return asked


def taking(reports: asyncio.Queue[Report], loop: asyncio.AbstractEventLoop) -> tuple[object, object]:
    def take(event: evt.Event) -> tuple[int, None]:
        loop.call_soon_threadsafe(reports.put_nowait, (event.event_type, event.event_information))
        return 0x0000, None

    return (evt.EVT_N_EVENT_REPORT, take)


async def request(
    door: Door, ae: AE, asked: Dataset, *, stay_seconds: float = 0.0, **how: Any
) -> tuple[int, list[Report]]:
    """Ask for a commitment; the status, and the reports on the same association while it stays open."""
    ae.add_requested_context(StorageCommitmentPushModel)
    reports: asyncio.Queue[Report] = asyncio.Queue()
    handlers = [taking(reports, asyncio.get_running_loop())]
    options = {"action_type": 1, "class_uid": StorageCommitmentPushModel, "instance_uid": WELL_KNOWN} | how

    def work(association: Association) -> int:
        status, _ = association.send_n_action(
            asked, options["action_type"], options["class_uid"], options["instance_uid"]
        )
        until = time.monotonic() + stay_seconds
        while time.monotonic() < until and reports.empty():
            time.sleep(0.02)
        return int(status.Status)

    status = await talk(door, ae, work, evt_handlers=handlers)
    return status, [reports.get_nowait() for _ in range(reports.qsize())]


@pytest.mark.conformance("SCP Storage Commitment Push Model", "N-ACTION 0000", "client pynetdicom")
async def test_a_commitment_on_the_same_association(door: Door, modality: AE) -> None:
    ct, mr = door.sent(0), door.sent(1)
    asked = wish((ct.SOPClassUID, ct.SOPInstanceUID), (mr.SOPClassUID, mr.SOPInstanceUID))
    status, ((event_type, report),) = await request(door, modality, asked, stay_seconds=20)
    assert (status, event_type) == (0, 1)
    assert report.TransactionUID == asked.TransactionUID
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [
        ct.SOPInstanceUID,
        mr.SOPInstanceUID,
    ]
    assert "FailedSOPSequence" not in report
    (event,) = await eventually(lambda: door.hospital.events("archive:commitment:answered"))
    assert event.counts == {"instances": 2, "failed": 0}


async def eventually(ask: Callable[[], Any]) -> list[Any]:
    for _ in range(200):
        if found := await ask():
            return list(found)
        await asyncio.sleep(0.05)
    return []


@pytest.mark.conformance("N-EVENT-REPORT 0112", "N-EVENT-REPORT 0119")
async def test_what_is_not_held_or_of_another_class_or_broken_is_not_committed_to(door: Door, modality: AE) -> None:
    ct, mr = door.sent(0), door.sent(1)
    asked = wish((ct.SOPClassUID, ct.SOPInstanceUID), (ct.SOPClassUID, "1.2.3.4"), (ct.SOPClassUID, mr.SOPInstanceUID))
    _, ((event_type, report),) = await request(door, modality, asked, stay_seconds=20)
    assert event_type == 2
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [ct.SOPInstanceUID]
    assert [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in report.FailedSOPSequence] == [
        ("1.2.3.4", 0x0112),
        (mr.SOPInstanceUID, 0x0119),
    ]


@pytest.mark.parametrize(
    ("how", "status"),
    [({"action_type": 2}, 0x0123), ({"instance_uid": "1.2.3"}, 0x0112), ({}, 0x0115)],
    ids=["action", "instance", "empty"],
)
@pytest.mark.conformance("N-ACTION 0112", "N-ACTION 0115", "N-ACTION 0123")
async def test_requests_that_are_none(door: Door, modality: AE, how: dict[str, Any], status: int) -> None:
    assert await request(door, modality, wish(), **how) == (status, [])


@pytest.mark.conformance("SCP Storage Commitment Push Model")
async def test_a_peer_that_has_left_is_called(door: Door, modality: AE) -> None:
    """Also after a restart: what was asked for is durable."""
    hospital, ct = door.hospital, door.sent(0)
    port = free_port()
    inside = hospital.permit("administer", Target("organisation", hospital.organisation.id, hospital.organisation.id))
    peer = await hospital.people.add_peer(inside, hospital.organisation.id, "WAITER", "127.0.0.1", port)
    waiter = AE("WAITER")
    waiter.acse_timeout = waiter.dimse_timeout = waiter.network_timeout = 20
    asked = wish((ct.SOPClassUID, ct.SOPInstanceUID))
    assert (await request(door, waiter, asked))[0] == 0
    await asyncio.sleep(0.5)  # the first try fails: nobody listens yet
    reports: asyncio.Queue[Report] = asyncio.Queue()
    waiter.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    server = waiter.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[taking(reports, asyncio.get_running_loop())]
    )
    try:
        later = dimse.create(hospital, dimse.Limits(drain_seconds=1.0))
        system = Actor(kind="system", tenant=hospital.organisation.id)
        with clock.moved(timedelta(minutes=2)):
            await later.reporter.answer_due(system)
        event_type, report = await asyncio.wait_for(reports.get(), 10)
        assert (event_type, report.TransactionUID) == (1, asked.TransactionUID)
    finally:
        server.shutdown()
        await hospital.people.end_peer(inside, peer.id)
