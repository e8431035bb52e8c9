"""The DICOM door: storage, search, retrieval and commitment on an upper layer that bounds what it reads.

`create(rooms)` gives a `Listener`; `await listener.start(host, port)` and `await listener.stop()` run it.
"""

from __future__ import annotations

from troth.doors.dimse.conversation import Ourselves
from troth.doors.dimse.limits import Limits
from troth.doors.dimse.listener import Listener
from troth.doors.dimse.ports import Rooms

__all__ = ["Limits", "Listener", "Ourselves", "Rooms", "create"]


def create(rooms: Rooms, limits: Limits | None = None, ourselves: Ourselves | None = None) -> Listener:
    """The listener of this process, not yet listening.

    Args:
        rooms: The rooms behind the door: archive, people, policy.
        limits: Bounds on peers; the defaults fit one process of two cores.
        ourselves: How we show ourselves to peers that we call.
    """
    return Listener(rooms, limits or Limits(), ourselves or Ourselves())
