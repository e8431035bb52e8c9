"""The Native DICOM Model in XML read into DICOM JSON, without entities, bounded in size and depth.

Per: DICOM PS3.19 A.1.
"""

from __future__ import annotations

import codecs
import re
from typing import Any
from xml.etree import ElementTree

from troth.dicom.errors import EncodingUnknown, Malformed, TooDeep
from troth.kit import numbers
from troth.kit.budgets import Budget, Cost

_SPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
_DECLARATION = re.compile(
    rb"""(?:\xef\xbb\xbf)?<\?xml\s(?:[^>]{0,100}?\sencoding\s{0,20}=\s{0,20}["']([^"'>]{0,40})["'])?[^>]{0,100}\?>"""
)
_ENCODINGS = frozenset({b"utf-8", b"us-ascii", b"iso-8859-1"})
_DEPTH = 16
_PIECE_BYTES = 64 << 10
_MOST_MISSING = 16
_MOST_NUMBER = 1 << 32
_LARGEST = (1 << 64) - 1
_PARTS_OF_NAME = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_WHOLE = frozenset({"IS", "US", "UL", "SS", "SL", "UV", "SV"})
_REAL = frozenset({"FL", "FD"})


def from_xml(content: bytes, budget: Budget) -> dict[str, Any]:
    """A data set as DICOM JSON has it.

    Args:
        content: One document, in UTF-8 or in UTF-16 with its mark; US-ASCII and Latin 1 are read where it says so.
        budget: Items are its elements.

    Raises:
        EncodingUnknown: It is in another one.
        Malformed: It is not the model, or declares a document type (and with it entities).
        TooDeep: Sequences within sequences beyond the limit.
        OverBudget: It has more elements than are left.
    """
    content = _plain(content)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        raise Malformed("The XML is not the Native DICOM Model")
    try:
        root = _tree(content, budget)
        if root.tag not in (_SPACE + "NativeDicomModel", "NativeDicomModel"):
            raise Malformed("The XML is not the Native DICOM Model")
        return _dataset(root, 0)
    except (ElementTree.ParseError, KeyError, ValueError, LookupError):
        raise Malformed("The XML is not the Native DICOM Model") from None


def _plain(content: bytes) -> bytes:
    """The document in an encoding in which nobody can hide what is looked for in it. Per: XML 1.0 4.3.3, F.1."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and content[2:4] != b"\0\0":
        try:
            # The mark counts for more than what the declaration says (RFC 7303 3.3), which is left out.
            return _DECLARATION.sub(b"", content.decode("utf-16").encode(), count=1)
        except UnicodeError:
            raise Malformed("The XML is not the Native DICOM Model") from None
    declared = _DECLARATION.match(content)
    if b"\0" in content[:4] or (declared and (declared[1] or b"utf-8").lower() not in _ENCODINGS):
        raise EncodingUnknown
    return content


def _tree(content: bytes, budget: Budget) -> ElementTree.Element:
    """The document, fed piece by piece so that it ends where the budget does."""
    parser: Any = ElementTree.XMLPullParser(["start"])  # without a document type there are no entities
    root: list[ElementTree.Element] = []
    for at in range(0, len(content), _PIECE_BYTES):
        parser.feed(content[at : at + _PIECE_BYTES])
        begun = [element for _, element in parser.read_events() if isinstance(element, ElementTree.Element)]
        budget.spend(Cost.ITEMS, len(begun))
        root += begun[: not root]
    parser.close()
    if not root:
        raise Malformed("The XML is not the Native DICOM Model")
    return root[0]


def _dataset(scope: ElementTree.Element, depth: int) -> dict[str, Any]:
    if depth > _DEPTH:
        raise TooDeep
    found: dict[str, Any] = {}
    for one in scope:
        if _name(one) == "DicomAttribute":
            found[one.attrib["tag"].upper()] = _element(one, depth)
    return found


def _element(attribute: ElementTree.Element, depth: int) -> dict[str, Any]:
    vr = attribute.attrib["vr"]
    told: dict[str, Any] = {"vr": vr}
    values: dict[int, Any] = {}
    for child in attribute:
        match _name(child):
            case "BulkData":
                told["BulkDataURI"] = child.attrib.get("uri") or child.attrib["uuid"]
            case "InlineBinary":
                told["InlineBinary"] = "".join((child.text or "").split())
            case "Value":
                values[_number(child)] = _value(vr, child.text or "")
            case "PersonName":
                values[_number(child)] = {_name(group): _group(group) for group in child}
            case "Item":
                values[_number(child)] = _dataset(child, depth + 1)
    if values:
        # Empty values are left out and their numbers with them; how many may be missing depends on how many are there.
        if max(values) > 2 * len(values) + _MOST_MISSING or min(values) < 1:
            raise Malformed("The XML is not the Native DICOM Model")
        told["Value"] = [values.get(number) for number in range(1, max(values) + 1)]
    return told


def _number(child: ElementTree.Element) -> int:
    return numbers.whole(child.attrib["number"], most=_MOST_NUMBER) or 0


def _value(vr: str, text: str) -> Any:
    if vr in _WHOLE or vr in _REAL:
        number = numbers.whole(text, least=-_LARGEST, most=_LARGEST) if vr in _WHOLE else numbers.decimal(text)
        if number is None:
            raise Malformed("The XML is not the Native DICOM Model")
        return number
    return text


def _group(group: ElementTree.Element) -> str:
    parts = {_name(part): part.text or "" for part in group}
    return "^".join(parts.get(name, "") for name in _PARTS_OF_NAME).rstrip("^")


def _name(element: ElementTree.Element) -> str:
    return element.tag.removeprefix(_SPACE)
