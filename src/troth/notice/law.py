"""Terms of the law, each with its DPV IRI and with words that anybody understands.

Checked against DPV 2.3 (`2.3/legal/eu/gdpr/eu-gdpr.csv`). Tables are written by hand until they are generated.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

PREFIX: Final = "eu-gdpr:"

BASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "eu-gdpr:A6-1-a": "your consent, which you can take back at any time",
        "eu-gdpr:A6-1-b": "a contract with you, or steps you asked for before one",
        "eu-gdpr:A6-1-c": "a duty that the law lays on us or on your hospital",
        "eu-gdpr:A6-1-d": "to protect your life or somebody else's",
        "eu-gdpr:A6-1-e": "a task in the public interest, such as public health care",
        "eu-gdpr:A6-1-f": "a legitimate interest that does not weigh more than yours",
    }
)
"""Lawful bases: GDPR Art. 6(1)."""

CONDITIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "eu-gdpr:A9-2-a": "your express consent",
        "eu-gdpr:A9-2-b": "employment and social protection law",
        "eu-gdpr:A9-2-c": "to protect the life of a person who cannot give consent",
        "eu-gdpr:A9-2-d": "the work of a non-profit body for its members",
        "eu-gdpr:A9-2-e": "you made it public yourself",
        "eu-gdpr:A9-2-f": "legal claims and courts",
        "eu-gdpr:A9-2-g": "a substantial public interest, by law",
        "eu-gdpr:A9-2-h": "health care, by people bound to keep it secret",
        "eu-gdpr:A9-2-i": "public health, by law",
        "eu-gdpr:A9-2-j": "research and statistics, with safeguards",
    }
)
"""Conditions for health data and other special categories: GDPR Art. 9(2)."""

DEROGATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "eu-gdpr:A49-1-a": "your express consent, after you were told of the risks",
        "eu-gdpr:A49-1-b": "a contract with you needs it",
        "eu-gdpr:A49-1-c": "a contract in your interest needs it",
        "eu-gdpr:A49-1-d": "important reasons of public interest",
        "eu-gdpr:A49-1-e": "legal claims",
        "eu-gdpr:A49-1-f": "to protect the life of a person who cannot give consent",
        "eu-gdpr:A49-1-g": "a public register",
    }
)
"""Exceptions for particular transfers: GDPR Art. 49(1)."""

RIGHTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "access": "eu-gdpr:A15",
        "rectify": "eu-gdpr:A16",
        "erase": "eu-gdpr:A17",
        "restrict": "eu-gdpr:A18",
        "port": "eu-gdpr:A20",
        "object": "eu-gdpr:A21",
        "not_automated": "eu-gdpr:A22",
        "withdraw": "eu-gdpr:A7-3",
        "opt_out": "us-ca:1798.120",
    }
)
"""Rights of the subject: GDPR Art. 15 to 22 and 7(3); in California to opt out of sale and sharing."""

_CALIFORNIA: Final = "us-ca:"

STALE: Final[Mapping[str, str]] = MappingProxyType(
    {
        r"privacy\s+shield": "the EU-US Privacy Shield was struck down on 16 July 2020 (C-311/18); name an instrument "
        "that is valid, or none",
        r"safe\s+harbou?r": "Safe Harbour was struck down on 6 October 2015 (C-362/14)",
        r"95/46": "Directive 95/46/EC was repealed on 25 May 2018 (GDPR Art. 94); cite the GDPR",
        r"data\s+protection\s+directive": "Directive 95/46/EC was repealed on 25 May 2018 (GDPR Art. 94)",
        r"data\s+protection\s+act\s+19(84|98)": "replaced by the Data Protection Act 2018",
        r"97/66": "Directive 97/66/EC was replaced by Directive 2002/58/EC",
    }
)
"""References to law that no longer stands, with what to do; patterns are matched without regard to case."""

PURPOSES_OF_SALE: Final = frozenset({"sale", "marketing", "advertising", "profiling"})


@cache
def categories() -> frozenset[str]:
    """IRIs of the categories of personal data of DPV 2.3; `tools/dpv_table.py` makes the table."""
    return frozenset(Path(__file__).with_name("dpv_categories.txt").read_text(encoding="utf-8").split())


def short(iri: str) -> str:
    """The DPV name without its prefix, such as `A6-1-f`."""
    return iri.removeprefix(PREFIX)


def article(iri: str) -> str:
    """The article as lawyers cite it, such as "GDPR Art. 6(1)(f)"."""
    if iri.startswith(_CALIFORNIA):
        return f"Cal. Civ. Code {iri.removeprefix(_CALIFORNIA)}"
    first, *rest = short(iri).removeprefix("A").split("-")
    return f"GDPR Art. {first}" + "".join(f"({part})" for part in rest)
