"""Which instances of a study a program made by their very class: what they say is advice, and no result.

Per: DICOM PS3.3 A.35.5, A.35.6, A.35.11 (CAD SR), A.82 (Content Assessment Results).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: SOP class to what it is called. A class that people use too, such as a segmentation, is not among them.
BY_PROGRAMS: Final = {
    "1.2.840.10008.5.1.4.1.1.88.50": "mammography CAD",
    "1.2.840.10008.5.1.4.1.1.88.65": "chest CAD",
    "1.2.840.10008.5.1.4.1.1.88.69": "colon CAD",
    "1.2.840.10008.5.1.4.1.1.90.1": "content assessment",
}


def advice_in(sop_classes: Iterable[str]) -> tuple[str, ...]:
    """What of a study is advice of a program.

    Args:
        sop_classes: Of its instances.

    Returns:
        The names of its kinds, in order.
    """
    held = set(sop_classes)
    return tuple(name for uid, name in BY_PROGRAMS.items() if uid in held)
