"""Answering for a promise that was broken: one person says what happened and what was done, another one agrees.

What happened never becomes untrue, so such a break ends by an answer alone; it stays in the history and in the ledger.
What is so now (a key file that is open, a request that is late) ends by being mended, and takes no answer. A break that
nobody could agree to besides whoever answered stays open, and says so.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from troth import policy
from troth.kit import clock
from troth.kit.db import Connection, Database, Row, Space
from troth.ledger import Ledger
from troth.people import People
from troth.policy import Clear, Permit, refs
from troth.proofs import runs_store
from troth.proofs.errors import (
    AnswerIncomplete,
    BreachLasts,
    BreachNotFound,
    BreachOver,
    SecondAnswerNeeded,
    WordsChanged,
)
from troth.vault import KeyDestroyed, KeyRef, Keyring

ACTION: Final = "publish_notice"
"""Whoever may agree to what a notice says answers for what it said."""
LONGEST_ANSWER: Final = 4000
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Breach:
    """One promise that was found broken.

    Attributes:
        against: How much that happened speaks against it; 0 where it is something that is so now.
        said_by: Who said what happened; None while nobody did.
        happened: What, in the words of that person; empty where nothing is said, or its key is gone.
        done: What was done about it.
        agreed_at: When a second person agreed.
        ended_at: When it was answered, or found mended.
        words: Names what is said now, and nothing said before or after it; empty where nobody said anything.
    """

    id: UUID
    notice: str
    clause: str
    found_at: datetime
    against: int
    said_by: UUID | None
    said_at: datetime | None
    agreed_by: UUID | None
    agreed_at: datetime | None
    ended_at: datetime | None
    happened: str = field(default="", repr=False)
    done: str = field(default="", repr=False)
    words: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the promise counts as broken by it."""
        return self.ended_at is None


