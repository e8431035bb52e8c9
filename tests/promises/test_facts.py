"""Facts that a decision is made on, each shown where it alone stands in the way: the other walls are open then."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest

from tests.common.deployment import ADDRESS, Deployment, OpenDeployment
from tests.common.outside import SINCE, Office, office_of
from tests.common.platform import OneDatabase
from tests.common.receiver import receiving
from tests.promises.test_changes import Mailbox, mailbox
from tests.promises.test_choices import CONSENT, choose, write_to
from tests.promises.test_emergency import claim, opened
from tests.promises.test_orderings import database_of, streamed
from tests.promises.test_unsubscribe import advertised, link_of
from troth.dicom import specimens
from troth.doors import dicomweb
from troth.kit import clock, ids
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.main.wiring import load_notices, open_rooms
from troth.policy import Actor, PermitDenied, Target

__all__ = ["mailbox"]
MACHINE = {"host": ADDRESS, "port": "11113", "purpose": "care"}
CLINIC = {"kind": "customer", "stands_under": "other_hospitals", "categories": "images", "purposes": "exchange"}


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def host(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


@pytest.fixture(scope="module")
async def vendor(open_deployment: OpenDeployment, mailbox: Mailbox) -> Deployment:
    return await open_deployment("terminology-vendor", smtp=f"127.0.0.1:{mailbox.port}")


def beyond(place: Deployment, postgres: EmbeddedServer, statement: str, *values: object) -> None:
    """Change the database past the platform, as somebody with the machine in their hands would."""
    with psycopg.connect(postgres.dsn(SUPERUSER, database_of(place)), autocommit=True) as superuser:
        superuser.execute("set session_replication_role = replica")
        assert superuser.execute(statement, values).rowcount == 1  # type: ignore[arg-type]


async def cut_short(place: Deployment, happens: Callable[[str], Awaitable[None]]) -> None:
    """What happens while a doctor reads a study ends the reading; where nothing happens, it comes whole."""
    held, doctor = await place.study(slices=24), await place.staff("clinician")
    assert doctor.user is not None
    path, account = f"/dicomweb/studies/{held.uid}", str(doctor.user.id)

    async def nothing() -> None:
        return None

    async def then() -> None:
        await happens(account)

    whole = await streamed(doctor, path, nothing)
    await place.sign_in_again(doctor)
    assert 0 < len(await streamed(doctor, path, then)) < len(whole)


@pytest.mark.promise("IC-03", shows="ended")
async def test_another_role_is_felt_in_what_streams(cloud: Deployment) -> None:
    admin, _ = await cloud.staff("admin"), await cloud.staff("admin")

    async def another_role(account: str) -> None:
        answer = await admin.post(f"/admin/people/{account}", {"act": "change", "role": "admin"})
        assert answer.headers["location"] == f"/admin/people/{account}?told=changed"

    await cut_short(cloud, another_role)


@pytest.mark.promise("IC-03", shows="matrix")
async def test_a_membership_that_was_changed_past_the_platform_gives_nothing(
    cloud: Deployment, postgres: EmbeddedServer
) -> None:
    async def tampered(account: str) -> None:
        beyond(
            cloud, postgres, "update membership set made_at = made_at - interval '1 day' where account_id = %s", account
        )

    await cut_short(cloud, tampered)


@pytest.mark.promise("IC-14", shows="expires")
async def test_an_emergency_that_was_made_longer_past_the_platform_opens_nothing(
    cloud: Deployment, postgres: EmbeddedServer
) -> None:
    held, doctor = await cloud.study(), await cloud.staff("clinician")
    assert await claim(doctor, held) == 303
    assert await opened(doctor, held) == 303
    beyond(
        cloud, postgres, "update assignment set until = until + interval '1 day' where account_id = %s", doctor.actor.id
    )
    with clock.moved(timedelta(seconds=1.5)):
        assert await opened(doctor, held) == 404


async def machine_of(place: Deployment, title: str) -> tuple[Actor, str, Target]:
    """A machine that the administrator registers at the page: it may store. Who it is, its page, and where."""
    admin = await place.staff("admin")
    assert (await admin.post("/admin/systems", {"ae": title, **MACHINE})).status_code == 303
    actor = await place.rooms.people.actor_of_peer(title, place.rooms.settings.ae, ADDRESS)
    assert actor is not None
    here = Target("organisation", place.first.id, place.first.id)
    assert await place.rooms.policy.require(actor, "store", here, "care")
    return actor, f"/admin/systems/{actor.id}", here


@pytest.mark.promise("IC-03", shows="ended")
async def test_a_machine_that_is_taken_out_of_use_may_store_nothing_more(cloud: Deployment) -> None:
    actor, page, here = await machine_of(cloud, f"GONE_{ids.code()}")
    admin = await cloud.staff("admin")
    assert (await admin.post(page, {"act": "end"})).status_code == 303
    with pytest.raises(PermitDenied):
        await cloud.rooms.policy.require(actor, "store", here, "care")


@pytest.mark.promise("IC-03", shows="matrix")
async def test_a_machine_that_was_changed_past_the_platform_may_store_nothing(
    cloud: Deployment, postgres: EmbeddedServer
) -> None:
    actor, _, here = await machine_of(cloud, f"LENT_{ids.code()}")
    beyond(cloud, postgres, "update peer set host = '192.0.2.1' where id = %s", actor.id)
    with pytest.raises(PermitDenied):
        await cloud.rooms.policy.require(actor, "store", here, "care")


@pytest.mark.promise("IC-03", shows="two")
async def test_one_administrator_alone_lets_nobody_in(cloud: Deployment) -> None:
    admin, second = await cloud.staff("admin"), await cloud.staff("admin")
    before = len(cloud.mails())
    fields = {"name": "N. Alone", "email": f"n.{ids.code()}@x.example", "role": "clinician"}
    assert (await admin.post("/admin", fields)).headers["location"] == "/admin?told=proposed"
    assert len(cloud.mails()) == before, "nobody is invited yet"
    [path] = set(re.findall(r"/admissions/[0-9a-f-]{36}", (await admin.web.get("/admin")).text))
    assert (await admin.post(path, {"act": "approve"}, page="/admin")).status_code == 404
    assert len(cloud.mails()) == before
    assert (await second.post(path, {"act": "approve"}, page="/admin")).status_code == 303
    assert "/invitation/" in cloud.mails()[-1]


@pytest.mark.promise("TV-17", shows="post")
async def test_the_link_of_a_message_is_over_with_the_membership(vendor: Deployment, mailbox: Mailbox) -> None:
    _, person, message = await advertised(vendor, mailbox)
    _, _, other = await advertised(vendor, mailbox)
    assert person.user is not None
    admin, _ = await vendor.staff("admin"), await vendor.staff("admin")
    assert (await admin.post(f"/admin/people/{person.user.id}", {"act": "end"})).status_code == 303
    one_click = {"List-Unsubscribe": "One-Click"}
    assert (await vendor.anybody().web.post(link_of(message), data=one_click)).status_code in (403, 404)
    assert not await vendor.ledgered(kind="people:objection:decided", subject=person.user.id)
    assert (await vendor.anybody().web.post(link_of(other), data=one_click)).status_code == 200


@pytest.mark.promise("TV-17", shows="stopped")
async def test_who_stopped_a_way_of_being_written_to_is_not_written_to_by_it(
    vendor: Deployment, mailbox: Mailbox
) -> None:
    office, person, _ = await advertised(vendor, mailbox)
    before = len(mailbox.messages)
    await choose(person, "channel_off", "email")
    assert await write_to(office, person, "promotion") == 403
    assert len(mailbox.messages) == before
    await choose(person, "channel_on", "email")
    await choose(person, "yes", CONSENT)
    assert await write_to(office, person, "promotion") == 303


@pytest.fixture(scope="module")
async def office(host: Deployment) -> Office:
    return await office_of(host, next(each for each in host.organisations if each.region == "GB"))


async def may_go(office: Office, key: str) -> bool:
    """Whether the decision itself lets a scan go to a recipient; the gate of disclosures is not asked."""
    held = await office.place.study(office.house)
    named = (("recipient", key), ("category", "images"))
    target = Target("study", held.id, held.house.id, held.subject_id, attributes=named)
    return await office.place.rooms.policy.may(office.person.actor, "disclose", target, "exchange")


@pytest.mark.promise("IH-13", shows="refused passes")
async def test_the_decision_itself_asks_for_an_instrument_of_the_way(office: Office) -> None:
    key = f"boston_{ids.code()}"
    await office.contract(key, "controller")
    await office.filed("recipients", key=key, name="Boston", country="US", contract_key=key, **CLINIC)
    assert not await may_go(office, key)
    await office.instrument("elsewhere", "GB", "CA")
    assert not await may_go(office, key)
    await office.instrument("standard_contract", "GB", "US")
    assert await may_go(office, key)
    await office.end("instruments", (await office.instruments())["standard_contract"].id, "It is over.")
    assert not await may_go(office, key)


@pytest.mark.promise("IH-07", shows="unregistered")
async def test_the_decision_itself_asks_for_the_contract_of_a_recipient(office: Office) -> None:
    key = f"nearby_{ids.code()}"
    await office.filed("recipients", key=key, name="Nearby", country="GB", contract_key=key, **CLINIC)
    assert not await may_go(office, key)
    assert not await may_go(office, "nobody")
    await office.contract(key, "controller")
    assert await may_go(office, key)
    await office.end("contracts", (await office.contracts())[key].id)
    assert not await may_go(office, key)


@pytest.mark.promise("IH-13", shows="refused")
async def test_the_privacy_shield_carries_nothing_by_decision_or_gate(office: Office) -> None:
    key = f"shield_{ids.code()}"
    await office.contract(key, "controller")
    with receiving("SHIELDED") as receiver:
        await office.recipient(key, receiver, country="NZ", contract_key=key, **CLINIC)
        held = await office.place.study(office.house)
        await office.instrument("adequacy_nz", "GB", "NZ", "privacy_shield")
        assert not await may_go(office, key)
        answer = await office.disclose(held, key, "exchange", "contract")
        assert answer.status_code == 409
        assert "is not valid any more" in answer.text
        assert receiver.associations == 0
        await office.instrument("adequacy_nz", "GB", "NZ", "adequacy")
        assert await may_go(office, key)
        for each in await office.place.rooms.exchange.instruments(office._permit("keep_register")):
            if each.key == "adequacy_nz" and each.term.ended_at is None:
                await office.end("instruments", each.id, "It is over.")
    assert not await may_go(office, key)


@pytest.mark.promise("TV-11")
async def test_the_decision_itself_asks_for_the_document_of_an_order(vendor: Deployment) -> None:
    desk, member = await office_of(vendor), await vendor.staff("clinician")
    assert member.user is not None
    key = f"court_{ids.code()}"
    await desk.filed("recipients", key=key, name="A court", kind="authority", country="US", stands_under="courts",
                     categories="account", purposes="court_orders", email="court@outside.invalid")  # fmt: skip
    demand = {"kind": "legal_order", "authority": "District court", "country": "US", "scope": "One account.",
              "studies": str(member.user.id), "valid_from": SINCE}  # fmt: skip
    for document in ("", "We order that the account be handed over."):
        await desk.filed("orders", **demand, document=document)
        order = (await desk.orders())[0]
        assert bool(order.document_id) is bool(document)
        named = (("recipient", key), ("category", "account"), ("order", str(order.id)))
        target = Target("account", member.user.id, vendor.first.id, member.user.id, attributes=named)
        goes = await vendor.rooms.policy.may(desk.person.actor, "disclose", target, "court_orders")
        assert goes is bool(document)


@pytest.mark.promise("IC-19", shows="restricted", lacks="sharing")
async def test_a_person_who_stopped_everything_is_on_no_list(cloud: Deployment) -> None:
    person = {"patient_id": f"STOPPED-{ids.code()}", "name": "Specimen^Stopped"}
    held, other = [await cloud.study(**person)], await cloud.study()
    patient, doctor = await cloud.patient(held[0]), await cloud.staff("clinician")
    program = await cloud.bearer("peer", "care")

    async def listed() -> list[bool]:
        page = (await doctor.web.get("/studies")).text
        answer = await program.web.get("/dicomweb/studies", params={"limit": "200"})
        assert f">{other.made.patient_id}<" in page
        assert other.uid in answer.text
        return [f">{person['patient_id']}<" in page, *(each.uid in answer.text for each in held)]

    assert await listed() == [True, True]
    await choose(patient, "stop", "everything")
    held.append(await cloud.study(**person, accession="A-later"))  # nobody marked this one
    assert await listed() == [False, False, False]


@pytest.mark.promise("IC-11", shows="elsewhere")
async def test_a_machine_that_stands_elsewhere_takes_nothing_in(cloud: Deployment, postgres: EmbeddedServer) -> None:
    held, machine = await cloud.study(), await cloud.bearer("peer", "care")
    served: Any = SimpleNamespace(server=postgres, name=database_of(cloud))
    moved = open_rooms(
        replace(cloud.rooms.settings, region="CN"), OneDatabase(served), load_notices(cloud.rooms.settings)
    )
    images = dicomweb.create(moved)
    there = httpx.AsyncClient(
        transport=httpx.ASGITransport(images, raise_app_exceptions=False, client=(ADDRESS, 40000)),
        base_url=cloud.rooms.settings.http_url, headers=dict(machine.web.headers),
    )  # fmt: skip
    try:
        answer = await there.post(
            "/studies", content=specimens.phantom_ct(held.made, slices=2, size=16)[1],
            headers={"Content-Type": "application/dicom"},
        )  # fmt: skip
        assert answer.status_code in (403, 404), answer.text
        assert (await cloud.stow(specimens.phantom_ct(held.made, slices=2, size=16)[1:])).status_code == 200
    finally:
        await there.aclose()
        await images.state.gate.close()
        await moved.archive.close()
        await moved.close()


@pytest.mark.promise("IH-06", shows="first")
async def test_each_time_that_a_copy_is_taken_stands_in_the_ledger(host: Deployment) -> None:
    held = await host.study()
    patient = await host.patient(held)
    asked = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    await host.fulfil()
    for times in (1, 2):
        assert (await patient.web.get(f"{asked.headers['location']}/copy")).status_code == 200
        taken = await host.ledgered(kind="rights:copy:collected", subject=held.subject_id)
        assert [each.actor_id for each in taken] == [patient.actor.id] * times
