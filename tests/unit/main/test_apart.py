"""Real nodes, started by root and by somebody else: who their parts are, what they reach, and that all works so."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from tests.common.certificates import self_signed
from tests.common.node import NOTICE, ROOT, Access, NodeProcess, a_node, command
from tests.common.servers import open_folder
from tests.crash.ingest import Specimen, multipart, specimens
from troth.kit import owner, passage
from troth.kit.errors import Unprocessable
from troth.kit.owner import OwnerUnusable
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.main import node as node_module
from troth.main.apart import Certificates
from troth.main.settings import load
from troth.main.terminal import confide
from troth.main.tls import Certificate
from troth.proofs import Checked, store
from troth.proofs.safeguards import raw_tables

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to step down from")

SERVICE = 65520
OF_ROOT = {"node.lock", "postgres.log", "troth.toml", "pg", "first-sign-in.txt"}


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def owners(folder: Path) -> dict[str, int]:
    """Everything of a deployment but its database, and whose it is."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if not name.startswith("pg/"):
            found[name] = path.lstat().st_uid
    return found


def strangers(folder: Path) -> dict[str, int]:
    """What is neither root's by name nor the parts'."""
    return {name: uid for name, uid in owners(folder).items() if name not in OF_ROOT and uid != SERVICE}


def tried(uid: int, path: Path) -> str:
    """What a user gets who opens a file."""
    done = subprocess.run(["/bin/cat", str(path)], user=uid, group=uid, extra_groups=[], capture_output=True)
    return done.stderr.decode().strip().rpartition(": ")[2] if done.returncode else "read"


