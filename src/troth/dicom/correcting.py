"""Corrects attributes of an instance and writes into it what stood there before; every other byte stays as it was.

Per: DICOM PS3.3 C.12.1.1.9 (Original Attributes Sequence), PS3.5 6.1.2, 7.1 and 7.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from troth.dicom import dictionary, syntaxes, tags
from troth.dicom.errors import CannotCorrect, Malformed
from troth.dicom.text import charset_of

_CHARSET = 0x00080005
_UNICODE = "ISO_IR 192"
_MODIFIED = 0x04000550
_ORIGINAL = 0x04000561
_MODIFIED_AT = 0x04000562
_SYSTEM = 0x04000563
_SOURCE = 0x04000564
_REASON = 0x04000565
_TEXT = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UT"})
_REPERTOIRE = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})  # whose characters the data set's charset decides
_MAY_BE_TEXT = _REPERTOIRE | {"SQ", "UN"}
_NAMING = frozenset({0x00080018, 0x0020000D, 0x0020000E})  # SOP, study and series instance UID
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


@dataclass(frozen=True, slots=True)
class Correction:
    """What is corrected, when, by which system and why.

    Attributes:
        values: Text of attributes by tag; an empty one empties the attribute. Of text VRs and not within sequences.
        at: When; written with its offset.
        system: Name of the system that corrects, for (0400,0563).
        source: Where the previous values came from, for (0400,0564); may be empty.
        reason: CORRECT for a mended mistake, COERCE where values were made to agree with a register.
        uids: UIDs that take the place of others in the UIDs that name the study, the series and the instance.
        references: UIDs that take the place of others wherever else they stand, in sequences too; what the data set
            says of its own history is left as it was.
    """

    values: Mapping[int, str] = field(repr=False)
    at: datetime
    system: str
    source: str = ""
    reason: Literal["CORRECT", "COERCE"] = "CORRECT"
    uids: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)


class _Element(NamedTuple):
    tag: int
    vr: str
    start: int
    value: int
    stop: int


class _Format:
    """How the elements of one data set are really written: some say no VR in a syntax that asks for it."""

    def __init__(self, syntax: str, octets: bytes = b"") -> None:
        self.is_explicit = syntaxes.is_explicit(syntax) and (not octets or octets[4:6] in tags.SHORT | tags.LONG)
        self.order = "<" if syntaxes.is_little(syntax) else ">"

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        if len(value) & 1:
            value += b"\0" if vr == "UI" else b" "
        numbers = tag >> 16, tag & 0xFFFF
        if not self.is_explicit:
            return struct.pack(self.order + "HHL", *numbers, len(value)) + value
        code = vr.encode()
        if code in tags.LONG:
            return struct.pack(self.order + "HH2sHL", *numbers, code, 0, len(value)) + value
        if len(value) > 0xFFFE:
            raise CannotCorrect("A value is too long to be written")
        return struct.pack(self.order + "HH2sH", *numbers, code, len(value)) + value

    def sequence(self, tag: int, items: bytes) -> bytes:
        return self.element(tag, "SQ", items)

    def item(self, content: bytes) -> bytes:
        return struct.pack(self.order + "HHL", 0xFFFE, 0xE000, len(content)) + content

    def head(self, octets: bytes, at: int) -> tuple[int, str, int, int]:
        """Tag, VR, length and where the value starts, of the element at `at`."""
        group, number = struct.unpack_from(self.order + "HH", octets, at)
        tag = group << 16 | number
        if not self.is_explicit or group == 0xFFFE:
            vr = "" if group == 0xFFFE else _vr_of(tag)
            return tag, vr, struct.unpack_from(self.order + "L", octets, at + 4)[0], at + 8
        code = octets[at + 4 : at + 6]
        if code in tags.LONG:
            return tag, code.decode(), struct.unpack_from(self.order + "L", octets, at + 8)[0], at + 12
        if code in tags.SHORT:
            return tag, code.decode(), struct.unpack_from(self.order + "H", octets, at + 6)[0], at + 8
        return tag, _vr_of(tag), struct.unpack_from(self.order + "L", octets, at + 4)[0], at + 8

    def elements(self, octets: bytes) -> Iterator[_Element]:
        """The elements of the top level, as far as whole ones go; the bulk's own head is left out."""
        at = 0
        while at + 8 <= len(octets):
            tag, vr, length, value = self.head(octets, at)
            if length == _UNDEFINED and tag in tags.BULK:
                return
            stop = self.past(octets, value, vr) if length == _UNDEFINED else value + length
            if stop > len(octets):
                return
            yield _Element(tag, vr, at, value, stop)
            at = stop

    def past(self, octets: bytes, at: int, vr: str) -> int:
        """Where a value of undefined length ends; items within it may be of undefined length, too."""
        if vr == "UN" and self.is_explicit:
            return _Format(syntaxes.IMPLICIT_LITTLE).past(octets, at, "SQ")  # PS3.5 6.2.2 note 2
        depth = 1
        while depth:
            if at + 8 > len(octets):
                raise Malformed("A sequence does not end")
            tag, inner, length, value = self.head(octets, at)
            if tag in (_ITEM_END, _SEQUENCE_END):
                depth, at = depth - 1, value
            elif length == _UNDEFINED and inner == "UN":
                at = self.past(octets, value, inner)
            elif length == _UNDEFINED:
                depth, at = depth + 1, value
            else:
                at = value + length
        return at


