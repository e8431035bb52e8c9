"""The log has a name of its own, a new one after each restore, and what was signed before stays its beginning."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from tests.unit.ledger.conftest import Deployment, Scope
from troth.ledger import ORIGIN, Clear, Head, HeadFile, Sequencer, note
from troth.ledger.generation import KIND, named, next_number


async def opened(deployment: Deployment, name: str, before: str, size: int = 0, *, is_restored: bool = False) -> UUID:
    entry = deployment.entry(
        kind=KIND,
        tenant=None,
        clear=Clear(says={"origin": name, "before": before, "root": "none"}),
        counts={"size": size, "restored": int(is_restored)},
    )
    async with deployment.database.transaction(Scope(None)) as connection:
        return await deployment.ledger.append(connection, entry)


def notes(deployment: Deployment) -> list[str]:
    return [row["note"] for row in deployment.tamper("select note from ledger_checkpoint order by size")]


def test_names() -> None:
    assert named("scans.example", "deployment-1", 3) == "scans.example/ledger/3"
    assert named("", "deployment-1", 1) == "deployment-1/ledger/1"
    assert next_number(ORIGIN) == 1
    assert next_number("scans.example/ledger/9") == 10


async def test_checkpoints_that_cover_the_entry_carry_the_new_name(deployment: Deployment, tmp_path: Path) -> None:
    await deployment.append_one()
    await deployment.sequencer.drain()
    await opened(deployment, "scans.example/ledger/1", ORIGIN, 1)
    event_id = await deployment.append_one()
    await deployment.sequencer.drain()
    assert [note.parse(each).origin for each in notes(deployment)] == [ORIGIN, "scans.example/ledger/1"]
    assert (await deployment.verify(*notes(deployment))).is_sound
    async with deployment.database.transaction(deployment.entry()) as connection:
        proof = await deployment.ledger.prove(connection, event_id)
    assert proof.checkpoint.origin == "scans.example/ledger/1"
    assert deployment.ledger.verifier_key.startswith("scans.example/ledger/1+")
    # Another sequencer goes on under the name that was signed last.
    await deployment.sequencer.close()
    again = Sequencer(deployment.database.dsn("troth_sequencer"), deployment.keyring, head=HeadFile(tmp_path))
    deployment.extra.append(again)
    HeadFile(tmp_path).write(_head(deployment))
    await deployment.append_one()
    await again.drain()
    assert note.parse(notes(deployment)[-1]).origin == "scans.example/ledger/1"
    assert (await deployment.verify()).is_sound


def _head(deployment: Deployment) -> Head:
    [row] = deployment.tamper("select size, root from ledger_checkpoint order by size desc limit 1")
    return Head(row["size"], bytes(row["root"]))


async def test_a_checkpoint_under_another_name_is_named(deployment: Deployment) -> None:
    await deployment.append_one()
    await deployment.sequencer.drain()
    [row] = deployment.tamper("select size, root from ledger_checkpoint")
    forged = note.sign("elsewhere.example/ledger/1", row["size"], bytes(row["root"]), deployment.keyring)
    deployment.tamper("update ledger_checkpoint set note = %s", [forged.note])
    whats = [broken.what for broken in (await deployment.verify()).broken]
    assert whats == ["checkpoint 1: signed under another name"]
    assert "was never called elsewhere.example" in (await deployment.verify(forged.note)).broken[0].what


async def test_what_a_restore_lost_is_broken_and_explained(deployment: Deployment) -> None:
    first = "scans.example/ledger/1"
    await opened(deployment, first, ORIGIN)
    for _ in range(3):
        await deployment.append_one()
        await deployment.sequencer.drain()
    short, long = notes(deployment)[1], notes(deployment)[2]
    # The database of two entries before comes back.
    await deployment.sequencer.close()
    gone = "select entry_id from ledger_leaf where index >= 3"
    deployment.tamper(f"delete from ledger_entry where id in ({gone})")
    deployment.tamper("delete from ledger_leaf where index >= 3")
    deployment.tamper("delete from ledger_checkpoint where size > 3")
    deployment.tamper("update ledger_tile set width = 3, bytes = substr(bytes, 1, 96)")
    await opened(deployment, "scans.example/ledger/2", first, 3, is_restored=True)
    await deployment.append_one()
    await deployment.append_one()
    await deployment.sequencer.drain()
    verdict = await deployment.verify(short)
    assert verdict.is_sound, verdict.broken
    assert verdict.size == 6
    [broken] = (await deployment.verify(long)).broken
    assert broken.what == "entries 3 to 3 were lost when the platform was restored: entry 3 says so"
