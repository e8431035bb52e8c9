"""Each way to tamper is found, and what was touched is named. Nothing else is blamed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.unit.ledger.conftest import Deployment, SmallKeyring
from troth.ledger import ORIGIN, Ledger, Verification, leaf, merkle, note, store, verify

SUBJECT = UUID(int=0x5)


async def fill(deployment: Deployment, *sizes: int) -> list[UUID]:
    """Some steps of entries, alternating between a subject and nobody, each with its checkpoint."""
    made = []
    for size in sizes:
        entries = [
            deployment.entry(
                subject_id=SUBJECT if number % 2 else None,
                key=deployment.key,
                payload={"number": number},
                decision_id=UUID(int=number),
                study_id=UUID(int=9),
            )
            for number in range(size)
        ]
        made += await deployment.append(*entries)
        await deployment.sequencer.drain()
    return made


def named(verdict: Verification) -> list[tuple[int | None, UUID | None, str]]:
    return [(broken.index, broken.event_id, broken.what) for broken in verdict.broken]


@pytest.mark.parametrize("sizes", [(), (1,), (3, 4), (255, 1, 1), (300, 2000, 60)])
async def test_an_untouched_ledger_is_sound(deployment: Deployment, sizes: tuple[int, ...]) -> None:
    await fill(deployment, *sizes)
    verdict = await deployment.verify()
    assert verdict.broken == ()
    assert verdict.is_sound
    assert verdict.size == sum(sizes)
    rows = deployment.tamper("select root from ledger_checkpoint order by size desc limit 1")
    assert verdict.root == (rows[0]["root"] if rows else merkle.EMPTY_ROOT)
    assert verdict.checkpoints == len(deployment.tamper("select 1 from ledger_checkpoint"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("at = at + interval '1 microsecond'", "at"),
        ("kind = 'archive:viewing:closed'", "kind"),
        ("actor_id = null", "actor_id"),
        ("actor_kind = 'system'", "actor_kind"),
        ("role = 'office'", "role"),
        ("study_id = null", "study_id"),
        ("purpose = 'care'", "purpose"),
        ("clauses = '{4.1}'", "clauses"),
        ("decision_id = null", "decision_id"),
        ("outcome = 'refused'", "outcome"),
        ("""counts = '{"instances": 4}'""", "counts"),
        ("key = 'x'", "key"),
        ("payload = payload || 'x'", "payload_sha256"),
        ("payload = null", "payload_sha256"),
        ("subject_id = null", "subject_id"),
    ],
)
async def test_a_changed_entry_is_named_with_its_field(deployment: Deployment, change: str, field: str) -> None:
    made = await fill(deployment, 5, 5)
    deployment.tamper(f"update ledger_entry set {change} where id = %s", (made[3],))
    verdict = await deployment.verify()
    assert named(verdict)[0] == (3, made[3], f"changed: {field}")
    assert {broken.event_id for broken in verdict.broken} == {made[3]}


@pytest.mark.asvs("V16.4.2")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # change, of the leaf's own columns
        ("update ledger_leaf set leaf = leaf || ' ' where index = 3", [(3, "changed: leaf, leaf_hash")]),
        (
            "update ledger_leaf set leaf_hash = sha256(leaf) where index = 2",
            [(2, "changed: leaf_hash")],
        ),
        ("update ledger_leaf set subject_id = null where index = 8", [(8, "changed: subject_id of the leaf")]),
        # removal
        ("delete from ledger_entry where id = %(3)s", [(3, "removed: the entry is gone")]),
        ("delete from ledger_leaf where index = 2", [(2, "removed: the leaf is gone"), (None, "in no leaf")]),
        ("delete from ledger_leaf where index = 9", [(9, "removed: the leaf is gone"), (None, "in no leaf")]),
        # insertion past the queue
        (
            "delete from ledger_pending; insert into ledger_pending (tenant, entry_id) values (%(tenant)s, %(new)s)",
            [(None, "removed: the entry is gone")],
        ),
        # order
        (
            "update ledger_leaf set index = 100 where index = 2; update ledger_leaf set index = 2 where index = 4;"
            "update ledger_leaf set index = 4 where index = 100",
            [(2, "changed: index"), (4, "changed: index")],
        ),
        # leaves that nobody signed
        (
            "insert into ledger_leaf values (10, %(tenant)s, %(new)s, null, null, null, 'x', 'y')",
            [(10, "beyond the last signed checkpoint")],
        ),
        # roll back of the checkpoint
        (
            "delete from ledger_checkpoint where size = 10",
            [(index, "beyond the last signed checkpoint") for index in range(5, 10)],
        ),
        ("delete from ledger_checkpoint where size = 5", [(None, "checkpoint 10: the one before it, of 5 leaves")]),
        ("update ledger_checkpoint set root = 'x' where size = 5", [(None, "checkpoint 5: changed: size or root")]),
        ("update ledger_checkpoint set note = 'x' where size = 5", [(None, "checkpoint 5: the checkpoint is not")]),
        (
            "update ledger_checkpoint set note = 'x' where size = 10",
            [(None, "checkpoint 10: the checkpoint is not"), *[(index, "beyond the last") for index in range(5, 10)]],
        ),
        (
            "update ledger_checkpoint set size = 11 where size = 10",
            [(None, "checkpoint 11: changed: size"), *[(index, "beyond the last") for index in range(5, 10)]],
        ),
        # tiles
        (
            "update ledger_tile set bytes = overlay(bytes placing '\\x00'::bytea from 33)",
            [
                (1, "rewritten: the leaf is not the one in the tile"),
                (None, "the tiles were changed, the rows were not"),
            ],
        ),
        ("delete from ledger_tile", [(index, "the tile does not hold it") for index in range(10)]),
        ("insert into ledger_tile values (1, 0, 1, 'x')", [(None, "beyond the last signed checkpoint: tile 1/0")]),
        # chains of subjects
        (
            "update ledger_subject set held = 5",
            [(None, "entries counted")],
        ),
        ("delete from ledger_subject", [(None, "entries counted")]),
    ],
)
async def test_each_class_is_found(deployment: Deployment, query: str, expected: list[tuple[int | None, str]]) -> None:
    made = await fill(deployment, 5, 5)
    values = {str(number): event_id for number, event_id in enumerate(made)}
    for statement in query.split(";"):
        deployment.tamper(statement, {**values, "tenant": deployment.tenant, "new": UUID(int=77)})
    found = named(await deployment.verify())
    for index, what in expected:
        matching = [row for row in found if row[0] == index and what in row[2]]
        assert matching, (index, what, found)
    assert {index for index, _, _ in found} <= {*(index for index, _ in expected), None}
    assert {event_id for _, event_id, _ in found} <= {*made, UUID(int=77), None}


async def test_an_inserted_entry_is_named(deployment: Deployment) -> None:
    made = await fill(deployment, 3)
    deployment.tamper(
        "set session_replication_role = replica;"
        "insert into ledger_entry select tenant, '00000000-0000-0000-0000-00000000004d', at, kind, actor_id,"
        " actor_kind, role, subject_id, study_id, purpose, clauses, decision_id, outcome, counts, key, payload"
        f" from ledger_entry where id = '{made[0]}'"
    )
    assert named(await deployment.verify()) == [(None, UUID(int=77), "inserted: the entry is in no leaf")]


OTHER_CODE = "not written by the platform: its code is another one"


def rewrite(deployment: Deployment, event_id: UUID, *, with_tile: bool) -> None:
    """Change an entry as somebody would who knows how the ledger is made: leaf and hash fit again."""
    deployment.tamper("update ledger_entry set purpose = 'care' where id = %s", (event_id,))
    (row,) = deployment.tamper(
        "select e.*, l.index, l.subject_seq, l.subject_prev from ledger_entry e"
        " join ledger_leaf l on l.entry_id = e.id where e.id = %s",
        (event_id,),
    )
    content = leaf.canonical(leaf.fields(row, row["index"], row["subject_seq"], row["subject_prev"]))
    hashed = merkle.leaf_hash(content)
    deployment.tamper(
        "update ledger_leaf set leaf = %s, leaf_hash = %s where index = %s", (content, hashed, row["index"])
    )
    if with_tile:
        deployment.tamper(
            "update ledger_tile set bytes = overlay(bytes placing %s from %s) where level = 0 and index = 0",
            (hashed, 32 * row["index"] + 1),
        )


async def test_a_rewritten_leaf_is_named_by_its_tile(deployment: Deployment) -> None:
    made = await fill(deployment, 5, 5)
    rewrite(deployment, made[2], with_tile=False)
    found = named(await deployment.verify())
    assert found == [(2, made[2], OTHER_CODE), (2, made[2], "rewritten: the leaf is not the one in the tile")]


async def test_a_rewritten_leaf_and_tile_are_found_by_the_signed_root(deployment: Deployment) -> None:
    made = await fill(deployment, 5, 5)
    rewrite(deployment, made[7], with_tile=True)
    code, found = named(await deployment.verify())
    assert code == (7, made[7], OTHER_CODE)
    assert "checkpoint 10: the root signed is another one: rows and tiles were changed since 5" in found[2]


async def test_a_rewritten_leaf_breaks_the_chain_of_its_subject(deployment: Deployment) -> None:
    made = await fill(deployment, 5, 5)
    rewrite(deployment, made[3], with_tile=True)
    whats = [what for _, _, what in named(await deployment.verify())]
    assert any("rows and tiles were changed since 0" in what for what in whats)
    assert any("does not follow the leaf of its subject before it" in what for what in whats)


async def test_a_changed_upper_tile_is_named(deployment: Deployment) -> None:
    await fill(deployment, 600)
    deployment.tamper("update ledger_tile set bytes = sha256(bytes) || substr(bytes, 33) where level = 1")
    assert named(await deployment.verify()) == [(None, None, "changed: tile/1/000.p/2")]


async def test_a_log_cut_back_with_its_checkpoints_is_found_by_one_kept_outside(deployment: Deployment) -> None:
    made = await fill(deployment, 4)
    old = deployment.tamper("select note from ledger_checkpoint")[0]["note"]
    state = {table: deployment.tamper(f"select * from {table}") for table in ("ledger_tile", "ledger_subject")}
    later = await fill(deployment, 2)
    kept = deployment.tamper("select note from ledger_checkpoint order by size desc limit 1")[0]["note"]
    assert (await deployment.verify(old, kept)).broken == ()
    deployment.tamper("delete from ledger_entry where id = any(%s)", (later,))
    deployment.tamper("delete from ledger_leaf where index >= 4")
    deployment.tamper("delete from ledger_checkpoint where size > 4")
    (tile,), (subject,) = state["ledger_tile"], state["ledger_subject"]
    deployment.tamper("update ledger_tile set width = %s, bytes = %s", (tile["width"], tile["bytes"]))
    deployment.tamper("update ledger_subject set held = %s, head = %s", (subject["held"], subject["head"]))
    assert (await deployment.verify(old)).broken == ()
    rolled_back = "rolled back: 6 leaves were signed once, now the log has 4"
    assert named(await deployment.verify(old, kept)) == [(None, None, rolled_back)]
    assert len(made) == 4


async def test_a_log_written_anew_is_found_by_a_checkpoint_kept_outside(deployment: Deployment) -> None:
    await fill(deployment, 4)
    kept = deployment.tamper("select note from ledger_checkpoint")[0]["note"]
    tables = "ledger_entry, ledger_pending, ledger_leaf, ledger_subject, ledger_tile, ledger_checkpoint"
    await deployment.sequencer.close()
    deployment.tamper(f"truncate {tables}")
    await fill(deployment, 4)
    anew = deployment.tamper("select note from ledger_checkpoint")[0]["note"]
    assert (await deployment.verify(anew)).is_sound
    assert [what for _, _, what in named(await deployment.verify(kept))] == [
        "checkpoint 4: the root kept outside is another one: rows and tiles were changed since 4"
    ]
    both = await deployment.verify(anew, kept)
    assert both.broken[0].what == "two different logs of 4 leaves were signed"


async def test_a_checkpoint_of_a_stranger_counts_for_nothing(deployment: Deployment) -> None:
    await fill(deployment, 4)
    stranger = note.sign(ORIGIN, 9, b"r" * 32, SmallKeyring())
    found = named(await deployment.verify(stranger.note))
    assert found[0][2].startswith("a checkpoint kept outside does not count")
    deployment.tamper("insert into ledger_checkpoint values (9, 4, %s, now(), 1, %s)", (stranger.root, stranger.note))
    found = named(await deployment.verify())
    assert [what for _, _, what in found] == ["checkpoint 9: the checkpoint has no signature of this key"]
    other = Ledger(SmallKeyring())
    assert not (await other.verify(deployment.database.dsn("troth_sequencer"))).is_sound


async def test_a_great_many_faults_are_cut(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(deployment, 9)
    deployment.tamper("update ledger_entry set purpose = 'care'")
    monkeypatch.setattr(verify, "_MOST_BROKEN", 5)
    verdict = await deployment.verify()
    assert (len(verdict.broken), verdict.is_cut) == (5, True)


async def test_signatures_are_checked_by_sample(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(deployment, *[1] * 8)
    monkeypatch.setattr(verify, "_MOST_SIGNATURES", 3)
    verdict = await deployment.verify()
    assert verdict.is_sound
    assert verdict.checkpoints == 8
    assert 3 <= verdict.signatures < 8


async def test_verification_reads_one_state_and_changes_nothing(deployment: Deployment) -> None:
    await fill(deployment, 2)
    async with deployment.database.transaction(None) as connection:
        await store.take_snapshot(connection)
        rows: list[dict[str, Any]] = await (await connection.execute("show transaction_read_only")).fetchall()
        assert rows == [{"transaction_read_only": "on"}]
