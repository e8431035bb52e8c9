"""Entries must be ours, and the ledger as large as it was: what somebody with the database alone can do to it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.unit.ledger.conftest import Deployment
from troth.ledger import Head, HeadFile, RowsAltered, Sequencer, TreeBroken

COLUMNS = (
    "tenant, {id}, at, kind, actor_id, actor_kind, role, subject_id, study_id, purpose, clauses, decision_id, outcome,"
    " counts, key, payload, {v}, notice, action, via, session, more, payload_commit, {mac}"
)
NAMES = COLUMNS.format(id="id", v="v", mac="mac")


@pytest.fixture
def head(tmp_path: Path) -> HeadFile:
    return HeadFile(tmp_path)


@pytest.fixture
def remembering(deployment: Deployment, head: HeadFile) -> Sequencer:
    made = Sequencer(deployment.database.dsn("troth_sequencer"), deployment.keyring, head=head, poll_seconds=0.01)
    deployment.extra.append(made)
    return made


async def forge(deployment: Deployment, like: UUID, v: str, mac: str, more: str = "more") -> UUID:
    """Copy a row by SQL, as somebody with all power over the database would."""
    made = uuid4()
    values = COLUMNS.format(id="%s::uuid", v=v, mac=mac).replace(" more,", f" {more},")
    deployment.tamper(
        f"insert into ledger_entry ({NAMES}) select {values} from ledger_entry where id = %s",
        [made, like],
    )
    return made


@pytest.mark.parametrize(
    ("v", "mac", "more"),
    [
        ("2", "null", "more"),
        ("2", "sha256('guessed')", "more"),
        ("2", "mac", "more"),
        ("1", "null", "more"),
        ("2", "mac", """'{"binds": [["legal_hold", "1", 2, null]]}'::jsonb"""),
    ],
    ids=["no code", "a guessed one", "that of another entry", "as if it were old", "a row that is unbound"],
)
async def test_what_the_platform_did_not_write_is_not_signed(
    deployment: Deployment, v: str, mac: str, more: str
) -> None:
    true = await deployment.append_one()
    false = await forge(deployment, true, v, mac, more)
    later = await deployment.append_one()
    await deployment.sequencer.drain()
    held = {row["entry_id"] for row in deployment.tamper("select entry_id from ledger_leaf")}
    assert held == {true, later}
    verdict = await deployment.verify()
    assert [(broken.event_id, broken.what) for broken in verdict.broken] == [
        (false, "inserted: the entry is in no leaf")
    ]
    assert verdict.size == 2


async def test_a_row_that_fits_its_leaf_but_not_its_code_is_named(deployment: Deployment) -> None:
    event_id = await deployment.append_one()
    await deployment.sequencer.drain()
    deployment.tamper("update ledger_entry set mac = sha256('guessed')")
    [broken] = (await deployment.verify()).broken
    assert (broken.event_id, broken.what) == (event_id, "not written by the platform: its code is another one")


def cut(deployment: Deployment, size: int) -> None:
    """Cut the newest entries off with all that was signed over them, so that what is left fits."""
    deployment.tamper(
        "delete from ledger_entry where id in (select entry_id from ledger_leaf where index >= %s)", [size]
    )
    deployment.tamper("delete from ledger_leaf where index >= %s", [size])
    deployment.tamper("delete from ledger_checkpoint where size > %s", [size])
    deployment.tamper("update ledger_tile set width = %s, bytes = substr(bytes, 1, %s)", [size, 32 * size])


async def test_a_tail_that_was_cut_with_all_its_signatures_is_found(
    deployment: Deployment, head: HeadFile, remembering: Sequencer
) -> None:
    for _ in range(3):
        await deployment.append_one()
        await remembering.drain()
    remembered = head.read()
    assert remembered is not None
    assert (remembered.size, remembered.coded_from) == (3, 0)
    whole = await deployment.verify()
    assert (whole.size, remembered.root) == (3, whole.root)

    cut(deployment, 2)
    await remembering.close()
    assert (await deployment.verify()).is_sound, "without the file nothing is noticed"
    deployment.ledger._head = head
    [broken] = (await deployment.verify()).broken
    assert broken.what == "cut: 3 entries were signed, 2 are there (ledger.head)"
    await deployment.append_one()
    with pytest.raises(TreeBroken, match="cut"):
        await remembering.drain()
    assert deployment.tamper("select count(*) as leaves from ledger_leaf") == [{"leaves": 2}], "it does not go on"


async def test_another_tree_of_the_same_size_is_found(
    deployment: Deployment, head: HeadFile, remembering: Sequencer
) -> None:
    await deployment.append_one()
    await remembering.drain()
    await remembering.close()
    signed = head.read()
    assert signed is not None
    head.write(Head(1, b"\1" * 32, signed.fence, 0, signed.note))
    deployment.ledger._head = head
    [broken] = (await deployment.verify()).broken
    assert "the root in ledger.head is another one" in broken.what
    await deployment.append_one()
    with pytest.raises(TreeBroken):
        await remembering.drain()


async def test_a_database_of_yesterday_is_found_by_its_fence(
    deployment: Deployment, head: HeadFile, remembering: Sequencer
) -> None:
    await deployment.append_one()
    await remembering.drain()
    await remembering.close()
    deployment.tamper("update ledger_fence set number = 0")
    await deployment.append_one()
    with pytest.raises(TreeBroken):
        await remembering.drain()


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"size": 1}'])
async def test_without_the_file_the_ledger_does_not_go_on(
    deployment: Deployment, head: HeadFile, remembering: Sequencer, content: str | None
) -> None:
    await deployment.append_one()
    await remembering.drain()
    await remembering.close()
    if content is None:
        head.path.unlink()
    else:
        head.path.write_text(content)
    await deployment.append_one()
    with pytest.raises(TreeBroken, match=r"ledger\.head"):
        await remembering.drain()


async def test_what_an_earlier_program_wrote_stays_and_is_marked(
    deployment: Deployment, head: HeadFile, remembering: Sequencer
) -> None:
    first = await deployment.append_one()
    deployment.tamper("update ledger_entry set v = 1, mac = null, payload_commit = null where id = %s", [first])
    new = await deployment.append_one()
    await remembering.drain()
    signed = head.read()
    assert signed is not None
    assert (signed.size, signed.coded_from) == (2, 1)
    deployment.ledger._head = head
    assert (await deployment.verify()).is_sound
    late = await forge(deployment, first, "1", "null")
    await remembering.drain()
    [broken] = (await deployment.verify()).broken
    assert broken.event_id == late
    deployment.tamper("update ledger_entry set mac = null where id = %s", [new])
    assert {each.event_id for each in (await deployment.verify()).broken} == {late, new}


async def test_an_update_finds_where_codes_begin_before_it_binds_anything(
    deployment: Deployment, head: HeadFile
) -> None:
    """A ledger of before entry codes: signed, whole, and without a head file, as the first start after an update."""
    bind = partial(deployment.ledger.bind_held, deployment.database, deployment.database.dsn("troth_sequencer"))
    await deployment.append(*(deployment.entry(counts={"instances": number}) for number in range(3)))
    deployment.tamper("update ledger_entry set v = 1, mac = null, payload_commit = null")
    deployment.sequencer._coded_from = 3  # as the earlier program: it asked for no codes
    assert await deployment.sequencer.drain() == 3
    await deployment.sequencer.close()
    deployment.ledger._head = head

    await bind()
    signed = head.read()
    assert signed is not None
    assert (signed.size, signed.coded_from) == (3, 3)
    sequencer = Sequencer(deployment.database.dsn("troth_sequencer"), deployment.keyring, head=head)
    deployment.extra.append(sequencer)
    await deployment.append_one()
    await sequencer.drain()
    await sequencer.close()
    assert (await deployment.verify()).is_sound

    head.path.unlink()
    deployment.tamper("delete from ledger_entry where kind = 'main:registers:bound'")  # so that it would bind again
    with pytest.raises(RowsAltered):
        await bind()
    assert not head.path.exists(), "a file that was taken away is not written anew"
    assert "not written by the platform: its code is another one" in {
        each.what for each in (await deployment.verify()).broken
    }


async def test_nothing_is_bound_to_a_cut_ledger_whose_file_was_taken_away(
    deployment: Deployment, head: HeadFile, remembering: Sequencer
) -> None:
    """All of it has codes, and what is left fits: only that the file is gone tells."""
    deployment.ledger._head = head
    for _ in range(3):
        await deployment.append_one()
        await remembering.drain()
    await remembering.close()
    cut(deployment, 2)
    head.path.unlink()
    assert (await deployment.verify()).is_sound
    with pytest.raises(RowsAltered):
        await deployment.ledger.bind_held(deployment.database, deployment.database.dsn("troth_sequencer"))
    assert not head.path.exists()


async def test_the_file_is_written_at_most_once_a_second(
    deployment: Deployment, head: HeadFile, remembering: Sequencer, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    monkeypatch.setattr(HeadFile, "write", lambda self, each: written.append(each.size))
    now = 100.0
    monkeypatch.setattr("troth.ledger.sequencer.time.monotonic", lambda: now)
    for _ in range(5):
        await deployment.append_one()
        await remembering.step()
    assert written == [0, 1]
    now = 101.0
    await remembering.step()
    assert written == [0, 1, 5]