def _vr_of(tag: int) -> str:
    known = dictionary.term(tag)
    return known.vr if known is not None else "UN"


def corrected(head: bytes, tail: bytes, syntax: str, correction: Correction) -> tuple[bytes, bytes]:
    """Correct one instance.

    Args:
        head: As `Header.head`.
        tail: As `Header.tail`.
        syntax: As `Header.syntax`.
        correction: What to write.

    Returns:
        Head and tail anew. The tail is the same as before unless the bulk value stands before (0400,0561), as in an
        encapsulated document: what was there before is then told after it.

    Raises:
        CannotCorrect: An attribute is none of text, stands after the bulk, or its characters cannot be written here.
        Malformed: The head is not what a scanner passed.
    """
    written = _Format(syntax, head)
    elements = {element.tag: element for element in written.elements(head)}
    bulk_at = max((element.stop for element in elements.values()), default=0)
    values = _encoded(head, elements, correction.values)
    boundary = written.head(head, bulk_at)[0] if bulk_at < len(head) else 1 << 32
    if any(tag >= boundary for tag in values):
        raise CannotCorrect("What stands after the bulk is not corrected")
    former = {
        tag: written.element(tag, vr, head[elements[tag].value : elements[tag].stop] if tag in elements else b"")
        for tag, (vr, _) in values.items()
    }
    new = {tag: written.element(tag, vr, value) for tag, (vr, value) in values.items()}
    for tag, octets in _renamed(written, head, elements, correction).items():
        former[tag], new[tag] = head[elements[tag].start : elements[tag].stop], octets
    before = b"".join(octets for _, octets in sorted(former.items()))
    is_behind = boundary < _ORIGINAL
    place = {element.tag: element for element in written.elements(tail)} if is_behind else elements
    told = _told(written, tail if is_behind else head, place.get(_ORIGINAL), before, correction)
    if is_behind:
        return _spliced(head, elements, new, bulk_at), _spliced(tail, place, {_ORIGINAL: told}, len(tail))
    return _spliced(head, elements, new | {_ORIGINAL: told}, bulk_at), tail


def _encoded(head: bytes, elements: Mapping[int, _Element], wanted: Mapping[int, str]) -> dict[int, tuple[str, bytes]]:
    """VR and bytes of each value, in the data set's characters; plain ASCII data sets turn to UTF-8 if they must."""
    there = elements.get(_CHARSET)
    charset = charset_of(head[there.value : there.stop] if there else b"")
    values: dict[int, tuple[str, bytes]] = {}
    is_beyond = False
    for tag, text in wanted.items():
        vr = elements[tag].vr if tag in elements and elements[tag].vr != "UN" else _vr_of(tag)
        if vr not in _TEXT or tag == _CHARSET or tag >> 16 in (0x0000, 0x0002) or tag >> 16 & 1:
            raise CannotCorrect(f"{tags.show(tag)} is not corrected like this")
        raw = charset.encode(text)
        if vr not in _REPERTOIRE and not text.isascii():
            raise CannotCorrect(f"{tags.show(tag)} cannot hold these characters")
        is_beyond = is_beyond or raw is None
        values[tag] = vr, text.encode() if raw is None else raw
    if is_beyond:
        if not all(head[one.value : one.stop].isascii() for one in elements.values() if one.vr in _MAY_BE_TEXT):
            raise CannotCorrect("The instance is written in characters that cannot hold the new value")
        values = {tag: (vr, wanted[tag].encode()) for tag, (vr, _) in values.items()}
        values[_CHARSET] = "CS", _UNICODE.encode()
    return values


