"""What a backup says of itself, signed by the deployment."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from troth.kit.errors import NotFound, TrothError
from troth.kit.files import write_whole
from troth.vault import CopiedPack, Keyring

_FORMAT = 2


class BackupBroken(TrothError):
    """Something of a backup is not what its manifest says."""

    slug = "backup-broken"
    title = "The backup is not whole"


class BackupMissing(NotFound):
    """There is no backup in this folder."""

    slug = "backup-missing"


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """One file of the copied database.

    Attributes:
        name: Its path below the copy, with slashes.
        length_bytes: Of the file.
        sha256: Of the file, hexadecimal.
    """

    name: str
    length_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup.

    Attributes:
        stamp: Its name.
        made_at: When the copy of the database was whole, ISO 8601.
        database: Folder of the copy of the database.
        files: Every file in it and its digest, the log and what PostgreSQL's own manifest leaves out included.
        folders: Every folder in it.
        packs: The packs and their digests.
        keys_bytes: Length of the keyring then; it only grows.
        settings: The text of `troth.toml`, if there was one.
        ledger_size: Entries of the ledger in its last signed checkpoint.
        destroyed: Keys that had been destroyed by then.
        public_key: Of the deployment, hexadecimal.
    """

    stamp: str
    made_at: str
    database: str
    files: tuple[CopiedFile, ...]
    folders: tuple[str, ...]
    packs: tuple[CopiedPack, ...]
    keys_bytes: int
    settings: str
    ledger_size: int
    destroyed: int
    public_key: str

    def write(self, folder: Path, keyring: Keyring) -> None:
        """Write it and its signature; the backup counts from then on."""
        content = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1).encode()
        write_whole(folder / f"manifest-{self.stamp}.sig", keyring.sign(content))
        write_whole(folder / f"manifest-{self.stamp}.json", content)

    @classmethod
    def read(cls, folder: Path, stamp: str, public_key: bytes | None = None) -> Manifest:
        """Read a manifest.

        Args:
            folder: Of the backups.
            stamp: Which one.
            public_key: Of the deployment that must have signed it; None to take its word.

        Raises:
            BackupMissing: There is none.
            BackupBroken: It was not signed by that deployment, is of another format or of another backup.
        """
        name = f"manifest-{stamp}.json"
        try:
            content = (folder / name).read_bytes()
        except OSError:
            raise BackupMissing(f"there is no backup {stamp} in {folder}") from None
        try:
            signature = (folder / f"manifest-{stamp}.sig").read_bytes()
        except OSError:
            raise BackupBroken(f"manifest-{stamp}.sig is missing: nobody can say who made {name}") from None
        if public_key is not None:
            try:
                Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
            except InvalidSignature:
                raise BackupBroken(
                    f"{name} or manifest-{stamp}.sig was altered: this deployment did not sign it"
                ) from None
        try:
            said: dict[str, Any] = json.loads(content)
            made_as = said.pop("format")
            if made_as != _FORMAT:
                raise BackupBroken(
                    f"{name} is of format {made_as}, which did not sign every file",
                    hint="Restore it with the version of Troth that made it, and make a new backup.",
                )
            packs = tuple(CopiedPack(**pack) for pack in said.pop("packs"))
            files = tuple(CopiedFile(**file) for file in said.pop("files"))
            manifest = cls(packs=packs, files=files, folders=tuple(said.pop("folders")), **said)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BackupBroken(f"{name} cannot be read") from None
        if manifest.stamp != stamp:
            raise BackupBroken(f"{name} is that of another backup, {manifest.stamp}")
        return manifest


def stamps(folder: Path) -> list[str]:
    """The whole backups in a folder, oldest first."""
    return sorted(path.stem.removeprefix("manifest-") for path in folder.glob("manifest-*.json"))
