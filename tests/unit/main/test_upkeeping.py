"""A round of the worker's upkeep: every step is taken, whatever another one meets."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from tests.common.deployment import Deployment, OpenDeployment
from troth.kit import clock
from troth.kit.errors import TrothError
from troth.kit.mail import MailMalformed, MailNotSent
from troth.main.upkeeping import Upkeeping
from troth.policy import Permit


class Broken(TrothError):
    """Something that a step met."""

    slug = "broken-on-purpose"


@pytest.fixture
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


def at_noon(days: int) -> timedelta:
    now = clock.now()
    return (now + timedelta(days=days)).replace(hour=12, minute=30) - now


async def test_what_is_over_is_swept_by_a_round(place: Deployment) -> None:
    doctor = await place.staff("clinician")
    with clock.moved(timedelta(days=3)):
        await Upkeeping(place.rooms).once()
    async with place.rooms.database.transaction(place.first) as connection:
        cursor = await connection.execute("select from session where id = %s", (doctor.actor.session_id,))
        assert await cursor.fetchone() is None
        cursor = await connection.execute(
            "select last_here_at from membership where account_id = %s", (doctor.actor.id,)
        )
        row = await cursor.fetchone()
    assert row is not None
    assert row["last_here_at"] is not None


@pytest.mark.parametrize("fault", [MailNotSent, MailMalformed])
async def test_one_address_that_takes_no_mail_keeps_nothing_from_the_others(
    place: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: type[TrothError]
) -> None:
    first, second = await place.staff("office"), await place.staff("office")
    await (await place.patient(await place.study())).post(
        "/requests", {"right": "access"}, page="/requests/new?right=access"
    )
    await place.sequencer.drain()
    sent: list[tuple[str, str]] = []

    async def send(to: str, subject: str, text: str) -> None:
        if to == first.email:
            raise fault
        sent.append((to, subject))

    monkeypatch.setattr(place.rooms.mail, "send", send)
    with clock.moved(at_noon(1)), caplog.at_level(logging.WARNING, "troth.main.upkeeping"):
        await Upkeeping(place.rooms).once()
    assert {subject for to, subject in sent if to == second.email} == {
        "The ledger as it stands today", "Something is waiting for the privacy office",
    }  # fmt: skip
    told = [each.getMessage() for each in caplog.records if each.name == "troth.main.upkeeping"]
    assert told == [f"upkeep: {step} did not succeed: {fault.slug}" for step in ("the checkpoint", "reminders")]


async def test_what_one_step_meets_ends_no_other(
    place: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    people, archive, taken = place.rooms.people, place.rooms.archive, []

    def failing(step: str) -> Any:
        async def fails(*given: Any, **more: Any) -> None:
            del more
            taken.append((step, given[0].tenant if given and isinstance(given[0], Permit) else None))
            raise Broken

        return fails

    for room, name in (
        (archive, "resume_erasures"), (archive.releasing, "release"), (archive.quarantine, "expire"),
        (people, "resume_closures"), (people, "sweep"), (archive.upkeep, "sweep"),
    ):  # fmt: skip
        monkeypatch.setattr(room, name, failing(f"{type(room).__name__}.{name}"))
    await place.staff("office")
    await place.sequencer.drain()
    before = len(place.mails())
    with clock.moved(at_noon(1)), caplog.at_level(logging.WARNING, "troth.main.upkeeping"):
        await Upkeeping(place.rooms).once()
    houses = await people.organisations()
    assert len(houses) > 1
    assert len(taken) == 3 * len(houses) + 3
    assert {tenant for step, tenant in taken if step.endswith("expire")} == {each.id for each in houses}
    assert len(place.mails()) > before, "the checkpoint went out all the same"
    assert caplog.text.count("broken-on-purpose") == len(taken)
