"""Run inside a network namespace of its own: Debian's Orthanc and our listener as each other's peers; print what came.

Usage: python -m tests.common.orthanc_as_peer DSN KEYRING FOLDER FILE...
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from bench import orthanc
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.common.hospital import Hospital, open_hospital
from tests.common.objects import Made
from troth.doors import dicomweb, dimse
from troth.kit.db import Database
from troth.policy import Target
from troth.vault import Keyring

PEER = "ORTHANC"


class Orthanc:
    """Debian's Orthanc with us as a modality."""

    def __init__(self, folder: Path, port_of_ours: int, web: str, token: str) -> None:
        folder.mkdir(parents=True)
        self.dicom_port, self.http_port = orthanc.free_port(), orthanc.free_port()
        settings = {
            "Name": "peer",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "DicomAet": PEER,
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
            "DicomWeb": {"Servers": {"troth": {"Url": web, "HttpHeaders": {"Authorization": f"Bearer {token}"}}}},
            "DicomModalities": {"troth": {"AET": "TROTH", "Host": "127.0.0.1", "Port": port_of_ours}},
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [orthanc.PROGRAM, str(folder / "orthanc.json")], stdout=self.log, stderr=self.log
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.http_port}", timeout=60)
        for _ in range(300):
            try:
                self.http.get("/system").raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise RuntimeError("Orthanc did not come up")

    def post(self, path: str, content: Any) -> Any:
        answer = self.http.post(path, **({"content": content} if isinstance(content, bytes) else {"json": content}))
        return answer.json() if answer.is_success else {"status": answer.status_code, "said": answer.text[:300]}

    def held(self) -> dict[str, Any]:
        found = {}
        for each in self.http.get("/instances").json():
            tags = self.http.get(f"/instances/{each}/simplified-tags").json()
            meta = self.http.get(f"/instances/{each}/header?simplify").json()
            found[tags["SOPInstanceUID"]] = {
                "id": each,
                "class": tags["SOPClassUID"],
                "syntax": meta.get("TransferSyntaxUID", ""),
                "raw": self.http.get(f"/instances/{each}/content/7fe0-0010").status_code == 200,
                "sha": _digest(self.http.get(f"/instances/{each}/file").content),
            }
        return found

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


def _digest(octets: bytes) -> str:
    """Of the pixels, or of nothing."""
    import hashlib
    import io

    import pydicom

    return hashlib.sha256(pydicom.dcmread(io.BytesIO(octets), force=True).get("PixelData", b"")).hexdigest()


def talk(peer: Orthanc, files: list[Path]) -> dict[str, Any]:
    """What Orthanc does with us, step by step."""
    for file in files:
        peer.post("/instances", file.read_bytes())
    sent = peer.held()
    said: dict[str, Any] = {"sent": sent}
    said["echo"] = peer.http.post("/modalities/troth/echo", json={}).status_code
    store = "/modalities/troth/store"  # one by one: it stops at the first that fails
    answers = {uid: peer.post(store, {"Resources": [one["id"]]}) for uid, one in sent.items()}
    said["refused"] = {uid: told["said"] for uid, told in answers.items() if told.get("FailedInstancesCount") != 0}
    stored = {uid: one for uid, one in sent.items() if uid not in said["refused"]}
    commit = {"DicomInstances": [{"SOPClassUID": one["class"], "SOPInstanceUID": uid} for uid, one in stored.items()]}
    transaction = peer.post("/modalities/troth/storage-commitment", commit)
    said["commitment"] = {}
    for _ in range(600):
        said["commitment"] = peer.http.get(f"/storage-commitment/{transaction['ID']}").json()
        if said["commitment"].get("Status") != "Pending":
            break
        time.sleep(0.1)
    for each in peer.http.get("/patients").json():
        peer.http.delete(f"/patients/{each}")
    said["after_delete"] = len(peer.held())
    query = peer.post("/modalities/troth/query", {"Level": "Study", "Query": {"PatientID": "*", "StudyDate": ""}})
    answers = peer.http.get(f"/queries/{query['ID']}/answers?expand&simplify").json()
    said["found"] = answers
    said["retrieve"] = peer.post(f"/queries/{query['ID']}/retrieve", {"TargetAet": PEER, "Synchronous": True})
    said["got"] = peer.held()
    seen = Made()
    held = peer.post("/instances", seen.file)
    said["stow"] = peer.post("/dicom-web/servers/troth/stow", {"Resources": [held["ID"]], "Synchronous": True})
    said["stowed"] = seen.study
    return said


async def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    dsn, keys, folder, *files = sys.argv[1:]
    database = Database(dsn)
    hospital: Hospital = await open_hospital(database, Keyring.open(Path(keys)), Path(folder))  # type: ignore[arg-type]
    listener = dimse.create(hospital, dimse.Limits(drain_seconds=1.0))
    await listener.start("127.0.0.1", 0)
    place = hospital.organisation.id
    inside = hospital.permit("administer", Target("organisation", place, place))
    token = await hospital.people.issue_token(inside, place, "peer", "care", timedelta(hours=1))
    app = Starlette(routes=[Mount("/dicomweb", app=dicomweb.create(hospital))])
    web = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", orthanc.free_port(), log_level="error"))
    serving = asyncio.create_task(web.serve())
    in_thread: Callable[..., Awaitable[Any]] = asyncio.to_thread
    url = f"http://127.0.0.1:{web.config.port}/dicomweb"
    peer = await in_thread(Orthanc, Path(folder) / "peer", listener.port, url, token)
    try:
        await hospital.people.add_peer(inside, place, PEER, "127.0.0.1", peer.dicom_port)
        said = await in_thread(talk, peer, [Path(file) for file in files])
        said["is_stowed"] = await hospital.is_held(said["stowed"])
        print(json.dumps(said))
    finally:
        peer.stop()
        web.should_exit = True
        await serving
        await listener.stop()
        await database.close()


if __name__ == "__main__":
    asyncio.run(main())
