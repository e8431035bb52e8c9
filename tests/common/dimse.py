"""A recording acceptor behind the DICOM listener, and a raw socket that says whatever a test wants."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pydicom
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from troth.doors import dimse
from troth.kit import clock, ids
from troth.kit.errors import BadInput, PermitDenied, TrothError
from troth.people import Organisation, PeerCaller
from troth.policy import Actor, Permit, Target

TENANT = UUID(int=7)
CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"


@dataclass(frozen=True)
class Header:
    instance_uid: str
    sop_class: str


@dataclass(frozen=True)
class Received:
    header: Header
    syntax: str
    dataset: bytes


class RecordingReceiver:
    def __init__(self, archive: RecordingArchive, syntax: str) -> None:
        self.archive = archive
        self.syntax = syntax
        self.octets = bytearray()

    def feed(self, chunk: bytes) -> None:
        if self.archive.feed_fault is not None:
            raise self.archive.feed_fault
        self.octets += chunk

    def finish(self) -> Received:
        implicit = self.syntax == ImplicitVRLittleEndian
        little = self.syntax != "1.2.840.10008.1.2.2"
        octets = bytes(self.octets)
        try:
            if self.syntax == "1.2.840.10008.1.2.1.99":
                octets = zlib.decompress(octets, -zlib.MAX_WBITS)
            dataset = _read(octets, implicit, little)
            header = Header(str(dataset.SOPInstanceUID), str(dataset.SOPClassUID))
        except Exception:
            raise BadInput from None
        return Received(header, self.syntax, bytes(self.octets))

    def abort(self) -> None:
        self.archive.aborted += 1


def _read(octets: bytes, implicit: bool, little: bool) -> pydicom.Dataset:
    return read_dataset(io.BytesIO(octets), implicit, little, stop_when=lambda tag, vr, length: tag >= 0x00100000)


@dataclass(frozen=True)
class Outcome:
    state: str
    error: TrothError | None = None
    is_kept: bool = False
    is_coerced: bool = False


@dataclass
class RecordingArchive:
    stored: list[Received] = field(default_factory=list)
    aborted: int = 0
    outcome: Outcome = Outcome("stored")
    feed_fault: Exception | None = None
    store_fault: Exception | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    receivers: int = 0
    refused: list[TrothError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.may_go_on.set()

    def receiver(self, syntax: str | None) -> RecordingReceiver:
        assert syntax is not None
        self.receivers += 1
        return RecordingReceiver(self, syntax)

    async def store(self, permit: Permit, received: Sequence[Received]) -> list[Outcome]:
        assert permit.action == "store"
        self.entered.set()
        await self.may_go_on.wait()
        if self.store_fault is not None:
            raise self.store_fault
        if self.outcome.state == "stored":
            self.stored.extend(received)
        return [self.outcome] * len(received)

    async def record_refused(self, permit: Permit, faults: Sequence[TrothError]) -> None:
        assert permit.action == "store"
        self.refused.extend(faults)


@dataclass
class KnownPeers:
    """Who is known: (calling AE, called AE)."""

    known: set[tuple[str, str]] = field(default_factory=lambda: {("MODALITY", "TROTH")})
    tenants: dict[str, UUID] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    associations: list[tuple[UUID | None, str, str]] = field(default_factory=list)
    strangers: list[dict[tuple[str, str, str], int]] = field(default_factory=list)

    async def caller_of_peer(
        self, calling_ae: str, called_ae: str, address: str, certificate: str = ""
    ) -> PeerCaller | None:
        self.asked.append((calling_ae, called_ae, address))
        if (calling_ae, called_ae) not in self.known:
            return None
        return PeerCaller(
            Actor(kind="peer", id=UUID(int=9), tenant=self.tenants.get(calling_ae, TENANT), role="peer"), "care"
        )

    async def organisations(self) -> list[Organisation]:
        return []

    async def record_association(self, caller: PeerCaller, called_ae: str, address: str) -> None:
        self.associations.append((caller.actor.id, called_ae, address))

    async def record_strangers(self, attempts: Mapping[tuple[str, str, str], int]) -> None:
        self.strangers.append(dict(attempts))


@dataclass
class SimplePolicy:
    is_allowed: bool = True
    asked: int = 0

    async def require(self, actor: Actor, action: str, target: Target, purpose: str) -> Permit:
        self.asked += 1
        assert (actor.kind, action, purpose) == ("peer", "store", "care")
        assert target == Target(kind="organisation", id=TENANT, tenant=TENANT)
        if not self.is_allowed:
            raise PermitDenied
        now = clock.now()
        return Permit(actor, action, target, purpose, ("4.1",), "", "1", ids.uuid7(), now, now + timedelta(minutes=5))


@dataclass
class RecordingRooms:
    archive: RecordingArchive = field(default_factory=RecordingArchive)
    people: KnownPeers = field(default_factory=KnownPeers)
    policy: SimplePolicy = field(default_factory=SimplePolicy)


class Served:
    """A listener on a free port with its recording rooms."""

    def __init__(self, rooms: RecordingRooms, limits: dimse.Limits) -> None:
        self.rooms = rooms
        self.limits = limits
        self.listener = dimse.create(rooms, limits)

    async def __aenter__(self) -> Served:
        await self.listener.start("127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.rooms.archive.may_go_on.set()
        await self.listener.stop()

    @property
    def port(self) -> int:
        return self.listener.port

    async def dial(self) -> RawPeer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return RawPeer(reader, writer)

    async def associate(self, **proposal: object) -> RawPeer:
        peer = await self.dial()
        peer.send(associate_request(**proposal))  # type: ignore[arg-type]
        kind, _ = await peer.pdu()
        assert kind == 2, f"association not accepted but {kind}"
        return peer


class RawPeer:
    """A socket of a peer that keeps to no rule."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def pdu(self) -> tuple[int, bytes]:
        """The next PDU: type and body. (0, b"") when the connection is closed."""
        try:
            async with asyncio.timeout(8):
                kind, length = struct.unpack(">BxI", await self.reader.readexactly(6))
                return kind, await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""

    async def closed(self) -> None:
        async with asyncio.timeout(8):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass

    async def status(self) -> int:
        """Status of the next response."""
        kind, body = await self.pdu()
        assert kind == 4, f"no response but PDU type {kind}"
        return status_of(body[6:])

    def hang_up(self) -> None:
        self.writer.close()


