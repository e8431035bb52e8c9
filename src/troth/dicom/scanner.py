"""Reads a stranger's instance as it arrives: bounded, incremental, and nothing is trusted.

A scanner keeps the data set up to the pixels (`head`), or passes it on where it is large, and only checks and counts
what follows, so that memory stays flat whatever the size of the instance. Preambles are dropped: what hides there never
reaches a reader (DICOM PS3.10 7.5). So are zeros behind the last element.

A deflated data set is inflated while it passes and is from then on an explicit little endian one: the stored bytes are
the inflated ones, under 1.2.840.10008.1.2.1, so that frames can be read by range.
"""

from __future__ import annotations

from dataclasses import replace
from struct import Struct

from troth.dicom import syntaxes, tags
from troth.dicom.dataset import DataSet
from troth.dicom.errors import HeadTooLarge, Malformed, NotDicom, SyntaxUnknown, Truncated
from troth.dicom.header import Header, is_uid
from troth.dicom.inflate import Inflater
from troth.dicom.walk import LIMITS, Limits

_PREAMBLE_BYTES = 132
_META_LIMIT_BYTES = 64 << 10
_PIECE_BYTES = 1 << 20
_ELEMENT = Struct("<HH2sH").unpack_from
_LENGTH = Struct("<L").unpack_from


