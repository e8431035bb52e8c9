"""Requests of the patient: starting one, following it, taking what comes of it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from troth.doors.web import forms, requested, words
from troth.doors.web.desk import Desk, Visitor, clauses_of, go, id_of, of_subject
from troth.doors.web.forms import Fault
from troth.doors.web.patient.views import Ask, AskPage, Choice, CopyView, RequestLine, RequestPage, RequestsPage
from troth.doors.web.render import Page
from troth.kit import clock
from troth.kit.errors import NotFound, Unprocessable
from troth.policy import Actor, Permit, Target
from troth.rights import Item, Outcome, RequestNotFound, Right, RightsRequest

RIGHTS = "rights"
OWN = "own_access"
RECORDED = "What you ask is written down, and so is every step of the answer"
SURE = "erase"
HEADINGS = {"access": "A copy of everything", "erase": "Erase something"}


class AskingPages:
    """Handlers for requests of the patient.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def requests(self, http_request: Request) -> Response:
        """All own requests."""
        visitor, actor = await self._desk.signed_in(http_request, "patient")
        permit = await self._desk.permit(actor, "see_request", of_subject(actor), OWN)
        assert actor.subject_id is not None
        held = requested.by_urgency(await self._desk.rooms.rights.of_subject(permit, actor.subject_id))
        view = RequestsPage(
            tuple(request_line(each) for each in held),
            asks(None, "Get a copy", "Erase something"),
            requested.is_live(*held),
        )
        return await self._page(http_request, visitor, "Your requests", Page("patient/requests.html", view), permit)

    async def request(self, http_request: Request) -> Response:
        """One own request with its clock, steps and outcomes."""
        visitor, actor = await self._desk.signed_in(http_request, "patient")
        permit, held = await self._own(actor, id_of(http_request), "see_request", OWN)
        page = Page("patient/request.html", request_page(held))
        return await self._page(http_request, visitor, f"Request {held.reference}", page, permit)

    async def ask(self, http_request: Request) -> Response:
        """What asking would mean: what one gets, or what goes for good and what stays. Nothing happens here."""
        visitor, actor = await self._desk.signed_in(http_request, "patient")
        kind = http_request.query_params.get("right", "")
        chosen = http_request.query_params.getlist("study")
        whole = "everything" in http_request.query_params
        is_looking = whole or "look" in http_request.query_params
        return await self._ask_page(
            http_request, visitor, actor, kind, chosen, is_looking=is_looking, is_everything=whole
        )

    async def send(self, http_request: Request) -> Response:
        """Take a request."""
        visitor, actor = await self._desk.signed_in(http_request, "patient")
        fields = await self._desk.sent(http_request, visitor)
        kind = fields.get("right", "")
        chosen = [value for name, value in fields.items() if name.startswith("study-")]
        whole = kind == "erase" and fields.get("everything") == "yes"
        if kind == "erase" and fields.get("sure", "").strip().strip("“”\"'").lower() != SURE:
            fault = Fault("sure", f"Write the word {SURE}, or keep everything")
            return await self._ask_page(
                http_request, visitor, actor, kind, chosen, fault, is_looking=True, is_everything=whole
            )
        if kind not in HEADINGS:
            raise Unprocessable("This cannot be asked for here", hint="Write to the contact named in the notice.")
        permit = await self._desk.permit(actor, "open_request", of_subject(actor), RIGHTS)
        assert actor.subject_id is not None
        none = Unprocessable("Choose at least one scan of your own", hint="Go back and choose again.")
        study_ids = [forms.as_uuid(each, none) for each in chosen] if kind == "erase" and not whole else None
        made = await self._desk.rooms.rights.open(
            permit, Right(kind), actor.subject_id, study_ids=study_ids, everything=whole
        )
        return go(f"/requests/{made.id}")

    async def copy(self, http_request: Request) -> Response:
        """The copy itself; that it is taken is written before the first byte leaves."""
        _, actor = await self._desk.signed_in(http_request, "patient")
        await self._desk.require_fresh(actor)
        permit, held = await self._own(actor, id_of(http_request), "copy", RIGHTS)
        name, length_bytes, chunks = await self._desk.rooms.rights.copy_stream(permit, held.id)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(length_bytes),
            "Cache-Control": "no-store",
        }
        return StreamingResponse(chunks, media_type="application/zip", headers=headers)

    async def certificate(self, http_request: Request) -> Response:
        """The signed certificate of an erasure, with all that is needed to check it elsewhere."""
        _, actor = await self._desk.signed_in(http_request, "patient")
        permit, held = await self._own(actor, id_of(http_request), "see_request", OWN)
        signed = await self._desk.rooms.rights.certificate(permit, held.id)
        content = {
            "certificate": signed.text.decode(),
            "signature": b64encode(signed.signature).decode(),
            "public_key": b64encode(signed.public_key).decode(),
            "algorithm": "Ed25519 over the UTF-8 text of certificate",
        }
        headers = {"Content-Disposition": f'attachment; filename="{held.reference}-certificate.json"'}
        return Response(json.dumps(content, indent=1), media_type="application/json", headers=headers)

    async def _own(self, actor: Actor, request_id: UUID, action: str, purpose: str) -> tuple[Permit, RightsRequest]:
        """One request of the actor, and the permit for an act on it; somebody else's is not there."""
        seeing = await self._desk.permit(actor, "see_request", of_subject(actor), OWN)
        assert actor.subject_id is not None
        mine = await self._desk.rooms.rights.of_subject(seeing, actor.subject_id)
        held = next((each for each in mine if each.id == request_id), None)
        target = Target("request", held.id if held else None, actor.tenant, actor.subject_id if held else None)
        permit = await self._desk.permit(actor, action, target, purpose)
        if held is None:
            raise RequestNotFound
        return permit, held

    async def _ask_page(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        kind: str,
        chosen: Sequence[str],
        *faults: Fault,
        is_looking: bool,
        is_everything: bool = False,
    ) -> Response:
        version = await self._desk.version(actor)
        if kind not in HEADINGS or version is None:
            raise NotFound
        permit = await self._desk.permit(actor, "open_request", of_subject(actor), RIGHTS)
        assert actor.subject_id is not None
        choices: tuple[Choice, ...] = ()
        has_copy = False
        if kind == "erase":
            items = await self._desk.rooms.rights.preview_erasure(permit, actor.subject_id)
            choices = tuple(_choice(item, [str(item.target_id)] if is_everything else chosen) for item in items)
            seeing = await self._desk.permit(actor, "see_request", of_subject(actor), OWN)
            mine = await self._desk.rooms.rights.of_subject(seeing, actor.subject_id)
            has_copy = any(map(requested.has_copy, mine))
        is_chosen = is_everything or any(each.is_chosen for each in choices)
        if kind == "erase" and is_looking and not is_chosen:
            faults = (*faults, Fault("", "Choose at least one scan"))
        try:
            due = version.notice.right(kind).due_at(clock.now())
        except KeyError:
            raise NotFound from None  # the notice does not grant this right
        step = "look" if is_looking and is_chosen else "choose"
        view = AskPage(
            kind=kind,
            step=step,
            heading="Erase everything" if is_everything and kind == "erase" else HEADINGS[kind],
            lead=_lead(kind, step, actor.organisation),
            terms=f"You have our answer by {words.due_day(due)} at the latest.",
            clauses=clauses_of(version.notice, "right", right=kind),
            organisation=actor.organisation,
            choices=choices,
            has_copy=has_copy,
            is_everything=is_everything and kind == "erase",
            faults=faults,
        )
        return await self._page(
            http_request, visitor, HEADINGS[kind], Page("patient/ask.html", view), permit, 422 if faults else 200
        )

    async def _page(
        self, http_request: Request, visitor: Visitor, title: str, page: Page, permit: Permit, status: int = 200
    ) -> Response:
        return await self._desk.page(
            http_request, visitor, title, page, here="/requests", permit=permit, recorded=RECORDED, status=status
        )


