"""A data set as DICOM JSON, from the bytes of its head. Iterative: nesting costs no stack.

Only for heads that a `Scanner` has passed: their structure is known to be sound.

Per: DICOM PS3.18 Annex F.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from troth.dicom import syntaxes, tags
from troth.dicom.errors import Malformed
from troth.dicom.frames import swapped
from troth.dicom.text import Charset, charset_of
from troth.dicom.values import BINARY_UNITS, json_values, unit_bytes

_UTF8 = "ISO_IR 192"
_HUGE_BYTES = 256 << 10
_PIXEL_REPRESENTATION = "00280103"
_UNKNOWN_VR_BYTES = 0xFFFF
_PIECE_BYTES = 256 << 10
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


class _Scope:
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
            groups of other frames.

    Returns:
        Tag to element. Specific Character Set is ISO_IR 192 wherever it was given, for JSON is in UTF-8; group lengths
        and padding are left out.

    Raises:
        Malformed: The head is not what a scanner passed.
    """
    reader = _Reader(head, syntax, _uri_of(bulk_uri), inline_bytes)
    reader.frames = frames
    dataset = reader.read()
    if tail:
        charset = _Reader(head, syntax, None, 0).charset
        dataset.update(_Reader(tail, syntax, None, inline_bytes, charset).read())
    return dataset


def write_json(head: bytes, syntax: str, bulk_uri: str, *, tail: bytes = b"") -> Iterator[bytes]:
    """The same as `to_json`, as text and piece by piece: memory stays flat, however many items the sequences have.

    Args:
        head: As `Header.head`.
        syntax: As `Header.syntax`.
        bulk_uri: What to put before the path of a value that is not sent inline.
        tail: As `Header.tail`.

    Yields:
        JSON in UTF-8. Of an element that stands twice in a data set, both are written.

    Raises:
        Malformed: The head is not what a scanner passed.
    """
    yield b"{"
    writer = _Writer(head, syntax, _uri_of(bulk_uri), 1024)
    yield from writer.write()
    if tail:
        last = _Writer(tail, syntax, None, 1024, _Reader(head, syntax, None, 0).charset)
        last.is_first = writer.is_first
        yield from last.write()
    yield b"}"


def _uri_of(bulk_uri: str | Callable[[str], str] | None) -> Uri | None:
    if bulk_uri is None:
        return None
    ask = bulk_uri if callable(bulk_uri) else bulk_uri.__add__
    return lambda path, _vr, _start, _stop: ask(path)


def find_bulk(head: bytes, syntax: str, path: str) -> BulkPlace | None:
    """Where the value of a BulkDataURI stands.

    Args:
        head: As `Header.head`.
        syntax: As `Header.syntax`.
        path: As `to_json` put it into the URI.

    Returns:
        The place, or None where there is no such value.
    """
    found: list[BulkPlace] = []
    is_big = not syntaxes.is_little(syntax)

    def note(at: str, vr: str, start: int, stop: int) -> str:
        if at == path:
            found.append(BulkPlace(vr, start, stop, unit_bytes(vr) if is_big else 1))
        return ""

    _Reader(head, syntax, note, 0).read()
    return found[0] if found else None


