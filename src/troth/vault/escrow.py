"""A copy of the keyring for a backup: apart from the data, short-lived, and of no use without a recovery key.

Files in its folder: ``slots-a``, ``slots-b``, ``lock`` and ``destroyed`` as in a keyring (the keys in the slots are
wrapped under the root key), ``root.sealed`` (root key and further secrets, AES-256-GCM under the recovery key stretched
by scrypt) and ``about.json``. The root key itself is nowhere in it in the clear.

What is destroyed in the keyring afterwards is destroyed in the copy too, in place, as soon as it can be reached
(`follow`); nobody needs the recovery key for that.

Per: RFC 7914 (scrypt), NIST SP 800-38D.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from troth.kit.files import sync_folder, write_whole
from troth.vault import journal, pages, root
from troth.vault.errors import KeyringDamaged, RecoveryRefused
from troth.vault.mirrors import Mirrors, alone

_SCRYPT_N: Final = 1 << 15
_SCRYPT_R: Final = 8
_SCRYPT_P: Final = 1
_CONTEXT: Final = b"troth:escrow:1:"
_SLOTS: Final = ("slots-a", "slots-b")
_SEALED: Final = "root.sealed"
_ABOUT: Final = "about.json"
_SMALLEST_PASSPHRASE: Final = 20


@dataclass(frozen=True, slots=True)
class About:
    """What a copy says of itself.

    Attributes:
        stamp: Name of the backup it belongs to.
        keyring_id: Of the keyring, hexadecimal.
        public_key: Of the deployment, hexadecimal.
        made_at: When, ISO 8601.
        expires_at: From then on it is destroyed.
        salt: For scrypt, hexadecimal.
    """

    stamp: str
    keyring_id: str
    public_key: str
    made_at: str
    expires_at: str
    salt: str


def make(
    keys: Path, target: Path, recovery: str, stamp: str, times: tuple[datetime, datetime],
    public_key: bytes, secrets: Mapping[str, Any],
) -> About:  # fmt: skip
    """Copy a keyring.

    Args:
        keys: Folder of the keyring; it may be in use.
        target: Folder of the copy; must not exist.
        recovery: The recovery key; at least 20 characters.
        stamp: Name of the backup.
        times: When it is made, and when it expires.
        public_key: Of the deployment.
        secrets: What else cannot be had without the recovery key.

    Raises:
        RecoveryRefused: The recovery key is too short.
    """
    if len(recovery) < _SMALLEST_PASSPHRASE:
        raise RecoveryRefused(f"a recovery key has at least {_SMALLEST_PASSPHRASE} characters")
    target.mkdir(mode=0o700, parents=True)
    with alone(keys / "lock"):  # no key comes or goes while both files are read
        slots = (keys / _SLOTS[0]).read_bytes()
        destroyed = (keys / journal.NAME).read_bytes() if (keys / journal.NAME).exists() else b""
    if not pages.is_whole(slots[: pages.PAGE_BYTES], 0):
        raise KeyringDamaged("page 0 is unreadable")
    keyring_id = pages.read_head(slots[: pages.PAGE_BYTES])[0]
    salt, nonce = os.urandom(16), os.urandom(12)
    plain = json.dumps({"root": root.read(keys / "root.key").hex(), **secrets}).encode()
    sealed = AESGCM(_stretched(recovery, salt)).encrypt(nonce, plain, _CONTEXT + keyring_id)
    for name in _SLOTS:
        write_whole(target / name, slots)
    write_whole(target / journal.NAME, destroyed)
    write_whole(target / _SEALED, nonce + sealed)
    about = About(
        stamp, keyring_id.hex(), public_key.hex(), times[0].isoformat(), times[1].isoformat(), salt.hex()
    )  # fmt: skip
    write_whole(target / _ABOUT, json.dumps(asdict(about), indent=1).encode())
    sync_folder(target)
    sync_folder(target.parent)
    return about


def about(folder: Path) -> About:
    """What a copy says of itself.

    Raises:
        RecoveryRefused: There is no copy in this folder.
    """
    try:
        return About(**json.loads((folder / _ABOUT).read_text()))
    except (OSError, ValueError, TypeError):
        raise RecoveryRefused("there is no copy of a keyring in this folder") from None


def length(copy: Path) -> int:
    """Bytes of a keyring or of a copy of one, by the longer of its two files; it never gets less."""
    return max(((copy / name).stat().st_size for name in _SLOTS if (copy / name).exists()), default=0)


def copies(folder: Path) -> Iterator[Path]:
    """The copies below a folder, oldest first."""
    if folder.is_dir():
        yield from sorted(path.parent for path in folder.glob(f"*/{_ABOUT}"))


def follow(copy: Path, source: Path) -> int:
    """Destroy in a copy what the keyring has destroyed since. May be repeated, and stopped at any point.

    Args:
        copy: Folder of the copy.
        source: A journal of destroyed keys.

    Returns:
        How many keys were new to the copy.
    """
    known = sum(1 for _ in journal.read(copy / journal.NAME))
    fresh = list(journal.read(source, known))
    if not fresh:
        return 0
    mirrors = Mirrors(copy / _SLOTS[0], copy / _SLOTS[1], copy / "lock")
    try:
        with mirrors.drafting() as draft:
            draft.count_destruction()
            for ref, _ in fresh:
                slot = pages.slot_of(ref)
                if mirrors.reaching(pages.start_in_file(slot) + pages.SLOT_BYTES) is None:
                    continue  # made after the copy
                if pages.holds(draft.slot(slot), ref):
                    draft.put(slot, pages.EMPTY_SLOT)
    finally:
        mirrors.close()
    journal.copy(source, copy / journal.NAME)
    return len(fresh)


def open_copy(copy: Path, target: Path, recovery: str) -> dict[str, Any]:
    """Make a keyring of a copy.

    Args:
        copy: Folder of the copy.
        target: Folder of the new keyring; must not exist.
        recovery: The recovery key.

    Returns:
        The further secrets.

    Raises:
        RecoveryRefused: The recovery key is not the one, or the copy was changed.
        KeyringDamaged: A page is unreadable in both of its files, or a file is missing.
    """
    known = about(copy)
    try:
        sealed = (copy / _SEALED).read_bytes()
        slots = [(copy / name).read_bytes() for name in _SLOTS]
        destroyed = (copy / journal.NAME).read_bytes()
    except OSError as fault:
        raise KeyringDamaged(f"{fault.filename} cannot be read ({fault.strerror})") from None
    for number, start in enumerate(range(0, max(map(len, slots)), pages.PAGE_BYTES)):
        if not any(pages.is_whole(one[start : start + pages.PAGE_BYTES], number) for one in slots):
            raise KeyringDamaged(f"page {number} of {copy} was altered or cut short in both files")
    try:
        key = _stretched(recovery, bytes.fromhex(known.salt))
        plain = AESGCM(key).decrypt(sealed[:12], sealed[12:], _CONTEXT + bytes.fromhex(known.keyring_id))
    except (InvalidTag, ValueError):
        raise RecoveryRefused("this recovery key does not open this copy of the keyring") from None
    secrets: dict[str, Any] = json.loads(plain)
    target.mkdir(mode=0o700, parents=True)
    for name, content in zip((*_SLOTS, journal.NAME), (*slots, destroyed), strict=True):
        write_whole(target / name, content)
    write_whole(target / "root.key", bytes.fromhex(secrets.pop("root")))
    sync_folder(target)
    return secrets


def destroy(copy: Path) -> None:
    """Make a copy useless for good: the sealed root key is overwritten in place before anything is taken away."""
    sealed = copy / _SEALED
    if sealed.exists():
        fd = root.open_guarded(sealed, os.O_RDWR)
        try:
            os.pwrite(fd, bytes(os.fstat(fd).st_size), 0)
            os.fsync(fd)
        finally:
            os.close(fd)
    shutil.rmtree(copy)


def _stretched(recovery: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P).derive(recovery.strip().encode())
