"""Reading forms: bounded, with the proof that we made them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

from troth.doors.web.declared import limit_bytes, require_fields
from troth.doors.web.errors import FormForeign, FormTooLarge

LIMIT_FIELDS = 64


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend in a form.

    Attributes:
        field: Name of the field, empty when it is about the whole form.
        text: What to do, one sentence without a full stop.
    """

    field: str
    text: str


def token_of(session: str) -> str:
    """The proof a form carries: only who holds the session cookie, or a page made for it, knows it.

    Args:
        session: The session's secret; an empty string gives an empty token.
    """
    return hmac.new(session.encode(), b"form", hashlib.sha256).hexdigest()[:40] if session else ""


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
    try:
        pairs = parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=LIMIT_FIELDS)
    except ValueError:
        raise FormTooLarge from None
    require_fields(path, (name for name, _ in pairs))
    return {name: value.strip() for name, value in pairs}


def require_token(fields: Mapping[str, str], session: str) -> None:
    """Refuse a form that was not made for this session.

    Raises:
        FormForeign: It was not.
    """
    if not session or not hmac.compare_digest(fields.get("token", "").encode(), token_of(session).encode()):
        raise FormForeign
