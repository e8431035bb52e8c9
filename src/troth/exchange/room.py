"""What the parts of the room stand on: spaces, keys, notices in force, entries of the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from troth import policy
from troth.archive import Archive
from troth.exchange import store
from troth.exchange.documents import Documents
from troth.exchange.errors import WrongPermit
from troth.exchange.model import PLATFORM
from troth.kit import clock
from troth.kit.db import Connection, Database, Row, Space
from troth.kit.mail import Mail
from troth.ledger import Ledger
from troth.notice import Notice, Notices
from troth.people import Peer, People
from troth.policy import NOTHING, Clear, Facts, Permit, belief
from troth.vault import KeyRef, Keyring, Packs

Send = Callable[[Sequence[bytes], Peer], Awaitable[Sequence[int]]]
"""Sends Part 10 files to a peer and gives the status of each C-STORE (DICOM PS3.4 B.2.3); -1 for no answer."""


class Room:
    """The common ground; `Exchange` joins the parts.

    Args:
        db: Opened as `troth_app`.
        keyring: Of the deployment.
        packs: Where documents lie.
        ledger: Where what happens is written.
        mail: The mail transport.
        notices: The notices in force.
        people: Organisations, subjects, peers.
        archive: Studies.
        facts: Facts of the decision, for consents.
        send: The door by which studies leave.
    """

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        packs: Packs,
        ledger: Ledger,
        mail: Mail,
        notices: Notices,
        people: People,
        archive: Archive,
        facts: Facts,
        send: Send,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._ledger = ledger
        self._mail = mail
        self._notices = notices
        self._people = people
        self._archive = archive
        self._facts = facts
        self._send = send
        self._documents = Documents(keyring, packs)

    def _space(self, permit: Permit, *actions: str) -> Space:
        """The space of the registers that a permit is for: an organisation's, or the platform's.

        Raises:
            WrongPermit: It is for something else, or too old.
        """
        if permit.action not in actions or permit.expires_at <= clock.now():
            raise WrongPermit
        return Space(self._tenant(permit) or PLATFORM)

    def _tenant(self, permit: Permit) -> UUID | None:
        """Whose registers a permit is for; None for the platform's, wherever whoever keeps them stands."""
        return None if permit.target.kind == "platform" else permit.tenant

    async def _key(self, tenant: UUID | None) -> KeyRef | None:
        """Key of an organisation; None on the platform."""
        if tenant is None or tenant == PLATFORM:
            return None
        return (await self._people.organisation(tenant)).key

    async def _recipient(self, connection: Connection, key: str) -> Row | None:
        """The recipient of a key that is not ended, as it was bound."""
        return self._believed("exchange_recipient", await store.recipient_by_key(connection, key))

    async def _order(self, connection: Connection, order_id: UUID | None) -> Row | None:
        """A legal order, as it was bound; none where none is meant."""
        return self._believed("exchange_order", await store.order(connection, order_id)) if order_id else None

    def _believed(self, register: str, row: Row | None) -> Row | None:
        """A row of a register, or none where it is not what was bound: the facts of the decision have told of it."""
        return row if row is not None and belief.doubted(self._keyring, register, row) is None else None

    async def _in_force(self) -> tuple[Notice, ...]:
        """All notices in force today, each in its latest version."""
        found: dict[str, Notice] = {}
        for version in await self._notices.versions():
            notice = version.notice
            if notice.head.effective_on <= clock.today():
                found.setdefault(notice.name, notice)
        return tuple(found.values())

    def _opened(self, row: Row, name: str, key: KeyRef) -> str:
        """A sealed field of a row."""
        return self._keyring.unseal(key, bytes(row[name]), _context(row["id"], name)).decode()

    def _sealed(self, row_id: UUID, name: str, key: KeyRef, words: str) -> bytes:
        return self._keyring.seal(key, words.encode(), _context(row_id, name))

    async def _note(
        self,
        connection: Connection,
        kind: str,
        permit: Permit,
        *,
        key: KeyRef | None,
        subject_id: UUID | None = None,
        study_id: UUID | None = None,
        payload: Mapping[str, Any] | None = None,
        counts: Mapping[str, int] | None = None,
        outcome: str = "done",
        grounds: tuple[str, ...] = (),
        clear: Clear = NOTHING,
        space: Space | None = None,
    ) -> UUID:
        """Write into the ledger, in the transaction that does it.

        Args:
            connection: The transaction.
            kind: Kind of the entry.
            permit: What allowed it.
            key: What seals the payload; without one it is left out.
            subject_id: Whose life it touches.
            study_id: Which study.
            payload: What it says.
            counts: Numbers.
            outcome: How it went.
            grounds: What it rests on besides the permit, such as `contract:<id>`.
            clear: What it says in the clear.
            space: Whose it is, where the permit's own is not the one.
        """
        if space is None and permit.target.kind == "platform":
            space = Space(None)
        return await self._ledger.append(
            connection,
            policy.entry(
                permit,
                kind,
                key=key,
                payload=payload if key is not None else None,
                subject_id=subject_id,
                study_id=study_id,
                outcome=outcome,
                counts=counts,
                grounds=grounds,
                clear=clear,
                space=Space(None) if space is not None and space.tenant == PLATFORM else space,
            ),
        )


def _context(row_id: UUID, name: str) -> bytes:
    return b"exchange:" + name.encode() + b":" + row_id.bytes
