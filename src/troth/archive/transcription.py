"""An instance on its way out in another transfer syntax than the one that is held; pixels are never decoded here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from troth import dicom
from troth.archive.model import InstanceRecord
from troth.archive.viewing import Viewing

_INLINE_BYTES = 64 << 10


async def transcribed(viewing: Viewing, record: InstanceRecord, syntax: str) -> AsyncIterator[bytes]:
    """The data set of an instance in pieces; each is asked for again when the last decision is a second old.

    Args:
        viewing: Of its study.
        record: The instance.
        syntax: The one that is held, or one that it can be written in (`dicom.can_recode`).

    Per: DICOM PS3.5 A.1 to A.3.
    """
    front = viewing.part10_bytes(record) - record.length_bytes
    value_left = record.bulk_length or 0
    unit = viewing.bulk_unit_bytes(record)
    is_held, head_left = syntax == record.syntax, -1
    head, tail = bytearray(), bytearray()
    async for chunk in viewing.part10(record):
        if head_left < 0:
            # A small head comes with the front, as it is now; a large one comes after it, in pieces.
            rest, head_left = chunk[front:], 0 if len(chunk) > front else record.head_bytes
            if rest:
                yield await _recoded(rest, record.syntax, syntax)
        elif is_held:
            yield chunk
        else:
            head += chunk[:head_left]
            of_bulk = chunk[head_left:]
            if head_left and len(chunk) >= head_left:
                yield await _recoded(bytes(head), record.syntax, syntax)
                head.clear()
            head_left -= min(head_left, len(chunk))
            value = of_bulk[:value_left]
            value_left -= len(value)
            tail += of_bulk[len(value) :]
            if value:
                yield dicom.swapped(value, unit) if unit > 1 else value
    if tail:
        yield await _recoded(bytes(tail), record.syntax, syntax)


async def _recoded(encoded: bytes, syntax: str, wanted: str) -> bytes:
    if syntax == wanted:
        return encoded
    if len(encoded) < _INLINE_BYTES:
        return dicom.recode(encoded, syntax, wanted)
    return await asyncio.to_thread(dicom.recode, encoded, syntax, wanted)