def as_part(node: NodeProcess, look: Callable[[], Checked]) -> Checked:
    """What a look finds in a process that stepped down as the parts do."""
    account = owner.service_account(node.folder)
    assert account is not None
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            owner.become(account)
            os.write(tell, json.dumps(asdict(look())).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as handle:
        found = json.loads(handle.read())
    os.waitpid(pid, 0)
    return Checked(**found)


def stored(node: NodeProcess, access: Access, sent: list[Specimen]) -> None:
    answer = httpx.post(
        f"{node.url}/dicomweb/studies",
        content=multipart([one.file for one in sent]),
        headers={
            "Authorization": f"Bearer {access.storing}",
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=kill',
            "Accept": "application/dicom+json",
        },
    )
    assert answer.status_code == 200, answer.text


def read(node: NodeProcess, access: Access, path: str, media_type: str) -> httpx.Response:
    return httpx.get(
        f"{node.url}/dicomweb/studies/{path}",
        headers={"Authorization": f"Bearer {access.reading}", "Accept": media_type},
        timeout=60,
    )


@contextmanager
def past_the_platform(node: NodeProcess) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection past the platform, while the node stands still."""
    server = EmbeddedServer(node.folder)
    server.start()
    try:
        with psycopg.connect(server.dsn(SUPERUSER)) as connection:
            yield connection
    finally:
        server.stop()


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """Started by root."""
    with a_node("troth-apart-") as started:
        yield started


@pytest.fixture(scope="module")
async def access(node: NodeProcess) -> Access:
    """Tokens of it."""
    return await node.grant_access()


@pytest.mark.asvs("V13.2.2")
@pytest.mark.parametrize("part", ["web", "dicom", "worker"])
def test_a_part_is_nobody_and_can_become_nobody_else(node: NodeProcess, part: str) -> None:
    said = status(node.part(part).pid)
    assert said["Uid"].split() == [str(SERVICE)] * 4
    assert said["Gid"].split() == [str(SERVICE)] * 4
    assert said["Groups"] == ""
    assert {said[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert said["NoNewPrivs"] == "1"


def test_the_database_is_another_user(node: NodeProcess) -> None:
    (server,) = [each for each in node.tree()[0].children() if each.name() == "postgres"]
    assert server.uids().real not in (0, SERVICE)
    assert server.gids().real != SERVICE


@pytest.mark.asvs("V13.2.2", "V13.3.2")
def test_a_part_reads_neither_the_machine_nor_the_database(node: NodeProcess) -> None:
    uid = node.part("web").uids().real
    for closed in (
        Path("/etc/shadow"), node.folder / "pg" / "PG_VERSION", node.folder / "postgres.log", node.folder / "node.lock",
    ):  # fmt: skip
        assert closed.exists()
        assert tried(uid, closed) == "Permission denied", closed
    assert tried(uid, node.folder / "keys" / "root.key") == "read"
    assert tried(pwd.getpwnam("nobody").pw_uid, node.folder / "keys" / "root.key") == "Permission denied"


async def test_the_databases_raw_pages_are_looked_at_by_its_own_user(node: NodeProcess) -> None:
    """The parts cannot open them, ask, and are told what was found and nothing of what is in them."""
    server = EmbeddedServer(node.folder)
    (reader,) = [each for each in node.tree()[0].children() if each.name() == "troth-raw"]
    said = status(reader.pid)
    assert int(said["Uid"].split()[0]) == server.cluster.stat().st_uid
    assert (said["Groups"], said["CapEff"], said["NoNewPrivs"]) == ("", "0" * 16, "1")
    async with node.rooms() as rooms, rooms.database.transaction(None) as connection:
        files = await store.table_files(connection)
    sound = as_part(node, lambda: raw_tables(server.cluster, files, server.socket_folder))
    assert (sound.holds, "nothing in the clear" in sound.found) == (True, True), sound
    assert as_part(node, lambda: raw_tables(server.cluster, files)).holds is None
    bare = server.cluster / "base" / "1" / "999999999"
    bare.write_text('{"patient_id":"P-1"}')
    shutil.chown(bare, server.cluster.stat().st_uid)
    bare.chmod(0o600)
    broken = as_part(node, lambda: raw_tables(server.cluster, ["base/1/999999999"], server.socket_folder))
    assert (broken.holds, "P-1" in broken.found) == (False, False)
    (node.folder / "elsewhere").write_text('{"patient_id":"P-1"}')
    outside = as_part(node, lambda: raw_tables(server.cluster, ["../elsewhere"], server.socket_folder))
    assert outside.holds is None, "no question of ours, and not answered"
    bare.unlink()
    (node.folder / "elsewhere").unlink()
    assert subprocess.run(
        ["/usr/bin/test", "-w", str(server.socket_folder / "raw")], user="nobody", group="nogroup", extra_groups=[]
    ).returncode, "strangers cannot ask"


def test_a_part_can_put_nothing_in_the_place_of_what_is_roots(node: NodeProcess) -> None:
    """Root goes by these names at the next start."""
    for name in OF_ROOT - {"troth.toml"}:
        done = subprocess.run(
            ["/bin/mv", "-T", str(node.folder / name), str(node.folder / "elsewhere")],
            user=SERVICE, group=SERVICE, extra_groups=[], capture_output=True,
        )  # fmt: skip
        assert done.returncode, name


async def test_a_picture_is_drawn_in_a_child_that_is_confined(node: NodeProcess, access: Access) -> None:
    sent = specimens(1)
    stored(node, access, sent)
    one = sent[0]
    answer = read(node, access, f"{one.study_uid}/rendered", "image/jpeg")
    assert answer.status_code == 200, answer.text
    child = next(each for each in node.part("web").children() if "kit.children" in " ".join(each.cmdline()))
    said = status(child.pid)
    assert "0" not in said["Uid"].split()
    assert (said["NoNewPrivs"], said["Seccomp"], said["CapEff"]) == ("1", "2", "0" * 16)


async def test_what_root_does_beside_it_belongs_to_the_parts(node: NodeProcess, access: Access) -> None:
    stored(node, access, specimens(2))
    place = open_folder("troth-apart-out-")
    backup = ("backup", str(place / "backup"), "--keyring-to", str(place / "keys"))
    try:
        for arguments in (
            ("archive", "sweep", "--grace", "0m"),
            ("ledger", "verify"),
            ("verify", "--pdf", str(place / "promises.pdf")),
            (*backup, "--recovery-key", str(place / "key")),
            ("archive", "export", "--organisation", "Example Hospital", "--study", specimens(2)[0].study_uid,
             "--to", str(place / "copy")),
        ):  # fmt: skip
            done = command(node.folder, *arguments)
            assert done.returncode in ((0, 1, 2) if arguments[0] == "verify" else (0,)), done.stderr
        for path in (place / "backup", *(place / "backup").rglob("*"), place / "keys", *(place / "keys").rglob("*")):
            os.chown(path, 0, 0)  # as a version before left it
        assert command(node.folder, *backup, "--recovery-key", str(place / "key")).returncode == 0
        assert strangers(node.folder) == {}
        made = {name.partition("/")[0]: set[int]() for name in owners(place)}
        for name, uid in owners(place).items():
            made[name.partition("/")[0]].add(uid)
        assert made == {
            "backup": {SERVICE}, "keys": {SERVICE}, "key": {0}, "promises.pdf": {0}, "promises.pdf.sig": {0},
            "copy": {0},
        }  # fmt: skip
    finally:
        shutil.rmtree(place)


async def test_a_backup_goes_where_the_parts_can_follow(node: NodeProcess) -> None:
    place = open_folder("troth-apart-out-")
    (place / "of-root").mkdir()
    (place / "of-root" / "letter").write_text("something else")
    try:
        done = command(
            node.folder, "backup", str(place / "of-root"), "--keyring-to", str(place / "keys"),
            "--recovery-key", str(place / "key"),
        )  # fmt: skip
        assert done.returncode == 1
        assert f"chown -R {SERVICE}:{SERVICE}" in done.stderr
        assert owners(place / "of-root") == {"letter": 0}
    finally:
        shutil.rmtree(place)


async def test_a_folder_that_was_all_roots_is_handed_over(node: NodeProcess, access: Access) -> None:
    """As a version before left it, and a first attempt that was cut short; a link leads nowhere."""
    sent = specimens(3)
    stored(node, access, sent)
    node.stop()
    outside = open_folder("troth-outside-")
    (outside / "letter").write_text("of root")
    (node.folder / "outbox").mkdir(exist_ok=True)
    (node.folder / "outbox" / "link").symlink_to(outside)
    for path in (node.folder / "keys", node.folder / "packs", node.folder / "outbox", node.folder / "secrets"):
        for inner in (path, *path.rglob("*")):
            os.chown(inner, 0, 0, follow_symlinks=False)
    backup = node.folder.with_name(node.folder.name + "-backup")
    for folder in (backup, backup.with_name(backup.name + "-keys")):
        folder.mkdir()
    with past_the_platform(node) as connection:
        connection.execute(
            "insert into backup (id, stamp, folder, keys_folder, made_at, keys_expire_at, verified_at, counts) values"
            " (gen_random_uuid(), 'old', %s, %s, now(), now(), now(), '{}')",
            (str(backup), f"{backup}-keys"),
        )
    os.chown(node.folder / "ledger.head", 0, 0)
    os.chown(node.folder / "keys" / "root.key", SERVICE, SERVICE)  # so far it came
    os.chown(node.folder, 0, pwd.getpwnam("postgres").pw_gid)
    node.folder.chmod(0o710)
    try:
        node.start()
        assert strangers(node.folder) == {}
        assert f"what is erased is not erased in {backup}: it belongs to root" in node.said
        assert backup.lstat().st_uid == 0
        assert {path.lstat().st_uid for path in (outside, *outside.rglob("*"))} == {0}
        answer = read(node, access, f"{sent[0].study_uid}/metadata", "application/dicom+json")
        assert answer.status_code == 200
        stored(node, access, specimens(4))
    finally:
        for folder in (outside, backup, backup.with_name(backup.name + "-keys")):
            shutil.rmtree(folder)


def test_a_folder_that_was_handed_over_is_not_gone_through_again(tmp_path: Path) -> None:
    """Whoever took a part over may have laid a trap in it."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "packs").mkdir()
    account = pwd.struct_passwd(("x", "x", SERVICE, SERVICE, "", "/", ""))
    owner.hand_over(tmp_path, account)
    (tmp_path / "keys" / "trap").write_text("of root")
    owner.hand_over(tmp_path, account)
    assert owners(tmp_path) == {"keys": SERVICE, "packs": SERVICE, "keys/trap": 0}
    (tmp_path / "packs").rmdir()
    (tmp_path / "packs").symlink_to("/etc")
    with pytest.raises(OwnerUnusable, match="is a link"):
        owner.hand_over(tmp_path, account)


def test_root_takes_no_settings_that_a_part_may_have_written(tmp_path: Path) -> None:
    file = tmp_path / "troth.toml"
    file.write_text('region = "DE"')
    assert load(tmp_path).region == "DE"
    os.chown(file, SERVICE, SERVICE)
    with pytest.raises(Unprocessable, match="is not root's"):
        load(tmp_path)


def test_a_part_can_neither_stop_the_next_start_nor_read_what_is_confided(tmp_path: Path) -> None:
    restoring, links = tmp_path / node_module.RESTORING, tmp_path / "first-sign-in.txt"
    restoring.write_text("2026")
    assert node_module._is_restoring(tmp_path)
    os.chown(restoring, SERVICE, SERVICE)
    assert not node_module._is_restoring(tmp_path)
    (tmp_path / "secrets").mkdir()
    os.chown(tmp_path / "secrets", SERVICE, SERVICE)
    with owner.owning(tmp_path):
        confide("Links", ["one"], links)
        assert (links.stat().st_uid, links.stat().st_mode & 0o777) == (0, 0o600), "only who gave the command reads it"
    os.chown(links, SERVICE, SERVICE)
    with pytest.raises(OwnerUnusable, match="not only yours"):
        confide("Links", ["two"], links)
    assert "two" not in links.read_text()


def test_a_part_that_ended_steps_down_again(node: NodeProcess) -> None:
    before = node.part("web")
    before.kill()
    psutil.wait_procs([before], timeout=30)
    while True:
        found = [each for each in node.tree()[0].children() if each.name() == "troth-web"]
        if found and found[0].pid != before.pid and found[0].uids().real == SERVICE:
            break
        assert node.tree()[0].is_running(), node.said


def test_certificates_of_root_are_handed_on_and_renewed(tmp_path: Path) -> None:
    """The parts load them as ever, out of memory that they can read and not write."""
    chain, key = self_signed(tmp_path, "first.example")
    tmp_path.chmod(0o700)
    settings = load(tmp_path, tls_certificate=str(chain), tls_key=str(key))
    certificates = Certificates(settings, owner.service_account(tmp_path) or pwd.getpwuid(0))
    told, tell = os.pipe()
    ask, asked = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            certificates.drop()
            handed = certificates.handed(settings)
            owner.become(owner.service_account(tmp_path) or pwd.getpwuid(0))
            shown = Certificate(Path(handed.tls_certificate), Path(handed.tls_key))
            try:
                os.open(handed.tls_key, os.O_RDWR)
            except PermissionError:
                os.write(tell, b"1")
            os.read(ask, 1)
            code = 0 if shown.look() and not os.access(key, os.R_OK) else 2
        finally:
            os._exit(code)
    try:
        assert os.read(told, 1) == b"1"
        renewed = self_signed(tmp_path, "second.example")
        for new, old in zip(renewed, (chain, key), strict=True):
            new.rename(old)
        certificates.look()
        os.write(asked, b"1")
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        certificates.drop(is_all=True)


def test_a_node_speaks_tls_with_a_key_that_only_root_may_read(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = open_folder("troth-apart-tls-")
    secret.chmod(0o700)
    chain, key = self_signed(secret, "localhost")
    monkeypatch.setenv("TROTH_TLS_CERTIFICATE", str(chain))
    monkeypatch.setenv("TROTH_TLS_KEY", str(key))
    try:
        with a_node("troth-apart-") as started:
            trusted = ssl.create_default_context(cafile=str(chain))
            answer = httpx.get(f"https://localhost:{started.ports['pages']}/notice", verify=trusted)
            assert answer.status_code == 200
            assert tried(started.part("web").uids().real, key) == "Permission denied"
    finally:
        shutil.rmtree(secret)


@pytest.mark.parametrize(
    ("user", "part", "said"),
    [("root", "serve", "TROTH_SERVICE_USER is root"), ("nobody-at-all", "serve", "there is no user"),
     ("", "web", "does not run as root")],
)  # fmt: skip
def test_nothing_stays_root_instead(monkeypatch: pytest.MonkeyPatch, user: str, part: str, said: str) -> None:
    monkeypatch.setenv("TROTH_SERVICE_USER", user)
    folder = open_folder("troth-apart-")
    try:
        done = command(folder, part)
        assert done.returncode == 1
        assert said in done.stderr
    finally:
        shutil.rmtree(folder)


def test_a_place_that_the_parts_could_not_write_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROTH_CHECKPOINT_FILE", "/etc/checkpoints")
    folder = open_folder("troth-apart-")
    started = NodeProcess(folder)
    try:
        done = command(folder, "serve", "--http", "127.0.0.1:0", "--viewer", "127.0.0.1:0", "--dicom", "127.0.0.1:0")
        assert done.returncode == 1
        assert f"user {SERVICE}, as whom the parts run, cannot write /etc/checkpoints" in done.stderr
        assert f"chown {SERVICE}:{SERVICE} /etc/checkpoints" in done.stderr
        assert not Path("/etc/checkpoints").exists()
    finally:
        started.remove()


def test_a_node_of_somebody_else_is_all_theirs() -> None:
    """Not root: every process is whoever started it, the database too."""
    nobody = pwd.getpwnam("nobody")
    folder = open_folder("troth-apart-")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    log = folder / "log"

    def become() -> None:
        passage.open_for(nobody, [*passage.of_python(), ROOT])
        owner.become(nobody)

    arguments = ["--data-dir", str(folder / "data"), "--notice", str(NOTICE)]
    for door in ("http", "viewer", "dicom"):
        arguments += [f"--{door}", "127.0.0.1:0"]
    with log.open("wb") as sink:
        process = psutil.Popen(
            [sys.executable, "-m", "troth.main.cli", "serve", *arguments], stdin=subprocess.DEVNULL, stdout=sink,
            stderr=subprocess.STDOUT, preexec_fn=become, env={"PATH": os.defpath}, cwd="/", start_new_session=True,
        )  # fmt: skip
    try:
        while "Ctrl-C stops it" not in log.read_text(errors="replace"):
            assert process.is_running(), log.read_text(errors="replace")
            assert process.status() != psutil.STATUS_ZOMBIE, log.read_text(errors="replace")
        tree = [process, *process.children(recursive=True)]
        assert {each.uids().real for each in tree} == {nobody.pw_uid}
        assert set(owners(folder / "data").values()) == {nobody.pw_uid}
        assert (folder / "data").stat().st_mode & 0o777 == 0o700
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(folder)
