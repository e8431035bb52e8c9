"""Leaves: what of an entry is committed to the tree, as canonical bytes.

A leaf is JSON in the manner of RFC 8785 (sorted keys, no blanks, whole numbers only) of every clear column, the hash of
the sealed payload, and the entry's place. It holds commitments and our random ids, nothing personal, so it stays when
a key is destroyed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from troth.ledger.merkle import leaf_hash
from troth.ledger.model import PLATFORM, Broken

VERSION = 1

Value = str | int | None | list[str] | dict[str, int]


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Canonical bytes of JSON that holds text and whole numbers only.

    Per: RFC 8785. Keys are ASCII here, so sorting by code point is sorting by UTF-16 unit.
    """
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def fields(row: Mapping[str, Any], index: int, subject_seq: int | None, subject_prev: bytes | None) -> dict[str, Value]:
    """What a leaf says about a row of `ledger_entry`.

    Args:
        row: The row, with all its columns.
        index: Number of the leaf.
        subject_seq: Number among the leaves of the same subject, from 1.
        subject_prev: Hash of the subject's leaf before.
    """
    at: datetime = row["at"]
    return {
        "v": VERSION,
        "index": index,
        "id": str(row["id"]),
        "tenant": None if row["tenant"] == PLATFORM else str(row["tenant"]),
        "at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "kind": row["kind"],
        "actor_id": _id(row["actor_id"]),
        "actor_kind": row["actor_kind"],
        "role": row["role"],
        "subject_id": _id(row["subject_id"]),
        "study_id": _id(row["study_id"]),
        "purpose": row["purpose"],
        "clauses": list(row["clauses"]),
        "decision_id": _id(row["decision_id"]),
        "outcome": row["outcome"],
        "counts": dict(row["counts"]),
        "key": _hex(row["key"]),
        "payload_sha256": None if row["payload"] is None else sha256(row["payload"]).hexdigest(),
        "subject_seq": subject_seq,
        "subject_prev": _hex(subject_prev),
    }


def differences(leaf: bytes, found: Mapping[str, Value]) -> list[str]:
    """Names of the fields in which a leaf and what a row gives now differ.

    Returns:
        The names in order; ``["leaf"]`` where the leaf itself cannot be read.
    """
    try:
        written = json.loads(leaf)
    except ValueError:
        return ["leaf"]
    if not isinstance(written, dict):
        return ["leaf"]
    names = sorted(name for name in {*written, *found} if written.get(name) != found.get(name))
    return names or ["leaf"]


def check(row: Mapping[str, Any]) -> list[Broken]:
    """What is wrong with an entry and its leaf, from a row that has the columns of both.

    Returns:
        Nothing where every column gives the leaf that was written.
    """
    found = fields(row, row["index"], row["subject_seq"], row["subject_prev"])
    wrong = []
    if canonical(found) != row["leaf"]:
        wrong += differences(row["leaf"], found)
    if leaf_hash(row["leaf"]) != row["leaf_hash"]:
        wrong.append("leaf_hash")
    return [Broken(row["index"], row["id"], f"changed: {', '.join(wrong)}")] if wrong else []


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
