"""Verification: the whole tree recomputed from the rows, in one snapshot, with flat memory.

What was signed is the judge. Tiles hold the hashes that were signed, so a row that differs from its tile is named and
the others are not blamed; whether the tiles themselves are those that were signed, the checkpoints' roots tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

from troth.kit.db import Connection, Database, Row
from troth.ledger import leaf, note, store, tiles
from troth.ledger.errors import CheckpointBroken
from troth.ledger.generation import BEFORE, Generation, generation
from troth.ledger.head import NAME, Head
from troth.ledger.merkle import HASH_BYTES, Frontier, leaf_hash
from troth.ledger.model import Broken, Verification
from troth.ledger.note import Checkpoint
from troth.ledger.sealer import Sealer
from troth.ledger.tiles import WIDTH, Edge, Place

_WINDOW = 8 * WIDTH  # leaves held in memory at a time
_MOST_BROKEN = 1000  # named; more are only said to be there
_MOST_SIGNATURES = 1000  # 160 us each


async def run(
    dsn: str,
    sealer: Sealer,
    *,
    head: Head | None = None,
    known: Sequence[str] = (),
    heed: Callable[[bytes], None] | None = None,
) -> Verification:
    """Recompute the tree and compare it with everything that was signed.

    Found and named: an entry or leaf that was changed, removed, inserted or moved; a tile or checkpoint that was
    changed; a log that was cut back below a checkpoint; broken chains of subjects; an entry that the platform did not
    write. A log cut back together with all its checkpoints is found by the head file, and where that was written anew
    too, only with a checkpoint kept outside (`known`).

    Args:
        dsn: Connection string of `troth_sequencer`, who sees all tenants.
        sealer: The keyring that signed the checkpoints and coded the entries.
        head: What the head file says, where there is one.
        known: Signed checkpoints kept outside.
        heed: Is given each leaf in its order, from the same snapshot; in a thread of its own.
    """
    database = Database(dsn, min_size=0, max_size=1)
    try:
        async with database.transaction(None) as connection:
            await store.take_snapshot(connection)
            return await _Verifier(connection, sealer, head, heed).verdict(known)
    finally:
        await database.close()


@dataclass
class _Verifier:
    connection: Connection
    sealer: Sealer
    head: Head | None = None
    heed: Callable[[bytes], None] | None = None
    size: int = 0
    leaves: int = 0
    checkpoints: int = 0
    signatures: int = 0
    broken: list[Broken] = field(default_factory=list)
    is_cut: bool = False
    is_diverged: bool = False
    _generations: list[Generation] = field(default_factory=list)
    _previous: int = 0
    _stride: int = 1
    _committed: Edge = field(default_factory=Edge)  # from the tiles
    _recomputed: Frontier = field(default_factory=Frontier)  # from the rows

    async def verdict(self, known: Sequence[str]) -> Verification:
        self.size = await self._signed_size()
        self._stride = 1 + await store.count_checkpoints(self.connection) // _MOST_SIGNATURES
        self._generations = [generation(row) for row in await store.select_generations(self.connection)]
        kept = self._kept(known)
        if self.head is not None:
            self._remembered(self.head, kept)
        for first in range(0, self.size, _WINDOW):
            await self._window(first, min(first + _WINDOW, self.size), kept)
        await self._beyond()
        await self._subjects()
        return Verification(
            size=self.leaves,
            root=self._recomputed.root(),
            checkpoints=self.checkpoints,
            signatures=self.signatures,
            pending=await store.count_pending(self.connection),
            broken=tuple(self.broken),
            is_cut=self.is_cut,
        )

    async def _signed_size(self) -> int:
        """Size of the largest checkpoint whose signature holds; those above it are named."""
        below: int | None = None
        while rows := await store.select_last_checkpoints(self.connection, below):
            for row in rows:
                below = row["size"]
                try:
                    if note.open_own(row["note"], self.sealer.public_key).size == below:
                        return below
                    self._name(None, None, f"checkpoint {below}: changed: size")
                except CheckpointBroken as fault:
                    self._name(None, None, f"checkpoint {below}: {fault.detail}")
        return 0

    def _remembered(self, head: Head, kept: dict[int, tuple[bytes, str]]) -> None:
        """Compare with the head file; its root is compared when the tree has come to its size."""
        if head.size > self.size:
            self._name(None, None, f"cut: {head.size} entries were signed, {self.size} are there ({NAME})")
        elif head.size:
            kept.setdefault(head.size, (head.root, f"in {NAME}"))

    def _kept(self, known: Sequence[str]) -> dict[int, tuple[bytes, str]]:
        """Roots by size from checkpoints kept outside, and what they are called."""
        kept: dict[int, tuple[bytes, str]] = {}
        for text in known:
            try:
                checkpoint = note.open_own(text, self.sealer.public_key)
            except CheckpointBroken as fault:
                self._name(None, None, f"a checkpoint kept outside does not count: {fault.detail}")
                continue
            if (lost := self._lost(checkpoint)) is not None:
                self._name(None, None, lost)
            elif checkpoint.size > self.size:
                what = f"rolled back: {checkpoint.size} leaves were signed once, now the log has {self.size}"
                self._name(None, None, what)
            elif kept.setdefault(checkpoint.size, (checkpoint.root, "kept outside"))[0] != checkpoint.root:
                self._name(None, None, f"two different logs of {checkpoint.size} leaves were signed")
        return kept

    def _lost(self, checkpoint: Checkpoint) -> str | None:
        """What a restore lost of what a checkpoint signed; None where it lost nothing of it."""
        names = [BEFORE, *self._generations]
        for one, after in pairwise(names):
            if one.origin == checkpoint.origin and checkpoint.size > after.ends:
                return (
                    f"entries {after.ends} to {checkpoint.size - 1} were lost when the platform was restored:"
                    f" entry {after.index} says so"
                )
        return (
            None
            if any(one.origin == checkpoint.origin for one in names)
            else (f"a checkpoint kept outside does not count: this log was never called {checkpoint.origin}")
        )

    def _origin_at(self, size: int) -> str:
        """What the log is called in a checkpoint of so many leaves."""
        return next((one.origin for one in reversed(self._generations) if one.index < size), BEFORE.origin)

    async def _window(self, first: int, end: int, kept: Mapping[int, tuple[bytes, str]]) -> None:
        rows = await store.select_leaves(self.connection, first, end)
        places = [(0, index) for index in range(first // WIDTH, (end - 1) // WIDTH + 1)]
        held = await store.select_tiles(self.connection, places)
        signed = await store.select_checkpoints(self.connection, first, end)
        await asyncio.to_thread(self._leaves, first, end, rows, held, {row["size"]: row for row in signed}, kept)
        upper = [tile for tile in self._committed.take_changed() if tile.level > 0]
        stored = await store.select_tiles(self.connection, [(tile.level, tile.index) for tile in upper])
        for tile in upper:
            if not stored.get((tile.level, tile.index), b"").startswith(tile.content):
                self._name(None, None, f"changed: {tiles.path_of(tile)}")

    def _leaves(
        self,
        first: int,
        end: int,
        rows: Sequence[Row],
        held: Mapping[Place, bytes],
        signed: Mapping[int, Row],
        kept: Mapping[int, tuple[bytes, str]],
    ) -> None:
        """Compare the rows of a window one by one, and the roots wherever one was signed."""
        by_index = {row["index"]: row for row in rows}
        for index in range(first, end):
            row = by_index.get(index)
            in_tile = held.get((0, index // WIDTH), b"")[index % WIDTH * HASH_BYTES :][:HASH_BYTES]
            in_row = self._leaf(index, row, in_tile)
            self.leaves += row is not None
            if row is not None and self.heed is not None:
                self.heed(bytes(row["leaf"]))
            self._committed.append(in_tile if len(in_tile) == HASH_BYTES else in_row)
            self._recomputed.append(in_row)
            size = index + 1
            if size in signed:
                self._checkpoint(signed[size])
            if size in kept:
                self._compare(size, *kept[size])

    def _leaf(self, index: int, row: Row | None, in_tile: bytes) -> bytes:
        """Check one leaf; gives the hash that the rows now lead to."""
        if len(in_tile) < HASH_BYTES:
            self._name(index, row["entry_id"] if row else None, "the tile does not hold it")
        if row is None:
            self._name(index, None, "removed: the leaf is gone")
            return in_tile.ljust(HASH_BYTES, b"\0")
        if row["id"] is None:
            self._name(index, row["entry_id"], "removed: the entry is gone")
            hashed = leaf_hash(row["leaf"])
        else:
            found = leaf.check(row)
            for broken in found:
                self._name(broken.index, broken.event_id, broken.what)
            has_code = row["v"] > 1 or index >= (self.head.coded_from if self.head is not None else 0)
            if not found and has_code and not leaf.is_coded(row, self.sealer):
                self._name(index, row["id"], "not written by the platform: its code is another one")
            if row["leaf_subject_id"] != row["subject_id"]:
                self._name(index, row["id"], "changed: subject_id of the leaf")
            hashed = row["leaf_hash"]  # where nothing was found, that of the leaf that the row gives
            if found:
                now = leaf.fields(row, row["index"], row["subject_seq"], row["subject_prev"])
                hashed = leaf_hash(leaf.canonical(now))
        if in_tile and hashed != in_tile and leaf_hash(row["leaf"]) != in_tile:
            self._name(index, row["entry_id"], "rewritten: the leaf is not the one in the tile")
        return hashed

    def _checkpoint(self, row: Row) -> None:
        """Check one checkpoint: text, place in the row of checkpoints, root, and of a sample the signature."""
        size = row["size"]
        try:
            checkpoint = self._opened(row)
        except CheckpointBroken as fault:
            self._name(None, None, f"checkpoint {size}: {fault.detail}")
            return
        if row["previous"] != self._previous:
            self._name(None, None, f"checkpoint {size}: the one before it, of {row['previous']} leaves, is gone")
        if (checkpoint.size, checkpoint.root) != (size, row["root"]):
            self._name(None, None, f"checkpoint {size}: changed: size or root")
        if checkpoint.origin != self._origin_at(size):
            self._name(None, None, f"checkpoint {size}: signed under another name")
        self._compare(size, checkpoint.root, "signed")
        self.checkpoints += 1
        self._previous = size

    def _opened(self, row: Row) -> Checkpoint:
        if self.checkpoints % self._stride and row["size"] != self.size:
            return note.parse(row["note"])
        self.signatures += 1
        return note.open_own(row["note"], self.sealer.public_key)

    def _compare(self, size: int, root: bytes, origin: str) -> None:
        """Compare a signed root with what tiles and rows lead to; the first difference is named."""
        if self.is_diverged:
            return
        committed, recomputed = self._committed.root() == root, self._recomputed.root() == root
        if not committed:
            self.is_diverged = True
            what = "the tiles were changed, the rows were not" if recomputed else "rows and tiles were changed"
            self._name(
                None, None, f"checkpoint {size}: the root {origin} is another one: {what} since {self._previous}"
            )

    async def _beyond(self) -> None:
        """What is there though no checkpoint covers it."""
        for row in await store.select_leaves_beyond(self.connection, self.size, _MOST_BROKEN):
            self._name(
                row["index"],
                row["entry_id"],
                "beyond the last signed checkpoint: that was rolled back, or the leaf added",
            )
            self.leaves += 1
        for row in await store.select_tiles_beyond(self.connection, self.size, _MOST_BROKEN):
            self._name(None, None, f"beyond the last signed checkpoint: tile {row['level']}/{row['index']}")
        for row in await store.select_unsequenced(self.connection, _MOST_BROKEN):
            self._name(None, row["id"], "inserted: the entry is in no leaf")
        for row in await store.select_orphans(self.connection, _MOST_BROKEN):
            self._name(None, row["entry_id"], "removed: the entry is gone")

    async def _subjects(self) -> None:
        for row in await store.select_broken_links(self.connection, _MOST_BROKEN):
            self._name(row["index"], row["entry_id"], "does not follow the leaf of its subject before it")
        for row in await store.select_broken_heads(self.connection, _MOST_BROKEN):
            what = f"subject {row['subject_id']}: {row['held']} entries counted, {row['subject_seq']} found"
            self._name(None, None, what)

    def _name(self, index: int | None, event_id: UUID | None, what: str) -> None:
        if len(self.broken) < _MOST_BROKEN:
            self.broken.append(Broken(index, event_id, what))
        else:
            self.is_cut = True
