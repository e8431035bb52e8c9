"""The head of an instance as it comes, piece by piece: written as DICOM JSON, or searched for one value of it.

Memory stays flat, however many items its sequences have.

Per: DICOM PS3.18 Annex F.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from troth.dicom import tags
from troth.dicom.metadata import BulkPlace, Reader, Scope, Uri, uri_of
from troth.dicom.text import Charset
from troth.dicom.values import unit_bytes

_INLINE_BYTES = 1024
_NOTHING: Mapping[str, Any] = {}
Instead = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Besides = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Transcript:
    """Writes what `to_json` gives, as text.

    Feed the head as it comes; each call returns the text of what it made whole. Of an element that stands twice in a
    data set, both are written.

    Args:
        syntax: As `Header.syntax`.
        bulk_uri: What to put before the path of a value that is not sent inline.
        instead: Makes of what an element says, in DICOM JSON, what is told instead; by its tag (`GGGGEEEE`).
            It is asked with nothing where the data set has no such element.
    """

    def __init__(self, syntax: str, bulk_uri: str, instead: Mapping[str, Instead] = _NOTHING) -> None:
        self._syntax = syntax
        self._instead = instead
        self._head = _Text(b"", syntax, uri_of(bulk_uri), _INLINE_BYTES)
        self._head.instead = self._instead
        self._brace = b"{"

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the head.

        Returns:
            JSON in UTF-8.

        Raises:
            troth.dicom.Malformed: The head is not what a scanner passed.
        """
        self._head.feed(chunk)
        brace, self._brace = self._brace, b""
        return brace + self._head.taken()

    def finish(self, tail: bytes = b"", besides: Besides | None = None) -> bytes:
        """The head is whole.

        Args:
            tail: As `Header.tail`: elements after the bulk.
            besides: Makes further elements, in DICOM JSON, of who reserved which private blocks.

        Returns:
            The rest of the text.

        Raises:
            troth.dicom.Malformed: The head is not what a scanner passed.
        """
        root = self._head.read()
        told = self._brace + self._head.taken()
        if tail:
            last = _Text(tail, self._syntax, None, _INLINE_BYTES, root.charset)
            last.is_first = self._head.is_first
            last.instead, last.met = self._instead, self._head.met
            root.dataset.update(last.read().dataset)
            told += last.taken()
            self._head.is_first = last.is_first
        added = {tag: made({}) for tag, made in self._instead.items() if tag not in self._head.met}
        added |= besides(root.dataset) if besides is not None else {}
        if added:
            told += (b"" if self._head.is_first else b",") + _written(added)[1:-1].encode()
        return told + b"}"


class BulkSearch:
    """Finds where the value of a BulkDataURI stands, or where all of them do.

    Args:
        syntax: As `Header.syntax`.
        path: As it stands in the URI; None for every value that a `Transcript` points to.
    """

    def __init__(self, syntax: str, path: str | None = None) -> None:
        self._finder = _Finder(syntax, path)

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes of the head.

        Returns:
            Whether the one that is looked for is found already.
        """
        self._finder.feed(chunk)
        return self._finder.is_over

    def finish(self) -> dict[str, BulkPlace]:
        """The head is whole, or it was found: places by path; none where there is no such value."""
        if not self._finder.is_over:
            self._finder.read()
        return self._finder.places


class _Passing(Reader):
    """Reads without keeping what was read, but for who reserved private blocks."""

    def _open(self, scope: Scope, tag: int, items: list[Any]) -> None:
        """Nothing of a sequence is kept."""

    def _open_item(self, scope: Scope, inner: Scope) -> bool:
        if scope.items is not None:
            scope.items.append(None)  # they are counted
        return True

    def _put(self, scope: Scope, key: str, entry: dict[str, Any]) -> None:
        if key[4:6] == "00" and int(key[3], 16) & 1:
            scope.dataset[key] = entry  # who reserved a private block is asked for later


class _Text(_Passing):
    """Writes what it reads as text."""

    def __init__(
        self, buffer: bytes, syntax: str, uri: Uri | None, inline_bytes: int, charset: Charset | None = None
    ) -> None:
        super().__init__(buffer, syntax, uri, inline_bytes, charset)
        self._out: list[str] = []
        self.is_first = True  # no element of this data set was written yet
        self.instead: Mapping[str, Instead] = _NOTHING
        self.met: set[str] = set()  # those of them that the data set has

    def taken(self) -> bytes:
        """The text since the last call."""
        text, self._out = "".join(self._out), []
        return text.encode("utf-8", "replace")

    def _add(self, text: str) -> None:
        self._out.append(text if self.is_first else f",{text}")
        self.is_first = False

    def _open(self, scope: Scope, tag: int, items: list[Any]) -> None:
        self._add(f'"{tags.key(tag)}":{{"vr":"SQ","Value":[')
        self.is_first = True

    def _open_item(self, scope: Scope, inner: Scope) -> bool:
        self._add("{")
        self.is_first = True
        return super()._open_item(scope, inner)

    def _put(self, scope: Scope, key: str, entry: dict[str, Any]) -> None:
        super()._put(scope, key, entry)
        if not scope.path and key in self.instead:
            self.met.add(key)
            entry = dict(self.instead[key](entry))
        self._add(f'"{key}":{_written(entry)}')

    def _close(self, scope: Scope) -> None:
        if scope.path:
            self._out.append("]}" if scope.items is not None else "}")
            self.is_first = False


class _Finder(_Passing):
    """Finds values."""

    def __init__(self, syntax: str, path: str | None) -> None:
        super().__init__(b"", syntax, self._note, _INLINE_BYTES if path is None else 0)
        self._path = path
        self.places: dict[str, BulkPlace] = {}

    @property
    def is_over(self) -> bool:
        """Whether the one that is looked for is found."""
        return self._path in self.places

    def _note(self, at: str, vr: str, start: int, stop: int) -> str:
        if self._path in (None, at):
            self.places.setdefault(at, BulkPlace(vr, start, stop, 1 if self._is_little else unit_bytes(vr)))
        return ""


_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
