"""The front of a Part 10 file: preamble, prefix and file meta group (DICOM PS3.10 7.1)."""

from __future__ import annotations

import struct

IMPLEMENTATION_UID = "2.25.272429760828057312521161375976398136436"
IMPLEMENTATION_VERSION = "TROTH_0_1"


def part10(sop_class: str, instance_uid: str, syntax: str) -> bytes:
    """What stands before the data set in a file; always ours, never what a sender wrote.

    Args:
        sop_class: SOP Class UID of the instance.
        instance_uid: Its SOP Instance UID.
        syntax: Transfer syntax of the data set that follows.

    Returns:
        128 zero bytes, ``DICM`` and group 0002.
    """
    group = b"".join(
        (
            struct.pack("<HH2sHL2s", 2, 1, b"OB", 0, 2, b"\0\1"),
            _uid(0x02, sop_class),
            _uid(0x03, instance_uid),
            _uid(0x10, syntax),
            _uid(0x12, IMPLEMENTATION_UID),
            _text(0x13, b"SH", IMPLEMENTATION_VERSION.encode("ascii"), b" "),
        )
    )
    return bytes(128) + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(group)) + group


def _uid(element: int, uid: str) -> bytes:
    return _text(element, b"UI", uid.encode("ascii"), b"\0")


def _text(element: int, vr: bytes, value: bytes, pad: bytes) -> bytes:
    value += pad * (len(value) & 1)
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value
