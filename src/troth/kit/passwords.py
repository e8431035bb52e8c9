"""The roles of the database and their passwords."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from pathlib import Path

from troth.kit.files import write_whole
from troth.kit.programs import ServerUnavailable

SUPERUSER = "troth_super"
ROLES = ("troth_owner", "troth_app", "troth_sequencer", "troth_flow")
_SCRAM_ROUNDS = 4096


class Passwords:
    """Passwords of the database roles, made at the first start and kept with mode 0600; never anew where roles exist.

    Args:
        folder: Where the file lies.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "database.json"

    def require(self) -> None:
        """Refuse to go on where roles exist and their passwords do not: new ones would open nothing.

        Raises:
            ServerUnavailable: The file is lost, or cannot be read.
        """
        if not self._path.exists():
            raise ServerUnavailable(
                f"the passwords of the database are lost: {self._path}",
                hint="Put the file back; a restore of a backup brings its own.",
            )
        self["troth_app"]

    def __getitem__(self, role: str) -> str:
        """The password of a role; all are made if there are none yet.

        Raises:
            ServerUnavailable: The file cannot be read.
        """
        try:
            known: dict[str, str] = json.loads(self._path.read_text())
            return known[role]
        except FileNotFoundError:
            return self._made()[role]
        except (OSError, ValueError, KeyError, TypeError):
            raise ServerUnavailable(
                f"the passwords of the database cannot be read: {self._path}", hint="Put back the file as it was."
            ) from None

    def _made(self) -> dict[str, str]:
        known = {name: secrets.token_urlsafe(24) for name in (SUPERUSER, *ROLES)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.parent.chmod(0o700)
        write_whole(self._path, json.dumps(known).encode())
        return known


def verifier(password: str) -> str:
    """What the server keeps to check a password: made on our side, so that the password is in no statement and no log.

    Args:
        password: ASCII.

    Per: RFC 5803 3, RFC 7677 3; PostgreSQL keeps it in this form.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _SCRAM_ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    parts = [
        base64.b64encode(octets).decode() for octets in (salt, stored, hmac.digest(salted, b"Server Key", "sha256"))
    ]
    return f"SCRAM-SHA-256${_SCRAM_ROUNDS}:{parts[0]}${parts[1]}:{parts[2]}"
