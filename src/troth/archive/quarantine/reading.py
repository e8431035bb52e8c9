"""Reads an instance that is kept apart, or one that is held, as a whole or as far as it is needed; checked as ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from troth import dicom
from troth.archive import describing, sealing
from troth.archive.checked import checked_whole
from troth.archive.model import InstanceRecord, Received, Row
from troth.archive.sealing import InstanceSecrets
from troth.dicom import Header
from troth.vault import KeyRef, Keyring, Packs, SealedObject


@dataclass(frozen=True, slots=True)
class Opened:
    """One instance with its head read and checked. Personal: never logged.

    Attributes:
        header: Of the head alone: tail and fragments are in the bulk.
    """

    record: InstanceRecord
    header: Header = field(repr=False)
    secrets: InstanceSecrets = field(repr=False)

    @property
    def received(self) -> Received:
        """The same as it came in; its bytes are durable."""
        record, secrets = self.record, self.secrets
        head = SealedObject(record.head_locator, secrets.head_key, record.head_bytes, secrets.head_sha256)
        bulk = None
        if record.bulk_locator is not None:
            bulk = SealedObject(record.bulk_locator, secrets.bulk_key, record.bulk_bytes, secrets.bulk_sha256)
        return Received(self.header, head, bulk, record.frame_table)


class Reading:
    """Opens single instances.

    Args:
        keyring: Opens object keys.
        packs: The objects.
    """

    def __init__(self, keyring: Keyring, packs: Packs) -> None:
        self._keyring = keyring
        self._packs = packs

    def sender(self, row: Row) -> str:
        """Who sent an instance that is kept apart."""
        return next(iter(self._secrets(row, KeyRef(bytes(row["key"]))).values.values()), "")

    async def kept(self, row: Row) -> Opened:
        """One that is kept apart.

        Raises:
            troth.vault.KeyDestroyed: It was destroyed a moment ago.
            StoredBytesBroken, troth.vault.SealBroken, troth.vault.ObjectMissing: It is damaged.
        """
        return await self._opened(row, KeyRef(bytes(row["key"])))

    async def held(self, row: Row) -> Opened:
        """One that is held. Raises the same."""
        return await self._opened(row, KeyRef(bytes(row["study_key"])))

    async def tail(self, opened: Opened) -> bytes:
        """The elements after its bulk value."""
        return await describing.tail_of(opened.record, self._reader(opened))

    async def frame(self, opened: Opened) -> bytes:
        """Its first frame as it is stored.

        Raises:
            troth.dicom.Malformed: There is none, or it cannot be told where it ends.
        """
        record, read = opened.record, self._reader(opened)
        if record.bulk_locator is None or not record.frame_table:
            raise dicom.Malformed("There is no frame")
        table = dicom.FrameTable.from_bytes(record.frame_table)
        if not table.count:
            raise dicom.Malformed("There is no frame")
        ranges = table.ranges(1)
        return table.frame(1, [await read(start, stop) for start, stop in ranges])

    def _reader(self, opened: Opened) -> Callable[[int, int], Awaitable[bytes]]:
        async def read(start: int, stop: int) -> bytes:
            assert opened.record.bulk_locator is not None
            return await self._packs.read(opened.record.bulk_locator, opened.secrets.bulk_key, start, stop)

        return read

    def _secrets(self, row: Row, key: KeyRef) -> InstanceSecrets:
        locators = [bytes(row[name]) for name in ("head_locator", "bulk_locator") if row[name] is not None]
        return sealing.open_instance(self._keyring, key, row["id"], locators, row["sealed"])

    async def _opened(self, row: Row, key: KeyRef) -> Opened:
        secrets = self._secrets(row, key)
        head = await checked_whole(await self._packs.read(row["head_locator"], secrets.head_key), secrets.head_sha256)
        header = await asyncio.to_thread(dicom.reopen, head, row["syntax"])
        return Opened(_record(row["id"], row, header), header, secrets)


def _record(row_id: UUID, row: Row, header: Header) -> InstanceRecord:
    return InstanceRecord(
        id=row_id,
        series_uid=row["series_uid"],
        instance_uid=row["instance_uid"],
        sop_class=row["sop_class"],
        syntax=row["syntax"],
        number=None,
        rows=header.rows or None,
        columns=header.columns or None,
        frames=header.frames,
        head_locator=bytes(row["head_locator"]),
        head_bytes=row["head_bytes"],
        bulk_locator=bytes(row["bulk_locator"]) if row["bulk_locator"] is not None else None,
        bulk_bytes=row["bulk_bytes"],
        bulk_tag=header.bulk_tag,
        bulk_vr=header.bulk_vr,
        bulk_length=header.bulk_length,
        frame_table=bytes(row["frame_table"] or b""),
        sealed=bytes(row["sealed"]),
    )
