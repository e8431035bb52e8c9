"""What of quarantine a legal hold keeps: what erasing the thing that is held would take along.

A hold on a study keeps what bears its UID. One on a subject keeps what claims an identifier of theirs, and what bears
the UID of a study of theirs; those that are merged with them are meant, too. One on an organisation keeps all of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from troth.archive import intake
from troth.archive.keys import OrganisationKeys
from troth.archive.model import Row
from troth.archive.quarantine import store
from troth.kit.db import Connection
from troth.ledger import Ledger
from troth.people import People
from troth.vault import Keyring

Holds = Callable[[Connection], Awaitable[Sequence[tuple[str, UUID]]]]
"""What legal holds in force are on, in the organisation of a transaction: `study`, `subject` or `organisation`; and
our id of it."""


@dataclass(frozen=True, slots=True)
class Spared:
    """What may not be destroyed.

    Attributes:
        is_all: Everything of the organisation.
        tokens: What claims these identifiers.
        study_uids: What bears these numbers.
    """

    is_all: bool = False
    tokens: frozenset[int] = frozenset()
    study_uids: frozenset[str] = frozenset()

    def covers(self, row: Row) -> bool:
        """Whether it keeps one that is kept apart."""
        return self.covers_study(row["study_uid"]) or row["patient_key_token"] in self.tokens

    def covers_study(self, study_uid: str) -> bool:
        """Whether it keeps a study that is held."""
        return self.is_all or study_uid in self.study_uids


class Sparing:
    """Asks for legal holds; the room that knows of them lies above this one and gives itself by `heed`.

    Args:
        keyring: Makes the tokens of identifiers.
        people: Knows identifiers and merges.
        ledger: Knows what the rows of holds and merges must be.
        keys: Keys of organisations.
    """

    def __init__(self, keyring: Keyring, people: People, ledger: Ledger, keys: OrganisationKeys) -> None:
        self._keyring = keyring
        self._people = people
        self._ledger = ledger
        self._keys = keys
        self._holds: list[Holds] = []

    def heed(self, holds: Holds) -> None:
        """Destroy nothing any more that these keep."""
        self._holds.append(holds)

    async def spared(self, connection: Connection, tenant: UUID) -> Spared:
        """What may not be destroyed now.

        Args:
            connection: A transaction in the organisation's scope.
            tenant: The organisation.
        """
        held = [one for holds in self._holds for one in await holds(connection)]
        if not held:
            return Spared()
        by_scope = {scope: [found for kind, found in held if kind == scope] for scope, _ in held}
        subject_ids = by_scope.get("subject", [])
        key = await self._keys.of(tenant)
        tokens: set[int] = set()
        for subject_id in subject_ids:
            for each in await self._people.kin_at(connection, subject_id):
                tokens.add(intake.patient_token(self._keyring, key, each.patient))
        rows = await store.studies_held(connection, tenant, by_scope.get("study", []), subject_ids)
        for row in rows:
            if row["is_of_subject"]:
                found = (row["patient_key_token"], row["corrected_key_token"])
                tokens.update(token for token in found if token is not None)
        return Spared(
            is_all="organisation" in by_scope,
            tokens=frozenset(tokens),
            study_uids=frozenset(row["study_uid"] for row in rows),
        )

    async def surely_spared(self, connection: Connection, tenant: UUID) -> Spared:
        """The same before something is destroyed: holds and merges are what the ledger says, or nothing is.

        Args:
            connection: The transaction that destroys, in the organisation's scope.
            tenant: The organisation.

        Raises:
            RowsAltered: They are not.
        """
        await self._ledger.require_whole(connection, "legal_hold", "subject_merge")
        return await self.spared(connection, tenant)
