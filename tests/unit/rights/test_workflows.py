"""Requests carried to their answer, and what happens where a step does not work."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.common.platform import AtOnce, Platform
from tests.unit.rights.conftest import study_of
from tests.unit.rights.test_service import person
from troth.archive import WasErased
from troth.dicom.specimens import phantom_ct
from troth.kit import clock
from troth.kit.errors import Unavailable
from troth.kit.mail import MailNotSent
from troth.ledger import open_checkpoint
from troth.policy import PermitDenied, Target
from troth.rights import Outcome, Right, State, copy, workflows


async def test_what_no_law_keeps_is_erased_and_the_rest_is_refused_with_ground(platform: Platform) -> None:
    subject = await person(platform, 41, 2010, 2024)
    # The same patient number in another hospital is another person.
    elsewhere = study_of(41, 2010, seed=777, name="Somebody^Else")
    await platform.store(phantom_ct(elsewhere, slices=1, size=16), platform.second)
    rights = platform.rooms.rights
    copied = await rights.open(platform.on(subject, "open_request"), Right.ACCESS, subject.id)
    await platform.fulfil()
    assert (await platform.request(subject, copied.id)).copy_bytes
    request = await rights.open(platform.on(subject, "open_request"), Right.ERASE, subject.id)
    await platform.fulfil()

    answered = await platform.request(subject, request.id)
    assert answered.state is State.PARTLY_FULFILLED
    assert not answered.is_open
    outcomes = {(item.kind, item.title): item for item in answered.items}
    assert outcomes["study", "CT head · 6 May 2010"].outcome is Outcome.DONE_VERIFIED
    assert outcomes["study", "CT head · 6 May 2010"].event_id is not None
    refused = outcomes["study", "CT head · 6 May 2024"]
    assert (refused.outcome, refused.clause, refused.until) == (Outcome.REFUSED, "8.1", date(2032, 5, 6))
    assert refused.ground
    assert outcomes["copy", f"The copy made for {copied.reference}"].outcome is Outcome.DONE_VERIFIED
    assert [study.study_date for study in await platform.studies(subject)] == [date(2024, 5, 6)]
    assert (await platform.subject_of(elsewhere.uid(), platform.second)).id != subject.id

    before = await platform.request(subject, copied.id)
    assert (before.copy_bytes, before.state) == (0, State.FULFILLED)
    assert len(await platform.events(subject, "rights:copy:erased")) == 1

    certificate = await rights.certificate(platform.on(subject, "see_request"), request.id)
    Ed25519PublicKey.from_public_bytes(certificate.public_key).verify(certificate.signature, certificate.text)
    content = json.loads(certificate.text)
    assert open_checkpoint(content["ledger"]["checkpoint"], content["ledger"]["key"]).size > 0
    assert content["erased"][0]["counts"]["instances"] == 1
    assert content["erased"][0]["ledger_entry"]
    assert content["refused"] == [
        {"study": str(refused.target_id), "clause": "8.1", "until": "2032-05-06", "ground": refused.ground}
    ]
    assert content["copies_ended"] == [str(copied.id)]
    assert {each["clause"] for each in content["stays"]} == {"8.3", "8.4", "8.5"}
    assert "Person" not in certificate.text.decode()


async def test_what_was_erased_stays_erased(platform: Platform) -> None:
    study = study_of(42, 2010, seed=4242)
    files = phantom_ct(study, slices=1, size=16)
    await platform.store(files)
    subject = await platform.subject_of(study.uid())
    request = await platform.rooms.rights.open(platform.on(subject, "open_request"), Right.ERASE, subject.id)
    await platform.fulfil()
    assert (await platform.request(subject, request.id)).state is State.FULFILLED
    receiver = platform.rooms.archive.receiver(None)
    receiver.feed(files[0])
    place = Target("organisation", platform.first.id, platform.first.id)
    (outcome,) = await platform.rooms.archive.store(platform.permit("store", place, "care"), [receiver.finish()])
    assert isinstance(outcome.error, WasErased)
    # The person stays, with the list of who looked and the request.
    assert (await platform.rooms.people.subject(platform.first, subject.id)).id == subject.id
    assert await platform.events(subject, "archive:study:erased")


async def test_all_refused_is_a_refusal(platform: Platform) -> None:
    subject = await person(platform, 43, 2024)
    request = await platform.rooms.rights.open(platform.on(subject, "open_request"), Right.ERASE, subject.id)
    await platform.fulfil()
    assert (await platform.request(subject, request.id)).state is State.REFUSED
    assert len(await platform.studies(subject)) == 1


async def test_a_clause_that_forbids_is_the_ground(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = await person(platform, 44, 2010)
    request = await platform.rooms.rights.open(platform.on(subject, "open_request"), Right.ERASE, subject.id)
    require = platform.rooms.policy.require

    async def held(actor: Any, action: str, target: Target, purpose: str) -> Any:
        if action == "erase":
            raise PermitDenied(("8.2",))
        return await require(actor, action, target, purpose)

    monkeypatch.setattr(platform.rooms.policy, "require", held)
    await platform.fulfil()
    answered = await platform.request(subject, request.id)
    assert answered.state is State.REFUSED
    assert (answered.items[0].clause, answered.items[0].outcome) == ("8.2", Outcome.REFUSED)
    assert "court" in answered.items[0].ground
    assert len(await platform.studies(subject)) == 1


async def test_a_step_that_fails_is_shown_and_tried_again(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = await person(platform, 45, 2010, 2024)
    request = await platform.rooms.rights.open(platform.on(subject, "open_request"), Right.ERASE, subject.id)
    seen: list[set[Outcome]] = []
    erase_study = platform.rooms.archive.erase_study

    async def broken(*_: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(platform.rooms.archive, "erase_study", broken)
    engine = AtOnce()
    note = engine.sleep

    def sleep(seconds: float) -> None:
        note(seconds)
        monkeypatch.setattr(platform.rooms.archive, "erase_study", erase_study)

    engine.sleep = sleep  # type: ignore[method-assign]
    failing = workflows.Fulfilment.note_failure

    async def noted(self: Any, tenant: str, request_id: str) -> int:
        count = await failing(self, tenant, request_id)
        seen.append({item.outcome for item in (await platform.request(subject, request.id)).items})
        return count

    monkeypatch.setattr(workflows.Fulfilment, "note_failure", noted)
    await platform.fulfil(engine)
    assert engine.slept == [workflows.TRY_AGAIN_SECONDS]
    assert seen == [{Outcome.FAILED, Outcome.REFUSED}]
    answered = await platform.request(subject, request.id)
    assert answered.state is State.PARTLY_FULFILLED
    assert len(await platform.events(subject, "rights:request:closed")) == 1
    assert len(await platform.events(subject, "rights:request:decided")) == 1


async def test_nothing_is_called_done_that_can_still_be_read(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = await person(platform, 46, 2010)
    request = await platform.rooms.rights.open(platform.on(subject, "open_request"), Right.ERASE, subject.id)
    (study,) = await platform.studies(subject)
    held = platform.rooms.archive.studies_of_subject

    async def still(*_: Any) -> Any:
        return [study]

    engine = AtOnce()
    engine.most_sleeps = 0
    erase = platform.rooms.archive.erase_study

    async def erased(*arguments: Any) -> Any:
        result = await erase(*arguments)
        monkeypatch.setattr(platform.rooms.archive, "studies_of_subject", still)
        return result

    monkeypatch.setattr(platform.rooms.archive, "erase_study", erased)
    with pytest.raises(AssertionError, match="does not stop trying"):
        await platform.fulfil(engine)
    monkeypatch.setattr(platform.rooms.archive, "studies_of_subject", held)
    open_still = await platform.request(subject, request.id)
    assert open_still.is_open
    assert open_still.items[0].outcome is Outcome.FAILED
    assert open_still.certificate is None
    await platform.rooms.rights.taken(request.tenant, request.id, "fulfil")


async def test_a_copy_that_differs_is_made_again(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = await person(platform, 47, 2024)
    request = await platform.rooms.rights.open(platform.on(subject, "open_request"), Right.ACCESS, subject.id)
    read_back, tries = copy.CopyMaker.read_back, []

    async def first_differs(self: copy.CopyMaker, *arguments: bytes) -> int:
        tries.append(arguments)
        if len(tries) == 1:
            raise copy.CopyDiffers
        return await read_back(self, *arguments)

    monkeypatch.setattr(copy.CopyMaker, "read_back", first_differs)
    engine = await platform.fulfil()
    assert len(tries) == 2
    assert tries[0][0] != tries[1][0]
    assert engine.steps.count("make copy") == 2
    assert len(await platform.events(subject, "rights:copy:made")) == 1
    assert (await platform.request(subject, request.id)).state is State.READY


async def test_what_is_erased_while_it_is_copied_is_not_in_the_copy(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = await person(platform, 48, 2010, 2024)
    rights = platform.rooms.rights
    request = await rights.open(platform.on(subject, "open_request"), Right.ACCESS, subject.id)
    make = copy.CopyMaker.make
    old = (await platform.studies(subject))[1]

    async def erased_after(self: copy.CopyMaker) -> Any:
        made = await make(self)
        if old.id in {study.id for study in self.copied}:
            permit = platform.permit("erase", Target("study", old.id, old.tenant, subject.id))
            await platform.rooms.archive.erase_study(permit, old.id)
        return made

    monkeypatch.setattr(copy.CopyMaker, "make", erased_after)
    await platform.fulfil()
    answered = await platform.request(subject, request.id)
    assert {item.target_id: item.outcome for item in answered.items if item.kind == "study"} == {
        old.id: Outcome.REFUSED,
        (await platform.studies(subject))[0].id: Outcome.DONE_VERIFIED,
    }
    permit = platform.permit("copy", Target("request", request.id, subject.tenant, subject.id))
    _, _, chunks = await rights.copy_stream(permit, request.id)
    content = b"".join([chunk async for chunk in chunks])
    assert old.study_uid.encode() not in content.split(b"ACCESS.JSON")[0]


async def test_the_copy_ends_when_its_time_is_over(platform: Platform) -> None:
    subject = await person(platform, 49, 2024)
    request = await platform.rooms.rights.open(platform.on(subject, "open_request"), Right.ACCESS, subject.id)
    await platform.fulfil()
    assert (await platform.request(subject, request.id)).copy_bytes
    with clock.moved(timedelta(days=30, minutes=1)):
        await platform.fulfil()
    ended = await platform.request(subject, request.id)
    assert (ended.copy_bytes, ended.state) == (0, State.FULFILLED)
    assert len(await platform.events(subject, "rights:copy:erased")) == 1


async def test_a_mail_server_that_is_away_holds_up_no_answer(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = await person(platform, 50, 2024)
    patient = await platform.link(subject, "p50@patients.example", "X Person", date(1980, 3, 4))
    permit = await platform.patient_permit(patient, "open_request")
    request = await platform.rooms.rights.open(permit, Right.ACCESS, subject.id)
    send, before = platform.rooms.mail.send, len(await platform.mails())

    async def away(*_: Any, **__: Any) -> str:
        raise MailNotSent

    monkeypatch.setattr(platform.rooms.mail, "send", away)
    engine = AtOnce()
    note = engine.sleep

    def sleep(seconds: float) -> None:
        note(seconds)
        monkeypatch.setattr(platform.rooms.mail, "send", send)

    engine.sleep = sleep  # type: ignore[method-assign]
    await platform.fulfil(engine)
    answered = await platform.request(subject, request.id)
    assert answered.state is State.READY
    assert engine.slept == [workflows.TRY_AGAIN_SECONDS]
    assert len(await platform.mails()) == before + 1
    assert [step.name for step in answered.steps][-1] == "Answer mailed"


async def test_every_step_may_run_twice(platform: Platform) -> None:
    subject = await person(platform, 51, 2010, 2024)
    await platform.link(subject, "p51@patients.example", "Y Person", date(1980, 3, 4))
    rights = platform.rooms.rights

    class Twice(AtOnce):
        def step(self, name: str, work: Any, *arguments: Any) -> Any:
            super().step(name, work, *arguments)
            return super().step(name, work, *arguments)

    before = len(await platform.mails())
    copied = await rights.open(platform.on(subject, "open_request"), Right.ACCESS, subject.id)
    await platform.fulfil(Twice())
    erased = await rights.open(platform.on(subject, "open_request"), Right.ERASE, subject.id)
    engine = Twice()

    def decided_once(name: str, work: Any, *arguments: Any) -> Any:
        # The second answer of `decide` is what counts after a kill; it names the same items.
        result = AtOnce.step(engine, name, work, *arguments)
        again = AtOnce.step(engine, name, work, *arguments)
        assert name != "decide" or again == result
        return again

    engine.step = decided_once  # type: ignore[method-assign]
    await platform.fulfil(engine)
    for kind, count in {
        "rights:request:acknowledged": 2, "rights:request:decided": 1, "rights:copy:made": 1, "rights:copy:erased": 1,
        "rights:request:closed": 2, "archive:study:erased": 1,
    }.items():  # fmt: skip
        assert len(await platform.events(subject, kind)) == count, kind
    assert (await platform.request(subject, copied.id)).state is State.FULFILLED
    assert (await platform.request(subject, erased.id)).state is State.PARTLY_FULFILLED
    assert len(await platform.mails()) == before + 4
