"""What was erased since a backup was made, as it lies beside the packs: signed, since a restore destroys by it.

One file ``erasures``: an Ed25519 signature of 64 bytes (RFC 8032) and the JSON it is of. Nothing in it is personal:
keys by their references, keyed digests, and the newest signed state of the ledger.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from troth.kit.files import write_whole
from troth.main.backup.manifest import BackupBroken
from troth.vault import Keyring

NAME: Final = "erasures"
_FORMAT: Final = 1
_SIGNATURE_BYTES: Final = 64
_CONTEXT: Final = b"troth:erasures:1:"
_RECORD_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Erasures:
    """What was erased.

    Attributes:
        destroyed: The journal of destroyed keys, as in a keyring.
        tombstones: What may not come back, as `record` makes each.
        checkpoint: The newest signed state of the ledger, or empty.
    """

    destroyed: bytes
    tombstones: bytes
    checkpoint: str

    def write(self, folder: Path, keyring: Keyring) -> None:
        """Write it, whole or not at all."""
        content = json.dumps(
            {
                "format": _FORMAT,
                "destroyed": base64.b64encode(self.destroyed).decode(),
                "tombstones": base64.b64encode(self.tombstones).decode(),
                "checkpoint": self.checkpoint,
            }
        ).encode()
        write_whole(folder / NAME, keyring.sign(_CONTEXT + content) + content)

    @classmethod
    def read(cls, folder: Path, public_key: bytes) -> Erasures:
        """Read it.

        Args:
            folder: Of the backups.
            public_key: Of the deployment that must have signed it.

        Raises:
            BackupBroken: It is missing, or that deployment did not sign it.
        """
        try:
            whole = (folder / NAME).read_bytes()
        except OSError:
            raise BackupBroken(f"{folder / NAME} is missing: it tells what was erased since") from None
        signature, content = whole[:_SIGNATURE_BYTES], whole[_SIGNATURE_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _CONTEXT + content)
            said = json.loads(content)
            if said["format"] != _FORMAT:
                raise BackupBroken(f"{folder / NAME} is of another format")
            return cls(base64.b64decode(said["destroyed"]), base64.b64decode(said["tombstones"]), said["checkpoint"])
        except (InvalidSignature, ValueError, KeyError, binascii.Error):
            raise BackupBroken(f"{folder / NAME} was altered: this deployment did not sign it") from None

    def each_tombstone(self) -> Iterator[tuple[UUID, bytes, datetime]]:
        """Organisation, digest, and when it was erased."""
        content = self.tombstones
        for at in range(0, len(content) - _RECORD_BYTES + 1, _RECORD_BYTES):
            one = content[at : at + _RECORD_BYTES]
            if hashlib.blake2b(one[:56], digest_size=8).digest() == one[56:]:
                moment = datetime.fromtimestamp(int.from_bytes(one[48:56], "big") / 1000, UTC)
                yield UUID(bytes=one[:16]), one[16:48], moment

    @property
    def ledger_size(self) -> int:
        """The size of the tree in the checkpoint (C2SP tlog-checkpoint: its second line)."""
        lines = self.checkpoint.splitlines()
        return int(lines[1]) if len(lines) > 1 and lines[1].isdigit() else 0


def record(tenant: UUID, digest: bytes, at: datetime) -> bytes:
    """One tombstone: organisation (16), digest (32), milliseconds since 1970 (8), BLAKE2b-64 of these."""
    content = tenant.bytes + digest + int(at.timestamp() * 1000).to_bytes(8, "big")
    return content + hashlib.blake2b(content, digest_size=8).digest()
