"""Images that were found damaged: which, since when, and what makes them whole. No scan and no name is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web.desk import Desk, of_organisation
from troth.doors.web.render import Page

PURPOSE = "administration"
RECORDED = "When an image is found damaged, and when it is whole again, is written to the log"
_MOST = 500
_WHATS: Mapping[str, str] = {
    "object-missing": "Its bytes are not where they were put",
    "seal-broken": "Its bytes were changed",
    "digest-differs": "Its bytes are not those that were stored",
    "length-differs": "It is longer or shorter than what was stored",
    "row-differs": "It says that it is another image than we know it as",
    "key-lost": "Its key is not there any more",
}


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """Damaged images of one study."""

    study_uid: str
    stored_at: datetime
    modality: str
    images: tuple[tuple[str, str], ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class DamagedPage:
    """What is damaged, by study."""

    rows: tuple[DamagedRow, ...]
    images: int
    is_cut: bool


class DamagedPages:
    """Handler for the administrators of an organisation.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def damaged(self, http_request: Request) -> Response:
        """What is damaged, and what to do."""
        visitor, actor = await self._desk.signed_in(http_request, "admin")
        permit = await self._desk.permit(actor, "administer", of_organisation(actor), PURPOSE)
        found = await self._desk.rooms.archive.upkeep.damaged(permit, limit=_MOST)
        by_study: dict[str, list[int]] = {}
        for number, each in enumerate(found):
            by_study.setdefault(each.study_uid, []).append(number)
        rows = []
        for study_uid, numbers in by_study.items():
            those = [found[number] for number in numbers]
            rows.append(
                DamagedRow(
                    study_uid=study_uid,
                    stored_at=min(each.stored_at for each in those),
                    modality=", ".join(sorted({each.modality for each in those if each.modality})),
                    images=tuple((each.instance_uid, _WHATS.get(each.what, each.what)) for each in those),
                    since=min(each.found_at for each in those),
                )
            )
        view = DamagedPage(tuple(rows), len(found), len(found) >= _MOST)
        return await self._desk.page(
            http_request, visitor, "Damaged images", Page("admin/damaged.html", view),
            here="/admin/damaged", permit=permit, recorded=RECORDED,
        )  # fmt: skip
