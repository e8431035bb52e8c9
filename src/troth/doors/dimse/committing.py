"""Storage commitment, push model: take a request durably, tell the peer later what was read back and is right.

Per: DICOM PS3.4 Annex J.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

from troth import dicom
from troth.archive import Commitment, Verdict
from troth.doors.dimse import command as dimse
from troth.doors.dimse import identifier as identifiers
from troth.doors.dimse import offered, pdu
from troth.doors.dimse.conversation import Asked, Conversation, Ourselves, Talk, callee_of
from troth.doors.dimse.errors import AssociationFailed, PeerGone
from troth.doors.dimse.gate import require
from troth.doors.dimse.limits import Limits
from troth.doors.dimse.ports import Rooms
from troth.doors.dimse.requestor import Requestor
from troth.kit.errors import TrothError
from troth.kit.threads import work_for
from troth.people import Peer
from troth.policy import Actor, PermitDenied

_log = logging.getLogger("troth.doors.dimse")
_REQUEST_COMMITMENT = 1
_ALL_HELD, _SOME_FAILED = 1, 2  # Event Type ID, PS3.4 J.3.3
_TRANSACTION, _FAILED, _REFERENCED = 0x00081195, 0x00081198, 0x00081199
_CLASS, _INSTANCE, _REASON = 0x00081150, 0x00081155, 0x00081197
_NO_SUCH_INSTANCE = 0x0112  # PS3.7 C.5.11
_NO_SUCH_ACTION = 0x0123
_INVALID_ARGUMENT = 0x0115
_EVERY_SECONDS = 10.0


async def commit(talk: Talk, asked: Asked) -> None:
    """Answer the N-ACTION of a storage commitment: it is durable before it is acknowledged.

    Raises:
        TrothError: It was refused.
    """
    if asked.request.requested_instance != offered.COMMITMENT_INSTANCE:
        await talk.respond(asked, _NO_SUCH_INSTANCE)
        return
    if asked.request.action_type != _REQUEST_COMMITMENT:
        await talk.respond(asked, _NO_SUCH_ACTION)
        return
    permit = await talk.gate.permit()
    read = _read(asked)
    if read is None:
        await talk.respond(asked, _INVALID_ARGUMENT, "Transaction UID and references of instances are needed.")
        return
    transaction_uid, items = read
    commitments = talk.rooms.archive.commitments
    commitment = await commitments.ask(permit, transaction_uid, talk.agreement.called_ae, items)
    await talk.respond(asked, dimse.SUCCESS)
    talk.asked_to_commit(commitment)


def _read(asked: Asked) -> tuple[str, list[tuple[str, str]]] | None:
    """Transaction UID, and SOP class and instance of each item; None for what is no such request."""
    try:
        dataset = dicom.read_plain(asked.octets, asked.context.syntax)
    except (dicom.Malformed, dicom.Truncated, dicom.TooDeep, dicom.HeadTooLarge):
        return None
    transaction = _uid(dataset, _TRANSACTION)
    listed = dataset.get(f"{_REFERENCED:08X}", {})
    if listed.get("vr") != "SQ" or not listed.get("Value"):
        return None
    items = [(_uid(item, _CLASS), _uid(item, _INSTANCE)) for item in listed["Value"]]
    if not transaction or not all(sop_class and instance for sop_class, instance in items):
        return None
    return transaction, items


def _uid(dataset: dict[str, Any], tag: int) -> str:
    element = dataset.get(f"{tag:08X}", {})
    values = element.get("Value", [])
    return values[0] if element.get("vr") == "UI" and len(values) == 1 and dicom.is_uid(str(values[0])) else ""


def report(commitment: Commitment, verdict: Verdict, syntax: str) -> bytes:
    """The data set of the N-EVENT-REPORT.

    Per: DICOM PS3.4 tables J.3-4 and J.3-5.
    """
    is_explicit = syntax == offered.EXPLICIT_LITTLE

    def element(tag: int, value: bytes) -> bytes:
        return identifiers.element(tag, value, is_explicit)

    def sequence(tag: int, items: list[bytes]) -> bytes:
        content = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
        return identifiers.element(tag, content, is_explicit, "SQ")

    def reference(sop_class: str, uid: str) -> bytes:
        return element(_CLASS, sop_class.encode()) + element(_INSTANCE, uid.encode())

    out = element(identifiers.RETRIEVE_AE, commitment.called_ae.encode())
    out += element(_TRANSACTION, commitment.transaction_uid.encode())
    if verdict.failed:
        out += sequence(
            _FAILED,
            [reference(sop, uid) + element(_REASON, struct.pack("<H", why)) for sop, uid, why in verdict.failed],
        )
    if verdict.held:
        out += sequence(_REFERENCED, [reference(sop, uid) for sop, uid in verdict.held])
    return out


class Reporter:
    """Tells peers what became of their requests: at once on the association that asked, else by calling them.

    Args:
        rooms: The rooms behind the door.
        limits: How long to wait.
        ourselves: How we show ourselves to peers that we call.
        talk_of: The open and idle association of a peer, by the peer's id, that has a context for commitments.
    """

    def __init__(
        self, rooms: Rooms, limits: Limits, ourselves: Ourselves, talk_of: Callable[[object], Conversation | None]
    ) -> None:
        self._rooms = rooms
        self._limits = limits
        self._ourselves = ourselves
        self._talk_of = talk_of
        self._now: set[asyncio.Task[None]] = set()

    def soon(self, commitment: Commitment) -> None:
        """A request was taken here: answer it now."""
        task = asyncio.get_running_loop().create_task(self._answer(commitment))
        self._now.add(task)
        task.add_done_callback(self._now.discard)

    async def follow(self) -> None:
        """Answer what is due, also what another process took that is gone, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                for organisation in await self._rooms.people.organisations():
                    await self.answer_due(Actor(kind="system", tenant=organisation.id))
            except Exception as fault:
                _log.error("dimse.commitments.failed: %s", type(fault).__name__)

    async def answer_due(self, actor: Actor) -> None:
        """Answer what is due in the actor's organisation."""
        work_for(actor.tenant)
        for commitment in await self._rooms.archive.commitments.take_due(actor):
            await self._answer(commitment)

    async def close(self) -> None:
        """Stop; what is not answered is durable and is answered after the next start."""
        for task in tuple(self._now):
            task.cancel()
        if self._now:
            await asyncio.wait(self._now)

    async def _answer(self, commitment: Commitment) -> None:
        commitments = self._rooms.archive.commitments
        try:
            known = await self._rooms.people.known_peer(commitment.tenant, commitment.peer_id)
            if known is None:
                await commitments.give_up(commitment)
                return
            peer, caller = known
            permit = await require(self._rooms, caller, "store")
            verdict = await commitments.verify(permit, commitment.items)
            if not await self._tell_here(commitment, verdict) and not await self._call(peer, commitment, verdict):
                await commitments.put_off(commitment)
                return
            await commitments.told(await require(self._rooms, caller, "store"), commitment, verdict)
        except PermitDenied:
            await commitments.put_off(commitment)
        except TrothError as fault:
            _log.warning("dimse.commitment.waits: %s", fault.slug)

    async def _tell_here(self, commitment: Commitment, verdict: Verdict) -> bool:
        talk = self._talk_of(commitment.peer_id)
        if talk is None:
            return False
        context = talk.context_of(offered.STORAGE_COMMITMENT)
        if context is None:
            return False
        message_id = talk.new_message_id()
        dataset = report(commitment, verdict, context.syntax)
        with contextlib.suppress(PeerGone):
            await talk.send(context.id, _command(message_id, verdict), message_id, _once(dataset))
            return True
        return False

    async def _call(self, peer: Peer, commitment: Commitment, verdict: Verdict) -> bool:
        sop_class = offered.STORAGE_COMMITMENT
        roles = [pdu.Role(sop_class, is_scu=False, is_scp=True)]
        requestor: Requestor | None = None
        try:
            callee = callee_of(peer, self._ourselves, commitment.called_ae)
            requestor = await Requestor.open(callee, [(sop_class, offered.PLAIN_SYNTAXES)], self._limits, roles)
            for syntax in requestor.syntaxes(sop_class):
                context_id = requestor.place(sop_class, syntax)
                assert context_id is not None
                dataset = report(commitment, verdict, syntax)
                await requestor.send(context_id, _command(requestor.new_message_id(), verdict), _once(dataset))
                await requestor.release()
                return True
        except (AssociationFailed, PeerGone):
            return False
        finally:
            if requestor is not None:
                requestor.abort()
        return False


def _command(message_id: int, verdict: Verdict) -> bytes:
    event = _SOME_FAILED if verdict.failed else _ALL_HELD
    return dimse.event_report(message_id, offered.STORAGE_COMMITMENT, offered.COMMITMENT_INSTANCE, event)


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
