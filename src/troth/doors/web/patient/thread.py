"""The list of who looked, read from the ledger and checked entry by entry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from uuid import UUID

from troth.doors.web import words
from troth.doors.web.looked import Checked, Looked, entry_of
from troth.doors.web.ports import Rooms
from troth.kit.db import Connection
from troth.kit.errors import TrothError
from troth.ledger import Completeness, Event, verify_inclusion
from troth.policy import Actor, Permit

PROVED_AT_ONCE = 25
_PAGE = 100
_NAMING = frozenset({"archive:instances:stored"})
"""What arrived says what kind of scan it is; other entries know its number only."""
_MOST_NAMED = 500
_MOST_PAGES = 50
"""Of one answer: who has more entries than these between two that are shown looks at all of them."""
FOLDED = frozenset({"archive:studies:queried", "archive:instances:stored"})


@dataclass(frozen=True, slots=True)
class Thread:
    """Events about a subject, newest first, and whether the list is all there is.

    Attributes:
        tally: How many entries there are in all by each kind of actor, about the study where one was asked for.
        titles: What the patient calls each study, by our id.
        is_cut: Older ones of the same sort follow.
    """

    events: tuple[Event, ...]
    complete: Completeness
    checked: Mapping[UUID, Checked]
    tally: Mapping[str, int] = field(default_factory=dict)
    titles: Mapping[UUID, str] = field(default_factory=dict)
    is_cut: bool = False


async def read(
    rooms: Rooms,
    permit: Permit,
    subject_id: UUID,
    *,
    study_id: UUID | None = None,
    limit: int = 100,
    before: UUID | None = None,
    with_proofs: bool = True,
    is_shown: Callable[[Event], bool] = lambda event: True,
) -> Thread:
    """Read the list.

    Args:
        rooms: What the platform gives this door.
        permit: `see_log` on the subject.
        subject_id: Whose list.
        study_id: Only what is about this study.
        limit: Most entries.
        before: The last entry of the page before.
        with_proofs: Compute and check the proof of the first entries.
        is_shown: Only such entries; what lies between them is read over.
    """
    events: list[Event] = []
    async with rooms.database.transaction(permit) as connection:
        kin = await rooms.people.kin_of(connection, subject_id)  # of merged identifiers, all lists are one
        for _ in range(_MOST_PAGES):
            if study_id is not None:
                page = await rooms.ledger.of_study(connection, study_id, limit=_PAGE, before=before)
                events += [event for event in page if event.subject_id in kin and is_shown(event)]
            else:
                page = await rooms.ledger.of_subject(connection, *kin, limit=_PAGE, before=before)
                events += [event for event in page if is_shown(event)]
            if len(page) < _PAGE or len(events) > limit:
                break
            before = page[-1].id
        complete = await rooms.ledger.complete_for(connection, *kin)
        named = await rooms.ledger.of_subject(connection, *kin, limit=_MOST_NAMED, kinds=_NAMING)
        tally = await rooms.ledger.tally(connection, *kin, study_id=study_id)
        checked = await _prove(rooms, connection, events[: min(PROVED_AT_ONCE, limit)]) if with_proofs else {}
    return Thread(tuple(events[:limit]), complete, checked, tally, titles_of(named), len(events) > limit)


async def since(
    rooms: Rooms, permit: Permit, subject_id: UUID, moment: datetime, kinds: Collection[str], least: int
) -> tuple[Event, ...]:
    """Every entry of some kinds since a moment, newest first, however much else was written meanwhile.

    Args:
        rooms: What the platform gives this door.
        permit: `see_log` on the subject.
        subject_id: Whose list.
        moment: How far back all of them are read.
        kinds: Of which kinds.
        least: Older ones are among them until there are so many, or no more.
    """
    found: list[Event] = []
    async with rooms.database.transaction(permit) as connection:
        kin = await rooms.people.kin_of(connection, subject_id)
        while True:
            before = found[-1].id if found else None
            page = await rooms.ledger.of_subject(connection, *kin, limit=_PAGE, before=before, kinds=kinds)
            found += page
            if len(page) < _PAGE or (page[-1].at < moment and len(found) >= least):
                return tuple(found)


async def _prove(rooms: Rooms, connection: Connection, events: Sequence[Event]) -> dict[UUID, Checked]:
    """Compute the proof of each entry and check it as a stranger would: with the log's public key alone."""
    found = {}
    for event in events:
        if event.index is None or event.checkpoint_size is None:
            continue
        proof = await rooms.ledger.prove(connection, event.id)
        try:
            verify_inclusion(proof, rooms.ledger.verifier_key)
            held = True
        except TrothError:
            held = False
        leaf_hash = hashlib.sha256(b"\0" + proof.leaf).digest()  # RFC 6962 2.1
        found[event.id] = Checked(proof, leaf_hash, held)
    return found


def titles_of(events: Sequence[Event]) -> dict[UUID, str]:
    """What the patient calls each study that the entries are about, from the sealed part of the entries."""
    titles: dict[UUID, str] = {}
    for event in events:
        told = event.payload or {}
        if event.study_id is not None and event.study_id not in titles and told.get("modalities") is not None:
            named = words.scan(told["modalities"]).lower().replace("ct", "CT").replace("mri", "MRI")
            day = _day(str(told.get("study_date", "")))
            titles[event.study_id] = f"your {named} of {day}" if day else f"your {named}"
    return titles


def _day(text: str) -> str:
    """A study date in words: of an entry of ours (ISO 8601), or as a DICOM file has it (DA); empty for what is none."""
    try:
        return words.day(date.fromisoformat(text))
    except ValueError:
        return ""


def grouped(events: Sequence[Event]) -> list[list[Event]]:
    """Neighbours that differ in nothing but their second are one line, with their number.

    Looks at lists, and the images of a study as they arrive, are drawn together; each opening stands for itself.
    """
    groups: list[list[Event]] = []
    for event in events:
        if groups and event.kind in FOLDED and _sort_of(groups[-1][0]) == _sort_of(event):
            groups[-1].append(event)
        else:
            groups.append([event])
    return groups


def _sort_of(event: Event) -> tuple[object, ...]:
    return (
        event.kind,
        event.actor_id,
        event.study_id,
        event.purpose,
        event.clauses,
        event.outcome,
        words.day(event.at),
    )


def by_day(shown: Sequence[Looked]) -> tuple[tuple[str, tuple[Looked, ...]], ...]:
    """Entries under the day on which each happened, by the reader's clock."""
    return tuple((day, tuple(some)) for day, some in groupby(shown, key=lambda each: words.day(each.at)))


def entries(thread: Thread, reader: Actor, events: Sequence[Event], *, unfold: bool = True) -> tuple[Looked, ...]:
    """Entries for the page; the proof of the first look by somebody else is shown at once.

    Args:
        thread: What was read.
        reader: The person it is about.
        events: Which of the events to show.
        unfold: Show one proof at once.
    """
    titles = {**thread.titles, **titles_of(thread.events)}
    shown = [
        entry_of(group[0], reader, titles, thread.checked.get(group[0].id), alike=group) for group in grouped(events)
    ]
    for place, each in enumerate(shown):
        if unfold and each.checked and each.mark == "done":
            shown[place] = replace(each, is_unfolded=True)
            break
    return tuple(shown)
