"""Making a backup beside a running node.

The order makes it whole: the database first, with the log up to the moment it ends; then the packs, because bytes are
durable before any row names them; then the keys, because keys are durable before any row names them. What comes in
meanwhile is more than is needed, never less; what a correction replaces meanwhile is given back later.

The database comes as a stream, and the digests that are signed are of the stream: whoever can write to the medium
cannot slip anything into the manifest, whenever they do it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
from psycopg.types.json import Jsonb

from troth import policy
from troth.kit import clock, ids
from troth.kit.errors import Unavailable, Unprocessable
from troth.kit.owner import as_caller, own
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer, Postgres
from troth.kit.programs import binaries_folder
from troth.main.backup.files import Copied, take
from troth.main.backup.following import Following
from troth.main.backup.manifest import BackupBroken, BackupMissing, Manifest, stamps
from troth.main.wiring import Rooms
from troth.policy import Permit
from troth.vault import CopiedPack, copy_packs, escrow, journal

_MADE: Final = re.compile(r"(manifest|database)-|\d{8}T\d{6}-|packs$|erasures\b")
_PASSWORD: Final = re.compile(r"password=(\S+)")

Told = Callable[[str, int], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made.

    Attributes:
        folder: Of the backups.
        keys_folder: Of the copies of the keyring; on another medium, with other readers.
        recovery: The recovery key.
        keep: How many backups are kept.
        keys_live: How long the copy of the keyring lives; after that the backup cannot be opened any more.
    """

    folder: Path
    keys_folder: Path
    recovery: str
    keep: int = 2
    keys_live: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Made:
    """What was made.

    Attributes:
        bytes: Of the packs, holes included.
        copied: Packs that had to be copied; the others were there.
    """

    stamp: str
    packs: int
    copied: int
    bytes: int
    database_bytes: int


async def make(
    rooms: Rooms, server: Postgres, permit: Permit, wanted: Wanted, told: Told = lambda what, n: None
) -> Made:
    """Make a backup.

    Args:
        rooms: Of the deployment.
        server: Its database.
        permit: To `administer` the platform.
        wanted: What.
        told: Is told what is being done, and how much of it.

    Raises:
        Unprocessable: Data and keys would lie together, or the database is somebody else's.
        Unavailable: The database server refused.
        BackupBroken: The copy of the database does not check.
        OwnerUnusable: Root makes it, and the parts could not erase in it what is erased later.
    """
    _require_apart(rooms, wanted)
    if not isinstance(server, EmbeddedServer):
        raise Unprocessable(
            "the database is a managed one, and its physical copy is for those who run it",
            hint="Back it up with their means, before the packs of this folder.",
        )
    for folder in (wanted.folder, wanted.keys_folder):
        await asyncio.to_thread(own, folder, _MADE)
    stamp = clock.now().strftime("%Y%m%dT%H%M%S") + f"-{ids.code()[:4].lower()}"
    earlier = stamps(wanted.folder)
    _remove_unfinished(wanted.folder, earlier)
    known = _known(wanted.folder, earlier, rooms.keyring.public_key)
    database = wanted.folder / f"database-{stamp}"
    packs: list[CopiedPack] = []
    copied = 0

    def copy_all() -> None:
        nonlocal copied
        for pack in copy_packs(rooms.packs, wanted.folder / "packs", known):
            copied += known.get(pack.name) != pack
            packs.append(pack)
            told("packs", len(packs))

    async with rooms.archive.releasing.holding():  # what the rows of the copy name stays until it is copied, too
        told("database", 0)
        copy = await asyncio.to_thread(_copy_database, server, database)
        made_at = clock.now()
        await asyncio.to_thread(copy_all)
    told("keys", 0)
    data_dir, expires_at = rooms.settings.data_dir, made_at + wanted.keys_live
    await asyncio.to_thread(
        escrow.make, data_dir / "keys", wanted.keys_folder / stamp, wanted.recovery, stamp, (made_at, expires_at),
        rooms.keyring.public_key, {"database": (data_dir / "secrets" / "database.json").read_text()},
    )  # fmt: skip
    async with rooms.database.transaction(None) as connection:
        checkpoint = await rooms.ledger.checkpoint(connection)
    settings = data_dir / "troth.toml"
    manifest = Manifest(
        stamp, made_at.isoformat(), database.name, copy.files, copy.folders, tuple(packs),
        escrow.length(wanted.keys_folder / stamp),
        settings.read_text() if settings.exists() else "", checkpoint.size if checkpoint else 0,
        sum(1 for _ in journal.read(wanted.keys_folder / stamp / journal.NAME)), rooms.keyring.public_key.hex(),
    )  # fmt: skip
    await asyncio.to_thread(manifest.write, wanted.folder, rooms.keyring)
    size = sum(file.length_bytes for file in copy.files)
    made = Made(stamp, len(packs), copied, sum(pack.length_bytes for pack in packs), size)
    await _record(rooms, permit, wanted, made, (made_at.isoformat(), expires_at.isoformat()))
    await Following(rooms).once()
    await asyncio.to_thread(_prune, wanted, rooms.keyring.public_key)
    return made


