"""The clear part of an entry beyond its columns: whatever looks over all that happened have to see without a key.

Closed vocabularies only: our random ids, slugs of the notice or of a closed list, clocks. **Never** an age band, a day
that follows from a birth date (so no day of disposal: it goes into the payload), a diagnosis, a name, free text. The
key and the state of a consent may stand here, because who chose is named only by what dies with their audit key.

Stored and committed as JSON, empty parts left out::

    {"refs":   [["request", "<uuid>"], …],          things of ours that are meant, in the order given
     "says":   {"right": "access", "state": "given"},
     "dates":  {"due": "2026-12-30", "until": "2026-12-01T10:00:00Z"},
     "people": ["<uuid>", …],                        accounts of further people who acted, such as a second signature
     "binds":  [["legal_hold", "<row>", 2, "<tag, hex, or null>"], …]}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from troth.ledger.errors import EntryRefused

REFS = frozenset(
    {
        "account", "admission", "assignment", "backup", "batch", "breach", "choice", "contact", "contract", "copy",
        "correction", "disclosure", "disposal", "document", "entry", "factor", "gate", "guardian", "hold",
        "instruction", "instrument", "invitation", "list", "member", "merge", "message", "node", "order",
        "organisation", "peer", "proposal", "recipient", "request", "restriction", "review", "rule", "run", "session",
        "share", "source", "study", "subject", "token", "version",
    }
)  # fmt: skip
"""What an entry may refer to; each by our random id."""

SAYS = frozenset(
    {
        "accepts", "activity", "audience", "basis", "before", "capacity", "category", "channel", "clause",
        "contract_key", "country",
        "destination", "document", "door", "edition", "ground", "headers", "key", "kind", "level", "link", "listeners",
        "notice", "origin", "proof", "program", "purpose", "reason", "region", "register", "right", "role", "root",
        "schema", "scope", "sha256", "source", "stands_under", "state", "surfaces", "way",
    }
)  # fmt: skip
"""What an entry may say in one word: a slug of the notice, or of a closed list of ours."""

DATES = frozenset(
    {
        "acknowledge_by", "answered_at", "due", "effective_on", "ends_on", "posted_on", "received_at", "review_on",
        "told_by", "until", "valid_from", "valid_until",
    }
)  # fmt: skip
"""Clocks. Not the day on which something of a person is disposed of: with the terms for children it tells their age.
The `due` of a contact is none of those: no birth date goes into it."""

PARTS = ("refs", "says", "dates", "people", "binds")

_VALUE = re.compile(r"[A-Za-z0-9_.:/#+-]{1,128}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST = 64


class Bind(NamedTuple):
    """The state that a row of a bound register has from this entry on.

    Attributes:
        register: Name of the register: its table.
        row: Its key there.
        turn: How often the row was changed.
        tag: Keyed digest of its bound columns; None where it is no more.
    """

    register: str
    row: str
    turn: int
    tag: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """What an entry says in the clear.

    Attributes:
        refs: Noun (of `REFS`) and id of what is meant; see `refs`.
        says: Words by their names (`SAYS`).
        dates: Days, or moments with their zone, by their names (`DATES`).
        people: Accounts of further people who acted.
        binds: The rows that the act changed.

    Raises:
        EntryRefused: A name is in no vocabulary, or a value could be free text.
    """

    refs: tuple[tuple[str, UUID], ...] = ()
    says: Mapping[str, str] = field(default_factory=lambda: _NO_WORDS)
    dates: Mapping[str, date] = field(default_factory=lambda: _NO_DATES)
    people: tuple[UUID, ...] = ()
    binds: tuple[Bind, ...] = ()

    def __post_init__(self) -> None:
        for noun, _ in self.refs:
            if noun not in REFS:
                raise EntryRefused(f"the ledger refers to no {noun[:64]!r}", hint="Add it to troth/ledger/clear.py.")
        for name, word in self.says.items():
            if name not in SAYS or not _VALUE.fullmatch(word):
                raise EntryRefused(f"{name[:64]} says no short word without blanks, or is in no vocabulary")
        for name, moment in self.dates.items():
            if name not in DATES or (isinstance(moment, datetime) and moment.tzinfo is None):
                raise EntryRefused(f"{name[:64]} is no clock of the ledger, or has no zone")
        for bind in self.binds:
            if not _NAME.fullmatch(bind.register) or not _VALUE.fullmatch(bind.row) or bind.turn < 0:
                raise EntryRefused("a bound row has a register, a key and a turn")
        if max(len(self.refs), len(self.people), len(self.binds)) > _MOST:
            raise EntryRefused(f"at most {_MOST} refs, people and bound rows")

    def ref(self, noun: str) -> UUID | None:
        """The id of the first thing of a kind that is meant."""
        return next((each for name, each in self.refs if name == noun), None)

    @property
    def more(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        found: dict[str, Any] = {}
        if self.refs:
            found["refs"] = [[noun, str(each)] for noun, each in self.refs]
        if self.says:
            found["says"] = dict(self.says)
        if self.dates:
            found["dates"] = {name: _text(moment) for name, moment in self.dates.items()}
        if self.people:
            found["people"] = [str(each) for each in self.people]
        if self.binds:
            found["binds"] = [
                [bind.register, bind.row, bind.turn, None if bind.tag is None else bind.tag.hex()]
                for bind in self.binds
            ]
        return found

    @classmethod
    def read(cls, more: Mapping[str, Any] | None) -> Clear:
        """From JSON, as it stands in a row or a leaf.

        Raises:
            EntryRefused: It is not of this form.
        """
        if not more:
            return NOTHING
        try:
            return cls(
                refs=tuple((noun, UUID(each)) for noun, each in more.get("refs", ())),
                says=more.get("says", _NO_WORDS),
                dates={name: _moment(text) for name, text in more.get("dates", {}).items()},
                people=tuple(map(UUID, more.get("people", ()))),
                binds=tuple(
                    Bind(register, row, turn, None if tag is None else bytes.fromhex(tag))
                    for register, row, turn, tag in more.get("binds", ())
                ),
            )
        except (AttributeError, TypeError, ValueError) as fault:
            raise EntryRefused("the clear part of an entry cannot be read") from fault


def refs(**named: UUID | None) -> tuple[tuple[str, UUID], ...]:
    """References by their nouns; those that are None are left out."""
    return tuple((noun, each) for noun, each in named.items() if each is not None)


def _text(moment: date) -> str:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return moment.isoformat()


def _moment(text: str) -> date:
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


_NO_WORDS: Mapping[str, str] = MappingProxyType({})
_NO_DATES: Mapping[str, date] = MappingProxyType({})

NOTHING = Clear()