class Breaches:
    """The breaks of a platform, and what is said of them.

    Args:
        database: As `troth_app`.
        ledger: Where each answer is written.
        keyring: Seals the words.
        people: Knows the organisation that runs the service, and who let in whom.
    """

    def __init__(self, database: Database, ledger: Ledger, keyring: Keyring, people: People) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._people = people

    async def all(self, permit: Permit) -> list[Breach]:
        """Every break that there ever was, newest first, with the words of the permit's organisation.

        Args:
            permit: For the action `publish_notice`.

        Raises:
            SecondAnswerNeeded: The permit is for something else.
        """
        _require(permit)
        async with self._database.transaction(None) as connection:
            rows = await runs_store.breaches(connection, _EVER)
        return [self._breach(row if _is_ours(row, permit) else {**row, "sealed": None}) for row in reversed(rows)]

    async def waits(self, permit: Permit, officer_id: UUID) -> list[Breach]:
        """Open breaks that wait for a privacy officer, oldest first, without the words.

        What somebody said themselves waits for another, unless more speaks against the promise since.

        Args:
            permit: Of the officer's organisation; for another one than runs the service, nothing waits.
            officer_id: Their account.
        """
        places = await self._people.organisations()
        if not any(each.operates and each.id == permit.tenant for each in places):
            return []
        async with self._database.transaction(None) as connection:
            rows = await runs_store.breaches(connection, clock.now())
        return [
            self._breach({**row, "sealed": None})
            for row in rows
            if row["ended_at"] is None and not (row["said_by"] == officer_id and row["said_against"] == row["against"])
        ]

    async def explain(self, permit: Permit, breach_id: UUID, happened: str, done: str) -> None:
        """Say what happened and what was done; what somebody said before and nobody agreed to gives way.

        Args:
            permit: For the action `publish_notice`.
            breach_id: Which break.
            happened: What happened.
            done: What was done about it, and who was told.

        Raises:
            AnswerIncomplete: Something is missing or too long.
            BreachLasts: It is something that is so now.
            BreachNotFound: There is none, or another organisation answers for it.
            BreachOver: It has ended.
            SecondAnswerNeeded: Nobody in particular says it, or the permit is for something else.
        """
        said_by = _require(permit)
        words = {"happened": happened.strip(), "done": done.strip()}
        if not all(words.values()) or max(map(len, words.values())) > LONGEST_ANSWER:
            raise AnswerIncomplete(hint=f"At most {LONGEST_ANSWER:,} characters each.")
        tenant, key = await self._house(permit)
        sealed = self._keyring.seal(key, json.dumps(words).encode(), _context(breach_id))
        async with self._database.transaction(None) as connection:
            row = await self._open(connection, breach_id, permit)
            if not row["is_event"]:
                raise BreachLasts(hint="Mend it; the next check then ends it by itself.")
            await runs_store.explain_breach(
                connection,
                {
                    "id": breach_id, "tenant": tenant, "by": said_by, "at": clock.now(), "against": row["against"],
                    "key": key, "sealed": sealed,
                },
            )  # fmt: skip
            await self._tell(connection, permit, "proofs:breach:explained", row, key, words)

    async def give_back(self, permit: Permit, breach_id: UUID, words: str) -> None:
        """Not agree to what was said, or take one's own words back: the break waits for other words.

        Args:
            permit: For the action `publish_notice`.
            breach_id: Which break.
            words: `Breach.words` of what was read.

        Raises:
            BreachNotFound: There is none, or another organisation answers for it.
            BreachOver: It has ended, or nothing is said of it.
            SecondAnswerNeeded: The permit is for something else.
            WordsChanged: Other words stand there by now.
        """
        _require(permit)
        async with self._database.transaction(None) as connection:
            row = await self._open(connection, breach_id, permit)
            if row["said_by"] is None:
                raise BreachOver(hint="Nobody has said anything of it.")
            _require_words(row, words)
            await runs_store.unsay_breach(connection, breach_id)
            await self._tell(connection, permit, "proofs:breach:returned", row, KeyRef(row["key_ref"]))

    async def agree(self, permit: Permit, breach_id: UUID, words: str) -> None:
        """Agree as the second person: the break is answered for as much as was said of it.

        Args:
            permit: For the action `publish_notice`, of another person than who said it.
            breach_id: Which break.
            words: `Breach.words` of what was read: nobody agrees to words that they never saw.

        Raises:
            BreachNotFound: There is none, or another organisation answers for it.
            BreachOver: It has ended, nothing is said of it, or more speaks against the promise since.
            SecondAnswerNeeded: The same person, or one of whom the other is not independent.
            WordsChanged: Other words stand there by now.
        """
        second = _require(permit)
        async with self._database.transaction(None) as connection:
            row = await self._open(connection, breach_id, permit)
            if row["said_by"] is None or row["said_against"] != row["against"] or not row["is_event"]:
                raise BreachOver(hint="Say what happened of all that speaks against it now.")
            _require_words(row, words)
            if not await self._are_two(permit, row["said_by"], second):
                raise SecondAnswerNeeded(hint="It has to be somebody whom the other did not let in, nor one for both.")
            await runs_store.answer_breach(connection, breach_id, second, clock.now())
            people = (row["said_by"], second)
            await self._tell(connection, permit, "proofs:breach:answered", row, KeyRef(row["key_ref"]), people=people)

    async def is_alone(self, permit: Permit, breach: Breach) -> bool:
        """Whether nobody of the organisation's privacy office could agree to what was said.

        Args:
            permit: To see the people of the organisation.
            breach: Of which something is said.
        """
        if breach.said_by is None or permit.tenant is None:
            return False
        offices = [each.id for each in await self._people.users(permit) if each.role == "office" and each.is_active]
        return not await self._people.independents(permit.tenant, breach.said_by, offices)

    async def _are_two(self, permit: Permit, one: UUID, other: UUID) -> bool:
        if one == other:
            return False
        return permit.actor.tenant is None or await self._people.are_independent(permit.actor.tenant, one, other)

    async def _open(self, connection: Connection, breach_id: UUID, permit: Permit) -> Row:
        """One that has not ended, and for which the permit's organisation may answer."""
        row = await runs_store.breach(connection, breach_id)
        if row is None or not _is_ours(row, permit):
            raise BreachNotFound
        if row["ended_at"] is not None:
            raise BreachOver
        return row

    async def _house(self, permit: Permit) -> tuple[UUID, KeyRef]:
        """The organisation in whose name it is said: one's own; at the command line the one that runs the service."""
        places = await self._people.organisations()
        for place in places:
            if place.id == permit.actor.tenant or (permit.actor.tenant is None and place.operates):
                return place.id, place.key
        return places[0].id, places[0].key

    async def _tell(
        self,
        connection: Connection,
        permit: Permit,
        kind: str,
        row: Row,
        key: KeyRef,
        words: dict[str, str] | None = None,
        people: tuple[UUID, ...] = (),
    ) -> None:
        entry = policy.entry(
            permit, kind, key=key, payload=words or {}, space=Space(None), counts={"against": row["against"]},
            clear=Clear(refs=refs(breach=row["id"]), says={"clause": row["clause"]}, people=people),
        )  # fmt: skip
        await self._ledger.append(connection, entry)

    def _breach(self, row: Row) -> Breach:
        words: dict[str, str] = {}
        if row["sealed"] is not None:
            try:
                words = json.loads(self._keyring.unseal(KeyRef(row["key_ref"]), row["sealed"], _context(row["id"])))
            except KeyDestroyed:
                words = {}  # the organisation has gone, and what it said with it
        names = (
            "id", "notice", "clause", "found_at", "against", "said_by", "said_at", "agreed_by", "agreed_at", "ended_at",
        )  # fmt: skip
        told = {name: row[name] for name in names}
        return Breach(
            **told, happened=words.get("happened", ""), done=words.get("done", ""), words=_name_of(row["sealed"])
        )


def _require(permit: Permit) -> UUID:
    if permit.action != ACTION or permit.actor.id is None:
        raise SecondAnswerNeeded
    return permit.actor.id


def _is_ours(row: Row, permit: Permit) -> bool:
    """Whether nobody has said anything of it yet, or somebody of the permit's organisation; the platform asks for all.

    Who let in whom is only known of the people of one organisation, so nobody of another is a second person.
    """
    return permit.actor.tenant is None or row["tenant_of"] in (None, permit.actor.tenant)


def _name_of(sealed: bytes | None) -> str:
    """The first half of the SHA-256 of what is kept: sealing the same words twice gives two names."""
    return hashlib.sha256(sealed).hexdigest()[:32] if sealed is not None else ""


def _require_words(row: Row, words: str) -> None:
    """Refuse an answer to other words than those in the row, which the transaction holds."""
    if words != _name_of(row["sealed"]):
        raise WordsChanged


def _context(breach_id: UUID) -> bytes:
    return b"breach:" + breach_id.bytes
