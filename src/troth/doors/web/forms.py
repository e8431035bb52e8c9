"""Reading forms: bounded, with the proof that we made them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import HTTP
from urllib.parse import parse_qsl

from starlette.requests import Request

from troth.doors.web.declared import limit_bytes, require_fields
from troth.doors.web.errors import FormForeign, FormTooLarge

LIMIT_FIELDS = 64
_PROOF_BYTES = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend in a form.

    Attributes:
        field: Name of the field, empty when it is about the whole form.
        text: What to do, one sentence without a full stop.
    """

    field: str
    text: str


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
        FieldUndeclared: A field that the form has not.
    """
    content, path = bytearray(), http_request.scope.get("path", "")
    most = limit_bytes(path)
    async for chunk in http_request.stream():
        content += chunk
        if len(content) > most:
            raise FormTooLarge
    kind = http_request.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        parts = await asyncio.to_thread(_parts, kind, bytes(content))
        require_fields(path, parts)
        return parts
    try:
        pairs = parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=LIMIT_FIELDS)
    except ValueError:
        raise FormTooLarge from None
    require_fields(path, (name for name, _ in pairs))
    return {name: value.strip() for name, value in pairs}


def _parts(kind: str, content: bytes) -> dict[str, str]:
    """The fields of a form that carries a file; a file is its text, and nothing of it touches a disk.

    Per: RFC 7578.

    Raises:
        FormTooLarge: More than 64 parts, or no such form.
    """
    head = b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\nMIME-Version: 1.0\r\n\r\n"
    message = message_from_bytes(head + content, policy=HTTP)
    parts = list(message.iter_parts()) if message.is_multipart() else []
    if not 0 < len(parts) <= LIMIT_FIELDS:
        raise FormTooLarge
    found = {}
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        told = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(told, bytes):
            found[name] = told.decode("utf-8", "surrogateescape").strip()
    return found


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
