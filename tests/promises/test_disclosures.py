"""What leaves an imaging host: only to registered recipients, through one gate, and every line is accounted for."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from tests.common.deployment import Deployment, OpenDeployment
from tests.common.outside import Office, office_of
from tests.common.receiver import Receiver, receiving
from troth.policy import Target


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Receiver]:
    with receiving("ELSEWHERE") as receiver:
        yield receiver


@pytest.fixture(scope="module")
async def office(place: Deployment, elsewhere: Receiver) -> Office:
    found = await office_of(place, next(each for each in place.organisations if each.region == "GB"))
    await found.contract("other_place", "controller")
    await found.recipient(
        "city_clinic", elsewhere, kind="customer", country="GB", stands_under="other_hospitals", categories="images",
        purposes="exchange", contract_key="other_place",
    )  # fmt: skip
    return found


@pytest.mark.promise("IH-07", shows="unregistered accounting")
async def test_only_registered_recipients_receive_and_each_is_accounted_for(
    place: Deployment, office: Office, elsewhere: Receiver
) -> None:
    held = await place.study(office.house, slices=2)
    patient = await place.patient(held)
    before, received = elsewhere.associations, len(elsewhere.uids)

    refused = await office.disclose(held, "nobody_knows", "exchange", "contract")
    assert refused.status_code == 409
    assert "The recipient is not in the register" in refused.text
    for wrong, word in (({"category": "demographics"}, "category"), ({"purpose": "support"}, "purpose")):
        typed = {"category": "images", "purpose": "exchange", **wrong}
        answer = await office.disclose(held, "city_clinic", typed["purpose"], "contract", category=typed["category"])
        assert answer.status_code == 409, word
        assert "not registered for this" in answer.text
    assert elsewhere.associations == before, "nothing may leave when it is refused"
    assert "Nothing was given" in (await patient.web.get("/given")).text
    entries = await place.ledgered(kind="exchange:disclosure:refused", subject=held.subject_id)
    assert [(each.payload or {})["reason"] for each in entries] == ["recipient", "category", "purpose"]

    sent = await office.disclose(held, "city_clinic", "exchange", "contract")
    assert sent.status_code == 200, sent.text
    assert len(elsewhere.uids) == received + 2

    page = (await patient.web.get("/given")).text
    for words in ("Outside city_clinic", "1 Elsewhere Street", "CT head", "2 images", "arrived"):
        assert words in page
    [recorded] = await place.ledgered(kind="exchange:disclosure:recorded", subject=held.subject_id)
    [copied] = await place.ledgered(kind="archive:study:copied", subject=held.subject_id)
    [left] = await place.ledgered(kind="exchange:disclosure:left", subject=held.subject_id)
    assert recorded.index is not None
    assert copied.index is not None
    assert left.index is not None
    assert recorded.index < copied.index < left.index, "it is written before anything leaves"
    register = await office.recipients()
    assert f"recipient:{register['city_clinic'].id}" in recorded.clauses
    assert "4.6" in recorded.clauses
    assert left.counts == {"instances": 2}

    # Another patient has an accounting of their own.
    other = await place.patient(await place.study(office.house))
    assert "Nothing was given" in (await other.web.get("/given")).text


async def test_what_a_recipient_took_with_a_warning_has_left(
    place: Deployment, office: Office, elsewhere: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, before = await place.study(office.house, slices=2), len(elsewhere.uids)
    monkeypatch.setattr(elsewhere, "status", 0xB000)  # elements were coerced there
    assert (await office.disclose(held, "city_clinic", "exchange", "contract")).status_code == 200
    assert len(elsewhere.uids) == before + 2
    [left] = await place.ledgered(kind="exchange:disclosure:left", subject=held.subject_id)
    assert left.counts == {"instances": 2}


@pytest.mark.promise("IH-07", shows="unregistered")
async def test_what_ends_stops_the_next_disclosure(place: Deployment, office: Office, elsewhere: Receiver) -> None:
    held = await place.study(office.house)
    await office.contract("short_lived", "controller")

    async def registered() -> None:
        await office.recipient(
            "night_clinic", elsewhere, kind="customer", country="GB", stands_under="other_hospitals",
            categories="images", purposes="exchange", contract_key="short_lived",
        )  # fmt: skip

    await registered()
    page = (await office.person.web.get("/office/recipients")).text
    chosen = dict(re.findall(r'<select class="form-select" id="disclosures-(\w+)"[^>]*>(.*?)</select>', page))
    assert chosen["recipient"].startswith('<option value="" selected>Choose</option>'), "nobody is chosen beforehand"
    assert '<option value="night_clinic">Outside night_clinic, United Kingdom</option>' in chosen["recipient"]
    assert '<option value="images">' in chosen["category"]
    assert '<option value="exchange">' in chosen["purpose"]
    assert (await office.disclose(held, "night_clinic", "exchange", "contract")).status_code == 200
    before = len(elsewhere.uids)

    await office.end("contracts", (await office.contracts())["short_lived"].id)
    lapsed = await office.disclose(held, "night_clinic", "exchange", "contract")
    assert lapsed.status_code == 409
    assert "has lapsed" in lapsed.text
    await office.end("recipients", (await office.recipients())["night_clinic"].id)
    gone = await office.disclose(held, "night_clinic", "exchange", "contract")
    assert "not in the register" in gone.text
    assert len(elsewhere.uids) == before

    await office.contract("short_lived", "controller")
    ended = await office.disclose(held, "night_clinic", "exchange", "contract")
    assert "not in the register" in ended.text, "another contract brings back nobody"
    await registered()
    assert (await office.disclose(held, "night_clinic", "exchange", "contract")).status_code == 200, "it is another one"
    assert len(elsewhere.uids) == before + 1


async def test_no_recipient_for_what_the_notice_rules_out(place: Deployment, office: Office) -> None:
    answer = await office.file(
        "recipients", key="broker", name="Broker", kind="partner", country="GB", stands_under="other_hospitals",
        categories="images", purposes="sale",
    )  # fmt: skip
    assert answer.status_code == 422
    assert "broker" not in await office.recipients()
    await place.looked()
    page = await place.anybody().web.get("/do-not-sell", headers={"Sec-GPC": "1"})
    assert page.status_code == 200
    assert "Recipients registered for a sale: 0" in page.text


async def test_a_system_that_does_not_take_it_is_told_as_failed(
    place: Deployment, office: Office, elsewhere: Receiver
) -> None:
    held = await place.study(office.house)
    elsewhere.status = 0xA700
    try:
        answer = await office.disclose(held, "city_clinic", "exchange", "contract")
    finally:
        elsewhere.status = 0
    assert answer.status_code == 503
    [failed] = await place.ledgered(kind="exchange:disclosure:failed", subject=held.subject_id)
    assert failed.outcome == "failed"


async def test_only_the_office_discloses(place: Deployment, office: Office, elsewhere: Receiver) -> None:
    held = await place.study(office.house)
    doctor = await place.staff("clinician", office.house)
    before = elsewhere.associations
    fields = {"kind": "contract", "recipient": "city_clinic", "study": str(held.id), "category": "images"}
    answer = await doctor.web.post("/office/disclosures", data={**fields, "purpose": "exchange"})
    assert answer.status_code == 404
    other = await office_of(place, next(each for each in place.organisations if each.region == "NZ"))
    stranger = await other.disclose(held, "city_clinic", "exchange", "contract")
    assert stranger.status_code == 404
    assert elsewhere.associations == before


@pytest.mark.promise("IH-13", shows="refused passes")
async def test_abroad_only_on_an_instrument_and_a_copy_for_whoever_asks(
    place: Deployment, office: Office, elsewhere: Receiver
) -> None:
    held = await place.study(office.house)
    patient = await place.patient(held)
    await office.recipient(
        "boston", elsewhere, kind="customer", country="US", stands_under="other_hospitals", categories="images",
        purposes="exchange", contract_key="other_place",
    )  # fmt: skip
    before = elsewhere.associations
    refused = await office.disclose(held, "boston", "exchange", "contract")
    assert refused.status_code == 409
    assert "no instrument on file for transfers from GB to US" in refused.text
    assert elsewhere.associations == before

    await office.instrument("standard_contract", "GB", "US", document="Standard contractual clauses, module 1.")
    sent = await office.disclose(held, "boston", "exchange", "contract")
    assert sent.status_code == 200, sent.text
    assert "standard_contract" in sent.text
    assert elsewhere.associations == before + 1
    assert "to US on standard_contract" in (await patient.web.get("/given")).text
    [recorded] = await place.ledgered(kind="exchange:disclosure:recorded", subject=held.subject_id)
    assert f"instrument:{(await office.instruments())['standard_contract'].id}" in recorded.clauses


@pytest.mark.promise("IH-13", shows="copy")
async def test_a_copy_of_the_clauses_is_mailed_to_whoever_asks(place: Deployment) -> None:
    rooms = place.rooms
    permit = await place.operator_permit("keep_register", Target("platform"))
    text = b"Standard contractual clauses of the platform, in full."
    instrument_id = await rooms.exchange.add_instrument(
        permit, "platform_clauses", "scc", "EEA", "US", date(2026, 1, 5), document=text
    )
    anybody = place.anybody()
    assert "European Economic Area" in (await anybody.web.get("/recipients")).text
    wrong = await anybody.web.post("/recipients", data={"instrument": str(instrument_id), "email": "nobody"})
    assert wrong.status_code == 422
    before = len(_files(place))
    sent = await anybody.web.post("/recipients", data={"instrument": str(instrument_id), "email": "asker@x.example"})
    assert sent.status_code == 200
    [mail] = _files(place)[before:]
    assert mail["To"] == "asker@x.example"
    [attached] = list(mail.iter_attachments())
    assert attached.get_content().encode().strip() == text
    assert len(await place.ledgered(kind="exchange:document:asked")) == 1
    assert len(await place.ledgered(kind="exchange:document:sent")) == 1


async def test_requests_of_governments_have_a_register(place: Deployment, office: Office) -> None:
    await office.filed(
        "orders", kind="government_request", authority="Ministry of Samples", country="GB", valid_from="2026-11-01",
        scope="All scans of a town.",
    )  # fmt: skip
    [order] = [each for each in await office.orders() if each.authority == "Ministry of Samples"]
    assert "not on file" in (await office.person.web.get("/office/transfers")).text
    await office.end("orders", order.id, "Refused: no document.")
    [order] = [each for each in await office.orders() if each.authority == "Ministry of Samples"]
    assert order.answer == "Refused: no document."


def _files(place: Deployment) -> list[EmailMessage]:
    files = sorted((place.rooms.settings.data_dir / "outbox").glob("**/*.eml"))
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]


@pytest.mark.promise("IH-07", shows="accounting")
async def test_the_copy_of_everything_names_who_outside_received_something(
    place: Deployment, office: Office, elsewhere: Receiver
) -> None:
    held = await place.study(office.house)
    patient = await place.patient(held)
    assert (await office.disclose(held, "city_clinic", "exchange", "contract")).status_code == 200
    asked = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    assert asked.status_code == 303, asked.text
    await place.fulfil()
    answer = await patient.web.get(f"{asked.headers['location']}/copy")
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as copy:
        for name in ("HELD.JSON", "ACCESS.JSON", "INDEX.HTM"):
            text = copy.read(name)
            assert b"Outside city_clinic" in text, name
            assert b"1 Elsewhere Street" in text, name
