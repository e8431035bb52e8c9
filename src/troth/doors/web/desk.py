"""What every handler works with: who is there, the permit, the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from troth.archive import Found, Match, Query, StudySummary, advice_in, advising
from troth.doors.cookies import cookie, session_cookie, session_name
from troth.doors.web import forms, words
from troth.doors.web.declared import needs_fresh
from troth.doors.web.errors import FreshSignInNeeded, SignInNeeded
from troth.doors.web.frame import BY_ROLE, PUBLIC, Frame, NavItem, Standing, home_of, standing_of
from troth.doors.web.ports import Rooms
from troth.doors.web.promises import Promises
from troth.doors.web.refill import refilled
from troth.doors.web.render import Page, Renderer
from troth.kit import clock
from troth.kit.errors import NotFound
from troth.kit.threads import work_for
from troth.notice import Cookies, Notice, NoticeVersion, applying, contact_for_privacy
from troth.people import IDLE_OF_PATIENT, IDLE_OF_STAFF, Asked, Challenge, Draft, Enrolled, Session
from troth.policy import Actor, Permit, Target

THEME_COOKIE = "troth_theme"
KEPT = "kept"
MOST_ADDRESS = 2_000
MOST_ADVICE = 1_000
SOP_CLASS = 0x00080016  # DICOM PS3.6
THEMES = frozenset({"light", "dark"})
DEPLOYMENT = "Troth"
ANYBODY = Actor(kind="anonymous", surface="site")
READERS = {"patient": "patients", "user": "users"}
AUDIENCES_HERE = ("visitors", "patients", "users")
"""The order in which audiences are offered."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for a page.

    Attributes:
        session: The secret of the session; empty for those who are not signed in.
    """

    actor: Actor | None
    session: str

    @property
    def token(self) -> str:
        """What our forms carry for this session."""
        return forms.token_of(self.session) if self.actor is not None else ""


class Desk:
    """The rooms and the renderer, with what all pages have in common.

    Args:
        rooms: What the platform gives this door.
        has_images: Whether DICOMweb is beside the pages, so that they can show images.
    """

    def __init__(self, rooms: Rooms, *, has_images: bool = False) -> None:
        self.rooms = rooms
        self.has_images = has_images
        self.promises = Promises(rooms)
        self.counts: Callable[[Actor], Awaitable[Mapping[str, int]]] | None = None
        """How many things wait for whoever reads, by entries of the navigation."""
        self._renderer = Renderer()

    # Who is there

    async def visitor(self, http_request: Request) -> Visitor:
        """Who asks, by the session cookie."""
        secret = session_cookie(http_request)
        actor = await self.rooms.people.actor_of_session(secret) if secret else None
        version = await self.version(actor)
        words.read_in(version.notice.zone if version is not None else UTC, actor.zone if actor is not None else "")
        work_for(actor.tenant if actor is not None else None)
        return Visitor(actor, secret if actor is not None else "")

    async def signed_in(self, http_request: Request, *roles: str) -> tuple[Visitor, Actor]:
        """Who asks, for pages of some roles only.

        Raises:
            SignInNeeded: Nobody is signed in.
            NotFound: Somebody of another role: for them the page is not there.
        """
        visitor = await self.visitor(http_request)
        if visitor.actor is None:
            raise SignInNeeded
        if visitor.actor.role not in roles:
            raise NotFound
        return visitor, visitor.actor

    async def sent(self, http_request: Request, visitor: Visitor) -> dict[str, str]:
        """The fields of a form of this session.

        Raises:
            FormForeign: It was not made for this session.
        """
        fields = dict(await forms.read(http_request))
        forms.require_token(fields, visitor.session)
        if visitor.actor is not None:
            if needs_fresh(http_request.url.path, fields):
                await self.require_fresh(visitor.actor)
            await self.rooms.people.drop_draft(visitor.actor)
        return fields

    async def require_fresh(self, actor: Actor) -> None:
        """Refuse an act whose actor did not prove lately who they are.

        Raises:
            FreshSignInNeeded: More than five minutes ago.
        """
        if not await self.rooms.people.is_fresh(actor):
            raise FreshSignInNeeded

    async def onward(self, actor: Actor) -> str:
        """Where somebody goes on who signed in: back to what they had typed, else to their own page."""
        draft = await self.rooms.people.draft(actor)
        if draft is None or not is_local(draft.page):
            return await self.start_of(actor)
        return f"{draft.page}{'&' if '?' in draft.page else '?'}{KEPT}=1" if draft.fields else draft.page

    def address(self, http_request: Request) -> str:
        """Where somebody comes from on the network; goes into the ledger, sealed."""
        return http_request.client.host if http_request.client else ""

    # What may be done

    async def permit(self, actor: Actor, action: str, target: Target, purpose: str) -> Permit:
        """The permit for one action; a refusal is written down before it is raised.

        Raises:
            PermitDenied: The notice does not allow it.
        """
        return await self.rooms.policy.require(actor, action, target, purpose)

    async def permit_on_oneself(self, actor: Actor, action: str, purposes: Sequence[str]) -> Permit:
        """The permit for an act about the actor's own record, for the first purpose whose clause allows it.

        Raises:
            PermitDenied: None does; the refusal of the last one is written down.
        """
        own = actor.subject_id or actor.id
        target = Target("subject", own, actor.tenant, own)
        for purpose in purposes[:-1]:
            if await self.rooms.policy.may(actor, action, target, purpose):
                return await self.permit(actor, action, target, purpose)
        return await self.permit(actor, action, target, purposes[-1])

    async def listed(
        self, actor: Actor, study_id: UUID, action: str, purpose: str, query: Query
    ) -> tuple[Sequence[Found], Permit]:
        """What is listed of one study, and the permit for an act on it. That it is read is written down first.

        Raises:
            PermitDenied: Not there, or not for this actor: the same answer.
        """
        target = await self.rooms.archive.target_of(actor, study_id)
        permit = await self.permit(actor, action, target, purpose)
        found = (await self.rooms.archive.query(permit, query)).found
        if not found:
            raise NotFound
        return found, permit

    async def study(self, actor: Actor, study_id: UUID, action: str, purpose: str) -> tuple[StudySummary, Permit]:
        """One study and the permit for an act on it; see `listed`."""
        found, permit = await self.listed(actor, study_id, action, purpose, Query(limit=1))
        return found[0].study, permit

    async def advice_of(self, actor: Actor, study: StudySummary, purpose: str) -> str:
        """What programs made of a study and no person stands for; it stands nowhere as a result. Empty: nothing."""
        found: list[Found] = []
        kinds = advising(study.sop_classes)
        if not kinds:
            return ""
        permit = await self.permit(actor, "query", await self.rooms.archive.target_of(actor, study.id), purpose)
        for kind in kinds:  # each has a page of its own, so that many of one hide none of another
            query = Query(level="instance", matches=(Match(SOP_CLASS, kind),), limit=MOST_ADVICE)
            found += (await self.rooms.archive.query(permit, query)).found
        return ", ".join(advice_in(each.values for each in found))

    def viewer_of(self, study: StudySummary) -> str:
        """Where the viewer opens a study."""
        return f"{self.rooms.settings.viewer_origin}/viewer?StudyInstanceUIDs={quote(study.study_uid)}"

    # What is shown

    async def version(self, actor: Actor | None = None) -> NoticeVersion | None:
        """The notice in force for whoever reads: for people like them, where they live; or None.

        Args:
            actor: Who reads; None for whoever is not signed in.
        """
        current = await self.rooms.notices.current()
        region = await self.home_of(actor) if any(each.notice.head.applies_in for each in current) else ""
        return version_for(current, actor, region)

    async def home_of(self, actor: Actor | None) -> str:
        """Where the organisation of somebody signed in is; empty when nobody knows."""
        if actor is None or actor.tenant is None:
            return ""
        return (await self.rooms.people.organisation(actor.tenant)).region

    async def page(
        self,
        http_request: Request,
        visitor: Visitor,
        title: str,
        page: Page,
        *,
        here: str = "",
        permit: Permit | None = None,
        recorded: str = "",
        status: int = 200,
    ) -> Response:
        """A page in its frame.

        Args:
            http_request: For the theme and the way back.
            visitor: Who reads it.
            title: For the title bar; never a name.
            page: Template and view model.
            here: The navigation entry it belongs to.
            permit: What allowed it; gives the standing line its purpose and clauses.
            recorded: What is written down about it.
            status: HTTP status.
        """
        frame = await self._frame(http_request, visitor, title, here, _standing(visitor.actor, permit, recorded))
        draft = await self._kept(http_request, visitor)
        if draft is None:
            return self._renderer.answer(page, frame, status)
        html = self._renderer.html(page, replace(frame, kept=True))
        return HTMLResponse(refilled(html, draft.path, draft.fields), status)

    async def _kept(self, http_request: Request, visitor: Visitor) -> Draft | None:
        """What was typed into a form of this page before the session ended."""
        if visitor.actor is None or forms.is_sent(http_request) or KEPT not in http_request.query_params:
            return None
        draft = await self.rooms.people.draft(visitor.actor)
        is_here = draft is not None and draft.page.partition("?")[0] == http_request.url.path
        return draft if is_here else None

    async def start_of(self, actor: Actor | None) -> str:
        """Where somebody starts: a page that is there for them."""
        return home_of(actor, await self.menu(actor))

    async def menu(self, actor: Actor | None) -> tuple[NavItem, ...]:
        """The navigation of somebody: no entry leads to a page that the notices give them not, or leave empty."""
        items = BY_ROLE.get(actor.role, PUBLIC) if actor is not None else PUBLIC
        return tuple([each for each in items if actor is None or await self._leads(actor, each)])

    async def _leads(self, actor: Actor, item: NavItem) -> bool:
        """Whether an entry leads to something."""
        policy = self.rooms.policy
        if item.needs and not any(policy.grants(actor.role, need) for need in item.needs):
            return False
        if item.where and not policy.is_granted(item.where):
            return False
        if item.is_of_lists and not any(each.activities for each in (await self.rooms.contacts.origins()).values()):
            return False
        return not item.purpose or await policy.may(actor, item.needs[0], of_organisation(actor), item.purpose)

    async def _nav(self, actor: Actor | None) -> tuple[NavItem, ...]:
        items = await self.menu(actor)
        counts = await self.counts(actor) if actor is not None and self.counts is not None else {}
        return tuple(replace(item, count=counts.get(item.href, 0)) for item in items)

    async def _frame(
        self, http_request: Request, visitor: Visitor, title: str, here: str, standing: Standing | None
    ) -> Frame:
        actor = visitor.actor
        is_staff = actor is not None and actor.kind == "user"
        version = await self.version(actor)
        deployment = version.notice.head.deployment if version else DEPLOYMENT
        cookies = cookies_of(version.notice) if version else ()
        contact = contact_for_privacy([version.notice]) if version is not None else None
        theme = cookie(http_request, THEME_COOKIE)
        return Frame(
            title=title,
            deployment=deployment,
            place=actor.organisation if actor is not None and is_staff else deployment,
            density="is-work" if is_staff else "is-read",
            nav=await self._nav(actor),
            here=here,
            path=http_request.url.path,
            address=address_of(http_request),
            until=clock.now() + (IDLE_OF_STAFF if is_staff else IDLE_OF_PATIENT) if actor is not None else None,
            theme=theme if theme in THEMES and THEME_COOKIE in cookies else "",
            can_choose_theme=THEME_COOKIE in cookies,
            cookie_clause=_cookie_clause(version.notice) if version else "",
            person=actor.name if actor is not None else "",
            token=visitor.token,
            standing=standing,
            notice_number=version.number if version else 0,
            notice_query=query_of(version, actor),
            zone=words.time_of_zone(),
            contact=contact.ways if contact is not None else "",
        )

    async def let_in(self, begun: Session | Challenge) -> Response:
        """Back to what one had typed or to one's own page, or on to the second factor that is owed."""
        onward = "/second-step" if isinstance(begun, Challenge) else await self.onward(begun.actor)
        return self.with_session(go(onward), begun)

    def with_session(self, answer: Response, session: Session | Challenge | Enrolled | Asked) -> Response:
        """Set the cookie of a session, or of a sign-in that has yet to prove something.

        For this host only, out of reach of scripts and of other sites' forms.
        """
        answer.set_cookie(
            session_name(self.rooms.settings.is_https),
            session.token,
            max_age=max(int((session.expires_at - clock.now()).total_seconds()), 1),
            path="/",
            httponly=True,
            samesite="lax",
            secure=self.rooms.settings.is_https,
        )
        return answer

    def without_session(self, answer: Response) -> Response:
        """Take the session cookie away."""
        is_https = self.rooms.settings.is_https
        name = session_name(is_https)
        answer.delete_cookie(name, path="/", secure=is_https, httponly=True, samesite="lax")
        return answer


