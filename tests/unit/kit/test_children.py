from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from troth.kit import children, confinement, seccomp
from troth.kit.children import ChildEnded, ChildLate, ChildRefused, Children, Task
from troth.kit.errors import NotFound


def load() -> None:
    """Nothing more than this module."""


def attempts(contents: list[bytearray], parent: int) -> bytes:
    """What code that was taken over would try; the names of what it could do."""
    library = ctypes.CDLL(None, use_errno=True)

    def fork() -> None:
        if os.fork() == 0:
            os._exit(0)

    def duplicate() -> None:
        os.dup(1)

    def trace() -> None:
        if library.ptrace(16, parent, 0, 0):
            raise OSError(ctypes.get_errno(), "ptrace")

    def thread() -> None:
        one = threading.Thread(target=load)
        one.start()
        one.join()

    tried = {
        "read": lambda: Path("/etc/hostname").read_text(), "write": lambda: Path("/tmp/troth-confined").write_text("x"),
        "socket": socket.socket, "pair": socket.socketpair, "fork": fork, "duplicate": duplicate, "trace": trace,
        "run": lambda: os.posix_spawn("/bin/true", ["true"], {}), "grow": lambda: bytearray(2 << 30),
        "raise": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)), "keys": lambda: os.listdir("/proc"),
        "kill": lambda: os.kill(parent, 0), "thread": thread, "link": lambda: os.symlink("/etc", "/tmp/troth-link"),
        "limit": lambda: resource.prlimit(parent, resource.RLIMIT_CPU), "map": lambda: os.memfd_create("x"),
        "memory": lambda: os.open(f"/proc/{parent}/mem", os.O_RDWR), "user": lambda: os.setuid(0),
        "owner": lambda: os.chown("/tmp", 0, 0), "mount": lambda: os.chroot("/tmp"), "name": os.sched_yield,
    }  # fmt: skip
    done = []
    for name, attempt in tried.items():
        try:
            attempt()
            done.append(name)
        except (OSError, MemoryError, ValueError, RuntimeError):
            pass
    return ",".join([str(len(contents[0])), *done]).encode()


def spin(_contents: list[bytearray]) -> bytes:
    while True:
        pass


def grow(_contents: list[bytearray]) -> bytes:
    return bytes(1 << 31)


def die(_contents: list[bytearray]) -> bytes:
    os.abort()


def refuse(_contents: list[bytearray]) -> bytes:
    raise NotFound


def stumble(_contents: list[bytearray]) -> bytes:
    raise KeyError("Sample^Anna")


def chatter(_contents: list[bytearray]) -> bytes:
    return bytes(3_000)


def joined(contents: list[bytearray], between: str) -> bytes:
    return between.encode().join(contents)


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for one in content:
        yield one


@pytest.fixture
async def made() -> AsyncIterator[Children]:
    one = Children(load)
    yield one
    one.close()


async def run(made: Children, task: Task, *arguments: object, seconds: float = 5, who: str = "one") -> bytes:
    sent = (pieces(b"ab", b"", b"c"), pieces(), pieces(b"d"))
    return await made.run(who, task, arguments, sent, seconds=seconds, most_bytes=2_000)


async def test_what_is_sent_in_pieces_arrives_whole(made: Children) -> None:
    assert await run(made, joined, "-") == b"abc--d"
    assert await run(made, joined, "") == b"abcd"
    (child,) = made._all
    assert child.tasks == 2


@pytest.mark.asvs("V1.4.1")
async def test_a_child_can_open_reach_start_and_take_nothing(made: Children) -> None:
    length, *done = (await run(made, attempts, os.getpid())).decode().split(",")
    assert (length, done) == ("3", ["name"])
    (child,) = made._all
    status = Path(f"/proc/{child.pid}/status").read_text()
    user = int(status.split("Uid:")[1].split()[0])
    assert user >= 61184 if os.geteuid() == 0 else user == os.geteuid()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert not Path("/tmp/troth-confined").exists()


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        (grow, ChildEnded),
        (die, ChildEnded),
        (chatter, ChildEnded),
        (refuse, ChildRefused),
        (stumble, ChildRefused),
    ],
)
async def test_a_task_that_fails_takes_nobody_with_it(made: Children, task: Task, fault: type[Exception]) -> None:
    with pytest.raises(fault) as told:
        await run(made, task)
    assert "Sample" not in str(told.value)
    if isinstance(told.value, ChildRefused):
        assert told.value.slug == {refuse: "not-found", stumble: "error"}[task]
    assert await run(made, joined, "") == b"abcd"


async def test_the_kernel_ends_who_computes_too_long(made: Children) -> None:
    with pytest.raises(ChildLate):
        await run(made, spin, seconds=0.2)
    assert await run(made, joined, "", seconds=0.2) == b"abcd"


async def test_who_is_given_up_is_ended(made: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    await run(made, joined, "")
    (child,) = made._all
    asking = asyncio.create_task(run(made, spin))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await asyncio.to_thread(child._process.wait, 10) == -signal.SIGKILL
    monkeypatch.setattr(children, "TASK_SECONDS", 0.05)
    with pytest.raises(ChildLate):
        await run(made, spin)
    monkeypatch.undo()
    assert await run(made, joined, "") == b"abcd"


@pytest.mark.asvs("V15.2.2")
async def test_one_organisation_has_one_child_and_another_one_of_its_own(made: Children) -> None:
    crowd = [asyncio.create_task(run(made, spin, seconds=1)) for _ in range(5)]
    await asyncio.sleep(0.05)
    assert await run(made, joined, "", who="two") == b"abcd"
    assert not any(one.done() for one in crowd)
    for one in crowd:
        one.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert len(made._all) <= children.MOST


def test_a_machine_without_a_filter_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seccomp.is_available()
    assert not confinement.lacking()
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    assert "cannot be filtered" in confinement.lacking()
    assert not seccomp.install(), "nothing is installed that would filter the wrong numbers"
