"""STOW-RS with metadata and bulk values apart: put together again into the instances that they are.

The metadata comes first, the values that it points to follow, each named by its Content-Location. An instance goes on
as soon as all of its values are here; what waits is bounded. One that cannot be put together is refused alone.

Per: DICOM PS3.18 8.7.3.2, 10.5.1.1, table 10.5.2-1.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from troth import dicom
from troth.archive import Outcome
from troth.dicom import Draft
from troth.doors.dicomweb.accept import DICOM, JSON, PLAIN_JSON, XML
from troth.doors.dicomweb.errors import BulkMissing, BulkUnasked, MediaTypeUnknown, PartTooLarge
from troth.doors.multipart import Event, PartBegins, PartEnds
from troth.kit.budgets import Budget, Cost, RoomTaken, Share
from troth.kit.errors import Kinds, OverBudget, TrothError

TYPES = frozenset({JSON, PLAIN_JSON, XML})
MOST_METADATA_BYTES = 16 << 20
MOST_WAITING_BYTES = 64 << 20
"""Of metadata and values together that wait for one another."""
MOST_INSTANCES = 20_000
_AT_ONCE = 100
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
#: Transfer syntax of a compressed value that names none. Per: PS3.18 table 8.7.3-5.
_SYNTAXES = {
    "image/jpeg": "1.2.840.10008.1.2.4.70",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
}
#: Values as they are; encapsulated documents come under types of their own (PS3.18 table 8.7.3-4, PS3.3 A.45, A.85).
_OCTETS = frozenset(
    {
        "", "application/octet-stream", "application/pdf", "text/xml", "application/xml", "text/plain",
        "model/stl", "model/obj", "model/mtl", "application/sla", "image/png",
    }
)  # fmt: skip

Refused = Outcome | TrothError
Reader = Callable[[bytes, bool], Awaitable[list[Draft]]]

#: One of each kind, for however many instances.
_FAULTS: Mapping[str, TrothError] = {
    one.slug: one() for one in (dicom.Malformed, dicom.TooDeep, dicom.HeadTooLarge, OverBudget, BulkMissing)
}


@dataclass(slots=True)
class _Waiting:
    """An instance whose values are not all here."""

    draft: Draft
    uris: set[str]
    missing: int


@dataclass(slots=True)
class _Value:
    """A bulk value that came."""

    syntax: str
    content: bytes


class Assembly:
    """Puts the instances of one message together.

    Args:
        read: Makes drafts of a piece of metadata; is told whether it is XML.
        share: Of the room for what waits.

    Attributes:
        refused: What could not be; taken away by whoever answers for it.
    """

    def __init__(self, read: Reader, share: Share) -> None:
        self.refused: list[Refused] = []
        self._kinds = Kinds()
        self._read = read
        self._share = share
        self._budget = Budget({Cost.BYTES: MOST_WAITING_BYTES, Cost.PARTS: MOST_INSTANCES}, share)
        self._wanting: dict[str, list[_Waiting]] = {}  # by the value that is missing
        self._in_vain: set[str] = set()  # values of instances that were refused already
        self._values: dict[str, _Value] = {}
        self._uses: Counter[str] = Counter()  # of a value, by instances that are yet to be made

    async def events(self, parts: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """The message as if each instance had been a part of it.

        Args:
            parts: Events of the message as it came.
        """
        begun: PartBegins | None = None
        content = bytearray()
        async for event in parts:
            if isinstance(event, PartBegins):
                begun = event
            elif isinstance(event, PartEnds):
                if begun is not None:
                    async for one in self._take(begun, content):
                        yield one
                begun = None
            elif begun is not None:
                most = MOST_METADATA_BYTES if begun.media_type in TYPES else self._budget.left(Cost.BYTES)
                try:
                    if len(content) + len(event) > most:
                        raise PartTooLarge
                    self._share.take(len(event))
                    content += event
                except (PartTooLarge, RoomTaken) as fault:
                    begun = None
                    self._dropped(content)
                    self.refused.append(self._kinds.one(fault))
        left = {id(one): one for waiting in self._wanting.values() for one in waiting}
        for waiting in left.values():
            self.refused.append(_outcome(waiting.draft, _FAULTS[BulkMissing.slug]))

    def _dropped(self, content: bytearray) -> None:
        """A part on its way holds its bytes no longer; what is kept of it is spent anew."""
        self._share.give_back(len(content))
        content.clear()

    async def _take(self, begun: PartBegins, content: bytearray) -> AsyncIterator[Event]:
        whole = bytes(content)
        try:
            if begun.media_type in TYPES:
                try:
                    drafts = await self._read(whole, begun.media_type == XML)
                finally:
                    self._dropped(content)  # not before: it is held as long as it is read
                self._budget.spend(Cost.PARTS, len(drafts))
                for number, draft in enumerate(drafts, 1):
                    for event in self._put(draft):
                        yield event
                    if number % _AT_ONCE == 0:
                        await asyncio.sleep(0)  # others wait no longer for thousands of instances than for a few
            else:
                self._dropped(content)
                for event in self._arrived(begun, whole):
                    yield event
        except TrothError as fault:
            self.refused.append(self._kinds.one(fault))

    def _put(self, draft: Draft) -> Iterator[Event]:
        uris = draft.uris
        if draft.fault or not (draft.sop_class and draft.instance_uid):  # nobody need read what has no name
            self.refused.append(_outcome(draft, _FAULTS.get(draft.fault, _FAULTS[dicom.Malformed.slug])))
            with suppress(OverBudget, RoomTaken):
                self._budget.spend(Cost.BYTES, draft.held_bytes)
                self._in_vain |= uris
            return
        missing = uris - self._values.keys()
        if not missing:
            yield from self._made(draft)
            return
        try:
            self._budget.spend(Cost.BYTES, draft.held_bytes)
        except (OverBudget, RoomTaken) as fault:  # of this one alone: others of the same part may find room
            self.refused.append(_outcome(draft, self._kinds.one(fault)))
            return
        waiting = _Waiting(draft, uris, len(missing))
        self._uses.update(uris)
        for uri in missing:
            self._wanting.setdefault(uri, []).append(waiting)

    def _arrived(self, begun: PartBegins, content: bytes) -> Iterator[Event]:
        named = begun.parameters.get("transfer-syntax", "")
        if begun.media_type in _OCTETS:
            syntax = named or _EXPLICIT_LITTLE
        elif begun.media_type in _SYNTAXES:
            syntax = named or _SYNTAXES[begun.media_type]
        else:
            raise MediaTypeUnknown
        if begun.location not in self._wanting:
            if begun.location in self._in_vain:
                return
            raise BulkUnasked
        self._budget.spend(Cost.BYTES, len(content))
        self._values[begun.location] = _Value(syntax, content)
        for waiting in self._wanting.pop(begun.location):
            waiting.missing -= 1
            if not waiting.missing:
                yield from self._made(waiting.draft)
                self._let_go(waiting)

    def _made(self, draft: Draft) -> Iterator[Event]:
        """An instance as a file, as it would have come by itself."""
        try:
            used = [self._values[uri] for uri in draft.uris]
            syntaxes = {one.syntax for one in used if one.syntax not in (_EXPLICIT_LITTLE, "1.2.840.10008.1.2")}
            if len(syntaxes) > 1:
                raise dicom.Malformed("The values of an instance are in several transfer syntaxes")
            syntax = syntaxes.pop() if syntaxes else _EXPLICIT_LITTLE
            encoded = draft.written(self._bulk)
        except TrothError as fault:
            self.refused.append(_outcome(draft, self._kinds.one(fault)))
            return
        yield PartBegins(DICOM)
        yield memoryview(dicom.part10(draft.sop_class, draft.instance_uid, syntax) + encoded)
        yield PartEnds()

    def _bulk(self, uri: str) -> bytes | list[bytes]:
        value = self._values[uri]
        return value.content if value.syntax in (_EXPLICIT_LITTLE, "1.2.840.10008.1.2") else [value.content]

    def _let_go(self, waiting: _Waiting) -> None:
        """Forget the values that nothing waits with: what several instances share stays until the last is whole."""
        self._budget.give_back(Cost.BYTES, waiting.draft.held_bytes)
        for uri in waiting.uris:
            self._uses[uri] -= 1
            if not self._uses[uri]:
                del self._uses[uri]
                self._budget.give_back(Cost.BYTES, len(self._values.pop(uri).content))


def _outcome(draft: Draft, fault: TrothError) -> Refused:
    """The answer for an instance that could not be put together; for one without a name, the fault alone."""
    if not draft.instance_uid or not draft.sop_class:
        return fault
    return Outcome(
        draft.instance_uid, draft.sop_class, draft.study_uid, draft.series_uid, "refused", fault.dimse_status, fault
    )
