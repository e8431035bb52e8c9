"""The documents of contracts, instruments and orders: sealed objects, each under a key of its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from troth.exchange import store
from troth.exchange.errors import RegisterMalformed, RowNotFound
from troth.kit import clock, ids
from troth.kit.db import Connection
from troth.vault import KeyRef, Keyring, Packs

LARGEST_BYTES = 8 << 20
MEDIA_TYPES = {b"%PDF-": "application/pdf"}


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was filed."""

    id: UUID
    media_type: str
    content: bytes = field(repr=False)


class Documents:
    """Files and reads documents.

    Args:
        keyring: Makes their keys.
        packs: Where they lie.
    """

    def __init__(self, keyring: Keyring, packs: Packs) -> None:
        self._keyring = keyring
        self._packs = packs

    async def file(self, connection: Connection, tenant: UUID, parent: KeyRef | None, content: bytes) -> UUID:
        """File a document in the caller's transaction; its bytes are durable before this returns.

        Args:
            connection: In the space of the register.
            tenant: That space.
            parent: Key of the organisation; None on the platform.
            content: PDF, or plain text in UTF-8.

        Raises:
            RegisterMalformed: Empty, too large, or neither of the two.
        """
        media_type = _media_type(content)
        key_ref = await asyncio.to_thread(self._keyring.create, parent)
        writer = self._packs.writer()
        try:
            writer.feed(content)
            made = writer.finish()
        except BaseException:
            writer.abort()
            raise
        await self._packs.sync()
        document_id = ids.uuid7()
        values = {
            "tenant": tenant,
            "id": document_id,
            "locator": made.locator,
            "key_ref": key_ref,
            "key": self._keyring.seal(key_ref, made.key, b"object:" + made.locator),
            "media_type": media_type,
            "length_bytes": made.length_bytes,
            "sha256": made.sha256,
            "made_at": clock.now(),
        }
        await store.insert(connection, "exchange_document", values)
        return document_id

    async def read(self, connection: Connection, document_id: UUID) -> Document:
        """Read a document.

        Raises:
            RowNotFound: There is none.
        """
        row = await store.document(connection, document_id)
        if row is None:
            raise RowNotFound
        locator = bytes(row["locator"])
        key = self._keyring.unseal(KeyRef(bytes(row["key_ref"])), bytes(row["key"]), b"object:" + locator)
        return Document(document_id, row["media_type"], await self._packs.read(locator, key))


def _media_type(content: bytes) -> str:
    if not content or len(content) > LARGEST_BYTES:
        raise RegisterMalformed(f"A document has 1 to {LARGEST_BYTES} bytes.")
    for start, media_type in MEDIA_TYPES.items():
        if content.startswith(start):
            return media_type
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if any(ord(letter) < 32 and letter not in "\n\r\t" for letter in text):
        raise RegisterMalformed("A document is a PDF or plain text.")
    return "text/plain; charset=utf-8"
