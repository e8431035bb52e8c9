"""A DICOMDIR read like everything of strangers: its structure is checked, within limits, before anything is decoded.

Per: DICOM PS3.10 8.6 (DICOMDIR), PS3.3 F.3.
"""

from __future__ import annotations

import struct

from troth.dicom import tags
from troth.dicom.errors import Malformed, NotDicom, Truncated
from troth.dicom.plain import read_plain
from troth.dicom.walk import Limits

MOST_BYTES = 64 << 20
_LIMITS = Limits(head_bytes=MOST_BYTES, elements=4 << 20)
_RECORDS, _REFERENCED_FILE = "00041220", "00041500"


def referenced_files(content: bytes) -> list[list[str]]:
    """The file that each record of a DICOMDIR refers to, by the components of its name; some refer to none.

    Args:
        content: The whole file.

    Raises:
        NotDicom: It is no Part 10 file.
        Malformed: It is written in a transfer syntax that a DICOMDIR has not, such as a deflated one, or broken.
        Truncated: It is cut short, also between its records.
    """
    syntax, start = _meta(content)
    dataset = read_plain(content[start:], syntax, _LIMITS)
    if _RECORDS not in dataset:
        raise Truncated("The DICOMDIR has no records")
    named = []
    for record in dataset[_RECORDS].get("Value", ()):
        components = (record or {}).get(_REFERENCED_FILE, {}).get("Value", ())
        if components:
            named.append([str(part or "") for part in components])
    return named


def _meta(content: bytes) -> tuple[str, int]:
    """Transfer syntax, and where the data set begins. The group is always explicit little endian (PS3.10 7.1)."""
    if content[128:132] != b"DICM":
        raise NotDicom
    position, syntax = 132, ""
    while len(content) - position >= 12:
        group, element, vr, length = struct.unpack_from("<HH2sH", content, position)
        if group != 2:
            return syntax, position
        start = position + 8
        if vr in tags.LONG:
            (length,), start = struct.unpack_from("<L", content, start), start + 4
        elif vr not in tags.SHORT:
            raise Malformed("The file meta group is not written in explicit VR")
        if element == 0x10:
            syntax = content[start : start + length].decode("ascii", "replace").strip(" \0")
        position = start + length
    raise Truncated("The file ends in its meta group")
