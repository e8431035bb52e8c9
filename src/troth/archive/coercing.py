"""Makes corrected heads: of what is held already, and of what comes later for a study that was corrected.

A corrected instance has a new head, which says in its Original Attributes Sequence what stood there before. Pixels are
not touched. Of an encapsulated document the sequence stands behind the document in the data set, so its bytes are
written anew, with the document itself as it was.

Per: DICOM PS3.3 C.12.1.1.9, PS3.4 B.4.1.3 (coercion of attributes).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from troth import dicom
from troth.archive import attributes as tags
from troth.archive import sealing
from troth.archive.checked import checked, checked_whole
from troth.archive.errors import StoredBytesBroken
from troth.archive.model import Received
from troth.dicom import Header
from troth.kit import clock
from troth.vault import KeyRef, Keyring, ObjectWriter, Packs, SealedObject

Reason = Literal["CORRECT", "COERCE"]

SYSTEM: Final = "TROTH"
_ORIGINAL: Final = 0x04000561
_KEY_TAGS: Final = (tags.PATIENT_ID, tags.ISSUER)


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts for everything that is and will be of a study.

    Attributes:
        values: Corrected attributes by tag.
        sent: PatientID and issuer as senders say them.
    """

    values: Mapping[int, str] = field(repr=False)
    sent: Mapping[int, str] = field(repr=False)

    def to_bytes(self) -> bytes:
        """To be sealed."""
        both = [{f"{tag:08X}": text for tag, text in one.items()} for one in (self.values, self.sent)]
        return json.dumps(both, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

    @classmethod
    def from_bytes(cls, plain: bytes) -> Standing:
        """What `to_bytes` gave."""
        values, sent = ({int(tag, 16): text for tag, text in one.items()} for one in json.loads(plain.decode()))
        return cls(values, sent)

    @classmethod
    def first(cls, study_values: Mapping[int, str]) -> Standing:
        """Of a study that was not corrected before.

        Args:
            study_values: Its attributes as they came.
        """
        return cls({}, {tag: study_values[tag] for tag in _KEY_TAGS if study_values.get(tag)})


@dataclass(frozen=True, slots=True)
class Change:
    """How instances are corrected.

    Attributes:
        values: What each is to say, by tag.
        at: When.
        source: Where the previous values came from; may be empty.
    """

    values: Mapping[int, str] = field(repr=False)
    at: datetime
    reason: Reason
    source: str = ""

    def differing(self, header: Header) -> dict[int, str]:
        """What an instance says otherwise."""
        return {tag: text for tag, text in self.values.items() if header.values.get(tag, "").strip() != text}

    def applied(self, header: Header, tail: bytes) -> tuple[bytes, bytes] | None:
        """Head and tail of an instance after the change; None where it says all of it already.

        Args:
            header: Of the instance.
            tail: The elements after its bulk value; needed only where `is_behind`.

        Raises:
            troth.dicom.CannotCorrect: The instance cannot hold the new values.
        """
        values = self.differing(header)
        if not values:
            return None
        correction = dicom.Correction(values, self.at, SYSTEM, self.source, self.reason)
        head, tail = dicom.corrected(header.head, tail, header.syntax, correction)
        again = dicom.reopen(head, header.syntax)
        named = (header.study_uid, header.series_uid, header.instance_uid, header.sop_class, header.bulk_tag)
        if (again.study_uid, again.series_uid, again.instance_uid, again.sop_class, again.bulk_tag) != named:
            raise dicom.CannotCorrect  # never: a corrected instance is the same instance
        return head, tail


def standing_change(keyring: Keyring, key: KeyRef, study_id: UUID, standing_sealed: bytes) -> Change:
    """What an instance of a study that was corrected is to say.

    Args:
        keyring: Opens it.
        key: The study's key.
        study_id: The study.
        standing_sealed: What stands for all that comes.

    Raises:
        troth.vault.KeyDestroyed: The study was erased.
    """
    plain = sealing.open_plain(keyring, key, "standing", study_id, standing_sealed)
    return Change(Standing.from_bytes(plain).values, clock.now(), "COERCE")


def is_behind(bulk_tag: int | None) -> bool:
    """Whether the Original Attributes Sequence of an instance stands behind its bulk value."""
    return bulk_tag is not None and bulk_tag < _ORIGINAL


async def coerced(packs: Packs, received: Received, change: Change) -> Received | None:
    """An instance that came in, as it is kept; None where it says already what it is to say.

    Args:
        packs: Where the new objects go; not durable on return.
        received: As it came.
        change: What it is to say.
    """
    header = received.header
    if not header.head:  # a large one, sealed while it came
        head = await checked_whole(await packs.read(received.head.locator, received.head.key), received.head.sha256)
        header = replace(header, head=head)
    made = await asyncio.to_thread(change.applied, header, header.tail)
    if made is None:
        return None
    head, tail = made
    if received.bulk is None or tail == header.tail:
        return Received(header, await asyncio.to_thread(written, packs, head), received.bulk, received.frame_table)
    before = received.bulk
    stream = checked(packs.stream(before.locator, before.key), before.sha256)
    bulk = await rewritten(packs, stream, before.length_bytes - len(header.tail), tail)
    return Received(header, await asyncio.to_thread(written, packs, head), bulk, received.frame_table)


def written(packs: Packs, head: bytes) -> SealedObject:
    """Write one head; not durable before `Packs.sync`."""
    writer = packs.writer()
    try:
        writer.feed(head)
        return writer.finish()
    except BaseException:
        writer.abort()
        raise


async def rewritten(packs: Packs, stream: AsyncIterator[bytes], value_bytes: int, tail: bytes) -> SealedObject:
    """Write bulk bytes anew: the value as it was, and another tail. Not durable before `Packs.sync`.

    Args:
        packs: Where to.
        stream: All bulk bytes as they were, checked.
        value_bytes: Length of the value.
        tail: What is to stand behind it.

    Raises:
        StoredBytesBroken: They are not what was stored.
    """
    writer: ObjectWriter = packs.writer()
    left = value_bytes
    try:
        async for chunk in stream:
            value = chunk[:left]
            left -= len(value)
            await asyncio.to_thread(writer.feed, value)
        if left:
            raise StoredBytesBroken
        writer.feed(tail)
        return await asyncio.to_thread(writer.finish)
    except BaseException:
        writer.abort()
        raise
