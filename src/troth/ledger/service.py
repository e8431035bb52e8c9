"""The ledger's verbs: append in the caller's transaction, read, prove, follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Lock
from typing import Any
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Database, HasTenant, Row
from troth.kit.watching import WatchedConnection
from troth.ledger import baseline, binding, binding_store, columns, leaf, merkle, note, store, tail, tiles, verify
from troth.ledger import kinds as vocabulary
from troth.ledger import rows as bound_rows
from troth.ledger.builder import act
from troth.ledger.clear import Bind
from troth.ledger.errors import EventNotFound, NotSequenced, OffsetBeyond, TreeBroken
from troth.ledger.generation import ORIGIN
from troth.ledger.head import HeadFile
from troth.ledger.model import PLATFORM, Arrival, Broken, Completeness, Entry, Event, Feed, Proof, Verification
from troth.ledger.note import Checkpoint
from troth.ledger.rows import AlteredRow
from troth.ledger.sealer import Sealer
from troth.ledger.sequencer import remembered

_PAGE = 500
_FEED_WINDOW = 10_000  # leaves looked at by one call of `follow`
_INLINE_SEALS = 200  # more are sealed in a thread: 2 us each
_LOOKS = 20
_LATE = timedelta(minutes=1)  # an entry without a leaf after this time is no mere delay


@dataclass(slots=True)
class _Seen:
    """What one look through a subject's entries found."""

    shown: int = 0
    pending: int = 0
    broken: list[Broken] = field(default_factory=list)
    sequenced: list[Row] = field(default_factory=list)


