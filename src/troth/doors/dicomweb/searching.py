"""QIDO-RS: six resources, the matching rules of C-FIND, and no search wider than was asked for.

Per: DICOM PS3.18 10.6. Deviation, on purpose: a search key that cannot be honoured is refused with 400, where the
standard would have it ignored (8.3.4.1): a search must not widen silently. No result is 204, as table 10.6.3-1 says;
dicomweb-client, which OHIF uses, takes it as an empty list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from troth import archive
from troth.archive import Found, Level, Match, Query, SearchKeyUnknown
from troth.doors.dicomweb.accept import json_type
from troth.doors.dicomweb.answers import PRIVATE, base_url, bytes_answer
from troth.doors.dicomweb.errors import ParameterInvalid
from troth.doors.dicomweb.gate import Gate, checked
from troth.kit.errors import BadInput

_USUAL_LIMIT = 1000
_MOST = 1000
_NO_KEYS = frozenset({"limit", "offset", "fuzzymatching", "includefield", "accept"})
_STRICT = frozenset({"emptyvaluematching", "multiplevaluematching"})
_STUDY_UID, _SERIES_UID, _RETRIEVE_URL = 0x0020000D, 0x0020000E, 0x00081190
_NO_FUZZY = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
_MORE = "There are additional results that can be requested."


def search(gate: Gate, level: Level) -> Callable[[Request], Any]:
    """The handler of a search resource.

    Args:
        gate: The gate.
        level: What is searched for.
    """

    async def handle(http_request: Request) -> Response:
        caller = await gate.caller(http_request)
        media_type = json_type(http_request)
        study_uid = http_request.path_params.get("study")
        series_uid = http_request.path_params.get("series")
        permit = await gate.permit_to_search(caller, study_uid)
        viewing = await gate.open_viewing(caller, study_uid) if study_uid is not None else None
        try:
            query, warnings = _query(http_request, level, study_uid, series_uid)
            page = await gate.archive.query(permit, query, viewing)
        except BadInput as fault:
            await gate.archive.record_search_refused(permit, fault)
            raise
        if page.is_more:
            warnings.append(_MORE)
        headers = {"Warning": ", ".join(f'299 {base_url(http_request)}: "{text}"' for text in warnings)}
        if not page.found:
            return Response(status_code=204, headers=PRIVATE | (headers if warnings else {}))
        base = base_url(http_request)
        told = [
            archive.to_json_text(_told(found, base, within=study_uid is not None, include=query.include))
            for found in page.found
        ]
        content = f"[{','.join(told)}]".encode("utf-8", "replace")
        return bytes_answer(content, media_type, headers=headers if warnings else None)

    return handle


def _query(
    http_request: Request, level: Level, study_uid: str | None, series_uid: str | None
) -> tuple[Query, list[str]]:
    warnings: list[str] = []
    matches: list[Match] = []
    include: set[int] = set()
    parameters = http_request.query_params
    for name, value in parameters.multi_items():
        lowered = name.lower()
        if lowered == "includefield":
            include |= {tag for tag in map(archive.tag_of, value.split(",")) if tag is not None}
        elif lowered == "fuzzymatching":
            if value.lower() == "true":
                warnings.append(_NO_FUZZY)
        elif lowered in _STRICT:
            if value.lower() == "true":
                raise SearchKeyUnknown(f"{lowered} is not done here.")
        elif lowered not in _NO_KEYS:
            tag = archive.tag_of(name)
            if tag is None:
                raise SearchKeyUnknown("A parameter is neither an attribute nor an option of a search.")
            matches.append(Match(tag, value))
    if study_uid is not None:
        matches.append(Match(_STUDY_UID, checked(study_uid)))
    if series_uid is not None:
        matches.append(Match(_SERIES_UID, checked(series_uid)))
    limit = _whole(parameters.get("limit"), _USUAL_LIMIT)
    query = Query(
        level=level,
        matches=tuple(matches),
        include=frozenset(include),
        limit=min(max(limit, 1), _MOST),
        offset=_whole(parameters.get("offset"), 0),
    )
    return query, warnings


def _whole(text: str | None, usual: int) -> int:
    if not text:
        return usual
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise ParameterInvalid("limit and offset are whole numbers.")
    return int(text)


def _told(found: Found, base: str, *, within: bool, include: frozenset[int]) -> dict[int, str]:
    """A result; within a study that the address names, only what is below it, and what was asked for besides."""
    values = dict(found.values)
    if within:
        kept = {_STUDY_UID, _SERIES_UID} | include
        values = {tag: text for tag, text in values.items() if tag in kept or archive.level_of(tag) != "study"}
    url = f"{base}/studies/{found.study.study_uid}"
    if found.series_uid:
        url += f"/series/{found.series_uid}"
    if found.instance_uid:
        url += f"/instances/{found.instance_uid}"
    return values | {_RETRIEVE_URL: url}
