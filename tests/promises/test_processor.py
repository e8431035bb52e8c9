"""An equipment maker as processor: on instruction, under an agreement, to bound firms."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from tests.common.deployment import Deployment, OpenDeployment
from tests.common.outside import FIRM, ORDER, SINCE, Office, house_in, office_of
from tests.common.receiver import CT, Receiver, receiving
from troth.archive import Importing
from troth.dicom import specimens
from troth.doors import dimse
from troth.doors.taking import NotTaken
from troth.kit import clock
from troth.main.media_command import permit_to_store


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("equipment-maker")


@pytest.fixture(scope="module")
def workshop() -> Iterator[Receiver]:
    with receiving("WORKSHOP") as receiver:
        yield receiver


def drawn(patient_id: str) -> specimens.Study:
    return specimens.Study(
        patient_id, "Specimen^Agreement", date(1970, 1, 1), "O", date(2026, 11, 1), f"A-{patient_id}", "CT head"
    )


@pytest.fixture(scope="module")
async def american(place: Deployment) -> Office:
    return await office_of(place, house_in(place, "US"))


@pytest.mark.promise("EM-25")
async def test_each_operation_names_the_instruction_and_none_is_done_without_one(
    place: Deployment, american: Office
) -> None:
    house = american.house
    first = (await american.instructions())["standing_order"]
    held = await place.study(house)
    doctor = await place.staff("clinician", house)
    opening = f"/studies/{held.id}/open"
    assert (await doctor.web.get(opening)).status_code == 303
    uri = f"/dicomweb/studies/{held.uid}/metadata"
    assert (await doctor.viewer.get(uri)).status_code == 200
    inviting = await doctor.post(f"/studies/{held.id}/invite", {"email": "anna@x.example"})
    assert inviting.status_code in (200, 303), inviting.text
    for kind in ("archive:instances:stored", "archive:study:opened", "people:invitation:made"):
        [event] = await place.ledgered(kind=kind, subject=held.subject_id)
        assert f"instruction:{first.id}" in event.clauses, kind

    await american.end("instructions", first.id)
    await asyncio.sleep(1.1)  # an open viewing asks again when its last answer is older than a second (DESIGN 1)
    assert (await doctor.viewer.get(uri)).status_code in (403, 404)
    again = await place.stow(specimens.phantom_ct(held.made, slices=2, size=16), house)
    assert again.status_code in (403, 404)
    assert len(await place.ledgered(kind="policy:access:refused", house=house)) >= 2

    # Another that does not cover opening lets nothing be opened, though it has the same name.
    await american.filed("instructions", **ORDER)
    second = (await american.instructions())["standing_order"]
    assert second.id != first.id
    assert (await doctor.viewer.get(uri)).status_code == 200
    newest = (await place.ledgered(kind="archive:study:opened", subject=held.subject_id))[-1]
    assert f"instruction:{second.id}" in newest.clauses
    assert f"instruction:{first.id}" not in newest.clauses


@pytest.mark.promise("EM-25")
async def test_nothing_is_done_for_purposes_of_the_vendor(place: Deployment, american: Office) -> None:
    held = await place.study(american.house)
    admin, doctor = await place.staff("admin", american.house), await place.staff("clinician", american.house)
    for purpose in ("product_development", "training_of_models", "advertising"):
        fields = {"role": "clinician", "purpose": purpose, "days": "1"}
        assert (await admin.post("/admin/tokens", fields, page="/admin/systems")).status_code == 422, purpose
        assert not await place.rooms.policy.may(doctor.actor, "retrieve", held.target, purpose), purpose
    assert await place.rooms.policy.may(doctor.actor, "retrieve", held.target, "diagnosis"), "as is asked for"
    assert not await place.ledgered(kind="archive:study:opened", subject=held.subject_id)


@pytest.mark.promise("EM-25")
async def test_subprocessors_need_approval_and_instruction(
    place: Deployment, american: Office, workshop: Receiver
) -> None:
    held = await place.study(american.house)
    await american.contract("sub_firm", "subprocessor")
    await american.recipient("sub_firm", workshop, country="US", contract_key="sub_firm", **FIRM)
    before = workshop.associations
    refused = await american.disclose(held, "sub_firm", "upkeep", "service")
    assert refused.status_code == 409
    assert "Nobody has approved" in refused.text
    await american.contract("sub_firm", "subprocessor", approved_by="Prairie Mock Hospital")
    assert workshop.associations == before
    uninstructed = await american.disclose(held, "sub_firm", "upkeep", "instruction")
    assert "No instruction of the controller covers this" in uninstructed.text
    assert workshop.associations == before
    assert (await american.disclose(held, "sub_firm", "upkeep", "service")).status_code == 200
    order = {**ORDER, "key": "hand_over", "actions": "disclose", "words": "Hand broken pictures to the workshop."}
    await american.filed("instructions", **order)
    assert (await american.disclose(held, "sub_firm", "upkeep", "instruction")).status_code == 200
    recorded = (await place.ledgered(kind="exchange:disclosure:recorded", subject=held.subject_id))[-1]
    assert f"instruction:{(await american.instructions())['hand_over'].id}" in recorded.clauses


@pytest.mark.promise("EM-25")
async def test_courts_get_something_only_on_an_order_that_is_on_file(
    place: Deployment, american: Office, workshop: Receiver
) -> None:
    held = await place.study(american.house)
    await american.recipient(
        "county_court", workshop, country="US", kind="authority", stands_under="courts", categories="images",
        purposes="court_orders",
    )  # fmt: skip
    before = workshop.associations
    demand = {"kind": "legal_order", "authority": "County court", "country": "US", "scope": "One scan.",
              "studies": str(held.id), "valid_from": SINCE}  # fmt: skip
    await american.filed("orders", **demand)
    [bare] = [each for each in await american.orders() if each.authority == "County court"]
    refused = await american.disclose(held, "county_court", "court_orders", "law", order=str(bare.id))
    assert refused.status_code == 409
    assert "document of the legal order is not on file" in refused.text
    assert workshop.associations == before
    await american.filed("orders", **{**demand, "document": "We order that the scan be handed over."})
    filed = next(each for each in await american.orders() if each.document_id)
    other = await place.study(american.house)
    beyond = await american.disclose(other, "county_court", "court_orders", "law", order=str(filed.id))
    assert "not about this study" in beyond.text
    assert (
        await american.disclose(held, "county_court", "court_orders", "law", order=str(filed.id))
    ).status_code == 409
    assert workshop.associations == before
    assert (await american.reviewed(filed.id)).status_code == 303
    sent = await american.disclose(held, "county_court", "court_orders", "law", order=str(filed.id))
    assert sent.status_code == 200, sent.text


async def test_what_is_restricted_is_disclosed_to_nobody(
    place: Deployment, american: Office, workshop: Receiver
) -> None:
    held = await place.study(american.house)
    await american.contract("rest_firm", "baa")
    await american.recipient("rest_firm", workshop, country="US", contract_key="rest_firm", **FIRM)
    assert (await american.disclose(held, "rest_firm", "upkeep", "service")).status_code == 200
    before = len(workshop.uids)
    permit = place.set_up_permit("restrict", held.target)
    await place.rooms.archive.restrict_study(permit, held.id, True, "asked for")
    assert (await american.disclose(held, "rest_firm", "upkeep", "service")).status_code in (403, 404, 409)
    assert len(workshop.uids) == before
    await place.rooms.archive.restrict_study(permit, held.id, False, "allowed again")
    assert (await american.disclose(held, "rest_firm", "upkeep", "service")).status_code == 200
    assert len(workshop.uids) == before + 1


def sent_to(port: int, ae: str, files: list[bytes]) -> list[tuple[int, str]]:
    """Send files as a machine does: status and comment of each answer."""
    entity = AE(ae_title="PRAIRIE_CT")
    entity.add_requested_context(CT, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title=ae)
    assert association.is_established
    answers = [association.send_c_store(pydicom.dcmread(io.BytesIO(file))) for file in files]
    association.release()
    return [(each.Status, str(each.get("ErrorComment", ""))) for each in answers]


@pytest.fixture
async def listener(place: Deployment) -> AsyncIterator[int]:
    door = dimse.create(place.rooms)
    await door.start("127.0.0.1", 0)
    yield door.port
    await door.stop()


@pytest.mark.promise("EM-26", shows="expired")
async def test_without_the_agreement_nothing_is_taken_and_the_sender_can_retry(
    place: Deployment, american: Office, listener: int
) -> None:
    house = american.house
    await place.peer("PRAIRIE_CT", house)
    study = drawn("BAA-1")
    files = specimens.phantom_ct(study, slices=2, size=16)

    async def send() -> list[tuple[int, str]]:
        return await asyncio.to_thread(sent_to, listener, place.rooms.settings.ae, files)

    agreement = (await american.contracts())["agreement"]
    await american.end("contracts", agreement.id)
    assert await send() == [(0x0124, "Not taken now: clause 21.4 of the notice.")] * 2
    answer = await place.stow(files, house)
    assert answer.status_code == 403
    assert "clause 21.4" in answer.text, "it says which clause stands in the way"
    assert "send it again" in answer.text
    refusals = await place.ledgered(kind="policy:access:refused", house=house)
    assert any("21.4" in each.clauses for each in refusals)
    assert not await place.ledgered(kind="archive:instances:stored", house=house, actor=None, outcome="failed")

    await american.contract("agreement", "baa")
    assert await send() == [(0, "")] * 2
    assert (await place.stow(files, house)).status_code == 200


@pytest.mark.promise("EM-26", shows="expired")
async def test_every_way_in_says_why_keeps_nothing_and_takes_the_same_again(
    place: Deployment, american: Office, tmp_path: Path
) -> None:
    house = american.house
    study = drawn("BAA-3")
    files = specimens.phantom_ct(study, slices=3, size=16)
    for number, file in enumerate(files):
        (tmp_path / f"{number}.dcm").write_bytes(file)
    machine = await place.bearer("peer", "care", house)
    doctor = await place.staff("clinician", house)
    told: list[tuple[str, str]] = []
    importing = Importing(
        place.rooms.archive, place.rooms.database, house.key,
        lambda: permit_to_store(place.rooms, machine.actor, "care"), lambda name, why: told.append((name, why)),
    )  # fmt: skip

    await american.end("contracts", (await american.contracts())["agreement"].id)
    with pytest.raises(NotTaken, match=r"clause 21\.4 of the notice") as refusal:
        await importing.take(tmp_path)
    assert "send it again" in refusal.value.hint
    to_study = await machine.web.post(
        f"/dicomweb/studies/{study.uid()}",
        content=b"--x\r\nContent-Type: application/dicom\r\n\r\n" + files[0] + b"\r\n--x--\r\n",
        headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'},
    )
    assert to_study.status_code == 403
    assert "clause 21.4" in to_study.text
    assert (await place.rooms.archive.target(doctor.actor, study.uid())).id is None
    assert told == []

    await american.contract("agreement", "baa")
    imported = await importing.take(tmp_path)
    assert (imported.stored, imported.skipped, imported.refused) == (3, 0, 0), "nothing counts as done already"
    assert (await place.rooms.archive.target(doctor.actor, study.uid())).id is not None


@pytest.mark.promise("EM-26", shows="expired")
async def test_an_agreement_that_ends_is_felt_on_an_open_association(
    place: Deployment, american: Office, listener: int
) -> None:
    await place.peer("MONTANA_CT", american.house)
    files = [pydicom.dcmread(io.BytesIO(one)) for one in specimens.phantom_ct(drawn("BAA-4"), slices=2, size=16)]
    entity = AE(ae_title="MONTANA_CT")
    entity.add_requested_context(CT, ExplicitVRLittleEndian)
    association = await asyncio.to_thread(entity.associate, "127.0.0.1", listener, ae_title=place.rooms.settings.ae)
    try:
        assert (await asyncio.to_thread(association.send_c_store, files[0])).Status == 0
        await american.end("contracts", (await american.contracts())["agreement"].id)
        await asyncio.sleep(1.0)
        assert (await asyncio.to_thread(association.send_c_store, files[1])).Status == 0x0124
        await american.contract("agreement", "baa")
        assert (await asyncio.to_thread(association.send_c_store, files[1])).Status == 0
    finally:
        await asyncio.to_thread(association.release)


@pytest.mark.promise("EM-26", shows="expired")
async def test_an_agreement_that_runs_out_is_felt_on_the_next_day(place: Deployment) -> None:
    house = await place.organisation("Short Agreement Clinic", "controller", "US")
    office = await office_of(place, house)
    await office.filed("instructions", **ORDER)
    today = clock.today().isoformat()
    await office.contract("agreement", "baa", valid_until=today)
    files = specimens.phantom_ct(drawn("BAA-2"), slices=1, size=16)
    assert (await place.stow(files, house)).status_code == 200
    with clock.moved(timedelta(days=1)):
        assert (await place.stow(files, house)).status_code in (403, 404)


@pytest.mark.promise("EM-26", shows="accounting")
async def test_the_patient_reads_the_accounting_of_disclosures(
    place: Deployment, american: Office, workshop: Receiver
) -> None:
    held = await place.study(american.house)
    await american.contract("works", "baa")
    await american.recipient("field_service", workshop, country="US", contract_key="works", **FIRM)
    assert (await american.disclose(held, "field_service", "upkeep", "service")).status_code == 200
    patient = await place.patient(held)
    page = (await patient.web.get("/given")).text
    for words in ("Outside field_service", "1 Elsewhere Street", "CT head", "upkeep"):
        assert words in page
    with clock.moved(timedelta(days=365 * 6 + 3)):
        await place.sign_in_again(patient)
        assert "Outside field_service" not in (await patient.web.get("/given")).text


@pytest.mark.promise("EM-08")
async def test_a_recipient_whose_contract_has_lapsed_gets_nothing(
    place: Deployment, american: Office, workshop: Receiver
) -> None:
    held = await place.study(american.house)
    await american.contract("mending", valid_until=clock.today().isoformat())
    end = f'action="/office/contracts/{(await american.contracts())["mending"].id}/end"'
    assert end in (await american.person.web.get("/office/recipients")).text
    await american.recipient("menders", workshop, country="US", contract_key="mending", **FIRM)
    assert (await american.disclose(held, "menders", "upkeep", "service")).status_code == 200
    before = workshop.associations
    with clock.moved(timedelta(days=1)):
        await place.sign_in_again(american.person)
        lapsed = await american.disclose(held, "menders", "upkeep", "service")
        assert end not in (await american.person.web.get("/office/recipients")).text, "it has ended by itself"
    await place.sign_in_again(american.person)
    assert lapsed.status_code == 409
    assert "has lapsed" in lapsed.text
    assert workshop.associations == before
    [refused] = await place.ledgered(kind="exchange:disclosure:refused", subject=held.subject_id)
    assert (refused.payload or {})["reason"] == "contract"
    sale = await american.file("recipients", key="buyer", name="Buyer", country="US", **{**FIRM, "purposes": "sale"})
    assert sale.status_code == 422
    assert "rules out" in sale.text