class Scanner:
    """Scans one instance.

    Feed chunks as they come; after each, `take_bulk()` gives the bytes after `head` that have passed and frees them.
    `finish()` after the last chunk. All methods are synchronous and cheap; one scanner is for one instance, one thread.

    Args:
        syntax: None for a Part 10 stream, else the transfer syntax of a bare data set (DIMSE).
        limits: What the instance may cost.
        holds_head: False: a head of more than 1 MiB is given by `take_head` while it comes, and the header has none.

    Raises:
        SyntaxUnknown: The transfer syntax is not one of the standard.

    Per: DICOM PS3.10 7.1, PS3.5 7 and A.4, PS3.18 10.5.
    """

    __slots__ = (
        "_announced",
        "_buffer",
        "_claimed",
        "_dataset",
        "_holds_head",
        "_inflater",
        "_limits",
        "_need",
        "_position",
    )

    def __init__(self, syntax: str | None = None, *, limits: Limits = LIMITS, holds_head: bool = True) -> None:
        self._limits = limits
        self._holds_head = holds_head
        self._buffer = bytearray()
        self._position = -1  # how far the meta group is read; -1 before it
        self._need = _PREAMBLE_BYTES
        self._announced: dict[int, str] = {}  # class and instance that the meta group names
        self._claimed = ""  # the transfer syntax it names
        self._inflater: Inflater | None = None
        self._dataset: DataSet | None = None if syntax is None else self._begin(syntax)

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes.

        Raises:
            Malformed: A rule is broken and the scanner is of no use any more; as TooDeep, NotDicom and others of
                `troth.dicom.errors` where it can be said more closely.
        """
        if len(chunk) > _PIECE_BYTES and not self.head_ready:
            view = memoryview(chunk)
            for at in range(0, len(view), _PIECE_BYTES):
                self._feed(bytes(view[at : at + _PIECE_BYTES]))
        else:
            self._feed(chunk if type(chunk) is bytes else bytes(chunk))

    @property
    def head_ready(self) -> bool:
        """Whether all bytes before the bulk are there. False until `finish` where there is no bulk."""
        return self._dataset is not None and self._dataset.head is not None

    @property
    def announced(self) -> tuple[str, str]:
        """SOP class and instance that the meta group names; empty where it does not."""
        return self._announced.get(2, ""), self._announced.get(3, "")

    @property
    def named(self) -> tuple[str, str, str, str]:
        """Class, instance, study and series UID as far as they were read, also of what broke; empty where unknown."""
        found = self._dataset.value if self._dataset is not None else lambda _tag: ""
        sop_class, instance_uid = self.announced
        return (
            found(tags.SOP_CLASS) or sop_class,
            found(tags.INSTANCE_UID) or instance_uid,
            found(tags.STUDY_UID),
            found(tags.SERIES_UID),
        )

    def take_head(self) -> bytes:
        """The bytes of a large head that came since the last call; nothing of a small one, which the header has."""
        if self._dataset is None or not self._dataset.passed:
            return b""
        pieces, self._dataset.passed = self._dataset.passed, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def take_bulk(self) -> bytes:
        """The bytes after `head` that were fed since the last call."""
        if self._dataset is None or not self._dataset.pending:
            return b""
        pieces, self._dataset.pending = self._dataset.pending, []
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def finish(self) -> Header:
        """End the instance. Bulk that was not taken yet stays for `take_bulk`.

        Raises:
            NotDicom: There was no data set.
            Truncated: The bytes end before the lengths they announce.
            UidInvalid: A UID that names it is missing or breaks the rule.
        """
        if self._dataset is None:
            self._open(is_end=True)
        if self._dataset is None:
            raise Truncated("The file ends in its meta group")
        if self._inflater is not None:
            self._inflater.finish()
        return self._dataset.finish()

    def _feed(self, chunk: bytes) -> None:
        if self._dataset is None:
            self._buffer += chunk
            self._open(is_end=False)
        elif self._inflater is None:
            self._dataset.feed(chunk)
        else:
            waiting = sum(map(len, self._dataset.pending))
            for piece in self._inflater.feed(chunk):
                self._dataset.feed(piece)
                waiting += len(piece)
                if waiting > self._limits.pending_bytes and self.head_ready:
                    raise HeadTooLarge("The deflated data set grows beyond what is taken here")

    def _open(self, *, is_end: bool) -> None:
        """Get through preamble and meta group to the data set."""
        buffer = self._buffer
        if len(buffer) < self._need and not is_end:
            return
        if self._position < 0:
            self._position = _start_of_meta(buffer)
        if self._position >= 0 and not self._read_meta(buffer, is_end=is_end):
            return
        self._dataset = self._begin(self._claimed)
        rest = bytes(memoryview(buffer)[max(self._position, 0) :])
        self._buffer = bytearray()
        if rest:
            self._feed(rest)

    def _read_meta(self, buffer: bytearray, *, is_end: bool) -> bool:
        """Group 0002, always explicit little endian; only the transfer syntax is of interest (PS3.10 7.1).

        Returns:
            Whether its end was met; else `_need` says how many bytes it takes to go on.
        """
        position = self._position
        while len(buffer) - position >= 12 or (is_end and len(buffer) - position >= 8):
            group, element, vr, length = _ELEMENT(buffer, position)
            if group != 2:
                self._position = position
                return True
            start = position + 8
            if vr in tags.LONG:
                length = _LENGTH(buffer, start)[0] if len(buffer) >= start + 4 else 0
                start += 4
            elif vr not in tags.SHORT:
                raise Malformed("The file meta group is not written in explicit VR")
            if start + length > _META_LIMIT_BYTES:
                raise HeadTooLarge("The file meta group is larger than is taken here")
            if start + length > len(buffer):
                self._need = start + length
                break
            if element in (0x02, 0x03, 0x10):
                uid = buffer[start : start + length].decode("ascii", "replace").strip(" \0")
                if element == 0x10:
                    self._claimed = uid
                elif is_uid(uid):
                    self._announced[element] = uid
            position = start + length
        else:
            self._need = position + 12
        self._position = position
        return False

    def _begin(self, syntax: str) -> DataSet:
        """The data set comes next. Without a syntax it is guessed, as toolkits do."""
        if syntax and not (is_uid(syntax) and syntaxes.is_known(syntax)):
            raise SyntaxUnknown
        limits = self._limits
        if syntax in syntaxes.INFLATED:
            self._inflater = Inflater(limits)
            limits = replace(limits, elements=min(limits.elements, limits.inflated_elements))
        return DataSet(syntaxes.INFLATED.get(syntax, syntax), limits, holds_head=self._holds_head)


def _start_of_meta(buffer: bytearray) -> int:
    """Where group 0002 begins; -1 for a bare data set, as old archives and some toolkits write it."""
    if buffer[128:132] == b"DICM":
        return _PREAMBLE_BYTES
    if buffer[:2] == b"\x02\x00" and bytes(buffer[4:6]) in tags.SHORT | tags.LONG:
        return 0  # the meta group without a preamble, with its length or without
    if len(buffer) >= 8 and bytes(buffer[:2]) in (b"\x08\x00", b"\x00\x08"):
        return -1
    raise NotDicom


def scan(content: bytes, syntax: str | None = None, *, limits: Limits = LIMITS) -> tuple[Header, bytes]:
    """Scan a whole instance in memory.

    Args:
        content: A Part 10 file, or with `syntax` a bare data set.
        syntax: Transfer syntax of a bare data set.
        limits: What it may cost.

    Returns:
        Its header and its bulk; `header.head` + bulk is the data set.
    """
    scanner = Scanner(syntax, limits=limits)
    pieces = []
    for at in range(0, len(content), 256 << 10) if len(content) > _PIECE_BYTES else (0,):
        scanner.feed(content[at : at + (256 << 10)] if len(content) > _PIECE_BYTES else content)
        pieces.append(scanner.take_bulk())
    header = scanner.finish()
    pieces.append(scanner.take_bulk())
    return header, b"".join(pieces)
