"""Troth under measurement: the real `troth serve` and the real `troth admin`, nothing switched off."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from bench.loads import CALLING_AE
from bench.server import NotReady, Server, free_port

NAME = "Troth"
ORGANISATION = "Bench Hospital"
_READY = re.compile(r"^dicom +\S", re.MULTILINE)
_START_SECONDS = 180
_PROGRAM = str(Path(sys.executable).parent / "troth")


def start(folder: Path, notice: Path) -> Server:
    """Start it with its data below `folder`, with an organisation, the bench as its peer, and a token.

    Args:
        folder: Data folder, made if absent.
        notice: The notice in force.
    """
    server = launch(folder, notice)
    try:
        _admin(folder, "organisation", "add", ORGANISATION)
        _admin(folder, "peer", "add", CALLING_AE, "127.0.0.1:1", "--organisation", ORGANISATION)
        reading = _token(folder, "clinician", "diagnosis")
        storing = _token(folder, "peer", "care")
    except BaseException:
        server.stop()
        raise
    server.headers["Authorization"] = f"Bearer {reading}"
    server.store_headers["Authorization"] = f"Bearer {storing}"
    return server


def launch(folder: Path, notice: Path) -> Server:
    """Only start it, for the first time or again, until every part has said that it is there and answers."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    server = Server(NAME, version("troth"), folder, free_port(), free_port(), "TROTH", "/dicomweb")
    command = [_PROGRAM, "serve", "--data-dir", str(folder), "--notice", str(notice)]
    command += ["--http", f"127.0.0.1:{server.http_port}", "--dicom", f"127.0.0.1:{server.dicom_port}"]
    command += ["--viewer", f"127.0.0.1:{free_port()}"]
    began, log = time.monotonic(), folder / "log"
    with log.open("wb") as sink:
        server.process = subprocess.Popen(command, stdout=sink, stderr=sink)
    try:
        server.wait(180)
        while not _READY.search(log.read_text(errors="replace")):  # the sockets are bound before the parts are there
            if server.process.poll() is not None or time.monotonic() - began > _START_SECONDS:
                raise NotReady(f"Troth does not say its addresses; see {log}")
            time.sleep(0.01)
    except BaseException:
        server.stop()
        raise
    server.start_seconds = time.monotonic() - began
    return server


def _token(folder: Path, role: str, purpose: str) -> str:
    return _admin(
        folder, "token", "issue", "--organisation", ORGANISATION, "--role", role, "--purpose", purpose, "--for", "3h"
    )


def _admin(folder: Path, *arguments: str) -> str:
    command = [_PROGRAM, "admin", *arguments, "--data-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise NotReady(f"troth admin {arguments[0]} {arguments[1]}: {(done.stderr or done.stdout)[-1500:]}")
    return done.stdout.strip().splitlines()[-1]
