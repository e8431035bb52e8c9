"""The same data set in another native transfer syntax: headers of elements anew, values as they are.

For a receiver that does not take the syntax in which an instance is held. Pixels are never decoded here. Iterative:
nesting costs no stack. Only for bytes that a `Scanner` has passed: their structure is known to be sound.

Per: DICOM PS3.5 7.1 (elements), 7.5 (sequences), A.1 to A.3 (syntaxes).
"""

from __future__ import annotations

import struct

from troth.dicom import syntaxes, tags
from troth.dicom.errors import Malformed
from troth.dicom.frames import swapped
from troth.dicom.values import unit_bytes

_PIXEL_REPRESENTATION = 0x00280103
_PADDING = 0xFFFCFFFC
_ITEM_OPEN = struct.pack("<HHL", 0xFFFE, 0xE000, tags.UNDEFINED)
_ITEM_CLOSE = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
_SEQUENCE_CLOSE = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
_SOURCES = frozenset({syntaxes.IMPLICIT_LITTLE, syntaxes.EXPLICIT_LITTLE, syntaxes.EXPLICIT_BIG})
_WANTED = frozenset({syntaxes.IMPLICIT_LITTLE, syntaxes.EXPLICIT_LITTLE})


def can_recode(syntax: str, wanted: str) -> bool:
    """Whether a data set in one transfer syntax can be given in another without touching what its values mean."""
    return syntax == wanted or (syntax in _SOURCES and wanted in _WANTED)


def recode(encoded: bytes, syntax: str, wanted: str, *, is_signed: bool = False) -> bytes:
    """Elements in another transfer syntax.

    Args:
        encoded: A head, as `Header.head`, or the elements after a bulk value.
        syntax: The syntax it is written in.
        wanted: The syntax to write: implicit or explicit VR little endian.
        is_signed: Whether pixels are signed, for elements after the bulk value.

    Returns:
        The elements; sequences of undefined length, group lengths and trailing padding left out. A head still ends
        with the header of its bulk value.

    Raises:
        Malformed: It is not what a scanner passed, or cannot be written so.
    """
    if not can_recode(syntax, wanted):
        raise Malformed("A data set cannot be rewritten into this transfer syntax")
    if syntax == wanted:
        return encoded
    try:
        return _Writer(encoded, syntax, wanted, is_signed).write()
    except (struct.error, IndexError):
        raise Malformed("The head is not what a scanner passed") from None


