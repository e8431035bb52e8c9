"""The privacy office is told by mail that something waits: once a day, how many, nobody's name, and not who said no."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_bytes
from typing import Any
from uuid import UUID

import pytest

from tests.common.deployment import Deployment, OpenDeployment
from troth.kit import clock
from troth.kit.mail import MailNotSent
from troth.main.reminders import FROM_HOUR, Reminders
from troth.policy import Permit
from troth.vault import KeyDestroyed


@pytest.fixture
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


def until(hour: int, days: int = 1) -> timedelta:
    """From now to an hour of a day to come; nobody's clocks are far from UTC under this notice."""
    now = clock.now()
    return (now + timedelta(days=days)).replace(hour=hour, minute=30) - now


def last_to(place: Deployment) -> str:
    """Whom the last mail went to."""
    newest = sorted((place.rooms.settings.data_dir / "outbox").glob("*.eml"))[-1]
    return str(message_from_bytes(newest.read_bytes())["To"])


async def test_who_has_something_waiting_is_told_once_a_day_and_nobody_is_named(place: Deployment) -> None:
    officer = await place.staff("office")
    await place.staff("office", place.second)
    held = await place.study()
    patient = await place.patient(held)
    with clock.moved(until(12)):
        before = len(place.mails())
        assert await Reminders(place.rooms).once() == 0, "nothing waits"
        assert len(place.mails()) == before
    asked = await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    assert asked.status_code == 303, asked.text
    with clock.moved(until(FROM_HOUR - 3)):
        assert await Reminders(place.rooms).once() == 0, "it is not read at night"
    with clock.moved(until(12)):
        assert await Reminders(place.rooms).once() == 1, "the other organisation has nothing waiting"
        mail = place.mails()[-1]
        assert officer.user is not None
        assert last_to(place) == officer.user.email
        assert "1 item is waiting" in mail
        assert "Requests: 1" in mail
        assert re.search(r"http\S+/office\b", mail)
        for said in (*held.made.name.split("^"), held.made.patient_id, "R-1"):
            assert said not in mail
        assert await Reminders(place.rooms).once() == 0, "not twice on a day"
    with clock.moved(until(12, days=2)):
        assert await Reminders(place.rooms).once() == 1, "it still waits"
    await place.fulfil()
    with clock.moved(until(12, days=3)):
        assert await Reminders(place.rooms).once() == 0, "nothing waits any more"


async def test_who_turned_it_off_is_not_told_until_they_turn_it_on(place: Deployment) -> None:
    first, second = await place.staff("office"), await place.staff("office")
    patient = await place.patient(await place.study())
    await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    assert (await first.post("/office/reminder", {"act": "off"}, page="/office")).status_code == 303
    assert "Mail me once a day" in (await first.web.get("/office")).text
    assert "Turn this mail off" in (await second.web.get("/office")).text
    with clock.moved(until(12)):
        assert await Reminders(place.rooms).once() == 1
        assert second.user is not None
        assert last_to(place) == second.user.email
    assert (await first.post("/office/reminder", {"act": "on"}, page="/office")).status_code == 303
    with clock.moved(until(13)):
        assert await Reminders(place.rooms).once() == 1, "the one who turned it on again"
    assert (await patient.post("/office/reminder", {"act": "off"}, page="/scans")).status_code == 404


async def test_a_mail_that_is_not_taken_is_tried_again_and_keeps_no_other_back(
    place: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await place.staff("office"), await place.staff("office")
    patient = await place.patient(await place.study())
    await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    assert first.user is not None
    assert second.user is not None
    send, refused = place.rooms.mail.send, first.user.email

    async def once(to: str, subject: str, text: str) -> str:
        if to == refused:
            raise MailNotSent
        return await send(to, subject, text)

    with clock.moved(until(12)):
        monkeypatch.setattr(place.rooms.mail, "send", once)
        with pytest.raises(MailNotSent):
            await Reminders(place.rooms).once()
        assert last_to(place) == second.user.email
        monkeypatch.setattr(place.rooms.mail, "send", send)
        assert await Reminders(place.rooms).once() == 1, "only the one who had none"
        assert last_to(place) == refused


async def test_an_organisation_that_cannot_be_looked_at_keeps_the_mail_of_no_other(
    place: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.staff("office")
    patient = await place.patient(await place.study())
    await patient.post("/requests", {"right": "access"}, page="/requests/new?right=access")
    people, to_remind = place.rooms.people, place.rooms.people.to_remind
    for broken in (place.first, place.second):

        async def looked(permit: Permit, *told: Any, house: UUID = broken.id) -> Any:
            if permit.tenant == house:
                raise KeyDestroyed
            return await to_remind(permit, *told)

        before = len(place.mails())
        monkeypatch.setattr(people, "to_remind", looked)
        with clock.moved(until(12)), pytest.raises(KeyDestroyed):
            await Reminders(place.rooms).once()
        assert len(place.mails()) - before == (broken is place.second)
