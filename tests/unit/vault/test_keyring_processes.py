"""The keyring shared by several processes, and one of them killed in the middle."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from troth.vault import KeyDestroyed, KeyRef, Keyring, pages

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keyring"


@pytest.fixture
def ring(folder: Path) -> Keyring:
    return Keyring.open(folder, create=True)


def _other_process(folder: Path, pipe: Connection) -> None:
    ring = Keyring.open(folder)
    while True:
        verb, ref, sealed = pipe.recv()
        if verb == "end":
            return
        try:
            if verb == "destroy":
                pipe.send(ring.destroy([ref]))
            elif verb == "create":
                pipe.send(ring.create_many([ref] * 4000)[-1])
            else:
                pipe.send(ring.unseal(ref, sealed, b"c"))
        except KeyDestroyed:
            pipe.send("destroyed")


def test_processes_feel_each_other_at_once(ring: Keyring, folder: Path) -> None:
    here, there = SPAWN.Pipe()
    other = SPAWN.Process(target=_other_process, args=(folder, there))
    other.start()
    try:
        tenant = ring.create(None)
        subject = ring.create(tenant)
        study = ring.create(subject)
        sealed = ring.seal(study, b"plain", b"c")

        def ask(verb: str, ref: KeyRef) -> object:
            here.send((verb, ref, sealed))
            return here.recv()

        assert ask("unseal", study) == b"plain"
        assert ask("unseal", study) == b"plain"  # now from its cache
        ring.destroy([subject])
        assert ask("unseal", study) == "destroyed"

        before = len(ring._mirrors.view)
        far = ask("create", tenant)  # the file has grown under us
        assert isinstance(far, bytes)
        far = KeyRef(far)
        value = ring.seal(far, b"far", b"c")
        assert len(ring._mirrors.view) > before
        assert ring.unseal(far, value, b"c") == b"far"
        ask("destroy", far)
        assert not ring.is_alive(far)
        with pytest.raises(KeyDestroyed):
            ring.unseal(far, value, b"c")
        assert (folder / "slots-a").read_bytes() == (folder / "slots-b").read_bytes()
    finally:
        here.send(("end", b"", b""))
        other.join()


def _contend(folder: Path, parent: KeyRef, pipe: Connection) -> None:
    ring = Keyring.open(folder)
    pipe.send([ring.create(parent) for _ in range(40)])


def test_processes_never_take_the_same_slot(ring: Keyring, folder: Path) -> None:
    tenant = ring.create(None)
    pipes, workers = [], []
    for _ in range(2):
        here, there = SPAWN.Pipe()
        workers.append(SPAWN.Process(target=_contend, args=(folder, tenant, there)))
        pipes.append(here)
        workers[-1].start()
    mine = [ring.create(tenant) for _ in range(40)]
    refs = mine + [ref for pipe in pipes for ref in pipe.recv()]
    for worker in workers:
        worker.join()
    assert len({pages.slot_of(ref) for ref in refs}) == 120
    assert all(ring.unseal(ref, ring.seal(ref, b"x", b"c"), b"c") == b"x" for ref in refs)


CREATOR = """
import sys
from pathlib import Path
from troth.vault import Keyring
ring = Keyring.open(Path(sys.argv[1]))
tenant = bytes.fromhex(sys.argv[2])
while True:
    made = ring.create_many([tenant] * 30)
    ring.destroy(made[:10])
    for number, ref in enumerate(made):
        sys.stdout.write(("-" if number < 10 else "+") + ref.hex() + "\\n")
    sys.stdout.flush()
"""


def test_kill_in_the_middle_leaves_a_readable_keyring(ring: Keyring, folder: Path) -> None:
    tenant = ring.create(None)
    alive: list[KeyRef] = []
    dead: list[KeyRef] = []
    for cycle in range(6):
        creator = subprocess.Popen([sys.executable, "-c", CREATOR, folder, tenant.hex()], stdout=subprocess.PIPE)
        assert creator.stdout is not None
        lines = [creator.stdout.readline() for _ in range(30 + 17 * cycle)]
        creator.send_signal(signal.SIGKILL)
        lines += creator.stdout.readlines()
        creator.stdout.close()
        creator.wait()
        for line in lines:
            if len(line) == 34:  # a cut line was not acknowledged
                (alive if line[:1] == b"+" else dead).append(KeyRef(bytes.fromhex(line[1:].decode())))
        again = Keyring.open(folder)
        for each in (ring, again):
            assert all(map(each.is_alive, alive))
            assert not any(map(each.is_alive, dead))
            assert all(each.unseal(ref, each.seal(ref, b"x", b"c"), b"c") == b"x" for ref in alive[-40:])
        assert (folder / "slots-a").read_bytes() == (folder / "slots-b").read_bytes()
        again.close()
    assert alive
    assert dead
