"""Whoever asks for it is erased whole, through the pages: scans, who they are, account; but for what must stay."""

from __future__ import annotations

import json
from datetime import date

import pytest

from tests.common.deployment import Deployment, OpenDeployment, Person, place_worker
from troth.dicom import specimens
from troth.kit import clock, ids
from troth.people import Organisation, PatientKey, sources_store
from troth.policy import Target
from troth.vault import KeyRef

OLD, NEW = date(2005, 3, 1), date(2026, 11, 1)


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


async def asks_for_everything(place: Deployment, patient: Person) -> str:
    """Look at what would go, write the word, wait for the answer; gives the page of the request."""
    page = "/requests/new?right=erase&everything=1"
    assert (await patient.web.get(page)).status_code == 200
    asked = await patient.post("/requests", {"right": "erase", "everything": "yes", "sure": "erase"}, page=page)
    assert asked.status_code == 303, asked.text
    await place.fulfil()
    return asked.headers["location"]


async def test_a_person_whom_no_law_keeps_is_erased_whole(place: Deployment) -> None:
    held = [await place.study(patient_id="WHOLE-1", name="Whole^Erased", study_date=OLD, slices=2, description=name)
            for name in ("CT head", "CT chest")]  # fmt: skip
    patient = await place.patient(held[0], "whole@x.example")
    people, house = place.rooms.people, held[0].house
    subject = await people.subject(place_worker(house), held[0].subject_id)
    preview = (await patient.web.get("/requests/new?right=erase&everything=1")).text
    assert "Your account here, with your sign-in" in preview
    request = await asks_for_everything(place, patient)

    assert not place.rooms.keyring.is_alive(subject.key)
    assert place.rooms.keyring.is_alive(KeyRef(subject.audit_key)), "the access list has a time of its own"
    assert (await patient.web.get("/scans")).status_code == 303, "the session ended"
    before = len(place.mails())
    await people.start_sign_in("whole@x.example", "127.0.0.1")
    await people.settled()
    assert len(place.mails()) == before, "there is no account"
    assert await people.find_subject(house, PatientKey("WHOLE-1", "")) is None

    last = place.mails()[-1]
    assert "has erased everything that it held of you" in last
    certificate = json.loads(last.split("-----")[1])
    assert len(certificate["erased"]) == 2
    assert certificate["person"]["key_destroyed"] == bytes(subject.key).hex()
    assert certificate["refused"] == []
    async with place.rooms.database.transaction(house) as connection:
        cursor = await connection.execute("select count(*) as held from rights_request where reply_sealed is not null")
        assert (await cursor.fetchone())["held"] == 0, "the address is forgotten when the letter went"  # type: ignore[index]
    kinds = [each.kind for each in await place.ledgered(house=house, subject=subject.id)]
    assert kinds.count("archive:study:erased") == 2
    assert kinds.count("people:subject:erased") == 1
    office = await place.staff("office", house)
    shown = await office.web.get(f"/office{request}")
    assert shown.status_code == 200
    assert "Whole" not in shown.text
    assert (await office.web.get("/office/requests?queue=closed")).status_code == 200

    again = specimens.phantom_ct(held[0].made, slices=1, size=16)
    assert (await place.stow(again)).status_code == 409, "erased stays erased"
    back = await place.study(patient_id="WHOLE-1", name="Whole^Erased", study_date=NEW)
    assert back.subject_id != subject.id, "who comes back is new"


