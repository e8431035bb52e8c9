"""What a client would take, and which of our forms fits best.

Per: DICOM PS3.18 8.7, RFC 9110 12.5.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from starlette.requests import Request

from troth.doors import media_types
from troth.doors.dicomweb.errors import NothingAcceptable

JSON = "application/dicom+json"
PLAIN_JSON = "application/json"
XML = "application/dicom+xml"
DICOM = "application/dicom"
OCTETS = "application/octet-stream"
JPEG = "image/jpeg"
PNG = "image/png"
PDF = "application/pdf"
GIF = "image/gif"
MULTIPART = "multipart/related"
_ANY_MULTIPART = "multipart/*"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"

_QUALITY = re.compile(r"[01](?:\.[0-9]{0,16})?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One media range of an Accept header.

    Attributes:
        media_type: Type of the content; for multipart the type of its parts.
        is_multipart: Whether the parts are to come in a multipart message.
        syntax: Transfer syntax asked for, `*` for any, empty when nothing is said.
        quality: 0 to 1.
        breadth: How little it says: of two ranges the narrower decides on what both span.
        narrower: The other ranges of the header that are narrower, those that are not wanted among them.
    """

    media_type: str
    is_multipart: bool = False
    syntax: str = ""
    quality: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict)
    breadth: int = 0
    narrower: tuple[Wanted, ...] = ()

    @property
    def is_any(self) -> bool:
        """Whether it is `*/*`, which spans parts and whole messages alike."""
        return self.media_type == "*/*" and not self.is_multipart

    def covers(self, media_type: str, *, multipart: bool) -> bool:
        """Whether a media type, as the parts of a message or by itself, is wanted by this range and no narrower one.

        Per: RFC 9110 12.5.1 (the most specific range decides).
        """
        return self._spans(media_type, multipart) and not any(
            one._spans(media_type, multipart)
            for one in self.narrower
            if one.syntax in ("", "*")  # another decides on one transfer syntax alone
        )

    def ways(self, *, multipart: bool = False) -> tuple[bool, ...]:
        """Whether it wants parts, or in which order one of the two is tried.

        Args:
            multipart: What is given where both are wanted.
        """
        return (multipart, not multipart) if self.is_any else (self.is_multipart,)

    def way(self, media_type: str, *, multipart: bool) -> bool | None:
        """Whether one media type is to come as parts; None where this range does not want it.

        Args:
            media_type: The type.
            multipart: As of `ways`.
        """
        return next((way for way in self.ways(multipart=multipart) if self.covers(media_type, multipart=way)), None)

    def _spans(self, media_type: str, multipart: bool) -> bool:
        if self.is_any:
            return True
        kind, _, rest = self.media_type.partition("/")
        return self.is_multipart == multipart and (
            self.media_type in ("*/*", media_type) or (rest == "*" and media_type.startswith(kind + "/"))
        )


def wanted(http_request: Request) -> list[Wanted]:
    """What a request would take, best first; everything when it does not say.

    The `accept` query parameter comes before the header (PS3.18 8.3.3.1).

    Args:
        http_request: The request.

    Raises:
        MediaTypeUnreadable: It cannot be understood.
        NothingAcceptable: It says that nothing would be taken.
    """
    return list(_wanted(http_request.query_params.get("accept") or ",".join(http_request.headers.getlist("accept"))))


@lru_cache(maxsize=64)
def _wanted(text: str) -> tuple[Wanted, ...]:
    ranges = [_range(one) for one in media_types.read_list(text)]
    usable = [one for one in ranges if one.quality > 0]
    if ranges and not usable:
        raise NothingAcceptable
    decided = [replace(one, narrower=tuple(other for other in ranges if other.breadth < one.breadth)) for one in usable]
    return tuple(sorted(decided, key=lambda one: -one.quality)) or (Wanted("*/*"),)


def chosen(ranges: Sequence[Wanted], offered: Sequence[str], *, multipart: bool = False) -> str:
    """The media type to answer with.

    Args:
        ranges: What would be taken, best first.
        offered: What we can give, best first.
        multipart: Whether the answer is a multipart message of that type.

    Raises:
        NothingAcceptable: Nothing fits.
    """
    for one in ranges:
        for media_type in offered:
            if one.covers(media_type, multipart=multipart):
                return media_type
    raise NothingAcceptable


def told_type(http_request: Request) -> str:
    """The type to tell results or metadata in: JSON, or XML as parts of a multipart message.

    Raises:
        NothingAcceptable: Neither would be taken.

    Per: DICOM PS3.18 8.7.3.2, tables 8.7.3-3 and 10.6.3-2.
    """
    for one in wanted(http_request):
        for media_type in (JSON, PLAIN_JSON):
            if one.covers(media_type, multipart=False):
                return media_type
        if one.covers(XML, multipart=True) or one.media_type == XML:
            return XML
    raise NothingAcceptable


def _range(told: media_types.MediaType) -> Wanted:
    media_type, parameters = told.name, told.parameters
    told_quality = parameters.get("q", "1")
    quality = float(told_quality) if _QUALITY.fullmatch(told_quality) else 0.0
    is_multipart = media_type in (MULTIPART, _ANY_MULTIPART)
    # Of parts the type of the content decides; `*/*` is broader than any parts, those in `multipart/*` than all others.
    besides = {_ANY_MULTIPART: 1, "*/*": 2}.get(media_type, 0)
    if is_multipart:
        media_type = parameters.get("type", "*/*").lower() if media_type == MULTIPART else "*/*"
    syntax, breadth = parameters.get("transfer-syntax", ""), media_type.count("*") + besides
    return Wanted(media_type, is_multipart, syntax, quality, parameters, breadth)
