"""E-mail addresses, in one written form.

Per: RFC 5321 4.1.2 and 4.5.3.1 (lengths), without quoted local parts, comments and address literals.
"""

from __future__ import annotations

import re

from troth.people import domains
from troth.people.errors import EmailMalformed

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def normalised(email: str) -> str:
    """The one form of an address by which it is found.

    The local part is lower-cased too: nobody keeps two mailboxes that differ by case, and people type as they like.
    Of a form that it gave, it gives the same again: the token of a stored address is always found.

    Args:
        email: As typed.

    Raises:
        EmailMalformed: Mail cannot be sent to it.
    """
    local, at, domain = email.strip().rpartition("@")
    if not at or len(email) > 320 or len(local) > 64 or not _LOCAL.fullmatch(local):
        raise EmailMalformed
    try:
        ascii_domain = domains.ascii_form(domain)
    except UnicodeError:
        raise EmailMalformed from None
    if not _DOMAIN.fullmatch(ascii_domain):
        raise EmailMalformed
    return f"{local.lower()}@{ascii_domain}"
