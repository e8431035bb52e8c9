"""What leaves by DICOM: from a room that may not know a door, through the door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from troth.exchange import Send
from troth.people import Peer


def by_dimse(ae: str) -> Send:
    """A way to send files to a peer by C-STORE.

    Args:
        ae: Our AE title.
    """

    async def send(files: Sequence[bytes], peer: Peer) -> Sequence[int]:
        # Imported here: pynetdicom costs half a second that a process which sends nothing need not pay.
        from troth.doors.dimse import scu

        return await asyncio.to_thread(scu.send, files, peer.address, peer.port, calling_ae=ae, called_ae=peer.ae)

    return send
