"""Which service answers which request."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from troth.doors.dimse import command as dimse
from troth.doors.dimse.conversation import Service
from troth.doors.dimse.finding import find

SERVICES: Mapping[int, Service] = MappingProxyType({dimse.C_FIND_RQ: find})
