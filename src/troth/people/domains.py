"""Domain names in the form that the DNS knows.

Per: RFC 5891 5 (IDNA2008), Unicode TS 46 (what a keyboard gives is mapped first, without the transitional forms).
"""

from __future__ import annotations

import idna


def ascii_form(domain: str) -> str:
    """A domain name in A-labels and lower case: the one that whoever reads the typed name would register.

    Not by the codec of Python, nor by a resolver that is given the typed name: they go by IDNA2003, which makes another
    name, and so somebody else, of one with `ß`, a final sigma or a joiner.

    Args:
        domain: As typed. One that is ASCII already is not judged, so that what was kept is found as it was kept.

    Raises:
        UnicodeError: No such name can be registered.
    """
    if domain.isascii():
        return domain.lower()
    return idna.encode(domain, uts46=True).decode("ascii")