def _renamed(
    written: _Format, head: bytes, elements: Mapping[int, _Element], correction: Correction
) -> dict[int, bytes]:
    """The top-level elements in which UIDs are replaced, as they are written then."""
    found = {}
    for tag, one in elements.items():
        octets = head[one.start : one.stop]
        uids = correction.uids if tag in _NAMING else correction.references
        if not uids or tag == _ORIGINAL:
            continue
        renamed, _ = _renamed_elements(written, octets, 0, len(octets), uids)
        if renamed != octets and _has_any(octets, uids):
            found[tag] = renamed
    return found


def _has_any(octets: bytes, uids: Mapping[str, str]) -> bool:
    """Whether it was a UID that changed, and not only how a sequence says its length."""
    return any(uid.encode() in octets for uid in uids)


def _renamed_elements(
    written: _Format, octets: bytes, at: int, stop: int, uids: Mapping[str, str]
) -> tuple[bytes, int]:
    """Elements up to `stop`, or to the delimiter of the item they are in; and where they end."""
    pieces: list[bytes] = []
    while at + 8 <= stop:
        tag, vr, length, value = written.head(octets, at)
        if tag == _ITEM_END:
            return b"".join(pieces), value
        meant = _vr_of(tag) if vr == "UN" else vr  # some write UN for what the standard knows
        if meant == "SQ":
            end = stop if length == _UNDEFINED else value + length
            inner = _Format(syntaxes.IMPLICIT_LITTLE) if vr == "UN" else written  # PS3.5 6.2.2 note 2
            items, after = _renamed_items(inner, octets, value, end, uids)
            pieces.append(written.element(tag, vr, items))
        else:
            after = written.past(octets, value, vr) if length == _UNDEFINED else value + length
            piece = octets[at:after]
            if meant == "UI":
                piece = _renamed_uid(written, tag, vr, piece, octets[value:after], uids)
            pieces.append(piece)
        at = after
    return b"".join(pieces), at


def _renamed_items(written: _Format, octets: bytes, at: int, stop: int, uids: Mapping[str, str]) -> tuple[bytes, int]:
    """Items of a sequence up to `stop` or its delimiter; and where they end."""
    pieces: list[bytes] = []
    while at + 8 <= stop:
        tag, _, length, value = written.head(octets, at)
        if tag == _SEQUENCE_END:
            return b"".join(pieces), value
        end = stop if length == _UNDEFINED else value + length
        content, at = _renamed_elements(written, octets, value, end, uids)
        pieces.append(written.item(content))
    return b"".join(pieces), at


def _renamed_uid(written: _Format, tag: int, vr: str, piece: bytes, value: bytes, uids: Mapping[str, str]) -> bytes:
    said = value.decode("ascii", "replace").rstrip("\0 ").split("\\")
    meant = [uids.get(uid, uid) for uid in said]
    if meant == said:
        return piece
    octets = "\\".join(meant).encode()
    return written.element(tag, vr, octets + b"\0" * (len(octets) & 1))


def _told(written: _Format, octets: bytes, there: _Element | None, before: bytes, correction: Correction) -> bytes:
    """The whole Original Attributes Sequence: the items that were there, and one more."""
    item = b"".join(
        (
            written.sequence(_MODIFIED, written.item(before)),
            written.element(_MODIFIED_AT, "DT", correction.at.strftime("%Y%m%d%H%M%S.%f%z").encode()),
            written.element(_SYSTEM, "LO", correction.system.encode("ascii", "replace")),
            written.element(_SOURCE, "LO", correction.source.encode("ascii", "replace")),
            written.element(_REASON, "CS", correction.reason.encode()),
        )
    )
    items = b""
    if there is not None:
        items = octets[there.value : there.stop]
        if written.head(octets, there.start)[2] == _UNDEFINED:
            items = items[:-8]  # without the delimiter: the sequence is written with its length
    return written.sequence(_ORIGINAL, items + written.item(item))


def _spliced(octets: bytes, elements: Mapping[int, _Element], new: Mapping[int, bytes], end: int) -> bytes:
    """The data set with elements put in their places; group lengths, which would be wrong now, are left out."""
    pieces = {tag: octets[one.start : one.stop] for tag, one in elements.items() if tag & 0xFFFF}
    return b"".join(piece for _, piece in sorted((pieces | dict(new)).items())) + octets[end:]
