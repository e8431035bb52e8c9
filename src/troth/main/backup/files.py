"""The files of a copied database: each with its digest, read and checked in one pass, and nothing beside them.

PostgreSQL's own `backup_manifest` leaves out the log, `postgresql.auto.conf` and the signal files, and is itself not
signed. So the deployment signs a digest of every file, taken from the stream before it reaches the medium; and what
steers a program (`*.conf`, signal files, links, tablespaces) is never taken from a copy, whatever its digest says.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from troth.main.backup.manifest import BackupBroken, CopiedFile

_CHUNK_BYTES: Final = 1 << 20
_MOST_NAMED: Final = 12
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Copied:
    """What was taken: every file and every folder below the copy's own."""

    files: tuple[CopiedFile, ...]
    folders: tuple[str, ...]


def steers(name: str) -> bool:
    """Whether a file tells PostgreSQL what to do; such a file is written anew at every start, never restored."""
    path = PurePosixPath(name)
    return path.suffix in (".conf", ".signal") or path.name in ("postmaster.opts", "postmaster.pid", "tablespace_map")


def take(stream: IO[bytes], target: Path) -> Copied:
    """Write a physical copy that comes as a tar stream to a new folder, with the digest of what came.

    Args:
        stream: Of `pg_basebackup --format=tar --pgdata=-`.
        target: Must not exist.

    Raises:
        BackupBroken: The stream holds something else than plain files and folders: a tablespace lies elsewhere.
    """
    target.mkdir(mode=0o700)
    files, folders = [], []
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = str(PurePosixPath(member.name))
            if name == ".":
                continue
            if name.startswith("/") or ".." in PurePosixPath(name).parts or not (member.isdir() or member.isreg()):
                raise BackupBroken(
                    f"{name} of the database is neither a file nor a folder", hint="Tablespaces are not backed up."
                )
            if member.isdir():
                (target / name).mkdir(mode=0o700)
                folders.append(name)
                continue
            content = archive.extractfile(member)
            assert content is not None
            (target / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            length, digest = _written(iter(lambda: content.read(_CHUNK_BYTES), b""), target / name)  # noqa: B023
            files.append(CopiedFile(name, length, digest))
    return Copied(tuple(sorted(files, key=lambda one: one.name)), tuple(sorted(folders)))


def bring(
    source: Path, said: Copied, target: Path, told: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Copy a database out of a backup, checking each file as it is copied; what steers a program stays behind.

    Args:
        source: Folder of the copy; anybody may have written to it, also meanwhile.
        said: What the signed manifest says of it.
        target: A new folder; it must not exist.
        told: Is told how many files are done, and of how many.

    Raises:
        BackupBroken: Something differs. The detail names up to twelve files; what was copied has to be thrown away.
    """
    faults = list(_beside(source, said))
    target.mkdir(mode=0o700)
    for folder in said.folders:
        (target / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    root = os.open(source, _OPEN | os.O_DIRECTORY)
    try:
        for number, file in enumerate(said.files):
            told(number, len(said.files))
            fault = _brought(root, file, target / file.name, is_wanted=not faults)
            if fault:
                faults.append(f"{file.name} {fault}")
    finally:
        os.close(root)
    if faults:
        named = "; ".join(sorted(set(faults))[:_MOST_NAMED])
        more = len(set(faults)) - _MOST_NAMED
        raise BackupBroken(
            f"the copy of the database is not what was backed up: {named}{f'; and {more} more' if more > 0 else ''}",
            hint="Nothing of it was run. Take another backup, or another copy of this one.",
        )


def _beside(source: Path, said: Copied) -> Iterator[str]:
    """What lies in the copy and is not on the list: found without opening any of it."""
    known, folders = {file.name for file in said.files}, set(said.folders)
    pending = [""]
    while pending:
        below = pending.pop()
        try:
            entries = list(os.scandir(source / below))
        except OSError:
            yield f"{below or 'the folder'} cannot be read"
            continue
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.is_symlink():
                yield f"{name} is a link"
            elif entry.is_dir(follow_symlinks=False):
                if name not in folders:
                    yield f"{name} was added"
                pending.append(name)
            elif name not in known:
                yield f"{name} was added"
    for folder in folders:
        if not (source / folder).is_dir():
            yield f"{folder} is missing"


def _brought(root: int, file: CopiedFile, target: Path, *, is_wanted: bool) -> str:
    """Copy one file, or only look whether it is right; what is wrong with it, or nothing."""
    try:
        fd = _opened(root, file.name)
    except FileNotFoundError:
        return "is missing"
    except OSError:
        return "is a link or cannot be read"
    with os.fdopen(fd, "rb", buffering=0) as handle:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            return "is not a plain file"
        if state.st_size != file.length_bytes:
            return "has another length"
        try:
            if steers(file.name) or not is_wanted:
                return "" if hashlib.file_digest(handle, "sha256").hexdigest() == file.sha256 else "was altered"
            chunks = _at_most(handle, file.length_bytes)
            return "" if _written(chunks, target) == (file.length_bytes, file.sha256) else "was altered"
        except OSError as fault:
            return f"could not be copied ({fault.strerror})"


def _opened(root: int, name: str) -> int:
    """Open a file below a folder, following no link on the way, not even to a pipe or a device."""
    *above, last = PurePosixPath(name).parts
    at = os.dup(root)
    try:
        for part in above:
            below = os.open(part, _OPEN | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        return os.open(last, _OPEN | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)


def _at_most(handle: IO[bytes], length: int) -> Iterator[bytes]:
    """A file that grows while it is read ends where it should have."""
    left = length
    while left and (chunk := handle.read(min(left, _CHUNK_BYTES))):
        left -= len(chunk)
        yield chunk


def _written(chunks: Iterable[bytes], target: Path) -> tuple[int, str]:
    """Write a new file; its length and SHA-256, taken before the bytes reach any medium."""
    digest = hashlib.sha256()
    length = 0
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as handle:
        for chunk in chunks:
            digest.update(chunk)
            length += len(chunk)
            handle.write(chunk)
    return length, digest.hexdigest()
