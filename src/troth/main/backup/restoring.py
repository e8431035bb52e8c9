"""Restoring a backup into an empty folder: checked, and with every erasure done again before it opens.

While a restore is under way the folder holds a file `restoring`, and no node starts on it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from troth import policy
from troth.kit import clock
from troth.kit.errors import Conflict, TrothError
from troth.kit.postgres import EmbeddedServer
from troth.ledger import EMPTY_ROOT, Head, HeadFile
from troth.main.adopting import InForce
from troth.main.backup.erasures import Erasures
from troth.main.backup.files import Copied, bring
from troth.main.backup.manifest import BackupBroken, BackupMissing, Manifest, stamps
from troth.main.first_start import operator, permit_for
from troth.main.generation import name_log
from troth.main.node import RESTORING
from troth.main.settings import Settings, load, shipped_notice
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.policy import Target
from troth.vault import Keyring, RecoveryRefused, copy_sparse, escrow, journal

_ALL_AT_ONCE: Final = timedelta(0)

Told = Callable[[str, int, int], None]


class NotEmpty(Conflict):
    """The folder to restore into holds something."""

    slug = "not-empty"
    title = "The folder is not empty; nothing is written over"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored.

    Attributes:
        erased_keys: Keys that were destroyed after the backup, destroyed again.
        erased_studies: Studies of the backup that had been erased since, taken away again.
        entries: Of the ledger in the backup.
        entries_lost: Entries that were signed after the backup and are not in it.
        ledger_broken: What the verification of the ledger named.
        instances: Read back and whole.
        broken: Instances that are not whole.
        sessions: Sessions and tokens that were ended.
    """

    stamp: str
    erased_keys: int
    erased_studies: int
    entries: int
    entries_lost: int
    ledger_broken: tuple[str, ...]
    instances: int
    broken: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where to restore from.

    Attributes:
        folder: Of the backups.
        keys_folder: Of the copies of the keyring.
        recovery: The recovery key.
        stamp: Which backup; empty: the newest whose keys are there.
        journals: Further journals of destroyed keys, such as that of the lost deployment.
        notice: The notices in force.
    """

    folder: Path
    keys_folder: Path
    recovery: str
    stamp: str = ""
    journals: tuple[Path, ...] = ()
    notice: tuple[Path, ...] = ()


def restore(
    source: Source, data_dir: Path, *, is_checked: bool = True, told: Told = lambda what, done, total: None
) -> Restored:
    """Restore into an empty folder.

    Args:
        source: Where from.
        data_dir: Where to.
        is_checked: Whether every instance is read back.
        told: Is told what is done, how much of it, and how much there is.

    Raises:
        NotEmpty: The folder holds something.
        BackupMissing: There is no backup, or its keys are gone.
        BackupBroken: Something is not what its manifest says.
        RecoveryRefused: The recovery key does not fit.
    """
    if data_dir.exists() and any(data_dir.iterdir()):
        raise NotEmpty(f"{data_dir} is not empty", hint="Choose a new folder.")
    stamp = _chosen(source)
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / RESTORING).write_text(stamp)
    try:
        manifest, erasures, erased = _brought(source, stamp, data_dir, told)
    except (TrothError, OSError):
        _clear(data_dir)  # nothing was run yet: the same folder serves for another backup or the right key
        raise
    server = EmbeddedServer(data_dir)
    server.adopt()
    server.start()
    try:
        restored = asyncio.run(_finish(source, manifest, erasures, data_dir, server, erased, is_checked, told))
    finally:
        server.stop()
    (data_dir / RESTORING).unlink()
    return restored


def _chosen(source: Source) -> str:
    whole = stamps(source.folder)
    if not whole:
        raise BackupMissing(f"there is no backup in {source.folder}")
    if source.stamp and source.stamp not in whole:
        raise BackupMissing(f"there is no backup {source.stamp}", hint=f"There are: {', '.join(whole)}.")
    with_keys = [stamp for stamp in whole if (source.keys_folder / stamp / "root.sealed").exists()]
    wanted = [stamp for stamp in with_keys if stamp == source.stamp or not source.stamp]
    if not wanted:
        raise BackupMissing(
            "the keys of this backup are not there", hint="They live for a short time only, apart from the data."
        )
    if datetime.fromisoformat(escrow.about(source.keys_folder / wanted[-1]).expires_at) <= clock.now():
        raise RecoveryRefused("the keys of this backup have expired")
    return wanted[-1]


def _brought(source: Source, stamp: str, data_dir: Path, told: Told) -> tuple[Manifest, Erasures, int]:
    """Keys, database and packs into the folder, each checked on the way; nothing of them is run."""
    keys = source.keys_folder / stamp
    secrets = escrow.open_copy(keys, data_dir / "keys", source.recovery)
    keyring = Keyring.open(data_dir / "keys")
    try:
        manifest = Manifest.read(source.folder, stamp, keyring.public_key)
        if escrow.length(keys) < manifest.keys_bytes:
            raise BackupBroken(f"the copy of the keyring in {keys} was cut short")
        erasures = Erasures.read(source.folder, keyring.public_key)
        since = data_dir / "erased-since"
        since.write_bytes(erasures.destroyed)
        if sum(1 for _ in journal.read(since)) < manifest.destroyed:
            raise BackupBroken(f"the file of erasures is older than the backup {stamp}")
        escrow.follow(keys, since)
        erased = _destroy_again(keyring, data_dir, (since, *source.journals))
        since.unlink()
    finally:
        keyring.close()
    _copy(source.folder, manifest, data_dir, secrets, told)
    if manifest.settings:
        (data_dir / "troth.toml").write_text(manifest.settings)
    return manifest, erasures, erased


def _clear(data_dir: Path) -> None:
    for path in data_dir.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _destroy_again(keyring: Keyring, data_dir: Path, journals: tuple[Path, ...]) -> int:
    """Destroy every key that was destroyed since, whatever journal tells of it; how many the journals tell of."""
    refs = {one.ref for path in journals for one in journal.read(path)}
    if refs:
        keyring.destroy(refs)
        own = data_dir / "keys" / journal.NAME
        journal.append(own, refs - {one.ref for one in journal.read(own)})
    return len(refs)


def _copy(folder: Path, manifest: Manifest, data_dir: Path, secrets: dict[str, Any], told: Told) -> None:
    bring(
        folder / manifest.database, Copied(manifest.files, manifest.folders), data_dir / "pg",
        lambda done, total: told("database", done, total),
    )  # fmt: skip
    (data_dir / "packs").mkdir(mode=0o700)
    for number, pack in enumerate(manifest.packs):
        told("packs", number, len(manifest.packs))
        try:
            length, digest = copy_sparse(folder / "packs" / pack.name, data_dir / "packs" / pack.name)
        except FileNotFoundError:
            raise BackupBroken(f"the pack {pack.name} is missing") from None
        except OSError as fault:
            raise BackupBroken(f"the pack {pack.name} cannot be read ({fault.strerror})") from None
        if (length, digest) != (pack.length_bytes, pack.sha256):
            raise BackupBroken(f"the pack {pack.name} is not what was copied")
    (data_dir / "secrets").mkdir(mode=0o700)
    fd = os.open(data_dir / "secrets" / "database.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as handle:
        handle.write(secrets["database"])


async def _begin_anew(rooms: Rooms, settings: Settings, data_dir: Path) -> None:
    """Remember the tree as it came back, and open a new generation: what was signed since the backup is lost.

    It is the first entry that is written, so that no size is signed again under the name that it was signed under.
    """
    async with rooms.database.transaction(None) as connection:
        checkpoint = await rooms.ledger.checkpoint(connection)
    size, root, note = (checkpoint.size, checkpoint.root, checkpoint.note) if checkpoint else (0, EMPTY_ROOT, "")
    await asyncio.to_thread(HeadFile(data_dir).write, Head(size, root, 0, size, note))
    await name_log(rooms, settings, operator(), is_restored=True)


async def _finish(
    source: Source,
    manifest: Manifest,
    erasures: Erasures,
    data_dir: Path,
    server: EmbeddedServer,
    erased: int,
    is_checked: bool,
    told: Told,
) -> Restored:
    """Do again what was erased since, check everything, and tell the ledger."""
    settings = load(data_dir, notice=source.notice or (shipped_notice(),))
    rooms = open_rooms(settings, server, load_notices(settings), connections=2)
    try:
        await InForce(rooms).look()
        await _begin_anew(rooms, settings, data_dir)
        sessions = studies = instances = broken = 0
        tombstones = list(erasures.each_tombstone())
        for place in await rooms.people.organisations():
            permit = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
            mine = [(place.id, digest, at) for tenant, digest, at in tombstones if tenant == place.id]
            async with rooms.database.transaction(permit) as connection:
                cursor = await connection.execute("update session set ended_at = now() where ended_at is null")
                sessions += cursor.rowcount
                for values in mine:
                    await connection.execute(
                        "insert into tombstone (tenant, digest, erased_at) values (%s, %s, %s) on conflict do nothing",
                        values,
                    )
                await connection.execute("delete from broken_instance")
            studies += await rooms.archive.resume_erasures(permit)
            studies += await rooms.archive.replay_erasures(permit)
            if is_checked:
                read = await rooms.archive.upkeep.recheck(permit, told=lambda n, of: told("instances", n, of))
                instances, broken = instances + read.instances, broken + len(read.broken)
        platform = await permit_for(rooms, "administer", Target("platform"))
        await rooms.archive.upkeep.sweep(platform, grace=_ALL_AT_ONCE, key_grace=_ALL_AT_ONCE, is_thorough=True)
        verdict = await rooms.ledger.verify(rooms.dsn_sequencer)
        restored = Restored(
            manifest.stamp, max(0, erased - manifest.destroyed), studies, verdict.size + verdict.pending,
            max(0, erasures.ledger_size - verdict.size),
            tuple(one.what for one in verdict.broken), instances, broken, sessions,
        )  # fmt: skip
        async with rooms.database.transaction(None) as connection:
            await rooms.ledger.append(
                connection,
                policy.entry(
                    platform,
                    "main:backup:restored",
                    counts={
                        "studies_erased_again": studies, "keys_destroyed_again": restored.erased_keys,
                        "entries_lost": restored.entries_lost, "entries_kept": verdict.size,
                        "entries_known": erasures.ledger_size, "instances": instances, "broken": broken,
                    },
                ),
            )  # fmt: skip
        return restored
    finally:
        await rooms.people.settled()
        await rooms.close()
