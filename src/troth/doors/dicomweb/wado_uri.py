"""WADO-URI: one instance by query parameters, as older viewers and reports link to it.

Per: DICOM PS3.18 chapter 9. What would be changed on the way (anonymize, another transfer syntax, a presentation
state) is not done here and is refused; it is never ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import InstanceRecord, NotStoredThatWay, Viewing
from troth.dicom import CannotRender
from troth.doors.dicomweb import rendering
from troth.doors.dicomweb.accept import DICOM
from troth.doors.dicomweb.answers import bytes_answer, stream_answer
from troth.doors.dicomweb.errors import NothingAcceptable, ParameterInvalid
from troth.doors.dicomweb.gate import Gate, checked
from troth.doors.dicomweb.resources import frame_numbers
from troth.kit import numbers

_UIDS = ("studyUID", "seriesUID", "objectUID")
_NOT_DONE = ("anonymize", "presentationUID", "presentationSeriesUID")
_MOST_PIXELS = 8192


def retrieve(gate: Gate) -> Callable[[Request], Any]:
    """The handler of `/wado?requestType=WADO&…`."""

    async def handle(http_request: Request) -> Response:
        parameters = http_request.query_params
        if parameters.get("requestType") != "WADO":
            raise ParameterInvalid("requestType is WADO.")
        if any(name not in parameters for name in _UIDS):
            raise ParameterInvalid("studyUID, seriesUID and objectUID say what is wanted.")
        if named := next((name for name in _NOT_DONE if parameters.get(name, "no") != "no"), ""):
            raise ParameterInvalid(f"{named} is not done here.")
        study, series, instance = (checked(parameters[name]) for name in _UIDS)
        viewing = await gate.viewing(http_request, study)
        record = await viewing.instance(instance, series)
        media_type = _media_type(parameters.get("contentType", ""), record)
        if media_type != DICOM:
            return bytes_answer(await _drawn(http_request, viewing, record, media_type), media_type)
        if parameters.get("transferSyntax", record.syntax) != record.syntax:
            raise NotStoredThatWay
        return stream_answer(
            viewing.part10(record),
            f"{DICOM};transfer-syntax={record.syntax}",
            length_bytes=viewing.part10_bytes(record),
        )

    return handle


def _media_type(asked: str, record: InstanceRecord) -> str:
    """The first type that is asked for and that we have; a picture of one frame where nothing is asked. Per: 9.1.2.2.1.

    Raises:
        NothingAcceptable: None of them.
    """
    offered = (*rendering.OFFERED, DICOM) if record.frames else (DICOM,)
    for one in asked.split(","):
        name = one.split(";")[0].strip().lower()
        if name in offered:
            return name
        if name in ("", "*/*"):
            return rendering.OFFERED[0] if record.frames == 1 else DICOM
        if name == "image/*" and record.frames:
            return rendering.OFFERED[0]
    raise NothingAcceptable


async def _drawn(http_request: Request, viewing: Viewing, record: InstanceRecord, media_type: str) -> bytes:
    parameters = http_request.query_params
    asked = frame_numbers(parameters.get("frameNumber", "1"))
    if len(asked) != 1:
        raise ParameterInvalid("frameNumber is one number.")
    window = None
    if "windowCenter" in parameters or "windowWidth" in parameters:
        window, _ = rendering.window(f"{parameters.get('windowCenter', '')},{parameters.get('windowWidth', '')}")
    return await viewing.rendered(
        record,
        asked,
        media_type=media_type,
        window=window,
        size=_size(parameters),
        region=_region(parameters.get("region"), record),
        quality=rendering.quality(parameters.get("imageQuality")),
        notes=rendering.notes_of(viewing, record, rendering.annotated(http_request)),
    )


def _size(parameters: Mapping[str, str]) -> tuple[int, int] | None:
    sides = []
    for name in ("columns", "rows"):
        text = parameters.get(name, "")
        side = numbers.whole(text, least=1, most=_MOST_PIXELS) if text else _MOST_PIXELS
        if side is None:
            raise ParameterInvalid(f"{name} is 1 to {_MOST_PIXELS}.")
        sides.append(side)
    return None if sides == [_MOST_PIXELS, _MOST_PIXELS] else (sides[0], sides[1])


def _region(text: str | None, record: InstanceRecord) -> tuple[int, int, int, int] | None:
    """The part of `left,top,right,bottom`, each from 0 to 1. Per: PS3.18 9.1.2.2.2 (region)."""
    if not text:
        return None
    told = [numbers.decimal(part) for part in text.split(",")]
    edges = [edge for edge in told if edge is not None]
    if len(told) != 4 or len(edges) != 4:
        raise ParameterInvalid("region is left,top,right,bottom, each from 0 to 1.")
    left, top, right, bottom = edges
    if not 0 <= left < right <= 1 or not 0 <= top < bottom <= 1:
        raise ParameterInvalid("region is left,top,right,bottom, each from 0 to 1.")
    wide, high = record.columns or 0, record.rows or 0
    if not wide or not high:
        raise CannotRender
    x, y = round(left * wide), round(top * high)
    return x, y, max(round(right * wide) - x, 1), max(round(bottom * high) - y, 1)
