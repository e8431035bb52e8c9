"""An association that we open ourselves: C-STORE to a destination, N-EVENT-REPORT to whoever asked for a commitment.

An upper layer of our own, as for the listener: what is held of an instance is one chunk, the end of a permit is felt
between two chunks, and no length of the other side is believed. pynetdicom would need the whole data set decoded, in a
thread that cannot be stopped (docs/decisions/0012-dimse-requestor.md).

Per: DICOM PS3.8 9.2 (state machine of the requestor), PS3.7 9.1.1, 10.1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from troth.doors.dimse import command as dimse
from troth.doors.dimse import pdu
from troth.doors.dimse.command import Command
from troth.doors.dimse.errors import AssociationFailed, PeerGone, ProtocolFault
from troth.doors.dimse.limits import Limits


@dataclass(frozen=True, slots=True)
class Callee:
    """Whom we call.

    Attributes:
        host: IP address.
        called_ae: Its AE title.
        calling_ae: Ours.
        tls: How we show ourselves and check the peer; None for plain TCP.
        certificate: SHA-256 (hex) of the certificate it must show; empty for any that the authority signed.
    """

    host: str
    port: int
    called_ae: str
    calling_ae: str
    tls: ssl.SSLContext | None = None
    certificate: str = ""


class Requestor:
    """One open association with a peer. One operation at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._max_pdu_bytes = 0
        self._places: dict[tuple[str, str], int] = {}
        self._syntaxes: dict[str, list[str]] = {}
        self._last_message_id = 0

    @classmethod
    async def open(
        cls,
        callee: Callee,
        proposals: Iterable[tuple[str, Sequence[str]]],
        limits: Limits,
        roles: Sequence[pdu.Role] = (),
    ) -> Requestor:
        """Call a peer.

        Args:
            callee: Whom.
            proposals: SOP class and transfer syntaxes of each presentation context; what is above 128 is left out.
            limits: How long to wait.
            roles: Where we are not the user (SCU) alone.

        Raises:
            AssociationFailed: It does not answer, shows another certificate, or does not want us.
        """
        contexts = [
            pdu.ProposedContext(2 * number + 1, sop_class, tuple(syntaxes))
            for number, (sop_class, syntaxes) in enumerate(list(proposals)[: pdu.MOST_CONTEXTS])
        ]
        try:
            async with asyncio.timeout(limits.connect_seconds):
                reader, writer = await asyncio.open_connection(
                    callee.host, callee.port, ssl=callee.tls, limit=2 * limits.association_bytes
                )
        except (OSError, TimeoutError) as fault:  # ssl.SSLError is an OSError
            raise AssociationFailed("The peer cannot be reached.") from fault
        made = cls(reader, writer, limits)
        try:
            async with asyncio.timeout(limits.connect_seconds):
                made._require_certificate(callee)
                await made._associate(callee, contexts, roles)
        except (PeerGone, ProtocolFault, TimeoutError) as fault:
            made.abort()
            raise AssociationFailed from fault
        except BaseException:
            made.abort()
            raise
        return made

    def place(self, sop_class: str, syntax: str) -> int | None:
        """The presentation context for a class in a transfer syntax, if the peer took one."""
        return self._places.get((sop_class, syntax))

    def syntaxes(self, sop_class: str) -> list[str]:
        """The transfer syntaxes that the peer takes for a class."""
        return self._syntaxes.get(sop_class, [])

    def new_message_id(self) -> int:
        """The number of our next request."""
        self._last_message_id = self._last_message_id % 0xFFFF + 1
        return self._last_message_id

    async def send(self, context_id: int, command: bytes, dataset: AsyncIterator[bytes]) -> Command:
        """Send a request with its data set and wait for the response.

        Args:
            context_id: As `place` gave it.
            command: The encoded command set.
            dataset: The data set as it is read; when it raises, the association is of no use any more unless nothing
                was sent.

        Raises:
            PeerGone: No response came.
        """
        is_begun = False
        try:
            async for chunk in dataset:
                if not is_begun:  # only now: what may not be read must not leave a message without its data set
                    is_begun = True
                    await self._write(pdu.command_pdus(context_id, command, self._max_pdu_bytes))
                if chunk:
                    await self._write(pdu.dataset_pdus(context_id, chunk, self._max_pdu_bytes, is_last=False))
            await self._write(pdu.dataset_pdus(context_id, b"", self._max_pdu_bytes, is_last=True))
        except BaseException:
            if is_begun:
                self.abort()
            raise
        try:
            async with asyncio.timeout(self._limits.response_seconds):
                return await self._response()
        except TimeoutError:
            self.abort()
            raise PeerGone from None
        except (PeerGone, ProtocolFault):
            self.abort()
            raise PeerGone from None

    @property
    def is_open(self) -> bool:
        """Whether it can still be used."""
        return not self._writer.is_closing()

    async def release(self) -> None:
        """End the association in good order; never raises."""
        if not self.is_open:
            return
        with contextlib.suppress(PeerGone, ProtocolFault, TimeoutError):
            async with asyncio.timeout(self._limits.artim_seconds):
                await self._write(pdu.release_request())
                while (await self._pdu())[0] != pdu.RELEASE_RP:
                    pass
        self._writer.close()

    def abort(self) -> None:
        """End it at once."""
        if self.is_open:
            with contextlib.suppress(OSError):
                self._writer.write(pdu.abort(0, 0))
            self._writer.close()

    # -- on the wire -------------------------------------------------------------------------------------------

    def _require_certificate(self, callee: Callee) -> None:
        if callee.tls is None or not callee.certificate:
            return
        from troth.doors.dimse.tls import fingerprint

        if fingerprint(self._writer.get_extra_info("ssl_object")) != callee.certificate:
            raise AssociationFailed("The peer shows another certificate than the one it is registered with.")

    async def _associate(
        self, callee: Callee, contexts: Sequence[pdu.ProposedContext], roles: Sequence[pdu.Role]
    ) -> None:
        await self._write(
            pdu.associate_request(callee.calling_ae, callee.called_ae, contexts, self._limits.pdu_bytes, roles)
        )
        kind, body = await self._pdu()
        if kind != pdu.ASSOCIATE_AC:
            raise AssociationFailed
        answer = pdu.parse_associate_answer(body)
        self._max_pdu_bytes = answer.max_pdu_bytes
        for context in contexts:
            syntax = answer.syntaxes.get(context.id)
            if syntax in context.syntaxes:
                self._places.setdefault((context.abstract_syntax, syntax), context.id)
                self._syntaxes.setdefault(context.abstract_syntax, []).append(syntax)

    async def _response(self) -> Command:
        octets = bytearray()
        response: Command | None = None
        while True:
            kind, body = await self._pdu()
            if kind != pdu.DATA:
                raise PeerGone
            at = 0
            while at < len(body):
                _, control, stop = pdu.parse_fragment(memoryview(body), at, len(body))
                if control & 1:
                    octets += body[at + 6 : stop]
                    if len(octets) > self._limits.command_bytes:
                        raise ProtocolFault
                    if control & 2:
                        response = dimse.parse(bytes(octets))
                        octets.clear()
                at = stop
                if response is not None and (not response.has_dataset or (control & 3 == 2)):
                    return response  # a data set of a response means nothing to us and was let pass

    async def _pdu(self) -> tuple[int, bytes]:
        try:
            kind, length = struct.unpack(">BxI", await self._reader.readexactly(pdu.HEADER_BYTES))
            if length > max(self._limits.pdu_bytes, self._limits.association_bytes):
                raise ProtocolFault
            return kind, await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            raise PeerGone from None

    async def _write(self, octets: bytes) -> None:
        if not self.is_open:
            raise PeerGone
        self._writer.write(octets)
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                await self._writer.drain()
        except (OSError, TimeoutError):
            self._writer.transport.abort()
            raise PeerGone from None
