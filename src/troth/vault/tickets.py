"""Tickets: a text that travels in an address and is read by nobody but whoever has the secret it was sealed with.

AES-256-GCM (NIST SP 800-38D) under a key of its own, which the secret gives by HMAC-SHA-256. The text is filled up to
a whole number of blocks, so that its length says little. With the secret, such as that of a session, the ticket ends.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12
_BLOCK_BYTES: Final = 32
MOST_CHARACTERS: Final = 1_000


def ticket_of(secret: str, use: str, text: str) -> str:
    """Seal a text; it is another ticket each time.

    Args:
        secret: A secret of high entropy.
        use: What it is for: a ticket of another use is none.
        text: What it says, without a NUL.
    """
    content = text.encode()
    content += b"\0" * (-len(content) % _BLOCK_BYTES)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return urlsafe_b64encode(nonce + _cipher(secret, use).encrypt(nonce, content, None)).decode().rstrip("=")


def text_of(secret: str, use: str, ticket: str) -> str | None:
    """What a ticket says; None where it was not made with this secret for this use."""
    if not ticket.isascii() or len(ticket) > MOST_CHARACTERS:
        return None
    try:
        sealed = urlsafe_b64decode(ticket + "=" * (-len(ticket) % 4))
        content = _cipher(secret, use).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
    except (ValueError, InvalidTag):
        return None
    return content.rstrip(b"\0").decode()


def _cipher(secret: str, use: str) -> AESGCM:
    return AESGCM(hmac.digest(secret.encode(), b"ticket:" + use.encode(), "sha256"))
