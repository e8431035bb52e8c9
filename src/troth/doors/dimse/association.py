"""One association: who it is and its messages. C-ECHO and C-STORE are answered here, the rest in a conversation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Protocol
from uuid import UUID

from troth.archive import Commitment
from troth.doors.dimse import command as dimse
from troth.doors.dimse import negotiation, offered, pdu
from troth.doors.dimse.conversation import Agreement, Asked, Conversation, Ourselves
from troth.doors.dimse.delivery import Delivery
from troth.doors.dimse.errors import InvalidPdu, PeerGone, ProtocolFault, UnexpectedPdu
from troth.doors.dimse.gate import Gate, Shown
from troth.doors.dimse.limits import Limits
from troth.doors.dimse.ports import Rooms
from troth.doors.dimse.services import SERVICES
from troth.doors.dimse.upper import State, UpperLayer
from troth.doors.errors import UidsDiffer
from troth.kit.errors import Unavailable
from troth.kit.threads import work_for

_log = logging.getLogger("troth.doors.dimse")


class House(Protocol):
    """What an association asks of the listener it belongs to."""

    ourselves: Ourselves

    def take_place(self, association: Association) -> bool:
        """A place among the open associations, or False when all are taken."""

    def leave(self, association: Association) -> None:
        """The connection is gone."""

    def asked(self, association: Association) -> bool:
        """An association request came; False when too many wait for their answer."""

    def decided(self, association: Association) -> None:
        """It was answered, one way or the other."""

    def turned_away(self, shown: Shown) -> None:
        """Nobody knows this peer."""

    def asked_to_commit(self, commitment: Commitment) -> None:
        """A peer is to be told later which instances are held."""


class Association:
    """What a peer does on one connection."""

    def __init__(self, upper: UpperLayer, rooms: Rooms, limits: Limits, house: House) -> None:
        self.upper = upper
        self.calling_ae = ""
        self.peer_id: UUID | None = None
        self.tenant: UUID | None = None
        self._rooms = rooms
        self._limits = limits
        self._house = house
        self._gate: Gate | None = None
        self._contexts: dict[int, pdu.AnsweredContext] = {}
        self._command = bytearray()
        self._context_id = 0  # of the message that is under way; 0 between messages
        self._request: dimse.Command | None = None  # its command set, once whole
        self._delivery: Delivery | None = None
        self._work: asyncio.Task[None] | None = None
        self._talk: Conversation | None = None  # once the association is open
        self._service: asyncio.Task[None] | None = None  # answers at length, while the peer may speak
        self._octets = bytearray()  # of the data set of a request that a service answers
        self._is_ending = False

    @property
    def is_busy(self) -> bool:
        """Whether a message is under way or being answered."""
        return self._context_id != 0 or self._work is not None or self._service is not None

    @property
    def talk(self) -> Conversation | None:
        """What can be said to the peer besides answers; None before it is open and while it is busy."""
        return self._talk if self.upper.state is State.ESTABLISHED and not self.is_busy else None

    def end(self) -> None:
        """End as soon as the message under way is answered; now, if there is none."""
        self._is_ending = True
        if not self.is_busy:
            self.upper.abort(2, 0)

    # -- service user of the upper layer -----------------------------------------------------------------------

    def requested(self, request: pdu.AssociateRequest) -> None:
        """A peer asks for an association."""
        if not self._house.asked(self) or self._is_ending:
            self.upper.reject(2, 3, 1)  # transient, presentation provider, temporary congestion
            return
        self._run(self._associate(request))

    def fragment(self, context_id: int, is_command: bool, is_last: bool, chunk: memoryview) -> None:
        """A presentation data value came."""
        if context_id not in self._contexts or (self._context_id and context_id != self._context_id):
            raise InvalidPdu
        if is_command:
            if self._request is not None:
                raise UnexpectedPdu
            self._context_id = context_id
            self._take_command(chunk, is_last)
        else:
            if self._request is None:
                raise UnexpectedPdu
            self._take_dataset(chunk, is_last)

    def released(self) -> None:
        """The peer asks to release."""
        if self._context_id or self._service is not None:
            raise UnexpectedPdu

    def lost(self) -> None:
        """The connection is gone. A store that has begun goes on: it is only not acknowledged."""
        if self._delivery is not None and self._work is None:
            self._delivery.abandon()
        if self._talk is not None:
            self._talk.lost()
        if self._service is not None:
            self._service.cancel()
        self._house.leave(self)

    # -- association -------------------------------------------------------------------------------------------

    async def _associate(self, request: pdu.AssociateRequest) -> None:
        try:
            await self._decide(request)
        except Unavailable:
            self.upper.reject(2, 3, 1)  # transient, presentation provider, temporary congestion
        finally:
            self._house.decided(self)

    async def _decide(self, request: pdu.AssociateRequest) -> None:
        if not request.protocol_version & 1:
            self.upper.reject(1, 2, 2)  # protocol version not supported
            return
        if request.application_context != pdu.APPLICATION_CONTEXT:
            self.upper.reject(1, 1, 2)  # application context name not supported
            return
        titles = (request.calling_ae, request.called_ae)
        shown = Shown(*titles, self.upper.address, self.upper.certificate())
        gate = Gate(self._rooms, shown, self._limits.permit_seconds)
        caller = await gate.caller() if all(titles) else None
        if caller is None:
            self._house.turned_away(shown)
            self.upper.reject(1, 1, 3)  # calling AE title not recognised, whatever was wrong
            return
        self.calling_ae, self.peer_id = request.calling_ae, caller.actor.id
        self.tenant = caller.actor.tenant
        work_for(self.tenant)
        if not self._house.take_place(self):
            self.upper.reject(2, 3, 2)  # transient, local limit exceeded
            return
        await self._rooms.people.record_association(caller, request.called_ae, self.upper.address)
        answers = negotiation.answer(request.contexts, private_too=self._limits.private_sop_classes)
        roles = negotiation.agree(request.roles, answers)
        self._gate = gate
        self._contexts = {answer.id: answer for answer in answers if answer.is_accepted}
        agreement = Agreement(*titles, self._contexts, {role.sop_class: role for role in roles})
        self._talk = Conversation(self.upper, self._rooms, self._limits, gate, agreement, SERVICES, self._house)
        accepted = pdu.associate_accept(request, answers, self._limits.pdu_bytes, roles)
        self.upper.accept(accepted, request.max_pdu_bytes)

    # -- messages ----------------------------------------------------------------------------------------------

    def _take_command(self, chunk: memoryview, is_last: bool) -> None:
        if len(self._command) + len(chunk) > self._limits.command_bytes:
            raise InvalidPdu
        self._command += chunk
        if not is_last:
            return
        request = dimse.parse(bytes(self._command))
        self._command.clear()
        is_answer = bool(request.field & dimse.RESPONSE)
        if self._service is not None and not is_answer and request.field != dimse.C_CANCEL_RQ:
            raise UnexpectedPdu  # one operation at a time: no asynchronous window was agreed on (PS3.7 D.3.3.3)
        if is_answer and self._talk is not None:
            self._talk.responded(request)
        self._request = request
        if not request.has_dataset:
            self._answer_command(request)
        elif request.field == dimse.C_STORE_RQ:
            self._open_delivery(request)

    def _answer_command(self, request: dimse.Command) -> None:
        if request.field & dimse.RESPONSE:
            self._end_message()
        elif request.field == dimse.C_CANCEL_RQ:
            if self._talk is not None:
                self._talk.cancel(request.responded_to)
            self._end_message()  # it has no answer of its own (PS3.7 9.3.2.3)
        elif request.field == dimse.C_ECHO_RQ:
            self._hold(self._echo())
        elif request.field == dimse.C_STORE_RQ:
            self._answer(dimse.CANNOT_UNDERSTAND)
        elif request.field in offered.SERVED_FIELDS:
            self._end_octets()
        else:
            self._answer(dimse.UNRECOGNISED_OPERATION)

    def _open_delivery(self, request: dimse.Command) -> None:
        context = self._contexts[self._context_id]
        assert self._gate is not None
        self._delivery = Delivery(request, context.syntax, self._gate, self._rooms.archive, self._limits.dataset_bytes)
        if context.abstract_syntax != request.sop_class:
            self._delivery.refuse(UidsDiffer())
        elif self._gate.fresh() is None:
            self._hold(self._delivery.permit())

    def _take_dataset(self, chunk: memoryview, is_last: bool) -> None:
        delivery = self._delivery
        if delivery is not None:
            delivery.feed(chunk)
        else:
            self._take_octets(chunk)
        if not is_last:
            return
        if delivery is not None:
            self._hold(self._store(delivery))
        else:
            self._end_octets()

    def _take_octets(self, chunk: memoryview) -> None:
        if len(self._octets) + len(chunk) > self._limits.identifier_bytes:
            raise InvalidPdu
        self._octets += chunk

    def _end_octets(self) -> None:
        assert self._request is not None
        octets, self._octets = bytes(self._octets), bytearray()
        if self._request.field & dimse.RESPONSE:
            self._end_message()
        elif self._request.field in offered.SERVED_FIELDS:
            asked = Asked(self._request, self._contexts[self._context_id], octets)
            self.upper.is_occupied = True
            self._service = asyncio.get_running_loop().create_task(self._serve(asked))
            self._context_id, self._request = 0, None
        elif self._is_echo():
            self._hold(self._echo())
        else:
            self._answer(dimse.UNRECOGNISED_OPERATION)

    async def _echo(self) -> None:
        """Answer whoever is still registered; what was taken out of use has no association any more."""
        assert self._gate is not None
        if await self._gate.caller() is None:
            self.upper.abort(2, 0)
        else:
            self._answer(dimse.SUCCESS)

    async def _serve(self, asked: Asked) -> None:
        assert self._talk is not None
        work_for(self.tenant)
        try:
            await self._talk.answer(asked)
        except PeerGone:
            pass
        except ProtocolFault as fault:
            self.upper.abort(2, fault.reason)
        finally:
            self._service = None
            self.upper.free()
            if self._is_ending:
                self.upper.abort(2, 0)

    async def _store(self, delivery: Delivery) -> None:
        status = await delivery.store()
        self._answer(status, delivery.comment)

    def _is_echo(self) -> bool:
        return self._request is not None and self._request.field == dimse.C_ECHO_RQ

    def _answer(self, status: int, comment: str = "") -> None:
        assert self._request is not None
        self.upper.send_command(self._context_id, dimse.response(self._request, status, comment))
        self._end_message()

    def _end_message(self) -> None:
        self._context_id = 0
        self._request = self._delivery = None
        if self._is_ending:
            self.upper.abort(2, 0)

    # -- work that waits ---------------------------------------------------------------------------------------

    def _hold(self, work: Coroutine[None, None, None]) -> None:
        self.upper.hold()
        self._run(work)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        self._work = asyncio.get_running_loop().create_task(self._finish(work))

    async def _finish(self, work: Coroutine[None, None, None]) -> None:
        work_for(self.tenant)
        try:
            await work
        except ProtocolFault as fault:
            self.upper.abort(2, fault.reason)
        except Exception as fault:
            # the type alone: a message could quote what was sent
            _log.error("dimse.association.failed: %s", type(fault).__name__)
            self.upper.abort(2, 0)
        finally:
            self._work = None
            if self.upper.state is State.CLOSED:
                if self._delivery is not None:
                    self._delivery.abandon()
            else:
                self.upper.unhold()
