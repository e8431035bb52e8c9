"""The Native DICOM Model in XML, made from DICOM JSON.

Per: DICOM PS3.19 A.1, PS3.18 8.7.3.2 and Annex F.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from troth import archive

_BEGIN = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'
)
_END = "</NativeDicomModel>"
# What XML 1.0 (2.2) cannot hold, not even as a reference.
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PARTS_OF_NAME = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_GROUPS_OF_NAME = ("Alphabetic", "Ideographic", "Phonetic")


def to_xml(dataset: Mapping[str, Any]) -> bytes:
    """A data set in DICOM JSON as an XML document.

    Args:
        dataset: Tag to element, values decoded.
    """
    return (_BEGIN + "".join(_attributes(dataset)) + _END).encode("utf-8", "replace")


def _attributes(dataset: Mapping[str, Any]) -> Iterator[str]:
    for tag, element in dataset.items():
        vr = element.get("vr", "UN")
        front = f'<DicomAttribute tag="{tag}" vr="{vr}"'
        number = int(tag, 16)
        if number >> 16 & 1:
            if creator := _creator(dataset, number):
                front += f" privateCreator={quoteattr(_clean(creator))}"
        elif (keyword := archive.keyword_of(number)) != tag:
            front += f' keyword="{keyword}"'
        yield f"{front}>{''.join(_content(vr, element))}</DicomAttribute>"


def _content(vr: str, element: Mapping[str, Any]) -> Iterator[str]:
    if "BulkDataURI" in element:
        yield f"<BulkData uri={quoteattr(_clean(element['BulkDataURI']))}/>"
    elif "InlineBinary" in element:
        yield f"<InlineBinary>{element['InlineBinary']}</InlineBinary>"
    for number, value in enumerate(element.get("Value", ()), 1):
        if vr == "SQ":
            yield f'<Item number="{number}">{"".join(_attributes(value or {}))}</Item>'
        elif value is None:
            continue  # an empty value among others: the next one keeps its number
        elif vr == "PN":
            yield f'<PersonName number="{number}">{"".join(_groups(value))}</PersonName>'
        else:
            yield f'<Value number="{number}">{escape(_clean(str(value)))}</Value>'


def _groups(name: Mapping[str, str]) -> Iterator[str]:
    for group in _GROUPS_OF_NAME:
        if group in name:
            parts = zip(_PARTS_OF_NAME, name[group].split("^"), strict=False)
            inner = "".join(f"<{part}>{escape(_clean(text))}</{part}>" for part, text in parts if text)
            yield f"<{group}>{inner}</{group}>"


def _creator(dataset: Mapping[str, Any], number: int) -> str:
    """Who reserved the block of a private element in its data set (PS3.5 7.8.1)."""
    if number & 0xFFFF < 0x1000:
        return ""
    values = dataset.get(f"{number >> 16:04X}00{number >> 8 & 0xFF:02X}", {}).get("Value", [""])
    return str(values[0] or "")


def _clean(text: str) -> str:
    return _IMPOSSIBLE.sub("\ufffd", text)
