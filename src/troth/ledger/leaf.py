"""Leaves: what of an entry is committed to the tree, as canonical bytes.

A leaf is JSON in the manner of RFC 8785 (sorted keys, no blanks, whole numbers only) of every clear column, the hash of
the sealed payload, and the entry's place. It holds commitments and our random ids, nothing personal, so it stays when
a key is destroyed.

Version 2 adds `notice`, `action`, `via`, `session`, the parts of `clear.Clear` and `payload_commit`, each only where
there is something to say. Version 1 has none of them.

Each entry also carries a code (HMAC-SHA256 under a key of the keyring) over all its columns, made where it is written:
somebody with all power over the database alone can insert a row, but none that the sequencer would give a leaf.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from troth.ledger.clear import PARTS
from troth.ledger.merkle import leaf_hash
from troth.ledger.model import PLATFORM, Broken
from troth.ledger.sealer import Sealer

CHAIN_COLUMNS = ("id", "index", "subject_seq", "subject_prev", "leaf_hash")
"""What `check_chain` reads of a row."""
VERSION = 2
"""Of the leaves that are written now. Those of version 1 stay as they are: `fields` picks by the row's own version."""

Value = str | int | None | list[Any] | dict[str, Any]

_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Canonical bytes of JSON that holds text and whole numbers only.

    Per: RFC 8785. Keys are ASCII here, so sorting by code point is sorting by UTF-16 unit.
    """
    return _ENCODE(fields).encode()


def fields(row: Mapping[str, Any], index: int, subject_seq: int | None, subject_prev: bytes | None) -> dict[str, Value]:
    """What a leaf says about a row of `ledger_entry`.

    Args:
        row: The row, with all its columns.
        index: Number of the leaf.
        subject_seq: Number among the leaves of the same subject, from 1.
        subject_prev: Hash of the subject's leaf before.
    """
    at: datetime = row["at"]
    found: dict[str, Value] = {
        "v": row["v"],
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
    if row["v"] > 1:
        more: Mapping[str, Any] = row["more"] or {}
        added = {
            "notice": row["notice"],
            "action": row["action"],
            "via": row["via"],
            "session": _id(row["session"]),
            "payload_commit": _hex(row["payload_commit"]),
            **{name: more.get(name) for name in PARTS},
            "more": sorted(set(more).difference(PARTS)),  # which nobody wrote
        }
        found.update((name, value) for name, value in added.items() if value)
    return found


def covered(row: Mapping[str, Any]) -> bytes:
    """What the code of an entry is made over: every column, the payload by its hash, NUL between them.

    No column can hold a NUL and their number is fixed, so two different rows never give the same bytes.

    Args:
        row: The row as it is to be written, or as it is found.
    """
    at: datetime = row["at"]
    payload, more = row["payload"], row["more"]
    return "\0".join(
        (
            str(row["v"]), row["tenant"].hex, row["id"].hex, at.astimezone(UTC).isoformat(), row["kind"],
            _short(row["actor_id"]), row["actor_kind"], row["role"], _short(row["subject_id"]), _short(row["study_id"]),
            row["purpose"], ",".join(row["clauses"]), _short(row["decision_id"]), row["outcome"],
            ",".join(f"{name}={count}" for name, count in sorted(row["counts"].items())),
            row["key"].hex() if row["key"] is not None else "",
            sha256(payload).hexdigest() if payload is not None else "", row["notice"], row["action"], row["via"],
            _short(row["session"]), _ENCODE(more) if more else "",
            row["payload_commit"].hex() if row["payload_commit"] is not None else "",
        )
    ).encode()  # fmt: skip


def is_coded(row: Mapping[str, Any], sealer: Sealer) -> bool:
    """Whether the platform wrote the entry of a row: its code is there, and is of all of its columns."""
    return row["mac"] is not None and hmac.compare_digest(row["mac"], sealer.mac(covered(row)))


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


def _short(value: UUID | None) -> str:
    return "" if value is None else value.hex


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def check_chain(rows: Sequence[Mapping[str, Any]], held: int, head: bytes | None) -> list[Broken]:
    """What does not fit in the chain of a subject's leaves.

    Args:
        rows: `CHAIN_COLUMNS` of each that is there.
        held: How many there are by the count.
        head: The hash of the last one by the count.
    """
    broken = []
    expected, previous = 1, None
    for row in sorted(rows, key=lambda row: int(row["subject_seq"])):
        if row["subject_seq"] != expected:
            broken.append(Broken(row["index"], row["id"], f"missing before: entries {expected} and on of this subject"))
        elif row["subject_prev"] != previous:
            broken.append(Broken(row["index"], row["id"], "the entry before it is another one"))
        expected, previous = row["subject_seq"] + 1, row["leaf_hash"]
    if expected - 1 != held or previous != head:
        broken.append(Broken(None, None, f"the chain ends at {expected - 1} of {held}"))
    return broken
