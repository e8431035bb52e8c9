"""What leaves by DICOM: from a room that may not know a door, through the door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from troth.exchange import Send
from troth.main.dicom_tls import dicom_tls
from troth.main.settings import Settings
from troth.people import Peer


def by_dimse(settings: Settings) -> Send:
    """A way to send files to a peer by C-STORE.

    Args:
        settings: Of this node: our AE title, and the certificate for peers that are called over TLS.
    """

    async def send(files: Sequence[bytes], peer: Peer) -> Sequence[int]:
        # Imported here: pynetdicom costs half a second that a process which sends nothing need not pay.
        from troth.doors.dimse import scu

        shown = dicom_tls(settings) if peer.over_tls else None
        if peer.over_tls and shown is None:
            return [-1] * len(files)  # without a certificate of ours nothing leaves; never in the clear instead
        return await asyncio.to_thread(
            scu.send,
            files,
            peer.address,
            peer.port,
            calling_ae=settings.ae,
            called_ae=peer.ae,
            tls=shown.client if shown else None,
            certificate=peer.certificate if shown else "",
        )

    return send
