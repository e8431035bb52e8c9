"""The DICOM upper layer of one connection: bytes to PDUs and back, each length bounded before it is held.

Per: DICOM PS3.8 9.2 (state machine of the acceptor), 9.3 (PDUs).
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
from enum import Enum
from typing import Protocol, cast

from troth.doors.dimse import pdu
from troth.doors.dimse.errors import InvalidPdu, PeerGone, ProtocolFault, UnexpectedPdu, UnrecognisedPdu
from troth.doors.dimse.limits import Limits
from troth.doors.dimse.tls import fingerprint

_FIRST_BUFFER_BYTES = 4_096
_ABORT_LINGER_SECONDS = 1.0
# Linux only; elsewhere the stall of a client without TCP_NODELAY stays
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
# uvloop makes a socket object for each call of `setsockopt`; it is called three times for each instance
_setsockopt = ctypes.CDLL(None).setsockopt
_ONE = ctypes.byref(ctypes.c_int(1))
_ONE_BYTES = ctypes.sizeof(ctypes.c_int)


class State(Enum):
    """Where the connection stands; PS3.8 9.2.1 numbers in the comments."""

    AWAITING_REQUEST = "awaiting request"  # Sta2
    DECIDING = "deciding"  # Sta3
    ESTABLISHED = "established"  # Sta6
    CLOSING = "closing"  # Sta13
    CLOSED = "closed"  # Sta1


class ServiceUser(Protocol):
    """What sits above the upper layer: one association."""

    def requested(self, request: pdu.AssociateRequest) -> None:
        """A peer asks for an association; answer with `UpperLayer.accept` or `reject`, at once or later."""

    def fragment(self, context_id: int, is_command: bool, is_last: bool, chunk: memoryview) -> None:
        """A presentation data value came. `chunk` is of no value after the call."""

    def released(self) -> None:
        """The peer asks to release. Raises `UnexpectedPdu` in the middle of a message."""

    def lost(self) -> None:
        """The connection is gone; called exactly once."""


class UpperLayer(asyncio.BufferedProtocol):
    """One connection. Reads into one buffer that never grows beyond what the state allows."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._user: ServiceUser | None = None
        self._transport: asyncio.Transport | None = None
        self._fileno = -1  # of the socket, while it is open
        self.state = State.AWAITING_REQUEST
        self.address = ""
        self.deadline = self._loop.time() + limits.artim_seconds
        self._peer_pdu_bytes = 0
        self._buffer = bytearray(_FIRST_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0  # bytes read into the buffer
        self._cursor = 0  # bytes of them already used
        self._kind = 0  # type of the PDU under the cursor
        self._end = 0  # where it ends in the buffer; 0 while its header is not complete
        self._is_held = False
        self._is_choked = False
        self._is_reading = True
        self._is_dropped = False  # can come before the transport in a burst of connections
        self._room: asyncio.Future[None] | None = None  # somebody waits for the peer to read
        self.is_occupied = False  # we answer at length: the peer has nothing to say meanwhile and does not expire

    def attach(self, user: ServiceUser) -> None:
        """Say who sits above. Once, before the connection is made."""
        self._user = user

    # -- called by the event loop ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport and switch Nagle's delay off."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        if self._is_dropped:
            self._transport.abort()
            return
        peername = transport.get_extra_info("peername")
        self.address = str(peername[0]).removeprefix("::ffff:") if peername else ""
        connected = transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._fileno = connected.fileno()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop may write the next bytes."""
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self._acknowledge_quickly()
        if self.state in (State.CLOSING, State.CLOSED):
            return  # discarded: the peer is only given time to close
        was_stopped = self._is_stopped()
        self._filled += nbytes
        self._advance()
        # A peer that waits for its answer sends nothing: only one that does not is made to wait in TCP, by two system
        # calls that the others are spared. What comes till then has room in the buffer.
        is_full = self._filled == len(self._buffer)
        if self._is_stopped() and (was_stopped or is_full) and self._is_reading and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The peer does not read our answers: take no further request until it does."""
        self._is_choked = True

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._is_choked = False
        self._wake()
        self._continue()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the association, once."""
        self.state = State.CLOSED
        self._transport = None
        self._fileno = -1
        self._wake()
        if self._user is not None:
            self._user.lost()

    # -- called by the association -----------------------------------------------------------------------------

    def hold(self) -> None:
        """Read and take nothing until `unhold`; the peer waits in TCP."""
        self._is_held = True

    def unhold(self) -> None:
        """Go on after `hold`, with the bytes that had already come."""
        self._is_held = False
        if self.state is State.ESTABLISHED:
            self.deadline = self._loop.time() + self._limits.idle_seconds
        self._continue()

    def accept(self, answer: bytes, peer_pdu_bytes: int) -> None:
        """Send A-ASSOCIATE-AC and take messages from now on.

        Args:
            answer: The encoded PDU.
            peer_pdu_bytes: Longest P-DATA-TF body the peer takes; 0 is no limit.
        """
        if self.state is not State.DECIDING:
            return
        self._grow(2 * (self._limits.pdu_bytes + pdu.HEADER_BYTES))
        self._peer_pdu_bytes = peer_pdu_bytes
        self.state = State.ESTABLISHED
        self.deadline = self._loop.time() + self._limits.idle_seconds
        self._write(answer)
        self._continue()

    def reject(self, result: int, source: int, reason: int) -> None:
        """Send A-ASSOCIATE-RJ and wait for the peer to close. Per: PS3.8 9.3.4."""
        if self.state is State.DECIDING:
            self._write(pdu.associate_reject(result, source, reason))
            self._linger(self._limits.artim_seconds)

    def send_command(self, context_id: int, command: bytes) -> None:
        """Send a command set in one write."""
        if self.state is State.ESTABLISHED:
            self._write(pdu.command_pdus(context_id, command, self._peer_pdu_bytes))

    async def send_dataset(self, context_id: int, octets: bytes, *, is_last: bool) -> None:
        """Send a piece of a data set; returns when the peer has read enough of what was sent before.

        Raises:
            PeerGone: The connection ended, or the peer does not read.
        """
        if self.state is State.ESTABLISHED and (octets or is_last):
            self._write(pdu.dataset_pdus(context_id, octets, self._peer_pdu_bytes, is_last=is_last))
        await self.drained()

    async def drained(self) -> None:
        """Wait until the peer reads.

        Raises:
            PeerGone: The connection ended, or the peer has not read for as long as it may be idle.
        """
        while self._is_choked and self.state is State.ESTABLISHED:
            self._room = self._loop.create_future()
            try:
                await asyncio.wait_for(self._room, self._limits.idle_seconds)
            except TimeoutError:
                self.drop()
                raise PeerGone from None
            finally:
                self._room = None
        if self.state is not State.ESTABLISHED:
            raise PeerGone

    def free(self) -> None:
        """The long answer has ended: the peer's time runs again."""
        self.is_occupied = False
        self.deadline = self._loop.time() + self._limits.idle_seconds

    def certificate(self) -> str:
        """SHA-256 (hex) of the certificate that the peer showed; empty without TLS."""
        return fingerprint(self._transport.get_extra_info("ssl_object")) if self._transport is not None else ""

    def abort(self, source: int = 2, reason: int = 0) -> None:
        """Send A-ABORT and close soon."""
        if self.state in (State.CLOSING, State.CLOSED):
            return
        self._write(pdu.abort(source, reason))
        self._linger(_ABORT_LINGER_SECONDS)

    def close(self) -> None:
        """Close once what was written has left."""
        if self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        """Close at once without a word."""
        self._is_dropped = True
        if self._transport is not None:
            self._transport.abort()

    def expire(self, now: float) -> None:
        """Act on a deadline that has passed. A connection that waits for us does not expire.

        Args:
            now: Time of the loop in seconds.
        """
        if now < self.deadline or ((self._is_held or self.is_occupied) and self.state is State.ESTABLISHED):
            return
        if self.state in (State.AWAITING_REQUEST, State.CLOSING) or self._is_choked:
            self.drop()
        else:
            self.abort(2, 0)

    # -- the state machine -------------------------------------------------------------------------------------

    def _is_stopped(self) -> bool:
        return self._is_held or self._is_choked or self.state is State.DECIDING

    def _advance(self) -> None:
        try:
            while not self._is_stopped() and self.state in (State.AWAITING_REQUEST, State.ESTABLISHED):
                if not self._end and not self._open_pdu():
                    break
                self._take()
        except ProtocolFault as fault:
            self.abort(2, fault.reason)
        self._compact()

    def _open_pdu(self) -> bool:
        if self._filled - self._cursor < pdu.HEADER_BYTES:
            return False
        kind, length = pdu.parse_header(self._view, self._cursor)
        self._check_header(kind, length)
        self._kind = kind
        body_at = self._cursor + pdu.HEADER_BYTES
        self._end = body_at + length
        if self._filled >= self._end:
            self._cursor = body_at
            return True
        # not whole yet: keep the header in front, make room for what it announced as it comes
        self._end = 0
        wanted = pdu.HEADER_BYTES + length
        if self._filled - self._cursor == len(self._buffer) < wanted:
            self._grow(min(2 * len(self._buffer), wanted))
        return False

    def _check_header(self, kind: int, length: int) -> None:
        if not pdu.ASSOCIATE_RQ <= kind <= pdu.ABORT:
            raise UnrecognisedPdu
        if length > (self._limits.pdu_bytes if kind == pdu.DATA else self._limits.association_bytes):
            raise InvalidPdu
        if kind == pdu.ABORT:
            return
        wanted = (pdu.ASSOCIATE_RQ,) if self.state is State.AWAITING_REQUEST else (pdu.DATA, pdu.RELEASE_RQ)
        if kind not in wanted:
            raise UnexpectedPdu

    def _take(self) -> None:
        assert self._user is not None
        if self._kind == pdu.DATA:
            self._take_fragment(self._user)
            return
        start, self._cursor = self._cursor, self._end
        body, self._end = bytes(self._view[start : self._end]), 0
        if self._kind == pdu.ASSOCIATE_RQ:
            request = pdu.parse_associate_request(body)
            self.state = State.DECIDING
            self._user.requested(request)
        elif self._kind == pdu.RELEASE_RQ:
            self._user.released()
            self._write(pdu.release_reply())
            self._linger(self._limits.artim_seconds)
        else:
            self.drop()
            self.state = State.CLOSING

    def _take_fragment(self, user: ServiceUser) -> None:
        context_id, control, stop = pdu.parse_fragment(self._view, self._cursor, self._end)
        start, self._cursor = self._cursor + 6, stop
        if stop == self._end:
            self._end = 0
            self.deadline = self._loop.time() + self._limits.idle_seconds
        user.fragment(context_id, bool(control & 1), bool(control & 2), self._view[start:stop])

    def _continue(self) -> None:
        if self._is_stopped() or self.state is State.CLOSED:
            return
        self._advance()
        if not self._is_stopped() and not self._is_reading and self._transport is not None:
            self._is_reading = True
            self._transport.resume_reading()

    # -- buffer and socket -------------------------------------------------------------------------------------

    def _compact(self) -> None:
        used, rest = self._cursor, self._filled - self._cursor
        if not used:
            return
        if rest:
            self._view[:rest] = self._view[used : self._filled]
        self._filled, self._cursor = rest, 0
        if self._end:
            self._end -= used

    def _grow(self, length_bytes: int) -> None:
        if length_bytes > len(self._buffer):
            larger = bytearray(length_bytes)
            larger[: self._filled] = self._view[: self._filled]
            self._buffer, self._view = larger, memoryview(larger)

    def _acknowledge_quickly(self) -> None:
        # a client that keeps Nagle's delay waits 40 ms for each delayed acknowledgement; the flag is not sticky
        if _QUICKACK is not None and self._fileno >= 0:
            _setsockopt(self._fileno, socket.IPPROTO_TCP, _QUICKACK, _ONE, _ONE_BYTES)

    def _write(self, octets: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _linger(self, seconds: float) -> None:
        # no close yet: closing with unread bytes would reset the connection and the peer might miss our last PDU
        self.state = State.CLOSING
        self._filled = self._cursor = self._end = 0
        self._is_held = False
        self._wake()
        self.deadline = self._loop.time() + seconds
        if not self._is_reading and self._transport is not None:
            self._is_reading = True
            self._transport.resume_reading()
