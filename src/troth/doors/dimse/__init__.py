"""The DICOM door: C-ECHO and C-STORE on an upper layer of our own that bounds every length before it reads.

`create(rooms)` gives a `Listener`; `await listener.start(host, port)` and `await listener.stop()` run it.
"""

from __future__ import annotations

from troth.doors.dimse.limits import Limits
from troth.doors.dimse.listener import Listener
from troth.doors.dimse.ports import Rooms

__all__ = ["Limits", "Listener", "Rooms", "create"]


def create(rooms: Rooms, limits: Limits | None = None) -> Listener:
    """The listener of this process, not yet listening.

    Args:
        rooms: The rooms behind the door: archive, people, policy.
        limits: Bounds on peers; the defaults fit one process of two cores.
    """
    return Listener(rooms, limits or Limits())
