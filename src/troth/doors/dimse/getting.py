"""C-GET: instances over the association that asked for them, to a peer that agreed to be their provider (SCP).

Per: DICOM PS3.4 C.4.3, C.5.3; PS3.7 D.3.3.4 (role selection).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from troth.archive import InstanceRecord
from troth.doors.dimse import command as dimse
from troth.doors.dimse.conversation import Asked, Talk
from troth.doors.dimse.retrieving import Retrieval


async def get(talk: Talk, asked: Asked) -> None:
    """Answer a C-GET.

    Raises:
        TrothError: It was refused.
        PeerGone: The peer is no longer there.
    """
    retrieval = Retrieval(talk, asked)
    try:
        await retrieval.prepare()
        if await retrieval.is_too_much():
            return
        await retrieval.send_to(_Near(talk))
        await retrieval.conclude()
    finally:
        await retrieval.close()


class _Near:
    """The peer itself as a shelf: the contexts of the association in which it takes instances."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._places: dict[str, dict[str, int]] = {}
        for context in talk.agreement.contexts.values():
            role = talk.agreement.roles.get(context.abstract_syntax)
            if role is not None and role.is_scp:
                self._places.setdefault(context.abstract_syntax, {}).setdefault(context.syntax, context.id)

    def place(self, sop_class: str, syntax: str) -> int | None:
        return self._places.get(sop_class, {}).get(syntax)

    def syntaxes(self, sop_class: str) -> Sequence[str]:
        return list(self._places.get(sop_class, {}))

    async def store(self, context_id: int, record: InstanceRecord, dataset: AsyncIterator[bytes]) -> int:
        message_id = self._talk.new_message_id()
        command = dimse.store_request(message_id, record.sop_class, record.instance_uid)
        return (await self._talk.send(context_id, command, message_id, dataset)).status
