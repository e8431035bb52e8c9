"""Instances that a sender hands in as metadata, in DICOM JSON or XML: read, bounded, and told in bytes.

What reads here is fed by strangers and runs in the confined child; what it tells is plain bytes, so that whoever is
outside need not trust it with more than that.

Per: DICOM PS3.18 8.7.3.2, 10.5.1.1; PS3.19 A.1.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from troth.dicom.drafts import Draft, Piece, Place, draft, names_of, places_of
from troth.dicom.errors import Malformed
from troth.dicom.from_xml import from_xml
from troth.dicom.header import is_uid
from troth.kit.budgets import Budget, Cost
from troth.kit.errors import TrothError

MOST: Mapping[Cost, int] = {Cost.PARTS: 20_000, Cost.ITEMS: 1_000_000, Cost.VALUES: 2_000_000}
"""Of one piece of metadata: instances, elements with their items, and values."""
_SIZE = struct.Struct("<L")


def datasets(content: bytes, *, is_xml: bool) -> list[Mapping[str, Any]]:
    """The data sets of a piece of metadata.

    Args:
        content: One XML document, or a JSON object or array of them in UTF-8.
        is_xml: Which of the two.

    Raises:
        EncodingUnknown: The XML is neither in UTF-8 nor in UTF-16.
        Malformed: It is not the model.
        OverBudget: There is more in it than is taken.
    """
    budget = Budget(MOST)
    if is_xml:
        return [from_xml(content, budget)]
    # Each container and each value but the first of a container has one of these: nothing is made before it is counted.
    budget.spend(Cost.ITEMS, content.count(b"{") + content.count(b"["))
    budget.spend(Cost.VALUES, content.count(b","))
    try:
        told = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Malformed("The metadata is not DICOM JSON") from None
    found = told if isinstance(told, list) else [told]
    budget.spend(Cost.PARTS, len(found))
    if not all(isinstance(one, dict) for one in found):
        raise Malformed("The metadata is not DICOM JSON")
    return found


def read(content: bytes, *, is_xml: bool) -> list[Draft]:
    """The instances of a piece of metadata; one that cannot be written stands there with its fault, the others go on.

    Args:
        content: As of `datasets`.
        is_xml: As of `datasets`.

    Raises:
        Malformed: It is not the model.
        OverBudget: There is more in it than is taken.
    """
    return [_drafted(one) for one in datasets(content, is_xml=is_xml)]


def references(content: bytes, *, is_xml: bool) -> list[tuple[str, str]]:
    """SOP class and instance UID of each instance in the Referenced SOP Sequence of a data set (PS3.3 C.14).

    Args:
        content: As of `datasets`.
        is_xml: As of `datasets`.

    Raises:
        Malformed: It is not the model, or has no such sequence.
        OverBudget: There is more in it than is taken.
    """
    told = datasets(content, is_xml=is_xml)
    try:
        (dataset,) = told
        return [
            (str(one["00081150"]["Value"][0]), str(one["00081155"]["Value"][0])) for one in dataset["00081199"]["Value"]
        ]
    except (KeyError, IndexError, TypeError, ValueError):
        raise Malformed("A request names instances in the Referenced SOP Sequence.") from None


def drafts(contents: Sequence[bytes | bytearray], is_xml: bool) -> bytes:
    """`read`, packed: what the child runs."""
    return packed(read(bytes(contents[0]), is_xml=is_xml))


def referred(contents: Sequence[bytes | bytearray], is_xml: bool) -> bytes:
    """`references` in JSON: what the child runs."""
    return json.dumps(references(bytes(contents[0]), is_xml=is_xml)).encode()


def load() -> None:
    """Load what reading loads late: in a confined child no file can be opened afterwards."""
    for encoding in ("utf-8", "utf-16"):
        datasets("<NativeDicomModel/>".encode(encoding), is_xml=True)
    read(b"{}", is_xml=False)


def _drafted(dataset: Mapping[str, Any]) -> Draft:
    try:
        return draft(dataset)
    except TrothError as fault:
        return Draft(*names_of(dataset), places_of(dataset), fault.slug)


def packed(drafts: Iterable[Draft]) -> bytes:
    """Drafts as bytes: what they are in JSON, then their pieces one after the other."""
    told, content = [], []
    for one in drafts:
        pieces: list[Any] = []
        for piece in one.pieces:
            if isinstance(piece, Place):
                pieces.append([piece.tag, piece.vr, piece.uri])
            else:
                pieces.append(len(piece))
                content.append(piece)
        told.append([one.sop_class, one.instance_uid, one.study_uid, one.series_uid, one.fault, pieces])
    front = json.dumps(told, separators=(",", ":")).encode()
    return b"".join([_SIZE.pack(len(front)), front, *content])


def unpacked(packet: bytes) -> list[Draft]:
    """Drafts out of bytes of somebody who is not trusted.

    Raises:
        Malformed: They are none.
    """
    try:
        (size,) = _SIZE.unpack_from(packet)
        position, found = _SIZE.size + size, []
        for *named, fault, told in json.loads(packet[_SIZE.size : position]):
            pieces: list[Piece] = []
            for one in told:
                if isinstance(one, int):
                    pieces.append(packet[position : position + one])
                    position += one
                else:
                    tag, vr, uri = one
                    pieces.append(Place(int(tag), str(vr), str(uri)))
            sop_class, instance, study, series = (name if is_uid(name) else "" for name in named)
            found.append(Draft(sop_class, instance, study, series, tuple(pieces), str(fault)))
    except (ValueError, TypeError, struct.error, RecursionError):
        raise Malformed("The metadata is not DICOM JSON") from None
    if position != len(packet):
        raise Malformed("The metadata is not DICOM JSON")
    return found
