"""Data sets that are no instances, such as the identifier of a search: small, whole, from a stranger."""

from __future__ import annotations

from typing import Any

from troth.dicom import syntaxes, tags
from troth.dicom.errors import Malformed, Truncated
from troth.dicom.metadata import to_json
from troth.dicom.walk import LIMITS, Limits, Walker


def read_plain(encoded: bytes, syntax: str, limits: Limits = LIMITS) -> dict[str, Any]:
    """Read a data set without bulk, its structure checked before anything is decoded.

    Args:
        encoded: The whole of it; how long it may be is for the caller to bound.
        syntax: The transfer syntax that was agreed; only native ones.
        limits: What it may cost.

    Returns:
        DICOM JSON by tag, as `to_json` gives it.

    Raises:
        Malformed: A rule of PS3.5 is broken, or there is bulk.
        Truncated: It ends inside an element.
    """
    if syntax not in syntaxes.NATIVE - set(syntaxes.INFLATED):
        raise Malformed("A data set without pixels is not written in this transfer syntax")
    walker = Walker(is_explicit=syntaxes.is_explicit(syntax), is_little=syntaxes.is_little(syntax), limits=limits)
    walker.walk(encoded)
    if walker.bulk is not None:
        raise Malformed(f"An element {tags.show(walker.bulk[0])} cannot stand here")
    if walker.position != len(encoded) or not walker.is_whole:
        raise Truncated("The data set is cut short")
    return to_json(encoded, syntax)
