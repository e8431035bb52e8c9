"""Which service answers which request."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from troth.doors.dimse import command as dimse
from troth.doors.dimse.committing import commit
from troth.doors.dimse.conversation import Service
from troth.doors.dimse.finding import find
from troth.doors.dimse.getting import get
from troth.doors.dimse.moving import move

SERVICES: Mapping[int, Service] = MappingProxyType(
    {dimse.C_FIND_RQ: find, dimse.C_MOVE_RQ: move, dimse.C_GET_RQ: get, dimse.N_ACTION_RQ: commit}
)
