"""Open many silent connections to a real node and see whether it still answers, and how much memory that takes.

Usage: python -m tools.idle [CONNECTIONS]   (10,000 unless told; on loopback, the node in a folder of its own)
       python -m tools.idle readers [CONNECTIONS]   (60 unless told: each asks for something large and never reads it)
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.common import objects
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


def large() -> dict[str, tuple[objects.Made, str, str]]:
    """Objects that are large in one way each, what is asked of them, and in which form."""
    text, picture = "application/dicom+json", "application/octet-stream; transfer-syntax=*"
    pixels = objects.Made().number(0x00280010, 8192).number(0x00280011, 8192).put(0x7FE00010, "OB", bytes(8192 * 8192))
    contours = objects.structures(500, 3000)
    tiles = objects.slide(40_000)
    return {
        "metadata of 34 MB": (objects.structures(530, 10_000), "/metadata", text),
        "metadata of 26 MB": (contours, "/metadata", text),
        "metadata of 40,000 tiles": (tiles, "/metadata", text),
        "a frame of 64 MB": (pixels, "/frames/1", picture),
        "an instance of 64 MB": (pixels, "", "application/dicom; transfer-syntax=*"),
        "frames of a slide": (tiles, "/frames/" + ",".join(map(str, range(1, 2000))), "multipart/related; type="
            '"application/octet-stream"'),
    }  # fmt: skip


def unread(port: int, path: str, accept: str, access: Access, number: int) -> list[socket.socket]:
    """Connections that asked for something and do not take it."""
    held = []
    asked = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {access.reading}\r\n"
    for _ in range(number):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", port))
        one.sendall(f"{asked}Accept: {accept}\r\n\r\n".encode())
        held.append(one)
    return held


def readers(number: int) -> None:
    """Ask for what is large: read once, then by many that do not read."""
    node = NodeProcess(open_folder("troth-idle-") / "data")
    node.start()
    try:
        access = asyncio.run(node.grant_access())
        web, found = node.part("web"), []
        for name, (made, of, accept) in large().items():
            storing = {"Authorization": f"Bearer {access.storing}", "Content-Type": "application/dicom"}
            httpx.post(f"{node.url}/dicomweb/studies", content=made.file, headers=storing, timeout=120)
            path, reading = f"/dicomweb{made.path}{of}", {"Authorization": f"Bearer {access.reading}", "Accept": accept}
            search(node.url, access)
            before = reset(web.pid)
            began = time.monotonic()
            with httpx.stream("GET", node.url + path, headers=reading, timeout=120) as answer:
                length = sum(map(len, answer.iter_raw()))
            once, seconds = high(web.pid) - before, time.monotonic() - began
            before = reset(web.pid)
            held = unread(node.ports["pages"], path, accept, access, number)
            waited = [search(node.url, access) for _ in range(10)]
            time.sleep(5)
            found.append({
                "asked": name, "status": answer.status_code, "mb": round(length / 2**20, 1),
                "read_once_seconds": round(seconds, 2), "read_once_grew_mb": round(once / 2**20, 1),
                "unread_grew_mb": round((high(web.pid) - before) / 2**20, 1), "others_waited": waited,
            })  # fmt: skip
            for one in held:
                one.close()
            time.sleep(2)
        print(json.dumps(found, indent=1))
    finally:
        node.remove()


def reset(pid: int) -> int:
    """Begin the kernel's high water mark of a process anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return high(pid)


def high(pid: int) -> int:
    """The most memory that a process had since, in bytes."""
    told = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(told[1]) * 1024 if told else 0


def main() -> None:
    if sys.argv[1:2] == ["readers"]:
        readers(int(sys.argv[2]) if len(sys.argv) > 2 else 60)
        return
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
