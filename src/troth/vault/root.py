"""The root key: a file of 32 random bytes that only its user may read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from troth.vault.errors import KeyringDamaged, KeyringUnsafe

KEY_BYTES: Final = 32


def open_guarded(path: Path, flags: int) -> int:
    """Open a key file, or refuse when group or others may touch it.

    Args:
        path: The file; a symbolic link is refused.
        flags: ``os.O_*`` flags.

    Returns:
        A file descriptor; the caller closes it.

    Raises:
        KeyringUnsafe: The file is open to others or is not a plain file.
        FileNotFoundError: There is none.
    """
    try:
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyringUnsafe(f"{path.name} cannot be opened: {error.strerror}") from None
    state = os.fstat(fd)
    if not stat.S_ISREG(state.st_mode) or state.st_mode & 0o077:
        os.close(fd)
        raise KeyringUnsafe(f"{path.name} is open to group or others", hint=f"chmod 600 {path.name}")
    return fd


def read(path: Path) -> bytes:
    """The root key.

    Raises:
        KeyringUnsafe: The file is open to others.
        KeyringDamaged: It has not 32 bytes.
        FileNotFoundError: There is none.
    """
    fd = open_guarded(path, os.O_RDONLY)
    try:
        key = os.read(fd, KEY_BYTES + 1)
    finally:
        os.close(fd)
    if len(key) != KEY_BYTES:
        raise KeyringDamaged("the root key has a wrong length")
    return key
