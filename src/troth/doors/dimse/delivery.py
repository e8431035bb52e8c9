"""One C-STORE on its way in: permit before the first byte, durable before the answer, refusals told to the ledger."""

from __future__ import annotations

import logging

from troth.doors.dimse.command import CANNOT_UNDERSTAND, PROCESSING_FAILURE, SUCCESS, Command
from troth.doors.dimse.errors import DatasetTooLarge, ProtocolFault
from troth.doors.dimse.gate import Gate
from troth.doors.dimse.ports import Archive, Receiver
from troth.doors.errors import UidsDiffer
from troth.doors.taking import COERCED, COERCED_TOLD, KEPT_APART, NotTaken
from troth.kit.errors import BadInput, Conflict, TrothError

_log = logging.getLogger("troth.doors.dimse")
_WRONG = (BadInput, Conflict, UidsDiffer)  # the peer's fault, not ours and not a question of what it may


class Delivery:
    """One C-STORE request with its data set.

    A refusal that is known early (no permit, malformed, too large) lets the rest of the data set pass unread, so that
    the peer gets a status and can go on with its next instance.

    Attributes:
        status: DIMSE status of a refusal or a warning that is already known, else `SUCCESS`.
        comment: For a person at the peer; never personal data.
    """

    def __init__(self, command: Command, syntax: str, gate: Gate, archive: Archive, dataset_bytes: int) -> None:
        self.command = command
        self.status = SUCCESS
        self.comment = ""
        self._syntax = syntax
        self._gate = gate
        self._archive = archive
        self._dataset_bytes = dataset_bytes
        self._seen_bytes = 0
        self._receiver: Receiver | None = None
        self._untold: TrothError | None = None

    async def permit(self) -> None:
        """Ask for the decision when the last one is too old; afterwards bytes are either kept or let pass."""
        try:
            await self._gate.permit()
        except Exception as fault:
            self.refuse(fault)

    def feed(self, chunk: memoryview) -> None:
        """Take the next bytes of the data set.

        Raises:
            ProtocolFault: Even as bytes that are only let pass it is too much.
        """
        self._seen_bytes += len(chunk)
        if self._seen_bytes > self._dataset_bytes:
            if self._seen_bytes > 2 * self._dataset_bytes:
                raise ProtocolFault
            self.refuse(DatasetTooLarge())
        if self.status != SUCCESS:
            return
        try:
            if self._receiver is None:
                self._receiver = self._archive.receiver(self._syntax)
            self._receiver.feed(bytes(chunk))
        except Exception as fault:
            self.refuse(fault)

    def abandon(self) -> None:
        """The peer went away in the middle: forget what came."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.abort()

    async def store(self) -> int:
        """The data set came whole: store it.

        Returns:
            The DIMSE status; `SUCCESS` and `COERCED` only after the archive made it durable.
        """
        if self.status == SUCCESS:
            try:
                await self._store()
            except Exception as fault:
                self.refuse(fault)
        if self._untold is not None:
            await self._tell(self._untold)
        return self.status

    async def _tell(self, fault: TrothError) -> None:
        """Write down what the archive could not, because it never saw the instance. The refusal stands either way."""
        try:
            await self._archive.record_refused(await self._gate.permit(), [fault])
        except Exception as failure:
            _log.error("dimse.refusal.untold: %s", type(failure).__name__)

    async def _store(self) -> None:
        receiver = self._receiver
        if receiver is None:
            raise BadInput
        # a data set can take minutes to come: what counts is the decision at its end
        permit = await self._gate.permit()
        received = receiver.finish()
        header, command = received.header, self.command
        if (header.instance_uid, header.sop_class) != (command.instance_uid, command.sop_class):
            raise UidsDiffer
        self._receiver = None
        (outcome,) = await self._archive.store(permit, [received])
        if outcome.state == "refused":
            self.refuse(outcome.error or Conflict())
            if outcome.is_kept:
                self.comment = KEPT_APART
            self._untold = None  # the archive has written it
        elif outcome.is_coerced:
            self.status, self.comment = COERCED, COERCED_TOLD

    def refuse(self, fault: Exception) -> None:
        """Keep nothing of this instance and say why.

        Args:
            fault: What is wrong; anything but a `TrothError` is our own failure.
        """
        self.abandon()
        if not isinstance(fault, TrothError):
            # the type alone: a message could quote what was sent
            _log.error("dimse.store.failed: %s", type(fault).__name__)
            self.status = PROCESSING_FAILURE
            return
        self.status = fault.dimse_status or CANNOT_UNDERSTAND
        if isinstance(fault, _WRONG):
            self.comment = fault.detail
            self._untold = fault
        elif isinstance(fault, NotTaken):
            self.comment = fault.detail  # the decision has told the ledger
