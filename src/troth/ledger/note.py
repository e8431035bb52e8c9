"""Signed checkpoints: what the log says about its size and root, in a form that public tools check.

Per: C2SP signed-note (Ed25519, signature type 0x01) and tlog-checkpoint.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from troth.kit import numbers
from troth.ledger.errors import CheckpointBroken
from troth.ledger.merkle import HASH_BYTES
from troth.ledger.sealer import Sealer

_ED25519 = b"\x01"
_LINE_START = "— "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the log says about itself at one size.

    Attributes:
        origin: Name of the log.
        size: Leaves of the tree.
        root: Root hash, 32 bytes.
        note: The signed note, verbatim.
    """

    origin: str
    size: int
    root: bytes
    note: str


def key_id(name: str, public_key: bytes) -> bytes:
    """First four bytes that name a key in a signature line (C2SP signed-note, "Ed25519 signatures")."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """The public key as verifiers take it: name, key id, type and key (C2SP signed-note, "Verifier keys")."""
    return f"{name}+{key_id(name, public_key).hex()}+{b64encode(_ED25519 + public_key).decode()}"


def sign(origin: str, size: int, root: bytes, sealer: Sealer) -> Checkpoint:
    """Make a signed checkpoint; the name of the key is the origin."""
    return Checkpoint(origin, size, root, _signed(origin, f"{origin}\n{size}\n{b64encode(root).decode()}\n", sealer))


def sign_counts(checkpoint: Checkpoint, counts: Iterable[tuple[UUID, int, bytes]], sealer: Sealer) -> str:
    """Sign how many entries the lists of a person have, so that an end that is cut off is found.

    A signed note of its own, that nobody can take for a checkpoint: its first line is the name of the log and the word
    `list`, then follow the size of the log, and a line for each list.

    Args:
        checkpoint: What the log was when they were counted.
        counts: Subject, number of leaves, and hash of the last one, for each list.
        sealer: Signs.
    """
    lines = (f"{subject} {held} {head.hex()}\n" for subject, held, head in counts)
    return _signed(checkpoint.origin, f"{checkpoint.origin} list\n{checkpoint.size}\n{''.join(lines)}", sealer)


def _signed(name: str, text: str, sealer: Sealer) -> str:
    signature = key_id(name, sealer.public_key) + sealer.sign(text.encode())
    return f"{text}\n{_LINE_START}{name} {b64encode(signature).decode()}\n"


def parse(note: str) -> Checkpoint:
    """Read a checkpoint without checking its signature.

    Raises:
        CheckpointBroken: It is not a checkpoint.
    """
    text, separator, signatures = note.rpartition("\n\n")
    lines = text.split("\n")
    if not separator or not signatures.endswith("\n") or len(lines) < 3 or not all(lines):
        raise CheckpointBroken("the checkpoint is not a signed note")
    try:
        root = b64decode(lines[2], validate=True)
    except binascii.Error as fault:
        raise CheckpointBroken("the checkpoint's root is not base64") from fault
    digits = lines[1]
    size = numbers.whole(digits, most=(1 << 63) - 1)
    if size is None or str(size) != digits or len(root) != HASH_BYTES:
        raise CheckpointBroken("the checkpoint's size or root cannot be read")
    return Checkpoint(lines[0], size, root, note)


def open_checkpoint(note: str, key: str) -> Checkpoint:
    """Read a checkpoint and check that a key signed it. Signatures of other keys (witnesses) are passed over.

    Args:
        note: The signed note.
        key: Verifier key, as `verifier_key` writes it.

    Raises:
        CheckpointBroken: It is not a checkpoint, is of another log, or no signature of this key holds.
    """
    checkpoint = parse(note)
    name, identifier, public_key = _parse_key(key)
    if checkpoint.origin != name:
        raise CheckpointBroken("the checkpoint is of another log")
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines():
        signature = _signature_of(line, name, identifier)
        if signature is not None:
            try:
                public_key.verify(signature, f"{text}\n".encode())
            except InvalidSignature as fault:
                raise CheckpointBroken("the checkpoint's signature does not hold") from fault
            return checkpoint
    raise CheckpointBroken("the checkpoint has no signature of this key")


def open_own(note: str, public_key: bytes) -> Checkpoint:
    """Read a checkpoint of ours, whatever the log was called when it was signed; see `open_checkpoint`.

    Raises:
        CheckpointBroken: It is not a checkpoint, or no signature of this key holds.
    """
    return open_checkpoint(note, verifier_key(parse(note).origin, public_key))


def _parse_key(key: str) -> tuple[str, bytes, Ed25519PublicKey]:
    name, _, rest = key.partition("+")
    identifier, _, encoded = rest.partition("+")
    try:
        material = b64decode(encoded, validate=True)
    except binascii.Error as fault:
        raise CheckpointBroken("the verifier key cannot be read") from fault
    if material[:1] != _ED25519 or len(material) != 33 or identifier != key_id(name, material[1:]).hex():
        raise CheckpointBroken("the verifier key cannot be read")
    return name, bytes.fromhex(identifier), Ed25519PublicKey.from_public_bytes(material[1:])


def _signature_of(line: str, name: str, identifier: bytes) -> bytes | None:
    """The signature in a line, if it is of this key."""
    start = f"{_LINE_START}{name} "
    if not line.startswith(start):
        return None
    try:
        raw = b64decode(line[len(start) :], validate=True)
    except binascii.Error:
        return None
    return raw[4:] if raw[:4] == identifier else None
