"""Encapsulated pixels: fragments checked as they pass, their places kept (DICOM PS3.5 A.4)."""

from __future__ import annotations

import struct
from array import array

from troth.dicom import tags
from troth.dicom.errors import HeadTooLarge, Malformed

_HEADER = struct.Struct("<HHL")
_TABLE_LIMIT_BYTES = 8 << 20


class Fragments:
    """The fragments of one encapsulated pixel element. Offsets count from the start of the element's value.

    Attributes:
        starts: First byte of each fragment's content, the basic offset table not among them.
        lengths: Length in bytes of each fragment's content.
        basic_offsets: The basic offset table, possibly empty; offsets from the first fragment's item tag.
        is_closed: The sequence delimiter was met.
        length: Bytes of the value that passed; at the end, all with the delimiter.
    """

    __slots__ = ("_carry", "_left", "_limit", "_table", "basic_offsets", "is_closed", "length", "lengths", "starts")

    def __init__(self, limit: int) -> None:
        self.starts = array("Q")
        self.lengths = array("I")
        self.basic_offsets: tuple[int, ...] = ()
        self.is_closed = False
        self.length = 0
        self._limit = limit
        self._carry = b""
        self._left = 0  # bytes of the current item that did not pass yet
        self._table: bytearray | None = None

    def feed(self, chunk: bytes | memoryview) -> int:
        """Take the next bytes of the value.

        Returns:
            How many were used; fewer than given only once the delimiter is met.

        Raises:
            Malformed: Something else than an item stands where one should.
        """
        used, size = 0, len(chunk)
        while used < size and not self.is_closed:
            if self._left:
                taken = min(self._left, size - used)
                if self._table is not None and not self.starts:
                    self._table += chunk[used : used + taken]
                self._left -= taken
            else:
                taken = min(8 - len(self._carry), size - used)
                self._carry += bytes(chunk[used : used + taken])
                if len(self._carry) == 8:
                    group, element, length = _HEADER.unpack(self._carry)
                    self._carry = b""
                    self._item(group << 16 | element, length, self.length + used + taken)
            used += taken
        self.length += used
        return used

    def skip(self) -> None:
        """Pass over the rest of the current fragment unread."""
        self.length += self._left
        self._left = 0

    @property
    def wanted_bytes(self) -> int:
        """How many bytes must be read next; 0 where `skip` will do."""
        if not self._left:
            return 8
        return 0 if self.starts else self._left

    def _item(self, tag: int, length: int, start: int) -> None:
        if tag == tags.SEQUENCE_END and self._table is not None:
            self.is_closed = True
            self._close_table()
            return
        if tag != tags.ITEM or length == tags.UNDEFINED:
            raise Malformed("There is something other than a fragment in encapsulated pixels")
        self._left = length
        if self._table is None:
            if length > _TABLE_LIMIT_BYTES or length % 4:
                raise Malformed("The basic offset table has an impossible length")
            self._table = bytearray()
            return
        self._close_table()
        if len(self.starts) >= self._limit:
            raise HeadTooLarge("There are more fragments than are taken here")
        self.starts.append(start)
        self.lengths.append(length)

    def _close_table(self) -> None:
        if self._table:
            self.basic_offsets = struct.unpack(f"<{len(self._table) // 4}L", self._table)
            self._table = bytearray()