async def test_what_a_law_keeps_of_somebody_keeps_who_they_are(place: Deployment) -> None:
    old = await place.study(patient_id="WHOLE-2", name="Partly^Kept", study_date=OLD)
    kept = await place.study(patient_id="WHOLE-2", name="Partly^Kept", study_date=NEW, description="CT neck")
    patient = await place.patient(old)
    preview = (await patient.web.get("/requests/new?right=erase&everything=1")).text
    assert "as long as a scan of you has to be kept" in preview
    request = await asks_for_everything(place, patient)
    page = (await patient.web.get(request)).text
    assert "A scan of you is kept by law until then" in page
    target = Target("subject", old.subject_id, old.house.id, old.subject_id)
    left = await place.rooms.archive.studies_of_subject(
        place.set_up_permit("see_request", target, "rights"), old.subject_id
    )
    assert [study.id for study in left] == [kept.id]
    assert (await patient.web.get("/scans")).status_code == 200
    assert not await place.ledgered(kind="people:subject:erased", subject=old.subject_id)


async def test_under_a_hold_nobody_is_erased(place: Deployment) -> None:
    held = await place.study(patient_id="WHOLE-3", name="Held^Whole", study_date=OLD)
    patient = await place.patient(held)
    office = await place.staff("office", held.house)
    review = clock.today().replace(day=1, month=6, year=clock.today().year + 1)
    fields = {
        "about": "subject", "patient": "WHOLE-3", "issuer": "", "study": "", "ends_on": "", "document": "Letter",
        "reason": "A claim was announced.", "review_on": review.isoformat(),
    }  # fmt: skip
    assert (await office.post("/office/holds", fields)).status_code == 303
    request = await asks_for_everything(place, patient)
    assert (await patient.web.get(request)).status_code == 200
    assert (await patient.web.get("/scans")).status_code == 200
    target = Target("subject", held.subject_id, held.house.id, held.subject_id)
    seeing = place.set_up_permit("see_request", target, "rights")
    assert await place.rooms.archive.studies_of_subject(seeing, held.subject_id)
    assert not await place.ledgered(kind="people:subject:erased", subject=held.subject_id)


async def on_a_list(place: Deployment, house: Organisation, email: str) -> list[KeyRef]:
    """Put an address on a list that somebody handed over; the keys of what is then known."""
    keyring, now, contact_id = place.rooms.keyring, clock.now(), ids.uuid7()
    contact_key, source_key = keyring.create(house.key), keyring.create(house.key)
    async with place.rooms.database.transaction(house) as connection:
        contact = {
            "tenant": house.id, "id": contact_id, "key": contact_key, "account_id": None, "linked_at": None,
            "email_token": keyring.token(house.key, sources_store.FOUND_BY, email), "made_at": now,
            "sealed": keyring.seal(contact_key, email.encode(), b"test"),
        }  # fmt: skip
        assert await sources_store.insert_contact(connection, contact)
        source = {
            "tenant": house.id, "contact_id": contact_id, "id": ids.uuid7(), "list_id": ids.uuid7(),
            "source": "partner", "origin": "other", "clause": "3.1", "activity": "promotion", "way": "list",
            "obtained_at": now, "anchor_on": None, "tell_by": None, "key": source_key,
            "sealed": keyring.seal(source_key, b"{}", b"test"),
        }  # fmt: skip
        assert await sources_store.upsert_source(connection, source) is None
    return [contact_key, source_key]


async def test_what_others_told_of_somebody_goes_with_them(place: Deployment) -> None:
    """The place on a list of an erased person is unreadable and gone; that of another person stays."""
    held = await place.study(patient_id="WHOLE-4", name="Listed^Erased", study_date=OLD)
    patient = await place.patient(held, "listed@x.example")
    gone = await on_a_list(place, held.house, "listed@x.example")
    stays = await on_a_list(place, held.house, "other-reader@x.example")
    await asks_for_everything(place, patient)
    alive = place.rooms.keyring.is_alive
    assert [alive(each) for each in (*gone, *stays)] == [False, False, True, True]
    async with place.rooms.database.transaction(held.house) as connection:
        for table in ("contact", "contact_source"):
            cursor = await connection.execute(f"select count(*) as held from {table}".encode())
            assert (await cursor.fetchone())["held"] == 1, table  # type: ignore[index]
    [entry] = await place.ledgered(kind="people:subject:erased", subject=held.subject_id)
    assert entry.counts["contacts"] == 1
