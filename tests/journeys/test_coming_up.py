"""A port is open only when somebody answers behind it: from its first connection on, a probe sees what is so."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from tests.common.node import NOTICE, ROOT, START_SECONDS
from tests.common.servers import open_folder
from troth.kit.postgres import EmbeddedServer


def free_ports(count: int) -> list[int]:
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_port_opens_when_somebody_answers_and_stays_open() -> None:
    place = open_folder("troth-coming-up-")
    folder = place / "data"
    pages, viewer, dicom = free_ports(3)
    command = [sys.executable, "-m", "troth.main.cli", "serve", "--data-dir", str(folder), "--notice", str(NOTICE)]
    for door, port in (("http", pages), ("viewer", viewer), ("dicom", dicom)):
        command += [f"--{door}", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        seen: dict[int, list[bool]] = {pages: [], viewer: [], dicom: []}
        give_up_at = time.monotonic() + START_SECONDS
        first: httpx.Response | None = None
        while not all(len(found) > 5 and all(found[-5:]) for found in seen.values()):
            assert process.poll() is None
            assert time.monotonic() < give_up_at
            for port, found in seen.items():
                found.append(is_open(port))
            if first is None and seen[pages][-1]:
                first = httpx.get(f"http://127.0.0.1:{pages}/health", timeout=30)
            time.sleep(0.02)
        assert first is not None
        assert (first.status_code, first.text) == (200, "up\n")
        parts = {part.name(): part for part in psutil.Process(process.pid).children() if part.name() != "postgres"}
        is_root = os.geteuid() == 0
        assert set(parts) == {"troth-web", "troth-dicom", "troth-worker"} | ({"troth-raw"} if is_root else set())
        for part in parts.values():
            assert "NoNewPrivs:\t1" in Path(f"/proc/{part.pid}/status").read_text()
        beyond = 0o001 if is_root else 0  # the database's user passes through, and gets to what is its own
        assert folder.stat().st_mode & 0o007 == beyond, "nobody else lists the data folder or writes to it"
        for path in folder.iterdir():
            assert path.stat().st_mode & 0o077 == 0, path
        for found in seen.values():
            assert found == sorted(found), "once open it stays open"
            assert found[0] is False, "not before anybody answers"
    finally:
        process.terminate()
        process.communicate(timeout=60)
        shutil.rmtree(EmbeddedServer(Path(folder)).socket_folder, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)
