"""Writes elements in explicit VR little endian (DICOM PS3.5 7.1.2), for the few data sets we make ourselves."""

from __future__ import annotations

import struct

from troth.dicom import tags

_PADS = {"UI": b"\0", "OB": b"\0", "UN": b"\0"}


def element(tag: int, vr: str, value: bytes) -> bytes:
    """One element, padded to even length.

    Args:
        tag: Group and element.
        vr: Its value representation.
        value: Its value, already as bytes.
    """
    if len(value) & 1:
        value += _PADS.get(vr, b" ")
    code = vr.encode("ascii")
    if code in tags.LONG:
        return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, code, 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, code, len(value)) + value


def text(tag: int, vr: str, value: str) -> bytes:
    """A text element in UTF-8; says so itself nowhere: the data set needs ``ISO_IR 192`` where it is not ASCII."""
    return element(tag, vr, value.encode("utf-8"))


def number(tag: int, vr: str, value: int) -> bytes:
    """A US or UL element."""
    return element(tag, vr, struct.pack("<H" if vr == "US" else "<L", value))


def sequence(tag: int, items: list[bytes]) -> bytes:
    """A sequence of data sets that are written already."""
    content = b"".join(item(one) for one in items)
    return element(tag, "SQ", content)


def item(content: bytes) -> bytes:
    """A sequence item of defined length around a data set."""
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
