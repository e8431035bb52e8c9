"""Unsubscription: the link in each message that advertises, which ends them without signing in (RFC 8058, RFC 2369).

Whoever holds the link may do one thing: object, for the person it was written to, to messages of that kind, and take
that back. It carries ids of ours and a code under that person's key, so it ends where they are erased.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from troth.notice import MARKETING, Marketing, NoticeVersion
from troth.vault import KeyRef, Keyring

_IDS: Final = 32
_CODE: Final = 16
_LONGEST: Final = 200
ONE_CLICK: Final = "List-Unsubscribe=One-Click"


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """What a link is for.

    Attributes:
        holder_id: The subject or account that was written to.
        purpose: The kind of messages that it ends.
    """

    tenant: UUID
    holder_id: UUID
    purpose: str
    code: bytes

    @property
    def text(self) -> str:
        """As it stands in an address."""
        plain = self.tenant.bytes + self.holder_id.bytes + self.code + self.purpose.encode("ascii")
        return urlsafe_b64encode(plain).decode().rstrip("=")

    def is_made_with(self, keyring: Keyring, key: KeyRef) -> bool:
        """Whether it was made by us, for this person."""
        return hmac.compare_digest(self.code, _code(keyring, key, self.holder_id, self.purpose))


def made(keyring: Keyring, key: KeyRef, tenant: UUID, holder_id: UUID, purpose: str) -> Unsubscription:
    """Make the link of one person for one kind of messages.

    Args:
        keyring: Makes the code.
        key: The person's.
        tenant: The organisation that writes.
        holder_id: The subject or account.
        purpose: Key of the activity.
    """
    return Unsubscription(tenant, holder_id, purpose, _code(keyring, key, holder_id, purpose))


def read(text: str) -> Unsubscription | None:
    """What a link says of itself; None where it is no link. Whether it is ours is asked with the person's key."""
    if len(text) > _LONGEST or not text.isascii():
        return None
    try:
        plain = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        purpose = plain[_IDS + _CODE :].decode("ascii")
    except (Error, ValueError):
        return None
    if len(plain) <= _IDS + _CODE:
        return None
    return Unsubscription(UUID(bytes=plain[:16]), UUID(bytes=plain[16:_IDS]), purpose, plain[_IDS : _IDS + _CODE])


def clause_of(versions: Iterable[NoticeVersion], purpose: str) -> tuple[Marketing | None, bool]:
    """The clause that says how messages of a kind are stopped, and whether they advertise at all.

    Args:
        versions: In force for the person.
        purpose: Key of the activity.
    """
    for version in versions:
        found = [each for each in version.notice.all("marketing") if isinstance(each, Marketing)]
        for clause in sorted(found, key=lambda each: "email" not in each.channels):
            if purpose in clause.purposes:
                return clause, True
    return None, purpose in MARKETING


def dressed(text: str, link: str, clause: Marketing) -> tuple[str, Mapping[str, str]]:
    """A message with the way to stop it at its foot, and the headers that its clause names.

    Args:
        text: The message.
        link: Address of the page that stops it.
        clause: What the notice promises of such messages.
    """
    foot = "You do not want messages of this kind? One press ends them, without signing in:"
    headers = {}
    if "List-Unsubscribe" in clause.headers:
        headers["List-Unsubscribe"] = f"<{link}>"
    if "List-Unsubscribe-Post" in clause.headers:
        headers["List-Unsubscribe-Post"] = ONE_CLICK
    return f"{text.rstrip()}\n\n-- \n{foot}\n{link}\n", headers


def _code(keyring: Keyring, key: KeyRef, holder_id: UUID, purpose: str) -> bytes:
    return keyring.digest(key, "unsubscription", f"{holder_id}:{purpose}")[:_CODE]