def recoded_unit(bulk_vr: str | None, syntax: str, bits_allocated: int = 0) -> int:
    """Width of the units of a bulk value that must be turned round when it goes out little endian; 1 for none.

    Args:
        bulk_vr: Value representation of the bulk; None where there is none.
        syntax: Transfer syntax that is held.
        bits_allocated: Of one pixel: OW also holds pixels of 32 bits, each written big endian as a whole.
    """
    if syntaxes.is_little(syntax) or bulk_vr is None:
        return 1
    unit = unit_bytes(bulk_vr)
    return max(unit, bits_allocated // 8) if bulk_vr == "OW" else unit


class _Scope:
    """A data set, a sequence or an item that is open."""

    __slots__ = ("creators", "end", "is_sequence", "is_signed")

    def __init__(self, end: int, is_signed: bool, *, is_sequence: bool) -> None:
        self.end = end
        self.is_sequence = is_sequence
        self.is_signed = is_signed
        self.creators: dict[int, str] = {}


class _Writer:
    """Rewrites one buffer."""

    def __init__(self, buffer: bytes, syntax: str, wanted: str, is_signed: bool) -> None:
        self._buffer = buffer
        self._is_explicit = syntaxes.is_explicit(syntax)
        self._inside = 0  # how many scopes are open within an element of another byte order, that one included
        self._turn(is_little=syntaxes.is_little(syntax))
        self._wants_vr = syntaxes.is_explicit(wanted)
        self._is_signed = is_signed
        self._out = bytearray()

    def write(self) -> bytes:
        """Rewrite it all."""
        position = 0
        stack = [_Scope(len(self._buffer), self._is_signed, is_sequence=False)]
        while stack:
            if len(stack) < self._inside:
                self._inside, self._is_explicit = 0, True
                self._turn(is_little=False)
            scope = stack[-1]
            if position == scope.end:
                self._close(stack)
            elif scope.is_sequence:
                position = self._item(stack, position)
            else:
                position = self._element_at(stack, position)
        return bytes(self._out)

    def _turn(self, *, is_little: bool) -> None:
        self._is_little = is_little
        order = "<" if is_little else ">"
        self._element = struct.Struct(order + "HH2sH").unpack_from
        self._implicit = struct.Struct(order + "HHL").unpack_from
        self._length = struct.Struct(order + "L").unpack_from

    def _close(self, stack: list[_Scope]) -> None:
        scope = stack.pop()
        if stack:
            self._out += _SEQUENCE_CLOSE if scope.is_sequence else _ITEM_CLOSE

    def _item(self, stack: list[_Scope], position: int) -> int:
        group, element, length = self._implicit(self._buffer, position)
        position += 8
        if group << 16 | element == tags.SEQUENCE_END:
            self._close(stack)
            return position
        self._out += _ITEM_OPEN
        end = position + length if length != tags.UNDEFINED else -1
        stack.append(_Scope(end, stack[-1].is_signed, is_sequence=False))
        return position

    def _element_at(self, stack: list[_Scope], position: int) -> int:
        buffer, scope = self._buffer, stack[-1]
        tag, vr, length, start = self._read(position)
        if tag == tags.ITEM_END:
            self._close(stack)
            return start
        if self._is_sequence(tag, vr, length):
            self._header(tag, "SQ", tags.UNDEFINED)
            stack.append(_Scope(start + length if length != tags.UNDEFINED else -1, scope.is_signed, is_sequence=True))
            if not self._is_little and vr == "UN" and length == tags.UNDEFINED and buffer[start] == 0xFE:
                self._inside, self._is_explicit = len(stack), False  # PS3.5 6.2.2, as `metadata.Reader`
                self._turn(is_little=True)
            return start
        is_root = len(stack) == 1
        if start == len(buffer) and length and is_root:
            self._header(tag, vr or self._true_vr(scope, tag, b"", length), length)  # the bulk value comes after us
            return start
        if length == tags.UNDEFINED:
            stop = self._end_of_fragments(start)
            self._header(tag, vr or "OB", tags.UNDEFINED)
            self._out += buffer[start:stop]
            return stop
        stop = start + length
        if tag & 0xFFFF == 0 or tag == _PADDING:
            return stop
        raw = buffer[start:stop]
        if not vr or vr == "UN":
            vr = self._true_vr(scope, tag, raw, length)
        self._note(scope, tag, raw)
        if self._is_little or unit_bytes(vr) == 1:
            self._header(tag, vr, length)
            self._out += raw
        else:
            self._header(tag, vr, length)
            self._out += swapped(raw, unit_bytes(vr))
        return stop

    def _read(self, position: int) -> tuple[int, str, int, int]:
        """An element's tag, VR (empty where it is not written), length and the start of its value."""
        if self._is_explicit:
            group, element, code, length = self._element(self._buffer, position)
            if code in tags.SHORT:
                return group << 16 | element, code.decode(), length, position + 8
            if code in tags.LONG:
                return group << 16 | element, code.decode(), self._length(self._buffer, position + 8)[0], position + 12
        group, element, length = self._implicit(self._buffer, position)
        return group << 16 | element, "", length, position + 8

    def _header(self, tag: int, vr: str, length: int) -> None:
        group, element, code = tag >> 16, tag & 0xFFFF, vr.encode()
        if not self._wants_vr:
            self._out += struct.pack("<HHL", group, element, length)
        elif code in tags.LONG or length > 0xFFFF:
            # too long for its own VR's length: PS3.5 6.2.2 has it written as UN
            self._out += struct.pack("<HH2sHL", group, element, code if code in tags.LONG else b"UN", 0, length)
        else:
            self._out += struct.pack("<HH2sH", group, element, code, length)

    @staticmethod
    def _is_sequence(tag: int, vr: str, length: int) -> bool:
        if vr == "SQ":
            return True
        if length == tags.UNDEFINED:
            return vr in ("", "UN") and tag not in tags.BULK
        return vr in ("", "UN") and length > 0 and tag in tags.sequence_tags()

    def _true_vr(self, scope: _Scope, tag: int, raw: bytes, length: int) -> str:
        """The value representation where none, or only UN, is written (PS3.5 6.2.2)."""
        if not self._wants_vr and self._is_little:
            return "UN"  # it will not be written
        if tag == tags.PIXELS:
            return "OW"  # PS3.5 A.1
        if tag >> 16 & 1:
            return self._private_vr(scope, tag)
        known = tags.dictionary_vr(tag)
        if known == "US or SS":
            return "SS" if scope.is_signed else "US"
        if " or " in known:
            return "US" if known.startswith("US") and len(raw) == 2 else "OW"
        code = known.encode()
        return known if code in tags.LONG or code in tags.SHORT else "UN"

    @staticmethod
    def _private_vr(scope: _Scope, tag: int) -> str:
        element = tag & 0xFFFF
        if 0x10 <= element <= 0xFF:
            return "LO"
        creator = scope.creators.get(tag & 0xFFFF0000 | element >> 8)
        if creator is None:
            return "UN"
        from pydicom.datadict import private_dictionary_VR

        try:
            vr = private_dictionary_VR(tag, creator)
        except KeyError:
            return "UN"
        # A maker's sequence was passed over unseen by the scanner: as UN it stays what it is (PS3.5 6.2.2).
        return vr if vr != "SQ" and (vr.encode() in tags.SHORT or vr.encode() in tags.LONG) else "UN"

    def _note(self, scope: _Scope, tag: int, raw: bytes) -> None:
        if tag == _PIXEL_REPRESENTATION and len(raw) == 2:
            scope.is_signed = int.from_bytes(raw, "little" if self._is_little else "big") == 1
        elif tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF:
            scope.creators[tag] = raw.decode("ascii", "replace").strip(" \0")

    def _end_of_fragments(self, position: int) -> int:
        while True:
            group, element, length = self._implicit(self._buffer, position)
            position += 8
            if group << 16 | element == tags.SEQUENCE_END:
                return position
            position += length
