"""Parts of a multipart message: taken apart while they arrive, put together while they leave. Nothing is buffered.

Per: RFC 2046 5.1, RFC 2387, DICOM PS3.18 8.6.1.2.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from troth.doors import media_types
from troth.doors.errors import MediaTypeUnreadable, MultipartBroken, TooManyParts
from troth.kit import ids

# RFC 2046 5.1.1 has 70 characters at most; Orthanc sends 73, so longer ones are taken.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,199}[0-9A-Za-z'()+_,\-./:=?]")
_HEADER_BYTES = 8 << 10
_PREAMBLE_BYTES = 64 << 10
_MOST_PARTS = 20_000
_UNREADABLE = "unreadable"  # a media type that nobody takes: the part is refused, and the others are not


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part begins.

    Attributes:
        media_type: Its media type without parameters, in lower case; empty when it says none.
        parameters: Those of the media type.
        location: Its Content-Location, or empty.
        name: The field of a form that it is (RFC 7578 4.2), or empty.
    """

    media_type: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    location: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The part is whole."""


Event = PartBegins | PartEnds | memoryview


def boundary_of(content_type: media_types.MediaType) -> str:
    """The boundary of a multipart message.

    Raises:
        MultipartBroken: There is none, or it is not one.
    """
    boundary = content_type.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise MultipartBroken("The Content-Type has no usable boundary.")
    return boundary


class PartReader:
    """Takes a multipart message apart as it comes.

    Args:
        boundary: What stands between the parts.

    Attributes:
        is_ended: The closing delimiter was met.
    """

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._held = b"\r\n"  # the first delimiter may stand at the very beginning
        self._state = self._preamble
        self._count = 0
        self.is_ended = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes.

        Yields:
            Beginnings, content and ends of parts, in order. Content is valid until the next call.

        Raises:
            MultipartBroken: The message does not follow the rules.
            TooManyParts: There are more parts than are taken.
        """
        buffer = self._held + chunk if self._held else chunk
        self._held = b""
        position = 0
        while position < len(buffer) and not self.is_ended:
            before, state = position, self._state
            for event, reached in state(buffer, position):
                position = reached
                if event is not None:
                    yield event
            if position == before and state == self._state:
                break
        if not self.is_ended:
            self._held = buffer[position:]

    def _preamble(self, buffer: bytes, position: int) -> Iterator[tuple[Event | None, int]]:
        at = buffer.find(self._delimiter, position)
        if at >= 0:
            self._state = self._after_delimiter
            yield None, at + len(self._delimiter)
        elif len(buffer) > _PREAMBLE_BYTES:
            raise MultipartBroken("There is no first part.")

    def _after_delimiter(self, buffer: bytes, position: int) -> Iterator[tuple[Event | None, int]]:
        """What follows a delimiter: `--` for the end, else the rest of the line."""
        if len(buffer) - position < 2:
            return
        if buffer[position : position + 2] == b"--":
            self.is_ended = True
            yield None, len(buffer)
            return
        end = buffer.find(b"\r\n", position, position + 256)
        if end < 0:
            if len(buffer) - position >= 256:
                raise MultipartBroken("A delimiter does not end.")
            return
        if buffer[position:end].strip(b" \t"):
            raise MultipartBroken("A delimiter is followed by something else.")
        self._state = self._headers
        yield None, end

    def _headers(self, buffer: bytes, position: int) -> Iterator[tuple[Event | None, int]]:
        """Header fields; `position` stands at the line break before them."""
        end = buffer.find(b"\r\n\r\n", position)
        if end < 0 or end - position > _HEADER_BYTES:
            if len(buffer) - position > _HEADER_BYTES:
                raise MultipartBroken("The header of a part is too long.")
            return
        self._count += 1
        if self._count > _MOST_PARTS:
            raise TooManyParts
        self._state = self._content
        # The blank line's first break may belong to the delimiter of an empty part: it is looked at again.
        yield _beginning(buffer[position:end]), end + 2

    def _content(self, buffer: bytes, position: int) -> Iterator[tuple[Event | None, int]]:
        at = buffer.find(self._delimiter, position)
        start = position
        if not self._in_content:
            if len(buffer) - position < len(self._delimiter):
                return  # the line break here may yet turn out to begin the delimiter of an empty part
            start = position + 2
            self._in_content = True
        if at >= 0:
            self._in_content = False
            self._state = self._after_delimiter
            if at > start:
                yield memoryview(buffer)[start:at], at
            yield PartEnds(), at + len(self._delimiter)
            return
        safe = len(buffer) - len(self._delimiter) + 1
        if safe > start:
            yield memoryview(buffer)[start:safe], safe
        elif start > position:
            yield None, start

    _in_content = False


def _beginning(fields: bytes) -> PartBegins:
    found: dict[str, str] = {}
    for line in fields.split(b"\r\n"):
        name, _, value = line.partition(b":")
        found.setdefault(name.strip().lower().decode("latin-1"), value.decode("latin-1").strip())
    try:
        told = media_types.read(found.get("content-type", ""))
        of_form = media_types.read(found.get("content-disposition", "")).parameters.get("name", "")
    except MediaTypeUnreadable:
        return PartBegins(_UNREADABLE)
    return PartBegins(told.name, told.parameters, found.get("content-location", ""), of_form)


def new_boundary() -> str:
    """A boundary that no content has."""
    return f"troth-{ids.secret(18)}"


def part_head(boundary: str, content_type: str, location: str = "", *, is_first: bool = False) -> bytes:
    """What stands before the content of a part.

    Args:
        boundary: The boundary.
        content_type: Content-Type of the part.
        location: Content-Location of the part, or empty.
        is_first: Whether it is the first part.
    """
    lines = [f"--{boundary}", f"Content-Type: {content_type}"]
    if location:
        lines.append(f"Content-Location: {location}")
    return ("" if is_first else "\r\n").encode() + "\r\n".join([*lines, "", ""]).encode("ascii", "replace")


def closing(boundary: str) -> bytes:
    """What stands after the last part."""
    return f"\r\n--{boundary}--\r\n".encode()


def message(boundary: str, parts: Iterable[tuple[str, str, bytes]]) -> bytes:
    """A whole small message.

    Args:
        boundary: The boundary.
        parts: Content-Type, Content-Location and content of each.
    """
    pieces: list[bytes] = []
    for content_type, location, content in parts:
        pieces += [part_head(boundary, content_type, location, is_first=not pieces), content]
    return b"".join([*pieces, closing(boundary)])


async def streamed(boundary: str, parts: AsyncIterator[tuple[str, str, AsyncIterator[bytes]]]) -> AsyncIterator[bytes]:
    """A message whose parts are streams.

    Args:
        boundary: The boundary.
        parts: Content-Type, Content-Location and content of each.
    """
    is_first = True
    async for content_type, location, content in parts:
        yield part_head(boundary, content_type, location, is_first=is_first)
        is_first = False
        async for chunk in content:
            yield chunk
        await asyncio.sleep(0)  # others wait no longer for thousands of small parts than for a few
    yield closing(boundary)
