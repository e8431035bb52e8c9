"""What the ledger needs of a keyring. `vault.Keyring` fits; the ledger must not import its sibling."""

from __future__ import annotations

from typing import Any, Protocol


class Sealer(Protocol):
    """Seals payloads, and signs checkpoints.

    A reference to a key is opaque bytes here. It is typed `Any` because the vault has a type of its own for it.
    """

    def seal(self, ref: Any, plain: bytes, context: bytes, /) -> bytes:
        """Seal bytes under a key, bound to a context."""

    def unseal(self, ref: Any, sealed: bytes, context: bytes, /) -> bytes:
        """Open what was sealed; raises a `TrothError` where the key is gone or the bytes or context differ."""

    def sign(self, message: bytes, /) -> bytes:
        """Ed25519 signature of the deployment."""

    def mac(self, message: bytes, /) -> bytes:
        """Code of the deployment over an entry, under a key that is for nothing else and is never in the database."""

    def tag(self, message: bytes, /) -> bytes:
        """Tag of the deployment over a bound row, under another such key."""

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
