"""What comes first, further on: an entry before a refusal or a message, a question before a body, keys before rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.common.arrivals import shown_in
from tests.common.deployment import BOUNDARY, Deployment, OpenDeployment
from tests.common.outside import office_of
from tests.common.receiver import Receiver, receiving
from tests.promises.test_accepted import invited
from tests.promises.test_choices import choose, write_to
from tests.promises.test_holds import OLD
from tests.promises.test_orderings import JSON, after_its_entry, held_still, tapped
from tests.promises.test_processor import ORDER
from troth.dicom import specimens
from troth.exchange import service as exchange_service
from troth.kit import clock, ids
from troth.kit.postgres import EmbeddedServer
from troth.vault import KeyRef

MULTIPART = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'}


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
async def host(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


@pytest.fixture(scope="module")
async def maker(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("equipment-maker")


def started(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.create_task(work)


@pytest.mark.promise("IH-06", shows="first")
async def test_with_the_ledger_held_still_nobody_is_refused_either(host: Deployment, postgres: EmbeddedServer) -> None:
    held, doctor = await host.study(), await host.staff("clinician")
    path = f"/dicomweb/studies/{held.uid}/metadata"
    async with held_still(host, postgres, "ledger_entry") as tried:
        asked = started(doctor.viewer.get(path, headers=JSON))
        await tried(asked)
        assert not asked.done()
    assert (await asked).status_code == 404
    [refused] = await host.ledgered(kind="policy:access:refused", subject=held.subject_id)
    assert refused.actor_id == doctor.actor.id


@pytest.mark.promise("IH-06", shows="first")
async def test_with_the_ledger_held_still_no_copy_is_handed_out(host: Deployment, postgres: EmbeddedServer) -> None:
    patient = await host.patient(await host.study())
    made = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    await host.fulfil()
    path = f"{made.headers['location']}/copy"
    await after_its_entry(host, postgres, patient.web, path, "rights:copy:collected")


@pytest.mark.promise("IH-06", shows="first")
async def test_with_the_ledger_held_still_no_message_leaves(host: Deployment, postgres: EmbeddedServer) -> None:
    office, person = await host.staff("office"), await host.staff("clinician")
    await choose(person, "yes", "news")
    before = len(host.mails())
    async with held_still(host, postgres, "ledger_entry") as tried:
        written = started(write_to(office, person, "newsletter"))
        await tried(written)
        assert not written.done()
        assert len(host.mails()) == before
    assert await written == 303
    assert len(host.mails()) == before + 1


@pytest.mark.promise("IH-06", shows="first")
async def test_who_looks_for_longer_stands_in_the_ledger_again(host: Deployment) -> None:
    held, doctor = await host.study(slices=24), await host.staff("clinician")
    await host.assign(doctor, held)
    moved = clock.moved(timedelta(minutes=6))

    async def later() -> None:
        moved.__enter__()

    with tapped(doctor.viewer, later) as tap:
        try:
            assert (await doctor.viewer.get(f"/dicomweb/studies/{held.uid}")).status_code == 200
        finally:
            moved.__exit__(None, None, None)
    assert len(tap.bodies) > 1
    assert len(await host.ledgered(kind="archive:study:opened", subject=held.subject_id)) == 2


@pytest.mark.promise("IH-06", shows="ended")
async def test_a_copy_ends_with_the_sign_in(host: Deployment) -> None:
    held = await host.study(slices=16, size=512)
    patient = await host.patient(held)
    asked = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    await host.fulfil()
    path = f"{asked.headers['location']}/copy"
    whole = (await patient.web.get(path)).content
    moved = clock.moved(timedelta(seconds=1.5))

    with tapped(patient.web) as tap:
        token = await patient.token("/scans")  # of a page that is fetched before
        tap.bodies.clear()

        async def out() -> None:
            tap.after_first = None
            assert (await patient.web.post("/sign-out", data={"token": token})).status_code == 303
            moved.__enter__()

        tap.after_first = out
        try:
            got = (await patient.web.get(path)).content
        except Exception:
            got = b"".join(tap.bodies)
        finally:
            moved.__exit__(None, None, None)
    assert 0 < len(got) < len(whole)


@pytest.fixture(scope="module")
def workshop() -> Iterator[Receiver]:
    with receiving("WORKSHOP") as receiver:
        yield receiver


@pytest.mark.promise("IH-07", shows="unregistered")
async def test_a_contract_that_ends_while_a_scan_is_sent_ends_the_sending(
    host: Deployment, workshop: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await office_of(host, next(each for each in host.organisations if each.region == "GB"))
    second = await office_of(host, office.house)
    key = f"brief_{ids.code().lower()}"
    await office.contract(key, "controller")
    await office.recipient(
        f"{key}_clinic", workshop, kind="customer", country="GB", stands_under="other_hospitals", categories="images",
        purposes="exchange", contract_key=key,
    )  # fmt: skip
    contract = (await office.contracts())[key].id
    held, loop = await host.study(office.house, slices=3), asyncio.get_running_loop()
    monkeypatch.setattr(exchange_service, "_BATCH_BYTES", 1)  # each image is a batch of its own

    class Noting(list[str]):
        """Ends the contract when the first image has arrived."""

        def append(self, uid: str) -> None:
            super().append(uid)
            if len(self) == 1:
                assert asyncio.run_coroutine_threadsafe(second.end("contracts", contract), loop).result()

    monkeypatch.setattr(workshop, "uids", Noting())
    answer = await office.disclose(held, f"{key}_clinic", "exchange", "contract")
    assert answer.status_code == 409
    assert "has lapsed" in answer.text
    assert len(workshop.uids) == 1, "nothing more left"
    [failed] = await host.ledgered(kind="exchange:disclosure:failed", subject=held.subject_id)
    assert failed.counts == {"instances": 1}


async def parts(files: list[bytes], between: Callable[[int], Awaitable[None]]) -> AsyncIterator[bytes]:
    """A body in parts; something may happen before each is sent."""
    for number, file in enumerate(files):
        await between(number)
        yield b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (BOUNDARY.encode(), file)
    yield b"--%s--\r\n" % BOUNDARY.encode()


@pytest.mark.promise("EM-26", shows="expired")
async def test_without_the_agreement_not_a_byte_of_the_body_is_read(maker: Deployment) -> None:
    house = await maker.organisation("", "controller", "US")
    office = await office_of(maker, house)
    await office.filed("instructions", **ORDER)
    machine, sent = await maker.bearer("peer", "care", house), list[int]()
    study = specimens.Study("NB-1", "Specimen^Body", OLD, "O", OLD, "A-NB-1", "CT head")
    files = specimens.phantom_ct(study, slices=2, size=16)

    async def counted(number: int) -> None:
        sent.append(number)

    for is_agreed in (False, True):
        if is_agreed:
            await office.contract("agreement", "baa")
        body = parts(files, counted)
        answer = await machine.web.post("/dicomweb/studies", content=body, headers=MULTIPART)
        assert (answer.status_code, bool(sent)) == ((200, True) if is_agreed else (403, False))


@pytest.mark.promise("EM-26", shows="expired")
async def test_an_agreement_that_ends_is_felt_in_the_middle_of_an_upload(maker: Deployment) -> None:
    house = await maker.organisation("", "controller", "US")
    office = await office_of(maker, house)
    await office.filed("instructions", **ORDER)
    await office.contract("agreement", "baa")
    machine = await maker.bearer("peer", "care", house)
    study = specimens.Study("NB-2", "Specimen^Upload", OLD, "O", OLD, "A-NB-2", "CT head")
    files = specimens.phantom_ct(study, slices=60, size=16)
    moved = clock.moved(timedelta(seconds=1.5))

    async def ended(number: int) -> None:
        if number == 40:
            await office.end("contracts", (await office.contracts())["agreement"].id)
            moved.__enter__()

    try:
        answer = await machine.web.post("/dicomweb/studies", content=parts(files, ended), headers=MULTIPART)
    finally:
        moved.__exit__(None, None, None)
    assert answer.status_code == 403, answer.text
    stored = await maker.ledgered(kind="archive:instances:stored", house=house)
    assert 0 < sum(each.counts["instances"] for each in stored) <= 40


@pytest.mark.promise("IH-14", shows="kinds", lacks="rectification and restriction of everything, end to end")
async def test_the_key_is_destroyed_before_the_rows_go_and_what_was_erased_stays_out(
    host: Deployment, postgres: EmbeddedServer
) -> None:
    held = await host.study(study_date=OLD)
    patient = await host.patient(held)
    await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    await host.fulfil()
    async with host.rooms.database.transaction(host.first) as connection:
        row = await (await connection.execute("select key from study where id = %s", (held.id,))).fetchone()
    assert row is not None
    key = KeyRef(row["key"])
    fields = {"right": "erase", "study-1": str(held.id), "sure": "erase"}
    assert (await patient.post("/requests", fields, page="/requests/new?right=erase")).status_code == 303
    async with held_still(host, postgres, "instance") as tried:
        erasing = started(host.fulfil())
        await tried(erasing)
        assert not erasing.done(), "its rows cannot go"
        assert host.rooms.keyring.is_gone(key), "and nobody can read them any more"
    await erasing
    [erased] = await host.ledgered(kind="archive:study:erased", subject=held.subject_id)
    [ended] = await host.ledgered(kind="rights:copy:erased", subject=held.subject_id)
    closed = (await host.ledgered(kind="rights:request:closed", subject=held.subject_id))[-1]
    assert erased.index is not None
    assert ended.index is not None
    assert closed.index is not None
    assert erased.index < ended.index < closed.index
    before = len(await host.ledgered(kind="archive:study:refused_tombstone", house=held.house))
    again = await host.stow(specimens.phantom_ct(held.made, slices=1, size=16), held.house)
    assert again.status_code == 409
    assert len(await host.ledgered(kind="archive:study:refused_tombstone", house=held.house)) == before + 1


@pytest.mark.promise("IC-03", shows="invitation")
async def test_an_invitation_is_used_once_and_in_time(cloud: Deployment) -> None:
    held, somebody = await cloud.study(), cloud.anybody().web
    path, code = await invited(cloud, held, "once@x.example")
    assert (await somebody.get(path)).status_code == 200
    with clock.moved(timedelta(days=60)):
        assert (await somebody.get(path)).status_code == 410
    page = (await somebody.get(path)).text
    name = " ".join(reversed(held.made.name.split("^")))
    born = {"name": name, "day": "1", "month": "1", "year": "1970", "code": code, "email": "once@x.example"}
    assert (await somebody.post(path, data={**born, **shown_in(page)})).status_code == 303
    assert (await somebody.get(path)).status_code == 410
    assert (await cloud.anybody().web.post(path, data={**born, **shown_in(page)})).status_code == 410
