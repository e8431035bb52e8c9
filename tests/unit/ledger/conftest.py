"""A small keyring for the ledger's tests, and a deployment of ledger and sequencer on a real database."""

from __future__ import annotations

import hmac
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.rows import dict_row

from tests.common.servers import ServedDatabase
from troth.kit.errors import Gone, TrothError
from troth.kit.passwords import SUPERUSER
from troth.ledger import Entry, Ledger, Sequencer, Verification


class SealBroken(TrothError):
    pass


class SmallKeyring:
    """Keys in memory; does what `Sealer` asks for."""

    def __init__(self) -> None:
        self._keys: dict[bytes, bytes] = {}
        self._signing = Ed25519PrivateKey.generate()
        self._coding = b""

    def create(self) -> bytes:
        ref = os.urandom(16)
        self._keys[ref] = os.urandom(32)
        return ref

    def destroy(self, ref: bytes) -> None:
        del self._keys[ref]

    def seal(self, ref: bytes, plain: bytes, context: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + AESGCM(self._key(ref)).encrypt(nonce, plain, context)

    def unseal(self, ref: bytes, sealed: bytes, context: bytes) -> bytes:
        try:
            return AESGCM(self._key(ref)).decrypt(sealed[:12], sealed[12:], context)
        except InvalidTag as fault:
            raise SealBroken from fault

    def sign(self, message: bytes) -> bytes:
        return self._signing.sign(message)

    def mac(self, message: bytes) -> bytes:
        self._coding = self._coding or self._signing.private_bytes_raw()
        return hmac.digest(self._coding, message, "sha256")

    @property
    def public_key(self) -> bytes:
        return self._signing.public_key().public_bytes_raw()

    def _key(self, ref: bytes) -> bytes:
        if ref not in self._keys:
            raise Gone
        return self._keys[ref]


@dataclass(frozen=True)
class Scope:
    tenant: UUID | None


@dataclass
class Deployment:
    """Ledger, sequencer and database, with short verbs for tests."""

    database: ServedDatabase
    keyring: SmallKeyring
    ledger: Ledger
    sequencer: Sequencer
    tenant: UUID
    key: bytes
    extra: list[Sequencer] = field(default_factory=list)

    def entry(self, **given: Any) -> Entry:
        """An entry of the deployment's tenant."""
        values: dict[str, Any] = {
            "kind": "archive:study:opened",
            "tenant": self.tenant,
            "actor_id": UUID(int=7),
            "actor_kind": "user",
            "role": "clinician",
            "purpose": "diagnosis",
            "clauses": ("4.1", "5.1"),
            "counts": {"instances": 3},
        }
        return Entry(**{**values, **given})

    async def append(self, *entries: Entry) -> list[UUID]:
        """Append in one transaction of the first entry's tenant."""
        async with self.database.transaction(Scope(entries[0].tenant)) as connection:
            return await self.ledger.append_many(connection, entries)

    async def append_one(self, **given: Any) -> UUID:
        return (await self.append(self.entry(**given)))[0]

    async def verify(self, *known: str) -> Verification:
        return await self.ledger.verify(self.database.dsn("troth_sequencer"), known=known)

    def tamper(self, query: str, parameters: Any = ()) -> list[dict[str, Any]]:
        """Do what only somebody with all power over the database can do."""
        with psycopg.connect(self.database.dsn(SUPERUSER), row_factory=dict_row) as connection:
            cursor = connection.execute(query, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
async def deployment(database: ServedDatabase) -> AsyncIterator[Deployment]:
    """An empty ledger on the module's database."""
    keyring = SmallKeyring()
    sequencer = Sequencer(database.dsn("troth_sequencer"), keyring, poll_seconds=0.01)
    served = Deployment(
        database, keyring, Ledger(keyring), sequencer, UUID(int=os.getpid() << 32 | 1), keyring.create()
    )
    tables = "ledger_entry, ledger_pending, ledger_leaf, ledger_subject, ledger_tile, ledger_checkpoint"
    served.tamper(f"truncate {tables}")
    yield served
    for each in (sequencer, *served.extra):
        await each.close()