def asks(
    study_id: UUID | None = None, copy: str = "send a copy of everything", erase: str = "erase something"
) -> tuple[Ask, ...]:
    """What can be asked for, with its address.

    Args:
        study_id: A scan to choose beforehand.
        copy: What the link to a copy says.
        erase: What the link to an erasure says.
    """
    chosen = f"&study={study_id}&look=1" if study_id is not None else ""
    return Ask(copy, "/requests/new?right=access"), Ask(erase, f"/requests/new?right=erase{chosen}")


def request_line(request: RightsRequest) -> RequestLine:
    """One request of a list."""
    return RequestLine(
        reference=request.reference,
        heading=requested.heading(request.right),
        right_words=requested.ASKED[request.right],
        opened_at=request.opened_at,
        clock=requested.clock_of(request, clock.now()),
        chip=requested.chip_of(request),
        now=requested.now_words(request),
        href=f"/requests/{request.id}",
        is_open=request.is_open,
    )


def request_page(request: RightsRequest) -> RequestPage:
    """One request as who asked sees it."""
    copy = None
    if requested.has_copy(request) and request.copy_expires_at is not None:
        fingerprint = words.fingerprint(bytes.fromhex(request.copy_sha256)) if request.copy_sha256 else ""
        copy = CopyView(f"/requests/{request.id}/copy", request.copy_bytes, request.copy_expires_at, fingerprint)
    return RequestPage(
        reference=request.reference,
        heading=requested.heading(request.right),
        clauses=request.clauses,
        opened_at=request.opened_at,
        acknowledged_at=request.acknowledged_at,
        clock=requested.clock_of(request, clock.now()),
        chip=requested.chip_of(request),
        now_heading="Where it stands",
        now=requested.now_words(request),
        copy=copy,
        certificate_href=f"/requests/{request.id}/certificate" if request.certificate is not None else "",
        items_heading="What is in it" if request.right is Right.ACCESS else "What it is about",
        items=requested.items_of(request),
        items_summary=requested.summary(request),
        is_settled=requested.is_settled(request),
        steps=requested.steps_of(request),
        is_live=requested.is_live(request),
    )


def _choice(item: Item, chosen: Sequence[str]) -> Choice:
    title, _, line = item.title.partition(" · ")
    is_kept = item.outcome is Outcome.REFUSED
    note = f"Kept by law until {words.day(item.until)}." if is_kept else "No law keeps it any more."
    return Choice(
        id=item.target_id or item.id,
        title=title,
        line=line,
        note=note,
        clauses=(item.clause,) if item.clause else (),
        is_chosen=str(item.target_id) in chosen,
        is_kept=is_kept,
    )


def _lead(kind: str, step: str, organisation: str) -> str:
    leads: Mapping[tuple[str, str], Any] = {
        ("access", "choose"): f"Everything {organisation} holds about you, in one file.",
        ("erase", "choose"): "Choose what. Then you see what goes for good and what stays, before anything happens.",
        ("erase", "look"): "This is what would happen. Nothing has happened yet.",
    }
    return str(leads[kind, step])
