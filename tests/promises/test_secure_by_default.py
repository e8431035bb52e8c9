"""A fresh install, as a stranger with a port scanner and with the disk in their hands would meet it."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import httpx
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from starlette.routing import BaseRoute, Mount, Route

from tests.common.certificates import self_signed
from tests.common.node import Access, NodeProcess
from tests.common.servers import open_folder
from troth.dicom import specimens
from troth.doors import dicomweb, viewer, web

WORDS = ("QUILLFEATHER", "Quillfeather", "ZX-48151623", "19470211")
OF_EVERYBODY = {
    "/",
    "/notice",
    "/ledger/checkpoint",
    "/ledger/key",
    "/ledger/check",
    "/ledger/check_my_list.js",
    "/ledger/check_my_list.py",
    "/notice/versions",
    "/notice/versions/1",
    "/notice/register",
    "/notice/register.csv",
    "/notice/register.jsonld",
    "/promises",
    "/recipients",
    "/do-not-sell",
    "/sign-in",
    "/sign-in/sent",
    "/invitation",
    "/robots.txt",
    "/health",
    "/app-config.js",
    "/init-service-worker.js",
}
OF_METHOD = {"GET": OF_EVERYBODY, "POST": {"/sign-in/passkey/ask"}}
"""By a form everybody may ask what a passkey is to sign: chance, a time and our own mark."""
BOUNDARY = "troth-test"


@dataclass
class Install:
    """A node on its first day: one certificate, one study."""

    node: NodeProcess
    certificate: Path
    access: Access
    study: specimens.Study
    paths: dict[str, list[str]] = field(default_factory=dict)

    def client(self, door: str, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{self.node.ports[door]}",
            verify=ssl.create_default_context(cafile=str(self.certificate)),
            headers=headers,
        )


def paths_of(routes: list[BaseRoute], values: dict[str, str], before: str = "") -> list[str]:
    """Every path that an application answers, its parameters filled with what really exists."""
    found = []
    for route in routes:
        if isinstance(route, Mount):
            inner = getattr(route.app, "routes", [])
            found += paths_of(list(inner), values, before + route.path)
        elif isinstance(route, Route):
            found.append(before + re.sub(r"\{(\w+)(?::\w+)?\}", lambda name: values.get(name[1], "1"), route.path))
    return found


@pytest.fixture(scope="module")
async def install(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Install]:
    chain, key = self_signed(tmp_path_factory.mktemp("certificate"))
    node = NodeProcess(open_folder("troth-fresh-"))
    (node.folder / "troth.toml").write_text(f'tls_certificate = "{chain}"\ntls_key = "{key}"\n')
    try:
        await asyncio.to_thread(node.start)
        day = date(2026, 11, 2)
        study = specimens.Study(
            WORDS[2], f"{WORDS[0]}^ODA", date(1947, 2, 11), "F", day, "AC-77120", "Head, without contrast", seed=47
        )
        install = Install(node, chain, await node.grant_access(), study)
        parts = (
            b"--%s\r\nContent-Type: application/dicom\r\n\r\n" % BOUNDARY.encode() + file + b"\r\n"
            for file in specimens.phantom_ct(study, slices=2, size=64)
        )
        body = b"".join([*parts, b"--%s--" % BOUNDARY.encode()])
        async with install.client("pages", Authorization=f"Bearer {install.access.storing}") as modality:
            answer = await modality.post(
                "/dicomweb/studies",
                content=body,
                headers={"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'},
            )
        assert answer.status_code == 200, answer.text
        async with node.rooms() as rooms:
            images = dicomweb.create(rooms)
            values = {"study": study.uid(), "path": "index.html"}
            install.paths = {
                "pages": paths_of(list(web.create(rooms, images).routes), values),
                "viewer": paths_of(list(viewer.create(rooms, images).routes), values),
            }
            await images.state.gate.close()
        yield install
    finally:
        node.remove()


@pytest.mark.asvs("V6.3.2")
@pytest.mark.promise("IC-11", shows="scan", on="imaging-cloud")
@pytest.mark.parametrize("door", ["pages", "viewer"])
async def test_nothing_is_readable_without_credentials(install: Install, door: str) -> None:
    assert len(install.paths[door]) > {"pages": 60, "viewer": 20}[door]
    wrong = []
    async with install.client(door) as stranger:
        for path in install.paths[door]:
            for method in ("GET", "POST", "PUT", "DELETE"):
                answer = await stranger.request(method, path)
                is_open = answer.status_code < 300 and path not in OF_METHOD.get(method, ())
                said = answer.text + str(answer.headers)
                if is_open or answer.status_code >= 500 or any(word in said for word in WORDS):
                    wrong.append((method, path, answer.status_code))
    assert wrong == []
    async with install.client(door, Authorization=f"Bearer {install.access.reading}") as known:
        answer = await known.get("/dicomweb/studies", params={"PatientID": WORDS[2]})
    assert answer.status_code == 200, "the same door shows it to whoever may see it"
    assert WORDS[0] in answer.text


@pytest.mark.asvs("V12.1.1", "V12.2.1")
@pytest.mark.promise("IC-11", shows="scan", on="imaging-cloud")
@pytest.mark.parametrize("door", ["pages", "viewer"])
async def test_the_web_speaks_tls_only(install: Install, door: str) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{install.node.ports[door]}/")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", install.node.ports[door])) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain)
    async with install.client(door) as stranger:
        answer = await stranger.get("/")
    assert "max-age" in answer.headers["Strict-Transport-Security"]


@pytest.mark.promise("IC-11", shows="scan", on="imaging-cloud")
async def test_an_unknown_device_gets_no_association(install: Install) -> None:
    def knock(title: str) -> bool:
        ae = AE(title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
        ae.add_requested_context(Verification)
        association = ae.associate("127.0.0.1", install.node.ports["dicom"], ae_title="TROTH")
        try:
            return bool(association.is_established)
        finally:
            association.abort()

    assert not await asyncio.to_thread(knock, "STRANGER")
    assert await asyncio.to_thread(knock, "MODALITY")


@pytest.mark.asvs("V5.3.1", "V14.2.4")
@pytest.mark.promise("IC-11", shows="disk", on="imaging-cloud")
async def test_bytes_on_the_disk_are_unreadable(install: Install) -> None:
    """PostgreSQL with its log and journal, packs, ledger, outbox: none holds a word, none is for other users."""
    read, found, open_to_all = 0, [], []
    for folder, _, names in os.walk(install.node.folder):
        for name in names:
            path = Path(folder, name)
            if not path.is_file():
                continue
            octets = path.read_bytes()
            read += len(octets)
            found += [(word, path.name) for word in WORDS if word.encode() in octets]
            parents = [parent for parent in path.parents if install.node.folder in (parent, *parent.parents)]
            if all(parent.stat().st_mode & stat.S_IXOTH for parent in parents) and path.stat().st_mode & stat.S_IROTH:
                open_to_all.append(path.name)
    assert read > 10_000_000
    assert found == []
    assert [name for name in open_to_all if name != "troth.toml"] == []
