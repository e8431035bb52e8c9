"""What may be asked for, by whom, and what is said where it may not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.common.platform import Platform
from tests.unit.rights.conftest import study_of
from troth.dicom.specimens import phantom_ct
from troth.kit import clock, ids
from troth.people import Subject
from troth.policy import PermitDenied, Target
from troth.rights import (
    CopyNotReady,
    NothingChosen,
    Outcome,
    RequestNotFound,
    Right,
    RightUnknown,
    State,
    WrongPermit,
    service,
)


async def person(platform: Platform, number: int, *years: int) -> Subject:
    """A subject with one small study for each year."""
    subject = None
    for place, year in enumerate(years):
        study = study_of(number, year, seed=1000 * number + place, name=f"Person^{chr(64 + number % 26)}")
        await platform.store(phantom_ct(study, slices=1, size=16))
        subject = await platform.subject_of(study.uid())
    assert subject is not None
    return subject


async def test_asking_twice_is_one_request(platform: Platform) -> None:
    subject = await person(platform, 21, 2010, 2011)
    rights, permit = platform.rooms.rights, platform.on(subject, "open_request")
    both = await asyncio.gather(*(rights.open(permit, Right.ACCESS, subject.id) for _ in range(4)))
    assert len({request.id for request in both}) == 1
    first, second = (study.id for study in await platform.studies(subject))
    one = await rights.open(permit, Right.ERASE, subject.id, study_ids=[first])
    again = await rights.open(permit, Right.ERASE, subject.id, study_ids=[first, first])
    other = await rights.open(permit, Right.ERASE, subject.id, study_ids=[second])
    assert one.id == again.id != other.id
    assert len(await rights.of_subject(platform.on(subject, "see_request"), subject.id)) == 3
    assert len(await platform.events(subject, "rights:request:opened")) == 3
    await platform.fulfil()
    assert (await rights.open(permit, Right.ACCESS, subject.id)).id != both[0].id  # that one is answered


async def test_a_request_says_what_it_is_about_and_when_it_is_due(platform: Platform) -> None:
    subject = await person(platform, 22, 2010)
    permit = platform.on(subject, "open_request")
    request = await platform.rooms.rights.open(permit, "erase", subject.id)
    assert request.reference.startswith("R-2")
    assert request.state is State.OPENED
    assert request.is_open
    assert request.clauses == ("9.3",)
    assert [(item.kind, item.title, item.outcome) for item in request.items] == [
        ("study", "CT head · 6 May 2010", Outcome.WAITING)
    ]
    assert timedelta(days=27) < request.due_at - request.opened_at < timedelta(days=35)
    assert [step.name for step in request.steps] == ["Received"]


async def test_a_right_that_is_not_served_is_refused(platform: Platform) -> None:
    subject = await person(platform, 23, 2010)
    for right in ("rectify", "port", "forget me", ""):
        with pytest.raises(RightUnknown):
            await platform.rooms.rights.open(platform.on(subject, "open_request"), right, subject.id)
    assert not await platform.events(subject, "rights:request:opened")


async def test_only_own_scans_can_be_chosen(platform: Platform) -> None:
    subject, other = await person(platform, 24, 2010), await person(platform, 25, 2010)
    (own,), (foreign,) = await platform.studies(subject), await platform.studies(other)
    rights, permit = platform.rooms.rights, platform.on(subject, "open_request")
    for chosen in ([], [foreign.id], [own.id, foreign.id], [ids.uuid7()]):
        with pytest.raises(NothingChosen):
            await rights.open(permit, Right.ERASE, subject.id, study_ids=chosen)
    assert (await rights.open(permit, Right.ERASE, subject.id, study_ids=[own.id])).items[0].target_id == own.id
    await platform.fulfil()
    with pytest.raises(NothingChosen):
        await rights.open(permit, Right.ERASE, subject.id)


async def test_a_permit_is_for_what_it_says(platform: Platform) -> None:
    subject, other = await person(platform, 26, 2024), await person(platform, 27, 2024)
    rights = platform.rooms.rights
    request = await rights.open(platform.on(subject, "open_request"), Right.ACCESS, subject.id)
    seeing = platform.on(subject, "see_request")
    assert (await rights.request(seeing, request.id)).id == request.id
    with pytest.raises(WrongPermit):
        await rights.open(seeing, Right.ACCESS, subject.id)
    with pytest.raises(WrongPermit):
        await rights.open(platform.on(other, "open_request"), Right.ACCESS, subject.id)
    with pytest.raises(WrongPermit):
        await rights.of_subject(platform.on(other, "see_request"), subject.id)
    with pytest.raises(WrongPermit):
        await rights.of_organisation(seeing)
    with pytest.raises(RequestNotFound):
        await rights.request(platform.on(other, "see_request"), request.id)
    with pytest.raises(RequestNotFound):
        await rights.certificate(seeing, request.id)
    with pytest.raises(WrongPermit):
        await rights.request(replace(seeing, expires_at=clock.now()), request.id)
    elsewhere = platform.permit("see_request", Target("organisation", platform.second.id, platform.second.id))
    with pytest.raises(RequestNotFound):
        await rights.request(elsewhere, request.id)
    assert await rights.of_organisation(elsewhere) == []
    queue = platform.permit("see_request", Target("organisation", platform.first.id, platform.first.id))
    assert request.id in {each.id for each in await rights.of_organisation(queue)}
    wrong = platform.permit("copy", Target("request", ids.uuid7(), platform.first.id, subject.id))
    with pytest.raises(WrongPermit):
        await rights.copy_stream(wrong, request.id)


async def test_a_copy_can_be_collected_once_it_is_the_answer(platform: Platform) -> None:
    subject = await person(platform, 28, 2024)
    rights = platform.rooms.rights
    request = await rights.open(platform.on(subject, "open_request"), Right.ACCESS, subject.id)
    permit = platform.permit("copy", Target("request", request.id, subject.tenant, subject.id))
    with pytest.raises(CopyNotReady):
        await rights.copy_stream(permit, request.id)
    await platform.fulfil()
    assert (await platform.request(subject, request.id)).state is State.READY
    assert not await platform.events(subject, "rights:copy:collected")
    await rights.copy_stream(permit, request.id)
    assert len(await platform.events(subject, "rights:copy:collected")) == 1  # before the first byte
    assert (await platform.request(subject, request.id)).state is State.FULFILLED
    with clock.moved(timedelta(days=31)), pytest.raises(CopyNotReady):
        await rights.copy_stream(replace(permit, expires_at=clock.now() + timedelta(minutes=5)), request.id)


async def test_collecting_stops_when_it_is_not_allowed_any_more(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = await person(platform, 29, 2024)
    rights = platform.rooms.rights
    request = await rights.open(platform.on(subject, "open_request"), Right.ACCESS, subject.id)
    await platform.fulfil()
    office = platform.permit("copy", Target("request", request.id, subject.tenant, subject.id))
    _, _, chunks = await rights.copy_stream(office, request.id)
    monkeypatch.setattr(service, "CHECK_EVERY", timedelta(0))
    with pytest.raises(PermitDenied):  # the notice gives nobody of the office a copy
        async for _ in chunks:
            pass


async def test_the_preview_says_what_goes_and_what_stays(platform: Platform) -> None:
    subject = await person(platform, 30, 2010, 2024)
    items = await platform.rooms.rights.preview_erasure(platform.on(subject, "open_request"), subject.id)
    kept, goes = items
    assert (goes.outcome, goes.until) == (Outcome.WAITING, None)
    assert (kept.outcome, kept.clause, str(kept.until)) == (Outcome.REFUSED, "8.1", "2032-05-06")
    assert kept.ground.startswith("Eight years after the day of your scan.")
    assert "Records Management Code" in kept.ground
    assert len(await platform.studies(subject)) == 2
    assert isinstance(kept.target_id, UUID)
