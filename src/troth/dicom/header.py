"""What the index of an archive needs to know of an instance."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from troth.dicom import syntaxes, tags
from troth.dicom.errors import UidInvalid
from troth.dicom.fragments import Fragments
from troth.dicom.text import charset_of
from troth.dicom.walk import Walker
from troth.kit import numbers

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_NAME = 0x00100010
_NAMES = frozenset({_NAME, 0x00080090})
_PAD = " \0"
_LARGEST = 2**31 - 1  # of IS (PS3.5 6.2)
_NOTHING: Mapping[int, bytes] = {}


@dataclass(frozen=True, slots=True)
class Header:
    """One scanned instance without its pixels.

    `head` and the bulk that the scanner gave out, one after the other, are the data set as received
    (inflated, if it came deflated).

    Attributes:
        syntax: Transfer syntax that `head` and bulk are really written in.
        values: Text of the index attributes at the top level, padding stripped, several values joined by a backslash.
        nested: For the sequences in `tags.NESTED`, the index attributes of each item.
        head: Data set up to the bulk value: ends with that element's tag, VR and length. Empty where the scanner passed
            it on while it came.
        head_bytes: Its length.
        tail: Elements after the bulk value. They are part of the bulk bytes, too.
        bulk_tag: The element whose value is the bulk, or None.
        bulk_vr: Its value representation.
        bulk_length: Its length in bytes; None where it is encapsulated (and where there is no bulk).
        bulk_bytes: All bytes after `head`: value, delimiter and tail.
        fragments: Places of the fragments where the bulk is encapsulated and was scanned.
    """

    syntax: str
    sop_class: str
    instance_uid: str
    study_uid: str
    series_uid: str
    values: Mapping[int, str]
    nested: Mapping[int, list[dict[int, str]]]
    head: bytes = field(repr=False)
    head_bytes: int
    tail: bytes = field(repr=False)
    bulk_tag: int | None
    bulk_vr: str | None
    bulk_length: int | None
    bulk_bytes: int
    fragments: Fragments | None = field(repr=False)

    @property
    def is_encapsulated(self) -> bool:
        """Whether the bulk travels in fragments."""
        return self.bulk_tag is not None and self.bulk_length is None

    @property
    def has_pixels(self) -> bool:
        """Whether the bulk is an image's pixels."""
        return self.bulk_tag in (tags.PIXELS, tags.FLOAT_PIXELS, tags.DOUBLE_PIXELS)

    @property
    def rows(self) -> int:
        """Height of a frame in pixels, 0 where there is none."""
        return self.number(tags.ROWS)

    @property
    def columns(self) -> int:
        """Width of a frame in pixels, 0 where there is none."""
        return self.number(tags.COLUMNS)

    @property
    def frames(self) -> int:
        """Number of frames; 1 where the attribute is absent and there are pixels."""
        return self.number(tags.FRAMES, 1 if self.has_pixels else 0)

    @property
    def samples(self) -> int:
        """Samples per pixel: 1 grey or palette, 3 colour."""
        return self.number(tags.SAMPLES, 1)

    @property
    def bits_allocated(self) -> int:
        """Bits of one sample as stored: 1, 8, 16, 32 or 64."""
        return self.number(tags.BITS_ALLOCATED)

    @property
    def photometric(self) -> str:
        """How sample values mean light (PS3.3 C.7.6.3.1.2)."""
        return self.values.get(tags.PHOTOMETRIC, "")

    def number(self, tag: int, default: int = 0) -> int:
        """The first value of a whole-number attribute; the default where it is absent, or no number that can be."""
        text = self.values.get(tag, "").split("\\", 1)[0].strip()
        number = numbers.whole(text, most=_LARGEST)
        return default if number is None else number

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame, from Rows, Columns, Samples and Bits Allocated (PS3.5 8.1, 8.2)."""
        pixels = self.rows * self.columns
        if self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") and self.samples == 3:
            return pixels * 2 * self.bits_allocated
        if self.photometric == "YBR_PARTIAL_420" and self.samples == 3:
            return pixels * 3 * self.bits_allocated // 2
        return pixels * self.samples * self.bits_allocated


def build(
    *,
    syntax: str,
    walker: Walker,
    head: bytes,
    head_bytes: int,
    tail: bytes = b"",
    tail_values: Mapping[int, bytes] = _NOTHING,
    bulk_bytes: int = 0,
    fragments: Fragments | None = None,
) -> Header:
    """Decode the index attributes that a walk found.

    Raises:
        UidInvalid: A naming UID is missing or breaks the rule.
    """
    is_little = syntaxes.is_little(syntax)
    charset = charset_of(walker.values.get(tags.CHARSET, b""))
    decode, may_escape, numbers = charset.decode, charset.may_escape, tags.NUMBERS
    values: dict[int, str] = {}
    for found in (walker.values, tail_values):
        for tag, raw in found.items():
            if tag in numbers:
                values[tag] = _numbers(raw, is_little)
            elif may_escape or not raw.isascii():
                values[tag] = decode(raw, is_name=tag in _NAMES).strip(_PAD)
            else:
                values[tag] = raw.decode("ascii").strip(_PAD)
    for tag in values.keys() & tags.longest_numbers().keys():
        most = tags.longest_numbers()[tag]
        if len(values[tag]) > most and any(len(one.strip()) > most for one in values[tag].split("\\")):
            del values[tag]  # no number that any reader has to take; the instance keeps it as it is
    if _NAME in values:
        values[_NAME] = values[_NAME].rstrip("=")
    nested = {
        tag: [{key: decode(raw).strip(_PAD) for key, raw in item.items()} for item in items]
        for tag, items in walker.nested.items()
    }
    bulk_tag, vr, size = walker.bulk or (None, b"", None)
    return Header(
        syntax=syntax,
        sop_class=_uid(values, tags.SOP_CLASS),
        instance_uid=_uid(values, tags.INSTANCE_UID),
        study_uid=_uid(values, tags.STUDY_UID),
        series_uid=_uid(values, tags.SERIES_UID),
        values=values,
        nested=nested,
        head=head,
        head_bytes=head_bytes,
        tail=tail,
        bulk_tag=bulk_tag,
        bulk_vr=_bulk_vr(syntax, bulk_tag, vr, is_encapsulated=size == tags.UNDEFINED),
        bulk_length=None if size == tags.UNDEFINED else size,
        bulk_bytes=bulk_bytes,
        fragments=fragments,
    )


def is_uid(text: str) -> bool:
    """Whether a text is a UID: at most 64 characters, numbers joined by dots (DICOM PS3.5 9.1)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def _bulk_vr(syntax: str, tag: int | None, vr: bytes, *, is_encapsulated: bool) -> str | None:
    if tag is None:
        return None
    if tag == tags.PIXELS and not syntaxes.is_explicit(syntax):
        return "OB" if is_encapsulated else "OW"  # PS3.5 A.1, A.4
    return vr.decode("ascii", "replace")


def _uid(values: Mapping[int, str], tag: int) -> str:
    uid = values.get(tag, "")
    if not uid:
        raise UidInvalid(f"The attribute {tags.show(tag)} is missing")
    if not is_uid(uid):
        raise UidInvalid(f"The attribute {tags.show(tag)} is not a UID")
    return uid


def _numbers(raw: bytes, is_little: bool) -> str:
    if len(raw) == 2:
        return str(raw[0] | raw[1] << 8 if is_little else raw[1] | raw[0] << 8)
    count = len(raw) // 2
    return "\\".join(map(str, struct.unpack(f"{'<' if is_little else '>'}{count}H", raw[: count * 2])))
