"""The structure of a data set, walked once, incrementally and without recursion.

The walk skips values by their length and remembers only where the index attributes stand. It is what makes a
stranger's file safe for everything that reads it later: depth, lengths and item structure are checked here, before any
other parser.

Per: DICOM PS3.5 7.1 (data elements), 7.5 (nesting), A.4 (fragments).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from troth.dicom import tags
from troth.dicom.errors import HeadTooLarge, Malformed, TooDeep

_SEQUENCE, _ITEM, _FRAGMENTS = 0, 1, 2
_UNBOUNDED = 1 << 62
_ORDINARY = 0x7FE00000  # elements from here on are pixels, padding, signatures or delimiters
_NONE: frozenset[int] = frozenset()


def _codes(vrs: frozenset[bytes], order: str) -> frozenset[int]:
    return frozenset(struct.unpack(order + "H", vr)[0] for vr in vrs)


#: By is_little: readers of an element with VR, without VR, and of a 32-bit length; and the VRs read as 16-bit numbers,
#: which is quicker than comparing bytes.
_READERS = {
    is_little: (
        struct.Struct(order + "HHHH").unpack_from,
        struct.Struct(order + "HHL").unpack_from,
        struct.Struct(order + "L").unpack_from,
        _codes(tags.SHORT, order),
        _codes(tags.LONG, order),
    )
    for is_little, order in ((True, "<"), (False, ">"))
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may cost.

    Attributes:
        head_bytes: Data set before its bulk value. Held in memory.
        tail_bytes: Elements after the bulk value. Held in memory.
        large_bytes: A binary value at the top level above this is bulk, whatever its tag.
        depth: Levels of sequences; real objects stay below 10.
        elements: Elements in all, nested ones included.
        fragments: Fragments of encapsulated pixels.
        inflate_ratio: Bytes out per byte in of a deflated data set, over the whole stream.
        inflated_bytes: A deflated data set in all.
        pending_bytes: Inflated bytes that may wait for `Scanner.take_bulk`.
    """

    head_bytes: int = 24 << 20
    tail_bytes: int = 4 << 20
    large_bytes: int = 4 << 20
    depth: int = 16
    elements: int = 120_000
    fragments: int = 1 << 20
    inflate_ratio: int = 100
    inflated_bytes: int = 1 << 30
    pending_bytes: int = 32 << 20


LIMITS = Limits()


