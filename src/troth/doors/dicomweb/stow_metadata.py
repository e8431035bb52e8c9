"""STOW-RS with metadata and bulk values apart: put together again into the instances that they are.

The metadata comes first, the values that it points to follow, each named by its Content-Location. An instance goes on
as soon as all of its values are here; what waits is bounded. One that cannot be put together is refused alone.

Per: DICOM PS3.18 8.7.3.2, 10.5.1.1, table 10.5.2-1.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from troth import dicom
from troth.archive import Outcome
from troth.doors.dicomweb.accept import DICOM, JSON, PLAIN_JSON, XML
from troth.doors.dicomweb.errors import BulkMissing, BulkUnasked, MediaTypeUnknown, PartTooLarge
from troth.doors.dicomweb.xml_in import from_xml
from troth.doors.multipart import Event, PartBegins, PartEnds
from troth.kit.errors import TrothError

TYPES = frozenset({JSON, PLAIN_JSON, XML})
MOST_METADATA_BYTES = 16 << 20
MOST_WAITING_BYTES = 64 << 20
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
#: Transfer syntax of a compressed value that names none. Per: PS3.18 table 8.7.3-5.
_SYNTAXES = {
    "image/jpeg": "1.2.840.10008.1.2.4.70",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
}
_OCTETS = frozenset({"", "application/octet-stream"})

Refused = Outcome | TrothError


@dataclass(slots=True)
class _Waiting:
    """An instance whose values are not all here."""

    dataset: Mapping[str, Any]
    missing: set[str]


@dataclass(slots=True)
class _Value:
    """A bulk value that came."""

    syntax: str
    content: bytes


@dataclass(slots=True)
class Assembly:
    """Puts the instances of one message together.

    Attributes:
        refused: What could not be; taken away by whoever answers for it.
    """

    refused: list[Refused] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)
    _values: dict[str, _Value] = field(default_factory=dict)
    _held_bytes: int = 0

    async def events(self, parts: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """The message as if each instance had been a part of it.

        Args:
            parts: Events of the message as it came.
        """
        begun: PartBegins | None = None
        content = bytearray()
        async for event in parts:
            if isinstance(event, PartBegins):
                begun, content = event, bytearray()
            elif isinstance(event, PartEnds):
                if begun is not None:
                    for one in self._take(begun, bytes(content)):
                        yield one
                begun = None
            elif begun is not None:
                content += event
                most = MOST_METADATA_BYTES if begun.media_type in TYPES else MOST_WAITING_BYTES - self._held_bytes
                if len(content) > most:
                    begun, content = None, bytearray()
                    self.refused.append(PartTooLarge())
        for waiting in self._waiting:
            self.refused.append(_outcome(waiting.dataset, BulkMissing()))

    def _take(self, begun: PartBegins, content: bytes) -> Iterator[Event]:
        try:
            if begun.media_type in TYPES:
                for dataset in _read(begun.media_type, content):
                    yield from self._put(dataset)
            else:
                yield from self._arrived(begun, content)
        except TrothError as fault:
            self.refused.append(fault)

    def _put(self, dataset: Mapping[str, Any]) -> Iterator[Event]:
        try:
            waiting = _Waiting(dataset, dicom.bulk_uris(dataset) - self._values.keys())
        except TrothError as fault:
            self.refused.append(_outcome(dataset, fault))
            return
        if waiting.missing:
            self._waiting.append(waiting)
        else:
            yield from self._made(dataset)

    def _arrived(self, begun: PartBegins, content: bytes) -> Iterator[Event]:
        named = begun.parameters.get("transfer-syntax", "")
        if begun.media_type in _OCTETS:
            syntax = named or _EXPLICIT_LITTLE
        elif begun.media_type in _SYNTAXES:
            syntax = named or _SYNTAXES[begun.media_type]
        else:
            raise MediaTypeUnknown
        if not any(begun.location in one.missing for one in self._waiting):
            raise BulkUnasked
        self._values[begun.location] = _Value(syntax, content)
        self._held_bytes += len(content)
        for waiting in list(self._waiting):
            waiting.missing.discard(begun.location)
            if not waiting.missing:
                self._waiting.remove(waiting)
                yield from self._made(waiting.dataset)
        self._let_go()

    def _made(self, dataset: Mapping[str, Any]) -> Iterator[Event]:
        """An instance as a file, as it would have come by itself."""
        try:
            used = [self._values[uri] for uri in dicom.bulk_uris(dataset)]
            syntaxes = {one.syntax for one in used if one.syntax not in (_EXPLICIT_LITTLE, "1.2.840.10008.1.2")}
            if len(syntaxes) > 1:
                raise dicom.Malformed("The values of an instance are in several transfer syntaxes")
            syntax = syntaxes.pop() if syntaxes else _EXPLICIT_LITTLE
            encoded = dicom.from_json(dataset, self._bulk)
        except TrothError as fault:
            self.refused.append(_outcome(dataset, fault))
            return
        yield PartBegins(DICOM)
        front = dicom.part10(_text(dataset, "00080016"), _text(dataset, "00080018"), syntax)
        yield memoryview(front + encoded)
        yield PartEnds()

    def _bulk(self, uri: str) -> bytes | list[bytes]:
        value = self._values[uri]
        return value.content if value.syntax in (_EXPLICIT_LITTLE, "1.2.840.10008.1.2") else [value.content]

    def _let_go(self) -> None:
        """Forget the values that nothing waits with: what several instances share stays until the last is whole."""
        wanted = {uri for waiting in self._waiting for uri in dicom.bulk_uris(waiting.dataset)}
        for uri in self._values.keys() - wanted:
            self._held_bytes -= len(self._values.pop(uri).content)


def _read(media_type: str, content: bytes) -> list[Mapping[str, Any]]:
    """The data sets of a part of metadata.

    Raises:
        Malformed: It is not the model.
    """
    if media_type == XML:
        return [from_xml(content)]
    try:
        told = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise dicom.Malformed("The metadata is not DICOM JSON") from None
    datasets = told if isinstance(told, list) else [told]
    if not all(isinstance(one, dict) for one in datasets):
        raise dicom.Malformed("The metadata is not DICOM JSON")
    return datasets


def _text(dataset: Mapping[str, Any], key: str) -> str:
    """The first value of a UID; empty where there is none that could be one. The scanner judges it."""
    told = dataset.get(key)
    values = told.get("Value") if isinstance(told, Mapping) else None
    text = values[0] if isinstance(values, list) and values else ""
    return text if isinstance(text, str) and dicom.is_uid(text) else ""


def _outcome(dataset: Mapping[str, Any], fault: TrothError) -> Refused:
    """The answer for an instance that could not be put together; for one without a name, the fault alone."""
    instance, sop_class, study, series = (
        _text(dataset, key) for key in ("00080018", "00080016", "0020000D", "0020000E")
    )
    if not instance or not sop_class:
        return fault
    return Outcome(instance, sop_class, study, series, "refused", fault.dimse_status, fault)
