"""Sequences of the index: their items are kept as one value of their study or series, and matched item by item.

Per: DICOM PS3.4 C.2.2.2.6 (sequence matching), PS3.18 8.3.4.1 (the path of an attribute within a sequence).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

REQUEST = 0x00400275
OTHER_IDS = 0x00101002

#: What is kept of the items of each.
KEPT: Mapping[int, frozenset[int]] = {
    REQUEST: frozenset({0x00400009, 0x00401001, 0x00400007, 0x00321060}),
    OTHER_IDS: frozenset({0x00100020, 0x00100021}),
}

Items = Sequence[Mapping[int, str]]


def path(sequence: int, tag: int) -> int:
    """One number for an attribute within a sequence, wherever a search key has the number of its tag."""
    return sequence << 32 | tag


def parts(number: int) -> tuple[int, int]:
    """The sequence and the attribute of a `path`; the sequence is 0 for an attribute of the top level."""
    return number >> 32, number & 0xFFFFFFFF


def is_kept(number: int) -> bool:
    """Whether a path leads to something that is kept."""
    sequence, tag = parts(number)
    return tag in KEPT.get(sequence, frozenset())


def picked(nested: Mapping[int, Items], sequences: Iterable[int]) -> dict[int, str]:
    """The items of some sequences as values to be kept beside the other attributes.

    Args:
        nested: Items by sequence, as `dicom.Header.nested`.
        sequences: Sequences wanted; others are passed over.
    """
    found = {}
    for sequence in KEPT.keys() & set(sequences):
        items = [
            {f"{tag:08X}": item[tag] for tag in sorted(KEPT[sequence]) if item.get(tag)}
            for item in nested.get(sequence, ())
        ]
        if any(items):
            found[sequence] = json.dumps(items, ensure_ascii=False, separators=(",", ":"))
    return found


def items_of(value: str) -> list[dict[int, str]]:
    """The items that `picked` wrote; none for an empty value."""
    read: list[dict[str, Any]] = json.loads(value) if value else []
    return [{int(tag, 16): str(text) for tag, text in item.items()} for item in read]
