"""What this door needs from the platform. `main/wiring` gives it."""

from __future__ import annotations

from typing import Protocol

from troth.archive import Archive
from troth.people import People
from troth.policy import Policy


class Rooms(Protocol):
    """The rooms this door opens."""

    @property
    def archive(self) -> Archive:
        """What changed."""

    @property
    def people(self) -> People:
        """Tokens."""

    @property
    def policy(self) -> Policy:
        """Decisions."""
