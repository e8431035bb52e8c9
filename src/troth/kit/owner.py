"""Privilege separation: the unprivileged user that a deployment's files and processes belong to where root starts it.

Root keeps the parent; everything that a stranger can talk to becomes a user without an account, without groups and
without rights. What root does beside it, by a command, makes files for that user and can write nowhere that they may
not. Not root: everything belongs to whoever started it, and nothing here does anything.

Per: credentials(7), capabilities(7), setfsuid(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from troth.kit.errors import Unavailable
from troth.kit.programs import is_traversable

_UNUSED: Final = 65520
"""Of 65520 to 65533 no system and no container gives out a number (systemd, "Users, Groups, UIDs and GIDs")."""

_FOLDERS: Final = ("keys", "packs", "outbox", "secrets")
_FILES: Final = ("ledger.head", "checkpoint.mailed")
"""What parts read and write in a data folder; `secrets` is always there, and last, so it says that all is done."""

_DUMPABLE: Final = 4  # PR_SET_DUMPABLE (linux/prctl.h)
_READ_ANYWHERE: Final = 1 << 2  # CAP_DAC_READ_SEARCH (linux/capability.h)
_VERSION_3: Final = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words of each set


class OwnerUnusable(Unavailable):
    """The unprivileged user cannot be what it has to be; nothing is run as root instead."""

    slug = "owner-unusable"
    title = "The parts cannot step down from root"


def service_account(data_dir: Path) -> pwd.struct_passwd | None:
    """Whom the parts of a deployment run as where root starts it; None where we are not root.

    The folder decides, if it was handed over before; then `TROTH_SERVICE_USER`, a name or a number; then 65520.

    Args:
        data_dir: Of the deployment.

    Raises:
        OwnerUnusable: It is root, there is no such user, or the folder is another's than the one that is set.
    """
    if os.geteuid() != 0:
        return None
    chosen = os.environ.get("TROTH_SERVICE_USER", "")
    if not chosen:
        account = _numbered(_UNUSED, _UNUSED)
    elif chosen.isascii() and chosen.isdigit():
        account = _numbered(int(chosen), int(chosen))
    else:
        try:
            account = pwd.getpwnam(chosen)
        except KeyError:
            raise OwnerUnusable(f"there is no user {chosen!r}", hint="Set TROTH_SERVICE_USER to one.") from None
    if account.pw_uid == 0:
        raise OwnerUnusable("TROTH_SERVICE_USER is root", hint="Name another user, or a number such as 65520.")
    state = _state(data_dir / _FOLDERS[-1])
    if state is None or state.st_uid in (0, account.pw_uid):
        return account
    if chosen:
        raise OwnerUnusable(
            f"{data_dir} was handed to user {state.st_uid} before",
            hint=f"Set TROTH_SERVICE_USER={state.st_uid}, or give {', '.join(_FOLDERS)} in it back to root.",
        )
    return _numbered(state.st_uid, state.st_gid)


def hand_over(data_dir: Path, account: pwd.struct_passwd) -> None:
    """Give what parts read and write to their user, once; it may be killed and run again.

    A folder that is theirs is never gone through again: what lies in it now may be a trap. One that is still root's
    nobody else could write to, so nothing in it is. No link is followed.

    Args:
        data_dir: Of the deployment; root's own, so that none of these can be put in the place of another.
        account: The user.

    Raises:
        OwnerUnusable: One of them is a link, or belongs to somebody else.
    """
    for name in _FOLDERS:
        folder = data_dir / name
        state = _state(folder)
        if state is None:
            continue
        if stat.S_ISLNK(state.st_mode) and (target := _state(folder.resolve())) and target.st_uid == account.pw_uid:
            continue
        if not stat.S_ISDIR(state.st_mode) or state.st_uid not in (0, account.pw_uid):
            raise OwnerUnusable(
                f"{folder} is a link or belongs to somebody else, and is not gone through",
                hint=f"chown -R {account.pw_uid}:{account.pw_gid} the folder that it should be.",
            )
        if state.st_uid == 0:
            hand_over_all(folder, account)
    for name in _FILES:
        with suppress(FileNotFoundError, OwnerUnusable), os.fdopen(open_own(data_dir / name, os.O_RDONLY)) as file:
            if os.fstat(file.fileno()).st_uid == 0:
                os.fchown(file.fileno(), account.pw_uid, account.pw_gid)


def share(data_dir: Path, account: pwd.struct_passwd) -> None:
    """Let the user of the parts make files in a data folder of root's; what is not theirs they cannot take away.

    Others may pass through it, as the database server's user has to: what lies in it is closed to all but its owner.
    """
    os.chown(data_dir, -1, account.pw_gid)
    data_dir.chmod(0o1771)


def become(account: pwd.struct_passwd) -> None:
    """Become a user for good, with no group but their own and no capability.

    Raises:
        OwnerUnusable: The kernel does not let us, as where a container has fewer users.
    """
    try:
        os.setgroups([])
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    except OSError as fault:
        raise OwnerUnusable(
            f"this process cannot become user {account.pw_uid}: {fault.strerror}",
            hint="Set TROTH_SERVICE_USER to a user that there is here, or start the node as a service user.",
        ) from fault
    # The kernel hides a process that changed its user from itself, /proc/self included.
    ctypes.CDLL(None).prctl(_DUMPABLE, 1, 0, 0, 0)


@contextmanager
def owning(data_dir: Path) -> Iterator[None]:
    """What this thread, and those that it starts, makes meanwhile belongs to the user of the deployment.

    It reads what root may read and writes only what that user may write, so that no link in their folders leads it
    astray. Where we are not root, or nothing was handed over yet, nothing changes.

    Args:
        data_dir: Of the deployment.
    """
    state = _state(data_dir / _FOLDERS[-1]) if os.geteuid() == 0 else None
    if state is None or state.st_uid == 0:
        yield
        return
    with making_for(_numbered(state.st_uid, state.st_gid)):
        yield


@contextmanager
def making_for(account: pwd.struct_passwd | None) -> Iterator[None]:
    """What this thread makes meanwhile belongs to a user, and is made only where that user may: see `owning`.

    So root needs to give away nothing by its name in a folder where that user can put a link in its place.

    Args:
        account: The user; None changes nothing.
    """
    before = _file_identity()
    if account is None or before[0] == account.pw_uid:
        yield
        return
    _take_file_identity(account.pw_uid, account.pw_gid)
    try:
        yield
    finally:
        _take_file_identity(*before)


def own_folder(folder: Path, account: pwd.struct_passwd | None, mode: int = 0o700, group: int = -1) -> None:
    """Make a folder for a user, or take it over from ourselves; never through a link, nor from anybody else.

    Args:
        folder: Which.
        account: The user; None for ourselves.
        mode: Bits that it has afterwards.
        group: Number of its group, where that is not the user's own.

    Raises:
        OwnerUnusable: There is something else, or it belongs to somebody else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    uid, gid = (account.pw_uid, account.pw_gid) if account else (os.geteuid(), -1)
    with _folder(folder) as descriptor:
        if (whose := os.fstat(descriptor).st_uid) not in (uid, os.geteuid()):
            raise OwnerUnusable(f"{folder} belongs to user {whose}", hint="Find out who put it there.")
        if account:
            os.fchown(descriptor, uid, group if group != -1 else gid)
        os.fchmod(descriptor, mode)


