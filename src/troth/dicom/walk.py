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

_SEQUENCE, _ITEM, _FRAGMENTS, _UNKNOWN = 0, 1, 2, 3  # the last one of UN, before its first item told its byte order
_UNBOUNDED = 1 << 62
_VALUE_BYTES = 1 << 16  # of an index attribute; the rest of a longer one is not looked at
_MOST_ITEMS = 1000  # of a sequence whose items the index needs
_BLANK = b"  "
_ZEROS = bytes(8)
_MOST_PADDING_BYTES = 1 << 20
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
        head_bytes: Data set before its bulk value.
        tail_bytes: Elements after the bulk value. Held in memory.
        large_bytes: A binary value at the top level above this is bulk, whatever its tag.
        depth: Levels of sequences; real objects stay below 10.
        elements: Elements in all, nested ones included; as many as fit into the head.
        fragments: Fragments of encapsulated pixels.
        inflate_ratio: Bytes out per byte in of a deflated data set, over the whole stream.
        inflated_bytes: A deflated data set in all.
        inflated_elements: Elements of a deflated data set in all: they cost time, and a few bytes may stand for many.
        pending_bytes: Inflated bytes that may wait for `Scanner.take_bulk`.
    """

    head_bytes: int = 64 << 20
    tail_bytes: int = 4 << 20
    large_bytes: int = 4 << 20
    depth: int = 16
    elements: int = 8 << 20
    fragments: int = 1 << 20
    inflate_ratio: int = 100
    inflated_bytes: int = 1 << 30
    inflated_elements: int = 3 << 20
    pending_bytes: int = 32 << 20


LIMITS = Limits()


class Walker:
    """Walks the elements of one data set as its bytes arrive.

    Attributes:
        position: Where the walk goes on; bytes before it are checked. Beyond the buffer where a value is passed over.
        need: The walk cannot go on before the buffer is this long.
        values: Index attribute to its value, as far as `collect` found it; at most 64 KiB of it.
        nested: Sequence to its items, each with the values of the attributes the index needs.
        bulk: (tag, vr, length or UNDEFINED) once the bulk element is met; `position` is then its value's start.
        padding: Where zeros begin that stand behind the last element and belong to none; None where there are none.
    """

    __slots__ = (
        "_after", "_blanks", "_count", "_element", "_implicit", "_inside", "_is_little", "_length", "_limit_bytes",
        "_limits", "_long", "_open", "_passed", "_places", "_previous", "_short", "_stack", "_within", "bulk",
        "need", "nested", "padding", "position", "values",
    )  # fmt: skip

    def __init__(self, *, is_explicit: bool, is_little: bool, limits: Limits, after: int = 0) -> None:
        self._turn(is_explicit=is_explicit, is_little=is_little)
        self._inside = 0  # how many scopes are open within an element of another byte order, that one included
        self._limits = limits
        self._limit_bytes = limits.tail_bytes if after else limits.head_bytes
        self._after = after
        self._previous = max(after, 0x0003FFFF)
        self._count = 0
        self._stack: list[tuple[int, int, int]] = []  # kind, end or -1, nearest enclosing end
        self._open = 0
        self.position = 0
        self.need = 0
        self.values: dict[int, bytes] = {}
        self.nested: dict[int, list[dict[int, bytes]]] = {}
        self.bulk: tuple[int, bytes, int] | None = None
        self.padding: int | None = None
        self._places: dict[int, tuple[int, int]] = {}
        self._within: list[
            tuple[dict[int, bytes], int, int, int]
        ] = []  # the same of items: where to, tag, start, length
        self._blanks: list[tuple[int, bytes]] = []
        self._passed = 0

    def walk(self, buffer: bytes | bytearray) -> None:
        """Go on as far as the buffer allows; `buffer` starts where it started the last time and has only grown.

        Raises:
            Malformed, TooDeep, HeadTooLarge: At the first byte that breaks a rule.
        """
        if len(buffer) < self.need:
            return
        if self.padding is not None:
            self._pad(buffer)
            return
        while self.bulk is None:
            if not (self._descend(buffer) if self._stack else self._top(buffer)):
                return

    def _turn(self, *, is_explicit: bool, is_little: bool) -> None:
        self._is_little = is_little
        self._element, self._implicit, self._length, short, long = _READERS[is_little]
        self._short = short if is_explicit else _NONE
        self._long = long if is_explicit else _NONE

    @property
    def is_whole(self) -> bool:
        """Whether the data set may end at `position`."""
        return not self._stack

    def end(self, buffer: bytes | bytearray) -> int | None:
        """Where the last element of a data set that came whole ends; None where it is cut short.

        Fewer than eight zeros are padding as well.
        """
        self.collect(buffer)
        if self.padding is not None:
            return self.padding
        left = len(buffer) - self.position
        if self._stack or not 0 <= left < 8 or any(buffer[self.position :]):
            return None
        return self.position

    def collect(self, buffer: bytes | bytearray) -> None:
        """Take the values of the index attributes that the buffer holds; until then it has to hold them."""
        size, places, values = len(buffer), self._places, self.values
        if len(values) < len(places):
            for tag, (start, length) in places.items():
                stop = start + (length if length < _VALUE_BYTES else _VALUE_BYTES)
                if stop <= size and tag not in values:
                    values[tag] = bytes(buffer[start:stop])
        if self._within:
            waiting = []
            for item, tag, start, length in self._within:
                stop = start + min(length, _VALUE_BYTES)
                if stop <= size:
                    item[tag] = bytes(buffer[start:stop])
                else:
                    waiting.append((item, tag, start, length))
            self._within = waiting

    def pass_on(self, buffer: bytearray) -> bytes:
        """Cut off the front of the buffer that the walk needs no more, and give it.

        Args:
            buffer: As of `walk`; the next call of that one gets what is left, grown.
        """
        self.collect(buffer)
        if self.padding is not None:
            return b""
        open_places = [start for tag, (start, _) in self._places.items() if tag not in self.values]
        count = min([self.position, len(buffer), *open_places, *(start for _, _, start, _ in self._within)])
        passed = bytes(memoryview(buffer)[:count])
        del buffer[:count]
        self._passed += count
        self.position -= count
        self.need -= count
        self._places = {tag: (start - count, length) for tag, (start, length) in self._places.items()}
        self._within = [(item, tag, start - count, length) for item, tag, start, length in self._within]
        self._stack = [(kind, end - count if end >= 0 else end, bound - count) for kind, end, bound in self._stack]
        return passed

    def fill(self, buffer: bytes | bytearray) -> bytes | bytearray:
        """Write the dictionary's value representation where two blanks stand in for one, so that all read the same."""
        if not self._blanks:
            return buffer
        filled = buffer if isinstance(buffer, bytearray) else bytearray(buffer)
        for position, vr in self._blanks:
            filled[position + 4 : position + 6] = vr
        self._blanks = []
        return filled

    def _top(self, buffer: bytes | bytearray) -> bool:
        """Walk top-level elements until a sequence opens (True), or bulk is met or bytes run out (False)."""
        position, last, previous = self.position, len(buffer) - 8, self._previous
        unpack, places, index = self._element, self._places, tags.INDEX
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
                if not tag and buffer.startswith(_ZEROS, position):
                    self.position = self.padding = position
                    self._count = self._limits.elements - room
                    self._pad(buffer)
                    return False
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
                    if vr == _BLANK:
                        vr = self._blank(position, tag)
                self._note(tag, start, length, is_ordered=tag > previous)
                opens = self._opens(tag, vr, length)
                if opens or self._is_bulk(tag, vr, length):
                    self._count = self._limits.elements - room + 1
                    self._previous = max(tag, previous)
                    self.position = self.need = start
                    self._bound(start)
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
            if not is_ordered and tag in self._places:
                raise Malformed(f"The attribute {tags.show(tag)} is there twice")
            self._places[tag] = (start, length)

    def _pad(self, buffer: bytes | bytearray) -> None:
        """Zeros behind the last element: an old device fills its blocks with them."""
        if len(buffer) - (self.padding or 0) > _MOST_PADDING_BYTES:
            raise Malformed("There are more zeros after the last element than a block has")
        if buffer.count(0, self.position) != len(buffer) - self.position:
            raise Malformed("An element (0000,0000) cannot stand here")
        self._wait(len(buffer), len(buffer))

    def _blank(self, position: int, tag: int) -> bytes:
        """The value representation of an element that says two blanks (its length is then written in two bytes)."""
        known = tags.vr_table().get(tag, b"")
        if known not in tags.SHORT:
            raise Malformed("An element has a value representation that the standard does not know")
        self._blanks.append((position, known))
        return b""

    def _is_bulk(self, tag: int, vr: bytes, length: int) -> bool:
        if self._after:
            return False
        return tag in tags.BULK or (length > self._limits.large_bytes and vr in tags.BINARY)

    def _descend(self, buffer: bytes | bytearray) -> bool:
        """Walk inside sequences until all are closed (True) or bytes run out (False)."""
        size, position, stack = len(buffer), self.position, self._stack
        wanted = self._wanted()
        while stack:
            if len(stack) < self._inside:
                self._inside = 0
                self._turn(is_explicit=True, is_little=False)
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
                if kind == _UNKNOWN:
                    stack[-1] = _SEQUENCE, end, bound
                    if buffer[position] == 0xFE:  # what is unknown is implicit little endian (PS3.5 6.2.2)
                        self._inside = len(stack)
                        self._turn(is_explicit=False, is_little=True)
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
                        wanted = self._wanted()
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
                if vr == _BLANK:
                    vr = self._blank(position, tag)
            self._count += 1
            if tag == tags.ITEM_END and end < 0:
                stack.pop()
                position += 8
                continue
            if tag >> 16 == 0xFFFE:
                raise Malformed("A delimiter stands where an element should")
            if wanted is not None and len(stack) == 2 and tag in wanted and length != tags.UNDEFINED:
                self._within.append((self.nested[self._open][-1], tag, start, length))
            if self._opens(tag, vr, length):
                position = start
                stack.append(_scope(self._kind(tag, vr, length), start, length, bound))
                if len(stack) > 2 * self._limits.depth:
                    raise TooDeep(f"Sequences are nested more than {self._limits.depth} levels deep")
            else:
                position = self._skip(start, length, bound)
            if position > size:
                return self._wait(position, position)
        if self._inside:
            self._inside = 0
            self._turn(is_explicit=True, is_little=False)
        self.position = self.need = position
        self._bound(position)
        return True

    def _wanted(self) -> frozenset[int] | None:
        """The attributes that the index needs of the items of the sequence that is open."""
        if self._after or len(self.nested.get(self._open, ())) > _MOST_ITEMS:
            return None
        return tags.NESTED.get(self._open)

    def _skip(self, start: int, length: int, bound: int) -> int:
        """The end of a value, checked against what encloses it."""
        if length == tags.UNDEFINED or start + length > bound:
            raise Malformed("A value is longer than the sequence item it stands in")
        return start + length

    def _begin(self, tag: int, vr: bytes, start: int, length: int) -> None:
        self._open = tag
        self._stack.append(_scope(self._kind(tag, vr, length), start, length, _UNBOUNDED))
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

    def _kind(self, tag: int, vr: bytes, length: int) -> int:
        if length != tags.UNDEFINED or vr == b"SQ":
            return _SEQUENCE
        if vr != b"UN" or tag == tags.PIXELS:
            return _FRAGMENTS
        return _SEQUENCE if self._is_little else _UNKNOWN

    def _bound(self, reach: int) -> None:
        if self._passed + reach > self._limit_bytes:
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
            if vr == _BLANK and group != 0xFFFE:
                return group << 16 | element, vr, length >> 16 if self._is_little else length & 0xFFFF
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
