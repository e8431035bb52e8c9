"""The register of safeguards: each measure with the look at the running platform that shows it, or shows it broken.

A look reads what is really there: the files as they lie on the disk, the catalogue of the database, the sockets that
listen. It knows no secret and opens nothing that is sealed: what it searches for in raw bytes are words that every
record of the kind would hold in the clear, such as the root of all DICOM UIDs.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from troth.exchange import PLATFORM
from troth.kit import clock
from troth.kit.db import Database, Space
from troth.ledger import AlteredRow, RowsLook, Verification
from troth.lifecycle import Overdue
from troth.proofs import apart, raw, store
from troth.proofs.model import Checked

_IN_PACKS: Final = (b"1.2.840.10008.",)
_IN_TABLES: Final = (b'"patient_id":"', b'"birth_date":"', b'"00100010":"')
_READ_BYTES: Final = 4 << 20
_LOG_BYTES: Final = 16 << 20
_MOST_FILES: Final = 64
_HANDSHAKE_SECONDS: Final = 2.0
_LISTENING: Final = "0A"  # TCP_LISTEN in /proc/net/tcp


@dataclass(frozen=True, slots=True)
class Held:
    """What was found in all that is held.

    Attributes:
        altered: Rows that are not what the ledger says.
        erased: How many studies were erased.
        returned: What of them is back.
    """

    altered: list[AlteredRow]
    erased: int
    returned: list[AlteredRow]


HeldLook = Callable[[], Awaitable[Held]]
"""Looks through all that is held."""
OverdueLook = Callable[[], Awaitable[list[Overdue]]]
"""Counts what stands past its day."""


@dataclass(frozen=True, slots=True)
class Site:
    """What of this machine is looked at.

    Attributes:
        keys: Folder of the keyring.
        packs: Folder of the sealed objects.
        cluster: Folder of the embedded database; None, or absent, where the database runs elsewhere.
        listeners: Host and port of each listener, by name.
        is_https: Whether people reach the pages by https.
        rows: Compares rows with what binds them; None where nobody can here.
        held: Looks through all that is held; None where nobody can here.
        overdue: Counts what stands past its day; None where nobody can here.
        reader: Folder of the socket where the database's user is asked for what we may not read (`raw`).
    """

    keys: Path
    packs: Path
    cluster: Path | None
    listeners: Mapping[str, tuple[str, int]]
    is_https: bool
    rows: RowsLook | None = None
    held: HeldLook | None = None
    overdue: OverdueLook | None = None
    reader: Path | None = None

    @classmethod
    def of(
        cls,
        data_dir: Path,
        listeners: Mapping[str, tuple[str, int]],
        *,
        is_https: bool,
        rows: RowsLook | None = None,
        held: HeldLook | None = None,
        overdue: OverdueLook | None = None,
        reader: Path | None = None,
    ) -> Site:
        """The site of a data folder.

        Args:
            data_dir: Folder of the deployment.
            listeners: Host and port of each listener, by name.
            is_https: Whether people reach the pages by https.
            rows: Compares rows with what binds them.
            held: Looks through all that is held.
            overdue: Counts what stands past its day.
            reader: Folder of the database's socket.
        """
        folders = data_dir / "keys", data_dir / "packs", data_dir / "pg"
        return cls(*folders, listeners, is_https, rows, held, overdue, reader)


async def look_through(site: Site) -> list[Checked]:
    """Look through all that is held, row by row: studies, images, and what was erased.

    Args:
        site: This machine.
    """
    if site.held is None:
        return []
    found = await site.held()
    return [
        _unaltered(found.altered, "every study is its patient's, with the images that came in for it"),
        *([stays_erased(found)] if found.erased or found.returned else []),
    ]


def stays_erased(found: Held) -> Checked:
    """Nothing of what is held bears the mark of what was erased, and no key of that is alive."""
    if found.returned:
        first = found.returned[0]
        more = f", and {len(found.returned) - 1} more" if len(found.returned) > 1 else ""
        return Checked(
            "stays_erased", False, f"something erased is back: {first.register} {first.id}: {first.what}{more}"
        )
    return Checked(
        "stays_erased", True, f"{found.erased:,} erased studies: none is held again, and no key of theirs is"
    )


async def look(site: Site, database: Database, verification: Verification) -> list[Checked]:
    """Do every check of the register.

    Args:
        site: This machine.
        database: As `troth_app`.
        verification: What the ledger's own recomputation found.
    """
    async with database.transaction(None) as connection:
        undigested = await store.undigested(connection)
        passwords = await store.password_columns(connection)
        files = await store.table_files(connection)
        backup = await store.last_backup(connection)
        recheck = await store.last_recheck(connection)
        tenants = await store.tenants(connection)
    broken = 0
    for tenant in tenants:
        async with database.transaction(Space(tenant)) as connection:
            broken += await store.broken_instances(connection)
    return [
        ledger_integrity(verification),
        *([] if site.rows is None else [bound_rows(await site.rows())]),
        await asyncio.to_thread(listeners, site),
        await asyncio.to_thread(key_files, site.keys),
        await asyncio.to_thread(raw_objects, site.packs),
        await asyncio.to_thread(raw_tables, site.cluster, files, site.reader),
        *await apart.look(database),
        digests_only(undigested),
        no_passwords(passwords),
        intact(broken, recheck),
        backups(backup, clock.now()),
    ]


async def recipients(database: Database, purpose: str) -> tuple[int, int]:
    """Recipients in the registers of the platform and of every organisation, and those that stand for a purpose.

    Args:
        database: As `troth_app`.
        purpose: Such as `sale`.
    """
    async with database.transaction(None) as connection:
        tenants = await store.tenants(connection)
    registered = meant = 0
    for tenant in (PLATFORM, *tenants):
        async with database.transaction(Space(tenant)) as connection:
            here = await store.recipients(connection, purpose)
        registered, meant = registered + here[0], meant + here[1]
    return registered, meant


def intact(broken: int, recheck: Mapping[str, Any] | None) -> Checked:
    """What is held was read back and is what was stored."""
    if broken:
        return Checked("intact", False, f"{broken} stored images are damaged; see troth archive scrub")
    if recheck is None:
        return Checked("intact", None, "every read checks the seal; not everything was read back yet")
    instances = recheck["counts"].get("instances", 0)
    return Checked("intact", True, f"{instances:,} stored images read back whole on {_day(recheck['ended_at'])}")


def backups(backup: Mapping[str, Any] | None, now: datetime) -> Checked:
    """There is a backup that was checked and whose keys are still there."""
    if backup is None:
        return Checked("backups", None, "no backup is made yet, so none was tried")
    made = f"the last backup was made on {_day(backup['made_at'])}"
    if backup["keys_expire_at"] <= now:
        return Checked("backups", False, f"{made}, and its keys have expired since")
    if backup["verified_at"] is None:
        return Checked("backups", None, f"{made} and was not checked")
    return Checked("backups", True, f"{made} and checked; its keys are kept until {_day(backup['keys_expire_at'])}")


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def ledger_integrity(verification: Verification) -> Checked:
    """The whole ledger was computed again and agrees with everything that was signed."""
    differ = len(verification.broken)
    found = f"{verification.size} ledger entries computed again, {differ or 'none'} of them differ"
    return Checked("tamper_evident", verification.is_sound if verification.size else None, found)


def bound_rows(altered: list[AlteredRow]) -> Checked:
    """Every row that gives, bars or names is what was written: a changed one is named."""
    return _unaltered(altered, "every row that gives, bars or names is what was written")


def _unaltered(altered: list[AlteredRow], said: str) -> Checked:
    if altered:
        first = altered[0]
        named = f"{first.register} {first.id}: {first.what}"
        more = f", and {len(altered) - 1} more" if len(altered) > 1 else ""
        return Checked("tamper_evident", False, f"a row was changed past the platform: {named}{more}")
    return Checked("tamper_evident", True, said)


def digests_only(undigested: list[str]) -> Checked:
    """Sessions, links and invitations are kept as digests: who reads the database cannot sign in with it."""
    if undigested:
        return Checked("live_session", False, f"kept in the clear: {', '.join(undigested)}")
    return Checked("live_session", True, "of sessions, links and invitations only SHA-256 digests are kept")


def no_passwords(columns: list[str]) -> Checked:
    """There is no password, so there is none to hash, guess or lose."""
    if columns:
        return Checked("no_open_door", False, f"something like a password is kept: {', '.join(columns)}")
    return Checked("no_open_door", True, "there are no passwords: people sign in by one-time links")


def key_files(folder: Path) -> Checked:
    """Nobody but the platform's own user can read the keys."""
    if not folder.is_dir():
        return Checked("sealed_at_rest", None, "the keys lie on another machine")
    states = {path: path.lstat() for path in [folder, *sorted(folder.iterdir())]}
    owner = states[folder].st_uid if os.geteuid() == 0 else 0  # root looks at what it has given to the parts' user
    for path, state in states.items():
        name = "the folder of the keys" if path == folder else path.name
        if stat.S_IMODE(state.st_mode) & 0o077:
            return Checked("sealed_at_rest", False, f"{name} is open to others on this machine")
        if stat.S_ISLNK(state.st_mode) or state.st_uid not in (os.geteuid(), 0, owner):
            return Checked("sealed_at_rest", False, f"{name} belongs to somebody else")
    if not (folder / "root.key").exists():
        return Checked("sealed_at_rest", None, "the root key lies on another machine")
    return Checked("sealed_at_rest", True, f"{len(states) - 1} key files that nobody but the platform can read")


