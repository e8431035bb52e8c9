"""What a backup says of itself, signed by the deployment."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from troth.kit.errors import NotFound, TrothError
from troth.vault import CopiedPack, Keyring

_FORMAT = 1


class BackupBroken(TrothError):
    """Something of a backup is not what its manifest says."""

    slug = "backup-broken"
    title = "The backup is not whole"


class BackupMissing(NotFound):
    """There is no backup in this folder."""

    slug = "backup-missing"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup.

    Attributes:
        stamp: Its name.
        made_at: When the copy of the database was whole, ISO 8601.
        database: Folder of the copy of the database.
        database_manifest: SHA-256 of the database's own manifest, which holds a digest of every file.
        packs: The packs and their digests.
        settings: The text of `troth.toml`, if there was one.
        ledger_size: Entries of the ledger in its last signed checkpoint.
        destroyed: Keys that had been destroyed by then.
        public_key: Of the deployment, hexadecimal.
    """

    stamp: str
    made_at: str
    database: str
    database_manifest: str
    packs: tuple[CopiedPack, ...]
    settings: str
    ledger_size: int
    destroyed: int
    public_key: str

    def write(self, folder: Path, keyring: Keyring) -> None:
        """Write it and its signature; the backup counts from then on."""
        content = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1).encode()
        put(folder / f"manifest-{self.stamp}.sig", keyring.sign(content))
        put(folder / f"manifest-{self.stamp}.json", content)

    @classmethod
    def read(cls, folder: Path, stamp: str, public_key: bytes | None = None) -> Manifest:
        """Read a manifest.

        Args:
            folder: Of the backups.
            stamp: Which one.
            public_key: Of the deployment that must have signed it; None to take its word.

        Raises:
            BackupMissing: There is none.
            BackupBroken: It was not signed by that deployment, or is of another format.
        """
        try:
            content = (folder / f"manifest-{stamp}.json").read_bytes()
            signature = (folder / f"manifest-{stamp}.sig").read_bytes()
        except FileNotFoundError:
            raise BackupMissing(f"there is no backup {stamp} in {folder}") from None
        if public_key is not None:
            try:
                Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
            except InvalidSignature:
                raise BackupBroken("the manifest was not signed by this deployment") from None
        said: dict[str, Any] = json.loads(content)
        if said.pop("format", None) != _FORMAT:
            raise BackupBroken("the manifest is of another format")
        packs = tuple(CopiedPack(**pack) for pack in said.pop("packs"))
        return cls(packs=packs, **said)


def stamps(folder: Path) -> list[str]:
    """The whole backups in a folder, oldest first."""
    return sorted(path.stem.removeprefix("manifest-") for path in folder.glob("manifest-*.json"))


def put(path: Path, content: bytes) -> None:
    """A whole file or none, durable with its name."""
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    fresh.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