class _Reader:
    """Reads one buffer."""

    def __init__(
        self, buffer: bytes, syntax: str, uri: Uri | None, inline_bytes: int, charset: Charset | None = None
    ) -> None:
        self._buffer = buffer
        self._is_explicit = syntaxes.is_explicit(syntax)
        self._is_little = syntaxes.is_little(syntax)
        order = "<" if self._is_little else ">"
        self._element = struct.Struct(order + "HH2sH").unpack_from
        self._implicit = struct.Struct(order + "HHL").unpack_from
        self._length = struct.Struct(order + "L").unpack_from
        self._uri = uri
        self._inline_bytes = inline_bytes
        self._charset = charset or charset_of(b"")
        self.frames: range | None = None

    @property
    def charset(self) -> Charset:
        """The repertoire of the top level."""
        scope = self._root()
        position = 0
        while position + 8 <= len(self._buffer):
            tag, _, length, start = self._read_element(position)
            if tag >= tags.CHARSET or length == tags.UNDEFINED:
                return charset_of(self._buffer[start : start + length]) if tag == tags.CHARSET else scope.charset
            position = start + length
        return scope.charset

    def read(self) -> dict[str, Any]:
        """Read it all."""
        root = self._root()
        for _ in self._steps(root):
            pass
        return root.dataset

    def _root(self) -> _Scope:
        return _Scope(len(self._buffer), "", self._charset, False)

    def _steps(self, root: _Scope) -> Iterator[None]:
        """Read it all, with a pause after each item."""
        try:
            yield from self._read(root)
        except (struct.error, IndexError):
            raise Malformed("The head is not what a scanner passed") from None

    def _read(self, root: _Scope) -> Iterator[None]:
        buffer, position = self._buffer, 0
        stack = [root]
        while stack:
            scope = stack[-1]
            if position == scope.end:
                self._close(stack.pop())
                yield
                continue
            if scope.items is not None:
                group, element, length = self._implicit(buffer, position)
                position += 8
                if group << 16 | element == tags.SEQUENCE_END:
                    self._close(stack.pop())
                    continue
                end = position + length if length != tags.UNDEFINED else -1
                inner = _Scope(end, f"{scope.path}/{len(scope.items)}/", scope.charset, scope.is_signed)
                if self._open_item(scope, inner) or end < 0:
                    stack.append(inner)
                else:
                    position = end
                continue
            tag, vr, length, start = self._read_element(position)
            if tag == tags.ITEM_END:
                self._close(stack.pop())
                position += 8
                yield
                continue
            if self._is_sequence(tag, vr, length):
                end = start + length if length != tags.UNDEFINED else -1
                inner = _Scope(end, scope.path + tags.key(tag), scope.charset, scope.is_signed)
                inner.items = []
                self._open(scope, tag, inner.items)
                stack.append(inner)
                position = start
                continue
            position = self._value(scope, tag, vr, start, length, is_root=scope is root)

    def _open(self, scope: _Scope, tag: int, items: list[Any]) -> None:
        """A sequence begins."""
        scope.dataset[tags.key(tag)] = {"vr": "SQ", "Value": items}

    def _open_item(self, scope: _Scope, inner: _Scope) -> bool:
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

    def _put(self, scope: _Scope, key: str, entry: dict[str, Any]) -> None:
        """An element that is no sequence."""
        scope.dataset[key] = entry

    def _close(self, scope: _Scope) -> None:
        """A data set or a sequence ends."""

    def _read_element(self, position: int) -> tuple[int, str, int, int]:
        """An element's tag, VR (empty where it is not written), length and the start of its value."""
        if self._is_explicit:
            group, element, code, length = self._element(self._buffer, position)
            if code in tags.SHORT:
                return group << 16 | element, code.decode(), length, position + 8
            if code in tags.LONG:
                return group << 16 | element, code.decode(), self._length(self._buffer, position + 8)[0], position + 12
        group, element, length = self._implicit(self._buffer, position)
        return group << 16 | element, "", length, position + 8

    @staticmethod
    def _is_sequence(tag: int, vr: str, length: int) -> bool:
        if vr == "SQ":
            return True
        if length == tags.UNDEFINED:
            return vr in ("", "UN") and tag not in tags.BULK
        return vr in ("", "UN") and tag in tags.sequence_tags()

    def _value(self, scope: _Scope, tag: int, vr: str, start: int, length: int, *, is_root: bool) -> int:
        """Take an element that is no sequence.

        Returns:
            Where the next one begins.
        """
        buffer, key = self._buffer, tags.key(tag)
        if (is_root and start == len(buffer) and length and tag in tags.BULK) or start == len(buffer) < start + length:
            vr = vr or ("OB" if length == tags.UNDEFINED else "OW")  # PS3.5 A.1, A.4
            if self._uri is not None:
                uri = self._uri(scope.path + key, vr, start, -1)
                self._put(scope, key, {"vr": vr, "BulkDataURI": uri})
            return start
        stop = start + length if length != tags.UNDEFINED else self._end_of_fragments(start)
        if tag & 0xFFFF == 0 or tag == 0xFFFCFFFC:
            return stop
        value_bytes = (stop if length != tags.UNDEFINED else stop - 8) - start
        vr = self._true_vr(scope, tag, vr, value_bytes)
        if self._uri is not None and value_bytes > max(_HUGE_BYTES, self._inline_bytes):
            uri = self._uri(scope.path + key, vr, start, start + value_bytes)
            self._put(scope, key, {"vr": vr, "BulkDataURI": uri})
            return stop
        raw = buffer[start : start + value_bytes]
        if tag == tags.CHARSET and raw.strip(b" \0"):
            scope.charset = charset_of(raw)
            self._put(scope, key, {"vr": "CS", "Value": [_UTF8]})
            return stop
        entry: dict[str, Any] = {"vr": vr}
        if vr in BINARY_UNITS or len(raw) > _HUGE_BYTES:
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

    def _true_vr(self, scope: _Scope, tag: int, vr: str, length: int) -> str:
        """The value representation where none, or only UN, is written (PS3.5 6.2.2)."""
        if vr and (vr != "UN" or length >= _UNKNOWN_VR_BYTES):
            return vr
        if tag >> 16 & 1 and tag & 0xFFFF >= 0x1000:
            creator = scope.dataset.get(f"{tag >> 16:04X}00{tag >> 8 & 0xFF:02X}", {}).get("Value", [None])[0]
            return _private_vr(tag, creator) if isinstance(creator, str) else "UN"
        known = tags.dictionary_vr(tag)
        if known == "US or SS":
            return "SS" if scope.is_signed else "US"
        if " or " in known:
            return "US" if known.startswith("US") and length == 2 else "OW"
        return known if known in BINARY_UNITS or known in _KNOWN else "UN"

    def _end_of_fragments(self, position: int) -> int:
        """Where an encapsulated value within a sequence ends, its delimiter included."""
        while True:
            group, element, length = self._implicit(self._buffer, position)
            position += 8
            if group << 16 | element == tags.SEQUENCE_END:
                return position
            position += length


