"""Messages to a person of the organisation, each for a purpose of the notice: what they chose is heeded."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import forms
from troth.doors.web.desk import Desk, Visitor, go, of_organisation
from troth.doors.web.forms import Fault
from troth.doors.web.render import Page
from troth.kit.errors import Unprocessable
from troth.notice import Purpose
from troth.people import message_to
from troth.policy import Actor

PURPOSE = "rights"
RECORDED = "Each message is written to the log first, and so is each that was refused"
ACTION = "send_message"


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a list to pick from."""

    value: str
    label: str
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Writing a message."""

    people: tuple[Choice, ...]
    purposes: tuple[Choice, ...]
    is_sent: bool
    faults: tuple[Fault, ...] = ()


class MessagePages:
    """Handlers for messages.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def write(self, http_request: Request) -> Response:
        """The form."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        return await self._page(http_request, visitor, actor, is_sent="sent" in http_request.query_params)

    async def send(self, http_request: Request) -> Response:
        """Send one message; the decision about it is made for this person, this purpose and this moment."""
        visitor, actor = await self._desk.signed_in(http_request, "office")
        fields = await self._desk.sent(http_request, visitor)
        title, text = fields.get("title", ""), fields.get("text", "")
        if not title or not text:
            fault = Fault("title" if not title else "text", "Write a subject line and a message")
            return await self._page(http_request, visitor, actor, fault, is_sent=False)
        nobody = Unprocessable("Choose a person of your organisation", hint="Go back and choose again.")
        holder_id = forms.uuid(fields, "person", nobody)
        target = message_to(actor.tenant, holder_id, "email", fields.get("topic", ""))
        permit = await self._desk.permit(actor, ACTION, target, fields.get("purpose", ""))
        await self._desk.rooms.choices.send_message(permit, holder_id, title, text)
        return go("/office/messages?sent=1")

    async def _page(
        self, http_request: Request, visitor: Visitor, actor: Actor, *faults: Fault, is_sent: bool
    ) -> Response:
        permit = await self._desk.permit(actor, "see_request", of_organisation(actor), PURPOSE)
        members = await self._desk.rooms.people.users(permit)
        view = MessagePage(
            people=tuple(Choice(str(each.id), each.name) for each in members if each.is_active),
            purposes=await self._purposes(),
            is_sent=is_sent,
            faults=faults,
        )
        return await self._desk.page(
            http_request, visitor, "Write to somebody", Page("office/messages.html", view),
            here="/office/messages", permit=permit, recorded=RECORDED, status=422 if faults else 200,
        )  # fmt: skip

    async def _purposes(self) -> tuple[Choice, ...]:
        """The activities for which a notice lets somebody write."""
        found: dict[str, Choice] = {}
        for version in await self._desk.rooms.notices.versions():
            for clause in version.notice.all("purpose"):
                if isinstance(clause, Purpose) and any(ACTION in access.does for access in clause.access):
                    found.setdefault(
                        clause.key, Choice(clause.key, f"{clause.key} · {clause.sentence(version.notice)}")
                    )
        return tuple(found.values())
