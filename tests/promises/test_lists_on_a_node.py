"""Lists of people on a real node: from the command line, through the worker, to a real mail server."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from tests.common import node as nodes
from tests.common.node import NodeProcess, a_node, command
from tests.promises.test_changes import Mailbox

HOUSE = "Example Word Works"
WAIT_SECONDS = 90.0


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        made = Mailbox(free.getsockname()[1])
    server = Controller(made, hostname="127.0.0.1", port=made.port)
    server.start()
    yield made
    server.stop()


@pytest.fixture
def node(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeProcess]:
    monkeypatch.setattr(nodes, "NOTICE", nodes.ROOT / "notices" / "terminology-vendor")
    monkeypatch.setenv("TROTH_SMTP", f"127.0.0.1:{mailbox.port}")
    with a_node("troth-lists-") as started:
        yield started


def until(claim: object, what: str) -> None:
    """Wait for the worker."""
    end = time.monotonic() + WAIT_SECONDS
    while not claim():  # type: ignore[operator]
        assert time.monotonic() < end, what
        time.sleep(0.2)


@pytest.mark.promise("TV-04", on="terminology-vendor")
def test_a_list_from_the_command_line_is_taken_in_and_told_by_the_worker(
    node: NodeProcess, mailbox: Mailbox, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text("email,name,counts_from\nada@x.example,Ada,2026-11-01\nbad,Bad,\nold@x.example,Old,2010-01-04\n")
    told = ("--organisation", HOUSE, "--source", "journal_owner", "--from", "Journal of Samples", "--for", "promotion")
    wrong = command(node.folder, "admin", "contacts", "import", str(file), *told[:2], "--source", "friends", *told[4:])
    assert wrong.returncode != 0
    assert "lists no such source" in wrong.stderr
    looked = command(node.folder, "admin", "contacts", "import", str(file), *told)
    assert looked.returncode == 0, looked.stderr
    assert "2 new, 0 known, 0 twice, 1 refused" in looked.stdout
    assert "line 3: mail cannot be sent to its address" in looked.stdout
    assert "nothing was taken in" in looked.stdout

    taken = command(node.folder, "admin", "contacts", "import", str(file), *told, "--yes")
    assert re.fullmatch(r"L-\d+", taken.stdout.splitlines()[-1])
    until(lambda: len(mailbox.envelopes) == 2, node.said)
    assert sorted(whom for whom, *_ in mailbox.envelopes) == ["ada@x.example", "old@x.example"]
    assert all("Journal of Samples (journal owner)" in text for _, _, text, _ in mailbox.envelopes)

    due = command(node.folder, "admin", "contacts", "due", "--organisation", HOUSE, "--dispose")
    assert "promotion: 1 of 2 over, by the notice of the site, clause 8.1" in due.stdout
    assert due.stdout.splitlines()[-1] == "1"

    def is_gone() -> bool:
        again = command(node.folder, "admin", "contacts", "due", "--organisation", HOUSE)
        return again.stdout.splitlines()[-1:] == ["0"] and "0 of 1 over" in again.stdout

    until(is_gone, node.said)
    assert len(mailbox.envelopes) == 2, "nobody is told twice"
