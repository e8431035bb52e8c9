"""Images that contradict what is held: what waits, the two side by side, and what a person decides."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import CannotResolve, Comparison, Quarantine, QuarantineGone, Resolved
from troth.doors.web import forms, words
from troth.doors.web.clinic import conflict_views as views
from troth.doors.web.clinic.conflict_views import ConflictPage, ConflictsPage, group_row, lines_of
from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault, reason_faults
from troth.doors.web.render import Page
from troth.kit.errors import NotFound
from troth.policy import Actor, Permit

PURPOSE = "care"
RECORDED = "Comparing two images and what you decide are written to the log first"
_MOST_REASON = 500
_PICTURE = (420, 420)
_TOLD: Mapping[str, str] = {
    "kept": "It was taken in under a number of its own",
    "replaced": "The image that was held is replaced",
    "kept-all": "They were taken in under numbers of their own",
    "discarded": "It was destroyed",
    "discarded-all": "They were destroyed",
    "part": "Many were taken in; the others of the study wait still, to be taken in the same way",
    "left": "Some were taken in; those that could not be wait still",
}


class ConflictPages:
    """Handlers for conflicts.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def _quarantine(self) -> Quarantine:
        return self._desk.rooms.archive.quarantine

    async def conflicts(self, http_request: Request) -> Response:
        """What is kept apart."""
        visitor, _, permit = await self._begin(http_request)
        groups = await self._quarantine.groups(permit)
        view = ConflictsPage(
            rows=tuple(group_row(group) for group in groups),
            images=sum(group.instances for group in groups),
            is_cut=len(groups) >= self._quarantine.most_groups,
            told=_TOLD.get(http_request.query_params.get("told", ""), ""),
        )
        page = Page("clinic/conflicts.html", view)
        return await self._desk.page(
            http_request, visitor, "Images in conflict", page, here="/conflicts", permit=permit, recorded=RECORDED
        )

    async def conflict(self, http_request: Request) -> Response:
        """One image beside what it contradicts; deciding about it, or about all of its study."""
        visitor, actor, permit = await self._begin(http_request)
        quarantined_id = id_of(http_request)
        if not forms.is_sent(http_request):
            return await self._page(http_request, visitor, actor, permit, {})
        fields = await self._desk.sent(http_request, visitor)
        faults = _faults(fields)
        if faults:
            return await self._page(http_request, visitor, actor, permit, fields, *faults)
        is_all = fields.get("scope") == "all"
        onward = await self._next(permit, quarantined_id, is_all=is_all)
        try:
            if fields["act"] == "discard":
                await self._quarantine.discard(permit, quarantined_id, is_whole_group=is_all)
                return go(f"{onward}?told=discarded{'-all' if is_all else ''}")
            if fields["act"] == "replace":
                held = await self._on_held(actor, permit, quarantined_id)
                if held is None:
                    raise CannotResolve
                await self._quarantine.replace(permit, held, quarantined_id, fields["reason"])
                return go(f"{onward}?told=replaced")
            resolved = await self._quarantine.keep_as_new(permit, quarantined_id, is_whole_group=is_all)
        except CannotResolve as refused:
            return await self._page(http_request, visitor, actor, permit, fields, Fault("", refused.detail))
        if resolved.left or resolved.more:
            return await self._left(http_request, visitor, actor, permit, resolved)
        return go(f"{onward}?told=kept{'-all' if is_all else ''}")

    async def picture(self, http_request: Request) -> Response:
        """The first frame of one of the two."""
        _, actor, permit = await self._begin(http_request)
        which = http_request.path_params["which"]
        if which not in ("kept", "held"):
            raise NotFound
        quarantined_id = id_of(http_request)
        held = await self._on_held(actor, permit, quarantined_id)
        content = await self._quarantine.picture(permit, quarantined_id, held, which, _PICTURE)
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})

    async def _begin(self, http_request: Request) -> tuple[Visitor, Actor, Permit]:
        visitor, actor = await self._desk.signed_in(http_request, "clinician")
        return visitor, actor, await self._desk.permit(actor, "resolve", of_organisation(actor), PURPOSE)

    async def _on_held(self, actor: Actor, permit: Permit, quarantined_id: UUID) -> Permit | None:
        """The permit for what is held; None where the notice does not let this reader see it."""
        against = await self._quarantine.against(permit, quarantined_id)
        if not await self._desk.rooms.policy.may(actor, "resolve", against.target, PURPOSE):
            return None  # nobody tried to see it: the page leaves it out
        return await self._desk.permit(actor, "resolve", against.target, PURPOSE)

    async def _next(self, permit: Permit, quarantined_id: UUID, *, is_all: bool) -> str:
        """Where to go on: another one of the same study, or the list."""
        others = await self._quarantine.beside(permit, quarantined_id)
        return f"/conflicts/{others[0]}" if others and not is_all else "/conflicts"

    async def _left(
        self, http_request: Request, visitor: Visitor, actor: Actor, permit: Permit, resolved: Resolved
    ) -> Response:
        """Some of a study could not be taken in, or one call does not reach them all."""
        if not resolved.left:
            return go("/conflicts?told=part")
        told = f"{resolved.done} taken in, {resolved.left} could not be: {resolved.why}"
        try:
            return await self._page(http_request, visitor, actor, permit, {}, Fault("", told))
        except QuarantineGone:
            return go("/conflicts?told=left")

    async def _page(
        self, http_request: Request, visitor: Visitor, actor: Actor, permit: Permit, fields: Mapping[str, str],
        *faults: Fault,
    ) -> Response:  # fmt: skip
        quarantined_id = id_of(http_request)
        held = await self._on_held(actor, permit, quarantined_id)
        comparison = await self._quarantine.compare(permit, quarantined_id, held)
        view = _view(comparison, fields, faults, _TOLD.get(http_request.query_params.get("told", ""), ""))
        return await self._desk.page(
            http_request, visitor, "Images in conflict", Page("clinic/conflict.html", view),
            here="/conflicts", permit=permit, recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip


def _view(comparison: Comparison, fields: Mapping[str, str], faults: tuple[Fault, ...], told: str) -> ConflictPage:
    reason, path = comparison.group.reason, f"/conflicts/{comparison.id}"
    pixels = ""
    if comparison.are_pixels_same is not None:
        pixels = "The pixels are the same." if comparison.are_pixels_same else "The pixels differ."
    return ConflictPage(
        heading=views.HEADINGS[reason],
        what=views.WHATS[reason],
        cause=views.CAUSES[reason],
        takes=views.TAKES[reason],
        action=path,
        place=comparison.place,
        total=comparison.group.instances,
        before_href=f"/conflicts/{comparison.before_id}" if comparison.before_id else "",
        after_href=f"/conflicts/{comparison.after_id}" if comparison.after_id else "",
        sender=words.sender(comparison.group.sender),
        received_at=comparison.received_at,
        ends_at=comparison.group.ends_at,
        is_held=comparison.group.is_held,
        lines=lines_of(comparison),
        has_held=comparison.held is not None,
        held_title="Held now" if reason == "duplicate-differs" else "Held now, first image",
        differing=comparison.differing,
        pixels=pixels,
        kept_picture=f"{path}/pictures/kept",
        held_picture=f"{path}/pictures/held" if comparison.held is not None else "",
        can_replace=comparison.can_replace,
        told=told,
        reason=fields.get("reason", ""),
        faults=faults,
    )


def _faults(fields: Mapping[str, str]) -> tuple[Fault, ...]:
    act = fields.get("act", "")
    if act not in ("keep", "replace", "discard"):
        return (Fault("", "Choose what becomes of it"),)
    if act == "discard" and fields.get("sure") != "yes":
        return (Fault("sure", "Confirm that it goes for good"),)
    return reason_faults(fields.get("reason", ""), _MOST_REASON) if act == "replace" else ()
