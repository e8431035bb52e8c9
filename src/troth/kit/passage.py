"""A way through closed folders: what a process still has to read once it is a user who may not pass through them.

Python often lies in the home of whoever installed it, which nobody else may enter. A process that is about to step
down gets a mount namespace of its own, in which the closed folder is an empty one with nothing in it but what is
needed, at the same path. Nobody else sees it, and no permission on the disk changes.

Per: mount_namespaces(7), mount(2).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from troth.kit.owner import OwnerUnusable, become
from troth.kit.programs import is_traversable

_NEW_MOUNTS: Final = 0x00020000  # CLONE_NEWNS (sched.h)
_NO_SUID, _NO_DEVICES, _BIND, _RECURSIVE, _PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 1 << 18  # MS_... (linux/mount.h)


def of_python() -> Iterator[Path]:
    """Where this Python and what it imports lie, links on the way included."""
    yield from (Path(sys.base_prefix), Path(sys.prefix))
    yield from (Path(entry) for entry in sys.path if entry and os.path.isdir(entry))
    program = Path(sys.executable)
    while program.is_symlink():
        program = program.parent / program.readlink()
        yield program.parent


def open_for(account: pwd.struct_passwd, needed: Iterable[Path]) -> None:
    """Make the way of a user to what they need, in this process and those that it starts.

    Args:
        account: Whom this process is about to become.
        needed: Files and folders.

    Raises:
        OwnerUnusable: The kernel does not let us.
    """
    closed: dict[Path, Path] = {}
    for path in sorted({Path(os.path.abspath(path)) for path in needed}):
        folder = _closed(path, account)
        if folder is not None and not any(path.is_relative_to(known) for known in closed):
            closed[path] = folder
    if not closed:
        return
    try:
        _bind(closed)
    except OSError as fault:
        path, folder = next(iter(closed.items()))
        raise OwnerUnusable(
            f"user {account.pw_uid}, as whom the parts run, cannot pass through {folder}, where {path} lies, and no "
            f"way can be made: {fault.strerror}",
            hint=f"Let others pass through it (chmod o+x {folder}), install Python and Troth elsewhere, such as in "
            "/opt, or start the node as a service user.",
        ) from fault


def _bind(closed: dict[Path, Path]) -> None:
    """Put an empty folder over each closed one, and what is needed into it where it was.

    Args:
        closed: What is needed, and which folder is in the way.
    """
    library = ctypes.CDLL(None, use_errno=True)

    def call(failed: int) -> None:
        if failed:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    call(library.unshare(_NEW_MOUNTS))
    call(library.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None))
    # Opened in the new namespace: nothing can be bound out of another one.
    sources = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in closed}
    for folder in dict.fromkeys(closed.values()):
        call(library.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", _NO_SUID | _NO_DEVICES, b"mode=0755"))
    before = os.umask(0o022)
    for path, source in sources.items():
        if os.path.isdir(f"/proc/self/fd/{source}"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        call(library.mount(f"/proc/self/fd/{source}".encode(), os.fsencode(path), None, _BIND | _RECURSIVE, None))
        os.close(source)
    os.umask(before)


def require(account: pwd.struct_passwd, needed: Iterable[Path], read: Iterable[Path], written: Iterable[Path]) -> None:
    """Try in a process of its own that a user gets to everything, before anything depends on it.

    Args:
        account: The user.
        needed: What a way is made to.
        read: Files and folders that they have to read.
        written: Files that they have to write, or to make.

    Raises:
        OwnerUnusable: They do not get there; the detail names the place.
    """
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            os.write(tell, _fault(account, list(needed), list(read), list(written)).encode())
        os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as handle:
        detail, _, hint = handle.read().decode().partition("\n")
    os.waitpid(pid, 0)
    if detail != "fine":
        raise OwnerUnusable(detail or f"nobody could become user {account.pw_uid}", hint=hint)


def _fault(account: pwd.struct_passwd, needed: list[Path], read: list[Path], written: list[Path]) -> str:
    try:
        open_for(account, needed)
        become(account)
    except OwnerUnusable as fault:
        return f"{fault.detail}\n{fault.hint}"
    who = f"user {account.pw_uid}, as whom the parts run,"
    for path in read:
        if not os.access(path, os.R_OK):
            return f"{who} cannot read {path}\nLet others read it and pass through the folders above it."
    for path in written:
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            return f"{who} cannot write {path}\nchown {account.pw_uid}:{account.pw_gid} {path}"
    return "fine"


def _closed(path: Path, account: pwd.struct_passwd) -> Path | None:
    """The uppermost folder above a place that a user may not pass through."""
    for folder in reversed(path.parents):
        if not is_traversable(folder, account):
            return folder
    return None
