"""The restore drill on a real node: store, back up, store more, erase, lose the folder, restore.

Whole is what was acknowledged before the backup; gone is what was erased, before or after it.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.common.node import ORGANISATION, Access, NodeProcess, a_node, command
from tests.common.servers import open_folder
from tests.crash.examine import Findings, compare, in_clear
from tests.crash.ingest import CANARY, Book, Specimen, multipart, specimens
from troth.archive import Erasure
from troth.kit import clock, ids
from troth.kit.postgres import EmbeddedServer
from troth.main.backup import Erasures
from troth.main.first_start import permit_for
from troth.main.node import RESTORING, server_for
from troth.policy import Actor, Permit, Target
from troth.vault import journal

RECOVERY = "a-recovery-key-of-many-characters\n"


@dataclass
class Drill:
    """A deployment that was lost and restored."""

    place: Path
    lost: NodeProcess
    restored: NodeProcess
    book: Book
    erased_before: list[Specimen]
    erased_after: list[Specimen]
    erased_unsaved: list[Specimen]
    unsaved: list[Specimen]
    said: str
    checkpoint: str
    old_access: Access


def send(node: NodeProcess, access: Access, sent: list[Specimen], book: Book | None = None) -> httpx.Response:
    answer = httpx.post(
        f"{node.url}/dicomweb/studies",
        content=multipart([one.file for one in sent]),
        headers={
            "Authorization": f"Bearer {access.storing}",
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=kill',
            "Accept": "application/dicom+json",
        },
        timeout=60,
    )
    if book is not None:
        assert answer.status_code == 200, answer.text
        book.acknowledged(sent)
    return answer


def in_conflict(one: Specimen, number: int) -> Specimen:
    """The same instance, of a patient with another number."""
    return replace(one, file=one.file.replace(f"KILL-{number}".encode(), f"KILX-{number}".encode()))


async def erase(
    node: NodeProcess, access: Access, study_uid: str, begins: Callable[[], object] = lambda: None
) -> list[Erasure]:
    """Erase the patient of a study, as the worker does it for a request."""
    async with node.rooms() as rooms:
        target = await rooms.archive.target(Actor("system", tenant=access.tenant), study_uid)
        worker = Actor("system", ids.uuid7(), access.tenant, "worker")
        about = Target("subject", target.subject_id, access.tenant, target.subject_id)
        now = clock.now()
        permit = Permit(
            worker, "erase", about, "rights", ("9.2",), "", "test", ids.uuid7(), now, now + timedelta(minutes=5)
        )
        assert target.subject_id is not None
        begins()
        return await rooms.archive.erase_subject(permit, target.subject_id)


@pytest.fixture(scope="module")
async def drill() -> AsyncIterator[Drill]:
    place = open_folder("troth-drill-")
    folder, keys, secret = place / "backups", place / "keys", place / "recovery"
    secret.write_text(RECOVERY)
    try:
        with a_node("troth-lost-") as node:
            access = await node.grant_access()
            book = Book()
            for number in range(3):
                send(node, access, specimens(number), book)
            for number in (0, 1):  # kept apart: they say that they are of somebody else
                answer = send(node, access, [in_conflict(one, number) for one in specimens(number)])
                assert (answer.status_code, "kept apart" in answer.headers["warning"]) == (409, True)
            erased_before = specimens(10)
            send(node, access, erased_before, book)
            await erase(node, access, erased_before[0].study_uid)
            for _ in range(2):  # the second copies only what has changed
                made = command(
                    node.folder, "backup", str(folder), "--keyring-to", str(keys), "--recovery-key", str(secret)
                )
                assert made.returncode == 0, made.stderr
            erased_after, erased_unsaved, unsaved = specimens(0), specimens(11), specimens(12)
            send(node, access, erased_unsaved)
            send(node, access, unsaved)
            for gone in (erased_after, erased_unsaved):
                await erase(node, access, gone[0].study_uid)
            await followed(node, folder)
            checkpoint = Erasures.read(folder, await node.public_key()).checkpoint
            node.stop()
            shutil.rmtree(node.folder)  # the machine is lost
            again = NodeProcess(place / "again")
            done = command(
                again.folder, "restore", str(folder), "--keyring-from", str(keys), "--recovery-key", str(secret)
            )
            assert done.returncode == 0, done.stdout + done.stderr
            again.start()
            try:
                for one in (*erased_before, *erased_after):
                    book.acked.pop(one.instance_uid, None)
                yield Drill(
                    place, node, again, book, erased_before, erased_after, erased_unsaved, unsaved, done.stdout,
                    checkpoint, access,
                )  # fmt: skip
            finally:
                again.stop()
                server = server_for(again.settings)
                assert isinstance(server, EmbeddedServer)
                shutil.rmtree(server.socket_folder, ignore_errors=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def followed(node: NodeProcess, folder: Path) -> None:
    """Wait until the worker has told the backup what was erased."""
    source, key = node.folder / "keys" / journal.NAME, await node.public_key()
    give_up_at = time.monotonic() + 60
    while len(Erasures.read(folder, key).destroyed) < source.stat().st_size:
        assert time.monotonic() < give_up_at, f"the backup was not told what was erased: {node.said}"
        await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
async def access(drill: Drill) -> Access:
    """Everybody signs in anew: tokens of before are over."""
    async with drill.restored.rooms() as rooms:
        house = await rooms.people.organisation_named(ORGANISATION)
        permit = await permit_for(rooms, "administer", Target("organisation", house.id, house.id))
        hour = timedelta(hours=1)
        reading = await rooms.people.issue_token(permit, house.id, "peer", "care", hour)
        storing = await rooms.people.issue_token(permit, house.id, "peer", "care", hour)
    return Access(house.id, reading, storing)


async def test_what_was_acknowledged_before_the_backup_is_whole(drill: Drill, access: Access) -> None:
    findings = Findings()
    await compare(drill.restored, access, drill.book, findings)
    assert len(drill.book.acked) == 2 * 6
    assert (findings.lost, findings.altered) == (set(), set())
    assert "instances       12" in drill.said


async def test_what_was_erased_stays_erased_and_is_not_taken_back(drill: Drill, access: Access) -> None:
    headers = {"Authorization": f"Bearer {access.reading}", "Accept": "application/dicom+json"}
    for gone in (drill.erased_before, drill.erased_after, drill.erased_unsaved):
        found = httpx.get(
            f"{drill.restored.url}/dicomweb/studies/{gone[0].study_uid}/metadata", headers=headers, timeout=60
        )
        assert found.status_code == 404
        refused = send(drill.restored, access, gone)
        assert refused.status_code == 409, "a tombstone made after the backup must be there too"
    taken = send(drill.restored, access, drill.unsaved)
    assert taken.status_code == 200, "what was never erased is taken again"


async def test_what_was_kept_apart_is_restored_unless_it_was_erased(drill: Drill, access: Access) -> None:
    async with drill.restored.rooms() as rooms:
        clinician = Actor("user", ids.uuid7(), access.tenant, "clinician", session_id=ids.uuid7())
        house, now = Target("organisation", access.tenant, access.tenant), clock.now()
        permit = Permit(
            clinician, "resolve", house, "care", ("4.2",), "", "test", ids.uuid7(), now, now + timedelta(minutes=5)
        )
        [group] = await rooms.archive.quarantine.groups(permit)
        stays = specimens(1)
        assert (group.study_uid, group.instances) == (stays[0].study_uid, len(stays))
        comparison = await rooms.archive.quarantine.compare(permit, group.newest_id, None)
        assert comparison.kept.values[0x00100020] == "KILX-1"
        assert (await rooms.archive.quarantine.keep_as_new(permit, group.newest_id, is_whole_group=True)).done == len(
            stays
        )


async def test_the_ledger_verifies_and_says_what_is_not_in_it(drill: Drill, access: Access) -> None:
    async with drill.restored.rooms() as rooms:
        verdict = await rooms.ledger.verify(rooms.dsn_sequencer)
        assert verdict.broken == ()
        async with rooms.database.transaction(None) as connection:
            [event] = await rooms.ledger.latest(connection, kinds=["main:backup:restored"], limit=5)
    assert event.counts["studies_erased_again"] == 1
    assert event.counts["entries_lost"] > 0
    lost = int(drill.checkpoint.splitlines()[1]) - event.counts["entries_lost"]
    assert f"entries lost    {event.counts['entries_lost']}" in drill.said
    assert lost > 0


async def test_nothing_personal_lies_in_a_backup_and_keys_lie_apart(drill: Drill, access: Access) -> None:
    assert in_clear(drill.place, CANARY.encode()) == []
    root = (drill.restored.folder / "keys" / "root.key").read_bytes()
    assert in_clear(drill.place / "backups", root) == []
    assert in_clear(drill.place / "keys", root) == []


def test_old_tokens_do_not_come_back(drill: Drill, access: Access) -> None:
    headers = {"Accept": "application/dicom+json"}
    old, new = (
        httpx.get(f"{drill.restored.url}/dicomweb/studies", headers={**headers, "Authorization": f"Bearer {token}"})
        for token in (drill.old_access.reading, access.reading)
    )
    assert (old.status_code, new.status_code) == (401, 200)


def test_a_restore_writes_nothing_over(drill: Drill, access: Access) -> None:
    place = drill.place
    arguments = ["restore", str(place / "backups"), "--keyring-from", str(place / "keys"), "--recovery-key"]
    again = command(drill.restored.folder, *arguments, str(place / "recovery"))
    assert again.returncode == 1
    assert "not empty" in again.stderr
    (place / "wrong").write_text("another-recovery-key-of-many-characters")
    other = command(place / "third", *arguments, str(place / "wrong"))
    assert other.returncode == 1
    assert "does not open" in other.stderr
    assert not any((place / "third").iterdir())  # the right key may be tried in the same place


def test_a_backup_that_was_changed_is_refused(drill: Drill, access: Access) -> None:
    place = drill.place
    pack = max((place / "backups" / "packs").glob("*.pack"), key=lambda path: path.stat().st_blocks)
    with pack.open("r+b") as file:
        file.seek(4000)
        byte = file.read(1)[0]
        file.seek(4000)
        file.write(bytes([byte ^ 1]))
    done = command(
        place / "fourth", "restore", str(place / "backups"), "--keyring-from", str(place / "keys"),
        "--recovery-key", str(place / "recovery"),
    )  # fmt: skip
    assert done.returncode == 1
    assert "is not what was copied" in done.stderr
    assert not any((place / "fourth").iterdir())  # another copy of the backup may be tried in the same place


def test_no_node_starts_where_a_restore_did_not_come_to_its_end(drill: Drill) -> None:
    (drill.place / "fifth").mkdir()
    (drill.place / "fifth" / RESTORING).touch()
    started = command(drill.place / "fifth", "serve", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0")
    assert started.returncode == 1
    assert "did not come to its end" in started.stderr
