"""A data set as DICOM JSON, from the bytes of its head, whole or as they come. Iterative: nesting costs no stack.

Only for heads that a `Scanner` has passed: their structure is known to be sound.

Per: DICOM PS3.18 Annex F.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from troth.dicom import syntaxes, tags
from troth.dicom.errors import Malformed
from troth.dicom.frames import swapped
from troth.dicom.text import Charset, charset_of
from troth.dicom.values import BINARY_UNITS, json_values

_UTF8 = "ISO_IR 192"
HUGE_BYTES = 256 << 10
"""A longer value is only pointed to."""
_AHEAD_BYTES = 12 + HUGE_BYTES  # of an element that is read at once, its header included
_UNKNOWN_BYTES = 1 << 62
_PIXEL_REPRESENTATION = "00280103"
_UNKNOWN_VR_BYTES = 0xFFFF
_PER_FRAME = "52009230"
#: What a picture looks into: functional groups, and tables that give values their meaning.
_OF_PICTURES = frozenset({0x52009229, 0x52009230, 0x00283000, 0x00283010})

Uri = Callable[[str, str, int, int], str]


@dataclass(frozen=True, slots=True)
class BulkPlace:
    """Where a value stands that the metadata only points to.

    Attributes:
        vr: Its value representation.
        start: Its first byte in the head; the head's length where the value is the bulk.
        stop: The byte after its last in the head; -1 where the value is the bulk.
        unit_bytes: Width of units that must be turned round to little endian (`swapped`), else 1.
    """

    vr: str
    start: int
    stop: int
    unit_bytes: int

    @property
    def is_bulk(self) -> bool:
        """Whether it is the value after the head."""
        return self.stop < 0


class Scope:
    """A data set or a sequence that is being read."""

    __slots__ = ("charset", "dataset", "end", "is_signed", "items", "path")

    def __init__(self, end: int, path: str, charset: Charset, is_signed: bool) -> None:
        self.end = end
        self.path = path
        self.charset = charset
        self.is_signed = is_signed
        self.dataset: dict[str, Any] = {}
        self.items: list[Any] | None = None


def to_json(
    head: bytes,
    syntax: str,
    bulk_uri: str | Callable[[str], str] | None = None,
    *,
    inline_bytes: int = 1024,
    tail: bytes = b"",
    frames: range | None = None,
) -> dict[str, Any]:
    """The metadata of an instance in the DICOM JSON model.

    Args:
        head: As `Header.head`.
        syntax: As `Header.syntax`.
        bulk_uri: What to put before the path of a value that is not sent inline (``7FE00010``,
            ``54000100/0/54001010``), or a function from that path to its URI. None: all but the bulk goes inline, and
            the bulk is left out.
        inline_bytes: Longer binary values become a BulkDataURI.
        tail: As `Header.tail`: elements after the bulk.
        frames: Only what pictures of these need, counted from 1: other sequences are empty, and so are the functional
            groups of other frames; text is not read in its repertoire.

    Returns:
        Tag to element. Specific Character Set is ISO_IR 192 wherever it was given, for JSON is in UTF-8; group lengths
        and padding are left out.

    Raises:
        Malformed: The head is not what a scanner passed.
    """
    reader = Reader(head, syntax, uri_of(bulk_uri), inline_bytes)
    reader.frames = frames
    root = reader.read()
    if tail:
        root.dataset.update(Reader(tail, syntax, None, inline_bytes, root.charset).read().dataset)
    return root.dataset


def uri_of(bulk_uri: str | Callable[[str], str] | None) -> Uri | None:
    """What makes the URI of a value of its path; see `to_json`."""
    if bulk_uri is None:
        return None
    ask = bulk_uri if callable(bulk_uri) else bulk_uri.__add__
    return lambda path, _vr, _start, _stop: ask(path)


class Reader:
    """Reads one buffer; or one that comes piece by piece, of which it holds what it still needs.

    What an element of undefined length and of no known representation holds is implicit little endian, whatever the
    data set is written in (PS3.5 6.2.2); of a writer that did not know that, the first item tells.
    """

    def __init__(
        self, buffer: bytes, syntax: str, uri: Uri | None, inline_bytes: int, charset: Charset | None = None
    ) -> None:
        self._buffer = buffer
        self._base = 0  # where the buffer begins
        self._reach = len(buffer)  # where it ends
        self._size = _UNKNOWN_BYTES  # where everything does
        self._needed = 0  # from where on the reading goes on
        self._is_explicit = syntaxes.is_explicit(syntax)
        self._inside = 0  # how many scopes are open within an element of another byte order, that one included
        self._turn(is_little=syntaxes.is_little(syntax))
        self._uri = uri
        self._inline_bytes = inline_bytes
        self._root = Scope(-1, "", charset or charset_of(b""), False)
        self._steps = self._read(self._root)
        self.frames: range | None = None

    def read(self) -> Scope:
        """Read the whole buffer.

        Returns:
            The data set, and its repertoire.
        """
        self._root.end = self._size = self._reach
        try:
            for _ in self._steps:
                pass
        except (struct.error, IndexError):
            raise Malformed("The head is not what a scanner passed") from None
        return self._root

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of a buffer that comes piece by piece, and read as far as they go; `read` ends it.

        Args:
            chunk: The bytes.
        """
        self._wait()
        buffer = self._buffer[self._needed - self._base :]
        self._buffer = buffer + chunk if buffer else chunk[max(self._needed - self._reach, 0) :]
        self._reach += len(chunk)
        self._base = self._reach - len(self._buffer)
        self._wait()

    def _wait(self) -> None:
        """Read as far as the bytes go."""
        try:
            self._needed = next(self._steps)
        except StopIteration:
            raise Malformed("The head is not what a scanner passed") from None
        except (struct.error, IndexError):
            raise Malformed("The head is not what a scanner passed") from None

    def _turn(self, *, is_little: bool) -> None:
        self._is_little = is_little
        order = "<" if is_little else ">"
        self._element = struct.Struct(order + "HH2sH").unpack_from
        self._implicit = struct.Struct(order + "HHL").unpack_from
        self._length = struct.Struct(order + "L").unpack_from

    def _read(self, root: Scope) -> Iterator[int]:
        """Read it all, with a pause whenever more bytes are needed: from where on."""
        position = 0
        stack = [root]
        while stack:
            while position + _AHEAD_BYTES > self._reach < self._size:
                yield position
            if len(stack) < self._inside:
                self._inside, self._is_explicit = 0, True
                self._turn(is_little=False)
            scope = stack[-1]
            if position == scope.end:
                self._close(stack.pop())
                continue
            if scope.items is not None:
                group, element, length = self._implicit(self._buffer, position - self._base)
                position += 8
                if group << 16 | element == tags.SEQUENCE_END:
                    self._close(stack.pop())
                    continue
                end = position + length if length != tags.UNDEFINED else -1
                inner = Scope(end, f"{scope.path}/{len(scope.items)}/", scope.charset, scope.is_signed)
                if self._open_item(scope, inner) or end < 0:
                    stack.append(inner)
                else:
                    position = end
                continue
            tag, vr, length, start = self._read_element(position)
            if tag == tags.ITEM_END:
                self._close(stack.pop())
                position += 8
                continue
            if self._is_sequence(tag, vr, length):
                end = start + length if length != tags.UNDEFINED else -1
                inner = Scope(end, scope.path + tags.key(tag), scope.charset, scope.is_signed)
                inner.items = []
                self._open(scope, tag, inner.items)
                stack.append(inner)
                position = start
                at = start - self._base
                if not self._is_little and vr == "UN" and length == tags.UNDEFINED and self._buffer[at] == 0xFE:
                    self._inside, self._is_explicit = len(stack), False
                    self._turn(is_little=True)
                continue
            stop = start + length
            if length == tags.UNDEFINED and not (scope is root and tag in tags.BULK):
                stop = yield from self._end_of_fragments(start)
            position = self._value(scope, tag, vr, start, stop, length)

    def _open(self, scope: Scope, tag: int, items: list[Any]) -> None:
        """A sequence begins."""
        scope.dataset[tags.key(tag)] = {"vr": "SQ", "Value": items}

    def _open_item(self, scope: Scope, inner: Scope) -> bool:
        """An item of a sequence begins; False: nobody wants it."""
        items = scope.items or []
        frames, depth = self.frames, len(scope.path)
        is_wanted = (
            frames is None
            or depth > 8
            or (len(items) + 1 in frames if scope.path == _PER_FRAME else int(scope.path, 16) in _OF_PICTURES)
        )
        if scope.items is not None:
            scope.items.append(inner.dataset if is_wanted else _NOTHING)
        return is_wanted

    def _put(self, scope: Scope, key: str, entry: dict[str, Any]) -> None:
        """An element that is no sequence."""
        scope.dataset[key] = entry

    def _close(self, scope: Scope) -> None:
        """A data set or a sequence ends."""

    def _read_element(self, position: int) -> tuple[int, str, int, int]:
        """An element's tag, VR (empty where it is not written), length and the start of its value."""
        at = position - self._base
        if self._is_explicit:
            group, element, code, length = self._element(self._buffer, at)
            if code in tags.SHORT:
                return group << 16 | element, code.decode(), length, position + 8
            if code in tags.LONG:
                return group << 16 | element, code.decode(), self._length(self._buffer, at + 8)[0], position + 12
        group, element, length = self._implicit(self._buffer, at)
        return group << 16 | element, "", length, position + 8

    @staticmethod
    def _is_sequence(tag: int, vr: str, length: int) -> bool:
        if vr == "SQ":
            return True
        if length == tags.UNDEFINED:
            return vr in ("", "UN") and tag not in tags.BULK
        return vr in ("", "UN") and tag in tags.sequence_tags()

    def _value(self, scope: Scope, tag: int, vr: str, start: int, stop: int, length: int) -> int:
        """Take an element that is no sequence.

        Args:
            scope: The data set it is in.
            tag: The element.
            vr: What is written of its representation.
            start: Where its value begins.
            stop: Where the next element begins.
            length: As it is written.

        Returns:
            Where to go on.
        """
        key, size = tags.key(tag), self._size
        if (not scope.path and start == size and length and tag in tags.BULK) or start == size < stop:
            vr = vr or ("OB" if length == tags.UNDEFINED else "OW")  # PS3.5 A.1, A.4
            if self._uri is not None:
                uri = self._uri(scope.path + key, vr, start, -1)
                self._put(scope, key, {"vr": vr, "BulkDataURI": uri})
            return start
        if tag & 0xFFFF == 0 or tag == 0xFFFCFFFC:
            return stop
        value_bytes = (stop if length != tags.UNDEFINED else stop - 8) - start
        vr = self._true_vr(scope, tag, vr, value_bytes)
        if self._uri is not None and value_bytes > max(HUGE_BYTES, self._inline_bytes):
            uri = self._uri(scope.path + key, vr, start, start + value_bytes)
            self._put(scope, key, {"vr": vr, "BulkDataURI": uri})
            return stop
        at = start - self._base
        raw = self._buffer[at : at + value_bytes]
        if tag == tags.CHARSET and raw.strip(b" \0") and self.frames is None:
            scope.charset = charset_of(raw)
            self._put(scope, key, {"vr": "CS", "Value": [_UTF8]})
            return stop
        entry: dict[str, Any] = {"vr": vr}
        if vr in BINARY_UNITS or len(raw) > HUGE_BYTES:
            if self._uri is not None and len(raw) > self._inline_bytes:
                entry["BulkDataURI"] = self._uri(scope.path + key, vr, start, start + len(raw))
            elif raw and vr in BINARY_UNITS:
                unit = 1 if self._is_little else BINARY_UNITS[vr]
                entry["InlineBinary"] = base64.b64encode(swapped(raw, unit) if unit > 1 else raw).decode("ascii")
        else:
            values = json_values(vr, raw, scope.charset, is_little=self._is_little)
            if values:
                entry["Value"] = values
            if key == _PIXEL_REPRESENTATION:
                scope.is_signed = values == [1]
        self._put(scope, key, entry)
        return stop

    def _true_vr(self, scope: Scope, tag: int, vr: str, length: int) -> str:
        """The value representation where none, or only UN, is written (PS3.5 6.2.2)."""
        if vr and (vr != "UN" or length >= _UNKNOWN_VR_BYTES):
            return vr
        if tag >> 16 & 1 and tag & 0xFFFF >= 0x1000:
            if self.frames is not None:
                return "UN"
            creator = scope.dataset.get(f"{tag >> 16:04X}00{tag >> 8 & 0xFF:02X}", {}).get("Value", [None])[0]
            return _private_vr(tag, creator) if isinstance(creator, str) else "UN"
        known = tags.dictionary_vr(tag)
        if known == "US or SS":
            return "SS" if scope.is_signed else "US"
        if " or " in known:
            return "US" if known.startswith("US") and length == 2 else "OW"
        return known if known in BINARY_UNITS or known in _KNOWN else "UN"

    def _end_of_fragments(self, start: int) -> Generator[int, None, int]:
        """Where an encapsulated value within a sequence ends, its delimiter included."""
        position = start
        while True:
            while position + _AHEAD_BYTES > self._reach < self._size:
                yield start if position - start <= HUGE_BYTES else position
            group, element, length = self._implicit(self._buffer, position - self._base)
            position += 8
            if group << 16 | element == tags.SEQUENCE_END:
                return position
            position += length


_NOTHING: dict[str, Any] = {}
_KNOWN = frozenset(code.decode() for code in tags.SHORT | tags.LONG)


def _private_vr(tag: int, creator: str) -> str:
    """The value representation of a known maker's element in implicit VR; pydicom's table is read when one comes."""
    from pydicom.datadict import private_dictionary_VR

    try:
        vr = private_dictionary_VR(tag, creator)
    except KeyError:
        return "UN"
    # A maker's sequence was passed over unseen by the scanner: its bytes are given, not items read from them.
    return vr if vr in _KNOWN - {"SQ"} else "UN"
