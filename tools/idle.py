"""Open many silent connections to a real node and see whether it still answers, and how much memory that takes.

Usage: python -m tools.idle [CONNECTIONS]   (10,000 unless told; on loopback, the node in a folder of its own)
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time

import httpx

from tests.common.node import MODALITY, OUR_AE, Access, NodeProcess
from tests.common.servers import open_folder
from troth.main.descriptors import raise_open_files


def opened(port: int, number: int) -> list[socket.socket]:
    """Silent connections, as many as can be had."""
    held = []
    for _ in range(number):
        one = socket.socket()
        one.settimeout(5)
        try:
            one.connect(("127.0.0.1", port))
        except OSError:
            one.close()
            break
        held.append(one)
    return held


def echo(port: int) -> float | None:
    """Seconds of dcmtk's echoscu with its association, or None when it fails. pynetdicom's select takes 1,024 files."""
    began = time.monotonic()
    done = subprocess.run(
        ["echoscu", "-aet", MODALITY, "-aec", OUR_AE, "-to", "20", "-ta", "20", "127.0.0.1", str(port)], check=False
    )
    return time.monotonic() - began if done.returncode == 0 else None


def search(url: str, access: Access) -> float | None:
    """Seconds of a search over DICOMweb, or None when it fails."""
    began = time.monotonic()
    try:
        answer = httpx.get(f"{url}/dicomweb/studies", headers={"Authorization": f"Bearer {access.reading}"}, timeout=20)
    except httpx.HTTPError:
        return None
    return time.monotonic() - began if answer.status_code in (200, 204) else None


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    raise_open_files()
    node = NodeProcess(open_folder("troth-idle-") / "data")
    node.start()
    try:
        access = asyncio.run(node.grant_access())
        found: dict[str, object] = {"connections": number}
        for part, port, ask in (
            ("dicom", node.ports["dicom"], lambda: echo(node.ports["dicom"])),
            ("web", node.ports["pages"], lambda: search(node.url, access)),
        ):
            process = node.part(part)
            before, first = process.memory_info().rss, ask()
            held = opened(port, number)
            during = [ask() for _ in range(5)]
            found[part] = {
                "opened": len(held),
                "alone_seconds": first,
                "answers_seconds": during,
                "descriptors": process.num_fds(),
                "rss_grew_mb": round((process.memory_info().rss - before) / 2**20, 1),
            }
            for one in held:
                one.close()
        print(json.dumps(found, indent=1))
    finally:
        node.remove()


if __name__ == "__main__":
    main()
