"""Answers at length on one association: searches, retrievals, commitments, and what the peer says meanwhile."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from troth.archive import Commitment
from troth.doors.dimse import command as dimse
from troth.doors.dimse import offered, pdu
from troth.doors.dimse.command import Command, SubOperations
from troth.doors.dimse.errors import AssociationFailed, IdentifierWrong, PeerGone, ProtocolFault, UnexpectedPdu
from troth.doors.dimse.gate import Gate
from troth.doors.dimse.limits import Limits
from troth.doors.dimse.ports import Rooms
from troth.doors.dimse.requestor import Callee
from troth.doors.dimse.upper import UpperLayer
from troth.kit.errors import TrothError, Unavailable
from troth.people import Peer
from troth.policy import NotInLevel, PermitDenied

_log = logging.getLogger("troth.doors.dimse")
_OUT_OF_RESOURCES = 0xA700
_UNABLE = 0xC000
_CLASS_NOT_SUPPORTED = 0x0122  # PS3.7 C.5.6


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came whole, with its data set.

    Attributes:
        octets: The data set as it came, in the transfer syntax of the context.
    """

    request: Command
    context: pdu.AnsweredContext
    octets: bytes


@dataclass(frozen=True, slots=True)
class Ourselves:
    """How we show ourselves to peers that we call.

    Attributes:
        ae: Our AE title.
        tls: With which certificate, and whom we believe; None where we call nobody over TLS.
    """

    ae: str = "TROTH"
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides agreed on when the association was opened.

    Attributes:
        contexts: Accepted presentation contexts by id.
        roles: What the peer may be for a SOP class; without an entry it is the user (SCU) alone.
    """

    calling_ae: str
    called_ae: str
    contexts: Mapping[int, pdu.AnsweredContext]
    roles: Mapping[str, pdu.Role]


class Talk(Protocol):
    """What a service has to answer with."""

    gate: Gate
    rooms: Rooms
    limits: Limits
    agreement: Agreement

    @property
    def is_cancelled(self) -> bool:
        """Whether the peer said stop."""

    async def destination(self, ae: str) -> Callee | None:
        """Whom to call for an AE title of the peer's own organisation."""

    def asked_to_commit(self, commitment: Commitment) -> None:
        """The peer is to be told later which instances are held."""

    async def respond(
        self,
        asked: Asked,
        status: int,
        comment: str = "",
        *,
        dataset: bytes | None = None,
        counts: SubOperations | None = None,
        offending: int = 0,
    ) -> None:
        """Send a response."""

    async def send(self, context_id: int, command: bytes, message_id: int, dataset: AsyncIterator[bytes]) -> Command:
        """Send a request of ours and wait for the peer's response."""

    def new_message_id(self) -> int:
        """A number for a request of ours."""


class House(Protocol):
    """What a conversation asks of the listener it belongs to."""

    ourselves: Ourselves

    def asked_to_commit(self, commitment: Commitment) -> None:
        """A peer is to be told later which instances are held."""


Service = Callable[[Talk, Asked], Awaitable[None]]


def callee_of(peer: Peer, ourselves: Ourselves, calling_ae: str = "") -> Callee:
    """How to call a registered peer.

    Raises:
        AssociationFailed: It wants TLS and we have no certificate: it is not called in the clear instead.
    """
    if peer.over_tls and ourselves.tls is None:
        raise AssociationFailed("The peer is called over TLS only, and there is no certificate of ours.")
    tls = ourselves.tls if peer.over_tls else None
    return Callee(peer.address, peer.port, peer.ae, calling_ae or ourselves.ae, tls, peer.certificate if tls else "")


