"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def anew(path: Path) -> Iterator[BinaryIO]:
    """Write a file that only its user may read, beside the one that is there; it takes its place when it is whole.

    It is durable then but for its name: see `sync_folder`. Nobody can know its name before, so no two that write the
    same file meet, and nobody can have put a link there.

    Args:
        path: The file; its folder exists.

    Raises:
        OSError: It could not be written whole; what was there before is untouched.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as handle:  # one os.write may take less than it was given, and say so only by number
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that only its user may read: durable on return with its name; what was there stays until then.

    Args:
        path: The file; its folder exists.
        content: Octets.

    Raises:
        OSError: It could not be written whole; what was there before is untouched.
    """
    with anew(path) as handle:
        handle.write(content)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
