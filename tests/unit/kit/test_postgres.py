"""The launcher: first start, restart, kill -9, unreachable folders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.common.servers import open_folder
from troth.kit import owner, passwords, postgres, programs
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer, ManagedServer, url
from troth.kit.programs import ServerUnavailable
from troth.main.settings import Settings


@pytest.fixture
def folder() -> Iterator[Path]:
    place = open_folder("troth-launcher-")
    yield place
    shutil.rmtree(place, ignore_errors=True)


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def test_committed_row_survives_kill_of_server_and_children(folder: Path) -> None:
    server = EmbeddedServer(folder)
    server.start()
    with psycopg.connect(server.dsn("troth_owner")) as connection:
        connection.execute("create table kept (n int)")
        connection.execute("insert into kept values (42)")
    assert server.pid
    for pid in children(server.pid):
        with suppress(ProcessLookupError):  # one that did a single job may just have ended
            os.kill(pid, signal.SIGKILL)
    os.kill(server.pid, signal.SIGKILL)
    again = EmbeddedServer(folder)
    again.start()
    try:
        with psycopg.connect(again.dsn("troth_owner")) as connection:
            assert connection.execute("select n from kept").fetchone() == (42,)
    finally:
        again.stop()
        server.stop()


@pytest.mark.asvs("V13.2.1")
def test_only_the_socket_listens_and_a_password_is_asked_for(folder: Path) -> None:
    server = EmbeddedServer(folder)
    server.start()
    try:
        with psycopg.connect(server.dsn(SUPERUSER, "postgres")) as connection:
            assert connection.execute("show listen_addresses").fetchone() == ("",)
        wrong = server.dsn("troth_app").replace("password=", "password=x")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(wrong)
        assert url(server.dsn("troth_app")).startswith("postgresql+psycopg://troth_app:")
        secrets = folder / "secrets" / "database.json"
        assert secrets.stat().st_mode & 0o777 == 0o600
    finally:
        server.stop()


@pytest.mark.asvs("V11.4.2")
def test_no_password_stands_in_a_statement(folder: Path) -> None:
    server = EmbeddedServer(folder, {"log_statement": "all"})
    server.start()
    try:
        said = (folder / "postgres.log").read_text()
        told = json.loads((folder / "secrets" / "database.json").read_text())
        assert "create role" in said, "the log must hold what was told to the server"
        assert not [role for role, password in told.items() if password in said]
        for role in passwords.ROLES:
            database = postgres.FLOW_DATABASE if role == "troth_flow" else postgres.MAIN_DATABASE
            psycopg.connect(server.dsn(role, database)).close()
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_a_folder_that_the_server_cannot_reach_is_said() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as hidden:
        with pytest.raises(ServerUnavailable, match="cannot be reached") as caught:
            EmbeddedServer(Path(hidden) / "inner").start()
        assert "--data-dir" in caught.value.hint


def test_parent_death_stops_the_server(folder: Path) -> None:
    pid = os.fork()
    if pid == 0:
        server = EmbeddedServer(folder)
        server.start()
        (folder / "pid").write_text(str(server.pid))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    served = int((folder / "pid").read_text())
    for _ in range(200):
        if (
            not Path(f"/proc/{served}").exists()
            or "Z" in Path(f"/proc/{served}/stat").read_text().rsplit(")", 1)[1][:3]
        ):
            break
        time.sleep(0.05)
    else:
        pytest.fail("the server outlived its parent")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_programs_that_the_server_cannot_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout in a closed folder, as a newcomer's home is, still starts."""
    state = open_folder("troth-state-")
    monkeypatch.setattr(programs, "_STATE", state)
    reach = programs.is_traversable
    monkeypatch.setattr(programs, "is_traversable", lambda place, who: place != binaries and reach(place, who))
    binaries = programs.binaries_folder().resolve()
    server = EmbeddedServer(folder)
    server.start()
    try:
        assert server.pid
        assert Path(f"/proc/{server.pid}/exe").resolve().is_relative_to(state)
    finally:
        server.stop()
        shutil.rmtree(state)


