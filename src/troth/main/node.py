"""A node: the database server and one process each for web, DICOM and durable work, started, watched and stopped.

The parent imports everything once and forks, so that the parts share memory and start at once. It binds the
listeners itself: a part that dies and is started again finds its socket as it was, and no connection is refused.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any

from troth.kit import confinement
from troth.kit.errors import Conflict, Unavailable
from troth.kit.owner import open_own, owning
from troth.kit.postgres import EmbeddedServer, ManagedServer, Postgres
from troth.main.apart import Apart
from troth.main.dicom_tls import dicom_tls, warn_if_plain
from troth.main.settings import Address, Settings, require_names_apart
from troth.main.tls import certificate
from troth.proofs import answer_for_raw

RESTORING = "restoring"
"""A file of this name in the data folder: a restore is under way, and what was erased since may be there again."""

_LOCK = "node.lock"
"""Held by the node that has the data folder; it says where its pages and its viewer are reached."""

_READER = "raw"
"""Beside the parts: what the database's own user is asked, where they are not that user."""

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_NO_NEW_PRIVS = 1, 15, 38

Part = Callable[[Settings, socket.socket | None, socket.socket | None, Callable[[], None]], None]


class AlreadyRunning(Conflict):
    """Another node has this data folder."""

    slug = "already-running"
    title = "A node is already running on this data folder"


def server_for(settings: Settings) -> Postgres:
    """The database server that the settings name."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if settings.database_url:
        return ManagedServer(settings.database_url, settings.data_dir)
    return EmbeddedServer(settings.data_dir)


def listening(settings: Settings) -> Settings:
    """The settings with the addresses of the node that runs on the data folder, if one does.

    A node may have been given others on its command line, and a link that a command prints must lead to it.
    """
    try:
        with os.fdopen(open_own(settings.data_dir / _LOCK, os.O_RDONLY)) as file:
            told = file.read().split()
    except FileNotFoundError:
        told = []
    return replace(settings, http=Address.parse(told[0]), viewer=Address.parse(told[1])) if len(told) == 2 else settings


def bound(address: Address, beside: Iterable[socket.socket] = ()) -> socket.socket:
    """A socket that has its port and takes no connection yet: whoever answers listens, once it can.

    Until then a connection is refused, so that a probe of the port does not say "up" too early. A port that somebody
    else has bound and does not listen on yet counts as free here: who came first is known once both listen.

    Args:
        address: Where.
        beside: Our other sockets, none of which may have the same port.

    Raises:
        Unavailable: The port is taken, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        if any(_is_same(listener, other) for other in beside):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    except OSError as fault:
        listener.close()
        raise _deaf(address, fault.strerror) from fault
    listener.set_inheritable(True)
    return listener


def _is_same(one: socket.socket, other: socket.socket) -> bool:
    """Whether two sockets that are bound would answer for the same port."""
    hosts, ports = zip(one.getsockname()[:2], other.getsockname()[:2], strict=True)
    is_wide = any(ip_address(host).is_unspecified for host in hosts)
    is_same = hosts[0] == hosts[1] or "::" in hosts or (is_wide and one.family == other.family)
    return ports[0] == ports[1] and is_same


def require_listening(address: Address, listener: socket.socket) -> None:
    """Refuse where nobody listens on a socket, though whoever has it says that it is ready: uvloop 0.23 is silent then.

    Raises:
        Unavailable: Somebody else was quicker.
    """
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise _deaf(address, os.strerror(errno.EADDRINUSE))


def _deaf(address: Address, why: str | None) -> Unavailable:
    return Unavailable(
        f"{address} cannot be listened on: {why}",
        hint='Choose another port with --http, --viewer or --dicom; make demo ARGS="--http 127.0.0.1:9380" does.',
    )


