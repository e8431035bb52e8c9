"""Names of countries, as a page says them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_NAMES: Final = """
AT Austria
AU Australia|BE Belgium|BG Bulgaria|BR Brazil|CA Canada|CH Switzerland|CN China|CY Cyprus|CZ Czechia
DE Germany
DK Denmark
EE Estonia|ES Spain|FI Finland|FR France|GB United Kingdom|GR Greece|HR Croatia|HU Hungary|IE Ireland|IL Israel
IN India|IS Iceland|IT Italy|JP Japan|KR South Korea|LI Liechtenstein
LT Lithuania|LU Luxembourg|LV Latvia|MT Malta|MX Mexico
NL Netherlands|NO Norway|NZ New Zealand|PL Poland|PT Portugal|RO Romania|SE Sweden|SG Singapore|SI Slovenia|SK Slovakia
UA Ukraine|US United States|ZA South Africa|EEA European Economic Area|EU European Union
"""
NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {code: name for each in _NAMES.replace("\n", "|").split("|") if each for code, _, name in [each.partition(" ")]}
)


def place(code: str) -> str:
    """The name of a country or a group of them; its code where there is no name for it here.

    Args:
        code: ISO 3166 code, `EEA` or `EU`.
    """
    return NAMES.get(code, code)
