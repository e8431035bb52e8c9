"""The list of a copy's files with their fingerprints, and the signature that anybody can check.

`sha256sum -c MANIFEST.TXT` checks the files; `MANIFEST.SIG` says how to check the list itself with openssl.
"""

from __future__ import annotations

from base64 import b64encode

from troth.rights.errors import CopyDiffers
from troth.vault import Keyring

NAME = "MANIFEST.TXT"
SIGNATURE_NAME = "MANIFEST.SIG"

# What stands before a raw Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 4).
_KEY_FRONT = bytes.fromhex("302a300506032b6570032100")
_TEXT = """\
Signature of MANIFEST.TXT (Ed25519, RFC 8032) by the deployment that made this copy.

-----BEGIN SIGNATURE-----
{signature}
-----END SIGNATURE-----

Public key of the deployment. Compare it with the one that the deployment shows: a key that came with the copy alone
proves nothing about who made it.

-----BEGIN PUBLIC KEY-----
{key}
-----END PUBLIC KEY-----

To check, in this folder, with OpenSSL 3:

  sed -n '/^-----BEGIN PUBLIC KEY/,/^-----END PUBLIC KEY/p' MANIFEST.SIG > key.pem
  sed -n '/^-----BEGIN SIGNATURE/,/^-----END SIGNATURE/p' MANIFEST.SIG | sed '1d;$d' | openssl base64 -d -A > signature
  openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in MANIFEST.TXT -sigfile signature
  sha256sum -c MANIFEST.TXT
"""


def line(name: str, digest: str) -> str:
    """One line of the list.

    Args:
        name: Path of the file in the copy.
        digest: Its SHA-256, hexadecimal.
    """
    return f"{digest}  {name}\n"


def parse(text: bytes) -> dict[str, str]:
    """Digests by name.

    Raises:
        CopyDiffers: It is no such list.
    """
    lines: dict[str, str] = {}
    for each in text.decode("ascii", "replace").splitlines():
        digest, gap, name = each.partition("  ")
        if len(digest) != 64 or not gap or not name or name in lines:
            raise CopyDiffers
        lines[name] = digest
    return lines


def signed(keyring: Keyring, text: bytes) -> bytes:
    """The signature file of a list. Ed25519 is deterministic, so the same list has the same one.

    Args:
        keyring: Signs for the deployment.
        text: The list.
    """
    key = b64encode(_KEY_FRONT + keyring.public_key).decode()
    return _TEXT.format(signature=b64encode(keyring.sign(text)).decode(), key=key).encode("ascii")
