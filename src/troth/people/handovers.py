"""The viewer's own way in: a page hands its session over, once, and the viewer has a cookie that ends with it."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Space
from troth.people import store
from troth.people.model import digest_of, new_secret
from troth.people.sessions import Sessions
from troth.policy import Actor

HANDOVER_LIFETIME = timedelta(seconds=60)
_LENGTH = 16 + 16 + 8 + 32


@dataclass(frozen=True, slots=True)
class Entered:
    """A viewer that was let in.

    Attributes:
        token: The value of its cookie. Only the SHA-256 is kept.
        expires_at: When the session ends at the latest.
    """

    token: str = field(repr=False)
    expires_at: datetime


class Handovers(Sessions):
    """The part of `People` that lets a viewer in for a session of the pages."""

    async def hand_over(self, actor: Actor) -> str:
        """What the page of a signed-in person gives to the viewer: good once, for a minute. Nothing is kept of it.

        Args:
            actor: Who is signed in on the pages.
        """
        assert actor.tenant is not None
        assert actor.session_id is not None
        issued = int(clock.now().timestamp() * 1_000_000)
        told = actor.tenant.bytes + actor.session_id.bytes + issued.to_bytes(8, "big")
        return urlsafe_b64encode(told + await self._proof_of(told)).decode().rstrip("=")

    async def enter_viewer(self, secret: str) -> Entered | None:
        """Let the viewer in with what a page gave it; None where that is too old, was used, or its session is over.

        Args:
            secret: Of `hand_over`.
        """
        try:
            told = urlsafe_b64decode(secret.encode("ascii") + b"=" * (-len(secret) % 4))
        except (Error, ValueError):
            return None
        if len(told) != _LENGTH:
            return None
        tenant, session_id, issued = UUID(bytes=told[:16]), UUID(bytes=told[16:32]), int.from_bytes(told[32:40], "big")
        now = clock.now()
        age = now.timestamp() * 1_000_000 - issued
        if not 0 <= age <= HANDOVER_LIFETIME.total_seconds() * 1_000_000:
            return None
        if not hmac.compare_digest(told[40:], await self._proof_of(told[:40])):
            return None
        token = new_secret(tenant)
        async with self._db.transaction(Space(tenant)) as connection:
            row = await store.enter_viewer(connection, session_id, digest_of(token), issued, now)
        return Entered(token, row["expires_at"]) if row is not None else None

    async def actor_of_viewer(self, token: str) -> Actor | None:
        """Who stands behind the cookie of a viewer; None when the session of the pages is over."""
        bearer = await self._resolve(token, "viewer")
        return bearer.actor if bearer else None

    async def _proof_of(self, told: bytes) -> bytes:
        return self._keyring.digest(await self._platform_key(), "handover", told.hex())
