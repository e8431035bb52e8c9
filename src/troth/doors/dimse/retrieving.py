"""What C-MOVE and C-GET share: which instances are meant, and their C-STOREs one by one under a permit that holds.

A study that is not there and one that this peer may not have look the same: no instance of it is sent. What is sent is
what is held, byte for byte, wherever the other side takes its transfer syntax; else the elements are written anew, and
compressed pixels are never unpacked: that instance fails and is named.

Per: DICOM PS3.4 C.4.2, C.4.3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from troth import archive, dicom
from troth.archive import InstanceRecord, Match, Query, Viewing, transcribed
from troth.doors.dimse import command as dimse
from troth.doors.dimse import identifier as identifiers
from troth.doors.dimse import offered
from troth.doors.dimse.command import SubOperations
from troth.doors.dimse.conversation import Asked, Talk
from troth.doors.dimse.errors import IdentifierWrong, NothingThere, PeerGone
from troth.doors.dimse.identifier import FAILED_LIST, PATIENT_ID, UNIQUE_KEYS, Identifier
from troth.kit.errors import Gone, NotFound, TrothError

_MOST_STUDIES = 1_000
_MOST_FAILED_NAMED = 1_000  # a list in explicit VR has room for so many
_WARNINGS = frozenset({0x0001, 0x0107, 0x0116})  # PS3.7 C.4
_SOME_FAILED = 0xB000
_ALL_FAILED = 0xA702
_TOO_MANY = 0xA701


class Shelf(Protocol):
    """Where instances are sent."""

    def place(self, sop_class: str, syntax: str) -> int | None:
        """The presentation context for a class in a transfer syntax."""

    def syntaxes(self, sop_class: str) -> Sequence[str]:
        """The transfer syntaxes that are taken for a class."""

    async def store(self, context_id: int, record: InstanceRecord, dataset: AsyncIterator[bytes]) -> int:
        """Send one instance; its status. Raises `PeerGone` where there is nobody to send to any more."""


@dataclass(slots=True)
class Errand:
    """One study that is sent: its viewing and the instances that were asked for."""

    viewing: Viewing
    records: list[InstanceRecord]


@dataclass(slots=True)
class Progress:
    """How far the sub-operations are."""

    remaining: int
    completed: int = 0
    warning: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def counts(self) -> SubOperations:
        """As a response tells it."""
        return SubOperations(self.remaining, self.completed, len(self.failed), self.warning)


class Retrieval:
    """The sub-operations of one C-MOVE or C-GET."""

    def __init__(self, talk: Talk, asked: Asked, recipient: str = "") -> None:
        self._talk = talk
        self._asked = asked
        self._recipient = recipient
        self.errands: list[Errand] = []
        self.progress = Progress(0)

    async def prepare(self) -> None:
        """Read what is asked for and open each study: the ledger holds it before the first byte leaves.

        Raises:
            IdentifierWrong: It does not say what to send.
            NothingThere: Nothing that was asked for is there, or is for this peer: which of both is not told.
        """
        root = offered.OFFERS[self._asked.context.abstract_syntax].root
        assert root is not None
        identifier = identifiers.parse(self._asked.octets, self._asked.context.syntax, root)
        identifiers.require_hierarchy(identifier)
        _require_unique_keys_only(identifier)
        for study_uid in await self._study_uids(identifier):
            try:
                viewing = await self._talk.gate.viewing(study_uid, recipient=self._recipient)
            except NotFound:
                continue
            errand = Errand(viewing, [])
            self.errands.append(errand)
            errand.records = await _instances(viewing, identifier)
            self.progress.remaining += len(errand.records)
        if not self.progress.remaining:
            raise NothingThere

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """SOP class and transfer syntax of all instances, each once."""
        return sorted({(record.sop_class, record.syntax) for errand in self.errands for record in errand.records})

    async def send_to(self, shelf: Shelf) -> None:
        """Send everything, telling how far it is after each instance, until it ends or is cancelled.

        Raises:
            PeerGone: There is nobody to tell.
        """
        progress = self.progress
        for errand in self.errands:
            for record in errand.records:
                if self._talk.is_cancelled:
                    return
                status = await self._send(shelf, errand.viewing, record)
                progress.remaining -= 1
                if status == dimse.SUCCESS:
                    progress.completed += 1
                elif status in _WARNINGS or 0xB000 <= status < 0xC000:
                    progress.warning += 1
                else:
                    progress.failed.append(record.instance_uid)
                if progress.remaining:
                    await self._talk.respond(self._asked, dimse.PENDING, counts=progress.counts)
            await errand.viewing.close()

    def give_up(self) -> None:
        """Nothing more can be sent: what remains has failed."""
        sent = self.progress.completed + self.progress.warning + len(self.progress.failed)
        records = [record for errand in self.errands for record in errand.records]
        self.progress.failed += [record.instance_uid for record in records[sent:]]
        self.progress.remaining = 0

    async def conclude(self) -> None:
        """Tell how it ended.

        Per: DICOM PS3.4 tables C.4-2 and C.4-3, C.4.2.1.
        """
        progress = self.progress
        if self._talk.is_cancelled and progress.remaining:
            status = dimse.CANCELLED
        elif not progress.failed and not progress.warning:
            status = dimse.SUCCESS
        else:
            status = _SOME_FAILED if progress.completed or progress.warning else _ALL_FAILED
        dataset = None
        if progress.failed:
            named = progress.failed
            if self._asked.context.syntax == offered.EXPLICIT_LITTLE:
                named = named[:_MOST_FAILED_NAMED]
            dataset = identifiers.encode({FAILED_LIST: "\\".join(named)}, self._asked.context.syntax)
        await self._talk.respond(self._asked, status, dataset=dataset, counts=progress.counts)

    async def close(self) -> None:
        """Close every viewing; the ledger then says how much of it was really read."""
        for errand in self.errands:
            await errand.viewing.close()

    async def is_too_much(self) -> bool:
        """Whether more is asked for than one request may be given; the peer was told so."""
        if self.progress.remaining <= self._talk.limits.retrieved:
            return False
        await self._talk.respond(self._asked, _TOO_MANY, "Too many instances for one request; ask for less.")
        return True

    async def _study_uids(self, identifier: Identifier) -> list[str]:
        """The studies that are meant; by the patient's key only those of one person."""
        listed = identifier.uids("STUDY")
        if identifier.root == "study":
            return listed[:_MOST_STUDIES]
        keys = {tag: value for tag, value in identifier.keys.items() if tag in (PATIENT_ID, identifiers.ISSUER)}
        if identifier.level != "PATIENT":
            keys[identifiers.STUDY_UID] = "\\".join(listed)
        matches = tuple(Match(tag, value) for tag, value in keys.items() if value)
        permit = await self._talk.gate.require("query")
        page = await self._talk.rooms.archive.query(permit, Query("study", matches, limit=_MOST_STUDIES))
        if len({found.study.subject_id for found in page.found}) > 1:
            raise IdentifierWrong("PatientID is of several people; name its issuer.", PATIENT_ID)
        return [found.study.study_uid for found in page.found]

    async def _send(self, shelf: Shelf, viewing: Viewing, record: InstanceRecord) -> int:
        syntax = _chosen(shelf, record)
        context_id = shelf.place(record.sop_class, syntax) if syntax else None
        if syntax is None or context_id is None:
            return dimse.UNRECOGNISED_OPERATION
        try:
            return await shelf.store(context_id, record, transcribed(viewing, record, syntax))
        except PeerGone:
            raise
        except (NotFound, Gone):
            return dimse.NOT_AUTHORISED  # restricted, withdrawn or erased a moment ago
        except TrothError as fault:
            return fault.dimse_status or dimse.PROCESSING_FAILURE


