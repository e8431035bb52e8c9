"""What a clinician sees of images in conflict and can do about them; what an administrator sees of damaged ones."""

from __future__ import annotations

import re
from typing import Any

import httpx
from pydicom.uid import generate_uid

from tests.unit.archive.rooms import instance
from tests.unit.doors.web.conftest import House, token_in, unmasked
from troth.policy import Permit, Target

DOCTOR, STRANGER = "Dr B. Specimen", "Dr D. Mock"


async def store(house: House, *files: bytes) -> list[Any]:
    peer = await house.rooms.people.actor_of_peer("CT1", "TROTH", "127.0.0.1")
    assert peer is not None
    place = Target("organisation", house.hospital.id, house.hospital.id)
    permit = await house.rooms.policy.require(peer, "store", place, "care")
    received = []
    for content in files:
        receiver = house.rooms.archive.receiver(None)
        receiver.feed(content)
        received.append(receiver.finish())
    return await house.rooms.archive.store(permit, received)


async def conflict(house: House, kind: str, count: int = 1) -> str:
    """Make a conflict; and the address of the newest image in it."""
    study, series, uid = generate_uid(), generate_uid(), generate_uid()
    said: dict[str, Any] = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "PatientID": "C-1"}
    await store(house, instance(**said, SOPInstanceUID=uid, PatientName="Quill^Ada"))
    change: dict[str, Any] = {
        "duplicate-differs": {"SOPInstanceUID": uid},
        "other-patient": {"PatientID": "C-2", "PatientName": "Rook^Bob"},
    }[kind]
    outcomes = await store(house, *(instance(**said | change, InstanceNumber=n + 2) for n in range(count)))
    assert [outcome.is_kept for outcome in outcomes] == [True] * count
    async with house.client(await house.session_of(DOCTOR)) as doctor:
        page = (await doctor.get("/conflicts")).text
    return re.findall(r"/conflicts/[0-9a-f-]{36}", page)[0]