def is_local(address: str) -> bool:
    """Whether an address leads to one of our own pages: a path, and nothing that a browser takes for a host."""
    return address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()


def address_of(http_request: Request) -> str:
    """The page somebody is at, with its query; after a form was sent, the page the form stood on."""
    sent = getattr(http_request.state, "here", "")
    if sent and is_local(sent) and len(sent) <= MOST_ADDRESS:
        return str(sent)
    query = http_request.url.query
    asked = "&".join(each for each in query.split("&") if each and not each.startswith((f"{KEPT}=", "told=")))
    return http_request.url.path + (f"?{asked}" if asked else "")


def go(path: str) -> RedirectResponse:
    """Lead on to another page, by GET."""
    return RedirectResponse(path, 303)


def id_of(http_request: Request, name: str = "id") -> UUID:
    """The id in a path.

    Raises:
        NotFound: It is none: the same answer as for one that is not there.
    """
    return forms.as_uuid(http_request.path_params[name])


def of_subject(actor: Actor) -> Target:
    """The patient's own record as a target."""
    return Target("subject", actor.subject_id, actor.tenant, actor.subject_id)


def of_organisation(actor: Actor) -> Target:
    """The actor's own organisation as a target."""
    return Target("organisation", actor.tenant, actor.tenant)


def audience_of(actor: Actor | None, current: Sequence[NoticeVersion]) -> str:
    """The audience somebody belongs to; where there is nothing for them, the first that there is something for.

    Who is not signed in reads what patients read, unless visitors have a notice of their own.

    Args:
        actor: Who reads; None for whoever is not signed in.
        current: The versions in force.
    """
    usual = READERS.get(actor.kind if actor is not None else "", "patients")
    if actor is None and any("visitors" in each.notice.audiences for each in current):
        together = any({"visitors", "patients"} <= set(each.notice.audiences) for each in current)
        usual = "patients" if together else "visitors"
    known = {each for version in current for each in version.notice.audiences}
    return next((each for each in (usual, *AUDIENCES_HERE) if each in known), usual)


