"""All SQL of the ledger: first what the application runs, then what only the sequencer's role may, then verification.

The application inserts entries and selects; PostgreSQL lets it do nothing else here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from psycopg import errors

from troth.kit import clock
from troth.kit.db import Connection, Database, HasTenant, Row
from troth.ledger.errors import WrongScope
from troth.ledger.generation import KIND as GENERATION
from troth.ledger.note import Checkpoint
from troth.ledger.tiles import Place, Tile

COLUMNS = (
    "tenant",
    "id",
    "at",
    "kind",
    "actor_id",
    "actor_kind",
    "role",
    "subject_id",
    "study_id",
    "purpose",
    "clauses",
    "decision_id",
    "outcome",
    "counts",
    "key",
    "payload",
    "v",
    "notice",
    "action",
    "via",
    "session",
    "more",
    "payload_commit",
    "mac",
)

_INSERT_ONE = f"insert into ledger_entry ({', '.join(COLUMNS)}) values ({', '.join(['%s'] * len(COLUMNS))})"  # noqa: S608

_INSERT_MANY = f"""
    insert into ledger_entry ({", ".join(COLUMNS)})
    select tenant, id, at, kind, actor_id, actor_kind, role, subject_id, study_id, purpose, clauses::text[],
           decision_id, outcome, counts, key, payload, v, notice, action, via, session, more, payload_commit, mac
    from unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::text[], %s::uuid[], %s::text[], %s::text[], %s::uuid[],
                %s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::text[], %s::jsonb[], %s::bytea[], %s::bytea[],
                %s::smallint[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::jsonb[], %s::bytea[], %s::bytea[])
         as row ({", ".join(COLUMNS)})
"""  # noqa: S608

_EVENT = """
    select e.*, l.index, l.subject_seq, l.subject_prev, l.leaf, l.leaf_hash,
           (select min(c.size) from ledger_checkpoint c where c.size > l.index) as checkpoint_size
    from ledger_entry e left join ledger_leaf l on l.tenant = e.tenant and l.entry_id = e.id
"""

# Before every id there is: lets one text serve the first page and those that follow.
_LAST_ID = UUID(int=2**128 - 1)

CHANNEL = "troth_ledger"


def values(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row in the order of `COLUMNS`; lists and JSON as PostgreSQL's own text: a third of what the driver takes.

    The words of an `Entry` need no quoting.
    """
    told = {
        "clauses": f"{{{','.join(row['clauses'])}}}",
        "counts": json.dumps(row["counts"]),
        "more": json.dumps(row["more"]) if row["more"] else None,
    }
    return tuple((told[name] if name in told else row[name]) for name in COLUMNS)