class Node:
    """The parts of one machine under one parent.

    Args:
        settings: Where to listen and where the data lie; ports of 0 are replaced by the ones taken.
        parts: Name of each part and what it runs.
        prepare: Run once after the database is up and before the parts start (migrations, first start).
    """

    def __init__(
        self, settings: Settings, parts: dict[str, Part], prepare: Callable[[Settings, Postgres], None]
    ) -> None:
        self.settings = settings
        self.server = server_for(settings)
        self._parts = parts
        self._prepare = prepare
        self._children: dict[int, str] = {}
        self._listeners: dict[str, socket.socket] = {}
        self._is_stopping = False
        self._lock: int | None = None
        self._apart: Apart | None = None

    def start(self, timeout_seconds: float = 60) -> None:
        """Start everything; returns when every part answers.

        Raises:
            AlreadyRunning: Another node has the data folder.
            Unavailable: A part does not come up in time, or cannot step down from root.
            Unprocessable: A listener would be plain beyond this machine, its certificate cannot be used, or pages and
                viewer have one name.
        """
        certificate(self.settings)
        require_names_apart(self.settings)
        dicom_tls(self.settings)
        warn_if_plain(self.settings)
        if lacking := confinement.lacking():
            sys.stderr.write(f"troth: WARNING: {lacking}\n")
        self._take_lock()
        if _is_restoring(self.settings.data_dir):
            raise Unavailable(
                f"a restore into {self.settings.data_dir} did not come to its end", hint="Restore into a new folder."
            )
        taken: dict[str, Any] = {}
        for name in ("http", "viewer", "dicom"):
            wanted: Address = getattr(self.settings, name)
            self._listeners[name] = bound(wanted, self._listeners.values())
            taken[name] = Address(wanted.host, self._listeners[name].getsockname()[1])
        self.settings = replace(self.settings, **taken)
        self.server.start()
        os.umask(0o077)  # whatever a part makes is for its own user; folders for others were made by now
        self._say_where(f"{self.settings.http}\n{self.settings.viewer}\n")
        self._apart = Apart.of(self.settings)
        with owning(self.settings.data_dir):
            self._prepare(self.settings, self.server)
        sys.stdout.flush()
        sys.stderr.flush()
        # A collection writes to every object that it looks at, and so copies its page: what is loaded by now is kept
        # out of those that the parts make.
        gc.collect()
        gc.freeze()
        names = [*self._parts, *([_READER] if self._apart and isinstance(self.server, EmbeddedServer) else [])]
        waiting = [self._fork(name) for name in names]
        give_up_at = time.monotonic() + timeout_seconds
        for ready in waiting:
            os.set_blocking(ready, False)
            while True:
                with contextlib.suppress(BlockingIOError):
                    if os.read(ready, 1):
                        break
                    raise Unavailable("a part of the node ended while it started; see its message above")
                if time.monotonic() > give_up_at:
                    raise Unavailable("a part of the node did not come up in time")
                time.sleep(0.01)
            os.close(ready)
        for name, listener in self._listeners.items():
            require_listening(taken[name], listener)

    def watch(self) -> None:
        """Wait; start again a part that ended by itself; return after SIGTERM, SIGINT, or SIGHUP of a terminal."""

        def stop(signum: int, frame: FrameType | None) -> None:
            self._is_stopping = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` has it
            signal.signal(signal.SIGHUP, stop)
        while not self._is_stopping:
            self.tend()
            time.sleep(0.2)

    def tend(self) -> None:
        """Start again every part that has ended, the database server first; hand on what was renewed."""
        if self._apart:
            self._apart.certificates.look()
        if not self.server.is_alive():
            sys.stderr.write("troth: the database server ended and is started again\n")
            self.server.start()
        for pid in list(self._children):
            if os.waitpid(pid, os.WNOHANG)[0]:
                name = self._children.pop(pid)
                sys.stderr.write(f"troth: part {name} ended and is started again\n")
                time.sleep(0.2)
                os.close(self._fork(name))

    def stop(self) -> None:
        """Stop the parts, then the database."""
        self._is_stopping = True
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        give_up_at = time.monotonic() + 15
        while self._children:
            for pid in list(self._children):
                with contextlib.suppress(ChildProcessError):
                    if os.waitpid(pid, os.WNOHANG)[0] == 0:
                        if time.monotonic() > give_up_at:
                            os.kill(pid, signal.SIGKILL)
                        continue
                del self._children[pid]
            time.sleep(0.02)
        for listener in self._listeners.values():
            listener.close()
        self.server.stop()
        if self._apart:
            self._apart.certificates.drop(is_all=True)
            self._apart = None
        if self._lock is not None:
            self._say_where("")
            os.close(self._lock)
            self._lock = None

    def pids(self) -> dict[str, int]:
        """Process ids of the parts, by name."""
        return {name: pid for pid, name in self._children.items()}

    def _take_lock(self) -> None:
        lock = open_own(self.settings.data_dir / _LOCK, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            os.close(lock)  # what it says is of the other node, and stays
            raise AlreadyRunning(
                f"a node is already running on {self.settings.data_dir}", hint="Stop it, or choose another --data-dir."
            ) from fault
        self._lock = lock

    def _say_where(self, text: str) -> None:
        """Leave word for commands that run beside this node."""
        assert self._lock is not None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, text.encode(), 0)

    def _fork(self, name: str) -> int:
        """Start one part; returns the reading end of a pipe that gets a byte when it is ready."""
        ready, tell = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            os.close(tell)
            self._children[pid] = name
            return ready
        code = 1
        try:
            os.close(ready)
            os.setsid()  # what the terminal sends to all, such as Ctrl-C, is for the parent: it ends what is under way
            if self._lock is not None:
                os.close(self._lock)
            if name == _READER:
                self._read_raw(parent, partial(_say_ready, tell))
            else:
                self._work(name, parent, partial(_say_ready, tell))
            code = 0
        except KeyboardInterrupt:
            code = 0
        except BaseException as fault:
            sys.stderr.write(f"troth {name}: {type(fault).__name__}: {getattr(fault, 'detail', 'ended')}\n")
            if os.environ.get("TROTH_TRACE"):
                import traceback

                traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _work(self, name: str, parent: int, ready: Callable[[], None]) -> None:
        """The life of a part."""
        settings = self.settings
        if self._apart:  # first of all: to become another user clears what is asked of the kernel below
            settings = self._apart.settings(settings)
            self._apart.become()
        _name(f"troth-{name}")
        _die_with(parent)
        _gain_nothing()
        listeners = {"web": ("http", "viewer"), "dicom": ("dicom", None), "worker": (None, None)}[name]
        first, second = (self._listeners.get(key) if key else None for key in listeners)
        self._parts[name](settings, first, second, ready)

    def _read_raw(self, parent: int, ready: Callable[[], None]) -> None:
        """The life of the process that looks at the database's raw pages, as the database's user, for the parts."""
        assert self._apart is not None
        assert isinstance(self.server, EmbeddedServer)
        for listener in self._listeners.values():
            listener.close()
        self._apart.become_reader()
        _name(f"troth-{_READER}")
        _die_with(parent)
        _gain_nothing()
        answer_for_raw(self.server.socket_folder, self.server.cluster, ready)


def _is_restoring(data_dir: Path) -> bool:
    """Whether a restore broke off here: it runs as whoever owns the folder, and what a part put there says nothing."""
    try:
        return (data_dir / RESTORING).lstat().st_uid == data_dir.stat().st_uid
    except FileNotFoundError:
        return False


def _say_ready(tell: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # of a part that was started again, nobody waits to hear it
        os.write(tell, b"1")


def _name(name: str) -> None:
    """What `ps` and `top` call this process; 15 letters at most."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def _gain_nothing() -> None:
    """No program that this process or its children start has more rights than they have (setuid, file capabilities)."""
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _die_with(parent: int) -> None:
    """End when the parent ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def migrations() -> Path:
    """Folder of the schema's migrations."""
    return Path(__file__).parent / "migrations"