class Ledger:
    """One append-only log for the whole platform; its leaves hold commitments only.

    Args:
        sealer: The keyring that seals payloads and signs checkpoints.
        head: The file that remembers how large the log was, for `verify`.
    """

    def __init__(self, sealer: Sealer, *, head: HeadFile | None = None) -> None:
        self._sealer = sealer
        self._head = head
        self._origin = ORIGIN  # as in the checkpoint that was read last
        self._last_id = 0
        self._id_lock = Lock()

    @property
    def verifier_key(self) -> str:
        """The public key with which anybody checks checkpoints and proofs (C2SP signed-note).

        Its name is that of the log in the checkpoint that was read last, so that the key fits what was just proved.
        """
        return note.verifier_key(self._origin, self._sealer.public_key)

    async def append(self, connection: Connection, entry: Entry) -> UUID:
        """Write what happened, in the caller's transaction.

        Args:
            connection: A transaction in the scope of the entry's tenant.
            entry: What happened.

        Returns:
            Id of the event.

        Raises:
            WrongScope: The transaction is of another tenant.
            KeyDestroyed: The key for the payload is gone (from the sealer).
        """
        return (await self.append_many(connection, [entry]))[0]

    async def append_many(self, connection: Connection, entries: Sequence[Entry]) -> list[UUID]:
        """Write several things that happened with one statement; see `append`.

        Returns:
            Ids in the order of the entries; later ones sort after earlier ones.
        """
        if not entries:
            return []
        new_ids = self._new_ids(len(entries))
        if isinstance(connection, WatchedConnection):
            connection.at_end = self.bind_rest
            if changed := binding.take(connection):
                entries = [await self._binding(connection, entries[0], changed, new_ids[0]), *entries[1:]]
        if len(entries) > _INLINE_SEALS:
            rows = await asyncio.to_thread(self._rows_of, entries, new_ids)
        else:
            rows = self._rows_of(entries, new_ids)
        await store.insert(connection, rows)
        return new_ids

    async def bind_rest(self, connection: WatchedConnection) -> None:
        """Bind what was changed after the last entry of a transaction, by entries of their own. Before its commit."""
        while connection.changed:
            tenant = await binding_store.tenant_of(connection)
            await self.append(connection, act(binding.System(tenant), "ledger:rows:bound", "administration"))

    async def _binding(
        self, connection: Connection, entry: Entry, changed: Sequence[binding.Changed], entry_id: UUID
    ) -> Entry:
        """An entry that names, beside what it says, the rows that were changed before it."""
        binds = await binding.bind(connection, self._sealer, changed, entry_id)
        return replace(entry, clear=replace(entry.clear, binds=binds))

    async def write(self, database: Database, scope: HasTenant | None, entries: Sequence[Entry]) -> list[UUID]:
        """Write several things that happened as a transaction of its own: in one call, where nothing goes with them.

        Args:
            database: Where.
            scope: In whose space, the same as that of the entries.
            entries: What happened.

        Returns:
            Ids in the order of the entries; durable.

        Raises:
            WrongScope: The scope is of another tenant.
            DatabaseUnavailable: The server went away; whether they were written is not known.
            KeyDestroyed: The key for a payload is gone (from the sealer).
        """
        rows = self._rows_of(entries)
        await store.insert_alone(database, scope, rows)
        return [row[1] for row in rows]

    def sealed(self, entries: Sequence[Entry]) -> bytes:
        """Entries as the one parameter of the SQL function `ledger_append`.

        For a function that writes something and the entry of it in one call; the rooms above `ledger` cannot know its
        columns.

        Raises:
            KeyDestroyed: The key for a payload is gone (from the sealer).
        """
        return store.as_parameter(self._rows_of(entries))

    async def of_subject(
        self,
        connection: Connection,
        *subject_ids: UUID,
        limit: int = 100,
        before: UUID | None = None,
        kinds: Collection[str] | None = None,
    ) -> list[Event]:
        """What happened to a subject, newest first, payloads opened where their keys live.

        Args:
            connection: A transaction in the subject's tenant.
            subject_ids: The subject; or several that are one human being.
            limit: Most events.
            before: Id of the last event of the page before.
            kinds: Only of these kinds, where any are given.
        """
        return await self._events(await store.select_of_subjects(connection, subject_ids, limit, before, kinds))

    async def of_study(
        self, connection: Connection, study_id: UUID, *, limit: int = 100, before: UUID | None = None
    ) -> list[Event]:
        """What happened to a study, newest first; see `of_subject`."""
        return await self._events(await store.select_of_study(connection, study_id, limit, before))

    async def tally(
        self, connection: Connection, *subject_ids: UUID, study_id: UUID | None = None
    ) -> Mapping[str, int]:
        """How many entries of a subject there are by each kind of actor; see `of_subject`."""
        rows = await store.tally_of_subjects(connection, subject_ids, study_id)
        return {row["actor_kind"]: row["entries"] for row in rows}

    async def latest(
        self,
        connection: Connection,
        *,
        kinds: Collection[str] | None = None,
        clause: str = "",
        limit: int = 100,
        before: UUID | None = None,
    ) -> list[Event]:
        """What happened in the transaction's tenant (or on the platform), newest first; see `of_subject`.

        Args:
            connection: A transaction.
            kinds: Of these kinds only.
            clause: Only what was allowed or forbidden by this clause.
            limit: Most events.
            before: Id of the last event of the page before.
        """
        for kind in kinds or ():
            vocabulary.require(kind)
        return await self._events(await store.select_latest(connection, kinds, clause, limit, before))

    async def prove_all(self, connection: Connection, event_ids: Collection[UUID]) -> dict[UUID, Proof]:
        """Proofs of several events for the latest checkpoint; those without a place in it are left out.

        Raises:
            TreeBroken: Tiles are missing.
        """
        checkpoint = await self.checkpoint(connection)
        if checkpoint is None:
            return {}
        rows = [row for row in await store.select_several(connection, event_ids) if row["index"] is not None]
        ranges = {
            row["id"]: merkle.inclusion_ranges(row["index"], checkpoint.size)
            for row in rows
            if row["index"] < checkpoint.size
        }
        held = await store.select_tiles(
            connection, tiles.places_for([each for some in ranges.values() for each in some])
        )
        try:
            return {
                row["id"]: Proof(
                    row["id"],
                    row["leaf"],
                    row["index"],
                    tuple(tiles.subtree_hash(start, end, held) for start, end in ranges[row["id"]]),
                    checkpoint,
                )
                for row in rows
                if row["id"] in ranges
            }
        except KeyError as fault:
            raise TreeBroken("a tile of the ledger is missing") from fault

    async def event(self, connection: Connection, event_id: UUID) -> Event:
        """One event.

        Raises:
            EventNotFound: It is not in this scope.
        """
        return (await self._events([await self._row(connection, event_id)]))[0]

    async def complete_for(self, connection: Connection, *subject_ids: UUID) -> Completeness:
        """Compare a subject's access list with what the ledger counted, entry by entry.

        Every entry is hashed again and compared with its leaf, and the chain of the subject's leaves is followed from
        the first one to the head.

        Args:
            connection: A transaction in the subject's tenant.
            subject_ids: The subject; or several that are one human being, each with a chain of its own.
        """
        parts = [await self._complete(connection, each) for each in subject_ids]
        return parts[0] if len(parts) == 1 else Completeness.together(parts)

    def counted(self, complete: Completeness, checkpoint: Checkpoint) -> str:
        """A person's count, signed (see `note.sign_counts`), for the latest checkpoint at the moment of the count."""
        return note.sign_counts(checkpoint, complete.counts, self._sealer)

    async def _complete(self, connection: Connection, subject_id: UUID) -> Completeness:
        # Pages are read one after the other while the sequencer works: what it moved meanwhile would be counted twice,
        # as waiting and as held. A look during which nothing of this subject moved is one moment.
        for _ in range(_LOOKS):
            before = await store.select_subject(connection, subject_id)
            seen = await self._look_through(connection, subject_id)
            counted = await store.select_subject(connection, subject_id)
            if counted == before:
                break
        held, head = (counted["held"], counted["head"]) if counted else (0, None)
        broken = [*seen.broken, *leaf.check_chain(seen.sequenced, held, head)]
        return Completeness(seen.shown, held + seen.pending, seen.pending, head, tuple(broken), subject_id=subject_id)

    async def _look_through(self, connection: Connection, subject_id: UUID) -> _Seen:
        seen = _Seen()
        before: UUID | None = None
        while page := await store.select_of_subjects(connection, [subject_id], _PAGE, before):
            before, seen.shown = page[-1]["id"], seen.shown + len(page)
            for row in page:
                if row["index"] is None:
                    seen.pending += 1
                    if clock.now() - row["at"] > _LATE:
                        seen.broken.append(Broken(None, row["id"], "in no leaf"))
                else:
                    seen.broken += leaf.check(row)
                    seen.sequenced.append({name: row[name] for name in leaf.CHAIN_COLUMNS})
        return seen

    async def checkpoint(self, connection: Connection, size: int | None = None) -> Checkpoint | None:
        """The latest signed checkpoint, or the one of a size; None where there is none."""
        row = await store.select_checkpoint(connection, size)
        if row is None:
            return None
        self._origin = note.parse(row["note"]).origin
        return Checkpoint(self._origin, row["size"], row["root"], row["note"])

    async def differs(self, connection: Connection) -> tail.Differs | None:
        """How the database differs from what was signed last, by the head file outside of it; None where it does not.

        Args:
            connection: On the platform.

        Raises:
            TreeBroken: The file or a tile cannot be read.
        """
        if self._head is None:
            return None
        head = await asyncio.to_thread(self._head.read)
        last = await store.select_checkpoint(connection)
        return await tail.differs(connection, head, last["size"] if last else 0)

    async def stands_still(self, connection: Connection) -> bool:
        """Whether nothing more is signed: that it is not what was signed was said, and no tree has taken that entry.

        Args:
            connection: On the platform.
        """
        return await store.differed_waits(connection)

    async def prove(self, connection: Connection, event_id: UUID) -> Proof:
        """Proof that an event is in the ledger, for the latest checkpoint.

        Raises:
            EventNotFound: It is not in this scope.
            NotSequenced: It has no place in the tree yet.
            TreeBroken: Tiles are missing.
        """
        row = await self._row(connection, event_id)
        checkpoint = await self.checkpoint(connection)
        if row["index"] is None or checkpoint is None or checkpoint.size <= row["index"]:
            raise NotSequenced
        path = await self._hashes(connection, merkle.inclusion_ranges(row["index"], checkpoint.size))
        return Proof(event_id, row["leaf"], row["index"], tuple(path), checkpoint)

    async def prove_consistency(self, connection: Connection, first: int, second: int) -> list[bytes]:
        """Hashes that prove that the log of `second` leaves goes on from that of `first` leaves (RFC 6962 2.1.2).

        Raises:
            TreeBroken: Tiles are missing, or there are not that many leaves.
        """
        return await self._hashes(connection, merkle.consistency_ranges(first, second))

    async def tile(self, connection: Connection, level: int, index: int, width: int = tiles.WIDTH) -> bytes | None:
        """A tile as public tools read it (C2SP tlog-tiles), or None where it is not there in this width."""
        content = (await store.select_tiles(connection, [(level, index)])).get((level, index), b"")
        return content[: width * merkle.HASH_BYTES] if len(content) >= width * merkle.HASH_BYTES else None

    async def follow(
        self,
        connection: Connection,
        after: int,
        kinds: Collection[str],
        *,
        window: int = _FEED_WINDOW,
        limit: int = _FEED_WINDOW,
    ) -> Feed:
        """What happened since, in the order of the ledger: the change feed.

        A connection of `troth_app` sees its own scope, one of `troth_sequencer` the whole platform. Nothing is skipped:
        an index is given when the leaf is committed, and all smaller ones are committed by then.

        Args:
            connection: A transaction.
            after: Offset of the last call; -1 to start.
            kinds: Kinds wanted.
            window: How many leaves one call looks at.
            limit: Most events; the offset is then that of the last one.

        Raises:
            OffsetBeyond: The ledger has not come to this offset.
        """
        for kind in kinds:
            vocabulary.require(kind)
        checkpoint = await store.select_checkpoint(connection)
        size = checkpoint["size"] if checkpoint else 0
        if after >= max(size, 0):
            raise OffsetBeyond(hint="Read from the beginning, after -1.")
        end = min(size, after + 1 + window)
        rows = await store.select_feed(connection, after + 1, end, kinds, limit)
        if len(rows) == limit:
            end = rows[-1]["index"] + 1
        return Feed(tuple(columns.event(row) for row in rows), end - 1, end >= size)

    async def arrivals(self, database: Database, heard: Callable[[], None] = lambda: None) -> AsyncIterator[Arrival]:
        """What kinds of things get their place in the tree, in all spaces, as it happens; nothing of what they say.

        Args:
            database: Over a connection of its own to it.
            heard: Called once nothing that comes from now on is missed.

        Raises:
            psycopg.Error: The connection ended; what happens until the next call is missed.
        """
        async for told in database.listen(store.CHANNEL, heard):
            tenant, _, kind = told.partition(" ")
            yield Arrival(None if UUID(tenant) == PLATFORM else UUID(tenant), kind)

    async def verify(
        self, dsn_sequencer: str, *, known: Sequence[str] = (), heed: Callable[[bytes], None] | None = None
    ) -> Verification:
        """Recompute the whole tree from the rows; see `verify.run`.

        Args:
            dsn_sequencer: Connection string of `troth_sequencer`, who sees all tenants.
            known: Signed checkpoints kept outside: they find a log that was rolled back or written anew.
            heed: Is given each leaf in its order, from the snapshot that is verified; in a thread of its own.
        """
        head = None if self._head is None else await asyncio.to_thread(self._head.read)
        return await verify.run(dsn_sequencer, self._sealer, head=head, known=known, heed=heed)

    async def altered_rows(self, database: Database, dsn_sequencer: str) -> list[AlteredRow]:
        """Rows beside the ledger that are not what it says: changed, inserted, deleted, or an older state.

        Args:
            database: As the doors' role.
            dsn_sequencer: Connection string of `troth_sequencer`, who reads the entries of every organisation.
        """
        everybody = Database(dsn_sequencer, min_size=0, max_size=1)
        try:
            return await bound_rows.altered(database, everybody, self._sealer)
        finally:
            await everybody.close()

    async def require_whole(self, connection: Connection, *registers: str) -> None:
        """Refuse to go on where rows of some registers are not what the ledger says; see `rows.require`."""
        await bound_rows.require(connection, self._sealer, registers)

    async def bound(self, connection: Connection, register: str, keys: Sequence[str]) -> dict[str, Bind]:
        """What some rows must be, by the entries of the transaction's space; see `rows.bound`."""
        return await bound_rows.bound(connection, self._sealer, register, keys)

    async def bind_held(self, database: Database, dsn_sequencer: str) -> int:
        """Bind what was held before rows were bound, each register once; may be cut short and gone on with.

        Args:
            database: As the doors' role.
            dsn_sequencer: Connection string of `troth_sequencer`: the ledger is verified first.

        Returns:
            How many rows were bound.

        Raises:
            RowsAltered: The ledger is not what was signed; nothing was bound.
        """

        async def is_sound() -> bool:
            is_remembered = await remembered(dsn_sequencer, self._sealer, self._head)
            return is_remembered and (await self.verify(dsn_sequencer)).is_sound

        return await baseline.bind_held(database, self, is_sound)

    def _rows_of(self, entries: Sequence[Entry], new_ids: Sequence[UUID] | None = None) -> list[tuple[Any, ...]]:
        new_ids = new_ids or self._new_ids(len(entries))
        return [
            columns.written(entry, event_id, self._sealer) for entry, event_id in zip(entries, new_ids, strict=True)
        ]

    def _new_ids(self, count: int) -> list[UUID]:
        """Ids that grow within this process, also within one millisecond, so that lists keep their order."""
        made = []
        with self._id_lock:
            for _ in range(count):
                self._last_id = max(ids.uuid7().int, self._last_id + 1)
                made.append(UUID(int=self._last_id))
        return made

    async def _row(self, connection: Connection, event_id: UUID) -> Row:
        row = await store.select_one(connection, event_id)
        if row is None:
            raise EventNotFound
        return row

    async def _events(self, rows: Sequence[Row]) -> list[Event]:
        if len(rows) > _INLINE_SEALS:
            return await asyncio.to_thread(lambda: [columns.opened(row, self._sealer) for row in rows])
        return [columns.opened(row, self._sealer) for row in rows]

    async def _hashes(self, connection: Connection, ranges: list[merkle.Range]) -> list[bytes]:
        held = await store.select_tiles(connection, tiles.places_for(ranges))
        try:
            return [tiles.subtree_hash(start, end, held) for start, end in ranges]
        except KeyError as fault:
            raise TreeBroken("a tile of the ledger is missing") from fault
