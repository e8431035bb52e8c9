"""Routes of the pages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from troth.doors.web import assets, convertors
from troth.doors.web.admin.damaged import DamagedPages
from troth.doors.web.admin.factors import MemberFactorPages
from troth.doors.web.admin.numbers import NumberPages
from troth.doors.web.admin.people import PeoplePages
from troth.doors.web.admin.person import PersonPages
from troth.doors.web.admin.systems import SystemPages
from troth.doors.web.clinic.care import CarePages
from troth.doors.web.clinic.conflicts import ConflictPages
from troth.doors.web.clinic.correct import CorrectPages
from troth.doors.web.clinic.emergency import EmergencyPages
from troth.doors.web.clinic.invite import InvitePages
from troth.doors.web.clinic.studies import StudyPages
from troth.doors.web.compression import Compression
from troth.doors.web.desk import Desk
from troth.doors.web.documents import CLINIC_DOCUMENTS, OWN_DOCUMENTS, DocumentPages
from troth.doors.web.faults import FaultPages
from troth.doors.web.lists.pages import ListPages
from troth.doors.web.middleware import Guard
from troth.doors.web.office.breaches import BreachPages
from troth.doors.web.office.corrections import CorrectionsPages
from troth.doors.web.office.decisions import DecisionPages
from troth.doors.web.office.exchange import PLATFORM_PAGES, PLATFORM_REGISTERS, REGISTERS, ExchangePages
from troth.doors.web.office.holds import HoldPages
from troth.doors.web.office.messages import MessagePages
from troth.doors.web.office.patients import MergePages
from troth.doors.web.office.proposing import ProposingPages
from troth.doors.web.office.publishing import PublishingPages
from troth.doors.web.office.requests import OfficePages
from troth.doors.web.office.waiting import WaitingPages
from troth.doors.web.own.account import AccountPages
from troth.doors.web.own.entry import EntryPages
from troth.doors.web.own.factors import FactorPages
from troth.doors.web.patient.asking import AskingPages
from troth.doors.web.patient.choices import ChoicePages
from troth.doors.web.patient.given import GivenPages
from troth.doors.web.patient.home import PatientPages
from troth.doors.web.patient.pictures import PicturePages
from troth.doors.web.ports import Rooms
from troth.doors.web.public.doors import Doors
from troth.doors.web.public.log import LogPages
from troth.doors.web.public.mail_code import MailCode
from troth.doors.web.public.notice import NoticePages
from troth.doors.web.public.recipients import RecipientPages
from troth.doors.web.public.second_step import SecondStep
from troth.doors.web.public.unsubscribe import UnsubscribePages
from troth.doors.web.public.versions import VersionPages
from troth.doors.witness import CookieWitness
from troth.kit.errors import TrothError, Unavailable
from troth.kit.postgres import is_full

BOTH = ["GET", "POST"]
_HEALTH_SECONDS = 3.0


def create(rooms: Rooms, dicomweb: ASGIApp | None = None, rest: ASGIApp | None = None) -> Starlette:
    """Make the application of the pages.

    Args:
        rooms: What the platform gives this door.
        dicomweb: The DICOMweb door, mounted under `/dicomweb` on this origin too.
        rest: The REST door, mounted under `/api`.

    Returns:
        An ASGI application.
    """
    desk = Desk(rooms, has_images=dicomweb is not None)
    desk.counts = WaitingPages(desk).counts
    faults = FaultPages(desk)
    mounted: list[BaseRoute] = [*routes(desk), Route("/static/{edition}/{name:path}", assets.serve)]
    # First: a viewer asks for hundreds of frames in a second, and each route before is looked at for each.
    if rest is not None:
        mounted.insert(0, Mount("/api", app=rest))
    if dicomweb is not None:
        mounted.insert(0, Mount("/dicomweb", app=dicomweb))
    settings = rooms.settings
    guard = Middleware(Guard, origin=settings.http_url, viewer_origin=settings.viewer_origin)
    return Starlette(
        routes=mounted,
        middleware=[Middleware(CookieWitness, tell=rooms.runs.saw_cookie), guard, Middleware(Compression)],
        exception_handlers={TrothError: faults.known, HTTPException: faults.http},
    )


def routes(desk: Desk) -> list[BaseRoute]:
    """The routes of the pages.

    Args:
        desk: What every handler works with.
    """
    convertors.register()
    return [
        *_public(desk),
        *_patient(desk),
        *_staff(desk),
        *_choices(desk),
        *_exchange(desk),
        *_access(desk),
        *_care(desk),
        *_lists(desk),
    ]


def _public(desk: Desk) -> list[BaseRoute]:
    doors, notice, versions, unsubscribe = Doors(desk), NoticePages(desk), VersionPages(desk), UnsubscribePages(desk)
    second, log, codes = SecondStep(desk), LogPages(desk), MailCode(desk)
    return [
        Route("/", doors.start),
        Route("/notice", notice.notice),
        Route("/ledger/checkpoint", log.checkpoint),
        Route("/ledger/key", log.key),
        Route("/ledger/consistency", log.consistency),
        Route("/ledger/check", log.check),
        Route("/ledger/check_my_list.js", log.script),
        Route("/ledger/check_my_list.py", log.program),
        Route("/ledger/tile/{level}/{index:path}", log.tile),
        Route("/notice/versions", versions.versions),
        Route("/notice/versions/{number:version}/changes", versions.changes),
        Route("/notice/register", versions.register),
        Route("/notice/register.csv", versions.register_csv),
        Route("/notice/register.jsonld", versions.register_jsonld),
        Route("/notice/versions/{number:version}", notice.notice),
        Route("/promises", notice.promises),
        Route("/sign-in", doors.sign_in, methods=BOTH),
        Route("/sign-in/sent", codes.sent, methods=BOTH),
        Route("/sign-in/passkey", codes.passkey, methods=["POST"]),
        Route("/sign-in/passkey/ask", codes.ask_passkey, methods=["POST"]),
        Route("/sign-in/{secret}", doors.enter, methods=BOTH),
        Route("/second-step", second.step, methods=BOTH),
        Route("/second-step/again", second.again, methods=["POST"]),
        Route("/second-step/app", second.app, methods=BOTH),
        Route("/second-step/passkey", second.passkey, methods=BOTH),
        Route("/second-step/passkey/ask", second.ask_passkey, methods=["POST"]),
        Route("/sign-out", doors.sign_out, methods=["POST"]),
        Route("/invitation", doors.invitation, methods=BOTH),
        Route("/invitation/{secret}", doors.register, methods=BOTH),
        Route("/stop/{link}", unsubscribe.ask),
        Route("/stop/{link}", unsubscribe.press, methods=["POST"]),
        Route("/theme", doors.theme, methods=["POST"]),
        Route("/robots.txt", _robots),
        Route("/health", _health(desk)),
    ]


def _patient(desk: Desk) -> list[BaseRoute]:
    pages, pictures, asking = PatientPages(desk), PicturePages(desk), AskingPages(desk)
    documents = DocumentPages(desk, OWN_DOCUMENTS)
    return [
        Route("/scans", pages.home),
        Route("/scans/{id}", pages.study),
        Route("/scans/{id}/images", pictures.pictures),
        Route("/scans/{id}/documents", documents.documents),
        Route("/scans/{id}/cover", pictures.cover),
        Route("/scans/{id}/open", pages.open),
        Route("/looked", pages.looked),
        Route("/looked/list.json", pages.own_list),
        Route("/requests", asking.requests),
        Route("/requests", asking.send, methods=["POST"]),
        Route("/requests/new", asking.ask),
        Route("/requests/{id}", asking.request),
        Route("/requests/{id}/copy", asking.copy),
        Route("/requests/{id}/certificate", asking.certificate),
    ]


def _choices(desk: Desk) -> list[BaseRoute]:
    choices, messages = ChoicePages(desk), MessagePages(desk)
    return [
        Route("/choices", choices.choices),
        Route("/choices", choices.choose, methods=["POST"]),
        Route("/choices/stop", choices.stop),
        Route("/choices/{id}", choices.receipt),
        Route("/choices/{id}/receipt.json", choices.receipt),
        Route("/office/messages", messages.write),
        Route("/office/messages", messages.send, methods=["POST"]),
    ]


def _staff(desk: Desk) -> list[BaseRoute]:
    studies, invite, office = StudyPages(desk), InvitePages(desk), OfficePages(desk)
    publishing, proposing, conflicts = PublishingPages(desk), ProposingPages(desk), ConflictPages(desk)
    breaches = BreachPages(desk)
    waiting = WaitingPages(desk)
    return [
        Route("/studies", studies.studies),
        Route("/studies", studies.search, methods=["POST"]),
        Route("/studies/{id}/open", studies.open),
        Route("/studies/{id}/documents", DocumentPages(desk, CLINIC_DOCUMENTS).documents),
        Route("/studies/{id}/invite", invite.invite, methods=BOTH),
        Route("/office", waiting.waiting),
        Route("/office/reminder", waiting.turn, methods=["POST"]),
        Route("/office/requests", office.console),
        Route("/office/requests/{id}", office.request),
        Route("/office/notice", publishing.proposals),
        Route("/office/notice", proposing.send, methods=["POST"]),
        Route("/office/notice/new", proposing.write),
        Route("/office/notice/text", proposing.text),
        Route("/office/notice/{id}", publishing.decide, methods=["POST"]),
        Route("/office/promises", publishing.promises),
        Route("/office/promises.json", publishing.promises_json),
        Route("/office/breaches", breaches.breaches),
        Route("/office/breaches/{id}", breaches.answer, methods=["POST"]),
        Route("/admin/factors", MemberFactorPages(desk).factors, methods=BOTH),
        Route("/admin/damaged", DamagedPages(desk).damaged),
        Route("/conflicts", conflicts.conflicts),
        Route("/conflicts/{id}", conflicts.conflict, methods=BOTH),
        Route("/conflicts/{id}/pictures/{which}", conflicts.picture),
    ]


def _access(desk: Desk) -> list[BaseRoute]:
    people, systems = PeoplePages(desk), SystemPages(desk)
    return [
        Route("/admin", people.people, methods=BOTH),
        Route("/admin/invitations/{id}", people.invitation, methods=["POST"]),
        Route("/admissions/{id}", people.admission, methods=["POST"]),
        Route("/office/people", people.of_office, methods=BOTH),
        Route("/admin/people/{id}", PersonPages(desk).person, methods=BOTH),
        Route("/admin/systems", systems.systems, methods=BOTH),
        Route("/admin/systems/{id}", systems.system, methods=BOTH),
        Route("/admin/tokens", systems.issue, methods=["POST"]),
        Route("/admin/tokens/{id}", systems.revoke, methods=["POST"]),
        Route("/account/close", AccountPages(desk).close, methods=["POST"]),
        Route("/account/zone", AccountPages(desk).zone, methods=["POST"]),
        Route("/account/sessions", AccountPages(desk).end_session, methods=["POST"]),
    ]


def _care(desk: Desk) -> list[BaseRoute]:
    care, emergency = CarePages(desk), EmergencyPages(desk)
    decisions, holds = DecisionPages(desk), HoldPages(desk)
    merges, numbers = MergePages(desk), NumberPages(desk)
    return [
        Route("/studies/{id}/care", care.team, methods=BOTH),
        Route("/studies/{id}/correct", CorrectPages(desk).correct, methods=BOTH),
        Route("/office/corrections", CorrectionsPages(desk).find, methods=BOTH),
        Route("/admin/care", care.house, methods=BOTH),
        Route("/admin/care/{id}/end", care.end_in_house, methods=["POST"]),
        Route("/emergency", emergency.ask, methods=BOTH),
        Route("/emergency/{id}", emergency.patient),
        Route("/emergency/{id}/open", emergency.open),
        Route("/office/decisions", decisions.decisions),
        Route("/office/decisions/objections/{id}", decisions.objection, methods=["POST"]),
        Route("/office/decisions/proposals/{id}", decisions.proposal, methods=["POST"]),
        Route("/office/holds", holds.holds, methods=BOTH),
        Route("/office/holds/{id}/release", holds.release, methods=["POST"]),
        Route("/office/patients", merges.patients, methods=BOTH),
        Route("/office/patients/{id}/{other}", merges.pair, methods=BOTH),
        Route("/office/merges/{id}", merges.merge, methods=BOTH),
        Route("/admin/numbers", numbers.numbers, methods=BOTH),
        Route("/office/emergencies", decisions.emergencies),
        Route("/office/emergencies/{id}", decisions.review, methods=["POST"]),
    ]


def _lists(desk: Desk) -> list[BaseRoute]:
    lists, own = ListPages(desk), AccountPages(desk)
    return [
        Route("/account", own.account),
        Route("/viewer-entry", EntryPages(desk).entry),
        Route("/account/factors", FactorPages(desk).factors, methods=BOTH),
        Route("/account/copy.json", own.copy),
        Route("/account/support", own.support, methods=["POST"]),
        Route("/lists", lists.lists, methods=BOTH),
        Route("/lists/contacts", lists.contacts),
        Route("/lists/due", lists.due, methods=BOTH),
        Route("/lists/accounts", lists.accounts),
        Route("/lists/{id}", lists.one, methods=BOTH),
    ]


def _exchange(desk: Desk) -> list[BaseRoute]:
    office, public, given = ExchangePages(desk), RecipientPages(desk), GivenPages(desk)
    platform = ExchangePages(desk, is_platform=True)
    return [
        Route("/recipients", public.recipients, methods=BOTH),
        Route("/do-not-sell", public.do_not_sell),
        Route("/given", given.given),
        Route("/office/recipients", office.show),
        Route("/office/transfers", office.show),
        Route("/office/instructions", office.show),
        Route("/office/disclosures", office.disclose, methods=["POST"]),
        Route("/office/orders/{id}/review", office.review, methods=["POST"]),
        *(Route(f"/office/{name}", office.add, methods=["POST"]) for name in REGISTERS),
        *(Route(f"/office/{name}/{{id}}/end", office.end, methods=["POST"]) for name in REGISTERS),
        *(Route(f"/office/platform/{page}", platform.show) for page in PLATFORM_PAGES),
        *(Route(f"/office/platform/{name}", platform.add, methods=["POST"]) for name in PLATFORM_REGISTERS),
        *(Route(f"/office/platform/{name}/{{id}}/end", platform.end, methods=["POST"]) for name in PLATFORM_REGISTERS),
    ]


def _health(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    """For a probe: 200 while this node can answer and has room to keep what comes, else 503; nothing else is said."""

    async def health(http_request: Request) -> Response:
        try:
            is_up = await asyncio.wait_for(desk.rooms.database.answers(), _HEALTH_SECONDS)
        except TimeoutError:
            is_up = False
        if is_up and await asyncio.to_thread(is_full, desk.rooms.settings.data_dir):
            return PlainTextResponse("no room\n", 503, {"Retry-After": str(Unavailable.retry_seconds)})
        if is_up:
            return PlainTextResponse("up\n")
        return PlainTextResponse("not ready\n", 503, {"Retry-After": str(Unavailable.retry_seconds)})

    return health


async def _robots(http_request: Request) -> Response:
    """Only what is said to everybody is for search engines."""
    allowed = ("/notice", "/promises", "/recipients", "/do-not-sell")
    lines = ["User-agent: *", *(f"Allow: {path}" for path in allowed), "Disallow: /"]
    return PlainTextResponse("\n".join(lines) + "\n")