def raw_objects(folder: Path) -> Checked:
    """The bytes of stored images, read as they lie on the disk, hold no DICOM in the clear."""
    packs = sorted(folder.glob("*.pack"), key=lambda path: path.stat().st_mtime, reverse=True)[:_MOST_FILES]
    return _searched("sealed_at_rest", "stored images", packs, _IN_PACKS)


def raw_tables(cluster: Path | None, files: Sequence[str], reader: Path | None = None) -> Checked:
    """The pages of the tables and the newest of the write-ahead log, read from disk, hold no record in the clear."""
    if cluster is None or not cluster.is_dir():
        return Checked("sealed_at_rest", None, "the database lies on another machine")
    tables = [cluster / name for name in files]
    if not os.access(cluster, os.R_OK | os.X_OK):
        found = raw.ask(reader, files) if reader is not None else None
        return found or Checked("sealed_at_rest", None, "the raw bytes of tables cannot be read by this user")
    log = sorted((cluster / "pg_wal").glob("[0-9A-F]" * 24), key=lambda path: path.stat().st_mtime, reverse=True)[:2]
    return _searched("sealed_at_rest", "tables", [*(path for path in tables if path.exists()), *log], _IN_TABLES)


def answer_for_raw(folder: Path, cluster: Path, ready: Callable[[], None]) -> None:
    """In a process of the database's user: look at its raw pages for those who may not, until the process is ended.

    Args:
        folder: Of the database's socket.
        cluster: Folder of the database.
        ready: Called once questions are taken.
    """
    listening = raw.listener(folder)
    ready()
    raw.serve(listening, cluster, raw_tables)