def open_own(path: Path, flags: int) -> int:
    """Open or make a plain file that nobody but us, or whoever owns its folder, can have put there; wait for nobody.

    Args:
        path: Of the file, in a folder where others may make files, too.
        flags: Of `os.open`.

    Returns:
        Its descriptor.

    Raises:
        OwnerUnusable: It is a link, a pipe or the like, has another name as well, or belongs to somebody else.
        OSError: It is not there, or cannot be opened.
    """
    unusable = OwnerUnusable(f"{path} is no plain file, or not only yours", hint="Find out who put it there.")
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        if fault.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise
        raise unusable from None
    state = os.fstat(descriptor)
    is_ours = state.st_uid in (os.geteuid(), path.parent.stat().st_uid)
    if not (stat.S_ISREG(state.st_mode) and state.st_nlink == 1 and is_ours):
        os.close(descriptor)
        raise unusable
    return descriptor


def own(folder: Path, known: re.Pattern[str]) -> None:
    """Make a folder outside of the data folder that the parts will write to, too; or take over one that root made.

    Args:
        folder: Where somebody wants it.
        known: Names that root has made in such a folder; one with others in it is not taken over.

    Raises:
        OwnerUnusable: Within `owning`, the user could not write to it, or not get there; it stays whose it was.
    """
    uid, gid = _file_identity()
    if uid == os.geteuid():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    account = _numbered(uid, gid)
    with as_caller():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in reversed(folder.parents):
            if not is_traversable(place, account):
                raise OwnerUnusable(
                    f"{place} cannot be passed through by user {uid}, as whom the parts run and erase in {folder}, too",
                    hint=f"chmod o+x {place}, or name another folder.",
                )
        with _folder(folder) as descriptor:  # what is looked at is what is given, whatever has its name by then
            state = os.fstat(descriptor)
            if state.st_uid == uid:
                return
            if state.st_uid or state.st_mode & 0o022 or not all(map(known.match, os.listdir(descriptor))):
                raise OwnerUnusable(
                    f"{folder} belongs to somebody else than user {uid}, as whom the parts run and erase in it, too",
                    hint=f"Name a new folder, or chown -R {uid}:{gid} {folder}",
                )
            _give(descriptor, account)


