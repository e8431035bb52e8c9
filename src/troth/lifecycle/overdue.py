"""What stands past its day: counted for each rule of retention under which something is disposed of here.

A legal hold on the organisation keeps all that it covers. Restrictions and holds on patients cover none of this: it is
of contacts and of members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from troth.kit import clock
from troth.kit.db import Connection, Database
from troth.lifecycle.service import Lifecycle
from troth.lifecycle.unused import rule_of
from troth.notice import Notice, Notices, Retention
from troth.people import WORKER, Choices, Contacts, Organisation, People

_DECIDED: Final = timedelta(days=1)
"""For how long an account may wait for the next look after a person left it open."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """What one rule of retention is about, and what of it stands past its day, in all organisations.

    Attributes:
        clause: The clause of the rule.
        activity: Under which it was taken in; empty for accounts that nobody uses.
        held: How much there is.
        past: What of it stands past its day, and nothing keeps it.
        is_whole: Nothing else that we hold is under this rule.
    """

    clause: str
    activity: str
    held: int = 0
    past: int = 0
    is_whole: bool = True


class Overdues:
    """Counts in every organisation; opens nothing.

    Args:
        db: Opened as `troth_app`.
        people: Knows the organisations.
        contacts: Knows how long each record stays.
        choices: Knows who is not here any more, and what waits for a person.
        notices: State the periods.
        lifecycle: Knows the holds.
    """

    def __init__(
        self, db: Database, people: People, contacts: Contacts, choices: Choices, notices: Notices, lifecycle: Lifecycle
    ) -> None:  # fmt: skip
        self._db = db
        self._people = people
        self._contacts = contacts
        self._choices = choices
        self._notices = notices
        self._lifecycle = lifecycle

    async def found(self) -> list[Overdue]:
        """What is held under each rule, and what of it stands past its day."""
        notices = [version.notice for version in await self._notices.current()]
        held, past = Counter[Overdue](), Counter[Overdue]()
        for rule in _rules(notices, await self._contacts.contract_activities()):
            held[rule] = 0
        for place in await self._people.organisations():
            async with self._db.transaction(place) as connection:
                is_held = await self._is_held(connection, place)
            for each in [*await self._records(place), *await self._accounts(place, notices)]:
                rule = replace(each, held=0, past=0)
                held[rule] += each.held
                past[rule] += 0 if is_held else each.past
        return [replace(rule, held=number, past=past[rule]) for rule, number in held.items()]

    async def _is_held(self, connection: Connection, place: Organisation) -> bool:
        return ("organisation", place.id) in await self._lifecycle.standing(connection)

    async def _records(self, place: Organisation) -> list[Overdue]:
        return [
            Overdue(each.clause, each.activity, each.held - each.running, each.past, each.is_under_contract)
            for each in await self._contacts.counted(place)
            if each.clause
        ]

    async def _accounts(self, place: Organisation, notices: Sequence[Notice]) -> list[Overdue]:
        """Accounts that nobody used till their day and that nothing put before a person."""
        rule = rule_of(notices)
        if rule is None:
            return []
        today, lately = clock.today(), clock.now() - _DECIDED
        unused = await self._choices.unused_accounts(replace(WORKER, tenant=place.id), clock.now())
        past = [
            each
            for each in unused
            if rule.dispose_on(each.last_at.date()) < today
            and each.proposal_id is None
            and (each.decided_at is None or each.decided_at < lately)
        ]
        return [Overdue(rule.id, "", len(unused), len(past))]


def _rules(notices: Sequence[Notice], contracts: Collection[str]) -> list[Overdue]:
    """The rules under which nothing is held that is not counted here."""
    found = [
        Overdue(rule.id, purpose.key)
        for notice in notices
        for purpose in notice.all("purpose")
        if purpose.key in contracts
        for key in getattr(purpose, "retention", ())
        if isinstance(rule := notice.find("retention", key), Retention)
    ]
    unused = rule_of(notices)
    return [*found, *([Overdue(unused.id, "")] if unused is not None else [])]