async def press(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    token = token_in((await client.get(path)).text)
    return await client.post(path, data={"token": token, **fields})


async def test_the_list_names_nobody_and_leads_to_the_two(house: House) -> None:
    async with house.client(await house.session_of(DOCTOR)) as doctor:
        assert "No conflicts" in (await doctor.get("/conflicts")).text
        path = await conflict(house, "other-patient", 2)
        listed = (await doctor.get("/conflicts")).text
        assert "One study number, two patients" in listed
        assert "CT1" in listed
        assert "Rook" not in listed
        assert "Quill" not in listed
        page = (await doctor.get(path)).text
        for words in ("Rook, Bob", "Quill, Ada", "C-1", "C-2", "differs", "Take in all 2 images", "Destroy 1 image"):
            assert words in page, words
        assert "Replace 1 image" not in page
        for which in ("kept", "held"):
            picture = await doctor.get(f"{path}/pictures/{which}")
            assert (picture.headers["content-type"], picture.content[:2]) == ("image/jpeg", b"\xff\xd8")
            assert picture.headers["cache-control"] == "private, no-store"
        assert (await doctor.get(f"{path}/pictures/other")).status_code == 404
        done = await press(doctor, path, act="keep", scope="all")
        assert done.headers["location"] == "/conflicts?told=kept-all"
        assert "No conflicts" in (await doctor.get("/conflicts")).text
        assert (await doctor.get(path)).status_code == 404


async def test_for_everybody_else_it_is_not_there(house: House) -> None:
    path = await conflict(house, "other-patient")
    missing = "/conflicts/0190a5b0-0000-7000-8000-000000000000"
    for name in (STRANGER, "D. Admin", "E. Fixture"):
        async with house.client(await house.session_of(name)) as other:
            answers = [await other.get(one) for one in (path, missing, "/conflicts/no-id", f"{path}/pictures/kept")]
            assert {answer.status_code for answer in answers} == {404}
            assert len({unmasked(answer.text) for answer in answers}) == 1
            page = (await other.get("/choices")).text
            for act in ("keep", "discard", "replace"):
                fields = {"token": token_in(page), "act": act, "scope": "all", "sure": "yes", "reason": "mine"}
                assert (await other.post(path, data=fields)).status_code == 404
    async with house.client() as nobody:
        assert (await nobody.get(path)).status_code in (303, 401)
    async with house.client(await house.session_of_patient()) as patient:
        assert (await patient.get("/conflicts")).status_code == 404
    async with house.client(await house.session_of(DOCTOR)) as doctor:
        assert (await doctor.post(path, data={"act": "discard", "sure": "yes"})).status_code == 403  # without a token
        assert (await doctor.get(path)).status_code == 200
        await press(doctor, path, act="discard", sure="yes")


async def test_what_cannot_be_undone_is_asked_for_twice(house: House) -> None:
    path = await conflict(house, "duplicate-differs")
    async with house.client(await house.session_of(DOCTOR)) as doctor:
        for fields in ({"act": "discard"}, {"act": "replace"}, {"act": "replace", "reason": "x" * 501}):
            answer = await press(doctor, path, **fields)
            assert answer.status_code == 422
            assert "There is a problem" in answer.text
            assert ("at most 500 characters; these are 501" in answer.text) is (len(fields.get("reason", "")) > 500)
        replaced = await press(doctor, path, act="replace", reason="The first was the wrong way round")
        assert replaced.headers["location"] == "/conflicts?told=replaced"
        again = await conflict(house, "duplicate-differs", 2)
        one = await press(doctor, again, act="discard", sure="yes", scope="one")
        assert re.fullmatch(r"/conflicts/[0-9a-f-]{36}\?told=discarded", one.headers["location"])
        assert "It was destroyed" in (await doctor.get(one.headers["location"])).text
        last = await press(doctor, one.headers["location"].partition("?")[0], act="discard", sure="yes", scope="all")
        assert last.headers["location"] == "/conflicts?told=discarded-all"
        assert "They were destroyed" in (await doctor.get(last.headers["location"])).text


async def test_what_is_restricted_is_not_shown_beside_it(house: House) -> None:
    path = await conflict(house, "other-patient")
    place = Target("organisation", house.hospital.id, house.hospital.id)
    seen = await permit_of(house, DOCTOR, "resolve", place, "care")
    [group] = await house.rooms.archive.quarantine.groups(seen)
    target = await house.rooms.archive.target(seen.actor, group.study_uid)
    assert target.id is not None
    stop = await permit_of(house, "E. Fixture", "restrict", target, "rights")
    await house.rooms.archive.restrict_study(stop, target.id, True, "asked for")
    async with house.client(await house.session_of(DOCTOR)) as doctor:
        page = (await doctor.get(path)).text
        assert "Rook, Bob" in page
        assert "Quill" not in page
        assert "Not shown to you" in page
        assert (await doctor.get(f"{path}/pictures/held")).status_code == 404
        await press(doctor, path, act="discard", sure="yes")


async def test_damaged_images_are_listed_without_a_name(house: House) -> None:
    async with house.client(await house.session_of("D. Admin")) as admin:
        assert "Nothing is known to be damaged" in (await admin.get("/admin/damaged")).text
        file = instance(PatientName="Crack^Una", PatientID="D-1")
        [outcome] = await store(house, file)
        async with house.rooms.database.transaction(house.hospital) as connection:
            [row] = await (
                await connection.execute(
                    "select i.id, r.study_id from instance i join series r on r.id = i.series_id"
                    " where i.instance_uid = %s",
                    (outcome.instance_uid,),
                )
            ).fetchall()
            await connection.execute(
                "insert into broken_instance (tenant, instance_id, study_id, what, found_at)"
                " values (%s, %s, %s, 'seal-broken', now())",
                (house.hospital.id, row["id"], row["study_id"]),
            )
        page = (await admin.get("/admin/damaged")).text
        assert outcome.study_uid in page
        assert "Its bytes were changed" in page
        assert "Crack" not in page
        await store(house, file)  # sent again: it is whole
        assert "Nothing is known to be damaged" in (await admin.get("/admin/damaged")).text
    for name in (DOCTOR, "E. Fixture"):
        async with house.client(await house.session_of(name)) as other:
            assert (await other.get("/admin/damaged")).status_code == 404


async def permit_of(house: House, name: str, action: str, target: Target, purpose: str) -> Permit:
    """A permit of somebody who is signed in."""
    actor = await house.rooms.people.actor_of_session(await house.session_of(name))
    assert actor is not None
    return await house.rooms.policy.require(actor, action, target, purpose)