def fallbacks(kinds: Sequence[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Presentation contexts to propose: each class in the syntax that is held, then in those it can be written in."""
    proposals: list[tuple[str, list[str]]] = [(sop_class, [syntax]) for sop_class, syntax in kinds]
    for sop_class in sorted({sop_class for sop_class, syntax in kinds if syntax in dicom_natives()}):
        proposals += [
            (sop_class, [syntax])
            for syntax in (offered.EXPLICIT_LITTLE, offered.IMPLICIT_LITTLE)
            if (sop_class, syntax) not in kinds
        ]
    return proposals


def dicom_natives() -> frozenset[str]:
    """Transfer syntaxes from which elements can be written anew."""
    return frozenset({offered.IMPLICIT_LITTLE, offered.EXPLICIT_LITTLE, offered.EXPLICIT_BIG})


def _require_unique_keys_only(identifier: Identifier) -> None:
    """Refuse keys that a retrieval does not have: they would be taken to narrow it, and would not.

    Per: DICOM PS3.4 C.4.2.2.1, C.4.3.1.3.
    """
    allowed = {UNIQUE_KEYS[level] for level in (*identifier.levels_above, identifier.level)} | {identifiers.ISSUER}
    for tag in sorted(identifiers.matching_keys(identifier)):
        if tag not in allowed:
            raise IdentifierWrong(f"{archive.keyword_of(tag)} is no key of a retrieval.", tag)
    tag = UNIQUE_KEYS[identifier.level]
    values = identifier.keys.get(tag, "").split("\\")
    is_pattern = any(not value or "*" in value or "?" in value for value in values)
    if is_pattern or (tag != PATIENT_ID and not all(dicom.is_uid(value) for value in values)):
        raise IdentifierWrong(f"{archive.keyword_of(tag)} does not name what to send.", tag)
    if tag == PATIENT_ID and len(values) > 1:
        raise IdentifierWrong("PatientID must have one value.", tag)


async def _instances(viewing: Viewing, identifier: Identifier) -> list[InstanceRecord]:
    try:
        records = await viewing.instances()
    except NotFound:
        return []
    series, instances = set(identifier.uids("SERIES")), set(identifier.uids("IMAGE"))
    if identifier.level in ("SERIES", "IMAGE"):
        records = [record for record in records if record.series_uid in series]
    if identifier.level == "IMAGE":
        records = [record for record in records if record.instance_uid in instances]
    return records


def _chosen(shelf: Shelf, record: InstanceRecord) -> str | None:
    """The transfer syntax to send in: the one that is held, else one that it can be written in."""
    taken = shelf.syntaxes(record.sop_class)
    if record.syntax in taken:
        return record.syntax
    return next((syntax for syntax in taken if dicom.can_recode(record.syntax, syntax)), None)
