"""A system of somebody else that takes what is sent to it: a real storage provider on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt

CT = "1.2.840.10008.5.1.4.1.1.2"


@dataclass
class Receiver:
    """What arrived.

    Attributes:
        uids: SOP Instance UIDs, in the order of their arrival.
        status: What the next C-STORE is answered with; with a warning it is taken as well.
    """

    ae: str
    port: int = 0
    uids: list[str] = field(default_factory=list)
    associations: int = 0
    status: int = 0x0000


@contextmanager
def receiving(ae: str) -> Iterator[Receiver]:
    """Run a storage provider for the length of a block.

    Args:
        ae: Its AE title.
    """
    receiver = Receiver(ae)

    def store(event: evt.Event) -> int:
        if receiver.status == 0 or 0xB000 <= receiver.status <= 0xBFFF:
            receiver.uids.append(str(event.dataset.SOPInstanceUID))
        return receiver.status

    def opened(event: evt.Event) -> None:
        receiver.associations += 1

    entity = AE(ae_title=ae)
    entity.add_supported_context(CT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_CONN_OPEN, opened)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)  # type: ignore[arg-type]
    assert server is not None
    assert server.socket is not None
    receiver.port = server.socket.getsockname()[1]
    try:
        yield receiver
    finally:
        server.shutdown()
