"""What people chose is kept, through the pages and DICOMweb, on the deployments that promise it."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.promises.test_changes import next_version, publish, with_clause
from troth.kit import clock
from troth.ledger import Proof, open_checkpoint, verify_inclusion
from troth.main.adopting import InForce

CONSENT = "topics:email"


async def choose(person: Person, act: str, about: str) -> httpx.Response:
    """Press one button of the page of choices."""
    answer = await person.post("/choices", {"act": act, "about": about})
    assert answer.status_code == 303, answer.text
    return await person.web.get("/choices")


def last_path(page: str) -> str:
    """Where the last form of the queue leads."""
    return re.findall(r'action="(/office/decisions/objections/[^"]+)"', page)[-1]


async def decide(office: Person, name: str, about: str, outcome: str, reason: str) -> httpx.Response:
    """Decide an objection of somebody at the page of the office: `yes` grants it."""
    page = (await office.web.get("/office/decisions")).text
    called = " ".join(reversed(name.split("^")))
    rows = re.findall(r'<section class="slip.*?</section>', page, re.DOTALL)
    is_law = about == "administration"
    [path] = [
        re.findall(r'action="(/office/decisions/objections/[^"]+)"', row)[0]
        for row in rows
        if called in row and ("a contract with you" in row) is is_law
    ]
    return await office.post(path, {"outcome": outcome, "reason": reason}, page="/office/decisions")


async def write_to(office: Person, person: Person, purpose: str) -> int:
    """Send a message for a purpose through the page of the privacy office; the HTTP status."""
    assert person.user is not None
    fields = {"person": person.user.id, "purpose": purpose, "title": "Something to read", "text": f"About {purpose}."}
    return (await office.post("/office/messages", fields)).status_code


class TestImagingCloud:
    """IC-08 and the restriction of IC-19."""

    @pytest.fixture(scope="class")
    async def place(self, open_deployment: OpenDeployment) -> Deployment:
        return await open_deployment("imaging-cloud")

    @pytest.mark.promise("IC-08", shows="contract interest")
    async def test_an_objection_waits_for_a_person_who_says_why_and_it_rests_meanwhile(self, place: Deployment) -> None:
        held = await place.study()
        patient, doctor = await place.patient(held), await place.staff("clinician")
        assert (await doctor.web.get(f"/studies/{held.id}/open")).status_code == 303

        waiting = (await choose(patient, "object", "administration")).text
        assert "A person is looking at it" in waiting
        assert "a contract with you" in waiting
        assert "An objection rarely succeeds here" in waiting
        stopped = (await choose(patient, "object", "diagnosis")).text
        assert "A person weighs it" in stopped
        assert "a legitimate interest" in stopped

        image = f"/dicomweb/studies/{held.uid}/metadata"
        reader = await place.bearer("clinician", "diagnosis")
        carer = await place.bearer("clinician", "care")
        assert (await reader.web.get(image)).status_code == 404
        assert (await carer.web.get(image)).status_code == 200, "an activity that nobody objected to goes on"
        other = await place.study()
        assert (await reader.web.get(f"/dicomweb/studies/{other.uid}/metadata")).status_code == 200
        assert (await patient.web.get("/scans")).status_code == 200

        queued = await place.ledgered(kind="people:objection:queued", subject=held.subject_id)
        assert [(event.payload or {})["about"] for event in queued] == ["administration", "diagnosis"]
        denied = await place.ledgered(kind="policy:access:refused", subject=held.subject_id)
        assert denied[-1].purpose == "diagnosis"
        assert "9.5" in denied[-1].clauses

        office = await place.staff("office")
        home = (await office.web.get("/office")).text
        assert home.count(">Objection</a>") == 2, "the office's first page shows what waits, whatever its kind"
        assert "days left" in home
        number = re.search(r'Waiting <span class="count">(\d+)', home)
        assert number is not None
        assert f"{number[1]} items are waiting" in home
        mailed = len(place.mails())
        assert (await decide(office, held.made.name, "administration", "yes", "")).status_code == 422
        assert (
            await decide(office, held.made.name, "administration", "no", "Your contract needs it.")
        ).status_code == 303
        assert (
            await decide(office, held.made.name, "diagnosis", "yes", "Another way serves as well.")
        ).status_code == 303
        decided = await place.ledgered(kind="people:objection:decided", subject=held.subject_id)
        assert [(event.outcome, (event.payload or {})["about"], event.actor_id) for event in decided] == [
            ("refused", "administration", office.actor.id),
            ("done", "diagnosis", office.actor.id),
        ]
        told = (await patient.web.get("/choices")).text
        for words in ("Refused, with ground", "Your contract needs it.", "Stopped for you", "Another way serves"):
            assert words in told
        assert [text for text in place.mails()[mailed:] if "/choices" in text], "the person is told by mail"
        with clock.moved(timedelta(seconds=1)):
            assert (await reader.web.get(image)).status_code == 404

        await choose(patient, "stand_back", "diagnosis")
        with clock.moved(timedelta(seconds=2)):
            assert (await reader.web.get(image)).status_code == 200

    async def test_an_objection_that_is_refused_lets_it_go_on(self, place: Deployment) -> None:
        held = await place.study()
        patient, office = await place.patient(held), await place.staff("office")
        reader = await place.bearer("clinician", "diagnosis")
        image = f"/dicomweb/studies/{held.uid}/metadata"
        await choose(patient, "object", "diagnosis")
        assert (await reader.web.get(image)).status_code == 404
        page = (await office.web.get("/office/decisions")).text
        assert "to be answered by" in page
        assert (
            await decide(office, held.made.name, "diagnosis", "no", "Without it nobody can treat you.")
        ).status_code == 303
        with clock.moved(timedelta(seconds=1.1)):
            assert (await reader.web.get(image)).status_code == 200
        assert "Without it nobody can treat you." in (await patient.web.get("/choices")).text
        again = await office.post(last_path(page), {"outcome": "yes", "reason": "Once more"}, page="/office/requests")
        assert again.status_code == 422
        elsewhere = await place.staff("office", place.second)
        assert held.made.name.split("^")[0] not in (await elsewhere.web.get("/office/decisions")).text

    @pytest.mark.promise("IC-08", shows="contract interest")
    async def test_staff_object_for_their_own_account(self, place: Deployment) -> None:
        doctor, colleague = await place.staff("clinician"), await place.staff("clinician")
        assert "An objection rarely succeeds here" in (await choose(doctor, "object", "administration")).text
        assert "A person weighs it" in (await choose(doctor, "object", "statistics")).text
        assert "A person is looking at it" not in (await colleague.web.get("/choices")).text
        assert doctor.user is not None
        office, reason = await place.staff("office"), "Your work here rests on that contract."
        assert (await decide(office, doctor.user.name, "administration", "no", reason)).status_code == 303
        assert (await decide(office, doctor.user.name, "statistics", "yes", "We count without you.")).status_code == 303
        told = (await doctor.web.get("/choices")).text
        for words in ("Refused, with ground", reason, "Stopped for you", "We count without you."):
            assert words in told
        decided = await place.ledgered(kind="people:objection:decided", subject=doctor.user.id)
        assert [event.outcome for event in decided] == ["refused", "done"]

    @pytest.mark.promise("IC-19", shows="restricted", lacks="sharing")
    async def test_a_restricted_study_is_kept_and_used_for_nothing(self, place: Deployment) -> None:
        held = await place.study(slices=2)
        patient, doctor = await place.patient(held), await place.staff("clinician")
        reader = await place.bearer("clinician", "care")
        image, search = f"/dicomweb/studies/{held.uid}/metadata", f"/dicomweb/studies?StudyInstanceUID={held.uid}"
        assert (await doctor.web.get(f"/studies/{held.id}/open")).status_code == 303
        assert (await reader.web.get(image)).status_code == 200
        assert len((await reader.web.get(search)).json()) == 1

        before = (await patient.web.get(f"/choices/stop?about={held.id}")).text
        assert "also at your next appointment" in before
        other = await place.study()
        for about in (str(other.id), str(held.subject_id), "x", ""):
            assert (await patient.web.get(f"/choices/stop?about={about}")).status_code in (404, 422)
        assert (await doctor.web.get(f"/choices/stop?about={held.id}")).status_code == 404
        assert (await doctor.web.get(f"/studies/{held.id}/open")).status_code == 303, (
            "reading what follows stops nothing"
        )

        assert "Use is stopped" in (await choose(patient, "stop", str(held.id))).text
        assert (await doctor.web.get(f"/studies/{held.id}/open")).status_code in (403, 404)
        listed = await doctor.searched(held.made.patient_id)
        assert "whose use the patient has stopped is not listed" in listed
        assert "#p9-4" in listed
        own = (await patient.web.get(f"/scans/{held.id}")).text
        assert "Use stopped" in own
        assert "Allow use again" in own
        assert "Use stopped" in (await patient.web.get("/scans")).text
        with clock.moved(timedelta(seconds=1)):  # viewings that are open feel it within a second
            assert (await reader.web.get(image)).status_code == 404
        found = await reader.web.get(search)
        assert found.status_code == 204 or found.json() == []
        assert (await patient.web.get(f"/scans/{held.id}")).status_code == 200, "the person still sees it"
        target = await place.rooms.archive.target_of(patient.actor, held.id)
        assert target.is_restricted, "it is stored"

        [told] = await place.ledgered(kind="archive:study:restricted", subject=held.subject_id)
        assert told.study_id == held.id
        denied = await place.ledgered(kind="policy:access:refused", subject=held.subject_id)
        assert all("9.4" in event.clauses for event in denied)

        page = (await patient.web.get("/choices")).text
        restriction = page.split('name="act" value="allow"')[1].split('name="about" value="')[1].split('"')[0]
        await choose(patient, "allow", restriction)
        assert (await reader.web.get(image)).status_code == 200
        assert (await doctor.web.get(f"/studies/{held.id}/open")).status_code == 303

    @pytest.mark.promise("IC-19", shows="restricted", lacks="sharing")
    async def test_what_arrives_for_a_restricted_person_is_stored_and_stays_closed(self, place: Deployment) -> None:
        held = await place.study(patient_id="R-1", name="Specimen^Restricted")
        patient = await place.patient(held)
        reader = await place.bearer("clinician", "care")
        await choose(patient, "stop", "everything")
        later = await place.study(patient_id="R-1", name="Specimen^Restricted", accession="A-later")
        assert later.subject_id == held.subject_id
        assert (await reader.web.get(f"/dicomweb/studies/{later.uid}/metadata")).status_code == 404

    async def test_nobody_chooses_for_somebody_else(self, place: Deployment) -> None:
        mine, theirs = await place.study(), await place.study()
        patient = await place.patient(mine)
        answer = await patient.post("/choices", {"act": "stop", "about": str(theirs.id)})
        assert answer.status_code == 422
        assert (await patient.web.post("/choices", data={"act": "object", "about": "care"})).status_code == 403
        other = await place.patient(theirs)
        await choose(other, "object", "care")
        [made] = await place.ledgered(kind="people:objection:queued", subject=theirs.subject_id)
        assert made.actor_id == other.actor.id
        receipt = (await other.web.get("/choices")).text.split('href="/choices/')[1].split('"')[0]
        assert (await patient.web.get(f"/choices/{receipt}")).status_code == 404
        assert (await other.web.get(f"/choices/{receipt}")).status_code == 200


class TestImagingHost:
    """IH-10."""

    @pytest.fixture(scope="class")
    async def place(self, open_deployment: OpenDeployment) -> Deployment:
        return await open_deployment("imaging-host")

    @pytest.mark.promise("IH-10", shows="withdrawn")
    async def test_a_consent_that_is_withdrawn_stops_the_very_next_message(self, place: Deployment) -> None:
        office, person, colleague = (
            await place.staff("office"),
            await place.staff("clinician"),
            await place.staff("admin"),
        )
        assert await write_to(office, person, "newsletter") == 403, "nobody has said yes"
        before = len(place.mails())
        await choose(person, "yes", "news")
        assert await write_to(office, person, "newsletter") == 303
        assert len(place.mails()) == before + 1
        await choose(colleague, "yes", "news")

        await choose(person, "take_back", "news")
        assert await write_to(office, person, "newsletter") == 403
        assert len(place.mails()) == before + 1
        assert await write_to(office, colleague, "newsletter") == 303, "another person's yes still stands"

        assert person.user is not None
        states = [
            event.payload["state"]
            for event in await place.ledgered(kind="people:consent:recorded", subject=person.user.id)
            if event.payload
        ]
        assert states == ["given", "withdrawn"]
        sent = await place.ledgered(kind="people:message:sent", subject=person.user.id)
        assert len(sent) == 1

    async def test_the_record_says_who_what_version_when_and_how_and_is_signed(self, place: Deployment) -> None:
        person = await place.staff("referrer")
        page = (await choose(person, "yes", "news")).text
        receipt = page.split('href="/choices/')[1].split('"')[0]
        await place.sequencer.drain()
        kept = (await person.web.get(f"/choices/{receipt}/receipt.json")).json()
        key = Ed25519PublicKey.from_public_bytes(b64decode(kept["public_key"]))
        key.verify(b64decode(kept["signature"]), kept["record"].encode())
        record = json.loads(kept["record"])
        version = await place.rooms.notices.in_force("users")
        assert record["schema_version"] == "ISO/IEC TS 27560:2023"
        assert person.user is not None
        assert record["pii_principal_id"] == str(person.user.id)
        assert record["notice"]["version"] == version.number
        assert record["notice"]["sha256"] == version.sha256.hex()
        assert record["purposes"] == ["newsletter"]
        assert record["events"][0]["state"] == "given"
        assert record["events"][0]["how"] == "page"
        assert record["events"][0]["at"]
        assert record["wording"]
        ledger = kept["ledger"]
        signed = open_checkpoint(ledger["checkpoint"], ledger["key"])
        path = tuple(map(b64decode, ledger["proof"]))
        proof = Proof(UUID(receipt), ledger["leaf"].encode(), ledger["index"], path, signed)
        verify_inclusion(proof, place.rooms.ledger.verifier_key)
        assert receipt in ledger["leaf"], "it is the entry of this choice"

    @pytest.mark.promise("IH-10", shows="assessment")
    async def test_the_assessment_of_an_interest_is_linked_from_the_register(self, place: Deployment) -> None:
        notice = (await place.rooms.notices.in_force("users")).notice
        weighed = {key: clause.id for clause in notice.all("basis") for key in getattr(clause, "purposes", ())}
        web = place.anybody().web
        page = (await web.get("/notice/register")).text
        rows = {row.split("<br>")[0].split(">")[-1]: row for row in page.split('<tr><th scope="row">')[1:]}
        link = f"#p{weighed['staff'].replace('.', '-')}"
        assert link in rows["staff"]
        assert link not in rows["newsletter"], "a consent needs no assessment"
        assert "file 2026-01" in (await web.get("/notice?for=users")).text
        assert "file 2026-01" in (await web.get("/notice/register.csv")).text


class TestEquipmentMaker:
    """EM-30."""

    @pytest.fixture(scope="class")
    async def place(self, open_deployment: OpenDeployment) -> Deployment:
        return await open_deployment("equipment-maker")

    @pytest.mark.promise("EM-30")
    async def test_an_objection_stops_an_interest_and_the_contract_goes_on(self, place: Deployment) -> None:
        office, person, colleague = (
            await place.staff("office"),
            await place.staff("clinician"),
            await place.staff("admin"),
        )
        assert await write_to(office, person, "interests") == 303
        assert await write_to(office, person, "contracts") == 303

        assert "Stopped for you" in (await choose(person, "object", "interests")).text
        assert await write_to(office, person, "interests") == 403
        assert await write_to(office, person, "contracts") == 303
        assert await write_to(office, colleague, "interests") == 303

        assert "an objection does not help" in (await choose(person, "object", "contracts")).text
        assert await write_to(office, person, "contracts") == 303
        assert person.user is not None
        decided = await place.ledgered(kind="people:objection:decided", subject=person.user.id)
        assert [event.outcome for event in decided] == ["done", "refused"]


PANEL = """      - id: "4.90"
        kind: purpose
        key: panel
        for: [users]
        basis: eu-gdpr:A6-1-b
        categories: [account]
        recipients: [privacy_desk]
        retention: [everything]
        regions: [US]
        capacity: controller
        access:
          - {who: [office], does: [send_message], about: [subject], within: own_organisation}
        says: We ask our customers what they think of new words."""


class TestTerminologyVendor:
    """TV-02."""

    @pytest.fixture(scope="class")
    async def place(self, open_deployment: OpenDeployment) -> Deployment:
        return await open_deployment("terminology-vendor")

    @pytest.mark.promise("TV-02")
    async def test_who_objects_to_a_version_keeps_the_purposes_of_the_one_before(self, place: Deployment) -> None:
        before = await place.rooms.notices.in_force("users")
        await publish(place, next_version(before.notice, with_clause(before.notice, 4, PANEL)))
        people = [await place.staff("office"), await place.staff("clinician"), await place.staff("admin")]
        with clock.moved(timedelta(days=2)):
            assert await InForce(place.rooms).look()
            office, person, other = [await place.sign_in_again(each) for each in people]
            assert await write_to(office, person, "panel") == 303
            page = (await person.web.get("/choices")).text
            assert "Stay with version 1" in page
            assert "You stay with the version before" in (await choose(person, "stay", "2")).text

            assert await write_to(office, person, "panel") == 403
            assert await write_to(office, other, "panel") == 303
            await choose(person, "yes", CONSENT)
            assert await write_to(office, person, "promotion") == 303, "what stood before goes on"

            assert person.user is not None
            [answered] = await place.ledgered(kind="people:version:answered", subject=person.user.id)
            assert answered.actor_id == person.user.id
            denied = await place.ledgered(kind="policy:access:refused", actor=office.actor.id)
            assert denied[-1].purpose == "panel"
            assert any(clause.endswith("12.1") for clause in denied[-1].clauses)

            await choose(person, "accept", "2")
            assert await write_to(office, person, "panel") == 303


class TestNewsOfTheHost:
    """One question about news is asked once."""

    @pytest.fixture(scope="class")
    async def place(self, open_deployment: OpenDeployment) -> Deployment:
        return await open_deployment("imaging-host")

    async def test_a_way_for_news_is_offered_to_be_stopped_only_while_news_may_come(self, place: Deployment) -> None:
        row = "News and offers may come this way."
        person = await place.staff("clinician")
        page = (await person.web.get("/choices")).text
        assert row not in page, "nobody was asked yet, so nothing may come"
        assert row in (await choose(person, "yes", "news")).text
        assert row not in (await choose(person, "take_back", "news")).text
