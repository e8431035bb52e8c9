"""The metadata of a series, ready-made: what every reader asks for first is written once and sealed under the study.

A ready-made answer names the very heads it was made from. What was stored, corrected or taken away since has other
heads, and the answer is made anew: a stale one is never given. It ends with the study's key, and with its series.

Form: a line with a mark, then one line of DICOM JSON for each instance, deflated. The mark stands in every
BulkDataURI for the address under which the reader finds us; it is drawn by lot when the answer is made, so nothing
that was stored before can hold it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from uuid import UUID

from troth import dicom
from troth.archive.advice import SERIES_NAME, block_of, marked, series_name
from troth.archive.model import InstanceRecord
from troth.kit import ids
from troth.vault import KeyRef, Keyring

#: Larger answers are made each time: they are those of few series with long private elements.
MOST_BYTES = 4 << 20
_LARGE_HEAD_BYTES, _LARGE_HEADS_BYTES = 1 << 20, 16 << 20
_LEVEL = 1  # a series says the same hundred times: this is a thirtieth of its size, at the least cost


def version_of(head_locators: Iterable[bytes]) -> bytes:
    """What instances with these heads are told apart by; `store.described` makes the same in SQL.

    Args:
        head_locators: Of all instances of a series.
    """
    return hashlib.sha256(b"".join(sorted(head_locators))).digest()


def is_large(instances: Sequence[InstanceRecord]) -> bool:
    """Whether instances say so much that it is written piece by piece, for each reader anew, and never held whole.

    Args:
        instances: Of a series.
    """
    heads = [one.head_bytes for one in instances]
    return max(heads) > _LARGE_HEAD_BYTES or sum(heads) > _LARGE_HEADS_BYTES


def transcript(study_uid: str, one: InstanceRecord, base: str, advice: str) -> dicom.Transcript:
    """What is told of one instance, to be written piece by piece while its head comes.

    Args:
        study_uid: Of the study it is in.
        one: The instance.
        base: URL under which the reader finds `/studies`.
        advice: What it is called where a program made it; else empty.
    """
    uri = f"{base}/studies/{study_uid}/series/{one.series_uid}/instances/{one.instance_uid}/bulkdata/"
    return dicom.Transcript(one.syntax, uri, {SERIES_NAME: lambda own: series_name(own, advice)} if advice else {})


def finish(written: dicom.Transcript, tail: bytes, advice: str) -> bytes:
    """The rest of what is told of one instance, with that it is advice where a program made it.

    Args:
        written: As `transcript` gave it, with the whole head in it.
        tail: The elements after its bulk value.
        advice: As `transcript` had it.
    """
    return written.finish(tail, (lambda own: block_of(own, advice)) if advice else None)


def made(
    study_uid: str,
    instances: Sequence[InstanceRecord],
    heads: Sequence[bytes],
    tails: Sequence[bytes],
    advices: Sequence[str],
) -> bytes:
    """Make the answer for some instances, open.

    Args:
        study_uid: Of the study they are in.
        instances: The instances in order.
        heads: The head of each.
        tails: The elements after its bulk value.
        advices: What it is called where a program made it; else empty.

    Per: DICOM PS3.18 10.4.1.1.2, Annex F.
    """
    mark = ids.secret()
    lines = [mark.encode()]
    for one, head, tail, advice in zip(instances, heads, tails, advices, strict=True):
        uri = f"{mark}/studies/{study_uid}/series/{one.series_uid}/instances/{one.instance_uid}/bulkdata/"
        told = dicom.to_json(head, one.syntax, uri, tail=tail)
        told = marked(told, advice) if advice else told
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        lines.append(text.encode("utf-8", "replace"))
    return b"\n".join(lines)


def told(answer: bytes, base: str) -> list[bytes]:
    """DICOM JSON of each instance for a reader.

    Args:
        answer: As `made` gave it.
        base: URL under which the reader finds `/studies`.
    """
    mark, *lines = answer.split(b"\n")
    # An address comes from the reader's own Host header: it is written as JSON writes a string.
    address = json.dumps(base, ensure_ascii=True)[1:-1].encode()
    return [line.replace(mark + b"/studies/", address + b"/studies/") for line in lines]


def sealed(keyring: Keyring, key: KeyRef, series_id: UUID, version: bytes, answer: bytes) -> bytes | None:
    """Seal an answer to be kept; None where it is too large for that.

    Args:
        keyring: The keyring.
        key: The study's key.
        series_id: The series it is of.
        version: Of the instances it was made from; it opens for no others.
        answer: As `made` gave it.
    """
    deflated = zlib.compress(answer, _LEVEL)
    return keyring.seal(key, deflated, _context(series_id, version)) if len(deflated) <= MOST_BYTES else None


def opened(keyring: Keyring, key: KeyRef, series_id: UUID, version: bytes, kept: bytes) -> bytes:
    """Open what `sealed` gave.

    Raises:
        troth.vault.KeyDestroyed: The study was erased.
        troth.vault.SealBroken: It is not what was kept for these instances.
    """
    return zlib.decompress(keyring.unseal(key, kept, _context(series_id, version)))


def _context(series_id: UUID, version: bytes) -> bytes:
    return b"archive:metadata:" + series_id.bytes + version
