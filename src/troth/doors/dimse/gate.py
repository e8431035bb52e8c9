"""The permit of one association, asked for again before it is stale."""

from __future__ import annotations

from datetime import timedelta

from troth.archive import Viewing
from troth.doors.dimse.ports import Rooms
from troth.doors.taking import telling_why
from troth.kit import clock
from troth.kit.errors import PermitDenied
from troth.people import Peer
from troth.policy import Actor, Permit, Target


class Gate:
    """Who the peer is and what it may, never older than the limit.

    A peer that was removed or denied in the meantime is refused within that time on a running association too.
    """

    def __init__(self, rooms: Rooms, calling_ae: str, called_ae: str, address: str, permit_seconds: float) -> None:
        self._rooms = rooms
        self._calling_ae = calling_ae
        self._called_ae = called_ae
        self._address = address
        self._age = timedelta(seconds=permit_seconds)
        self._permit: Permit | None = None

    async def actor(self) -> Actor | None:
        """The peer's actor as of now, or None when it is not known."""
        return await self._rooms.people.actor_of_peer(self._calling_ae, self._called_ae, self._address)

    def fresh(self) -> Permit | None:
        """The permit, if it is young enough to use."""
        permit = self._permit
        if permit is None or not timedelta(0) <= clock.now() - permit.decided_at <= self._age:
            return None
        return permit

    async def require(self, action: str, target: Target | None = None) -> Permit:
        """A permit decided now.

        Args:
            action: What the peer wants to do.
            target: What to; None for its organisation as a whole.

        Raises:
            PermitDenied: The peer is not known any more, or the notice does not allow it.
        """
        actor = await self.actor()
        if actor is None or actor.tenant is None:
            raise PermitDenied
        wanted = target or Target(kind="organisation", id=actor.tenant, tenant=actor.tenant)
        return await self._rooms.policy.require(actor, action, wanted, "care")

    async def destination(self, ae: str) -> Peer | None:
        """A peer of the same organisation, by its AE title."""
        actor = await self.actor()
        return await self._rooms.people.destination(actor, ae) if actor is not None else None

    async def viewing(self, study_uid: str, recipient: str = "") -> Viewing:
        """Open a study for the peer: decided now, and in the ledger before this returns.

        Args:
            study_uid: StudyInstanceUID.
            recipient: Who is sent to, where it is not the peer itself.

        Raises:
            PermitDenied: There is no such study for this peer.
        """
        actor = await self.actor()
        if actor is None:
            raise PermitDenied
        permit = await self.require("retrieve", await self._rooms.archive.target(actor, study_uid))
        return await self._rooms.archive.open_study(permit, study_uid, recipient=recipient)

    async def permit(self) -> Permit:
        """A permit to store that is young enough to use.

        Raises:
            PermitDenied: The peer is not known any more, or the notice does not allow it.
            NotTaken: The notice would allow it but for a clause that the peer is told.
        """
        permit = self.fresh()
        if permit is None:
            self._permit = None
            actor = await self.actor()
            if actor is None or actor.tenant is None:
                raise PermitDenied
            target = Target(kind="organisation", id=actor.tenant, tenant=actor.tenant)
            with telling_why():
                permit = self._permit = await self._rooms.policy.require(actor, "store", target, "care")
        return permit
