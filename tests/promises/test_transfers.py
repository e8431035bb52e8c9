"""An equipment maker sends abroad on an instrument only, and whoever asks has a copy of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID, uuid4

import httpx
import pytest

from tests.common.deployment import Deployment, OpenDeployment
from tests.common.outside import FIRM, ORDER, Office, house_in, office_of
from tests.common.receiver import Receiver, receiving
from troth.kit import clock
from troth.policy import Target


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("equipment-maker")


@pytest.fixture(scope="module")
def workshop() -> Iterator[Receiver]:
    with receiving("WORKSHOP") as receiver:
        yield receiver


@pytest.fixture(scope="module")
async def american(place: Deployment) -> Office:
    return await office_of(place, house_in(place, "US"))


@pytest.fixture(scope="module")
async def european(place: Deployment) -> Office:
    return await office_of(place, house_in(place, "FR"))


@pytest.mark.promise("EM-27", shows="transfer")
async def test_transfers_by_model_contract_for_each_controller(
    place: Deployment, european: Office, american: Office, workshop: Receiver
) -> None:
    await european.contract("works")
    await european.recipient("us_works", workshop, country="US", contract_key="works", **FIRM)
    held = await place.study(european.house)
    before = workshop.associations
    refused = await european.disclose(held, "us_works", "upkeep", "service")
    assert refused.status_code == 409
    assert "no instrument on file for transfers from FR to US" in refused.text
    assert workshop.associations == before
    # What another controller has signed carries nothing of this one.
    await american.instrument("model_contract", "EEA", "US")
    assert (await european.disclose(held, "us_works", "upkeep", "service")).status_code == 409
    await european.instrument("model_contract", "EEA", "US")
    sent = await european.disclose(held, "us_works", "upkeep", "service")
    assert sent.status_code == 200, sent.text
    assert "model_contract" in sent.text
    [recorded] = await place.ledgered(kind="exchange:disclosure:recorded", subject=held.subject_id)
    instrument = (await european.instruments())["model_contract"]
    assert f"instrument:{instrument.id}" in recorded.clauses


@pytest.mark.promise("EM-19", shows="transfer")
async def test_abroad_only_while_a_model_contract_is_in_force(place: Deployment, workshop: Receiver) -> None:
    house = await place.organisation("Clinique Modèle", "controller", "FR")
    office = await office_of(place, house)
    await office.filed("instructions", **ORDER)
    await office.contract("agreement")
    await office.contract("works")
    await office.recipient("near_works", workshop, country="DE", contract_key="works", **FIRM)
    await office.recipient("us_works", workshop, country="US", contract_key="works", **FIRM)
    held = await place.study(house)
    patient = await place.patient(held)
    before = workshop.associations
    today = clock.today()

    async def refused(said: str) -> None:
        answer = await office.disclose(held, "us_works", "upkeep", "service")
        assert answer.status_code == 409
        assert said in answer.text
        assert workshop.associations == before
        told = (await place.ledgered(kind="exchange:disclosure:refused", subject=held.subject_id))[-1]
        assert (told.payload or {})["reason"] == "transfer"

    await refused("no instrument on file for transfers from FR to US")
    yesterday = (today - timedelta(days=1)).isoformat()
    await office.instrument("model_contract", "EEA", "US", valid_until=yesterday)
    await refused("is not valid any more")
    await office.instrument("elsewhere", "EEA", "CA")
    await office.instrument("for_another", "EEA", "US", recipient_key="near_works")
    await refused("is not valid any more")
    await office.instrument("model_contract", "EEA", "US", valid_until=(today + timedelta(days=1)).isoformat())
    sent = await office.disclose(held, "us_works", "upkeep", "service")
    assert sent.status_code == 200, sent.text
    assert workshop.associations == before + 1
    recorded = (await place.ledgered(kind="exchange:disclosure:recorded", subject=held.subject_id))[-1]
    assert f"instrument:{(await office.instruments())['model_contract'].id}" in recorded.clauses
    assert "to US on model_contract" in (await patient.web.get("/given")).text
    before += 1
    with clock.moved(timedelta(days=2)):
        await place.sign_in_again(office.person)
        await refused("is not valid any more")
    await place.sign_in_again(office.person)


@pytest.mark.promise("EM-34", shows="invalid")
async def test_an_invalid_instrument_stops_what_relied_on_it(place: Deployment, workshop: Receiver) -> None:
    house = await place.organisation("Clinique Invalidée", "controller", "FR")
    office = await office_of(place, house)
    await office.filed("instructions", **ORDER)
    await office.contract("agreement")
    await office.contract("works")
    await office.recipient("us_works", workshop, country="US", contract_key="works", **FIRM)
    held = await place.study(house)
    await office.instrument("model_contract", "EEA", "US")
    assert (await office.disclose(held, "us_works", "upkeep", "service")).status_code == 200
    before = workshop.associations

    instrument = (await office.instruments())["model_contract"]
    assert (await office.end("instruments", instrument.id)).status_code == 422, "it asks why"
    shown = await office.end("instruments", instrument.id, "Court of Justice, C-311/18")
    assert "Nothing can go any more to" in shown.text
    assert "<li>Outside us_works</li>" in shown.text
    refused = await office.disclose(held, "us_works", "upkeep", "service")
    assert refused.status_code == 409
    assert "is not valid any more" in refused.text
    # The Privacy Shield carries nothing, however it is entered.
    await office.instrument("model_contract", "EEA", "US", "privacy_shield")
    assert (await office.disclose(held, "us_works", "upkeep", "service")).status_code == 409
    assert workshop.associations == before
    entries = await place.ledgered(kind="exchange:transfer:invalidated", house=house)
    assert len(entries) == 1

    await office.instrument("model_contract", "EEA", "US", "bcr")
    assert (await office.disclose(held, "us_works", "upkeep", "service")).status_code == 200


@pytest.mark.promise("EM-34", shows="copy")
async def test_a_copy_of_an_instrument_for_whoever_asks_until_it_is_invalid(
    place: Deployment, workshop: Receiver
) -> None:
    keeping = await place.operator_permit("keep_register", Target("platform"))
    exchange, text = place.rooms.exchange, b"Binding corporate rules of the whole group."
    since = date(2026, 1, 5)
    rules = await exchange.add_instrument(keeping, "model_contract", "bcr", "EEA", "US", since, document=text)
    shield = await exchange.add_instrument(keeping, "shield", "privacy_shield", "EEA", "US", since, document=b"Shield.")
    anybody = place.anybody()

    async def ask(instrument: UUID, email: str = "asker@x.example") -> httpx.Response:
        return await anybody.web.post("/recipients", data={"instrument": str(instrument), "email": email})

    page = (await anybody.web.get("/recipients")).text
    assert f'<option value="{rules}">' in page
    assert f'<option value="{shield}">' not in page, "the Privacy Shield carries nothing since 16 July 2020"
    before = len(_mails(place))
    assert (await ask(rules, "nobody")).status_code == 422
    assert (await ask(shield)).status_code in (404, 422)
    assert (await ask(uuid4())).status_code in (404, 422)
    assert len(_mails(place)) == before
    assert (await ask(rules)).status_code == 200
    [mail] = _mails(place)[before:]
    assert mail["To"] == "asker@x.example"
    [attached] = list(mail.iter_attachments())
    assert attached.get_content().encode().strip() == text
    asked, sent = [await place.ledgered(kind=f"exchange:document:{each}") for each in ("asked", "sent")]
    assert (len(asked), len(sent)) == (1, 1)

    # Two controllers send on the rules of the group; when these fall, both stop, and the list names whom it touches.
    offices = []
    for name in ("Clinique Première", "Clinique Seconde"):
        office = await office_of(place, await place.organisation(name, "controller", "FR"))
        await office.filed("instructions", **ORDER)
        await office.contract("agreement")
        await office.contract("works")
        await office.recipient("us_works", workshop, country="US", contract_key="works", **FIRM)
        held = await place.study(office.house)
        assert (await office.disclose(held, "us_works", "upkeep", "service")).status_code == 200
        offices.append((office, held))
    affected = await exchange.invalidate(keeping, rules, "The group was dissolved.")
    assert affected.recipients == (), "the platform itself sends to nobody"
    left = workshop.associations
    for office, held in offices:
        refused = await office.disclose(held, "us_works", "upkeep", "service")
        assert refused.status_code == 409
        assert "is not valid any more" in refused.text
        listed = (await office.person.web.get("/office/transfers")).text
        assert "Nothing can go to 1 registered recipient abroad" in listed
        assert "<li>Outside us_works, United States</li>" in listed
    assert workshop.associations == left
    page = (await anybody.web.get("/recipients")).text
    assert "The group was dissolved." in page
    assert f'<option value="{rules}">' not in page
    assert (await ask(rules)).status_code in (404, 422)
    assert len(_mails(place)) == before + 1


def _mails(place: Deployment) -> list[EmailMessage]:
    files = sorted((place.rooms.settings.data_dir / "outbox").glob("**/*.eml"))
    read = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
    return [mail for mail in read if mail["To"] == "asker@x.example"]
