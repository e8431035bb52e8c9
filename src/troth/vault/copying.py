"""Copies of packs for a backup: sparse, whole or not at all, and only of what has changed since the copy before."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.kit.files import anew, sync_folder
from troth.vault.errors import ObjectMissing, PackFault
from troth.vault.packs import Packs

_CHUNK_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class CopiedPack:
    """One pack in a backup.

    Attributes:
        name: Of the file.
        length_bytes: Of the copy, holes included.
        sha256: Of the copy, holes as zeros; hexadecimal.
        changed_ns: When the original was changed last, nanoseconds.
        held_bytes: Room that the original took: less after an erasure.
        is_settled: Nobody was writing to the original: as long as it does not change, neither need the copy.
    """

    name: str
    length_bytes: int
    sha256: str
    changed_ns: int
    held_bytes: int
    is_settled: bool


def copy_packs(packs: Packs, target: Path, known: dict[str, CopiedPack]) -> Iterator[CopiedPack]:
    """Copy every pack to a folder. Every object that was durable when this began is in the copies.

    Args:
        packs: The originals; they may be written to meanwhile.
        target: The folder.
        known: What is there from the time before, by name.

    Raises:
        PackFault: A copy could not be written.
    """
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = packs.folder
    for pack_id in folder.names():
        try:
            with folder.alone(pack_id) as fd:
                is_settled = fd is not None
        except ObjectMissing:
            continue
        name = f"{pack_id.hex()}.pack"
        before = known.get(name)
        source = folder.path / name
        try:
            state = source.stat()
            is_same = before is not None and (before.changed_ns, before.length_bytes, before.held_bytes) == (
                state.st_mtime_ns,
                state.st_size,
                state.st_blocks * 512,
            )
            if before is not None and before.is_settled and is_same and _has(target / name, state.st_size):
                yield before
                continue
            length, digest = copy_sparse(source, target / name)
        except FileNotFoundError as error:
            if source.exists():  # it was the copy that went: another backup beside this one takes away what it made
                raise PackFault(f"a copy could not be written: {error.strerror}") from None
            continue  # swept meanwhile: nothing lay in it
        except OSError as error:
            raise PackFault(f"a copy could not be written: {error.strerror}") from None
        yield CopiedPack(name, length, digest, state.st_mtime_ns, state.st_blocks * 512, is_settled)
    sync_folder(target)


def copy_sparse(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file with its holes; durable on return but for its name.

    Returns:
        Length and SHA-256 (hexadecimal) of the copy.

    Raises:
        OSError: It cannot be read, or is a link, a pipe or a device.
    """
    digest = hashlib.sha256()
    with os.fdopen(_plain(source), "rb", buffering=0) as file, anew(target) as copy:
        at = 0
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            if chunk.strip(b"\0"):
                copy.seek(at)
                copy.write(chunk)
            at += len(chunk)
        copy.truncate(at)
    return at, digest.hexdigest()


def _plain(source: Path) -> int:
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a plain file")
    return fd


def _has(path: Path, length: int) -> bool:
    return path.exists() and path.stat().st_size == length
