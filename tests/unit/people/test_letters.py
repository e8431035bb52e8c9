"""Mail to the accounts of a subject: a link, and nothing that is anybody else's business."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.common.platform import open_platform
from tests.common.servers import ServedDatabase
from troth.dicom.specimens import Study, phantom_ct
from troth.people import SubjectNotFound


async def test_only_linked_accounts_are_written_to(database: ServedDatabase, tmp_path: Path) -> None:
    platform = await open_platform(database, tmp_path)
    people = platform.rooms.people
    subjects = []
    for number in (1, 2):
        study = Study(
            f"L-{number}", f"Letter^{number}", date(1980, 1, number), "F", date(2024, 1, 1), "", "", seed=number
        )
        await platform.store(phantom_ct(study, slices=1, size=16))
        subjects.append(await platform.subject_of(study.uid()))
    linked, other = subjects
    permit = platform.on(linked, "see_request")
    assert await people.accounts_of_subject(permit, linked.id) == []
    assert await people.write_to_subject(permit, linked.id, "It is there", "Read it here:", "/requests/x") == 0
    await platform.link(linked, "one@patients.example", "Letter 1", date(1980, 1, 1))
    (account,) = await people.accounts_of_subject(permit, linked.id)
    assert account.email == "one@patients.example"
    before = len(await platform.mails())
    assert await people.write_to_subject(permit, linked.id, "It is there", "Read it here:", "/requests/x") == 1
    (mail,) = (await platform.mails())[before:]
    assert "To: one@patients.example" in mail
    assert f"{platform.rooms.settings.http_url}/requests/x" in mail
    assert "Letter" not in mail
    for call in (people.accounts_of_subject(permit, other.id), people.write_to_subject(permit, other.id, "", "", "/")):
        with pytest.raises(SubjectNotFound):
            await call
    await platform.rooms.close()
