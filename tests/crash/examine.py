"""What a deployment holds, held against what it acknowledged. Reads through WADO-RS and beside the node."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import httpx

from tests.common.node import Access, NodeProcess
from tests.crash.ingest import CANARY, Book
from troth.kit.db import Connection
from troth.main.wiring import Rooms
from troth.policy import Actor
from troth.vault import KeyRef, Keyring
from troth.vault.pack_files import HEAD_BYTES
from troth.vault.segments import Place

_PREAMBLE_BYTES = 132

# Counts that a study carries against its rows; the same for each series.
_STUDIES = """
    select s.study_uid, s.state, s.key, s.audit_key, s.series_count, s.instance_count, s.length_bytes,
        count(distinct r.id) as series_there, count(i.id) as instances_there,
        coalesce(sum(i.head_bytes + i.bulk_bytes), 0) as bytes_there,
        (select count(*) from study_token t where t.tenant = s.tenant and t.study_id = s.id) as tokens_there
    from study s left join series r on r.tenant = s.tenant and r.study_id = s.id
        left join instance i on i.tenant = r.tenant and i.series_id = r.id
    where s.tenant = %(tenant)s group by s.tenant, s.id"""
_SERIES = """
    select r.series_uid, r.instance_count, count(i.id) as instances_there
    from series r left join instance i on i.tenant = r.tenant and i.series_id = r.id
    where r.tenant = %(tenant)s group by r.tenant, r.id"""
_LOCATORS = "select head_locator, bulk_locator, sealed from instance where tenant = %(tenant)s"
_STORED = """
    select coalesce(sum((counts ->> 'instances')::int), 0) as told from ledger_entry
    where tenant = %(tenant)s and kind = 'archive:instances:stored'"""

_ALONE = """
    select count(*) as alone from subject p where p.tenant = %(tenant)s
    and not exists (select from study s where s.tenant = p.tenant and s.subject_id = p.id)"""


@dataclass
class Findings:
    """What is wrong, and what was counted.

    Attributes:
        lost: Acknowledged, and not given back.
        altered: Given back with other bytes.
        half_made: Rows that do not fit together.
        ledger: What its verification names.
        in_clear: Files in which a patient's name stands in clear.
        instances: Rows.
        leftover_bytes: In packs, not zero, and no row knows them.
        lone_subjects: People without a study: their row and keys come before the batch that names them.
    """

    lost: set[str] = field(default_factory=set)
    altered: set[str] = field(default_factory=set)
    half_made: list[str] = field(default_factory=list)
    ledger: list[str] = field(default_factory=list)
    in_clear: list[str] = field(default_factory=list)
    instances: int = 0
    leftover_bytes: int = 0
    leftovers: int = 0
    lone_subjects: int = 0

    @property
    def is_sound(self) -> bool:
        """Nothing is wrong."""
        return not (self.lost or self.altered or self.half_made or self.ledger or self.in_clear)


async def examine(node: NodeProcess, access: Access, book: Book, checkpoints: list[str]) -> Findings:
    """Look at everything.

    Args:
        node: Running.
        access: To read.
        book: What was acknowledged.
        checkpoints: Signed ones of the ledger that were kept outside while the test ran.
    """
    findings = Findings()
    await compare(node, access, book, findings)
    async with node.rooms() as rooms:
        async with rooms.database.transaction(Actor("system", tenant=access.tenant)) as connection:
            await _look_at_rows(connection, access, rooms.keyring, findings)
            await _look_at_packs(connection, access, node.folder / "packs", findings)
        await _look_at_ledger(rooms, checkpoints, findings)
    findings.in_clear = await asyncio.to_thread(in_clear, node.folder, CANARY.encode())
    Keyring.open(node.folder / "keys").close()
    return findings


async def compare(node: NodeProcess, access: Access, book: Book, findings: Findings) -> None:
    """Fetch every study that something was acknowledged of, and compare data sets byte by byte."""
    wanted: dict[str, dict[str, bytes]] = {}
    for instance_uid, (study_uid, digest) in book.acked.items():
        wanted.setdefault(study_uid, {})[instance_uid] = digest
    headers = {
        "Authorization": f"Bearer {access.reading}",
        "Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*',
    }
    async with httpx.AsyncClient(base_url=f"{node.url}/dicomweb", headers=headers, timeout=60) as client:
        for study_uid, instances in wanted.items():
            held = await _fetched(client, study_uid)
            findings.lost |= instances.keys() - held.keys()
            findings.altered |= {uid for uid in instances.keys() & held.keys() if held[uid] != instances[uid]}


async def _fetched(client: httpx.AsyncClient, study_uid: str) -> dict[str, bytes]:
    """Instance UID to the digest of its data set; what cannot be read is not there."""
    try:
        answer = await client.get(f"/studies/{study_uid}")
        content = answer.content
    except httpx.TransportError:  # a stream that breaks off
        return {}
    if answer.status_code != 200:
        return {}
    boundary = answer.headers["content-type"].partition("boundary=")[2].split(";")[0].strip('"').encode()
    return dict(_datasets(content, boundary))


def _datasets(content: bytes, boundary: bytes) -> Iterator[tuple[str, bytes]]:
    for part in (b"\r\n" + content).split(b"\r\n--" + boundary)[1:-1]:
        file = part.partition(b"\r\n\r\n")[2]
        # group 0002 begins with its own length (PS3.10 7.1): tag, UL, 4, then the bytes that follow
        start = _PREAMBLE_BYTES + 12 + int.from_bytes(file[_PREAMBLE_BYTES + 8 : _PREAMBLE_BYTES + 12], "little")
        at = file.index(b"\x08\x00\x18\x00UI", start)
        length = int.from_bytes(file[at + 6 : at + 8], "little")
        yield file[at + 8 : at + 8 + length].rstrip(b"\0").decode(), sha256(file[start:]).digest()


async def _look_at_rows(connection: Connection, access: Access, keyring: Keyring, findings: Findings) -> None:
    scope = {"tenant": access.tenant}
    for row in await (await connection.execute(_STUDIES, scope)).fetchall():
        findings.instances += row["instances_there"]
        carried = (row["series_count"], row["instance_count"], row["length_bytes"])
        there = (row["series_there"], row["instances_there"], row["bytes_there"])
        keys = [KeyRef(bytes(row[name])) for name in ("key", "audit_key")]
        if carried != there or not all(there) or not row["tokens_there"] or row["state"] != "held":
            findings.half_made.append(f"study {row['study_uid']}: says {carried}, has {there}")
        elif not all(map(keyring.is_alive, keys)):
            findings.half_made.append(f"study {row['study_uid']}: a key is gone")
    for row in await (await connection.execute(_SERIES, scope)).fetchall():
        if row["instance_count"] != row["instances_there"] or not row["instances_there"]:
            findings.half_made.append(f"series {row['series_uid']}")
    (alone,) = await (await connection.execute(_ALONE, scope)).fetchall()
    findings.lone_subjects = alone["alone"]
    (told,) = await (await connection.execute(_STORED, scope)).fetchall()
    if told["told"] != findings.instances:
        findings.ledger.append(f"tells of {told['told']} stored instances, there are {findings.instances}")


async def _look_at_packs(connection: Connection, access: Access, packs: Path, findings: Findings) -> None:
    """Count what no row knows. Its object keys were only ever in the memory of a process that is dead."""
    known: dict[str, list[tuple[int, int]]] = {}
    for row in await (await connection.execute(_LOCATORS, {"tenant": access.tenant})).fetchall():
        for locator in (row["head_locator"], row["bulk_locator"]):
            for extent in Place.decode(locator).extents if locator is not None else ():
                known.setdefault(f"{extent.pack_id.hex()}.pack", []).append((extent.offset, extent.length))
    for pack in packs.glob("*.pack"):
        at = HEAD_BYTES
        for offset, length in [*sorted(known.pop(pack.name, [])), (max(HEAD_BYTES, pack.stat().st_size), 0)]:
            assert offset >= at, "two rows share bytes of a pack"
            if left := _not_zero(pack, at, offset):
                findings.leftovers += 1
                findings.leftover_bytes += left
            at = offset + length
    if known:
        findings.half_made.append(f"rows name {len(known)} packs that are not there")


def _not_zero(pack: Path, start: int, stop: int) -> int:
    with pack.open("rb") as content:
        content.seek(start)
        return len(content.read(stop - start).strip(b"\0"))


async def _look_at_ledger(rooms: Rooms, checkpoints: list[str], findings: Findings) -> None:
    for _ in range(600):
        verdict = await rooms.ledger.verify(rooms.dsn_sequencer, known=checkpoints)
        if not verdict.pending:
            break
        await asyncio.sleep(0.1)
    else:
        findings.ledger.append(f"{verdict.pending} entries find no place in the tree")
    findings.ledger += [broken.what for broken in verdict.broken]


def in_clear(folder: Path, word: bytes) -> list[str]:
    """Files of a folder that hold a word as it is."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if content.find(word) >= 0:
                    found.append(str(path.relative_to(folder)))
    return found
