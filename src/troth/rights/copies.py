"""Copies that were made: each under a key of its own below the subject's, so that one can end without the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection, Database, Row
from troth.people import Subject
from troth.policy import Permit
from troth.rights import store
from troth.rights.model import Erased
from troth.vault import KeyRef, Keyring, Packs, SealedObject

LIFETIME = timedelta(days=30)


class Room(Protocol):
    """What copies need of the room."""

    database: Database
    keyring: Keyring
    packs: Packs

    async def write(
        self,
        connection: Connection,
        kind: str,
        permit: Permit,
        request_id: UUID,
        subject: Subject | Erased,
        payload: dict[str, Any],
        counts: dict[str, Any],
    ) -> UUID:
        """Write one act to the ledger."""
        ...


class Copies:
    """The sealed copies of the room.

    Args:
        rights: The room.
    """

    def __init__(self, rights: Room) -> None:
        self._rights = rights

    async def of(self, permit: Permit, request_id: UUID) -> Row | None:
        """The copy of a request, or None."""
        async with self._rights.database.transaction(permit) as connection:
            return await store.copy(connection, request_id)

    def key(self, copy: Row) -> bytes:
        """The key of a copy.

        Raises:
            troth.vault.KeyDestroyed: The copy was erased.
        """
        locator = bytes(copy["locator"])
        return self._rights.keyring.unseal(KeyRef(bytes(copy["key_ref"])), bytes(copy["key"]), b"object:" + locator)

    async def keep(
        self, permit: Permit, request_id: UUID, subject: Subject, made: SealedObject, study_ids: Sequence[UUID]
    ) -> None:
        """Keep a copy that is durable; where the request has one already, this one is given back.

        Args:
            permit: Of the step.
            request_id: For which request it was made.
            subject: Whose copy it is.
            made: The copy.
            study_ids: The studies in it.
        """
        rights, now = self._rights, clock.now()
        key_ref = await asyncio.to_thread(rights.keyring.create, subject.key)
        is_kept = False
        try:
            async with rights.database.transaction(permit) as connection:
                is_kept = await store.add_copy(
                    connection,
                    {
                        "tenant": permit.tenant,
                        "request_id": request_id,
                        "studies": list(study_ids),
                        "locator": made.locator,
                        "key_ref": key_ref,
                        "key": rights.keyring.seal(key_ref, made.key, b"object:" + made.locator),
                        "length_bytes": made.length_bytes,
                        "sha256": made.sha256,
                        "made_at": now,
                        "expires_at": now + LIFETIME,
                    },
                )
        finally:
            if not is_kept:
                await asyncio.to_thread(rights.keyring.destroy, [key_ref])
                await rights.packs.free([made.locator])

    async def erase(self, permit: Permit, subject: Subject | Erased, copy: Row) -> UUID | None:
        """End a copy: its key is destroyed, its bytes are given back, its row goes. May be repeated.

        Returns:
            The entry of the ledger, or None where it was gone already.
        """
        rights = self._rights
        locator = bytes(copy["locator"])
        await asyncio.to_thread(rights.keyring.destroy, [KeyRef(bytes(copy["key_ref"]))])
        await rights.packs.free([locator])
        async with rights.database.transaction(permit) as connection:
            if not await store.remove_copy(connection, copy["request_id"], locator):
                return None
            return await rights.write(
                connection, "rights:copy:erased", permit, copy["request_id"], subject, {},
                {"bytes": copy["length_bytes"]},
            )  # fmt: skip
