"""C-MOVE: to destinations that the same organisation has registered, and to nobody else.

Per: DICOM PS3.4 C.4.2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from troth.archive import InstanceRecord
from troth.doors.dimse import command as dimse
from troth.doors.dimse import retrieving
from troth.doors.dimse.conversation import Asked, Talk
from troth.doors.dimse.errors import AssociationFailed, DestinationUnknown, PeerGone
from troth.doors.dimse.requestor import Requestor
from troth.doors.dimse.retrieving import Retrieval


async def move(talk: Talk, asked: Asked) -> None:
    """Answer a C-MOVE: open each study, call the destination, send, tell how it went.

    Raises:
        DestinationUnknown: It is not registered by this organisation; nothing was opened.
        TrothError: It was refused.
    """
    destination = asked.request.move_destination
    callee = await talk.destination(destination)
    if callee is None:
        raise DestinationUnknown
    retrieval = Retrieval(talk, asked, recipient=destination)
    requestor: Requestor | None = None
    try:
        await retrieval.prepare()
        if await retrieval.is_too_much():
            return
        if retrieval.progress.remaining and not talk.is_cancelled:
            proposals = retrieving.fallbacks(retrieval.kinds)
            try:
                requestor = await Requestor.open(callee, proposals, talk.limits)
                await retrieval.send_to(_Far(requestor, talk.agreement.calling_ae, asked.request.message_id))
            except AssociationFailed:
                retrieval.give_up()
        if requestor is not None:
            await requestor.release()
        await retrieval.conclude()
    finally:
        if requestor is not None:
            requestor.abort()
        await retrieval.close()


class _Far:
    """A destination as a shelf."""

    def __init__(self, requestor: Requestor, moved_for: str, message_id: int) -> None:
        self._requestor = requestor
        self._moved_for = moved_for
        self._message_id = message_id

    def place(self, sop_class: str, syntax: str) -> int | None:
        return self._requestor.place(sop_class, syntax)

    def syntaxes(self, sop_class: str) -> Sequence[str]:
        return self._requestor.syntaxes(sop_class)

    async def store(self, context_id: int, record: InstanceRecord, dataset: AsyncIterator[bytes]) -> int:
        if not self._requestor.is_open:
            return dimse.PROCESSING_FAILURE  # the destination went away, or half an instance had to be broken off
        command = dimse.store_request(
            self._requestor.new_message_id(),
            record.sop_class,
            record.instance_uid,
            moved_for=self._moved_for,
            moved_for_message=self._message_id,
        )
        try:
            return (await self._requestor.send(context_id, command, dataset)).status
        except PeerGone:
            return dimse.PROCESSING_FAILURE  # of the destination: the one who asked is still there and is told
