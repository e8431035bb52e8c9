"""The sequencer: gives each committed entry its place in the tree, and signs what the tree has become.

One at a time works: an advisory lock chooses who, and a fencing number, held fast in each transaction, makes sure that
one who lost the lock without noticing cannot write any more. Each step is one transaction: leaves, tiles, subjects'
heads, checkpoint and the emptied queue are there together or not at all, so it may be killed at any point.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from troth.kit.db import Connection, Database, Row
from troth.kit.errors import Unavailable
from troth.ledger import leaf, note, store, tail, tiles
from troth.ledger.errors import CheckpointBroken, Fenced, TreeBroken
from troth.ledger.generation import ORIGIN, origin_of
from troth.ledger.head import Head, HeadFile
from troth.ledger.merkle import leaf_hash
from troth.ledger.sealer import Sealer
from troth.ledger.tiles import Edge

_log = logging.getLogger(__name__)

_Subject = tuple[UUID, UUID]  # tenant, subject


@dataclass
class _Batch:
    """What one step writes."""

    leaves: list[tuple[Any, ...]] = field(default_factory=list)
    heads: dict[_Subject, tuple[int, bytes]] = field(default_factory=dict)
    refused: list[UUID] = field(default_factory=list)
    origin: str = ""  # the new name of the log, where one of the entries gives it


class Sequencer:
    """The single writer of leaves, tiles and checkpoints.

    Args:
        dsn: Connection string of `troth_sequencer`.
        sealer: The keyring that signs checkpoints and knows the codes of entries.
        head: The file that remembers how large the ledger was; without it a tail that was cut off is not noticed.
        poll_seconds: Pause between looks into an empty queue.
        batch_size: Most entries of one step.
    """

    def __init__(
        self,
        dsn: str,
        sealer: Sealer,
        *,
        head: HeadFile | None = None,
        poll_seconds: float = 0.2,
        batch_size: int = 1000,
    ) -> None:
        self._dsn = dsn
        self._database = Database(dsn, min_size=0, max_size=1)
        self._sealer = sealer
        self._head = head
        self._origin = ORIGIN
        self._coded_from = 0
        self._signed: Head | None = None  # not in the file yet
        self._remembered_at = 0.0
        self._poll_seconds = poll_seconds
        self._batch_size = batch_size
        self._lead: Connection | None = None
        self._fence: int | None = None
        self._edge: Edge | None = None
        self._kinds: set[str] = set()  # of the last step

    @property
    def is_leading(self) -> bool:
        """Whether this one took the lead, as far as it knows."""
        return self._fence is not None

    async def run(self, stop: asyncio.Event, tell: Callable[[Collection[str]], None] = lambda kinds: None) -> None:
        """Sequence until told to stop; stand by while another one leads, and wait where the database is away.

        Args:
            stop: Ends it.
            tell: Given the kinds of what was written since the last look; none, each time, where another one leads, as
                it is not known here then.

        Raises:
            TreeBroken: The stored tree is not the one that was signed: it must not be extended.
        """
        try:
            while not stop.is_set():
                count: int | None = 0
                try:
                    count = await self.step()
                    if count != 0:
                        tell(self._kinds if count is not None else ())
                except Fenced:
                    _log.warning("ledger sequencer: another one took over; standing by")
                except (psycopg.OperationalError, psycopg.InterfaceError, Unavailable) as fault:
                    _log.warning("ledger sequencer: the database does not answer (%s)", type(fault).__name__)
                    await self._stand_down()
                if (count or 0) < self._batch_size:
                    await _pause(stop, self._poll_seconds)
        finally:
            await self.close()

    async def step(self) -> int | None:
        """Integrate what waits, one batch at most.

        Returns:
            How many entries got their place; None while another sequencer leads.

        Raises:
            Fenced: Another sequencer took over; nothing was written.
            TreeBroken: The stored tree is not the one that was signed.
        """
        if not await self.lead():
            return None
        try:
            async with self._database.transaction(None) as connection:
                rows = await store.select_pending(connection, self._batch_size)
                done = await self._integrate(connection, rows) if rows else 0
            await self._remember()
            return done
        except BaseException as fault:
            self._edge = None  # what was committed is not known here: read it again
            if isinstance(fault, Fenced):
                await self._stand_down()
            raise

    async def lead(self) -> bool:
        """Take the lead where it is free: compare with the head file, or write the first one.

        Returns:
            Whether this one leads.

        Raises:
            TreeBroken: The stored tree is not the one that was signed.
            CheckpointBroken: Its last checkpoint is not one of ours.
        """
        if self._lead is None or self._lead.closed:
            await self._stand_down()
            self._lead = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, row_factory=dict_row)
        if self._fence is None and await store.try_lead(self._lead):
            async with self._database.transaction(None) as connection:
                fence = await store.raise_fence(connection)
                # Before the number stands: one that is raised at each try would pass the one that is remembered.
                edge = await self._load_edge(connection, fence)
            self._fence, self._edge = fence, edge
        return self._fence is not None

    async def drain(self) -> int:
        """Integrate until nothing waits; for tests and the command line.

        Returns:
            How many entries got their place.
        """
        total = 0
        while count := await self.step():
            total += count
        await self._remember(at_once=True)
        return total

    async def close(self) -> None:
        """Give up the lead and the connections."""
        with contextlib.suppress(
            OSError
        ):  # the next one that leads finds the database ahead of the file, which is well
            await self._remember(at_once=True)
        await self._stand_down()
        await self._database.close()

    async def _stand_down(self) -> None:
        self._fence, self._edge = None, None
        if self._lead is not None:
            lead, self._lead = self._lead, None
            await lead.close()

    async def _integrate(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Write the leaves of some entries, and all that follows from them, in one transaction."""
        if self._fence is None or await store.lock_fence(connection) != self._fence:
            raise Fenced
        if self._edge is None:
            self._edge = await self._load_edge(connection, self._fence)
        edge, previous = self._edge, self._edge.size
        fresh = [row for row in rows if row["taken"] is None]
        self._kinds = {row["kind"] for row in fresh}
        subjects = {(row["tenant"], row["subject_id"]) for row in fresh if row["subject_id"] is not None}
        heads = await store.select_heads(connection, subjects)
        batch = await asyncio.to_thread(_sequence, fresh, edge, heads, self._sealer, self._coded_from)
        for event_id in batch.refused:
            _log.error("an entry that the platform did not write was put into the ledger's table: %s", event_id)
        self._origin = batch.origin or self._origin
        if batch.leaves:
            await store.insert_leaves(connection, batch.leaves)
            await store.upsert_heads(connection, batch.heads)
            await store.upsert_tiles(connection, edge.take_changed())
            checkpoint = note.sign(self._origin, edge.size, edge.root(), self._sealer)
            await store.insert_checkpoint(connection, checkpoint, previous, self._fence)
            self._signed = Head(checkpoint.size, checkpoint.root, self._fence, self._coded_from, checkpoint.note)
            await store.announce(connection, {(row["tenant"], row["kind"]) for row in fresh})
        await store.delete_pending(connection, [row["seq"] for row in rows])
        return len(rows)

    async def _load_edge(self, connection: Connection, fence: int) -> Edge:
        """The right edge of the tree that was signed last.

        Raises:
            TreeBroken: Leaves, tiles and checkpoint do not fit, or the ledger is smaller than it was.
        """
        last = await store.select_checkpoint(connection)
        size = last["size"] if last else 0
        self._origin = ORIGIN
        try:
            edge = Edge(size, await store.select_tiles(connection, tiles.edge_places(size)))
        except KeyError as fault:
            raise TreeBroken("a tile of the ledger is missing") from fault
        if await store.select_leaf_count(connection) != size:
            raise TreeBroken("the ledger's leaves are not as many as its last checkpoint says")
        if last is not None:
            signed = note.open_own(last["note"], self._sealer.public_key)
            if (signed.size, signed.root) != (size, edge.root()):
                raise TreeBroken
            self._origin = signed.origin
        await self._compare(connection, size, fence)
        return edge

    async def _compare(self, connection: Connection, size: int, fence: int) -> None:
        """Compare the tree with what the head file remembers.

        Raises:
            TreeBroken: It is smaller, or another one; or the file is gone.
        """
        head = None if self._head is None else await asyncio.to_thread(self._head.read)
        if self._head is None:
            return
        if head is not None:
            self._coded_from = head.coded_from
        if found := await tail.differs(connection, head, size, fence):
            raise TreeBroken(found.sentence)
        if head is None:  # what an earlier program wrote has no codes; nothing of ours is without from now on
            self._coded_from = size + await store.count_uncoded(connection)
            root = await tail.root_at(connection, size)
            await asyncio.to_thread(self._head.write, Head(size, root, fence, self._coded_from))

    async def _remember(self, *, at_once: bool = False) -> None:
        """Write into the head file what was signed last, at most once a second."""
        signed, now = self._signed, time.monotonic()
        if self._head is None or signed is None or not (at_once or now - self._remembered_at >= 1):
            return
        await asyncio.to_thread(self._head.write, signed)
        self._signed, self._remembered_at = None, now


