"""What a node says of its addresses, and whom a signal to its whole group ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.common.node import NOTICE
from tests.common.servers import open_folder
from troth.kit.errors import Unavailable
from troth.main.node import AlreadyRunning, Node, bound, listening
from troth.main.settings import Address, Settings, load

Listener = socket.socket | None


@pytest.fixture
def folder() -> Iterator[Path]:
    place = open_folder("troth-ports-")
    yield place / "data"
    shutil.rmtree(place, ignore_errors=True)


class NoServer:
    """A database that is not needed."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def is_alive(self) -> bool:
        return True

    def dsn(self, role: str, database: str = "") -> str:
        return ""


def answers(settings: Settings, first: Listener, second: Listener, ready: Callable[[], None]) -> None:
    """A part that listens and does nothing."""
    for listener in (first, second):
        if listener is not None:
            listener.listen()
    ready()
    signal.pause()


def is_deaf(settings: Settings, first: Listener, second: Listener, ready: Callable[[], None]) -> None:
    """A part whose event loop does not say that it could not listen."""
    ready()
    signal.pause()


def node_on(folder: Path, parts: dict[str, Any], **listeners: str) -> Node:
    chosen = {"http": "127.0.0.1:0", "viewer": "127.0.0.1:0", "dicom": "127.0.0.1:0", **listeners}
    node = Node(load(folder, notice=(NOTICE,), **chosen), parts, lambda settings, server: None)  # type: ignore[arg-type]
    node.server = NoServer()
    return node


def test_a_port_that_is_taken_is_said_before_a_database_is_made(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        node = Node(load(folder, notice=(NOTICE,), http=place), {}, lambda settings, server: None)
        try:
            with pytest.raises(Unavailable, match=f"{place} cannot be listened on: Address already in use") as refused:
                node.start()
            assert "--http" in refused.value.hint, "how, and not only that"
        finally:
            node.stop()
    assert not (folder / "pg").exists()


@pytest.mark.parametrize(
    ("one", "other"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")],
)
def test_two_of_our_own_cannot_have_one_port(one: str, other: str) -> None:
    with bound(Address(one, 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(Unavailable, match=f"{other}:{port} cannot be listened on: Address already in use"):
            bound(Address(other, port), [first])
        bound(Address("127.0.0.2" if "0.0.0.0" not in (one, other) else "127.0.0.1", 0), [first]).close()


def test_a_node_with_two_listeners_on_one_port_does_not_start(folder: Path) -> None:
    with bound(Address("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    node = node_on(folder, {"web": answers, "dicom": answers}, http=place, dicom=place)
    try:
        with pytest.raises(Unavailable, match="cannot be listened on: Address already in use"):
            node.start()
    finally:
        node.stop()


def test_a_part_that_says_it_is_ready_and_hears_nobody_is_none(folder: Path) -> None:
    node = node_on(folder, {"web": answers, "dicom": is_deaf})
    try:
        with pytest.raises(Unavailable, match="cannot be listened on: Address already in use"):
            node.start()
        assert str(node.settings.dicom.port)
    finally:
        node.stop()


def test_a_second_node_leaves_word_of_the_first_as_it_is(folder: Path) -> None:
    first = node_on(folder, {"web": answers, "dicom": answers})
    try:
        first.start()
        second = node_on(folder, {"web": answers, "dicom": answers})
        try:
            with pytest.raises(AlreadyRunning):
                second.start()
        finally:
            second.stop()
        assert listening(second.settings).http.port == first.settings.http.port
    finally:
        first.stop()


def test_what_a_terminal_sends_to_all_reaches_no_part(folder: Path) -> None:
    node = node_on(folder, {"web": answers, "dicom": answers})
    try:
        node.start()
        for pid in node.pids().values():
            assert os.getsid(pid) == pid
    finally:
        began = time.monotonic()
        node.stop()
        assert time.monotonic() - began < 10
