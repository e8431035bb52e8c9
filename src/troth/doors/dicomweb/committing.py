"""Storage commitment: whoever sent instances asks whether they are held, before letting go of its own.

Each is read back whole and held against what was stored; the answer comes at once, so nothing is kept to be fetched.

Per: DICOM PS3.18 chapter 13 and Annex J, PS3.3 C.14.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from troth.dicom import is_uid
from troth.doors import media_types
from troth.doors.dicomweb.accept import JSON, PLAIN_JSON, XML, chosen, wanted
from troth.doors.dicomweb.answers import bytes_answer, json_answer
from troth.doors.dicomweb.errors import MediaTypeUnknown, ParameterInvalid, PartTooLarge
from troth.doors.dicomweb.gate import Gate, checked
from troth.doors.dicomweb.native_xml import to_xml

_MOST_BYTES = 4 << 20
_MOST_ITEMS = 10_000
_REFERENCED, _FAILED, _TRANSACTION = "00081199", "00081198", "00081195"
_CLASS, _INSTANCE, _REASON = "00081150", "00081155", "00081197"

Item = tuple[str, str]


def answer(gate: Gate) -> Callable[[Request], Any]:
    """The handler of `POST /commitment-requests/{transaction}`."""

    async def handle(http_request: Request) -> Response:
        caller = await gate.caller(http_request)
        permit = await gate.permit_to_store(caller)
        transaction_uid = checked(http_request.path_params["transaction"])
        media_type = chosen(wanted(http_request), (JSON, PLAIN_JSON, XML))
        content, is_xml = await _body(http_request)
        items = items_of(await gate.archive.metadata.references(caller.actor.tenant, content, is_xml))
        asked = await gate.archive.commitments.ask(permit, transaction_uid, "", items)
        verdict = await gate.archive.commitments.verify(permit, items)
        await gate.archive.commitments.told(permit, asked, verdict)
        told: dict[str, Any] = {_TRANSACTION: {"vr": "UI", "Value": [transaction_uid]}}
        if verdict.failed:
            told[_FAILED] = _sequence([_reference(*one[:2]) | _reason(one[2]) for one in verdict.failed])
        if verdict.held:
            told[_REFERENCED] = _sequence([_reference(*one) for one in verdict.held])
        told = dict(sorted(told.items()))
        return bytes_answer(to_xml(told), XML) if media_type == XML else json_answer(told, media_type)

    return handle


def items_of(references: Sequence[Item]) -> list[Item]:
    """SOP class and instance UID of each instance that a request names.

    Args:
        references: Those of its Referenced SOP Sequence.

    Raises:
        ParameterInvalid: It names none, too many, or not by UID.
    """
    if not references:
        raise ParameterInvalid("A request names instances in the Referenced SOP Sequence.")
    if len(references) > _MOST_ITEMS or not all(is_uid(uid) for one in references for uid in one):
        raise ParameterInvalid(f"A request names 1 to {_MOST_ITEMS} instances by UID.")
    return list(references)


async def _body(http_request: Request) -> tuple[bytes, bool]:
    """The request, and whether it is XML.

    Raises:
        MediaTypeUnknown: It is of another type.
        PartTooLarge: It is too long.
    """
    media_type = media_types.read(http_request.headers.get("content-type", "")).name
    if media_type not in (JSON, PLAIN_JSON, XML):
        raise MediaTypeUnknown(hint=f"Send {JSON} or {XML}.")
    content = bytearray()
    async for chunk in http_request.stream():
        content += chunk
        if len(content) > _MOST_BYTES:
            raise PartTooLarge
    return bytes(content), media_type == XML


def _sequence(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items}


def _reference(sop_class: str, instance_uid: str) -> dict[str, Any]:
    return {_CLASS: {"vr": "UI", "Value": [sop_class]}, _INSTANCE: {"vr": "UI", "Value": [instance_uid]}}


def _reason(reason: int) -> dict[str, Any]:
    return {_REASON: {"vr": "US", "Value": [reason]}}
