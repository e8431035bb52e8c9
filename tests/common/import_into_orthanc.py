"""Run inside a network namespace of its own: start Debian's Orthanc, hand it a zip, print what it then holds.

Usage: python -m tests.common.import_into_orthanc ZIP FOLDER
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
from bench import orthanc


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = orthanc.start(Path(sys.argv[2]))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.http_port}", timeout=60) as client:
            answer = client.post("/instances", content=Path(sys.argv[1]).read_bytes())
            answer.raise_for_status()
            found = []
            for each in client.get("/instances").json():
                tags = client.get(f"/instances/{each}/simplified-tags").json()
                raw = client.get(f"/instances/{each}/file").content
                found.append([tags["SOPInstanceUID"], tags["PatientID"], len(raw)])
            print(json.dumps({"studies": len(client.get("/studies").json()), "instances": found}))
    finally:
        server.process.kill()


if __name__ == "__main__":
    main()
