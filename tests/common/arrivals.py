"""Coming in through the pages, as a browser would: one place for what every test of a sign-in needs."""

from __future__ import annotations

import re

_SHOWN = re.compile(r'name="(shown)" value="([^"]*)"')


def shown_in(page: str) -> dict[str, str]:
    """The field by which a form says which versions of the notice and the terms it showed."""
    return dict(_SHOWN.findall(page))
