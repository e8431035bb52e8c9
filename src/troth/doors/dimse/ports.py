"""What the listener needs from the rooms, and no more. `main.wiring.Rooms` satisfies it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from troth.archive import Commitments, Page, Query, Viewing
from troth.kit.errors import TrothError
from troth.people import Organisation, Peer, PeerCaller
from troth.policy import Actor, Permit, Target


class Header(Protocol):
    """What a data set says about itself."""

    @property
    def instance_uid(self) -> str:
        """SOP Instance UID."""

    @property
    def sop_class(self) -> str:
        """SOP Class UID."""


class Received(Protocol):
    """A data set that came whole and lies sealed, not yet stored."""

    @property
    def header(self) -> Header:
        """What it says about itself."""


class Receiver(Protocol):
    """Takes one data set while it arrives."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises a `TrothError` on bytes that cannot be kept."""

    def finish(self) -> Any:
        """The whole came. Raises a `TrothError` when it is truncated."""

    def abort(self) -> None:
        """Forget it."""


class Outcome(Protocol):
    """What became of one instance."""

    @property
    def state(self) -> str:
        """`stored`, `already_held` or `refused`."""

    @property
    def error(self) -> Exception | None:
        """Why it was refused."""

    @property
    def is_kept(self) -> bool:
        """It was refused, and is kept apart for a person to resolve."""

    @property
    def is_coerced(self) -> bool:
        """It is held as its study was corrected, which is not what was sent."""


class Archive(Protocol):
    """Where instances go, and come from."""

    @property
    def commitments(self) -> Commitments:
        """What peers want to be sure of."""

    def receiver(self, syntax: str | None) -> Receiver:
        """A new receiver for a data set in this transfer syntax."""

    async def store(self, permit: Permit, received: Sequence[Any]) -> Sequence[Outcome]:
        """Store; on return what is acknowledged is durable."""

    async def record_refused(self, permit: Permit, faults: Sequence[TrothError]) -> None:
        """Write that instances were refused before they could be stored."""

    async def query(self, permit: Permit, query: Query) -> Page:
        """One page of a search, written into the ledger."""

    async def record_search_refused(self, permit: Permit, fault: TrothError) -> None:
        """Write that a search was refused."""

    async def target(self, actor: Actor, study_uid: str) -> Target:
        """A study as the target of a decision."""

    async def open_study(self, permit: Permit, study_uid: str, *, recipient: str = "") -> Viewing:
        """Open a study; the ledger holds it before this returns."""


class People(Protocol):
    """Who is calling."""

    async def caller_of_peer(
        self, calling_ae: str, called_ae: str, address: str, certificate: str = ""
    ) -> PeerCaller | None:
        """Who calls and what for, or None."""

    async def known_peer(self, tenant: UUID, peer_id: UUID) -> tuple[Peer, PeerCaller] | None:
        """A peer that asked for something earlier, or None."""

    async def organisations(self) -> Sequence[Organisation]:
        """All organisations."""

    async def record_association(self, caller: PeerCaller, called_ae: str, address: str) -> None:
        """Write that a peer connected."""

    async def record_strangers(self, attempts: Mapping[tuple[str, str, str], int]) -> None:
        """Write that connections of unknown machines were refused."""

    async def destination(self, actor: Actor, ae: str) -> Peer | None:
        """A peer of the actor's own organisation by its AE title, or None."""


class Policy(Protocol):
    """Who may."""

    async def require(self, actor: Actor, action: str, target: Target, purpose: str) -> Permit:
        """The permit, or `PermitDenied`."""


class Rooms(Protocol):
    """The rooms behind this door."""

    @property
    def archive(self) -> Archive:
        """Stores."""

    @property
    def people(self) -> People:
        """Knows the peers."""

    @property
    def policy(self) -> Policy:
        """Decides."""
