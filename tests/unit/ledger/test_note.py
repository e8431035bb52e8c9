"""Signed notes against the example of the specification, and against change."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.unit.ledger.conftest import SmallKeyring
from troth.ledger import CheckpointBroken, note, open_checkpoint

# C2SP signed-note, "Example"
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_LINE = (
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
)
ROOT = sha256(b"root").digest()


@pytest.mark.asvs("V11.6.1")
def test_key_id_and_signature_are_those_of_the_specification() -> None:
    public_key = b64decode(EXAMPLE_KEY.rpartition("+")[2])[1:]
    assert note.verifier_key("example.com/foo", public_key) == EXAMPLE_KEY
    signature = b64decode(EXAMPLE_LINE.rpartition(" ")[2])
    assert signature[:4] == note.key_id("example.com/foo", public_key)
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature[4:], b"This is an example message.\n")


@pytest.fixture(name="signer", scope="module")
def _signer() -> SmallKeyring:
    return SmallKeyring()


def test_a_signed_checkpoint_opens(signer: SmallKeyring) -> None:
    made = note.sign("troth.test/log", 42, ROOT, signer)
    assert made.note.startswith(f"troth.test/log\n42\n{b64encode(ROOT).decode()}\n\n— troth.test/log ")
    assert open_checkpoint(made.note, note.verifier_key("troth.test/log", signer.public_key)) == made


def test_signatures_of_witnesses_are_passed_over(signer: SmallKeyring) -> None:
    made = note.sign("troth.test/log", 42, ROOT, signer)
    text, _, own = made.note.rpartition("\n\n")
    witnessed = f"{text}\n\n— witness.example AAAAAAAA\n— troth.test/log AAAAAAAA\n— troth.test/log !\n{own}"
    opened = open_checkpoint(witnessed, note.verifier_key("troth.test/log", signer.public_key))
    assert (opened.size, opened.root) == (42, ROOT)


def test_whatever_was_changed_does_not_open(signer: SmallKeyring) -> None:
    made = note.sign("troth.test/log", 42, ROOT, signer).note
    key = note.verifier_key("troth.test/log", signer.public_key)
    broken = [
        "",
        "troth.test/log\n42\n",
        made.replace("\n42\n", "\n43\n"),
        made.replace("\n42\n", "\n042\n"),
        made.replace("\n42\n", "\n4²\n"),
        made.replace("\n42\n", "\n\n"),
        made.replace("troth.test/log\n42", "troth.other/log\n42"),
        made.replace("— troth.test/log", "— troth.other/log"),
        made.replace(b64encode(ROOT).decode(), "!"),
        made.replace(b64encode(ROOT).decode(), "AAAA"),
        made.rstrip("\n"),
    ]
    for text in broken:
        with pytest.raises(CheckpointBroken):
            open_checkpoint(text, key)
    with pytest.raises(CheckpointBroken, match="no signature of this key"):
        open_checkpoint(made, note.verifier_key("troth.test/log", SmallKeyring().public_key))
    for other in ("", "troth.test/log", "troth.test/log+00000000+AAAA", key[:-1] + "!", key.replace("test", "tist")):
        with pytest.raises(CheckpointBroken):
            open_checkpoint(made, other)
