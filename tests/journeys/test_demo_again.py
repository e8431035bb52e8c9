"""The first hour: the demo is told, stopped, and goes on where it was; no door that it prints is dead."""

from __future__ import annotations

import asyncio
import os
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
from troth.kit import clock
from troth.kit.postgres import EmbeddedServer
from troth.main.demo.visit import Visitor, code_shown

LINK = re.compile(r"^ +(\S.*?) {2,}(http://\S+/sign-in/\S+)$", re.MULTILINE)


@pytest.fixture
def folder() -> Iterator[Path]:
    place = open_folder("troth-demo-again-")
    yield place / "data"
    shutil.rmtree(EmbeddedServer(place / "data").socket_folder, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)


class Demo:
    """`troth demo --data-dir` in a process group of its own, as a terminal has it."""

    def __init__(self, folder: Path, notice: str, *more: str) -> None:
        self.log = folder.with_name("said")
        command = [sys.executable, "-m", "troth.main.cli", "demo", "--data-dir", str(folder)]
        command += ["--notice", str(ROOT / "notices" / notice)]
        for door in ("http", "viewer", "dicom"):
            command += [f"--{door}", "127.0.0.1:0"]
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(
                [*command, *more], cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def await_words(self, words: str) -> None:
        give_up_at = time.monotonic() + START_SECONDS
        while words not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < give_up_at, self.said
            time.sleep(0.05)

    def await_links(self) -> dict[str, str]:
        self.await_words("Each link works once")
        return dict(LINK.findall(self.said))

    def interrupt(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
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


HOSPITAL = "Example Hospital"
DOCTOR, OFFICER = f"Dr B. Specimen, clinician of {HOSPITAL}", f"E. Fixture, privacy office of {HOSPITAL}"
ADMIN, SECOND = f"F. Template, administrator of {HOSPITAL}", f"G. Stencil, second administrator of {HOSPITAL}"
PROPOSER, AGREER = (f"{name}, privacy office of Example Imaging Cloud" for name in ("H. Pattern", "K. Dummy"))


async def signed_in(link: str) -> tuple[Visitor, str]:
    """Somebody of the staff at their first sign-in, with the key of their app."""
    visitor = Visitor(re.match(r"http://[^/]+", link)[0])  # type: ignore[index]
    await visitor.open(link)
    await visitor.press("Sign in")
    await visitor.open("/second-step")
    key = visitor.text
    await visitor.press("Turn on", code=code_shown(key, clock.now()))
    await visitor.press("Finish")
    return visitor, key


async def do_the_jobs(links: dict[str, str]) -> None:
    """A colleague is let in by the two, and the notice can be changed by its two."""
    admin, _ = await signed_in(links[ADMIN])
    await admin.open("/admin")
    await admin.press("Invite", name="Dr N. New", email="n.new@example-hospital.invalid", role="clinician")
    assert "G. Stencil" in admin.text.split("waits for a second person", 1)[1], "who can approve"
    second, _ = await signed_in(links[SECOND])
    await second.open("/admin")
    await second.press("Approve Dr N. New")
    assert "Approved" in second.text
    for who in (PROPOSER, AGREER):
        officer, _ = await signed_in(links[who])
        assert "Propose a version" in await officer.open("/office/notice"), who
        await officer.close()
    await admin.close()
    await second.close()


def test_the_demo_goes_on_where_it_was(folder: Path) -> None:
    first = Demo(folder, "imaging-cloud")
    try:
        links = first.await_links()
        assert set(links) == {DOCTOR, OFFICER, ADMIN, SECOND, PROPOSER, AGREER, "A. Doe, patient"}
        assert first_page(links["A. Doe, patient"]).startswith("/scans ")
        asyncio.run(do_the_jobs(links))
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
                page = first_page(link)
                assert page.startswith("/second-step "), who
                assert ("Turn on" in page) is (who in (DOCTOR, OFFICER)), f"{who} keeps the app that they set up"
        assert again.interrupt() == 0
    finally:
        again.process.kill()


def test_a_story_that_was_stopped_is_told_anew_and_one_that_held_is_looked_at(folder: Path) -> None:
    stopped = Demo(folder, "imaging-cloud")
    try:
        stopped.await_words("2.  ")
        began = time.monotonic()
        assert stopped.interrupt() == 130
        assert time.monotonic() - began < 20
        assert stopped.said.splitlines()[-1] == "Stopped."
        assert "WARNING" not in stopped.said, "parts that end have nothing to warn of"
        assert "Traceback" not in stopped.said
    finally:
        stopped.process.kill()
    for told in (True, False):
        once = Demo(folder, "imaging-cloud", "--once")
        try:
            assert once.process.wait(300) == 0, once.said
            assert ("did not come to its end, so it is told anew" in once.said) is told
            assert ("Every step held." in once.said) is told
            assert ("What was looked at holds" in once.said) is not told
        finally:
            once.process.kill()
    assert folder.with_name("data.unfinished-1").is_dir(), "nothing is deleted"


def test_where_no_notice_has_a_use_for_scans_no_dead_door_is_printed(folder: Path) -> None:
    demo = Demo(folder, "terminology-vendor")
    try:
        assert {who.partition(",")[0] for who in demo.await_links()} == {
            "E. Fixture", "F. Template", "G. Stencil", "H. Pattern", "K. Dummy",
        }  # fmt: skip
        assert "A. Doe" not in demo.said
        assert "--notice" in demo.said.split("troth serve", 1)[1].splitlines()[0]
        assert demo.interrupt() == 0
    finally:
        demo.process.kill()