def _searched(measure: str, what: str, files: Iterable[Path], words: tuple[bytes, ...]) -> Checked:
    read = 0
    for path in files:
        try:
            with path.open("rb") as file:
                octets = file.read(_LOG_BYTES if path.parent.name == "pg_wal" else _READ_BYTES)
        except OSError:
            return Checked(measure, None, f"the raw bytes of {what} cannot be read by this user")
        if any(word in octets for word in words):
            return Checked(measure, False, f"{what}: something lies in the clear in {path.name}")
        read += len(octets)
    if not read:
        return Checked(measure, True, f"{what}: nothing is stored yet, so nothing lies in the clear")
    return Checked(measure, True, f"{what}: {read:,} raw bytes read from the disk, nothing in the clear")


def listeners(site: Site) -> Checked:
    """What others can reach speaks TLS; the rest listens on this machine alone. Asked of the sockets themselves."""
    for name, (host, port) in site.listeners.items():
        reachable = [address for address in _bound(port) or [host] if not _is_near(address)]
        if reachable and not _speaks_tls(reachable[0], port):
            return Checked("sealed_in_transit", False, f"{name} can be reached from outside and is not encrypted")
    far = [name for name, (host, port) in site.listeners.items() if not all(map(_is_near, _bound(port) or [host]))]
    if far:
        return Checked("sealed_in_transit", True, f"what can be reached from outside speaks TLS: {', '.join(far)}")
    beyond = "; people come by https" if site.is_https else ""
    return Checked("sealed_in_transit", True, f"nothing listens beyond this machine{beyond}")


def _bound(port: int) -> list[str]:
    """The addresses on which something listens on a port of this machine; empty where that cannot be told."""
    found = []
    for table, family in ((Path("/proc/net/tcp"), socket.AF_INET), (Path("/proc/net/tcp6"), socket.AF_INET6)):
        if not port or not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            local, state = (line.split()[index] for index in (1, 3))
            address, _, number = local.partition(":")
            if state == _LISTENING and int(number, 16) == port:
                found.append(_address(address, family))
    return found


def _address(text: str, family: int) -> str:
    """An address of /proc/net/tcp: 32-bit words, each in the byte order of the machine."""
    octets = b"".join(bytes.fromhex(text[place : place + 8])[::-1] for place in range(0, len(text), 8))
    return socket.inet_ntop(family, octets)


def _is_near(host: str) -> bool:
    """Whether an address is of this machine alone."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _speaks_tls(host: str, port: int) -> bool:
    """Whether a listener answers a TLS handshake; whose certificate it shows is not asked here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, never listened on
    try:
        with (
            socket.create_connection((near, port), _HANDSHAKE_SECONDS) as plain,
            context.wrap_socket(plain) as sealed,
        ):
            return sealed.version() is not None
    except OSError:
        return False