def _require_apart(rooms: Rooms, wanted: Wanted) -> None:
    places = {
        "the data": rooms.settings.data_dir.resolve(),
        "the backup": wanted.folder.resolve(),
        "its keys": wanted.keys_folder.resolve(),
    }
    for name, place in places.items():
        for other, elsewhere in places.items():
            if name != other and place.is_relative_to(elsewhere):
                raise Unprocessable(
                    f"{name} would lie in the folder of {other}", hint="Who has one of them must not have the other."
                )


def _copy_database(server: EmbeddedServer, target: Path) -> Copied:
    """A physical copy of both databases at one moment, with every byte of it under a digest as it comes."""
    dsn = server.dsn(SUPERUSER, "postgres")
    found = _PASSWORD.search(dsn)
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGPASSWORD": found[1] if found else ""}
    command = [
        str(binaries_folder() / "pg_basebackup"), "--pgdata=-", "--format=tar", "--wal-method=fetch",
        "--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password", "--host", str(server.socket_folder),
        "--username", SUPERUSER,
    ]  # fmt: skip
    with _log_kept(dsn), tempfile.TemporaryFile() as said:
        with as_caller():  # to start a program as another user than oneself would keep its libraries from it
            running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=said)
        assert running.stdout is not None
        try:
            copied = take(running.stdout, target)
            running.stdout.read()
        except tarfile.TarError:  # the stream was cut short; what the program says of it is the reason
            copied = None
        finally:
            running.stdout.close()
            code = running.wait()
        if code or copied is None:
            said.seek(0)
            raise Unavailable(
                "the database could not be copied", hint=said.read().decode(errors="replace").strip()[-400:]
            )
    check_database(target)
    os.sync()
    return copied


@contextmanager
def _log_kept(dsn: str) -> Iterator[None]:
    """While this stands, the server keeps every piece of its log, however long the copy takes."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_create_physical_replication_slot('troth_backup_' || pg_backend_pid(), true, true)"
        )
        yield


def check_database(folder: Path) -> None:
    """Hold a fresh copy of the database against PostgreSQL's own manifest: is the medium sound, is the log whole?

    Raises:
        BackupBroken: They differ.
    """
    command = [str(binaries_folder() / "pg_verifybackup"), "--exit-on-error", "--quiet", str(folder)]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    with as_caller():
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise BackupBroken("the copy of the database is not whole", hint=done.stderr.strip()[-400:])


def _known(folder: Path, earlier: list[str], public_key: bytes) -> dict[str, CopiedPack]:
    """The packs of the backup before; none where nobody can say that it is ours, and then all are copied."""
    try:
        return {pack.name: pack for pack in Manifest.read(folder, earlier[-1], public_key).packs} if earlier else {}
    except (BackupBroken, BackupMissing):
        return {}


async def _record(rooms: Rooms, permit: Permit, wanted: Wanted, made: Made, times: tuple[str, str]) -> None:
    counts = {"packs": made.packs, "copied": made.copied, "bytes": made.bytes, "database_bytes": made.database_bytes}
    async with rooms.database.transaction(None) as connection:
        await connection.execute(
            "insert into backup (id, stamp, folder, keys_folder, made_at, keys_expire_at, verified_at, counts)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                ids.uuid7(), made.stamp, str(wanted.folder.resolve()), str(wanted.keys_folder.resolve()),
                *times, clock.now(), Jsonb(counts),
            ),
        )  # fmt: skip
        await rooms.ledger.append(connection, policy.entry(permit, "main:backup:made", counts=counts))


def _remove_unfinished(folder: Path, whole: list[str]) -> None:
    for database in folder.glob("database-*"):
        if database.name.removeprefix("database-") not in whole:
            shutil.rmtree(database)


def _prune(wanted: Wanted, public_key: bytes) -> None:
    """Take away backups beyond the number to keep, packs that none of the others names, and copies of keys too old.

    Where one of the manifests is not ours any more, nothing is: what it named cannot be told.
    """
    try:
        kept = [Manifest.read(wanted.folder, stamp, public_key) for stamp in stamps(wanted.folder)[-wanted.keep :]]
    except (BackupBroken, BackupMissing) as fault:
        _log.warning("no earlier backup was taken away: %s", fault.detail)
        return
    for stamp in stamps(wanted.folder)[: -wanted.keep]:
        (wanted.folder / f"manifest-{stamp}.json").unlink()
        (wanted.folder / f"manifest-{stamp}.sig").unlink(missing_ok=True)
        shutil.rmtree(wanted.folder / f"database-{stamp}", ignore_errors=True)
        if (wanted.keys_folder / stamp).exists():
            escrow.destroy(wanted.keys_folder / stamp)
    named = {pack.name for manifest in kept for pack in manifest.packs}
    for path in (wanted.folder / "packs").glob("*.pack*"):
        if path.name not in named:
            path.unlink()
