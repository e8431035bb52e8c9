"""Debian's Orthanc as the peer: SQLite index, DICOMweb plugin, tuned as `docs/bench.md` says.

It listens on every address and has no setting for that, so it runs in a network namespace of its own (see `space.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from bench.server import Server, free_port

PROGRAM = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


def version() -> str:
    """Version of the installed Orthanc."""
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False).stdout
    return said.split()[1] if len(said.split()) > 1 else "unknown"


def start(folder: Path) -> Server:
    """Start it with its data below `folder`."""
    folder.mkdir(parents=True)
    server = Server("Orthanc", version(), folder, free_port(), free_port(), "ORTHANC", "/dicom-web")
    settings = {
        "Name": "bench",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "DicomAet": server.called_ae,
        "DicomPort": server.dicom_port,
        "HttpPort": server.http_port,
        "RemoteAccessAllowed": False,
        "MaximumPduLength": 131_072,
        "Plugins": [_PLUGIN],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "OverwriteInstances": False,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        server.process = subprocess.Popen(
            [PROGRAM, str(path)], stdout=log, stderr=log, env={**os.environ, "TCP_NODELAY": "1"}
        )
    server.wait(30)
    return server
