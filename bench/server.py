"""What both measured servers have in common."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class NotReady(RuntimeError):
    """A server did not come up."""


def free_port() -> int:
    """A TCP port of loopback that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running server under measurement.

    Attributes:
        name: `Troth` or the peer's name.
        version: As the server or its package says.
        called_ae: Its AE title.
        dicomweb: Base path of its DICOMweb service.
        headers: Sent with each request that reads.
        store_headers: Sent with each STOW.
        process: Root of its process tree.
        database_pid: Of a database server that is no child of it.
        end_database: Ends that database server.
        start_seconds: From the first process to the first answer of every part.
    """

    name: str
    version: str
    folder: Path
    dicom_port: int
    http_port: int
    called_ae: str
    dicomweb: str
    headers: dict[str, str] = field(default_factory=dict)
    store_headers: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    database_pid: int | None = None
    end_database: Callable[[], None] = lambda: None
    start_seconds: float = 0.0

    @property
    def pid(self) -> int:
        """Root of its process tree."""
        assert self.process is not None
        return self.process.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """Roots of everything that works for it."""
        return (self.pid,) if self.database_pid is None else (self.pid, self.database_pid)

    def connection(self) -> http.client.HTTPConnection:
        """A new connection to its HTTP side."""
        return http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=120)

    def wait(self, seconds: float) -> None:
        """Wait until both ports take connections and the HTTP side answers: a listener can be bound before it serves.

        Raises:
            NotReady: They do not in time, or the process ended.
        """
        give_up_at = time.monotonic() + seconds
        for port in (self.dicom_port, self.http_port):
            while True:
                if self.process is not None and self.process.poll() is not None:
                    raise NotReady(f"{self.name} ended with {self.process.returncode}; see {self.folder}/log")
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if time.monotonic() > give_up_at:
                        raise NotReady(f"{self.name} does not answer on port {port}") from None
                    time.sleep(0.01)
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=seconds)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as fault:
            raise NotReady(f"{self.name} does not answer HTTP; see {self.folder}/log") from fault
        finally:
            connection.close()

    def stop(self) -> None:
        """End it in good order, or after fifteen seconds not."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        self.end_database()