def version_for(current: Sequence[NoticeVersion], actor: Actor | None, region: str) -> NoticeVersion | None:
    """The notice that applies to somebody, or None where none does. What others add to it is on its page.

    Args:
        current: The versions in force.
        actor: Who reads; None for whoever is not signed in.
        region: ISO 3166 code of where they live; empty when nobody knows.
    """
    audience = audience_of(actor, current)
    found = applying([version.notice for version in current], audience, region)
    base = next((notice for notice in found if not notice.head.supplements), None)
    return next((version for version in current if version.notice is base), None)


def query_of(version: NoticeVersion | None, actor: Actor | None) -> str:
    """The query that opens somebody's own part of the notice; empty where it opens by itself."""
    if version is None or actor is None or actor.kind != "user":
        return ""
    return f"?for={audience_of(actor, [version])}"


def cookies_of(notice: Notice) -> tuple[str, ...]:
    """Names of the cookies that a notice states; no other is ever set."""
    return tuple(
        stated.name for clause in notice.all("cookie") if isinstance(clause, Cookies) for stated in clause.cookies
    )


def clauses_of(notice: Notice | None, kind: str, **terms: Any) -> tuple[str, ...]:
    """Ids of the clauses of a kind whose terms are these.

    Args:
        notice: The notice in force.
        kind: Kind of clause, such as `logging`.
        **terms: Terms and their values, such as `right="access"`.
    """
    found = notice.all(kind) if notice is not None else ()
    return tuple(
        clause.id for clause in found if all(getattr(clause, name, None) == value for name, value in terms.items())
    )


def _cookie_clause(notice: Notice) -> str:
    return next(iter(clauses_of(notice, "cookie")), "")


def _standing(actor: Actor | None, permit: Permit | None, recorded: str) -> Standing | None:
    if actor is None:
        return None
    if permit is None:
        return standing_of(actor, "", (), recorded or "What is done here is written to the log")
    return standing_of(actor, permit.purpose, permit.clauses, recorded)
