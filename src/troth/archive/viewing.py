"""One person looking at one study: what is read goes through here, and stops when the permit does."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from troth import dicom
from troth.archive import advice, attributes, describing
from troth.archive.bulk_values import BulkValue, joined
from troth.archive.checked import checked, checked_whole
from troth.archive.describing import Description
from troth.archive.errors import NoPixels, StoredBytesBroken, StudyChanged, StudyNotFound, VideoHasNoFrames
from troth.archive.frames import StoredFrame, found_table, stored_frame
from troth.archive.model import InstanceRecord, Row, SeriesRecord, StudySummary, Verified
from troth.archive.painter import Frames, Head, Painter
from troth.archive.records import instance_record, open_record, series_record
from troth.archive.sealing import InstanceSecrets
from troth.kit import clock
from troth.kit.turns import Turns
from troth.policy import Permit
from troth.vault import KeyRef, Keyring, Packs, SealBroken

CHECK_EVERY = timedelta(seconds=1)
LASTS = timedelta(minutes=5)
_LARGE_HEAD_BYTES = 1 << 20
_LARGEST_UNMAPPED = 256 << 20


class Shelf(Protocol):
    """What a viewing needs of the archive."""

    keyring: Keyring
    packs: Packs
    painter: Painter
    writing: Turns

    async def series_rows(self, permit: Permit, study_id: UUID) -> list[Row]:
        """Series of a study."""

    async def instance_rows(
        self, permit: Permit, study_id: UUID, series_uid: str | None, instance_uid: str | None
    ) -> list[Row]:
        """Instances of a study, a series or one."""

    async def described_rows(self, permit: Permit, study_id: UUID, series_uid: str | None) -> list[Row]:
        """Series with the versions of what they hold, and what is kept ready-made of them."""

    async def keep_described(self, permit: Permit, kept: Sequence[describing.Kept]) -> None:
        """Keep what was made ready."""

    async def decide_again(self, permit: Permit, study_uid: str) -> Permit:
        """A fresh permit for the same, or `PermitDenied`."""

    async def record_opened(self, permit: Permit, study: StudySummary, recipient: str = "") -> UUID:
        """Write into the ledger that a study is about to be seen."""

    async def record_closed(self, permit: Permit, study: StudySummary, counts: dict[str, int]) -> None:
        """Write into the ledger what was seen."""

    async def record_broken(self, permit: Permit, study: StudySummary, instance_id: UUID, what: str) -> None:
        """Remember that an instance is not what was stored."""


class Viewing:
    """An open study. Made by `Archive.open_study`, after the ledger holds who is about to see what and why.

    Every method decides anew when the last decision is more than a second old, streams included, so that the end of
    a session, a role, a consent or of the study itself is felt at once.

    Attributes:
        study: The study with its attributes.
        event_id: The entry of the ledger.
        recipient: Who is sent to, where the actor does not look itself.
        opened_at: When; after five minutes the next check writes a new entry.
    """

    def __init__(
        self, shelf: Shelf, permit: Permit, study: StudySummary, key: KeyRef, event_id: UUID, recipient: str = ""
    ) -> None:
        self._shelf = shelf
        self._key = key
        self._lock = asyncio.Lock()
        self._checked_at: datetime = clock.now()
        self._counts = _no_counts()
        self._is_closed = False
        self._instances: dict[str, InstanceRecord] = {}
        self._touched: set[str] = set()
        self.permit = permit
        self.study = study
        self.event_id = event_id
        self.recipient = recipient
        self.opened_at = self._checked_at

    @property
    def is_over(self) -> bool:
        """Whether it was closed or is older than a permit may cover."""
        return self._is_closed or clock.now() - self.opened_at >= LASTS

    def covers(self, permit: Permit) -> bool:
        """Whether a permit is for the study, actor and purpose whose looking is in the ledger already."""
        return (
            not self.is_over
            and permit.target.kind == "study"
            and permit.target.id == self.study.id
            and permit.actor == self.permit.actor
            and permit.purpose == self.permit.purpose
        )

    async def check(self) -> None:
        """Decide again when the last decision is more than a second old.

        Raises:
            PermitDenied: It is not allowed any more.
            StudyNotFound: The study is gone, or the viewing was closed.
        """
        if self._is_closed:
            raise StudyNotFound
        if clock.now() - self._checked_at <= CHECK_EVERY:
            return
        async with self._lock:
            if clock.now() - self._checked_at <= CHECK_EVERY:
                return
            before, self.permit = self.permit, await self._shelf.decide_again(self.permit, self.study.study_uid)
            if self.permit.grounds != before.grounds or clock.now() - self.opened_at >= LASTS:
                await self._renew()  # another clause or instruction allows it now: the ledger names that one
            self._checked_at = clock.now()

    async def close(self) -> None:
        """End the viewing and write what was seen. May be repeated."""
        if not self._is_closed:
            self._is_closed = True
            await self._shelf.record_closed(self.permit, self.study, self._counts)

    async def series(self) -> list[SeriesRecord]:
        """The series of the study in the order of their numbers."""
        await self.check()
        rows = await self._shelf.series_rows(self.permit, self.study.id)
        return [series_record(self._shelf.keyring, self._key, row) for row in rows]

    async def instances(self, series_uid: str | None = None, instance_uid: str | None = None) -> list[InstanceRecord]:
        """Instances of the study, of a series, or one, in the order of series and instance numbers.

        Raises:
            StudyNotFound: A series or an instance was named and there is none.
        """
        await self.check()
        rows = await self._shelf.instance_rows(self.permit, self.study.id, series_uid, instance_uid)
        if not rows:
            raise StudyNotFound
        return [instance_record(row) for row in rows]

    async def instance(self, instance_uid: str, series_uid: str | None = None) -> InstanceRecord:
        """One instance; remembered for the length of the viewing.

        Raises:
            StudyNotFound: There is none, or it is of another series.
        """
        await self.check()
        record = self._instances.get(instance_uid)
        if record is None:
            (record,) = await self.instances(None, instance_uid)
            self._instances[instance_uid] = record
            if record.series_uid in self._touched:
                # A second one of the series: somebody scrolls through it, and the others come next.
                for one in await self.instances(record.series_uid):
                    self._instances.setdefault(one.instance_uid, one)
            self._touched.add(record.series_uid)
        if series_uid is not None and record.series_uid != series_uid:
            raise StudyNotFound
        return record

    async def part10(self, instance: InstanceRecord) -> AsyncIterator[bytes]:
        """An instance as a DICOM file: our preamble and file meta, then the dataset as it was stored.

        Per: DICOM PS3.10 7.1.
        """
        await self.check()
        front = dicom.part10(instance.sop_class, instance.instance_uid, instance.syntax)
        if instance.head_bytes > _LARGE_HEAD_BYTES:
            secrets = self._open(instance)
            self._count(instances=1)
            yield front
            async for chunk in self._head_pieces(instance):
                yield chunk
        else:
            instance, secrets, head = await self._head(instance)
            self._count(instances=1)
            yield front + head
        async for chunk in self._bulk(instance, secrets):
            yield chunk

    def part10_bytes(self, instance: InstanceRecord) -> int:
        """Length of what `part10` gives."""
        front = dicom.part10(instance.sop_class, instance.instance_uid, instance.syntax)
        return len(front) + instance.length_bytes

    async def head(self, instance: InstanceRecord) -> bytes:
        """The dataset up to the bulk value."""
        await self.check()
        return (await self._head(instance))[2]

    def advice(self, instance: InstanceRecord) -> str:
        """What an instance is called that a program made and no person stands for; empty for any other."""
        return self._open(instance).values.get(advice.ADVICE, "")

    async def head_pieces(self, instance: InstanceRecord) -> AsyncGenerator[bytes, None]:
        """The same piece by piece; the last one only after the digest of all was right."""
        await self.check()
        pieces = self._head_pieces(instance)
        try:
            yield await anext(pieces)
        except StudyChanged:
            (instance,) = await self.instances(None, instance.instance_uid)
            pieces = self._head_pieces(instance)
        async for piece in pieces:
            yield piece

    def writing_turn(self) -> AbstractAsyncContextManager[None]:
        """A turn at writing a piece of what is large, in the share of the organisation."""
        return self._shelf.writing.turn(self.permit.actor.tenant)

    async def heads(self, instances: Sequence[InstanceRecord]) -> list[bytes]:
        """The heads of many instances, in order."""
        await self.check()
        return [(await self._head(instance))[2] for instance in instances]

    async def bulk(self, instance: InstanceRecord, start: int = 0, stop: int | None = None) -> bytes:
        """A range of the bulk bytes.

        Raises:
            NoPixels: There is no bulk value.
        """
        await self.check()
        if instance.bulk_locator is None:
            raise NoPixels
        stop = instance.bulk_bytes if stop is None else min(stop, instance.bulk_bytes)
        secrets = self._open(instance)
        async with self._watched(instance):
            content = await self._shelf.packs.read(instance.bulk_locator, secrets.bulk_key, start, stop)
        self._count(length=len(content))
        return content

    async def frame(self, instance: InstanceRecord, number: int) -> StoredFrame:
        """A frame as it was stored, its first bytes read already.

        Args:
            instance: The instance.
            number: Counted from 1.

        Raises:
            NoPixels: There are no pixels, or no such frame.
            VideoHasNoFrames: It is a video.
        """
        await self.check()
        table = await self._table_of_frames(instance)
        if not 1 <= number <= table.count:
            raise NoPixels
        self._count(frames=1)
        return await stored_frame(table, number, partial(self.bulk, instance))

    async def description(self, series_uid: str | None = None, instance_uid: str | None = None) -> Description:
        """What is told of instances, bulk values apart, which are pointed to.

        Args:
            series_uid: Of this series only.
            instance_uid: Of this instance only.

        Raises:
            StudyNotFound: There is no such series or instance.

        Per: DICOM PS3.18 10.4.1.1.2, Annex F.
        """
        study_uid = self.study.study_uid
        if instance_uid is not None:
            return await describing.of_instance(self, study_uid, await self.instance(instance_uid, series_uid))
        found = await describing.of_series(self, self._shelf.keyring, self._key, study_uid, series_uid)
        if found is None:
            raise StudyNotFound
        return found

    async def described_rows(self, series_uid: str | None) -> list[Row]:
        """Series with the versions of what they hold, and what is kept ready-made of them."""
        await self.check()
        return await self._shelf.described_rows(self.permit, self.study.id, series_uid)

    async def keep_described(self, kept: Sequence[describing.Kept]) -> None:
        """Keep what was made ready, for the next reader."""
        await self._shelf.keep_described(self.permit, kept)

    async def tail(self, instance: InstanceRecord) -> bytes:
        """The elements of an instance that come after its bulk value."""
        return await describing.tail_of(instance, lambda start, stop: self.bulk(instance, start, stop))

    async def bulk_value(self, instance: InstanceRecord, path: str) -> BulkValue | None:
        """A bulk value that the metadata points to; None for encapsulated images, whose values are the frames.

        Args:
            instance: The instance.
            path: As it stands in the URI, such as `7FE00010` or `00420010/0/00420011`.

        Raises:
            NoPixels: There is no such value.
        """
        place = (await self._places_of(instance, path)).get(path)
        if place is None:
            raise NoPixels
        return await self._bulk_value(instance, place)

    async def bulk_values(self, instance: InstanceRecord) -> dict[str, BulkValue | None]:
        """All values that the metadata points to, by their paths; see `bulk_value`."""
        places = (await self._places_of(instance)).items()
        return {path: await self._bulk_value(instance, place) for path, place in places}

    async def _bulk_value(self, instance: InstanceRecord, place: dicom.BulkPlace) -> BulkValue | None:
        if not place.is_bulk:

            async def from_head(start: int, stop: int) -> bytes:
                await self.check()
                return await self._head_range(instance, place.start + start, place.start + stop)

            return BulkValue(place.stop - place.start, place.unit_bytes, from_head, place.start)
        if dicom.is_video(instance.syntax) and instance.is_encapsulated:
            return joined((await self._frame_table(instance)).stream(), partial(self.bulk, instance))
        if instance.is_encapsulated or instance.bulk_length is None:
            return None
        return BulkValue(instance.bulk_length, self.bulk_unit_bytes(instance), partial(self.bulk, instance))

    async def _places_of(self, instance: InstanceRecord, path: str | None = None) -> dict[str, dicom.BulkPlace]:
        search = dicom.BulkSearch(instance.syntax, path)
        async with aclosing(self.head_pieces(instance)) as pieces:
            async for piece in pieces:
                if await asyncio.to_thread(search.feed, piece):
                    break
        return search.finish()

    async def _head_range(self, instance: InstanceRecord, start: int, stop: int) -> bytes:
        secrets = self._open(instance)
        async with self._watched(instance):
            content = await self._shelf.packs.read(instance.head_locator, secrets.head_key, start, stop)
        self._count(length=len(content))
        return content

    def bulk_unit_bytes(self, instance: InstanceRecord) -> int:
        """Width of the units of its bulk value that are stored the other way round than little endian; else 1."""
        if dicom.recoded_unit(instance.bulk_vr, instance.syntax) == 1:
            return 1
        bits = self.values(instance).get(attributes.BITS_ALLOCATED, "")
        return dicom.recoded_unit(instance.bulk_vr, instance.syntax, int(bits) if bits.isdecimal() else 0)

    async def require_frames(self, instance: InstanceRecord, numbers: Sequence[int]) -> None:
        """Make sure that there are some frames, before the first of many is given.

        Raises:
            NoPixels: One is not there.
            VideoHasNoFrames: It is a video.
        """
        await self.check()
        table = await self._table_of_frames(instance)
        if not all(1 <= number <= table.count for number in numbers):
            raise NoPixels

    async def rendered(self, instance: InstanceRecord, numbers: Sequence[int], **options: Any) -> bytes:
        """Frames as a picture for people, one, or a moving one.

        Args:
            instance: The instance.
            numbers: Counted from 1, one after the other.
            options: Those of `dicom.render`: `media_type`, `window`, `size`, `quality` and others.

        Raises:
            troth.dicom.CannotRender: There is no picture of it.
            NoPixels: There is no such frame.
            VideoHasNoFrames: It is a video.
        """
        table = await self._table_of_frames(instance)
        if not all(1 <= number <= table.count for number in numbers):
            raise NoPixels
        head = Head(instance.head_bytes, self.head_pieces(instance))
        frames = Frames.stored(numbers, table, partial(self.bulk, instance))
        self._count(frames=len(numbers))
        return await self._shelf.painter.paint(self.permit.actor.tenant, head, instance.syntax, frames, options)

    async def verify(self, instance: InstanceRecord) -> Verified:
        """Read a whole instance back and hold it against the digests of what was stored.

        Raises:
            StoredBytesBroken: It differs.
        """
        await self.check()
        instance, secrets, head = await self._head(instance)
        whole, length = hashlib.sha256(head), len(head)
        async for chunk in self._bulk(instance, secrets):
            await asyncio.to_thread(whole.update, chunk)
            length += len(chunk)
        if length != instance.length_bytes:
            raise StoredBytesBroken
        return Verified(instance.instance_uid, length, whole.hexdigest())

    def values(self, instance: InstanceRecord) -> dict[int, str]:
        """The indexed attributes of an instance."""
        return dict(self._open(instance).values)

    def _open(self, instance: InstanceRecord) -> InstanceSecrets:
        """Object keys are unsealed at each use: when the study's key is destroyed, no copy works on."""
        return open_record(self._shelf.keyring, self._key, instance)

    async def _head(self, instance: InstanceRecord) -> tuple[InstanceRecord, InstanceSecrets, bytes]:
        """The head of an instance, and the instance as it is now: a correction gives it another head."""
        try:
            secrets, head = await self._read_head(instance)
        except StudyChanged:
            (instance,) = await self.instances(None, instance.instance_uid)
            secrets, head = await self._read_head(instance)
        self._count(length=len(head))
        return instance, secrets, head

    async def _read_head(self, instance: InstanceRecord) -> tuple[InstanceSecrets, bytes]:
        secrets = self._open(instance)
        async with self._watched(instance):
            head = await self._shelf.packs.read(instance.head_locator, secrets.head_key)
            await checked_whole(head, secrets.head_sha256)
        return secrets, head

    def _head_pieces(self, instance: InstanceRecord) -> AsyncIterator[bytes]:
        secrets = self._open(instance)
        return self._stream(instance, instance.head_locator, secrets.head_key, secrets.head_sha256)

    async def _bulk(self, instance: InstanceRecord, secrets: InstanceSecrets) -> AsyncIterator[bytes]:
        if instance.bulk_locator is not None:
            async for chunk in self._stream(instance, instance.bulk_locator, secrets.bulk_key, secrets.bulk_sha256):
                yield chunk

    async def _stream(
        self, instance: InstanceRecord, locator: bytes, key: bytes, sha256: bytes
    ) -> AsyncIterator[bytes]:
        async with self._watched(instance):
            async for chunk in checked(self._shelf.packs.stream(locator, key), sha256):
                await self.check()
                self._count(length=len(chunk))
                yield chunk

    @asynccontextmanager
    async def _watched(self, instance: InstanceRecord) -> AsyncIterator[None]:
        """What is read and is not what was stored is remembered, told, and never given as if it were.

        Raises:
            StoredBytesBroken: It is not.
            StudyChanged: It was replaced meanwhile.
        """
        try:
            yield
        except (SealBroken, StoredBytesBroken) as fault:
            if self._shelf.keyring.is_gone(self._key):
                raise StudyNotFound from None  # erased while it was read
            rows = await self._shelf.instance_rows(self.permit, self.study.id, None, instance.instance_uid)
            if rows and rows[0]["head_locator"] != instance.head_locator:
                self._instances.clear()
                raise StudyChanged from None
            what = "digest-differs" if isinstance(fault, StoredBytesBroken) else fault.slug
            await self._shelf.record_broken(self.permit, self.study, instance.id, what)
            raise StoredBytesBroken from None

    async def _table_of_frames(self, instance: InstanceRecord) -> dicom.FrameTable:
        if dicom.is_video(instance.syntax):
            raise VideoHasNoFrames
        return await self._frame_table(instance)

    async def _frame_table(self, instance: InstanceRecord) -> dicom.FrameTable:
        if instance.frame_table:
            return dicom.FrameTable.from_bytes(instance.frame_table)
        if not instance.is_encapsulated or not instance.frames or instance.bulk_bytes > _LARGEST_UNMAPPED:
            raise NoPixels  # of native pixels the table was made when they came, if there is a whole frame
        try:
            return await found_table(instance.syntax, instance.frames, self._bulk(instance, self._open(instance)))
        except dicom.Malformed:
            raise NoPixels("The frames of this instance cannot be told apart.") from None

    async def _renew(self) -> None:
        """A permit covers five minutes: close this stretch of looking and write the next one."""
        counts, self._counts = self._counts, _no_counts()
        await self._shelf.record_closed(self.permit, self.study, counts)
        self.event_id = await self._shelf.record_opened(self.permit, self.study, self.recipient)
        self.opened_at = clock.now()

    def _count(self, *, instances: int = 0, frames: int = 0, length: int = 0) -> None:
        self._counts["instances"] += instances
        self._counts["frames"] += frames
        self._counts["bytes"] += length


def _no_counts() -> dict[str, int]:
    return {"instances": 0, "frames": 0, "bytes": 0}
