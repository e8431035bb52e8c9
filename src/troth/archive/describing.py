"""What is told of the instances of an open study, pixels apart: from what is kept ready-made, or from their heads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from troth import dicom
from troth.archive import ready
from troth.archive.model import InstanceRecord, Row
from troth.vault import KeyRef, Keyring, SealBroken

_MOST_TAIL_BYTES = 4 << 20  # the scanner takes no longer one


class Source(Protocol):
    """What a description reads of a viewing."""

    async def described_rows(self, series_uid: str | None) -> list[Row]:
        """The series with their versions, and what is kept of them ready-made."""

    async def keep_described(self, kept: Sequence[Kept]) -> None:
        """Keep what was made."""

    async def instances(self, series_uid: str | None = None, instance_uid: str | None = None) -> list[InstanceRecord]:
        """Instances."""

    async def heads(self, instances: Sequence[InstanceRecord]) -> list[bytes]:
        """Their heads."""

    def writing_turn(self) -> AbstractAsyncContextManager[None]:
        """A turn at writing a piece of what is large."""

    def head_pieces(self, instance: InstanceRecord) -> AsyncIterator[bytes]:
        """The head of one, piece by piece."""

    async def tail(self, instance: InstanceRecord) -> bytes:
        """The elements after the bulk value of one."""

    def advice(self, instance: InstanceRecord) -> str:
        """What one is called that a program made; else empty."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is to be kept of a series."""

    series_id: UUID
    version: bytes
    sealed: bytes


#: DICOM JSON of one instance: whole, or in pieces where it is large.
Told = bytes | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Description:
    """What is told of some instances of a study.

    Attributes:
        version: Changes when any of the instances does.
        tell: Makes DICOM JSON of each instance, for the address under which the reader finds `/studies`.
    """

    version: bytes
    tell: Callable[[str], Awaitable[list[Told]]]


async def of_instance(source: Source, study_uid: str, instance: InstanceRecord) -> Description:
    """Describe one instance.

    Args:
        source: The viewing.
        study_uid: StudyInstanceUID.
        instance: The instance.
    """

    async def tell(base: str) -> list[Told]:
        if ready.is_large([instance]):
            return [_pieces(source, study_uid, instance, base)]
        return [*ready.told(await _made(source, study_uid, [instance]), base)]

    return Description(ready.version_of([instance.head_locator]), tell)


async def of_series(
    source: Source, keyring: Keyring, key: KeyRef, study_uid: str, series_uid: str | None
) -> Description | None:
    """Describe all instances of a study or of one series, in the order of series and instance numbers.

    Args:
        source: The viewing.
        keyring: The keyring.
        key: The study's key.
        study_uid: StudyInstanceUID.
        series_uid: The series; None for all.

    Returns:
        None where there is no such series.
    """
    rows = await source.described_rows(series_uid)
    if not rows:
        return None

    async def tell(base: str) -> list[Told]:
        answers: list[Told] = []
        new: list[Kept] = []
        for row in rows:
            answer = await _kept(keyring, key, row)
            if answer is None:
                instances = await source.instances(row["series_uid"])
                if ready.is_large(instances):
                    answers += [_pieces(source, study_uid, one, base) for one in instances]
                    continue
                answer = await _made(source, study_uid, instances)
                version = ready.version_of(one.head_locator for one in instances)
                kept = await asyncio.to_thread(ready.sealed, keyring, key, row["id"], version, answer)
                if kept is not None:
                    new.append(Kept(row["id"], version, kept))
            answers += ready.told(answer, base)
        if new:
            await source.keep_described(new)
        return answers

    return Description(ready.version_of(row["version"] for row in rows), tell)


async def _pieces(source: Source, study_uid: str, instance: InstanceRecord, base: str) -> AsyncIterator[bytes]:
    advice = source.advice(instance)
    written = ready.transcript(study_uid, instance, base, advice)
    async for chunk in source.head_pieces(instance):
        async with source.writing_turn():  # never while a reader is waited for
            piece = await asyncio.to_thread(written.feed, chunk)
        yield piece
    tail = await source.tail(instance)
    async with source.writing_turn():
        piece = await asyncio.to_thread(ready.finish, written, tail, advice)
    yield piece


async def _kept(keyring: Keyring, key: KeyRef, row: Row) -> bytes | None:
    if row["sealed"] is None:
        return None
    try:
        return ready.opened(keyring, key, row["id"], row["version"], row["sealed"])
    except SealBroken:
        return None  # whoever altered it gains nothing: the heads are read instead, and it is written anew


async def _made(source: Source, study_uid: str, instances: Sequence[InstanceRecord]) -> bytes:
    heads = await source.heads(instances)
    tails = [await source.tail(one) for one in instances]
    advices = [source.advice(one) for one in instances]
    return await asyncio.to_thread(ready.made, study_uid, instances, heads, tails, advices)


async def tail_of(instance: InstanceRecord, read: Callable[[int, int], Awaitable[bytes]]) -> bytes:
    """The elements after the bulk value, which lie behind it in the bulk bytes.

    Args:
        instance: The instance.
        read: Reads a range of its bulk bytes.
    """
    if instance.bulk_locator is None:
        return b""
    if instance.bulk_length is not None:
        start = instance.bulk_length
    else:
        start = await _end_of_fragments(instance, read)
    if start >= instance.bulk_bytes or instance.bulk_bytes - start > _MOST_TAIL_BYTES:
        return b""
    return await read(start, instance.bulk_bytes)


async def _end_of_fragments(instance: InstanceRecord, read: Callable[[int, int], Awaitable[bytes]]) -> int:
    """Where the delimiter of an encapsulated value ends."""
    if instance.frame_table:
        table = dicom.FrameTable.from_bytes(instance.frame_table)
        if table.starts:
            return table.starts[-1] + table.lengths[-1] + 8
    fragments = dicom.Fragments(1 << 20)
    while not fragments.is_closed:
        wanted = fragments.wanted_bytes
        if not wanted:
            fragments.skip()
            continue
        piece = await read(fragments.length, min(fragments.length + wanted, instance.bulk_bytes))
        if not piece:
            return instance.bulk_bytes
        fragments.feed(piece)
    return fragments.length