async def insert(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert entries in one statement.

    Args:
        connection: In the caller's transaction.
        rows: Values in the order of `COLUMNS`; see `values`.

    Raises:
        WrongScope: A row is of another tenant than the transaction.
    """
    try:
        if len(rows) == 1:
            await connection.execute(_INSERT_ONE, rows[0])
        else:
            await connection.execute(_INSERT_MANY, [list(column) for column in zip(*rows, strict=True)])
    except errors.InsufficientPrivilege as fault:
        raise WrongScope("the entry is of another tenant than the transaction") from fault


async def insert_alone(database: Database, scope: HasTenant | None, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert entries and commit, in one call; see `insert`."""
    try:
        await database.call(scope, "ledger_append($2::jsonb)", [as_parameter(rows)])
    except errors.InsufficientPrivilege as fault:
        raise WrongScope("the entry is of another tenant than the transaction") from fault


def as_parameter(rows: Sequence[tuple[Any, ...]]) -> bytes:
    """Rows in the order of `COLUMNS` as JSON for the function `ledger_append`."""
    named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    for row in named:
        for name in ("counts", "more"):  # text inside JSON would be kept as text
            row[name] = None if row[name] is None else json.loads(row[name])
    return json.dumps(named, default=_as_text).encode()


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return str(value)


async def select_of_subjects(
    connection: Connection,
    subject_ids: Collection[UUID],
    limit: int,
    before: UUID | None,
    kinds: Collection[str] | None = None,
) -> list[Row]:
    """Entries of subjects with their leaves, newest first; of each by an ordered range that stops at the page."""
    wanted = None if kinds is None else list(kinds)
    return await _rows(
        connection,
        "select f.* from unnest(%s::uuid[]) as s (id) cross join lateral"  # noqa: S608 - joined from constants of this module
        f" ({_EVENT} where e.subject_id = s.id and e.id < %s and (%s::text[] is null or e.kind = any(%s))"
        " order by e.id desc limit %s) f order by f.id desc limit %s",
        (list(subject_ids), before or _LAST_ID, wanted, wanted, limit, limit),
    )


async def select_of_study(connection: Connection, study_id: UUID, limit: int, before: UUID | None) -> list[Row]:
    """Entries of a study with their leaves, newest first."""
    return await _rows(
        connection,
        f"{_EVENT} where e.study_id = %s and e.id < %s order by e.id desc limit %s",
        (study_id, before or _LAST_ID, limit),
    )


async def tally_of_subjects(connection: Connection, subject_ids: Collection[UUID], study_id: UUID | None) -> list[Row]:
    """How many entries of subjects there are by each kind of actor; only about one study where it is given."""
    return await _rows(
        connection,
        "select actor_kind, count(*) as entries from ledger_entry where subject_id = any(%s)"
        " and (%s::uuid is null or study_id = %s) group by actor_kind",
        (list(subject_ids), study_id, study_id),
    )


async def select_latest(
    connection: Connection, kinds: Collection[str] | None, clause: str, limit: int, before: UUID | None
) -> list[Row]:
    """Entries of the scope with their leaves, newest first; of some kinds, under one clause, where these are given."""
    return await _rows(
        connection,
        f"{_EVENT} where e.id < %s and (%s::text[] is null or e.kind = any(%s))"
        " and (%s = '' or %s = any(e.clauses)) order by e.id desc limit %s",
        (before or _LAST_ID, *[None if kinds is None else list(kinds)] * 2, clause, clause, limit),
    )


async def select_one(connection: Connection, event_id: UUID) -> Row | None:
    """One entry of the scope with its leaf."""
    rows = await _rows(connection, f"{_EVENT} where e.id = %s limit 1", (event_id,))
    return rows[0] if rows else None


async def select_several(connection: Connection, event_ids: Collection[UUID]) -> list[Row]:
    """Entries of the scope with their leaves, by their ids."""
    return await _rows(connection, f"{_EVENT} where e.id = any(%s)", (list(event_ids),))


async def select_subject(connection: Connection, subject_id: UUID) -> Row | None:
    """How many leaves a subject has, and the hash of the last one."""
    rows = await _rows(connection, "select held, head from ledger_subject where subject_id = %s", (subject_id,))
    return rows[0] if rows else None


async def select_feed(connection: Connection, first: int, end: int, kinds: Collection[str], limit: int) -> list[Row]:
    """Entries of some kinds whose leaves are in a range, in the order of the ledger."""
    return await _rows(
        connection,
        f"{_EVENT} where l.index >= %s and l.index < %s and e.kind = any(%s) order by l.index limit %s",
        (first, end, list(kinds), limit),
    )


async def select_checkpoint(connection: Connection, size: int | None = None) -> Row | None:
    """The latest checkpoint, or the one of a size."""
    rows = await _rows(
        connection,
        "select size, root, note from ledger_checkpoint where %s::bigint is null or size = %s"
        " order by size desc limit 1",
        (size, size),
    )
    return rows[0] if rows else None


async def select_tiles(connection: Connection, places: Iterable[Place]) -> dict[Place, bytes]:
    """Tiles by their places; those that are not there are left out."""
    wanted = list(places)
    rows = await _rows(
        connection,
        "select t.level, t.index, t.bytes from unnest(%s::smallint[], %s::bigint[]) as w (level, index)"
        " join ledger_tile t on t.level = w.level and t.index = w.index",
        ([level for level, _ in wanted], [index for _, index in wanted]),
    )
    return {(row["level"], row["index"]): row["bytes"] for row in rows}


# --- as troth_sequencer: integration ------------------------------------------------------------

_LOCK = 7420161  # number of the advisory lock of the one sequencer

# Row by row, each by its key: statistics of a queue are always wrong, and a scan of all entries must never be chosen.
_PENDING = """
    select p.seq, l.index as taken, e.*
    from (select seq, tenant, entry_id from ledger_pending order by seq limit %s) p
    cross join lateral
        (select * from ledger_entry e where e.tenant = p.tenant and e.id = p.entry_id offset 0) e
    left join lateral
        (select index from ledger_leaf l where l.tenant = p.tenant and l.entry_id = p.entry_id offset 0) l on true
    order by p.seq
"""


async def try_lead(connection: Connection) -> bool:
    """Take the lock of the one sequencer for the life of this connection, if it is free."""
    return bool((await _rows(connection, "select pg_try_advisory_lock(%s) as is_mine", (_LOCK,)))[0]["is_mine"])


async def raise_fence(connection: Connection) -> int:
    """A new fencing number; all smaller ones are worth nothing from its commit on."""
    rows = await _rows(connection, "update ledger_fence set number = number + 1 where id = 1 returning number", ())
    return int(rows[0]["number"])


async def lock_fence(connection: Connection) -> int:
    """The fencing number in force, held fast until the end of the transaction."""
    return int((await _rows(connection, "select number from ledger_fence where id = 1 for update", ()))[0]["number"])


async def select_pending(connection: Connection, limit: int) -> list[Row]:
    """Entries without a leaf, about in the order of their arrival; `taken` is set on those that have one."""
    return await _rows(connection, _PENDING, (limit,))


async def delete_pending(connection: Connection, seqs: list[int]) -> None:
    """Take entries from the queue."""
    await connection.execute("delete from ledger_pending where seq = any(%s)", (seqs,))


async def select_leaf_count(connection: Connection) -> int:
    """One more than the largest index."""
    return int((await _rows(connection, "select coalesce(max(index) + 1, 0) as size from ledger_leaf", ()))[0]["size"])


async def has_coded(connection: Connection) -> bool:
    """Whether entries with a code are in the tree."""
    query = (
        "select exists (select from ledger_leaf l join ledger_entry e on e.tenant = l.tenant and e.id = l.entry_id"
        " where e.v > 1) as has"
    )
    return bool((await _rows(connection, query, ()))[0]["has"])


# The kind stands in the statement: the index of it holds no other entry, and is found for no parameter.
DIFFERED_WAITS: Final = """
    select exists (select from ledger_entry e where e.kind = 'ledger:head:differed' and not exists
        (select from ledger_leaf l where l.tenant = e.tenant and l.entry_id = e.id)) as waits
"""


async def differed_waits(connection: Connection) -> bool:
    """Whether an entry which says that the log is not what was signed has no place in the tree."""
    return bool((await _rows(connection, DIFFERED_WAITS, ()))[0]["waits"])


async def count_uncoded(connection: Connection) -> int:
    """How many entries wait that a program wrote which made no codes."""
    query = (
        "select count(*) as number from ledger_pending p"
        " join ledger_entry e on e.tenant = p.tenant and e.id = p.entry_id where e.v = 1"
    )
    return int((await _rows(connection, query, ()))[0]["number"])


async def select_generations(connection: Connection) -> list[Row]:
    """Where the log got a new name, in the order of the ledger: index, `more` and `counts` of each."""
    return await _rows(
        connection,
        "select l.index, e.more, e.counts from ledger_entry e join ledger_leaf l on l.tenant = e.tenant"
        " and l.entry_id = e.id where e.tenant = %s and e.kind = %s order by l.index",
        (UUID(int=0), GENERATION),
    )


async def select_heads(
    connection: Connection, subjects: Collection[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], tuple[int, bytes]]:
    """Count and last leaf hash of subjects, each given by tenant and id."""
    rows = await _rows(
        connection,
        "select s.tenant, s.subject_id, s.held, s.head from unnest(%s::uuid[], %s::uuid[]) as w (tenant, subject_id)"
        " join ledger_subject s on s.tenant = w.tenant and s.subject_id = w.subject_id",
        ([tenant for tenant, _ in subjects], [subject_id for _, subject_id in subjects]),
    )
    return {(row["tenant"], row["subject_id"]): (row["held"], row["head"]) for row in rows}


async def insert_leaves(connection: Connection, leaves: Sequence[tuple[Any, ...]]) -> None:
    """Insert leaves: index, tenant, entry id, subject id, number and hash before, leaf, leaf hash."""
    await connection.execute(
        "insert into ledger_leaf (index, tenant, entry_id, subject_id, subject_seq, subject_prev, leaf, leaf_hash)"
        " select * from unnest(%b::bigint[], %b::uuid[], %b::uuid[], %b::uuid[], %b::bigint[], %b::bytea[],"
        " %b::bytea[], %b::bytea[])",
        [list(column) for column in zip(*leaves, strict=True)],
    )


async def upsert_heads(connection: Connection, heads: dict[tuple[UUID, UUID], tuple[int, bytes]]) -> None:
    """Write count and last leaf hash of subjects."""
    rows = [(tenant, subject_id, held, head) for (tenant, subject_id), (held, head) in heads.items()]
    if rows:
        await connection.execute(
            "insert into ledger_subject (tenant, subject_id, held, head)"
            " select * from unnest(%b::uuid[], %b::uuid[], %b::bigint[], %b::bytea[])"
            " on conflict (tenant, subject_id) do update set held = excluded.held, head = excluded.head",
            [list(column) for column in zip(*rows, strict=True)],
        )


async def upsert_tiles(connection: Connection, tiles: Sequence[Tile]) -> None:
    """Write tiles that are new or grew."""
    rows = [(tile.level, tile.index, tile.width, tile.content) for tile in tiles]
    await connection.execute(
        "insert into ledger_tile (level, index, width, bytes)"
        " select * from unnest(%b::smallint[], %b::bigint[], %b::smallint[], %b::bytea[])"
        " on conflict (level, index) do update set width = excluded.width, bytes = excluded.bytes",
        [list(column) for column in zip(*rows, strict=True)],
    )


async def announce(connection: Connection, arrived: Collection[tuple[UUID, str]]) -> None:
    """Tell whoever listens, with the commit, in which spaces something of which kind has its place now."""
    await connection.execute(
        "select pg_notify(%s, told) from unnest(%s::text[]) as told",
        (CHANNEL, sorted(f"{tenant} {kind}" for tenant, kind in arrived)),
    )


async def insert_checkpoint(connection: Connection, checkpoint: Checkpoint, previous: int, fence: int) -> None:
    """Write a checkpoint. Two that go on from the same one are refused by the table."""
    await connection.execute(
        "insert into ledger_checkpoint (size, previous, root, at, fence, note) values (%s, %s, %s, %s, %s, %s)",
        (checkpoint.size, previous, checkpoint.root, clock.now(), fence, checkpoint.note),
    )


# --- as troth_sequencer: verification ------------------------------------------------------------


async def take_snapshot(connection: Connection) -> None:
    """Let the whole transaction see one state, and change nothing."""
    await connection.execute("set transaction isolation level repeatable read, read only")


async def select_leaves(connection: Connection, first: int, end: int) -> list[Row]:
    """Leaves of a range with their entries; `id` is null where the entry is gone."""
    return await _rows(
        connection,
        "select e.*, l.index, l.entry_id, l.subject_id as leaf_subject_id, l.subject_seq, l.subject_prev, l.leaf,"
        " l.leaf_hash from ledger_leaf l left join ledger_entry e on e.tenant = l.tenant and e.id = l.entry_id"
        " where l.index >= %s and l.index < %s order by l.index",
        (first, end),
    )


async def select_checkpoints(connection: Connection, above: int, to: int) -> list[Row]:
    """Checkpoints of sizes in a range, by size."""
    return await _rows(
        connection,
        "select size, previous, root, note from ledger_checkpoint where size > %s and size <= %s order by size",
        (above, to),
    )


async def count_checkpoints(connection: Connection) -> int:
    """How many checkpoints there are."""
    return int((await _rows(connection, "select count(*) as number from ledger_checkpoint", ()))[0]["number"])


async def select_last_checkpoints(connection: Connection, below: int | None) -> list[Row]:
    """Some checkpoints from the largest size down."""
    return await _rows(
        connection,
        "select size, note from ledger_checkpoint where %s::bigint is null or size < %s order by size desc limit 100",
        (below, below),
    )


async def select_leaves_beyond(connection: Connection, size: int, limit: int) -> list[Row]:
    """Leaves that no checkpoint covers."""
    return await _rows(
        connection,
        "select index, entry_id from ledger_leaf where index >= %s or index < 0 order by index limit %s",
        (size, limit),
    )


async def select_tiles_beyond(connection: Connection, size: int, limit: int) -> list[Row]:
    """Tiles that hold more than a tree of this size has."""
    return await _rows(
        connection,
        "select level, index from ledger_tile where index * 256 + width > (%s::bigint >> (8 * level::int))"
        " order by level, index limit %s",
        (size, limit),
    )


async def select_unsequenced(connection: Connection, limit: int) -> list[Row]:
    """Entries that have no leaf and are not in the queue either."""
    return await _rows(
        connection,
        "select e.id from ledger_entry e"
        " where not exists (select from ledger_leaf l where l.tenant = e.tenant and l.entry_id = e.id)"
        " and not exists (select from ledger_pending p where p.tenant = e.tenant and p.entry_id = e.id) limit %s",
        (limit,),
    )


async def select_orphans(connection: Connection, limit: int) -> list[Row]:
    """Queue rows whose entry is gone."""
    return await _rows(
        connection,
        "select p.entry_id from ledger_pending p"
        " where not exists (select from ledger_entry e where e.tenant = p.tenant and e.id = p.entry_id) limit %s",
        (limit,),
    )


async def count_pending(connection: Connection) -> int:
    """How many entries wait."""
    return int((await _rows(connection, "select count(*) as number from ledger_pending", ()))[0]["number"])


async def select_broken_links(connection: Connection, limit: int) -> list[Row]:
    """Leaves that do not follow the leaf of the same subject before them."""
    return await _rows(
        connection,
        "select index, entry_id from (select index, entry_id, subject_seq, subject_prev,"
        " row_number() over w as number, lag(leaf_hash) over w as before from ledger_leaf where subject_id is not null"
        " window w as (partition by tenant, subject_id order by subject_seq)) as link"
        " where subject_seq <> number or subject_prev is distinct from before limit %s",
        (limit,),
    )


async def select_broken_heads(connection: Connection, limit: int) -> list[Row]:
    """Subjects whose count or head is not that of their last leaf, or is missing."""
    return await _rows(
        connection,
        "select s.subject_id, s.held, l.subject_seq from ledger_subject s left join lateral"
        " (select subject_seq, leaf_hash from ledger_leaf l where l.tenant = s.tenant and l.subject_id = s.subject_id"
        " order by subject_seq desc limit 1) l on true"
        " where s.held is distinct from l.subject_seq or s.head is distinct from l.leaf_hash"
        " union all select l.subject_id, null, 1 from ledger_leaf l where l.subject_seq = 1 and not exists"
        " (select from ledger_subject s where s.tenant = l.tenant and s.subject_id = l.subject_id) limit %s",
        (limit,),
    )


async def _rows(connection: Connection, query: str, parameters: Sequence[Any]) -> list[Row]:
    return await (await connection.execute(query, parameters)).fetchall()
