"""The Native DICOM Model in XML read into DICOM JSON, without entities, bounded in size and depth.

Per: DICOM PS3.19 A.1.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from troth.dicom import Malformed, TooDeep

_SPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
_DEPTH = 16
_PARTS_OF_NAME = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_WHOLE = frozenset({"IS", "US", "UL", "SS", "SL", "UV", "SV"})
_REAL = frozenset({"FL", "FD"})


def from_xml(content: bytes) -> dict[str, Any]:
    """A data set as DICOM JSON has it.

    Args:
        content: One document, in UTF-8.

    Raises:
        Malformed: It is not the model, or declares a document type (and with it entities).
        TooDeep: Sequences within sequences beyond the limit.
    """
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        raise Malformed("The XML is not the Native DICOM Model")
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - without a document type there are no entities
        if root.tag not in (_SPACE + "NativeDicomModel", "NativeDicomModel"):
            raise Malformed("The XML is not the Native DICOM Model")
        return _dataset(root, 0)
    except (ElementTree.ParseError, KeyError, ValueError, LookupError):
        raise Malformed("The XML is not the Native DICOM Model") from None


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
                values[int(child.attrib["number"])] = _value(vr, child.text or "")
            case "PersonName":
                values[int(child.attrib["number"])] = {_name(group): _group(group) for group in child}
            case "Item":
                values[int(child.attrib["number"])] = _dataset(child, depth + 1)
    if values:
        if max(values) > 100_000 or min(values) < 1:
            raise Malformed("The XML is not the Native DICOM Model")
        told["Value"] = [values.get(number) for number in range(1, max(values) + 1)]
    return told


def _value(vr: str, text: str) -> Any:
    if vr in _WHOLE:
        return int(text)
    return float(text) if vr in _REAL else text


def _group(group: ElementTree.Element) -> str:
    parts = {_name(part): part.text or "" for part in group}
    return "^".join(parts.get(name, "") for name in _PARTS_OF_NAME).rstrip("^")


def _name(element: ElementTree.Element) -> str:
    return element.tag.removeprefix(_SPACE)
