"""The permit of one association, asked for again before it is stale."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from troth.archive import Viewing
from troth.doors.dimse.ports import Rooms
from troth.doors.taking import telling_why
from troth.kit import clock
from troth.kit.errors import PermitDenied
from troth.people import Peer, PeerCaller
from troth.policy import Permit, Target


@dataclass(frozen=True, slots=True)
class Shown:
    """How a peer shows itself.

    Attributes:
        certificate: SHA-256 (hex) of its certificate; empty without TLS.
    """

    calling_ae: str
    called_ae: str
    address: str
    certificate: str = ""


class Gate:
    """Who the peer is and what it may, never older than the limit.

    A peer that was removed or denied in the meantime is refused within that time on a running association too.

    Args:
        rooms: The rooms behind the door.
        caller: How the peer showed itself.
        permit_seconds: Age from which a permit to store is asked for again.
    """

    def __init__(self, rooms: Rooms, caller: Shown, permit_seconds: float) -> None:
        self._rooms = rooms
        self._shown = caller
        self._age = timedelta(seconds=permit_seconds)
        self._permit: Permit | None = None

    async def caller(self) -> PeerCaller | None:
        """The peer as of now, or None when it is not known."""
        shown = self._shown
        return await self._rooms.people.caller_of_peer(
            shown.calling_ae, shown.called_ae, shown.address, shown.certificate
        )

    def fresh(self) -> Permit | None:
        """The permit to store, if it is young enough to use."""
        permit = self._permit
        if permit is None or not timedelta(0) <= clock.now() - permit.decided_at <= self._age:
            return None
        return permit

    async def require(self, action: str) -> Permit:
        """A permit for the peer's organisation as a whole, decided now.

        Args:
            action: What the peer wants to do.

        Raises:
            PermitDenied: The peer is not known any more, or the notice does not allow it.
        """
        return await require(self._rooms, await self._known(), action)

    async def destination(self, ae: str) -> Peer | None:
        """A peer of the same organisation, by its AE title."""
        caller = await self.caller()
        return await self._rooms.people.destination(caller.actor, ae) if caller is not None else None

    async def viewing(self, study_uid: str, recipient: str = "") -> Viewing:
        """Open a study for the peer: decided now, and in the ledger before this returns.

        Args:
            study_uid: StudyInstanceUID.
            recipient: Who is sent to, where it is not the peer itself.

        Raises:
            PermitDenied: There is no such study for this peer.
        """
        caller = await self._known()
        target = await self._rooms.archive.target(caller.actor, study_uid)
        permit = await self._rooms.policy.require(caller.actor, "retrieve", target, caller.purpose)
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
            caller = await self._known()
            with telling_why():
                permit = self._permit = await require(self._rooms, caller, "store")
        return permit

    async def _known(self) -> PeerCaller:
        caller = await self.caller()
        if caller is None:
            raise PermitDenied
        return caller


async def require(rooms: Rooms, caller: PeerCaller, action: str) -> Permit:
    """A permit for the organisation of a peer.

    Raises:
        PermitDenied: The notice does not allow it.
    """
    tenant = caller.actor.tenant
    target = Target(kind="organisation", id=tenant, tenant=tenant)
    return await rooms.policy.require(caller.actor, action, target, caller.purpose)
