"""The pictures of one's own scan, one after the other: by links and a form, and quicker where a script may run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.archive import Found, Query, advice_in
from troth.doors.web import looked, words
from troth.doors.web.desk import Desk, id_of, of_subject
from troth.doors.web.documents import SOP_CLASS, kind_of
from troth.doors.web.patient import thread as threads
from troth.doors.web.render import Page
from troth.kit import numbers
from troth.kit.errors import NotFound
from troth.policy import Actor

OWN: Final = "own_access"
RECORDED: Final = "This visit is on your list"
MOST_INSTANCES: Final = 1_000
MOST_PICTURES: Final = 5_000
"""Of one part of a scan: a slide or an automatic drawing may have tens of thousands of frames."""
MOST_EDGE: Final = 1_024
"""Pixels of the longer edge of a picture that is sent; smaller ones come as they are."""
LOOKS_OF_LIST: Final = 100
BRIGHTEST: Final = 3

# DICOM PS3.6
MODALITY, SERIES_NUMBER, INSTANCE_NUMBER, FRAMES = 0x00080060, 0x00200011, 0x00200013, 0x00280008
ROWS, COLUMNS, SERIES_DESCRIPTION = 0x00280010, 0x00280011, 0x0008103E
WITHOUT_PICTURE: Final = frozenset({"SR", "PR", "KO", "SEG", "RTSTRUCT", "RTPLAN", "REG", "AU", "ECG", "DOC", "PLAN"})

WINDOWS: Final[Mapping[str, tuple[str, str]]] = {
    "": ("As the hospital set it", ""),
    "soft": ("Soft tissue", "40,400,linear"),
    "brain": ("Brain", "40,80,linear"),
    "lung": ("Lungs", "-600,1500,linear"),
    "bone": ("Bone", "480,2500,linear"),
}
"""What a CT scan can show clearly: the words, and centre and width in Hounsfield units."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: an instance without frames, or one of its frames.

    Attributes:
        path: Where the DICOMweb door draws it, without the question mark.
        edge: Pixels of its longer edge; 0 where nobody says.
    """

    path: str
    edge: int = 0

    def href(self, *, window: str = "", most_edge: int = MOST_EDGE) -> str:
        """Its address with what it shall look like."""
        asked = {"viewport": f"{most_edge},{most_edge}"} if not 0 < self.edge <= most_edge else {}
        if window:
            asked["window"] = window
        return f"{self.path}?{urlencode(asked, safe=',')}" if asked else self.path


@dataclass(frozen=True, slots=True)
class Part:
    """One series of a scan, as a person sees it."""

    title: str
    modality: str
    pictures: tuple[Picture, ...]

    @property
    def cover(self) -> str:
        """The picture that stands for it: the middle one, small."""
        return self.pictures[len(self.pictures) // 2].href(most_edge=256)


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be chosen, with its address."""

    label: str
    href: str
    is_chosen: bool = False
    cover: str = ""
    line: str = ""


@dataclass(frozen=True, slots=True)
class PicturesPage:
    """One picture with everything around it.

    Attributes:
        place: Its number, from 1.
        tune: How much brighter (or, below zero, darker) than it came.
        previous: Address of the picture before; empty at the first.
        hidden: What the form to go to a picture carries along.
        paths: All pictures of the part, for the script.
    """

    study_href: str
    viewer_href: str
    title: str
    line: str
    src: str
    place: int
    count: int
    tune: int
    previous: str
    following: str
    brighter: str
    darker: str
    reset: str
    windows: tuple[Choice, ...]
    parts: tuple[Choice, ...]
    hidden: tuple[tuple[str, str], ...]
    paths: tuple[str, ...]
    looked: str


