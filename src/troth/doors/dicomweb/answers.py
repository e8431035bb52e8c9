"""Answers in the forms of DICOMweb."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from troth.doors import multipart
from troth.doors.dicomweb.accept import XML
from troth.doors.dicomweb.native_xml import to_xml

#: Nothing that this door gives may stay in a cache that outlives the session.
PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


def base_url(http_request: Request) -> str:
    """URL under which `/studies` lies, as the client sees it."""
    url = http_request.url
    return f"{url.scheme}://{url.netloc}{http_request.scope.get('root_path', '').rstrip('/')}"


def json_answer(told: Any, media_type: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON, in UTF-8, without a charset parameter, which DICOM JSON does not have.

    Args:
        told: What to tell.
        media_type: The type that was chosen.
        status: HTTP status.
        headers: Further headers.
    """
    content = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    answer = Response(content.encode("utf-8", "replace"), status, headers=PRIVATE | dict(headers or {}))
    answer.headers["Content-Type"] = media_type
    return answer


def bytes_answer(
    content: bytes,
    content_type: str,
    *,
    location: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer of bytes.

    Args:
        content: What to send.
        content_type: What it is.
        location: Where it lies by itself.
        status: HTTP status.
        headers: Further headers.
    """
    told = PRIVATE | dict(headers or {}) | ({"Content-Location": location} if location else {})
    answer = Response(content, status, headers=told)
    answer.headers["Content-Type"] = content_type
    return answer


def stream_answer(
    content: AsyncIterator[bytes],
    content_type: str,
    *,
    length_bytes: int | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer that is sent while it is read.

    Args:
        content: What to send.
        content_type: What it is.
        length_bytes: How long it is, where that is known.
        status: HTTP status.
        headers: Further headers.
    """
    answer = StreamingResponse(content, status, headers=PRIVATE | dict(headers or {}))
    answer.headers["Content-Type"] = content_type
    if length_bytes is not None:
        answer.headers["Content-Length"] = str(length_bytes)
    return answer


def entity_tag(version: bytes, *of: str) -> str:
    """A tag that changes with what it stands for, and with the form it is given in.

    Args:
        version: Of what is told.
        of: What else the answer depends on.

    Per: RFC 9110 8.8.3.
    """
    return f'"{sha256(b"|".join((version, *(one.encode() for one in of)))).hexdigest()[:32]}"'


def is_known(http_request: Request, tag: str) -> bool:
    """Whether the client says that it has this very answer.

    Per: RFC 9110 13.1.2.
    """
    named = [one.strip().removeprefix("W/") for one in http_request.headers.get("if-none-match", "").split(",")]
    return tag in named or "*" in named


def xml_answer(told: Iterable[Mapping[str, Any]], headers: Mapping[str, str] | None = None) -> Response:
    """Data sets in XML, each as a part of a multipart message.

    Args:
        told: Each in DICOM JSON.
        headers: Further headers.

    Per: DICOM PS3.18 8.7.3.2.
    """
    boundary = multipart.new_boundary()
    content = multipart.message(boundary, [(XML, "", to_xml(one)) for one in told])
    return bytes_answer(content, f'multipart/related; type="{XML}"; boundary="{boundary}"', headers=headers)
