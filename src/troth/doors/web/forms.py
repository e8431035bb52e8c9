"""Reading forms: bounded, with the proof that we made them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl
from uuid import UUID

from starlette.requests import Request

from troth.doors import media_types
from troth.doors.errors import MediaTypeUnreadable, MultipartBroken, TooManyParts
from troth.doors.multipart import PartBegins, PartEnds, PartReader, boundary_of
from troth.doors.web.declared import SHORT_BYTES, limit_bytes, require_fields
from troth.doors.web.errors import FormForeign, FormTooLarge, FormTooSlow, FormUnreadable
from troth.kit.errors import NotFound

LIMIT_FIELDS = 64
_PROOF_BYTES = 20
_FILE = "file"
"""The field of a file, in any form that carries one: whoever reads it says what is wrong with its bytes."""
SHORT_SECONDS, LONG_SECONDS = 30.0, 300.0
"""How long a form may take to arrive: one of short fields, and one that carries a document over a slow line."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend in a form.

    Attributes:
        field: Name of the field, empty when it is about the whole form.
        text: What to do, one sentence without a full stop.
    """

    field: str
    text: str


def uuid(fields: Mapping[str, str], name: str, fault: Exception | type[Exception] = NotFound) -> UUID:
    """An id that a form carried.

    Args:
        fields: As `read` gave them.
        name: Of the field.
        fault: What is raised where it is none: by default the same as for one that is not there.
    """
    return as_uuid(fields.get(name, ""), fault)


def as_uuid(text: str, fault: Exception | type[Exception] = NotFound) -> UUID:
    """An id that somebody's browser sent, in a form or in an address; see `uuid`."""
    try:
        return UUID(text)
    except ValueError:
        raise fault from None


def reason_faults(reason: str, most: int, field: str = "reason") -> tuple[Fault, ...]:
    """What is wrong with a reason that somebody will read.

    Args:
        reason: As typed.
        most: Characters it may have.
        field: Name of the field.
    """
    if len(reason) > most:
        return (Fault(field, f"Write it in at most {most} characters; these are {len(reason):,}"),)
    return () if reason else (Fault(field, "Write down why, in a sentence"),)


def ending_fault(row_id: object) -> Fault:
    """What is wrong where somebody ends a row of a table and does not say why.

    Args:
        row_id: Of the row; the macro `reason` names its field by it.
    """
    return Fault(f"end-{row_id}", "Write down why it ends")


def token_of(session: str) -> str:
    """The proof a form carries: only who holds the session cookie, or a page made for it, knows it.

    It is masked anew each time: pages are compressed, and from the lengths of many answers somebody who has text of
    their own repeated in them could guess what stands there unchanged (BREACH, CVE-2013-3587).

    Args:
        session: The session's secret; an empty string gives an empty token.
    """
    if not session:
        return ""
    mask = secrets.token_bytes(_PROOF_BYTES)
    return (mask + _xor(mask, _proof(session))).hex()


def _proof(session: str) -> bytes:
    return hmac.new(session.encode(), b"form", hashlib.sha256).digest()[:_PROOF_BYTES]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def is_sent(http_request: Request) -> bool:
    """Whether a form was sent, so that a handler may act: by POST and by nothing else, whatever else reaches it.

    Per: RFC 9110 9.2.1. The one place of the pages that looks at a method.
    """
    return http_request.method == "POST"


async def read(http_request: Request) -> Mapping[str, str]:
    """Read a form of plain fields; of a field given twice, the last counts.

    Args:
        http_request: A POST of `application/x-www-form-urlencoded`.

    Returns:
        Field to value, without space around it.

    Raises:
        FormTooLarge: More than the form takes, which is 16 KiB for most, or 64 fields.
        FormTooSlow: It did not come to its end in time, however steadily it dripped.
        FieldUndeclared: A field that the form has not.
        FormUnreadable: A byte that is not UTF-8, or a NUL, which no text of ours has and PostgreSQL does not take.
    """
    if hasattr(http_request.state, "fields"):  # a body comes once
        return dict(http_request.state.fields)
    path = http_request.scope.get("path", "")
    most = limit_bytes(path)
    try:
        async with asyncio.timeout(SHORT_SECONDS if most <= SHORT_BYTES else LONG_SECONDS):
            content = await _content(http_request, most)
    except TimeoutError:
        raise FormTooSlow from None
    kind = http_request.headers.get("content-type", "")
    fields = _parts(kind, content) if kind.startswith("multipart/form-data") else _pairs(content)
    require_fields(path, fields)
    http_request.state.here = fields.pop("here", "")
    http_request.state.fields = fields
    return fields


async def _content(http_request: Request, most: int) -> bytes:
    content = bytearray()
    async for chunk in http_request.stream():
        content += chunk
        if len(content) > most:
            raise FormTooLarge
    return bytes(content)


def _pairs(content: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=LIMIT_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise FormUnreadable from None
    except ValueError:
        raise FormTooLarge from None
    return _plain({name: value.strip() for name, value in pairs})


def _plain(fields: dict[str, str], file: str = "") -> dict[str, str]:
    if any("\0" in name or ("\0" in value and name != file) for name, value in fields.items()):
        raise FormUnreadable
    return fields


def _parts(kind: str, content: bytes) -> dict[str, str]:
    """The fields of a form that carries a file; a file is its text, and nothing of it touches a disk.

    Per: RFC 7578.

    Raises:
        FormTooLarge: More than 64 parts, or no such form.
    """
    found: dict[str, bytearray] = {}
    held, count = bytearray(), 0
    try:
        reader = PartReader(boundary_of(media_types.read(kind)))
        for event in reader.feed(content):
            if isinstance(event, PartBegins):
                count += 1
                held = found[event.name] = bytearray()
            elif not isinstance(event, PartEnds):
                held += event
            if count > LIMIT_FIELDS:
                raise FormTooLarge
    except (MediaTypeUnreadable, MultipartBroken, TooManyParts):
        raise FormTooLarge from None
    if not count or not reader.is_ended:
        raise FormTooLarge
    found.pop("", None)
    try:
        return _plain(
            {
                name: bytes(told).decode("utf-8", "surrogateescape" if name == _FILE else "strict").strip()
                for name, told in found.items()
            },
            _FILE,
        )
    except UnicodeDecodeError:
        raise FormUnreadable from None


def require_token(fields: Mapping[str, str], session: str) -> None:
    """Refuse a form that was not made for this session.

    Raises:
        FormForeign: It was not.
    """
    try:
        token = bytes.fromhex(fields.get("token", ""))
    except ValueError:
        raise FormForeign from None
    if not session or len(token) != 2 * _PROOF_BYTES:
        raise FormForeign
    if not hmac.compare_digest(_xor(token[:_PROOF_BYTES], token[_PROOF_BYTES:]), _proof(session)):
        raise FormForeign
