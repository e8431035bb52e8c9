"""From the pages to the viewer, which has a host name and a cookie of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web.desk import Desk
from troth.doors.web.render import Page
from troth.kit.errors import NotFound

ROLES: Final = ("patient", "clinician", "referrer", "office", "admin")
_UID: Final = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True, slots=True)
class EntryPage:
    """A form that is sent to the viewer.

    Attributes:
        action: Where to.
        secret: Lets it in once, for a minute.
        study: What is opened: a Study Instance UID.
    """

    action: str
    secret: str
    study: str


class EntryPages:
    """Handler for the way to the viewer.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def entry(self, http_request: Request) -> Response:
        """A page with one button, which a script presses: what lets the viewer in stands in no address."""
        visitor, actor = await self._desk.signed_in(http_request, *ROLES)
        study = http_request.query_params.get("study", "")
        if not _UID.fullmatch(study):
            raise NotFound
        rooms = self._desk.rooms
        view = EntryPage(f"{rooms.settings.viewer_origin}/enter", await rooms.people.hand_over(actor), study)
        answer = await self._desk.page(http_request, visitor, "To the pictures", Page("own/entry.html", view))
        # The viewer looks where the form comes from; under our usual policy browsers would not say it.
        answer.headers["Referrer-Policy"] = "strict-origin"
        return answer
