"""What the viewer's origin needs from the platform. `main/wiring` gives it."""

from __future__ import annotations

from typing import Protocol

from troth.people import Entered
from troth.policy import Actor
from troth.proofs import Runs


class People(Protocol):
    """Sessions."""

    async def enter_viewer(self, secret: str) -> Entered | None:
        """Let the viewer in with what a page handed over; None where it does not count."""

    async def actor_of_viewer(self, token: str) -> Actor | None:
        """Who stands behind the viewer's cookie, or None when the session has ended."""


class Settings(Protocol):
    """Where the two origins are."""

    @property
    def http_url(self) -> str:
        """Scheme, host and port of the pages."""

    @property
    def viewer_origin(self) -> str:
        """Scheme, host and port of the viewer."""


class Rooms(Protocol):
    """The rooms this door opens."""

    @property
    def people(self) -> People:
        """Sessions."""

    @property
    def runs(self) -> Runs:
        """Is told which cookies are set."""

    @property
    def settings(self) -> Settings:
        """Where the two origins are."""
