"""The access list of a person, out of the ledger, as it goes into a copy.

Who looked is named, as the notice promises; a colleague whose attempt was refused appears by role only. Of what an
entry holds only fields named here go out, so that nothing about other people can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from troth.kit.db import Connection
from troth.ledger import Completeness, Event, Ledger, Proof

REFUSALS = frozenset({"policy:access:refused", "people:match:failed"})
RECEIVED = frozenset({"archive:study:opened", "archive:study:copied", "rights:copy:collected"})
DISCLOSED = "exchange:disclosure:recorded"
STORED = "archive:instances:stored"
_TOLD = (
    "study_uid", "study_description", "study_date", "modalities", "level", "on", "action", "request", "number", "due",
    "state", "right", "recipient", "recipient_address", "country", "what", "disclosure", "instrument",
)  # fmt: skip
_PAGE = 500


@dataclass(frozen=True, slots=True)
class AccessList:
    """Everything the ledger holds about a subject at one moment, newest first, and what the ledger then was.

    Attributes:
        checkpoint: The signed checkpoint, verbatim; empty before the first.
        log_key: The key to check it with (C2SP signed-note).
        counted: How many entries there are, signed; see `Ledger.counted`.
        proofs: That each entry is in the ledger, by its id; those that wait for their number have none.
    """

    events: tuple[Event, ...]
    completeness: Completeness
    checkpoint: str = ""
    log_key: str = ""
    counted: str = ""
    proofs: Mapping[UUID, Proof] = field(default_factory=dict, repr=False)


async def access_list(ledger: Ledger, connection: Connection, kin: Sequence[UUID]) -> AccessList:
    """Read the whole list; of merged subjects, the lists of all.

    Args:
        ledger: The ledger.
        connection: A transaction that sees one moment only.
        kin: Whose list; of merged subjects the surviving one first.
    """
    events: list[Event] = []
    before: UUID | None = None
    while page := await ledger.of_subject(connection, *kin, limit=_PAGE, before=before):
        events += page
        before = page[-1].id
    complete = await ledger.complete_for(connection, *kin)
    signed = await ledger.checkpoint(connection)
    if signed is None:
        return AccessList(tuple(events), complete)
    proofs = await ledger.prove_all(connection, [event.id for event in events])
    counted = ledger.counted(complete, signed)
    return AccessList(tuple(events), complete, signed.note, ledger.verifier_key, counted, proofs)


def is_refused(event: Event) -> bool:
    """Whether it is an attempt that was refused."""
    return event.outcome == "refused" or event.kind in REFUSALS


def who(event: Event) -> dict[str, str]:
    """Who acted: by name, role and organisation; by role and organisation where the attempt was refused."""
    told = event.payload or {}
    person = {"kind": event.actor_kind, "role": event.role, "organisation": str(told.get("organisation", ""))}
    if not is_refused(event) and told.get("actor"):
        person["name"] = str(told["actor"])
    return person


def may_be_told(event: Event) -> frozenset[str]:
    """Names of the values of an entry that go out: those that are named here, and who acted, as `who` says."""
    return frozenset({*_TOLD, "organisation", *(() if is_refused(event) else ("actor",))})


def listed(access: AccessList) -> dict[str, Any]:
    """The whole list as JSON: every entry with its numbers, and whether the list is all there is."""
    completeness = access.completeness
    return {
        "format": "troth access list 1",
        "completeness": {
            "is_complete": completeness.is_complete and completeness.shown == len(access.events),
            "shown": len(access.events),
            "held": completeness.held,
            "not_numbered_yet": completeness.pending,
            "last_leaf_sha256": completeness.head.hex() if completeness.head else None,
            "lists": [
                {"list": str(part.subject_id), "held": part.held, "last_leaf_sha256": part.head.hex()}
                for part in completeness.parts
                if part.head
            ],
        },
        "ledger": {"checkpoint": access.checkpoint, "key": access.log_key} if access.checkpoint else None,
        "entries": [_entry(event) for event in access.events],
    }


def _entry(event: Event) -> dict[str, Any]:
    told = event.payload or {}
    return {
        "entry": str(event.id),
        "number_in_ledger": event.index,
        "list": str(event.subject_id),
        "number_in_this_list": event.subject_seq,
        "at": event.at.isoformat(),
        "what": event.sentence,
        "kind": event.kind,
        "outcome": event.outcome,
        "who": who(event),
        "why": event.purpose,
        "clauses": list(event.clauses),
        "study": str(event.study_id) if event.study_id else None,
        "about": {name: told[name] for name in _TOLD if told.get(name)},
        "counts": dict(event.counts),
        "is_readable": not (event.is_shredded or event.is_damaged),
    }


def sources(events: Iterable[Event], study_id: UUID) -> list[dict[str, Any]]:
    """Who brought a study in, when, and how many instances (GDPR Art. 15(1)(g))."""
    return _grouped([event for event in events if event.kind == STORED and event.study_id == study_id])


def recipients(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Who really received something, with how often and when (GDPR Art. 15(1)(c))."""
    held = list(events)
    inside = _grouped([event for event in held if event.kind in RECEIVED and not is_refused(event)])
    return inside + [_outside(event) for event in held if event.kind == DISCLOSED]


def _outside(event: Event) -> dict[str, Any]:
    """One disclosure to somebody outside (45 CFR 164.528(b)(2))."""
    told = event.payload or {}
    return {
        "who": {"kind": "recipient", "name": told.get("recipient", ""), "address": told.get("recipient_address", "")},
        "times": 1,
        "instances": event.counts.get("instances", 0),
        "first": event.at.isoformat(),
        "last": event.at.isoformat(),
        "purposes": [event.purpose],
        "clauses": list(event.clauses),
    }


def _grouped(events: Sequence[Event]) -> list[dict[str, Any]]:
    groups: dict[tuple[tuple[str, str], ...], list[Event]] = {}
    for event in events:
        groups.setdefault(tuple(sorted(who(event).items())), []).append(event)
    return [
        {
            "who": dict(key),
            "times": len(group),
            "instances": sum(event.counts.get("instances", 0) for event in group),
            "first": _earliest(group).isoformat(),
            "last": max(event.at for event in group).isoformat(),
            "purposes": sorted({event.purpose for event in group}),
            "clauses": sorted({clause for event in group for clause in event.clauses}),
        }
        for key, group in groups.items()
    ]


def _earliest(events: Iterable[Event]) -> datetime:
    return min(event.at for event in events)
