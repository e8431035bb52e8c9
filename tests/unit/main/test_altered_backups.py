"""Whoever can write to a backup's medium, and holds no key, runs nothing and hides nothing: each alteration is named.

One backup of a real deployment; each case alters it, restores it into a new folder, and puts it back. Where the tests
run as root, every third is tried once more by a service user that is not.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tests.common.deployment import start
from tests.common.servers import ServedDatabase, open_folder
from troth.kit.errors import TrothError
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import MAIN_DATABASE, EmbeddedServer
from troth.kit.programs import ServerUnavailable
from troth.main.backup import Erasures, Source, Wanted, make, restore, stamps
from troth.main.backup.files import steers
from troth.main.node import RESTORING
from troth.policy import Target
from troth.vault import KeyLost, KeyRef, Keyring, escrow, journal

RECOVERY = "a-recovery-key-of-many-characters"


@dataclass
class Backup:
    """A deployment with one study, and two backups of it."""

    place: Path
    folder: Path
    keys: Path
    public_key: bytes
    older: str
    stamp: str
    ran: Path
    server: EmbeddedServer

    @property
    def database(self) -> Path:
        return self.folder / f"database-{self.stamp}"

    def source(self, stamp: str = "") -> Source:
        return Source(self.folder, self.keys, RECOVERY, stamp or self.stamp)

    @property
    def manifest(self) -> Path:
        return self.folder / f"manifest-{self.stamp}.json"

    @property
    def pack(self) -> Path:
        return max((self.folder / "packs").glob("*.pack"), key=lambda path: path.stat().st_blocks)


@pytest.fixture(scope="module")
async def backup() -> AsyncIterator[Backup]:
    place = open_folder("troth-altered-")
    data = place / "data"
    server = EmbeddedServer(data, {"fsync": "off"})
    server.start()
    served = ServedDatabase(server, MAIN_DATABASE)
    deployment = await start(served, data, "imaging-cloud")
    try:
        await deployment.study()
        permit = await deployment.operator_permit("administer", Target("platform"))
        wanted = Wanted(place / "backups", place / "keys", RECOVERY, keep=3, keys_live=timedelta(days=7))
        older = await make(deployment.rooms, server, permit, wanted)
        await deployment.study()
        newer = await make(deployment.rooms, server, permit, wanted)
        yield Backup(
            place, wanted.folder, wanted.keys_folder, deployment.rooms.keyring.public_key, older.stamp, newer.stamp,
            place / "ran", server,
        )  # fmt: skip
    finally:
        await deployment.close()
        await served.close()
        server.stop()
        shutil.rmtree(server.socket_folder, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def kept(*paths: Path) -> Iterator[None]:
    """What is changed meanwhile is put back, and what came is taken away."""
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    try:
        yield
    finally:
        for path, content in before.items():
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()  # a pipe
            if content is not None:
                path.write_bytes(content)
                path.chmod(0o600)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def append(text: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text((path.read_text() if path.exists() else "") + text)

    return change


def link(path: Path) -> None:
    place = next(folder for folder in path.parents if folder.name == "backups").parent
    shutil.copy(path, place / path.name)
    path.unlink()
    path.symlink_to(place / path.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def hard_link(path: Path) -> None:
    """To a file of the same length and other bytes."""
    other = path.parent.parent / "other"
    other.write_bytes(bytes(path.stat().st_size))
    path.unlink()
    path.hardlink_to(other)
    other.unlink()


def tablespace(path: Path) -> None:
    path.symlink_to("/var/tmp")


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def gone(path: Path) -> None:
    path.unlink()


def command(backup: Backup) -> str:
    return f"\narchive_mode = on\narchive_command = 'touch {backup.ran}'\n"


Case = tuple[str, Callable[[Backup], Path], Callable[[Path], None]]


def in_database(name: str) -> Callable[[Backup], Path]:
    return lambda backup: backup.database / name


def largest(folder: str) -> Callable[[Backup], Path]:
    return lambda backup: max(
        (path for path in (backup.database / folder).rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )


def key_file(name: str) -> Callable[[Backup], Path]:
    return lambda backup: backup.keys / backup.stamp / name


def older(backup: Backup, name: str) -> bytes:
    return (backup.folder / name.replace(backup.stamp, backup.older)).read_bytes()


STEERING = ("postgresql.auto.conf", "postgresql.conf", "pg_hba.conf", "pg_ident.conf")
CASES: list[Case] = [
    *((f"{name} appended to", in_database(name), append("archive_mode = on\n")) for name in STEERING),
    *((f"{name} missing", in_database(name), gone) for name in STEERING),
    *((f"{name} added", in_database(name), append("")) for name in ("recovery.signal", "standby.signal")),
    ("a configuration added", in_database("troth.conf"), append("log_statement = all\n")),
    ("a folder of configurations added", in_database("conf.d"), lambda path: path.mkdir()),
    ("a table altered", largest("base"), flip),
    ("a table cut short", largest("base"), cut),
    ("a table emptied", largest("base"), empty),
    ("a table missing", largest("base"), gone),
    ("a table a link to the same bytes", largest("base"), link),
    ("a table a hard link to other bytes", largest("base"), hard_link),
    ("a table a pipe", largest("base"), pipe),
    ("a file added beside the tables", in_database("base/99999"), append("x")),
    ("the log altered", largest("pg_wal"), flip),
    ("the log missing", largest("pg_wal"), gone),
    ("a piece of log added", in_database("pg_wal/000000010000000000000099"), append("x")),
    ("a tablespace added", in_database("pg_tblspc/16999"), tablespace),
    ("tablespaces mapped", in_database("tablespace_map"), append("16999 /etc\n")),
    ("the control file altered", in_database("global/pg_control"), flip),
    ("the label altered", in_database("backup_label"), flip),
    ("PostgreSQL's manifest altered", in_database("backup_manifest"), flip),
    ("the version altered", in_database("PG_VERSION"), append("x")),
    ("a pack altered", lambda backup: backup.pack, flip),
    ("a pack cut short", lambda backup: backup.pack, cut),
    ("a pack missing", lambda backup: backup.pack, gone),
    ("a pack a link", lambda backup: backup.pack, link),
    ("a pack a pipe", lambda backup: backup.pack, pipe),
    ("the signature missing", lambda backup: backup.manifest.with_suffix(".sig"), gone),
    ("the signature altered", lambda backup: backup.manifest.with_suffix(".sig"), flip),
    ("the signature cut short", lambda backup: backup.manifest.with_suffix(".sig"), cut),
    ("the manifest altered", lambda backup: backup.manifest, flip),
    ("the manifest cut short", lambda backup: backup.manifest, cut),
    ("the erasures altered", lambda backup: backup.folder / "erasures", flip),
    ("the erasures emptied", lambda backup: backup.folder / "erasures", empty),
    ("the erasures missing", lambda backup: backup.folder / "erasures", gone),
    ("the sealed root key altered", key_file("root.sealed"), flip),
    ("the sealed root key cut short", key_file("root.sealed"), cut),
    ("what the keys say of themselves missing", key_file("about.json"), gone),
    ("what the keys say of themselves cut short", key_file("about.json"), cut),
    ("the keys' journal missing", key_file("destroyed"), gone),
    ("one file of keys missing", key_file("slots-b"), gone),
]


def refused(backup: Backup, target: Path) -> str:
    """What the restore says; it must refuse, run nothing and leave an empty folder."""
    with pytest.raises(TrothError) as caught:
        restore(backup.source(), target, is_checked=False)
    assert not backup.ran.exists()
    assert not target.exists() or list(target.iterdir()) == [], "the folder must serve again"
    return f"{caught.value.detail} {caught.value.hint}"


@pytest.mark.parametrize(("what", "where", "change"), CASES, ids=[case[0] for case in CASES])
def test_what_was_altered_is_named_and_nothing_is_run(
    backup: Backup, tmp_path: Path, what: str, where: Callable[[Backup], Path], change: Callable[[Path], None]
) -> None:
    path = where(backup)
    with kept(path):
        change(path)
        said = refused(backup, tmp_path / "again")
    if what.startswith(("the sealed root", "what the keys say")):
        assert "copy of" in said
    else:
        assert path.name in said, said


def test_both_files_of_keys_altered_or_cut_short(backup: Backup, tmp_path: Path) -> None:
    paths = [backup.keys / backup.stamp / name for name in ("slots-a", "slots-b")]
    with kept(*paths):
        for path in paths:
            flip(path)
        assert "page" in refused(backup, tmp_path / "altered")
    with kept(*paths):
        for path in paths:
            os.truncate(path, path.stat().st_size - 4096)
        assert "cut short" in refused(backup, tmp_path / "cut")


def test_an_older_file_in_the_place_of_a_newer_one(backup: Backup, tmp_path: Path) -> None:
    """Each was signed, at its time; only together they are one backup."""
    signature = backup.manifest.with_suffix(".sig")
    with kept(backup.manifest, signature):
        for path in (backup.manifest, signature):
            path.write_bytes(older(backup, path.name))
        assert f"that of another backup, {backup.older}" in refused(backup, tmp_path / "manifest")
    older_files = {path.name: path for path in (backup.folder / f"database-{backup.older}" / "base").rglob("*")}
    newer = next(
        path
        for path in sorted((backup.database / "base").rglob("*"))
        if path.is_file() and path.name in older_files and older_files[path.name].read_bytes() != path.read_bytes()
    )
    with kept(newer):
        newer.write_bytes(older_files[newer.name].read_bytes())
        assert newer.name in refused(backup, tmp_path / "table")


def test_two_files_swapped_are_both_named(backup: Backup, tmp_path: Path) -> None:
    pages = [path for path in (backup.database / "base").rglob("*") if path.is_file() and path.stat().st_size == 8192]
    first = pages[0]
    second = next(path for path in pages if path.read_bytes() != first.read_bytes())
    assert first.read_bytes() != second.read_bytes()
    with kept(first, second):
        one, other = first.read_bytes(), second.read_bytes()
        first.write_bytes(other)
        second.write_bytes(one)
        said = refused(backup, tmp_path / "again")
    assert first.name in said
    assert second.name in said


def test_what_erases_is_taken_from_the_deployment_alone(backup: Backup, tmp_path: Path) -> None:
    """A forged journal would make the restore destroy keys of what nobody erased."""
    path = backup.folder / "erasures"
    there = Erasures.read(backup.folder, backup.public_key)
    stranger = Keyring.open(tmp_path / "stranger", create=True)
    with kept(path):
        there.write(backup.folder, stranger)
        assert "did not sign it" in refused(backup, tmp_path / "again")


def test_a_key_that_somebody_took_out_is_no_erasure(backup: Backup, tmp_path: Path) -> None:
    """The study it sealed is not taken away as if it had been erased."""
    copy, forged, target = backup.keys / backup.stamp, tmp_path / "forged", open_folder("troth-lost-key-")
    with psycopg.connect(backup.server.dsn(SUPERUSER)) as connection:
        (key,) = connection.execute("select key from study limit 1").fetchone() or (b"",)
    journal.append(forged, [KeyRef(bytes(key))])
    with kept(*(copy / name for name in ("slots-a", "slots-b", "destroyed"))):
        told = (copy / "destroyed").read_bytes()
        assert escrow.follow(copy, forged) == 1
        (copy / "destroyed").write_bytes(told)
        with pytest.raises(KeyLost):
            restore(backup.source(), target)
    assert (target / RESTORING).exists(), "no node starts on it"
    shutil.rmtree(target)


def test_a_database_that_comes_up_obeys_no_file_of_the_backup(backup: Backup, tmp_path: Path) -> None:
    """Whole, it is restored; and what steers the server is written anew, then and at each later start."""
    target = open_folder("troth-whole-")
    again = EmbeddedServer(target)
    try:
        restored = restore(backup.source(), target)
        assert (restored.instances, restored.broken, restored.ledger_broken) == (2, 0, ())
        assert not (target / RESTORING).exists()
        for name in STEERING:
            (target / "pg" / name).write_text(command(backup))
        again.start()
        with psycopg.connect(again.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
            found = dict(
                connection.execute(
                    "select name, setting from pg_settings where name in ('archive_mode', 'archive_command',"
                    " 'restore_command', 'allow_alter_system', 'log_statement')"
                ).fetchall()
            )
            assert found["archive_mode"] == "off"
            assert (found["restore_command"], found["allow_alter_system"], found["log_statement"]) == (
                "",
                "off",
                "none",
            )
            with pytest.raises(psycopg.Error, match="ALTER SYSTEM"):
                connection.execute("alter system set log_statement = 'all'")
        again.stop()
        (target / "pg" / "recovery.signal").touch()
        with pytest.raises(ServerUnavailable, match=r"recovery\.signal"):
            again.start()
    finally:
        again.stop()
        shutil.rmtree(again.socket_folder, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
    assert not backup.ran.exists()


def test_every_file_is_on_the_list_and_only_those(backup: Backup) -> None:
    said = json.loads(backup.manifest.read_text())
    there = {str(path.relative_to(backup.database)) for path in backup.database.rglob("*") if path.is_file()}
    assert {file["name"] for file in said["files"]} == there
    assert {"postgresql.auto.conf", "backup_manifest"} < there
    assert any(re.fullmatch(r"pg_wal/[0-9A-F]{24}", name) for name in there)
    assert {name for name in there if steers(name)} >= set(STEERING)


def test_the_same_as_a_service_user_that_is_not_root(backup: Backup) -> None:
    """Then PostgreSQL runs as the user that holds the keys: a command of the attacker's would have read them."""
    if os.geteuid() != 0:
        pytest.skip("the tests do not run as root: every other test of this file is this one")
    nobody = pwd.getpwnam("nobody")
    place = open_folder("troth-service-")
    mine = Backup(
        place, place / "backups", place / "keys", backup.public_key, backup.older, backup.stamp, place / "ran",
        backup.server,
    )  # fmt: skip
    shutil.copytree(backup.folder, mine.folder)
    shutil.copytree(backup.keys, mine.keys)
    for path in (place, *place.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
            os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
            for number, (_, where, change) in enumerate(CASES[::3]):
                path = where(mine)
                with kept(path):
                    change(path)
                    refused(mine, place / f"again-{number}")
            restored = restore(mine.source(), place / "whole")
            assert (restored.instances, restored.broken) == (2, 0)
            code = 0
        except BaseException:
            (place / "fault").write_text(traceback.format_exc())
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    fault = (place / "fault").read_text() if (place / "fault").exists() else ""
    shutil.rmtree(place)
    assert os.waitstatus_to_exitcode(status) == 0, fault
    assert stamps(backup.folder) == [backup.older, backup.stamp]
