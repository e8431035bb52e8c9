"""One cookie of a request, found in one pass.

The standard library undoes the escapes of quoted cookies in quadratic time up to Python 3.11.9 (CVE-2024-7592), before
anybody has signed in. Our own cookies have no quotes and no escapes, so none are undone.

Per: RFC 6265 5.4.
"""

from __future__ import annotations

from starlette.requests import Request


def cookie(http_request: Request, name: str) -> str:
    """The value of a cookie; empty where there is none. Of several of one name the last counts.

    Args:
        http_request: The request.
        name: Its name.
    """
    value = ""
    for line in http_request.headers.getlist("cookie"):
        for pair in line.split(";"):
            key, is_pair, told = pair.partition("=")
            if is_pair and key.strip() == name:
                value = told.strip()
    return value
