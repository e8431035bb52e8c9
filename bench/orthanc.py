"""Debian's Orthanc as the peer, tuned as `docs/bench.md` says: with its SQLite index, or with one in PostgreSQL.

It listens on every address and has no setting for that, so it runs in a network namespace of its own (see `space.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from bench.loads import LoadFailed
from bench.server import Server, free_port
from troth.kit.postgres import MAIN_DATABASE, EmbeddedServer

PROGRAM = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
PEERS = {"sqlite": "Orthanc", "postgresql": "Orthanc+PG"}
"""Kinds of index, and how the peer with it is called in the table."""

_PLUGINS = Path("/usr/share/orthanc/plugins")


def version() -> str:
    """Version of the installed Orthanc."""
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False).stdout
    return said.split()[1] if len(said.split()) > 1 else "unknown"


def start(folder: Path, index: str = "sqlite") -> Server:
    """Start it with its data below `folder`, for the first time or again.

    Args:
        folder: Made if absent.
        index: One of `PEERS`. The server of PostgreSQL is of the same build and the same settings as Troth's own.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    name = PEERS[index]
    server = Server(name, version(), folder, free_port(), free_port(), "ORTHANC", "/dicom-web")
    plugins, further = [_PLUGINS / "libOrthancDicomWeb.so"], dict[str, Any]()
    began = time.monotonic()
    if index == "postgresql":
        plugin = _PLUGINS / "libOrthancPostgreSQLIndex.so"
        if not plugin.exists():
            raise SystemExit("bench: the package orthanc-postgresql is missing (tools/packages bench; --peer sqlite)")
        plugins.append(plugin)
        database = EmbeddedServer(folder / "database")
        database.start()
        server.database_pid = database.pid
        server.end_database = partial(_end, database)
        further["PostgreSQL"] = {"EnableIndex": True, "EnableStorage": False, "ConnectionUri": _uri(database)}
    settings = {
        "Name": "bench",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "DicomAet": server.called_ae,
        "DicomPort": server.dicom_port,
        "HttpPort": server.http_port,
        "RemoteAccessAllowed": False,
        "MaximumPduLength": 131_072,
        "Plugins": [str(plugin) for plugin in plugins],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "OverwriteInstances": False,
        **further,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    path.chmod(0o600)
    with (folder / "log").open("ab") as log:
        server.process = subprocess.Popen(
            [PROGRAM, str(path)], stdout=log, stderr=log, env={**os.environ, "TCP_NODELAY": "1"}
        )
    try:
        server.wait(30)
    except BaseException:
        server.stop()
        raise
    server.start_seconds = time.monotonic() - began
    return server


def _end(database: EmbeddedServer) -> None:
    database.stop()
    shutil.rmtree(database.socket_folder, ignore_errors=True)


def _uri(database: EmbeddedServer) -> str:
    """Where its index is, as libpq takes it; the owner of the database makes the tables."""
    parts = {key: str(value) for key, value in conninfo_to_dict(database.dsn("troth_owner", MAIN_DATABASE)).items()}
    user, secret, host = (quote(parts[key], safe="") for key in ("user", "password", "host"))
    return f"postgresql://{user}:{secret}@/{MAIN_DATABASE}?host={host}"


def media(server: Server, study_uid: str, target: Path) -> float:
    """Write a study as a zip with its DICOMDIR into a file; gives the seconds.

    Args:
        server: The peer.
        study_uid: Which study.
        target: A new file.
    """
    began = time.perf_counter()
    connection = server.connection()
    connection.request("GET", f"/studies/{_identifier(server, 'Study', study_uid)}/media")
    answer = connection.getresponse()
    with target.open("xb") as file:
        shutil.copyfileobj(answer, file, 1 << 20)
    took = time.perf_counter() - began
    connection.close()
    if answer.status != 200:
        raise LoadFailed(f"{server.name} answered for a medium with {answer.status}")
    return took


def erase(server: Server, patient_id: str, begins: Callable[[], None]) -> float:
    """Delete a patient; gives the seconds until it says so.

    Args:
        server: The peer.
        patient_id: The PatientID.
        begins: Called when it begins.
    """
    whose = _identifier(server, "Patient", patient_id)
    connection = server.connection()
    begins()
    began = time.perf_counter()
    connection.request("DELETE", f"/patients/{whose}")
    answer = connection.getresponse()
    answer.read()
    took = time.perf_counter() - began
    connection.close()
    if answer.status != 200:
        raise LoadFailed(f"{server.name} answered a deletion with {answer.status}")
    return took


def _identifier(server: Server, level: str, value: str) -> str:
    """Its own id of a patient or study."""
    connection = server.connection()
    try:
        connection.request("POST", "/tools/lookup", value)
        found = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return next(str(one["ID"]) for one in found if one["Type"] == level)
