"""The signed checkpoint leaves the house: to a file, and by mail once a day."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.common.deployment import OpenDeployment
from troth.kit import clock
from troth.kit.mail import Mail, MailMalformed, MailNotSent
from troth.ledger import open_checkpoint
from troth.main.checkpoints import Checkpoints
from troth.main.ledger_command import notes_in


@dataclass
class Postman:
    """Who was written to, and to whom mail is refused."""

    refused: str = ""
    fault: type[Exception] = MailNotSent
    whom: list[str] = field(default_factory=list)


@pytest.fixture
def postman(monkeypatch: pytest.MonkeyPatch) -> Postman:
    """Mails go where they went, but to one address."""
    made, send = Postman(), Mail.send

    async def picky(mail: Mail, to: str, *given: Any, **more: Any) -> Any:
        if to == made.refused:
            raise made.fault
        made.whom.append(to)
        return await send(mail, to, *given, **more)

    monkeypatch.setattr(Mail, "send", picky)
    return made


@pytest.mark.asvs("V16.4.3")
async def test_it_is_added_to_a_file_and_mailed_once_a_day(open_deployment: OpenDeployment, tmp_path: Path) -> None:
    place = await open_deployment("imaging-cloud")
    await place.sequencer.drain()
    file, outbox = tmp_path / "kept", place.rooms.settings.data_dir / "outbox"
    rooms = replace(place.rooms, settings=replace(place.rooms.settings, checkpoint_file=str(file)))
    before = len(list(outbox.glob("*")))
    sent = await Checkpoints(rooms).once()
    assert sent >= 1
    assert len(list(outbox.glob("*"))) - before == sent
    assert await Checkpoints(rooms).once() == 0, "not twice on a day"
    await place.study()
    await place.sequencer.drain()
    assert await Checkpoints(rooms).once() == 0, "nor where something happened since"
    first, second = (open_checkpoint(note, rooms.ledger.verifier_key) for note in notes_in(file))
    assert first.size < second.size
    assert (await rooms.ledger.verify(rooms.dsn_sequencer, known=notes_in(file))).is_sound
    with clock.moved(timedelta(days=1)):
        assert await Checkpoints(rooms).once() == sent
    with clock.moved(timedelta(days=2)):
        assert await Checkpoints(rooms).once() == 0, "nothing happened since"


async def test_each_privacy_office_has_it_once_a_day_though_one_could_not_be_written_to(
    open_deployment: OpenDeployment, postman: Postman
) -> None:
    place = await open_deployment("imaging-cloud")
    first, second = await place.staff("office"), await place.staff("office", place.second)
    doctor = await place.staff("clinician")
    await place.sequencer.drain()
    postman.refused = second.email
    with pytest.raises(MailNotSent):
        await Checkpoints(place.rooms).once()
    assert first.email in postman.whom
    assert doctor.email not in postman.whom
    before = len(postman.whom)
    postman.refused = ""
    assert await Checkpoints(place.rooms).once() == 1
    assert postman.whom[before:] == [second.email], "the others have theirs"
    assert await Checkpoints(place.rooms).once() == 0
    said = (place.rooms.settings.data_dir / "checkpoint.mailed").read_text()
    assert "@" not in said


async def test_who_was_not_reached_yesterday_is_reached_today_though_nothing_happened_since(
    open_deployment: OpenDeployment, postman: Postman
) -> None:
    place = await open_deployment("imaging-cloud")
    first, second = await place.staff("office"), await place.staff("office", place.second)
    await place.sequencer.drain()
    postman.refused, postman.fault = second.email, MailMalformed
    with pytest.raises(MailMalformed):
        await Checkpoints(place.rooms).once()
    assert (first.email in postman.whom, second.email in postman.whom) == (True, False)
    before, postman.refused = len(postman.whom), ""
    with clock.moved(timedelta(days=1)):
        assert await Checkpoints(place.rooms).once() == 1
        assert postman.whom[before:] == [second.email], "the others have this one"
        assert await Checkpoints(place.rooms).once() == 0
    with clock.moved(timedelta(days=2)):
        assert await Checkpoints(place.rooms).once() == 0, "nothing happened since"


async def test_who_had_an_older_one_than_another_has_the_newest_the_next_day(
    open_deployment: OpenDeployment, postman: Postman
) -> None:
    place = await open_deployment("imaging-cloud")
    first, second = await place.staff("office"), await place.staff("office", place.second)
    await place.sequencer.drain()
    postman.refused = second.email
    with pytest.raises(MailNotSent):
        await Checkpoints(place.rooms).once()
    await place.study()
    await place.sequencer.drain()
    postman.refused = ""
    assert await Checkpoints(place.rooms).once() == 1
    postman.whom.clear()
    with clock.moved(timedelta(days=1)):
        await Checkpoints(place.rooms).once()
    assert {first.email, second.email} <= set(postman.whom)
