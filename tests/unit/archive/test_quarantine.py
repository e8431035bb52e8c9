"""What contradicts what is held is kept apart, once, within limits, and shown to who may resolve it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.unit.archive.conflicts import (
    KINDS,
    groups,
    in_conflict,
    on_held,
    resolver,
    rows,
    whole,
)
from tests.unit.archive.rooms import Rooms, instance
from troth.archive import Archive, Outcome, QuarantineGone, QuarantineLimits, Query
from troth.archive.quarantine import store as quarantine_store
from troth.kit.errors import PermitDenied, Unavailable


@pytest.mark.parametrize("kind", KINDS)
async def test_what_contradicts_what_is_held_is_refused_and_kept_apart_once(rooms: Rooms, kind: str) -> None:
    _, [other], study = await in_conflict(rooms, kind)
    good = instance(PatientID="GOOD")
    outcomes = await rooms.store(other, good)
    assert [(outcome.state, outcome.is_kept) for outcome in outcomes] == [("refused", True), ("stored", False)]
    assert outcomes[0].error is not None
    assert outcomes[0].error.slug == kind
    [event] = [
        each for each in await rooms.events("archive:instance:quarantined") if each.payload["study_uid"] == study
    ]
    assert (event.outcome, event.payload["reason"], event.counts["instances"]) == ("refused", kind, 1)
    again = await rooms.store(other)
    assert [(outcome.state, outcome.is_kept) for outcome in again] == [("refused", True)]
    [group] = await groups(rooms, study)
    assert (group.reason, group.instances, group.sender, group.modalities) == (kind, 1, "A peer", ("CT",))
    assert (await rooms.events("archive:instance:refused"))[0].payload["study_uid"] == study


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_kept_apart_is_used_for_nothing(rooms: Rooms, kind: str) -> None:
    _, [other], study = await in_conflict(rooms, kind)
    await rooms.store(other)
    found = await rooms.find(Query())
    if kind == "other-study":
        assert study not in found
    else:
        assert len(await whole(rooms, study)) == 1
    assert f"B-{study}" not in str([each.payload for each in await rooms.events("archive:instance:quarantined")])
    assert f"B-{study}".encode() not in b"".join(
        path.read_bytes() for path in rooms.packs.folder.path.iterdir() if path.is_file()
    )


async def test_the_same_conflict_twice_at_once_is_kept_once(rooms: Rooms) -> None:
    _, others, study = await in_conflict(rooms, "other-patient", 3)
    rivals = [
        Archive(rooms.database, rooms.keyring, rooms.packs, rooms.people, rooms.ledger, rooms.policy) for _ in range(4)
    ]
    permit = await rooms.may_store()

    async def send(archive: Archive) -> list[Outcome]:
        received = []
        for content in others:
            receiver = archive.receiver(None)
            receiver.feed(content)
            received.append(receiver.finish())
        return await archive.store(permit, received)

    for outcomes in await asyncio.gather(*(send(rival) for rival in rivals)):
        assert [(outcome.state, outcome.is_kept) for outcome in outcomes] == [("refused", True)] * 3
    [group] = await groups(rooms, study)
    assert group.instances == 3
    comparison = await rooms.archive.quarantine.compare(await resolver(rooms), group.newest_id, None)
    assert comparison.kept.values[0x00100020] == f"B-{study}"  # its bytes are still there, though others were freed


@pytest.mark.asvs("V2.3.2")
async def test_beyond_the_limits_it_is_refused_and_not_kept(rooms: Rooms) -> None:
    _, others, study = await in_conflict(rooms, "duplicate-differs", 3)
    held = len(await rows(rooms))
    narrow = Archive(
        rooms.database, rooms.keyring, rooms.packs, rooms.people, rooms.ledger, rooms.policy,
        QuarantineLimits(instances=held + 2),
    )  # fmt: skip
    rooms = replace(rooms, archive=narrow)
    outcomes = await rooms.store(*others)
    assert [(outcome.state, outcome.is_kept) for outcome in outcomes] == [
        ("refused", True), ("refused", True), ("refused", False),
    ]  # fmt: skip
    refused = [each for each in await rooms.events("archive:instance:refused") if each.payload["study_uid"] == study]
    assert [each.counts["instances"] for each in refused] == [1]
    none = Archive(
        rooms.database, rooms.keyring, rooms.packs, rooms.people, rooms.ledger, rooms.policy,
        QuarantineLimits(length_bytes=1000),
    )  # fmt: skip
    [outcome] = await replace(rooms, archive=none).store(others[2])
    assert (outcome.state, outcome.is_kept) == ("refused", False)


async def test_who_may_not_resolve_sees_and_changes_nothing(rooms: Rooms) -> None:
    _, [other], study = await in_conflict(rooms, "duplicate-differs")
    await rooms.store(other)
    [group] = await groups(rooms, study)
    for role in ("admin", "office", "referrer", "peer", "patient"):
        with pytest.raises(PermitDenied):
            await resolver(rooms, rooms.actor(role))
    stranger = rooms.actor("clinician", rooms.other)
    theirs = await resolver(rooms, stranger)
    quarantine = rooms.archive.quarantine
    assert await quarantine.groups(theirs) == []
    for attempt in (
        quarantine.compare(theirs, group.newest_id, None),
        quarantine.against(theirs, group.newest_id),
        quarantine.picture(theirs, group.newest_id, None, "kept", (64, 64)),
        quarantine.discard(theirs, group.newest_id, is_whole_group=True),
        quarantine.keep_as_new(theirs, group.newest_id, is_whole_group=True),
        quarantine.replace(theirs, theirs, group.newest_id, "mine"),
    ):
        with pytest.raises(QuarantineGone):
            await attempt
    with pytest.raises(PermitDenied):
        await quarantine.groups(await rooms.may_query())
    assert [each.instances for each in await groups(rooms, study)] == [1]


@pytest.mark.parametrize("kind", KINDS)
async def test_it_stands_beside_what_it_contradicts_and_both_looks_are_told(rooms: Rooms, kind: str) -> None:
    _, others, study = await in_conflict(rooms, kind, 2)
    await rooms.store(*others)
    [group] = await groups(rooms, study)
    permit = await resolver(rooms)
    seen = len(await rooms.events("archive:quarantine:compared"))
    comparison = await rooms.archive.quarantine.compare(
        permit, group.newest_id, await on_held(rooms, permit, group.newest_id)
    )
    assert (comparison.place, comparison.before_id, comparison.group.instances) == (1, None, 2)
    assert comparison.held is not None
    assert comparison.are_pixels_same is True
    assert "ContentTime" in comparison.differing
    assert ("PatientID" in comparison.differing) is (kind == "other-patient")
    assert comparison.can_replace is (kind == "duplicate-differs")
    events = await rooms.events("archive:quarantine:compared")
    assert len(events) == seen + 2
    assert sum(event.subject_id is not None for event in events[:2]) == 1  # of whom is held, reads of it
    on = await on_held(rooms, permit, group.newest_id)
    for which in ("kept", "held"):
        picture = await rooms.archive.quarantine.picture(permit, group.newest_id, on, which, (64, 64))  # type: ignore[arg-type]
        assert picture.startswith(b"\xff\xd8")
    assert len(await rooms.events("archive:quarantine:compared")) == seen + 2  # covered by the page's own entry
    with pytest.raises(QuarantineGone):
        await rooms.archive.quarantine.picture(permit, group.newest_id, None, "held", (64, 64))


async def test_a_failing_database_acknowledges_nothing(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    _, [other], study = await in_conflict(rooms, "other-patient")
    with monkeypatch.context() as patched:

        async def broken(*_: Any) -> None:
            raise psycopg.OperationalError("gone")

        patched.setattr(quarantine_store, "put", broken)
        with pytest.raises(Unavailable):
            await rooms.store(other)
    assert await groups(rooms, study) == []
    [outcome] = await rooms.store(other)
    assert outcome.is_kept
