"""Who asks, what for, and whether they may: the same steps before everything this door gives or takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.requests import Request

from troth.archive import Archive, Viewing
from troth.dicom import is_uid
from troth.doors.cookies import is_at_viewer, session_cookie
from troth.doors.dicomweb.errors import OriginForeign
from troth.doors.dicomweb.pages import Pages
from troth.doors.dicomweb.ports import Rooms
from troth.doors.dicomweb.viewings import Viewings
from troth.doors.moments import Moments
from troth.doors.taking import telling_why
from troth.kit import clock
from troth.kit.budgets import Room
from troth.kit.errors import NotFound, Unauthenticated
from troth.kit.turns import Turns
from troth.people import Bearer, People
from troth.policy import Actor, Permit, Policy, Target

PURPOSE_HEADER = "troth-purpose"
_PURPOSES = {"patient": "own_access", "peer": "care"}
_USUAL_PURPOSE = "diagnosis"
_EMERGENCY = "emergency"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_AGAIN = timedelta(seconds=1)
_UPLOADS, _UPLOADS_OF_ONE, _UPLOADS_WAITING = 96, 64, 256
_WAITING_BYTES, _WAITING_BYTES_OF_ONE = 192 << 20, 128 << 20
"""One message may have 64 MiB waiting; while one organisation has two of those, another still has one."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks and what for.

    Attributes:
        is_usual: Nobody named the purpose: it is what such people usually come for.
        is_at_viewer: It is a person at the viewer, and no program.
    """

    actor: Actor
    purpose: str
    is_usual: bool = False
    is_at_viewer: bool = False


class Gate:
    """Turns a request into a caller, and a caller into permits.

    Args:
        rooms: What the platform gives this door.

    Attributes:
        uploads: Turns at storing, each of which holds some megabytes on their way to the disk.
        waiting_bytes: Room for metadata and values that wait for one another.
        pages: Where the pages of searches ended.
    """

    def __init__(self, rooms: Rooms) -> None:
        self.archive: Archive = rooms.archive
        self._people: People = rooms.people
        self._policy: Policy = rooms.policy
        self.uploads = Turns(_UPLOADS, most_of_one=_UPLOADS_OF_ONE, most_waiting=_UPLOADS_WAITING)
        self.waiting_bytes = Room(_WAITING_BYTES, _WAITING_BYTES_OF_ONE)
        self.pages = Pages()
        self._viewings = Viewings()
        self._bearers: Moments[bytes, Bearer | None] = Moments()
        self._actors: Moments[bytes, Actor | None] = Moments()
        self._searches: Moments[tuple[Caller, str | None], Permit] = Moments()

    async def caller(self, http_request: Request) -> Caller:
        """Who asks, from the session cookie or a bearer token.

        A bearer token has the one purpose it was issued for. A session may name its purpose in the header
        `Troth-Purpose`; whether the notice allows it is decided with everything else.

        Raises:
            Unauthenticated: Nobody is signed in.
            OriginForeign: A session cookie came with a write of another origin.
        """
        scheme, _, bearer = http_request.headers.get("authorization", "").partition(" ")
        if scheme:
            held = await self._bearer(bearer.strip()) if scheme.lower() == "bearer" else None
            if held is None:
                raise Unauthenticated
            return Caller(replace(held.actor, via="dicomweb", surface="dicomweb"), held.purpose)
        token, at_viewer = session_cookie(http_request), is_at_viewer(http_request)
        actor = await self._actor(token, at_viewer=at_viewer) if token else None
        if actor is None:
            raise Unauthenticated
        if http_request.method not in _SAFE_METHODS and (at_viewer or not is_same_origin(http_request)):
            raise OriginForeign  # the cookie of the viewer is good for reading alone
        named = http_request.headers.get(PURPOSE_HEADER, "")
        purpose = named or _PURPOSES.get(actor.kind, _USUAL_PURPOSE)
        return Caller(replace(actor, surface="viewer"), purpose, is_usual=not named, is_at_viewer=True)

    async def permit_to_store(self, caller: Caller) -> Permit:
        """The permit to bring instances into the caller's organisation."""
        actor = caller.actor
        target = Target("organisation", actor.tenant, actor.tenant)
        with telling_why():
            return await self._policy.require(actor, "store", target, caller.purpose)

    async def permit_to_search(self, caller: Caller, study_uid: str | None = None) -> Permit:
        """The permit to search: a study, a patient's own subject, or the whole organisation.

        Args:
            caller: Who asks.
            study_uid: The study that the search is within.
        """
        actor = caller.actor

        async def decide() -> Permit:
            purpose = caller.purpose
            if study_uid is not None:
                target = await self.archive.target(actor, checked(study_uid))
                purpose = await self._purpose_of(caller, "query", target)
            elif actor.kind == "patient":
                target = Target("subject", actor.subject_id, actor.tenant, actor.subject_id)
            else:
                target = Target("organisation", actor.tenant, actor.tenant)
            return await self._policy.require(actor, "query", target, purpose)

        return await self._searches.of((caller, study_uid), decide)

    async def viewing(self, http_request: Request, study_uid: str) -> Viewing:
        """The caller's viewing of a study: the one that is open, or a new one, told to the ledger first.

        Raises:
            PermitDenied: There is no such study for this caller.
        """
        caller = await self.caller(http_request)
        held = await self.open_viewing(caller, checked(study_uid))
        if held is not None:
            await held.check()
            return held
        purpose = caller.purpose
        if self._may_be_emergency(caller):
            purpose = await self._purpose_of(caller, "retrieve", await self.archive.target(caller.actor, study_uid))
        async with self._viewings.opening(caller.actor, study_uid, purpose) as slot:
            if slot.viewing is None:
                target = await self.archive.target(caller.actor, study_uid)
                permit = await self._policy.require(caller.actor, "retrieve", target, purpose)
                slot.viewing = await self.archive.open_study(permit, study_uid)
            return slot.viewing

    async def open_viewing(self, caller: Caller, study_uid: str) -> Viewing | None:
        """The viewing that the caller has of a study already, if any."""
        held = await self._viewings.find(caller.actor, study_uid, caller.purpose)
        if held is None and self._may_be_emergency(caller):
            held = await self._viewings.find(caller.actor, study_uid, _EMERGENCY)
        return held

    def _may_be_emergency(self, caller: Caller) -> bool:
        """Whether the notice lets somebody like the caller open something in an emergency."""
        return caller.is_usual and self._policy.grants(caller.actor.role, "override")

    async def _purpose_of(self, caller: Caller, action: str, target: Target) -> str:
        """What a viewer comes for that names no purpose: the usual, or the emergency that was written down for it."""
        actor = caller.actor
        if not self._may_be_emergency(caller) or await self._policy.may(actor, action, target, caller.purpose):
            return caller.purpose
        return _EMERGENCY if await self._policy.may(actor, action, target, _EMERGENCY) else caller.purpose

    async def close(self) -> None:
        """End all viewings, for shutdown."""
        await self._viewings.close()

    async def _bearer(self, token: str) -> Bearer | None:
        return await self._bearers.of(_digest(token), lambda: self._people.bearer_of_token(token))

    async def _actor(self, token: str, *, at_viewer: bool) -> Actor | None:
        asked = self._people.actor_of_viewer if at_viewer else self._people.actor_of_session
        return await self._actors.of(_digest(f"{at_viewer} {token}"), lambda: asked(token))


