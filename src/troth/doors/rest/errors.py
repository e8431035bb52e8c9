"""Faults of the REST door."""

from __future__ import annotations

from troth.kit.errors import BadInput, RateLimited, Unavailable


class ParameterInvalid(BadInput):
    """A query parameter is not known, or cannot be understood."""

    slug = "parameter-invalid"
    title = "A parameter is not known here, or cannot be understood"


class TooManyWaiting(RateLimited):
    """The token, or its organisation, waits as often as it may."""

    slug = "too-many-waiting"
    title = "As many of your requests wait already as may"


class NoRoomToWait(Unavailable):
    """As many requests wait as this process takes; each of them costs memory and decisions."""

    slug = "no-room-to-wait"
    title = "There is no room to wait at present"
