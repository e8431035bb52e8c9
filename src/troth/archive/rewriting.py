"""The heads of a study, written anew for one correction; memory flat but for where each lies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from troth import dicom
from troth.archive import sealing
from troth.archive.checked import checked, checked_whole
from troth.archive.coercing import Change, is_behind, rewritten
from troth.archive.correcting_store import Swap
from troth.archive.model import InstanceRecord, Row
from troth.archive.records import instance_record, open_record
from troth.archive.sealing import InstanceSecrets
from troth.vault import KeyRef, Keyring, Packs, SealedObject

_HEADS_AT_ONCE: Final = 32
_BYTES_AT_ONCE: Final = 8 << 20
_MOST_TOLD: Final = 8


@dataclass(frozen=True, slots=True)
class _Read:
    """One instance, its head open."""

    record: InstanceRecord
    secrets: InstanceSecrets
    head: bytes = field(repr=False)
    tail: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one head said that is corrected, and what replaces it; None where it says all of it already."""

    said: tuple[tuple[int, str], ...] = field(repr=False)
    swap: Swap | None = None


class Rewriting:
    """New heads of one study, by the heads that they replace.

    Args:
        keyring: Opens and seals the secrets of instances.
        packs: Where heads are and go.
        change: What each instance is to say.
    """

    def __init__(self, keyring: Keyring, packs: Packs, change: Change) -> None:
        self._keyring = keyring
        self._packs = packs
        self._seen: dict[bytes, _Seen] = {}
        self.change = change

    def missing(self, rows: Sequence[Row]) -> list[Row]:
        """Instances for whose head nothing is prepared."""
        return [row for row in rows if row["head_locator"] not in self._seen]

    def swaps(self, rows: Sequence[Row]) -> list[Swap]:
        """What these instances get, those that say all of it already left out."""
        there = [self._seen[row["head_locator"]] for row in rows]
        return [seen.swap for seen in there if seen.swap is not None]

    def keep(self, swaps: Sequence[Swap]) -> None:
        """These are in force: their new objects stay."""
        for swap in swaps:
            self._seen[swap.head_before] = _Seen(self._seen[swap.head_before].said)

    def written(self) -> list[bytes]:
        """Where the objects lie that were written and are not in force."""
        return [locator for seen in self._seen.values() if seen.swap is not None for locator in seen.swap.new]

    def differing(self, rows: Sequence[Row]) -> int:
        """How many of these instances say otherwise."""
        return sum(1 for row in rows if self._seen[row["head_locator"]].said)

    def before(self, rows: Sequence[Row]) -> dict[int, dict[str, int]]:
        """What these instances said, with how many said it, by tag; of many different texts only some."""
        found: dict[int, dict[str, int]] = {}
        for seen in (self._seen[row["head_locator"]] for row in rows):
            for tag, text in seen.said:
                said = found.setdefault(tag, {})
                if text in said or len(said) < _MOST_TOLD:
                    said[text] = said.get(text, 0) + 1
        return found

    async def look(self, key: KeyRef, rows: Sequence[Row]) -> None:
        """See what instances say, and write nothing.

        Args:
            key: The study's key.
            rows: Its instances.
        """
        async for batch in self._read(key, rows):
            for one, seen in zip(batch, await asyncio.to_thread(self._said, batch), strict=True):
                self._seen[one.record.head_locator] = seen

    async def prepare(self, key: KeyRef, rows: Sequence[Row]) -> None:
        """Write new heads for the instances that are missing; not durable before `Packs.sync`.

        Raises:
            troth.dicom.CannotCorrect: An instance cannot hold the new values.
            troth.vault.SealBroken: An instance cannot be read.
            StoredBytesBroken: An instance is not what was stored.
        """
        async for batch in self._read(key, self.missing(rows)):
            await self._rewrite(key, batch)

    async def _read(self, key: KeyRef, rows: Sequence[Row]) -> AsyncIterator[list[_Read]]:
        batch: list[_Read] = []
        size = 0
        for row in rows:
            record = instance_record(row)
            secrets = open_record(self._keyring, key, record)
            head = await self._packs.read(record.head_locator, secrets.head_key)
            await checked_whole(head, secrets.head_sha256)
            tail = b""
            if is_behind(record.bulk_tag) and record.bulk_locator is not None and record.bulk_length is not None:
                tail = await self._packs.read(record.bulk_locator, secrets.bulk_key, record.bulk_length)
            batch.append(_Read(record, secrets, head, tail))
            size += len(head) + len(tail)
            if len(batch) >= _HEADS_AT_ONCE or size >= _BYTES_AT_ONCE:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _said(self, batch: Sequence[_Read]) -> list[_Seen]:
        seen = []
        for one in batch:
            header = dicom.reopen(one.head, one.record.syntax)
            differing = self.change.differing(header)
            seen.append(_Seen(tuple((tag, header.values.get(tag, "").strip()) for tag in differing)))
        return seen

    async def _rewrite(self, key: KeyRef, batch: Sequence[_Read]) -> None:
        seen, heads, tails = await asyncio.to_thread(self._written, batch)
        for one, said, head, tail in zip(batch, seen, heads, tails, strict=True):
            swap = None
            if head is not None:
                bulk = await self._bulk(one, tail) if tail != one.tail else None
                swap = self._swap(key, one, head, bulk)
            self._seen[one.record.head_locator] = _Seen(said.said, swap)

    def _written(self, batch: Sequence[_Read]) -> tuple[list[_Seen], list[SealedObject | None], list[bytes]]:
        seen, made = self._said(batch), []
        for one in batch:
            made.append(self.change.applied(dicom.reopen(one.head, one.record.syntax), one.tail))
        changed = [head for head, _ in filter(None, made)]
        writers = [self._packs.writer() for _ in changed]
        try:
            for writer, head in zip(writers, changed, strict=True):
                writer.feed(head)
            sealed = iter(self._packs.finish(writers) if writers else ())
        except BaseException:
            for writer in writers:
                writer.abort()
            raise
        heads = [next(sealed) if one is not None else None for one in made]
        return seen, heads, [one[1] if one is not None else read.tail for one, read in zip(made, batch, strict=True)]

    async def _bulk(self, one: _Read, tail: bytes) -> SealedObject:
        record = one.record
        assert record.bulk_locator is not None
        assert record.bulk_length is not None
        stream = checked(self._packs.stream(record.bulk_locator, one.secrets.bulk_key), one.secrets.bulk_sha256)
        return await rewritten(self._packs, stream, record.bulk_length, tail)

    def _swap(self, key: KeyRef, one: _Read, head: SealedObject, bulk: SealedObject | None) -> Swap:
        record = one.record
        locators = [head.locator]
        bulk_locator, bulk_bytes, old, new = (
            record.bulk_locator,
            record.bulk_bytes,
            [record.head_locator],
            [head.locator],
        )
        if bulk is not None and record.bulk_locator is not None:
            old.append(record.bulk_locator)
            new.append(bulk.locator)
            bulk_locator, bulk_bytes = bulk.locator, bulk.length_bytes
        if bulk_locator is not None:
            locators.append(bulk_locator)
        secrets = one.secrets.corrected(head, bulk)
        return Swap(
            instance_id=record.id,
            head_before=record.head_locator,
            head_locator=head.locator,
            head_bytes=head.length_bytes,
            bulk_locator=bulk_locator,
            bulk_bytes=bulk_bytes,
            sealed=sealing.seal_instance(self._keyring, key, record.id, locators, secrets),
            length_change=head.length_bytes + bulk_bytes - record.length_bytes,
            old=tuple(old),
            new=tuple(new),
        )