class Walker:
    """Walks the elements of one data set as its bytes arrive.

    Attributes:
        position: Where the walk goes on; bytes before it are checked.
        need: The walk cannot go on before the buffer is this long.
        places: Index attribute to (start, length) of its value.
        nested: Sequence to its items, each with the places of the attributes the index needs.
        bulk: (tag, vr, length or UNDEFINED) once the bulk element is met; `position` is then its value's start.
    """

    __slots__ = (
        "_after", "_count", "_element", "_implicit", "_length", "_limit_bytes", "_limits", "_long", "_open",
        "_previous", "_short", "_stack", "bulk", "need", "nested", "places", "position",
    )  # fmt: skip

    def __init__(self, *, is_explicit: bool, is_little: bool, limits: Limits, after: int = 0) -> None:
        self._element, self._implicit, self._length, short, long = _READERS[is_little]
        self._short = short if is_explicit else _NONE
        self._long = long if is_explicit else _NONE
        self._limits = limits
        self._limit_bytes = limits.tail_bytes if after else limits.head_bytes
        self._after = after
        self._previous = max(after, 0x0003FFFF)
        self._count = 0
        self._stack: list[tuple[int, int, int]] = []  # kind, end or -1, nearest enclosing end
        self._open = 0
        self.position = 0
        self.need = 0
        self.places: dict[int, tuple[int, int]] = {}
        self.nested: dict[int, list[dict[int, tuple[int, int]]]] = {}
        self.bulk: tuple[int, bytes, int] | None = None

    def walk(self, buffer: bytes | bytearray) -> None:
        """Go on as far as the buffer allows; `buffer` starts where it started the last time and has only grown.

        Raises:
            Malformed, TooDeep, HeadTooLarge: At the first byte that breaks a rule.
        """
        if len(buffer) < self.need:
            return
        while self.bulk is None:
            if not (self._descend(buffer) if self._stack else self._top(buffer)):
                return

    @property
    def is_whole(self) -> bool:
        """Whether the data set may end at `position`."""
        return not self._stack

    def _top(self, buffer: bytes | bytearray) -> bool:
        """Walk top-level elements until a sequence opens (True), or bulk is met or bytes run out (False)."""
        position, last, previous = self.position, len(buffer) - 8, self._previous
        unpack, places, index = self._element, self.places, tags.INDEX
        short, long, implicit, is_explicit = self._short, self._long, self._implicit, bool(self._short)
        large, special = self._limits.large_bytes, tags.special()
        room = self._limits.elements - self._count
        while position <= last:
            start = position + 8
            if is_explicit:
                group, element, code, length = unpack(buffer, position)
                tag = group << 16 | element
                is_plain = code in short
            else:
                group, element, length = implicit(buffer, position)
                tag = group << 16 | element
                code = 0
                is_plain = length <= large and tag not in special
            if is_plain and previous < tag < _ORDINARY:
                if tag in index:
                    places[tag] = (start, length)
            else:
                if code in long:
                    if position + 4 > last:
                        start += 4
                        break
                    length = self._length(buffer, start)[0]
                    start += 4
                    vr = bytes(buffer[position + 4 : position + 6])
                elif is_plain:
                    vr = b""
                else:
                    tag, vr, length = self._other(buffer, position)
                self._note(tag, start, length, is_ordered=tag > previous)
                opens = self._opens(tag, vr, length)
                if opens or self._is_bulk(tag, vr, length):
                    self._count = self._limits.elements - room + 1
                    self._previous = max(tag, previous)
                    self.position = self.need = start
                    if opens:
                        self._begin(tag, vr, start, length)
                    else:
                        self.bulk = (tag, vr, length)
                    return opens
            if tag > previous:
                previous = tag
            room -= 1
            position = start + length
        else:
            start = position if position > last + 8 else position + 8
        self._previous = previous
        self._count = self._limits.elements - room
        return self._wait(position, start)

    def _note(self, tag: int, start: int, length: int, *, is_ordered: bool) -> None:
        """Keep the place of an index attribute, and refuse what may not stand at the top level."""
        if tag < 0x00040000 or tag >> 16 == 0xFFFE or tag <= self._after:
            raise Malformed(f"An element {tags.show(tag)} cannot stand here")
        if tag in tags.INDEX:
            if not is_ordered and tag in self.places:
                raise Malformed(f"The attribute {tags.show(tag)} is there twice")
            self.places[tag] = (start, length)

    def _is_bulk(self, tag: int, vr: bytes, length: int) -> bool:
        if self._after:
            return False
        return tag in tags.BULK or (length > self._limits.large_bytes and vr in tags.BINARY)

    def _descend(self, buffer: bytes | bytearray) -> bool:
        """Walk inside sequences until all are closed (True) or bytes run out (False)."""
        size, position, stack = len(buffer), self.position, self._stack
        wanted = tags.NESTED.get(self._open) if not self._after else None
        while stack:
            kind, end, bound = stack[-1]
            if position == end:
                stack.pop()
                continue
            if position + 8 > size:
                return self._wait(position, position + 8)
            if position + 8 > bound:
                raise Malformed("A sequence item ends inside an element")
            if kind != _ITEM:
                self._count += 1
                group, element, length = self._implicit(buffer, position)
                tag = group << 16 | element
                position += 8
                if tag == tags.SEQUENCE_END and end < 0:
                    stack.pop()
                elif tag != tags.ITEM:
                    raise Malformed("There is something other than an item in a sequence")
                elif kind == _FRAGMENTS:
                    position = self._skip(position, length, bound)
                else:
                    stack.append(_scope(_ITEM, position, length, bound))
                    if wanted is not None and len(stack) == 2:
                        self.nested[self._open].append({})
                continue
            start = position + 8
            group, element, code, length = self._element(buffer, position)
            tag = group << 16 | element
            if code in self._short:
                vr = b""
            elif code in self._long:
                start += 4
                if start > size:
                    return self._wait(position, start)
                length = self._length(buffer, position + 8)[0]
                vr = bytes(buffer[position + 4 : position + 6])
            else:
                tag, vr, length = self._other(buffer, position)
            self._count += 1
            if tag == tags.ITEM_END and end < 0:
                stack.pop()
                position += 8
                continue
            if tag >> 16 == 0xFFFE:
                raise Malformed("A delimiter stands where an element should")
            if wanted is not None and len(stack) == 2 and tag in wanted and length != tags.UNDEFINED:
                self.nested[self._open][-1][tag] = (start, length)
            if self._opens(tag, vr, length):
                position = start
                stack.append(_scope(_kind(tag, vr, length), start, length, bound))
                if len(stack) > 2 * self._limits.depth:
                    raise TooDeep(f"Sequences are nested more than {self._limits.depth} levels deep")
            else:
                position = self._skip(start, length, bound)
            if position > size:
                return self._wait(position, position)
        self.position = self.need = position
        return True

    def _skip(self, start: int, length: int, bound: int) -> int:
        """The end of a value, checked against what encloses it."""
        if length == tags.UNDEFINED or start + length > bound:
            raise Malformed("A value is longer than the sequence item it stands in")
        return start + length

    def _begin(self, tag: int, vr: bytes, start: int, length: int) -> None:
        self._open = tag
        self._stack.append(_scope(_kind(tag, vr, length), start, length, _UNBOUNDED))
        if tag in tags.NESTED and not self._after:
            if tag in self.nested:
                raise Malformed(f"The attribute {tags.show(tag)} is there twice")
            self.nested[tag] = []

    def _opens(self, tag: int, vr: bytes, length: int) -> bool:
        """Whether the value is made of items: sequences, UN that hides one (PS3.5 6.2.2), encapsulated values."""
        if vr == b"SQ":
            return True
        if length == tags.UNDEFINED:
            if tag in tags.BULK and not self._stack and not self._after:
                return False
            if vr not in tags.BINARY:
                raise Malformed("An element that may not has an undefined length")
            return True
        return vr == b"UN" and length > 0 and tag in tags.sequence_tags()

    def _bound(self, reach: int) -> None:
        if reach > self._limit_bytes:
            raise HeadTooLarge("The elements beside the pixels are larger than is taken here")
        if self._count > self._limits.elements:
            raise HeadTooLarge("There are more elements than are taken here")

    def _wait(self, position: int, need: int) -> bool:
        self.position = position
        self._bound(need)
        self.need = need
        return False

    def _other(self, buffer: bytes | bytearray, position: int) -> tuple[int, bytes, int]:
        """An element in implicit VR: by its syntax, or because a writer slipped into it (as pydicom reads it)."""
        group, element, length = self._implicit(buffer, position)
        if self._short:
            vr = bytes(buffer[position + 4 : position + 6])
            if b"AA" <= vr <= b"ZZ" and vr.isalpha() and group != 0xFFFE:
                raise Malformed("An element has a value representation that the standard does not know")
        tag = group << 16 | element
        vr = tags.vr_table().get(tag, b"UN")
        if length == tags.UNDEFINED and vr != b"SQ" and tag != tags.PIXELS:
            vr = b"UN"
        return tag, vr, length


def _scope(kind: int, start: int, length: int, bound: int) -> tuple[int, int, int]:
    if length == tags.UNDEFINED:
        return kind, -1, bound
    if start + length > bound:
        raise Malformed("A sequence is longer than the item it stands in")
    return kind, start + length, start + length


def _kind(tag: int, vr: bytes, length: int) -> int:
    is_fragments = length == tags.UNDEFINED and vr != b"SQ" and (vr != b"UN" or tag == tags.PIXELS)
    return _FRAGMENTS if is_fragments else _SEQUENCE
