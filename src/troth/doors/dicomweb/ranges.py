"""Parts of a value that a client asks for by the Range header.

Per: RFC 9110 14; DICOM PS3.18 8.7.3.3.2 (bulk data by ranges).
"""

from __future__ import annotations

import re

from troth.doors.dicomweb.errors import RangeUnsatisfiable

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE | re.ASCII)


def asked(header: str | None, length: int) -> tuple[int, int] | None:
    """The bytes [start, stop) that are asked for.

    Args:
        header: The Range header, if there is one.
        length: Length of the whole in bytes.

    Returns:
        None where the whole is to be sent: no range, several, or one that cannot be read (RFC 9110 14.2).

    Raises:
        RangeUnsatisfiable: It begins after the end.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(length - int(last), 0), length
    else:
        start, stop = int(first), min(int(last) + 1, length) if last else length
        if last and int(last) < start:
            return None
    if start >= length or start >= stop:
        raise RangeUnsatisfiable(length)
    return start, stop