class Conversation:
    """What goes on besides C-STORE and C-ECHO on one association: one service at a time.

    Args:
        upper: The connection.
        rooms: The rooms behind the door.
        limits: Bounds.
        gate: Who the peer is and what it may.
        agreement: What was agreed on.
        services: What answers a request, by command field.
        house: The listener.
    """

    def __init__(
        self,
        upper: UpperLayer,
        rooms: Rooms,
        limits: Limits,
        gate: Gate,
        agreement: Agreement,
        services: Mapping[int, Service],
        house: House,
    ) -> None:
        self.rooms = rooms
        self.limits = limits
        self.gate = gate
        self.agreement = agreement
        self._upper = upper
        self._services = services
        self._house = house
        self._answering: Command | None = None
        self._is_cancelled = False
        self._awaited: dict[int, asyncio.Future[Command]] = {}
        self._last_message_id = 0

    @property
    def is_cancelled(self) -> bool:
        """Whether the peer said stop."""
        return self._is_cancelled

    # -- what the association hands in -------------------------------------------------------------------------

    async def answer(self, asked: Asked) -> None:
        """Answer a request to its end. Whatever goes wrong becomes a status.

        Raises:
            PeerGone: There is nobody to answer any more.
            ProtocolFault: The peer broke the protocol.
        """
        self._answering, self._is_cancelled = asked.request, False
        try:
            await self._answer(asked)
        finally:
            self._answering = None

    def cancel(self, message_id: int) -> None:
        """The peer says stop. Without a request of that number under way it means nothing (PS3.7 9.3.2.3)."""
        if self._answering is not None and self._answering.message_id == message_id:
            self._is_cancelled = True

    def responded(self, response: Command) -> None:
        """The peer answered a request of ours.

        Raises:
            UnexpectedPdu: There was none.
        """
        waiting = self._awaited.pop(response.responded_to, None)
        if waiting is None or waiting.done():
            raise UnexpectedPdu
        waiting.set_result(response)

    def lost(self) -> None:
        """The connection is gone."""
        for waiting in self._awaited.values():
            if not waiting.done():
                waiting.set_exception(PeerGone())
                waiting.exception()  # whoever waited may be gone too
        self._awaited.clear()

    # -- what a service needs ----------------------------------------------------------------------------------

    async def destination(self, ae: str) -> Callee | None:
        """Whom to call for an AE title of the peer's own organisation."""
        peer = await self.gate.destination(ae)
        return callee_of(peer, self._house.ourselves) if peer is not None else None

    def asked_to_commit(self, commitment: Commitment) -> None:
        """The peer is to be told later which instances are held."""
        self._house.asked_to_commit(commitment)

    async def respond(
        self,
        asked: Asked,
        status: int,
        comment: str = "",
        *,
        dataset: bytes | None = None,
        counts: SubOperations | None = None,
        offending: int = 0,
    ) -> None:
        """Send a response; returns when the peer has room for the next.

        Raises:
            PeerGone: Nobody reads it.
        """
        encoded = dimse.response(
            asked.request, status, comment, has_dataset=dataset is not None, counts=counts, offending=offending
        )
        self._upper.send_command(asked.context.id, encoded)
        if dataset is not None:
            await self._upper.send_dataset(asked.context.id, dataset, is_last=True)
        else:
            await self._upper.drained()

    async def send(self, context_id: int, command: bytes, message_id: int, dataset: AsyncIterator[bytes]) -> Command:
        """Send a request of ours with its data set, and wait for the response.

        Raises:
            PeerGone: It did not come.
        """
        waiting: asyncio.Future[Command] = asyncio.get_running_loop().create_future()
        is_begun = False
        try:
            async for chunk in dataset:
                if not is_begun:  # only now: what may not be read must not leave a message without its data set
                    self._awaited[message_id] = waiting
                    self._upper.send_command(context_id, command)
                    is_begun = True
                await self._upper.send_dataset(context_id, chunk, is_last=False)
        except PeerGone:
            raise
        except BaseException:
            if is_begun:
                self._upper.abort(2, 0)  # half a data set cannot be taken back in any other way
            raise
        await self._upper.send_dataset(context_id, b"", is_last=True)
        try:
            return await asyncio.wait_for(waiting, self.limits.response_seconds)
        except TimeoutError:
            self._upper.abort(2, 0)
            raise PeerGone from None
        finally:
            self._awaited.pop(message_id, None)

    def context_of(self, sop_class: str) -> pdu.AnsweredContext | None:
        """The presentation context of a class, if there is one."""
        contexts = self.agreement.contexts.values()
        return next((context for context in contexts if context.abstract_syntax == sop_class), None)

    def new_message_id(self) -> int:
        """A number for a request of ours that no other one waits under."""
        self._last_message_id = self._last_message_id % 0xFFFF + 1
        return self._last_message_id

    # -- from faults to statuses -------------------------------------------------------------------------------

    async def _answer(self, asked: Asked) -> None:
        service = self._services.get(asked.request.field)
        offer = offered.OFFERS.get(asked.context.abstract_syntax)
        if service is None or offer is None or offer.field != asked.request.field:
            await self.respond(asked, dimse.UNRECOGNISED_OPERATION)
            return
        named = asked.request.requested_class or asked.request.sop_class
        if named != asked.context.abstract_syntax:
            await self.respond(asked, _CLASS_NOT_SUPPORTED, "Not the SOP class of this presentation context.")
            return
        try:
            await service(self, asked)
        except (PeerGone, ProtocolFault):
            raise
        except IdentifierWrong as fault:
            await self.respond(asked, fault.dimse_status, fault.detail, offending=fault.offending)
        except NotInLevel as denied:
            await self.respond(asked, dimse.NOT_AUTHORISED, denied.title)
        except PermitDenied:
            await self.respond(asked, dimse.NOT_AUTHORISED)
        except Unavailable as fault:
            await self.respond(asked, _OUT_OF_RESOURCES, fault.title)
        except TrothError as fault:
            await self.respond(asked, fault.dimse_status or _UNABLE, fault.detail)
        except Exception as fault:
            # the type alone: a message could quote what was sent
            _log.error("dimse.service.failed: %s", type(fault).__name__)
            await self.respond(asked, _UNABLE, "The request could not be processed.")