def status_of(command: bytes) -> int:
    return int(pydicom_command(command).Status)


def pydicom_command(command: bytes) -> pydicom.Dataset:
    return _read(command, True, True)


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def context(number: int, abstract: str, syntaxes: Sequence[str]) -> bytes:
    value = bytes([number, 0, 0, 0]) + item(0x30, abstract.encode())
    return item(0x20, value + b"".join(item(0x40, syntax.encode()) for syntax in syntaxes))


def associate_request(
    calling: str = "MODALITY",
    called: str = "TROTH",
    contexts: bytes | None = None,
    version: int = 1,
    application: str = "1.2.840.10008.3.1.1.1",
    max_pdu: int = 16384,
    more: bytes = b"",
) -> bytes:
    if contexts is None:
        contexts = context(1, VERIFICATION, [ImplicitVRLittleEndian]) + context(3, CT, [ExplicitVRLittleEndian])
    body = struct.pack(">Hxx16s16s32x", version, called.ljust(16).encode(), calling.ljust(16).encode())
    body += item(0x10, application.encode()) + contexts
    body += item(0x50, item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"1.2.3") + more)
    return struct.pack(">BxI", 1, len(body)) + body


def element(number: int, value: bytes) -> bytes:
    if len(value) % 2:
        value += b"\0"
    return struct.pack("<HHI", 0, number, len(value)) + value


def short(value: int) -> bytes:
    return struct.pack("<H", value)


def command_set(elements: bytes) -> bytes:
    return element(0, struct.pack("<I", len(elements))) + elements


def echo_command(message_id: int = 1) -> bytes:
    return command_set(
        element(2, VERIFICATION.encode())
        + element(0x100, short(0x30))
        + element(0x110, short(message_id))
        + element(0x800, short(0x101))
    )


def store_command(instance_uid: str = "1.2.3.4", sop_class: str = CT, field: int = 1, dataset: int = 1) -> bytes:
    return command_set(
        element(2, sop_class.encode())
        + element(0x100, short(field))
        + element(0x110, short(5))
        + element(0x700, short(0))
        + element(0x800, short(dataset))
        + element(0x1000, instance_uid.encode())
    )


def pdv(number: int, control: int, value: bytes) -> bytes:
    return struct.pack(">IBB", len(value) + 2, number, control) + value


def data(*values: bytes) -> bytes:
    body = b"".join(values)
    return struct.pack(">BxI", 4, len(body)) + body


def explicit(tag: tuple[int, int], vr: str, value: bytes) -> bytes:
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    return struct.pack("<HH2sH", *tag, vr.encode(), len(value)) + value


def tiny_dataset(instance_uid: str = "1.2.3.4", sop_class: str = CT) -> bytes:
    return explicit((8, 0x16), "UI", sop_class.encode()) + explicit((8, 0x18), "UI", instance_uid.encode())


RELEASE = struct.pack(">BxI4x", 5, 4)
ABORT = struct.pack(">BxI4x", 7, 4)
