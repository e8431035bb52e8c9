"""Entries refuse what must not be in the clear; vocabulary; proofs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tests.unit.ledger.conftest import SmallKeyring
from troth import ledger
from troth.ledger import (
    Broken,
    Checkpoint,
    CheckpointBroken,
    Completeness,
    Entry,
    EntryRefused,
    Proof,
    ProofBroken,
    UnknownKind,
    merkle,
    note,
)

GOOD: dict[str, Any] = {"kind": "archive:study:opened", "tenant": UUID(int=1)}


def test_every_kind_has_its_form_and_its_sentence() -> None:
    for kind, sentence in ledger.KINDS.items():
        assert re.fullmatch(r"[a-z]+:[a-z]+:[a-z_]+", kind)
        assert ledger.sentence(kind) == sentence
        assert sentence.endswith(".")
    for kind in ("archive:study:seen", ""):
        with pytest.raises(UnknownKind):
            ledger.sentence(kind)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "archive:study:seen"},
        {"outcome": "maybe"},
        {"role": "Dr Jane Smith"},
        {"purpose": "for jane@example.org"},
        {"actor_kind": "x" * 65},
        {"clauses": ("4.1", "a,b")},
        {"clauses": ("4.1",) * 65},
        {"counts": {"Jane": 1}},
        {"counts": {"instances": 1.5}},
        {"counts": {"instances": True}},
        {"counts": {"instances": 2**53}},
        {"counts": {f"n{number}": 1 for number in range(65)}},
        {"payload": {"name": "Jane"}},
    ],
    ids=str,
)
def test_an_entry_refuses(wrong: dict[str, Any]) -> None:
    Entry(**GOOD)
    with pytest.raises(EntryRefused):
        Entry(**{**GOOD, **wrong})


def test_nothing_personal_shows_in_a_representation() -> None:
    assert "Jane" not in repr(Entry(**GOOD, key=b"k", payload={"name": "Jane"}))


def test_completeness_says_when_it_is() -> None:
    assert Completeness(6, 6, 1, b"").is_complete
    assert not Completeness(5, 6, 1, b"").is_complete
    assert not Completeness(6, 6, 0, b"", (Broken(1, None, "changed: purpose"),)).is_complete


def test_a_proof_holds_alone_and_no_changed_one_does() -> None:
    keyring = SmallKeyring()
    leaves = [b"a", b"b", b"c"]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    checkpoint = note.sign("troth.test/log", 3, merkle.root_of(hashes), keyring)
    key = note.verifier_key("troth.test/log", keyring.public_key)
    proof = Proof(UUID(int=1), b"b", 1, (hashes[0], hashes[2]), checkpoint)
    ledger.verify_inclusion(proof, key)
    assert proof.size == 3
    lines = proof.text.split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra Yg==", "index 1"]
    assert proof.text.endswith(checkpoint.note)
    for changed in (replace(proof, leaf=b"x"), replace(proof, index=0), replace(proof, path=proof.path[::-1])):
        with pytest.raises(ProofBroken):
            ledger.verify_inclusion(changed, key)
    forged = Checkpoint("troth.test/log", 3, checkpoint.root, checkpoint.note.replace("\n3\n", "\n4\n"))
    with pytest.raises(CheckpointBroken):
        ledger.verify_inclusion(replace(proof, checkpoint=forged), key)