async def remembered(dsn: str, sealer: Sealer, head: HeadFile | None) -> bool:
    """Whether the tree is the one that the head file remembers; where nothing ever wrote the file, it is written.

    The first file says where the entries with codes begin. After an update from a program that made none, it has to be
    there before the ledger is verified, and the worker that sequences comes up later.

    Args:
        dsn: Connection string of `troth_sequencer`.
        sealer: As of the sequencer.
        head: The file.
    """
    sequencer = Sequencer(dsn, sealer, head=head)
    try:
        await sequencer.lead()
    except (TreeBroken, CheckpointBroken):
        return False
    finally:
        await sequencer.close()
    return True


def _sequence(
    rows: Sequence[Row], edge: Edge, heads: dict[_Subject, tuple[int, bytes]], sealer: Sealer, coded_from: int
) -> _Batch:
    """Give each row the next index and the next number of its subject, and add its leaf to the tree.

    What the platform did not write gets no leaf, so nothing is signed that somebody with the database alone made up.
    """
    batch = _Batch()
    for row in rows:
        if (row["v"] > 1 or edge.size >= coded_from) and not leaf.is_coded(row, sealer):
            batch.refused.append(row["id"])
            continue
        batch.origin = origin_of(row) or batch.origin
        subject = (row["tenant"], row["subject_id"])
        seq: int | None = None
        before: bytes | None = None
        if row["subject_id"] is not None:
            held, before = batch.heads.get(subject) or heads.get(subject) or (0, None)
            seq = held + 1
        index = edge.size
        content = leaf.canonical(leaf.fields(row, index, seq, before))
        hashed = leaf_hash(content)
        edge.append(hashed)
        if seq is not None:
            batch.heads[subject] = (seq, hashed)
        batch.leaves.append((index, row["tenant"], row["id"], row["subject_id"], seq, before, content, hashed))
    return batch


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
