"""The journal of destroyed keys: which keys are gone, for copies of the keyring that lie elsewhere. It holds no key.

A file of records of 32 bytes, appended and synced before a slot is overwritten: KeyRef (16), milliseconds since 1970
(8, big-endian), BLAKE2b-64 of the 24 bytes before. A torn record at the end counts as not written: the slot was not
touched yet then.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from troth.kit import clock
from troth.vault.model import KeyRef
from troth.vault.root import open_guarded

NAME: Final = "destroyed"
RECORD_BYTES: Final = 32
_REF_BYTES: Final = 16


class Destroyed(NamedTuple):
    """One key that is gone.

    Attributes:
        ref: The key.
        at: When.
    """

    ref: KeyRef
    at: datetime


def append(path: Path, refs: Iterable[KeyRef]) -> None:
    """Write that keys are destroyed; durable on return but for the name of a new file.

    Args:
        path: The journal; made if absent. The caller keeps other writers out.
        refs: The keys.

    Raises:
        OSError: The disk did not take it.
    """
    at = int(clock.now().timestamp() * 1000).to_bytes(8, "big")
    records = b"".join(_record(bytes(ref) + at) for ref in refs)
    if not records:
        return
    fd = open_guarded(path, os.O_RDWR | os.O_CREAT) if path.exists() else _made(path)
    try:
        end = _sound_bytes(fd)  # over a torn record
        _put(fd, records, end)
    finally:
        os.close(fd)


def read(path: Path, start: int = 0) -> Iterator[Destroyed]:
    """What a journal says.

    Args:
        path: The journal; absent: nothing was destroyed.
        start: Number of the first record wanted.
    """
    if not path.exists():
        return
    content = path.read_bytes()
    for at in range(start * RECORD_BYTES, len(content) - RECORD_BYTES + 1, RECORD_BYTES):
        record = content[at : at + RECORD_BYTES]
        if record != _record(record[:24]):
            return  # torn: it is written over by the next one
        moment = datetime.fromtimestamp(int.from_bytes(record[16:24], "big") / 1000, UTC)
        yield Destroyed(KeyRef(record[:_REF_BYTES]), moment)


def copy(source: Path, target: Path) -> int:
    """Bring a copy of a journal up to date, appending what it has not yet; durable on return.

    Returns:
        How many records were new.
    """
    known = sum(1 for _ in read(target))
    fresh = source.read_bytes()[known * RECORD_BYTES :] if source.exists() else b""
    fresh = fresh[: len(fresh) // RECORD_BYTES * RECORD_BYTES]
    if fresh:
        fd = open_guarded(target, os.O_RDWR) if target.exists() else _made(target)
        try:
            _put(fd, fresh, known * RECORD_BYTES)
        finally:
            os.close(fd)
    return len(fresh) // RECORD_BYTES


def _put(fd: int, records: bytes, at: int) -> None:
    if os.pwrite(fd, records, at) != len(records):
        raise OSError("the disk took a part only")
    os.fsync(fd)


def _record(content: bytes) -> bytes:
    return content + hashlib.blake2b(content, digest_size=8).digest()


def _sound_bytes(fd: int) -> int:
    """Where the next record goes: after the last sound one; only the last can be torn."""
    end = os.fstat(fd).st_size // RECORD_BYTES * RECORD_BYTES
    last = os.pread(fd, RECORD_BYTES, end - RECORD_BYTES) if end else b""
    return end if not end or last == _record(last[:24]) else end - RECORD_BYTES


def _made(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