class PicturePages:
    """Handlers for the pictures of one's own scan.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def pictures(self, http_request: Request) -> Response:
        """One picture, with the ways to the others."""
        visitor, actor = await self._desk.signed_in(http_request, "patient")
        study_id = id_of(http_request)
        query = Query(level="instance", limit=MOST_INSTANCES)
        found, permit = await self._desk.listed(actor, study_id, "retrieve", OWN, query)
        parts = parts_of(found)
        asked = http_request.query_params
        if not parts:
            return RedirectResponse(f"/scans/{study_id}?none=pictures", 303)
        study = found[0].study
        view = page_of(f"/scans/{study_id}", parts, asked)
        view = replace(
            view,
            title=words.scan(study.modalities),
            line=" · ".join(filter(None, (view.line, words.day(study.study_date), actor.organisation))),
            looked=await self._looked(actor, study_id),
        )
        page = Page("patient/pictures.html", view)
        return await self._desk.page(
            http_request, visitor, "Images of one of your scans", page, here="/scans", permit=permit, recorded=RECORDED
        )

    async def cover(self, http_request: Request) -> Response:
        """Lead to the picture that stands for a scan in the list of them."""
        _, actor = await self._desk.signed_in(http_request, "patient")
        query = Query(level="instance", limit=MOST_INSTANCES)
        found, _ = await self._desk.listed(actor, id_of(http_request), "retrieve", OWN, query)
        parts = parts_of(found)
        if not parts:
            raise NotFound
        return RedirectResponse(max(parts, key=lambda part: len(part.pictures)).cover, 303)

    async def _looked(self, actor: Actor, study_id: UUID) -> str:
        assert actor.subject_id is not None
        log = await self._desk.permit(actor, "see_log", of_subject(actor), OWN)
        thread = await threads.read(
            self._desk.rooms, log, actor.subject_id, study_id=study_id, limit=LOOKS_OF_LIST, with_proofs=False
        )
        return looked.last_look(thread.events, actor)


def is_pictured(found: Found) -> bool:
    """Whether an instance is an image, by what it is and by what its modality says."""
    return found.values.get(MODALITY, "") not in WITHOUT_PICTURE and not kind_of(found.values.get(SOP_CLASS, ""))


def parts_of(found: Sequence[Found]) -> tuple[Part, ...]:
    """The series of a scan that have pictures, in the order of their numbers.

    Args:
        found: Instances of one study.
    """
    series: dict[str, list[Found]] = {}
    for each in found:
        if is_pictured(each):
            series.setdefault(each.series_uid, []).append(each)
    parts = []
    for instances in sorted(series.values(), key=lambda one: (_number(one[0], SERIES_NUMBER), one[0].series_uid)):
        instances.sort(key=lambda one: (_number(one, INSTANCE_NUMBER), one.instance_uid))
        pictures = [picture for each in instances for picture in _pictures(each)][:MOST_PICTURES]
        modality = instances[0].values.get(MODALITY, "")
        title = instances[0].values.get(SERIES_DESCRIPTION, "").strip() or words.scan((modality,))
        if advice_in(each.values for each in instances):
            title = f"Advice of a program, no result: {title}"
        parts.append(Part(title, modality, tuple(pictures)))
    return tuple(parts)


def _pictures(found: Found) -> list[Picture]:
    path = f"/dicomweb/studies/{found.study.study_uid}/series/{found.series_uid}/instances/{found.instance_uid}"
    edge = max(_number(found, ROWS), _number(found, COLUMNS))
    frames = min(_number(found, FRAMES), MOST_PICTURES)
    if frames <= 1:
        return [Picture(f"{path}/rendered", edge)]
    return [Picture(f"{path}/frames/{number}/rendered", edge) for number in range(1, frames + 1)]


def page_of(study_href: str, parts: Sequence[Part], asked: Mapping[str, str]) -> PicturesPage:
    """What the address asks for, brought into its bounds, with the addresses of everything beside it.

    Args:
        study_href: Address of the scan.
        parts: Its parts that have pictures, at least one.
        asked: `part`, `image`, `look` and `light`, each as typed.
    """
    chosen = _within(asked.get("part", ""), 1, len(parts), 1)
    part = parts[chosen - 1]
    count = len(part.pictures)
    place = _within(asked.get("image", ""), 1, count, count // 2 + 1)
    windows = WINDOWS if part.modality == "CT" else {"": WINDOWS[""]}
    look = asked.get("look", "") if asked.get("look", "") in windows else ""
    tune = _within(asked.get("light", ""), -BRIGHTEST, BRIGHTEST, 0)

    def at(image: int = place, of_part: int = chosen, window: str = look, light: int = tune) -> str:
        told: dict[str, object] = {"part": of_part, "image": image} if of_part == chosen else {"part": of_part}
        told |= {"look": window} if window and of_part == chosen else {}
        told |= {"light": light} if light else {}
        return f"{study_href}/images?{urlencode(told)}"

    window = windows[look][1]
    return PicturesPage(
        study_href=study_href,
        viewer_href=f"{study_href}/open",
        title="",
        line=part.title,
        src=part.pictures[place - 1].href(window=window),
        place=place,
        count=count,
        tune=tune,
        previous=at(place - 1) if place > 1 else "",
        following=at(place + 1) if place < count else "",
        brighter=at(light=tune + 1) if tune < BRIGHTEST else "",
        darker=at(light=tune - 1) if tune > -BRIGHTEST else "",
        reset=at(light=0, window=""),
        windows=tuple(Choice(label, at(window=key), key == look) for key, (label, _) in windows.items()),
        parts=tuple(
            Choice(
                each.title, at(of_part=number), number == chosen, each.cover, words.counted(len(each.pictures), "image")
            )
            for number, each in enumerate(parts, 1)
        ),
        hidden=tuple(
            (name, str(value)) for name, value in (("part", chosen), ("look", look), ("light", tune)) if value
        ),
        paths=tuple(picture.href(window=window) for picture in part.pictures),
        looked="",
    )


def _within(text: str, least: int, most: int, otherwise: int) -> int:
    """A number of an address within its bounds; what is no short number is as if nothing had been said."""
    number = numbers.whole(text, least=-99_999, most=999_999)
    return otherwise if number is None else min(max(number, least), most)


def _number(found: Found, tag: int) -> int:
    return _within(found.values.get(tag, "").strip(), 0, 10**6, 0)