def is_ours(folder: Path) -> bool:
    """Whether the parts may write to a folder, within `owning`; one that is away may be theirs."""
    uid, _ = _file_identity()
    state = _state(folder)
    return state is None or state.st_uid == uid or uid == os.geteuid()


@contextmanager
def as_caller() -> Iterator[None]:
    """Within `owning`: what is made meanwhile belongs to whoever gave the command, such as a file that they named."""
    with making_for(_numbered(os.geteuid(), os.getegid())):
        yield


def _numbered(uid: int, gid: int) -> pwd.struct_passwd:
    return pwd.struct_passwd((str(uid), "x", uid, gid, "", "/", "/usr/sbin/nologin"))


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def hand_over_all(folder: Path, account: pwd.struct_passwd) -> None:
    """Give everything in a folder of root's to a user, and the folder itself last: until then nobody else gets in.

    Args:
        folder: Which.
        account: The user.

    Raises:
        OwnerUnusable: There is something else, or it belongs to somebody else.
    """
    with _folder(folder) as descriptor:
        if (whose := os.fstat(descriptor).st_uid) != os.geteuid():
            raise OwnerUnusable(f"{folder} belongs to user {whose}", hint="Find out who put it there.")
        _give(descriptor, account)


def _give(descriptor: int, account: pwd.struct_passwd) -> None:
    os.fchown(descriptor, 0, 0)
    os.fchmod(descriptor, 0o700)
    for _, folders, files, at in os.fwalk(".", topdown=False, follow_symlinks=False, dir_fd=descriptor):
        for name in (*files, *folders):
            os.chown(name, account.pw_uid, account.pw_gid, dir_fd=at, follow_symlinks=False)
    os.fchown(descriptor, account.pw_uid, account.pw_gid)


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """The descriptor of a folder, which stays that folder whatever is done about its name; of no link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:  # of a link, too
        raise OwnerUnusable(f"{path} is a link, or no folder", hint="Find out who put it there.") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _file_identity() -> tuple[int, int]:
    """User and group as whom this thread opens files."""
    library = ctypes.CDLL(None)
    return library.setfsuid(-1), library.setfsgid(-1)  # a number that is none changes nothing


def _take_file_identity(uid: int, gid: int) -> None:
    """Open files as another user from now on, in this thread.

    With the user the kernel takes the capabilities over files away, and gives them back with root's; reading is kept.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.setfsgid(gid)
    library.setfsuid(uid)
    if _file_identity() != (uid, gid):
        raise OwnerUnusable(f"files cannot be made for user {uid}", hint="Run this command as that user.")
    if uid == 0:
        return
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    library.capget(header, sets)
    sets[0] |= _READ_ANYWHERE & sets[1]
    library.capset(header, sets)
