"""Media types and their parameters, read in one pass and within bounds: what a stranger writes costs what it weighs.

The same grammar serves Accept, Content-Type and Content-Disposition.

Per: RFC 9110 5.6.6 (parameters), 8.3.1, 12.5.1; RFC 2045 5.1; RFC 2183 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from troth.doors.errors import MediaTypeUnreadable

MOST_CHARACTERS = 1 << 10
MOST_PARAMETERS = 16
MOST_TYPES = 64

# Nothing is given back once it is taken (possessive), so nothing is looked at twice.
_ONE_OF_MANY = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+")*+', re.DOTALL)
_PARAMETER = re.compile(r'([^=;"]*+)(?:=(?:[ \t]*+"((?:[^"\\]|\\.)*+)"[ \t]*+|([^;"]*+)))?+(?:;|$)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type, a range of them, or another value of that form.

    Attributes:
        name: Type and subtype in lower case, such as `application/dicom`; empty where nothing was said.
        parameters: Name in lower case to value, without the quotes. Of one given twice the first counts.
    """

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def read(text: str) -> MediaType:
    """Read one media type, as a Content-Type names it.

    Args:
        text: The value of the field.

    Raises:
        MediaTypeUnreadable: Above 1,024 characters or 16 parameters, or a quoted string without its end.
    """
    if len(text) > MOST_CHARACTERS:
        raise MediaTypeUnreadable(f"A media type has at most {MOST_CHARACTERS} characters here.")
    name, _, rest = text.partition(";")
    parameters: dict[str, str] = {}
    position, count = 0, 0
    while position < len(rest):
        found = _PARAMETER.match(rest, position)
        count += 1
        if found is None or count > MOST_PARAMETERS:
            raise MediaTypeUnreadable(f"A media type has at most {MOST_PARAMETERS} parameters, each as name=value.")
        key, quoted, plain = found.groups()
        if key := key.strip().lower():
            value = _ESCAPED.sub(r"\1", quoted) if quoted is not None else (plain or "").strip()
            parameters.setdefault(key, value)
        position = found.end()
    return MediaType(name.strip().lower(), parameters)


def read_list(text: str) -> list[MediaType]:
    """Read a list of media ranges, as an Accept names them, in its order.

    Args:
        text: The value of the field.

    Raises:
        MediaTypeUnreadable: As of `read`, or above 64 of them.
    """
    if len(text) > MOST_CHARACTERS * 8:
        raise MediaTypeUnreadable(f"The media types have at most {MOST_CHARACTERS * 8} characters together here.")
    found: list[MediaType] = []
    position = 0
    while position <= len(text):
        one = _ONE_OF_MANY.match(text, position)
        end = one.end() if one else position
        if end < len(text) and text[end] != ",":
            raise MediaTypeUnreadable("A quoted string in a media type does not end.")
        if single := text[position:end].strip():
            found.append(read(single))
        if len(found) > MOST_TYPES:
            raise MediaTypeUnreadable(f"At most {MOST_TYPES} media types are asked for at once here.")
        position = end + 1
    return found
