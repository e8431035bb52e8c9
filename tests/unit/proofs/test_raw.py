"""The reader of raw pages is asked by parts: one that was taken over asks anything, and ends nothing by it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from troth.proofs import raw
from troth.proofs.model import Checked


def looked(cluster: Path, files: list[str]) -> Checked:
    return Checked("files", True, " ".join(files))


def answer_to(folder: Path, question: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(folder / raw.NAME))
        connection.sendall(question)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1 << 16)


@pytest.mark.parametrize(
    "question", [b"5", b"null", b"{}", b"[" * 100_000, b"\xff", b"", b'["base/1/2", 7]', b'["base/1/../2"]']
)
def test_a_question_that_is_none_of_ours_is_refused_and_the_next_is_answered(tmp_path: Path, question: bytes) -> None:
    listening = raw.listener(tmp_path)
    threading.Thread(target=raw.serve, args=(listening, tmp_path, looked), daemon=True).start()
    assert answer_to(tmp_path, question) == b""
    assert raw.ask(tmp_path, ["base/1/2"]) == Checked("files", True, "base/1/2")


def test_one_who_asks_a_letter_at_a_time_is_let_go_and_the_next_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "_SECONDS", 0.5)
    listening = raw.listener(tmp_path)
    threading.Thread(target=raw.serve, args=(listening, tmp_path, looked), daemon=True).start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slow, suppress(OSError):
        slow.connect(str(tmp_path / raw.NAME))
        begun = time.monotonic()
        while time.monotonic() < begun + 10:
            slow.sendall(b"[")
            time.sleep(0.1)
    assert time.monotonic() < begun + 5, "each letter alone came in time"
    assert raw.ask(tmp_path, ["base/1/2"]) == Checked("files", True, "base/1/2")
