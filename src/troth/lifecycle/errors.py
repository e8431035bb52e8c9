"""What can go wrong with legal holds."""

from __future__ import annotations

from troth.kit.errors import NotFound, Unprocessable


class HoldNotFound(NotFound):
    """No such hold is in force here."""


class HoldIncomplete(Unprocessable):
    """A hold has a reason, somebody who answers for it, and a day on which it is looked at again."""

    slug = "hold-incomplete"
    title = "A legal hold needs a reason, an owner and a day of review in the future"
