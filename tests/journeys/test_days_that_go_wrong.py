"""A node on days that go wrong: an update that brings another notice, and Ctrl-C in the middle of a study."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pynetdicom.ae import ApplicationEntity as AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tests.common.node import NOTICE, ROOT, NodeProcess
from tests.common.servers import open_folder
from tests.crash.ingest import multipart, specimens

COMMAND = re.compile(r"^ +troth (notice .+)$", re.MULTILINE)


@pytest.fixture
def node() -> Iterator[NodeProcess]:
    """A node that was not started yet, with a notice of its own."""
    place = open_folder("troth-days-")
    shutil.copytree(NOTICE, place / "notice")
    made = NodeProcess(place / "data", notice=place / "notice")
    try:
        yield made
    finally:
        made.remove()
        shutil.rmtree(place, ignore_errors=True)


def run_as(login: str, line: str) -> subprocess.CompletedProcess[str]:
    """A command as it was printed, by one of two logins."""
    return subprocess.run(
        [sys.executable, "-m", "troth.main.cli", *line.split()],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "SUDO_USER": login},
    )  # fmt: skip


def asked(node: NodeProcess) -> list[str]:
    """The commands that the start named."""
    return COMMAND.findall(node.log.read_text())


def change(file: Path) -> None:
    """Other words under the number that was published: what `git pull` brings."""
    text = file.read_text()
    file.write_text(text.replace("Are you unhappy with us?", "Unhappy with us?"))
    assert file.read_text() != text


async def number(node: NodeProcess) -> int:
    """Of the version in force."""
    async with node.rooms() as rooms:
        [version] = await rooms.notices.current()
    return version.number


async def test_a_folder_with_another_notice_starts_and_becomes_the_next_version(node: NodeProcess) -> None:
    node.start()
    assert not asked(node)
    node.stop()
    change(node.notice / "notice.yaml")

    node.start()
    publish, agree = asked(node)
    assert "which stays in force" in node.log.read_text()
    assert await number(node) == 1
    done = run_as("anna", publish)
    assert done.returncode == 0, done.stderr
    assert run_as("anna", agree).returncode == 1, "two people"
    done = run_as("ben", agree)
    assert done.returncode == 0, done.stderr
    assert await number(node) == 2
    node.stop()

    node.start()
    assert not asked(node), "the folder is what was published"


async def test_ctrl_c_lets_what_is_being_stored_end_first(node: NodeProcess) -> None:
    node.start()
    access = await node.grant_access()
    refused = AE("STRANGER")
    refused.add_requested_context(Verification)
    assert not refused.associate("127.0.0.1", node.ports["dicom"], ae_title="TROTH").is_established
    specimen = specimens(1)[0]
    body = multipart([specimen.file])
    is_under_way = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield body[: len(body) // 2]
        is_under_way.set()
        time.sleep(3)
        yield body[len(body) // 2 :]

    answers: list[int] = []

    def store() -> None:
        headers = {
            "Authorization": f"Bearer {access.storing}",
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=kill',
        }
        answer = httpx.post(f"{node.url}/dicomweb/studies", content=slowly(), headers=headers, timeout=60)
        answers.append(answer.status_code)

    storing = threading.Thread(target=store)
    storing.start()
    assert is_under_way.wait(30)
    time.sleep(0.5)
    parent = node.tree()[0]
    began = time.monotonic()
    os.killpg(parent.pid, signal.SIGINT)
    storing.join(60)
    parent.wait(60)
    assert answers == [200]
    assert time.monotonic() - began < 14, "no part hangs for a database that went away"
    said = node.log.read_text()
    assert "what is under way is ended first" in said
    assert "DatabaseUnavailable" not in said, "not even the count of strangers is lost"
