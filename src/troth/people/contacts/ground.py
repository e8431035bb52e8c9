"""What the parts of `Contacts` stand on: keys, seals, the notices in force, the ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from troth import policy
from troth.kit.db import Connection, Database, Row
from troth.ledger import Ledger
from troth.notice import Notice, Notices
from troth.people.contacts.model import ContactRecord
from troth.people.model import Organisation
from troth.people.service import People
from troth.people.sources_store import FOUND_BY
from troth.policy import NOTHING, Actor, Clear, Permit, refs
from troth.vault import KeyDestroyed, KeyRef, Keyring

ACTION: Final = "bring_people"
WORKER: Final = Actor("system", None, None, "worker", name="Troth", organisation="Troth")


class Ground:
    """The common ground.

    Args:
        db: Opened as `troth_app`.
        keyring: Seals what is known of a contact under a key of the contact's own.
        ledger: Where what happens is written.
        notices: Which sources there are, and how long records stay.
        people: Knows organisations.
    """

    def __init__(self, db: Database, keyring: Keyring, ledger: Ledger, notices: Notices, people: People) -> None:
        self._db = db
        self._keyring = keyring
        self._ledger = ledger
        self._notices = notices
        self._people = people

    async def notices(self) -> list[Notice]:
        """The notices in force."""
        return [version.notice for version in await self._notices.current()]

    def seal_email(self, key: KeyRef, tenant: UUID, contact_id: UUID, email: str) -> bytes:
        """The address of a contact, sealed under the contact's key."""
        return self._keyring.seal(key, email.encode(), _context(tenant, contact_id))

    def seal_told(self, key: KeyRef, tenant: UUID, source_id: UUID, told: Mapping[str, Any]) -> bytes:
        """What a source told, sealed under the key of that record."""
        return self._keyring.seal(key, json.dumps(told, ensure_ascii=False).encode(), _context(tenant, source_id))

    def record(self, row: Row) -> ContactRecord | None:
        """A record out of a row of contact and source; None when it was disposed of meanwhile."""
        try:
            email = self._keyring.unseal(KeyRef(row["key"]), row["sealed"], _context(row["tenant"], row["id"])).decode()
            context = _context(row["tenant"], row["source_id"])
            told = json.loads(self._keyring.unseal(KeyRef(row["source_key"]), row["source_sealed"], context))
        except KeyDestroyed:
            return None
        words = (
            "source", "origin", "clause", "activity", "way", "anchor_on", "obtained_at", "ended_at", "tell_by",
            "told_at", "linked_at", "contact_id",
        )  # fmt: skip
        return ContactRecord(
            id=row["source_id"],
            email=email,
            told=dict(told["told"]),
            supplier=str(told["supplier"]),
            line=int(told["line"]),
            **{word: row[word] for word in words},
        )

    async def note(
        self,
        connection: Connection,
        kind: str,
        permit: Permit,
        organisation: Organisation,
        told: Mapping[str, Any],
        counts: Mapping[str, int],
        key: KeyRef | None = None,
        clear: Clear = NOTHING,
    ) -> None:
        """Write an act into the ledger, in the transaction that does it."""
        payload = {"organisation": organisation.name, **told}
        entry = policy.entry(permit, kind, key=key or organisation.key, payload=payload, counts=counts, clear=clear)
        await self._ledger.append(connection, entry)

    async def note_linked(
        self, connection: Connection, organisation: Organisation, account_id: UUID, source: str
    ) -> None:
        """Write down that an account was linked with a list that its employer gave."""
        told = {"account": str(account_id), "source": source, "concluded_from": "the same e-mail address"}
        entry = policy.act(
            WORKER, "people:staff:linked", "administration", key=organisation.key, payload=told, space=organisation,
            clear=Clear(refs=refs(account=account_id)),
        )  # fmt: skip
        await self._ledger.append(connection, entry)

    async def _new_keys(self, parents: Iterable[KeyRef | None]) -> list[KeyRef]:
        return await asyncio.to_thread(self._keyring.create_many, list(parents))

    async def _destroy(self, keys: Iterable[KeyRef]) -> None:
        found = list(keys)
        if found:
            await asyncio.to_thread(self._keyring.destroy, found)


def token_of(keyring: Keyring, organisation: Organisation, email: str) -> int:
    """By what a contact of an organisation is found: a keyed token of the address."""
    return keyring.token(organisation.key, FOUND_BY, email)


def _context(tenant: UUID, part_id: UUID) -> bytes:
    return b"contact:" + tenant.bytes + part_id.bytes