class _Writer(_Reader):
    """Writes what it reads as text."""

    def __init__(
        self, buffer: bytes, syntax: str, uri: Uri | None, inline_bytes: int, charset: Charset | None = None
    ) -> None:
        super().__init__(buffer, syntax, uri, inline_bytes, charset)
        self._out: list[str] = []
        self._length_chars = 0
        self.is_first = True  # no element of this data set was written yet

    def write(self) -> Iterator[bytes]:
        """The elements of the data set, without the braces around them."""
        root = self._root()
        for _ in self._steps(root):
            if self._length_chars > _PIECE_BYTES:
                yield self._taken()
        yield self._taken()

    def _taken(self) -> bytes:
        text, self._out, self._length_chars = "".join(self._out), [], 0
        return text.encode("utf-8", "replace")

    def _add(self, text: str) -> None:
        self._out.append(text if self.is_first else f",{text}")
        self._length_chars += len(text)
        self.is_first = False

    def _open(self, scope: _Scope, tag: int, items: list[Any]) -> None:
        self._add(f'"{tags.key(tag)}":{{"vr":"SQ","Value":[')
        self.is_first = True

    def _open_item(self, scope: _Scope, inner: _Scope) -> bool:
        if scope.items is not None:
            scope.items.append(None)  # they are counted
        self._add("{")
        self.is_first = True
        return True

    def _put(self, scope: _Scope, key: str, entry: dict[str, Any]) -> None:
        if key[4:6] == "00" and int(key[3], 16) & 1:
            scope.dataset[key] = entry  # who reserved a private block is asked for later
        self._add(f'"{key}":{_written(entry)}')

    def _close(self, scope: _Scope) -> None:
        if scope.path:
            self._out.append("]}" if scope.items is not None else "}")
            self.is_first = False


_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
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
