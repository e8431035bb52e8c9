"""Where the link of a message that advertises leads: one press ends such messages, without signing in (RFC 8058)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from troth.doors.web import forms
from troth.doors.web.desk import Desk, go
from troth.doors.web.render import Page
from troth.kit.errors import NotFound
from troth.people import Said
from troth.policy import Actor, Permit

PURPOSES = ("rights", "own_access")
ONE_CLICK = "List-Unsubscribe"
"""The field that a mail program sends by itself (RFC 8058 3.1)."""


@dataclass(frozen=True, slots=True)
class UnsubscribePage:
    """What the messages are about, and whether they come.

    Attributes:
        says: The activity, in the words of the notice.
        is_stopped: They are stopped now.
    """

    link: str
    says: str
    clause: str
    is_stopped: bool


class UnsubscribePages:
    """Handlers for the link in messages that advertise.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ask(self, http_request: Request) -> Response:
        """What the link is about, with a button: opening it changes nothing, so that no scanner of mail does."""
        actor, purpose = await self._reader(http_request)
        permit = await self._permit(actor)
        choices, holder_id = self._desk.rooms.choices, _own(actor)
        version, clause = await choices.clause_for(await choices.holder(permit, holder_id), "purpose", purpose)
        standing = await choices.of_holder(permit, holder_id)
        stopped = any((each.kind, each.key, each.state) == ("objection", purpose, "granted") for each in standing)
        link = str(http_request.path_params["link"])
        view = UnsubscribePage(link, clause.sentence(version.notice), clause.id, stopped)
        visitor = await self._desk.visitor(http_request)
        return await self._desk.page(http_request, visitor, "Messages", Page("public/unsubscribe.html", view))

    async def press(self, http_request: Request) -> Response:
        """End the messages, or let them come again. A mail program that presses is answered in a word."""
        actor, purpose = await self._reader(http_request)
        fields = await forms.read(http_request)
        permit, choices = await self._permit(actor), self._desk.rooms.choices
        if fields.get("act") == "again":
            await choices.withdraw_objection(permit, _own(actor), purpose, Said("page"))
        else:
            is_by_program = ONE_CLICK in fields
            await choices.object_to(permit, _own(actor), purpose, Said("mail" if is_by_program else "page"))
            if is_by_program:
                return PlainTextResponse("Stopped\n")
        return go(f"/stop/{http_request.path_params['link']}")

    async def _reader(self, http_request: Request) -> tuple[Actor, str]:
        found = await self._desk.rooms.choices.reader_of_link(str(http_request.path_params["link"]))
        if found is None:
            raise NotFound
        return found

    async def _permit(self, actor: Actor) -> Permit:
        return await self._desk.permit_on_oneself(actor, "choose", PURPOSES)


def _own(actor: Actor) -> UUID:
    own = actor.subject_id or actor.id
    assert own is not None
    return own