@pytest.mark.asvs("V13.2.3")
def test_passwords_are_never_made_anew_where_roles_exist(folder: Path) -> None:
    """New ones would open nothing, and the old ones would be gone for good."""
    server, file = EmbeddedServer(folder), folder / "secrets" / "database.json"
    server.start()
    before = file.read_bytes()
    managed = ManagedServer(server.dsn(SUPERUSER, "postgres"), folder)
    managed.start()
    file.rename(file.with_name("aside"))
    with pytest.raises(ServerUnavailable, match="are lost"):
        managed.start()
    assert not file.exists()
    server.stop()
    with pytest.raises(ServerUnavailable, match="are lost") as caught:
        EmbeddedServer(folder).start()
    assert "backup" in caught.value.hint
    assert not file.exists()
    for content in (b"", b"{}", before[:20], b"[]"):
        file.write_bytes(content)
        with pytest.raises(ServerUnavailable, match="cannot be read"):
            EmbeddedServer(folder).start()
        assert file.read_bytes() == content
    file.write_bytes(before)
    server.start()
    server.stop()


@pytest.mark.asvs("V16.5.1")
@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://troth:se cret-pass word@host/db",
        "host=db password=secret-password user",
        "postgresql://troth:secret-password@[host/db",
        "postgresql://troth:secret%-password@host/db",
        "postgresql://troth:secret-password@host/db?sekret-password",
        "password='secret-password",
    ],
)
def test_an_address_that_cannot_be_read_is_not_repeated(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ServerUnavailable) as caught:
        ManagedServer(wrong, tmp_path).dsn("troth_app")
    fault: BaseException | None = caught.value
    assert "TROTH_DATABASE_URL" in str(fault)
    while fault is not None:
        for text in (*map(str, fault.args), getattr(fault, "hint", "")):
            assert "secret" not in text
            assert "password@" not in text
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    settings = Settings(tmp_path, database_url=wrong)
    assert "secret" not in repr(settings)
    done = subprocess.run(
        [sys.executable, "-m", "troth.main.cli", "serve", "--data-dir", str(tmp_path)],
        capture_output=True, text=True, env={**os.environ, "TROTH_DATABASE_URL": wrong},
    )  # fmt: skip
    assert done.returncode == 1
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give away")
def test_root_gives_nothing_away_through_a_link_of_the_databases_user(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where that user owns the folder, a link takes the place of each file as soon as it is made."""
    server, user = EmbeddedServer(folder), programs.unprivileged_account()
    of_root = folder / "node.lock"
    of_root.write_text("root's alone")
    of_root.chmod(0o600)
    server.socket_folder.mkdir()
    os.chown(server.socket_folder, user.pw_uid, user.pw_gid)
    (server.socket_folder / "initial").symlink_to(of_root)
    really_open, swapped = os.open, set()

    def open_and_lose(path: Path, *told: int, **also: int) -> int:
        descriptor = really_open(path, *told, **also)
        if Path(path).parent == server.cluster and told[0] & os.O_CREAT:
            Path(path).rename(Path(path).with_suffix(".kept"))
            Path(path).symlink_to(of_root)
            swapped.add(Path(path).name)
        return descriptor

    try:
        with monkeypatch.context() as patched:
            patched.setattr(postgres.os, "open", open_and_lose)
            with suppress(ServerUnavailable):  # it has no settings that it could read
                server.start()
        assert "postgresql.conf" in swapped
        assert (of_root.stat().st_uid, of_root.read_text()) == (0, "root's alone")
        for name in swapped:
            assert (server.cluster / name).with_suffix(".kept").stat().st_uid == user.pw_uid, name
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give away")
@pytest.mark.parametrize("what", ["a link", "another's"])
def test_root_takes_over_no_folder_that_somebody_else_put_there(tmp_path: Path, what: str) -> None:
    user, target, place = programs.unprivileged_account(), tmp_path / "of_root", tmp_path / "pg"
    target.mkdir(mode=0o700)
    if what == "a link":
        place.symlink_to(target)
    else:
        place.mkdir()
        os.chown(place, 65520, 65520)
    with pytest.raises(owner.OwnerUnusable):
        owner.own_folder(place, user)
    assert target.stat().st_uid == 0


def test_a_server_that_ended_leaves_no_folder_and_takes_away_those_of_killed_ones(folder: Path) -> None:
    server = EmbeddedServer(folder)
    beside = server.socket_folder.parent
    names = [f"troth-{number:012x}" for number in (0xA77AC, 0xA77AD, 0xA77AE)]
    killed, begun, heard = (beside / name for name in names)
    user = programs.unprivileged_account() if os.geteuid() == 0 else None
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for place in (killed, begun, heard):
        place.mkdir()
        (place / "initial").write_text("left over")
    listening.bind(str(heard / ".s.PGSQL.5432"))
    listening.listen()
    for place in (killed, begun, heard):
        if user:
            os.chown(place, user.pw_uid, user.pw_gid)
        if place != begun:
            os.utime(place, (0, 0))
    try:
        server.start()
        assert server.socket_folder.exists()
        assert [place.exists() for place in (killed, begun, heard)] == [user is None, True, True]
    finally:
        server.stop()
        listening.close()
        for place in (killed, begun, heard):
            shutil.rmtree(place, ignore_errors=True)
    assert not server.socket_folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only where root starts it are servers side by side in /run")
def test_a_server_that_begins_or_is_busy_keeps_its_folder(folder: Path) -> None:
    server, user = EmbeddedServer(folder), programs.unprivileged_account()
    beside = server.socket_folder.with_name("troth-" + "0" * 12)

    def old() -> None:
        os.chown(server.socket_folder, user.pw_uid, user.pw_gid)
        os.utime(server.socket_folder, (0, 0))

    server.socket_folder.mkdir()
    old()
    server._claim()  # the folder of one that was killed, as a second start finds it
    postgres._sweep(beside, user.pw_uid)
    assert server.socket_folder.exists()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(server.socket_folder / ".s.PGSQL.5432"))
        listening.listen(0)
        waiting = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3)]
        for each in waiting:  # until nobody more finds a place to wait, as before one that takes none at the moment
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect(str(server.socket_folder / ".s.PGSQL.5432"))
        old()
        postgres._sweep(beside, user.pw_uid)
        assert server.socket_folder.exists()
        for each in waiting:
            each.close()
    old()
    postgres._sweep(beside, user.pw_uid)
    assert not server.socket_folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only where root starts it are servers side by side in /run")
def test_a_folder_that_was_swept_while_its_server_began_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedServer(folder)
    really_configure = server._configure

    def configure() -> None:
        really_configure()
        shutil.rmtree(server.socket_folder)

    monkeypatch.setattr(server, "_configure", configure)
    server.start()
    try:
        assert server.answers()
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only in a folder of root's do others make files beside its own")
def test_the_servers_log_is_no_file_of_somebody_else(folder: Path) -> None:
    server, log = EmbeddedServer(folder), folder / "postgres.log"
    os.mkfifo(log)
    with pytest.raises(owner.OwnerUnusable, match=r"postgres\.log is no plain file"):
        server.start()
    log.unlink()
    server.start()
    server.stop()
    assert log.stat().st_mode & 0o777 == 0o600


FULL = 'FATAL:  could not write lock file "postmaster.pid": No space left on device'


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (FULL, FULL),
        ('PANIC:  could not write to file "pg_wal/xlogtemp.7": No space left on device', "PANIC:  could not write"),
        ("FATAL:  configuration file contains errors", "FATAL:  configuration file contains errors"),
    ],
)
def test_a_start_that_cannot_succeed_ends_at_once_and_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    server = EmbeddedServer(folder)
    server.start()
    server.stop()
    programs_of_it = folder.with_name(folder.name + "-programs") / "pginstall" / "bin"
    programs_of_it.mkdir(parents=True)
    for each in (programs_of_it, *programs_of_it.parents[:2]):
        each.chmod(0o755)
    script = programs_of_it / "postgres"
    stamp = "2026-12-01 04:00:00.000 UTC [7] "
    after = [f"{stamp}LOG:  {word}" for word in ("startup process exited", "aborting startup", "is shut down")]
    script.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join([stamp + said, *after]) + "\nEND\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("TROTH_PG_BINDIR", str(programs_of_it))
    began = time.monotonic()
    try:
        with pytest.raises(ServerUnavailable) as caught:
            server.start()
    finally:
        server.stop()
        shutil.rmtree(programs_of_it.parents[1])
    assert time.monotonic() - began < 30
    assert caught.value.hint.startswith(told), "the reason, and not how it then shut down"


def test_a_full_disk_is_named_where_the_server_had_no_room_to_say_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr("troth.kit.postgres.shutil.disk_usage", lambda place: free)
    assert postgres._hint([], folder) == f"No space left on device: {folder}"
    assert postgres._hint([FULL], folder) == FULL
