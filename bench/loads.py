"""The clients. The same for both servers: dcmtk's storescu for DIMSE, http.client for DICOMweb."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.server import Server

CALLING_AE = "BENCH"
_BOUNDARY = b"troth-bench-boundary"
_SECONDS = 120
_BETWEEN_READS = 0.001


class LoadFailed(RuntimeError):
    """A server did not do what was asked: its figure would mean nothing."""


def store(server: Server, files: Sequence[Path], associations: int, *, no_delay: bool = True) -> float:
    """Send files by C-STORE.

    Args:
        server: Where to.
        files: What; spread over the associations.
        associations: How many storescu at once.
        no_delay: TCP_NODELAY in the client; False is storescu as it is shipped.

    Returns:
        Wall time in seconds, start of the clients included.
    """
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    if no_delay:
        environment["TCP_NODELAY"] = "1"
    command = [shutil.which("storescu") or "storescu", "-aet", CALLING_AE, "-aec", server.called_ae]
    command += ["--max-send-pdu", "131072", "127.0.0.1", str(server.dicom_port)]
    started = time.perf_counter()
    clients = [
        subprocess.Popen(
            [*command, *map(str, files[number::associations])],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for number in range(associations)
    ]
    failed = ""
    for client in clients:
        said, _ = client.communicate(timeout=_SECONDS)
        if client.returncode:
            failed = said.decode(errors="replace")[-400:]
    took = time.perf_counter() - started
    if failed:
        raise LoadFailed(f"{server.name} refused a C-STORE: {failed}")
    return took


def stow_body(instances: Sequence[bytes]) -> bytes:
    """One multipart body of Part 10 files. Per: DICOM PS3.18 10.5."""
    parts = bytearray()
    for octets in instances:
        parts += b"--" + _BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n" + octets + b"\r\n"
    return bytes(parts + b"--" + _BOUNDARY + b"--\r\n")


def stow(server: Server, bodies: Sequence[bytes], clients: int) -> float:
    """Post bodies by STOW-RS.

    Returns:
        Wall time in seconds.
    """
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY.decode()}',
        "Accept": "application/dicom+json",
        **server.store_headers,
    }

    def post(own: Sequence[bytes]) -> None:
        connection = server.connection()
        for body in own:
            connection.request("POST", f"{server.dicomweb}/studies", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise LoadFailed(f"{server.name} answered a STOW with {answer.status}: {said[:300]!r}")
        connection.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for outcome in [pool.submit(post, bodies[number::clients]) for number in range(clients)]:
            outcome.result(_SECONDS)
    return time.perf_counter() - started


class Reader:
    """One client that reads over one kept connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = server.connection()

    def get(self, path: str, accept: str) -> tuple[float, int]:
        """Read one resource to its end.

        Returns:
            Seconds until the last byte, and the length of the body in bytes.
        """
        started = time.perf_counter()
        self._connection.request(
            "GET", f"{self._server.dicomweb}{path}", headers={"Accept": accept, **self._server.headers}
        )
        answer = self._connection.getresponse()
        length = 0
        while chunk := answer.read(1 << 20):
            length += len(chunk)
        took = time.perf_counter() - started
        if answer.status not in (200, 204):  # 204: nothing found
            raise LoadFailed(f"{self._server.name} answered {path.split('?')[0]} with {answer.status}")
        return took, length

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


class Watch(threading.Thread):
    """Reads one resource again and again until it is not given any more.

    Args:
        server: Where.
        path: Of the resource.
        accept: Media type.
    """

    def __init__(self, server: Server, path: str, accept: str) -> None:
        super().__init__(daemon=True)
        self._reader = Reader(server)
        self._path, self._accept = path, accept
        self._began = self._gone_at = 0.0
        self._is_read = threading.Event()

    def begin(self) -> None:
        """From now on the time counts."""
        if not self._is_read.wait(_SECONDS):
            raise LoadFailed("what is to be erased could not be read before")
        self._began = time.perf_counter()

    def end(self) -> float:
        """Seconds from the beginning until the answer of the last read that failed."""
        self.join(_SECONDS)
        if not self._gone_at > self._began > 0:
            raise LoadFailed("what was erased can still be read")
        return self._gone_at - self._began

    def run(self) -> None:
        """Read on."""
        while True:
            try:
                self._reader.get(self._path, self._accept)
            except (LoadFailed, OSError, http.client.HTTPException):
                self._gone_at = time.perf_counter()
                return
            self._is_read.set()
            time.sleep(_BETWEEN_READS)
