"""QIDO-RS: six resources, the matching rules of C-FIND, and no search wider than was asked for.

Per: DICOM PS3.18 10.6. Deviation, on purpose: a search key that cannot be honoured is refused with 400, where the
standard would have it ignored (8.3.4.1): a search must not widen silently. No result is 204, as table 10.6.3-1 says;
dicomweb-client, which OHIF uses, takes it as an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from troth import archive
from troth.archive import Found, Level, Match, Query, SearchKeyUnknown
from troth.doors.dicomweb.accept import XML, told_type
from troth.doors.dicomweb.answers import PRIVATE, base_url, bytes_answer, xml_answer
from troth.doors.dicomweb.errors import ParameterInvalid
from troth.doors.dicomweb.gate import Gate, checked
from troth.kit import numbers
from troth.kit.errors import BadInput

_USUAL_LIMIT = 1000
_MOST = 1000
_MOST_PARAMETERS = 200
_OPTIONS = frozenset({"limit", "offset", "fuzzymatching", "includefield", "accept"})
_STRICT = frozenset({"emptyvaluematching", "multiplevaluematching"})
_TRUTHS = {"true": True, "false": False, "": False}
_CHARSET = 0x00080005
_MODALITIES = 0x00080061
_PATIENT_ID, _ISSUER = 0x00100020, 0x00100021
_STUDY_UID, _SERIES_UID, _RETRIEVE_URL = 0x0020000D, 0x0020000E, 0x00081190
_NO_FUZZY = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
_LEFT_OUT = "These are held and left out here, as they cannot be told:"
_MOST_NAMED = 10
_MORE = "There are additional results that can be requested."
_NOT_INDEXED = "Attributes that are not indexed cannot be included; retrieve the metadata for them."


@dataclass(slots=True)
class _Asked:
    """What the parameters of a search say.

    Attributes:
        fields: What to return besides, by tag.
        is_all: All that there is is to be returned.
        is_at_viewer: It is the viewer that asks.
        warnings: What is not done of what was asked, for the `Warning` header.
    """

    matches: list[Match] = field(default_factory=list)
    fields: set[int] = field(default_factory=set)
    is_all: bool = False
    is_fuzzy: bool = False
    is_at_viewer: bool = False
    warnings: list[str] = field(default_factory=list)


def search(gate: Gate, level: Level) -> Callable[[Request], Any]:
    """The handler of a search resource.

    Args:
        gate: The gate.
        level: What is searched for.
    """

    async def handle(http_request: Request) -> Response:
        caller = await gate.caller(http_request)
        media_type = told_type(http_request)
        study_uid = http_request.path_params.get("study")
        permit = await gate.permit_to_search(caller, study_uid)
        viewing = await gate.open_viewing(caller, study_uid) if study_uid is not None else None
        try:
            asked = _asked(http_request, level)
            asked.is_at_viewer = caller.is_at_viewer
            query = _query(http_request, level, asked)
            resumed = gate.pages.resumed(caller, query)
            page = await gate.archive.query(permit, resumed, viewing)
            gate.pages.note(caller, query, resumed, page)
        except BadInput as fault:
            await gate.archive.record_search_refused(permit, fault)
            raise
        if page.is_more:
            asked.warnings.append(_MORE)
        base, path = base_url(http_request), http_request.path_params
        rows, left = _rows(page.found, media_type, base, path, asked)
        if left:
            asked.warnings.append(f"{_LEFT_OUT} {' '.join(left[:_MOST_NAMED])}")
        warned = {"Warning": ", ".join(f'299 {base}: "{text}"' for text in asked.warnings)} if asked.warnings else {}
        if not page.found:
            return Response(status_code=204, headers=PRIVATE | warned)
        if media_type == XML:
            return xml_answer(rows, warned)
        return bytes_answer(f"[{','.join(rows)}]".encode("utf-8", "replace"), media_type, headers=warned)

    return handle


def _rows(
    page: Sequence[Found], media_type: str, base: str, path: Mapping[str, str], asked: _Asked
) -> tuple[list[Any], list[str]]:
    """The results as they are told, and the UIDs of those that cannot be: one that is broken hides no other."""
    tell: Callable[[Mapping[int, str]], Any] = archive.to_json if media_type == XML else archive.to_json_text
    rows, left = [], []
    for found in page:
        try:
            rows.append(tell(_told(found, base, path, asked)))
        except (ValueError, TypeError, KeyError, AttributeError):
            left.append(found.instance_uid or found.series_uid or found.study.study_uid)
    return rows, left


def _asked(http_request: Request, level: Level) -> _Asked:
    """Read the parameters.

    Raises:
        SearchKeyUnknown: One is neither an attribute nor an option of a search.
        ParameterInvalid: An option has a value that cannot be understood.
    """
    asked = _Asked()
    parameters = http_request.query_params.multi_items()
    if len(parameters) > _MOST_PARAMETERS:
        raise ParameterInvalid("There are too many parameters.")
    for name, value in parameters:
        option = name.lower()
        if option == "includefield":
            _include(asked, value, level)
        elif option == "fuzzymatching":
            asked.is_fuzzy = _truth(option, value)
        elif option in _STRICT:
            if _truth(option, value):
                raise SearchKeyUnknown(f"{option} is not done here.")
        elif option not in _OPTIONS:
            tag = archive.tag_of(name)
            if tag is None:
                raise SearchKeyUnknown("A parameter is neither an attribute nor an option of a search.")
            asked.matches.append(Match(tag, value))
    return asked


def _include(asked: _Asked, value: str, level: Level) -> None:
    """What `includefield` asks for: attributes by tag, keyword or path, or all. Per: PS3.18 8.3.4.3."""
    for name in value.split(","):
        if name.strip().lower() == "all":
            asked.is_all = True
            continue
        tag = archive.tag_of(name.strip())
        if tag is None or not archive.is_returned(tag, level):
            if name.strip() and _NOT_INDEXED not in asked.warnings:
                asked.warnings.append(_NOT_INDEXED)
        else:
            asked.fields.add(archive.top_of(tag))


def _query(http_request: Request, level: Level, asked: _Asked) -> Query:
    path, parameters = http_request.path_params, http_request.query_params
    matches = list(asked.matches)
    if "study" in path:
        matches.append(Match(_STUDY_UID, checked(path["study"])))
    if "series" in path:
        matches.append(Match(_SERIES_UID, checked(path["series"])))
    query = Query(
        level=level,
        matches=tuple(matches),
        include=frozenset(asked.fields),
        limit=min(_whole(parameters.get("limit"), _USUAL_LIMIT), _MOST),
        offset=_whole(parameters.get("offset"), 0),
        is_fuzzy=asked.is_fuzzy,
        is_moment=True,
        # The viewer shows whatever has the number as other studies of the same patient (decision 0018).
        is_of_one=asked.is_at_viewer and _is_by_number(matches),
    )
    if asked.is_fuzzy and not archive.near_name_of(query):
        asked.warnings.append(_NO_FUZZY)
    return query


def _is_by_number(matches: Sequence[Match]) -> bool:
    """Whether a patient is named by number alone, without who issued it."""
    asked = {match.tag: match.value for match in matches}
    number = asked.get(_PATIENT_ID, "")
    return bool(number) and not set(number) & set("*?") and not asked.get(_ISSUER)


def _truth(name: str, value: str) -> bool:
    truth = _TRUTHS.get(value.lower())
    if truth is None:
        raise ParameterInvalid(f"{name} is true or false.")
    return truth


def _whole(text: str | None, usual: int) -> int:
    if not text:
        return usual
    number = numbers.whole(text, most=999_999_999)
    if number is None:
        raise ParameterInvalid("limit and offset are whole numbers.")
    return number


def _told(found: Found, base: str, path: Mapping[str, str], asked: _Asked) -> dict[int, str]:
    """A result; within a study that the address names only what is below it, and what was asked for besides.

    Per: DICOM PS3.18 10.6.3.2.
    """
    values = dict(found.values)
    if not asked.is_all:
        for tag in archive.RETURNED_TAGS - asked.fields:
            values.pop(tag, None)
    if "study" in path and not asked.is_all:
        kept = {_STUDY_UID, _SERIES_UID} | asked.fields
        values = {tag: text for tag, text in values.items() if tag in kept or archive.level_of(tag) != "study"}
    url = f"{base}/studies/{found.study.study_uid}"
    if found.series_uid:
        url += f"/series/{found.series_uid}"
    if found.instance_uid:
        url += f"/instances/{found.instance_uid}"
    if asked.is_at_viewer and not values.get(_MODALITIES):
        values.pop(_MODALITIES, None)  # OHIF cannot open a study whose list of modalities is there and empty
    return values | {_CHARSET: "ISO_IR 192", _RETRIEVE_URL: url}
