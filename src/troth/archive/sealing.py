"""How attributes and object keys are sealed under a study's key, and opened again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from troth.archive.model import Received
from troth.vault import KeyRef, Keyring, SealedObject

Attributes = Mapping[int, str]
_NOTHING = bytes(32)
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class InstanceSecrets:
    """What is sealed of one instance: keys and digests of its two objects, and its attributes.

    Attributes:
        sent: Digests of head and bulk as they were sent, where the instance was corrected since; else empty.
    """

    head_key: bytes = field(repr=False)
    bulk_key: bytes = field(repr=False)
    head_sha256: bytes
    bulk_sha256: bytes
    values: Attributes = field(repr=False)
    sent: bytes = b""

    @classmethod
    def of(cls, received: Received, values: Attributes, sent: Received | None = None) -> InstanceSecrets:
        """The secrets of an instance that came in.

        Args:
            received: The instance as it is kept.
            values: Its own indexed attributes.
            sent: The instance as it was sent, where that differs.
        """
        bulk = received.bulk
        return cls(
            head_key=received.head.key,
            bulk_key=bulk.key if bulk else _NOTHING,
            head_sha256=received.head.sha256,
            bulk_sha256=bulk.sha256 if bulk else _NOTHING,
            values=values,
            sent=cls.of(sent, {}).digests if sent is not None else b"",
        )

    @property
    def digests(self) -> bytes:
        """Of head and bulk, one after the other."""
        return self.head_sha256 + self.bulk_sha256

    def corrected(self, head: SealedObject, bulk: SealedObject | None) -> InstanceSecrets:
        """The secrets after a correction.

        Args:
            head: The new head.
            bulk: The new bulk bytes, where they were written anew.
        """
        return replace(
            self,
            head_key=head.key,
            head_sha256=head.sha256,
            bulk_key=bulk.key if bulk else self.bulk_key,
            bulk_sha256=bulk.sha256 if bulk else self.bulk_sha256,
            sent=self.sent or self.digests,
        )

    def is_same_as(self, other: InstanceSecrets) -> bool:
        """Whether the other one has the same bytes, or those that were sent before this one was corrected."""
        return other.digests in (self.digests, self.sent)


def seal_values(keyring: Keyring, key: KeyRef, kind: str, row_id: UUID, values: Attributes) -> bytes:
    """Seal the attributes of a study or series.

    Args:
        keyring: The keyring.
        key: The study's key.
        kind: `study` or `series`.
        row_id: Id of the row they belong to; they open nowhere else.
        values: Attributes by tag.
    """
    return keyring.seal(key, _to_bytes(values), _context(kind, row_id))


def open_values(keyring: Keyring, key: KeyRef, kind: str, row_id: UUID, sealed: bytes) -> dict[int, str]:
    """Open what `seal_values` sealed.

    Raises:
        troth.vault.KeyDestroyed: The study was erased.
    """
    return _from_bytes(keyring.unseal(key, sealed, _context(kind, row_id)))


def seal_plain(keyring: Keyring, key: KeyRef, kind: str, row_id: UUID, plain: bytes) -> bytes:
    """Seal bytes of a study under its key; as `seal_values`."""
    return keyring.seal(key, plain, _context(kind, row_id))


def open_plain(keyring: Keyring, key: KeyRef, kind: str, row_id: UUID, sealed: bytes) -> bytes:
    """Open what `seal_plain` sealed.

    Raises:
        troth.vault.KeyDestroyed: The study was erased.
    """
    return keyring.unseal(key, sealed, _context(kind, row_id))


def seal_instance(
    keyring: Keyring, key: KeyRef, row_id: UUID, locators: Sequence[bytes], secrets: InstanceSecrets
) -> bytes:
    """Seal the secrets of one instance under the study's key.

    Args:
        keyring: The keyring.
        key: The study's key.
        row_id: Id of the instance.
        locators: Where its objects lie; the seal binds them to their keys.
        secrets: What to seal.
    """
    keys = secrets.head_key + secrets.bulk_key + secrets.digests
    sent = secrets.sent.hex().encode()  # of digits alone, so that the attributes begin where a brace does
    return keyring.seal(key, keys + sent + _to_bytes(secrets.values), _context("instance", row_id, *locators))


def open_instance(
    keyring: Keyring, key: KeyRef, row_id: UUID, locators: Sequence[bytes], sealed: bytes
) -> InstanceSecrets:
    """Open what `seal_instance` sealed.

    Raises:
        troth.vault.KeyDestroyed: The study was erased.
    """
    plain = keyring.unseal(key, sealed, _context("instance", row_id, *locators))
    at = plain.index(b"{", 128)
    sent = bytes.fromhex(plain[128:at].decode())
    return InstanceSecrets(plain[:32], plain[32:64], plain[64:96], plain[96:128], _from_bytes(plain[at:]), sent)


def _context(kind: str, row_id: UUID, *locators: bytes) -> bytes:
    return b":".join((b"archive", kind.encode(), row_id.bytes, *locators))


def _to_bytes(values: Attributes) -> bytes:
    return _encoded({f"{tag:08X}": text for tag, text in values.items()}).encode("utf-8", "surrogatepass")


def _from_bytes(plain: bytes) -> dict[int, str]:
    return {int(tag, 16): text for tag, text in json.loads(plain.decode("utf-8", "surrogatepass")).items()}
