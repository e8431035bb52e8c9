"""Lists of people: handed over, looked through, agreed to; contacts with their source; how long they stay."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms, words
from troth.doors.web.desk import Desk, Visitor, go, id_of, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.lists import views
from troth.doors.web.render import Page
from troth.people import (
    Acceptance,
    ContactRecord,
    FieldMalformed,
    ListMalformed,
    PeopleList,
    SourceUnlisted,
)
from troth.policy import Actor, Permit

ROLES = ("office", "admin")
PURPOSE = "administration"
ACTION = "bring_people"
RECORDED = "Each list, and each look at contacts, is written to the log"
COLUMNS = "email, name, organisation, title, telephone, post, counts_from"
_STATES: Mapping[str, tuple[str, str]] = {
    "waits": ("wait", "Waits for your yes"),
    "agreed": ("open", "Is being taken in"),
    "done": ("kept", "Taken in"),
    "dropped": ("refused", "Not taken in"),
}
_PAGE = 200


class ListPages:
    """Handlers for lists of people and contacts.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def lists(self, http_request: Request) -> Response:
        """The lists, and handing another over."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        permit = await self._permit(actor)
        if not forms.is_sent(http_request):
            return await self._lists(http_request, visitor, actor, permit, {})
        typed = await self._desk.sent(http_request, visitor)
        contacts = self._desk.rooms.contacts
        try:
            made = await contacts.offer(
                permit, typed.get("source", ""), typed.get("activity", ""), typed.get("supplier", ""),
                (typed.get("file") or typed.get("list", "")).encode("utf-8", "surrogateescape"),
            )  # fmt: skip
        except (SourceUnlisted, ListMalformed, FieldMalformed) as refused:
            fault = _fault(refused, typed)
            return await self._lists(http_request, visitor, actor, permit, typed, fault)
        return go(f"/lists/{made.id}")

    async def one(self, http_request: Request) -> Response:
        """One list: what would come of it; agreeing to it, or dropping it."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        permit, list_id = await self._permit(actor), id_of(http_request)
        contacts = self._desk.rooms.contacts
        if forms.is_sent(http_request):
            act = (await self._desk.sent(http_request, visitor)).get("act", "")
            await (contacts.agree if act == "agree" else contacts.drop)(permit, list_id)
            return go(f"/lists/{list_id}")
        made, preview = await contacts.preview(permit, list_id)
        known = (await contacts.origins()).get(made.source)
        by = known.tell_by(made.made_at) if known else None
        view = views.ListPage(
            actor.organisation, _tabs(actor, "/lists"), made, _row(made), preview,
            made.activity in await contacts.contract_activities(), words.counted_day(by) if by else None,
        )  # fmt: skip
        return await self._page(http_request, visitor, f"List {made.reference}", "lists/one.html", view, permit)

    async def contacts(self, http_request: Request) -> Response:
        """Contacts with where each came from."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        permit = await self._permit(actor)
        after = http_request.query_params.get("after", "")
        records = await self._desk.rooms.contacts.records(permit, after=forms.as_uuid(after) if after else None)
        following = f"/lists/contacts?after={records[-1].id}" if len(records) == _PAGE else ""
        rows = tuple(_record(each) for each in records)
        view = views.ContactsPage(actor.organisation, _tabs(actor, "/lists/contacts"), rows, following)
        return await self._page(http_request, visitor, "Contacts", "lists/contacts.html", view, permit)

    async def due(self, http_request: Request) -> Response:
        """How long contacts stay; disposing of what is over."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        permit, contacts = await self._permit(actor), self._desk.rooms.contacts
        if forms.is_sent(http_request):
            await self._desk.sent(http_request, visitor)
            await contacts.agree_to_dispose(permit)
            return go("/lists/due")
        rows, disposals = await contacts.due(permit), await contacts.disposals(permit)
        view = views.DuePage(
            actor.organisation, _tabs(actor, "/lists/due"), tuple(rows), tuple(disposals),
            sum(each.due for each in rows), any(each.done_at is None for each in disposals),
        )  # fmt: skip
        return await self._page(http_request, visitor, "How long contacts stay", "lists/due.html", view, permit)

    async def accounts(self, http_request: Request) -> Response:
        """Which account accepted which versions."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        permit = await self._desk.permit(actor, "see_request", of_organisation(actor), "rights")
        rows = tuple(_accepted(each) for each in await self._desk.rooms.people.acceptances(permit))
        tabs = _tabs(actor, "/lists/accounts") if self._desk.rooms.policy.grants(actor.role, ACTION) else ()
        view = views.AccountsPage(actor.organisation, tabs, rows)
        return await self._page(http_request, visitor, "Accounts", "lists/accounts.html", view, permit)

    # How

    async def _lists(
        self,
        http_request: Request,
        visitor: Visitor,
        actor: Actor,
        permit: Permit,
        typed: Mapping[str, str],
        *faults: Fault,
    ) -> Response:
        contacts = self._desk.rooms.contacts
        origins = await contacts.origins()
        contracts = await contacts.contract_activities()
        sources = tuple(
            views.Pick(word, f"{word.replace('_', ' ').capitalize()} (§ {each.clause})")
            for word, each in origins.items() if each.activities
        )  # fmt: skip
        activities: dict[str, views.Pick] = {}
        for each in origins.values():
            for key in each.activities:
                clause = each.notice.find("purpose", key)
                said = clause.sentence(each.notice) if clause is not None else ""
                label = f"{words.purpose(key)} · {'under a contract' if key in contracts else said}"
                activities.setdefault(key, views.Pick(key, label))
        rows = tuple(_row(each) for each in await contacts.lists(permit))
        view = views.ListsPage(
            actor.organisation,
            _tabs(actor, "/lists"),
            rows,
            sources,
            tuple(activities.values()),
            COLUMNS,
            typed,
            faults,
        )
        return await self._page(
            http_request, visitor, "Lists of people", "lists/all.html", view, permit, 422 if faults else 200
        )

    async def _permit(self, actor: Actor) -> Permit:
        return await self._desk.permit(actor, ACTION, of_organisation(actor), PURPOSE)

    async def _page(
        self,
        http_request: Request,
        visitor: Visitor,
        title: str,
        template: str,
        view: object,
        permit: Permit,
        status: int = 200,
    ) -> Response:
        return await self._desk.page(
            http_request, visitor, title, Page(template, view), here="/lists", permit=permit, recorded=RECORDED,
            status=status,
        )  # fmt: skip


def _tabs(actor: Actor, here: str) -> tuple[views.Tab, ...]:
    pages = [("/lists", "Lists"), ("/lists/contacts", "Contacts"), ("/lists/due", "How long they stay")]
    if actor.role == "office":
        pages.append(("/lists/accounts", "Accounts"))
    return tuple(views.Tab(href, label, href == here) for href, label in pages)


def _row(each: PeopleList) -> views.ListRow:
    rings, state = _STATES[each.state]
    if each.state == "done":
        said = f"{each.added:,} new, {each.known:,} known before"
        said += f", {each.ended:,} ended" if each.kind == "staff" else ""
    elif each.state == "agreed":
        said = f"{each.taken:,} of {each.lines:,}"
    else:
        said = words.counted(each.lines, "address", "addresses")
    return views.ListRow(
        reference=each.reference,
        href=f"/lists/{each.id}",
        what="Staff of an employer" if each.kind == "staff" else "Contacts",
        source=each.source.replace("_", " "),
        clause=each.clause,
        at=each.made_at,
        rings=rings,
        state=state,
        counted=said,
    )


def _record(each: ContactRecord) -> views.RecordRow:
    if each.tell_by is None:
        rings, told = "kept", "Nobody has to be told"
    elif each.told_at is not None:
        rings, told = "kept", f"Told on {words.day(each.told_at)}, due by {words.due_day(each.tell_by)}"
    else:
        rings, told = "open", f"To be told by {words.due_day(each.tell_by)}"
    more = ", ".join(value for name, value in each.told.items() if name != "name")
    return views.RecordRow(
        name=each.told.get("name", ""),
        email=each.email,
        more=more,
        source=each.source.replace("_", " "),
        supplier=each.supplier,
        clause=each.clause,
        activity=words.purpose(each.activity),
        at=each.obtained_at,
        rings=rings,
        told=told,
        is_ended=each.ended_at is not None,
    )


def accepted_href(each: Acceptance) -> str:
    """Where a version that was accepted can be read."""
    place = f"#p{each.clause.replace('.', '-')}" if each.clause else ""
    return f"/notice/versions/{each.number}?of={each.notice}{place}"


def accepted_words(each: Acceptance) -> str:
    """What was accepted, in words."""
    if each.document == "terms":
        return f"{each.title}, edition {each.edition}"
    return f"Privacy notice {each.notice}, version {each.number}"


DOORS: Mapping[str, str] = {"invitation": "on the page of the invitation", "sign_in": "on the page of the sign-in link"}


def _accepted(each: Acceptance) -> views.AcceptedRow:
    return views.AcceptedRow(
        name=each.name or "Somebody who was erased",
        kind="patient" if each.subject_id else "works here",
        text=accepted_words(each),
        href=accepted_href(each),
        at=each.accepted_at,
        door=DOORS.get(each.door, each.door),
    )


def _fault(refused: SourceUnlisted | ListMalformed | FieldMalformed, typed: Mapping[str, str]) -> Fault:
    """What is to mend about a list that was not taken in, at the field that says it."""
    said = f"{refused.detail[:1].upper()}{refused.detail[1:]}. {refused.hint}".rstrip(". ")
    if isinstance(refused, SourceUnlisted):
        return Fault("source", said)
    if isinstance(refused, FieldMalformed):
        return Fault("supplier", said)
    return Fault("file" if typed.get("file") else "list", said)