class Standing:
    """A permit that is asked for again while a long upload goes on.

    Args:
        gate: The gate.
        caller: Who uploads.
        permit: The first permit.
    """

    def __init__(self, gate: Gate, caller: Caller, permit: Permit) -> None:
        self._gate = gate
        self._caller = caller
        self._permit = permit
        self._asked_at: datetime = clock.now()

    async def permit(self) -> Permit:
        """A permit not older than a second.

        Raises:
            PermitDenied: It is not allowed any more.
        """
        if clock.now() - self._asked_at > _AGAIN:
            self._permit = await self._gate.permit_to_store(self._caller)
            self._asked_at = clock.now()
        return self._permit


def _digest(token: str) -> bytes:
    """What stands for a token in memory that outlives its request."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def checked(uid: str) -> str:
    """A UID from a path.

    Raises:
        NotFound: It is no UID, so nothing can be there.
    """
    if not is_uid(uid):
        raise NotFound
    return uid


def is_same_origin(http_request: Request) -> bool:
    """Whether a page of this very origin sent the request; without a sign of it, no.

    Per: Fetch metadata (Sec-Fetch-Site), RFC 6454.
    """
    site = http_request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = http_request.headers.get("origin")
    if origin is None:
        return False
    parts = urlsplit(origin)
    return (parts.scheme, parts.netloc) == (http_request.url.scheme, http_request.headers.get("host", ""))
