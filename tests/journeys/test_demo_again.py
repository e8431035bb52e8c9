"""The first hour: the demo is told, stopped, and goes on where it was; no door that it prints is dead."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.common.node import ROOT, START_SECONDS
from tests.common.servers import open_folder
from troth.kit.postgres import EmbeddedServer

LINK = re.compile(r"^ +(.*?) {2,}(http://\S+/sign-in/\S+)$", re.MULTILINE)


@pytest.fixture
def folder() -> Iterator[Path]:
    place = open_folder("troth-demo-again-")
    yield place / "data"
    shutil.rmtree(EmbeddedServer(place / "data").socket_folder, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)


class Demo:
    """`troth demo --data-dir` in a process of its own."""

    def __init__(self, folder: Path, notice: str) -> None:
        self.log = folder.with_name("said")
        command = [sys.executable, "-m", "troth.main.cli", "demo", "--data-dir", str(folder)]
        command += ["--notice", str(ROOT / "notices" / notice)]
        for door in ("http", "viewer", "dicom"):
            command += [f"--{door}", "127.0.0.1:0"]
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def await_links(self) -> dict[str, str]:
        give_up_at = time.monotonic() + START_SECONDS
        while "Each link works once" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < give_up_at, self.said
            time.sleep(0.05)
        return dict(LINK.findall(self.said))

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def first_page(link: str) -> str:
    """Where a link leads, and what its page says."""
    with httpx.Client(follow_redirects=True, timeout=60, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        shown = client.get(link)
        assert shown.status_code == 200, shown.text
        token = re.search(r'name="token" value="([^"]*)"', shown.text)
        fields = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', shown.text))
        answer = client.post(link, data=fields if token is None else {**fields, "token": token[1]})
        assert answer.status_code == 200, answer.text
        return f"{answer.url.path} {answer.text}"


def test_the_demo_goes_on_where_it_was(folder: Path) -> None:
    first = Demo(folder, "imaging-cloud")
    try:
        links = first.await_links()
        assert set(links) == {
            "Dr B. Specimen, clinician", "E. Fixture, privacy office", "F. Template, administrator", "A. Doe, patient",
        }  # fmt: skip
        assert first_page(links["A. Doe, patient"]).startswith("/scans ")
        assert f"troth serve --data-dir {folder}" in first.said
        assert "private window" in first.said
        assert first.interrupt() == 0
        assert "Stopping" in first.said
    finally:
        first.process.kill()
    again = Demo(folder, "imaging-cloud")
    try:
        links = again.await_links()
        assert "goes on where it was" in again.said
        assert "empty folder" not in again.said
        assert "DOES NOT HOLD" not in again.said
        assert first_page(links["A. Doe, patient"]).startswith("/scans ")
        for who, link in links.items():
            if "patient" not in who:
                assert first_page(link).startswith("/second-step "), who
        assert again.interrupt() == 0
    finally:
        again.process.kill()


def test_where_no_notice_has_a_use_for_scans_no_dead_door_is_printed(folder: Path) -> None:
    demo = Demo(folder, "terminology-vendor")
    try:
        assert set(demo.await_links()) == {"E. Fixture, privacy office", "F. Template, administrator"}
        assert "A. Doe" not in demo.said
        assert "--notice" in demo.said.split("troth serve", 1)[1].splitlines()[0]
        assert demo.interrupt() == 0
    finally:
        demo.process.kill()
