"""Leaves are canonical, and every column of a row is in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from troth.ledger import leaf, store
from troth.ledger.merkle import leaf_hash
from troth.ledger.model import PLATFORM

ROW: dict[str, Any] = {
    "tenant": UUID(int=1),
    "id": UUID(int=2),
    "at": datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC),
    "kind": "archive:study:opened",
    "actor_id": UUID(int=3),
    "actor_kind": "user",
    "role": "clinician",
    "subject_id": UUID(int=4),
    "study_id": UUID(int=5),
    "purpose": "diagnosis",
    "clauses": ["4.1", "5.1"],
    "decision_id": UUID(int=6),
    "outcome": "done",
    "counts": {"series": 1, "instances": 3},
    "key": b"k",
    "payload": b"sealed",
    "v": 1,
}
MORE: dict[str, Any] = {
    "refs": [["request", str(UUID(int=8))]],
    "says": {"right": "access"},
    "dates": {"due": "2026-04-04"},
}
SECOND: dict[str, Any] = {
    **ROW,
    "v": 2,
    "notice": "imaging-cloud@3",
    "action": "retrieve",
    "via": "viewer",
    "session": UUID(int=7),
    "more": MORE,
    "payload_commit": b"commit",
    "mac": b"code",
}
OTHER: dict[str, Any] = {
    **{name: UUID(int=99) for name in ("tenant", "id", "actor_id", "subject_id", "study_id", "decision_id")},
    **dict.fromkeys(("kind", "actor_kind", "role", "purpose", "outcome"), "other"),
    "at": ROW["at"] + timedelta(microseconds=1),
    "clauses": ["5.1", "4.1"],
    "counts": {"series": 1, "instances": 4},
    "key": b"l",
    "payload": b"sealec",
    **dict.fromkeys(("notice", "action", "via"), "other"),
    "v": 3,
    "session": UUID(int=99),
    "more": {**MORE, "says": {"right": "erase"}},
    "payload_commit": b"committ",
}
CALLED = {"payload": "payload_sha256", "more": "says"}


@pytest.mark.asvs("V16.2.4")
def test_the_bytes_are_these() -> None:
    assert leaf.canonical(leaf.fields(ROW, 7, 2, b"\xab")).decode() == (
        '{"actor_id":"00000000-0000-0000-0000-000000000003","actor_kind":"user","at":"2026-03-04T05:06:07.000008Z",'
        '"clauses":["4.1","5.1"],"counts":{"instances":3,"series":1},"decision_id":"00000000-0000-0000-0000-000000000006",'
        '"id":"00000000-0000-0000-0000-000000000002","index":7,"key":"6b","kind":"archive:study:opened","outcome":"done",'
        f'"payload_sha256":"{sha256(b"sealed").hexdigest()}","purpose":"diagnosis","role":"clinician",'
        '"study_id":"00000000-0000-0000-0000-000000000005","subject_id":"00000000-0000-0000-0000-000000000004",'
        '"subject_prev":"ab","subject_seq":2,"tenant":"00000000-0000-0000-0000-000000000001","v":1}'
    )


@pytest.mark.asvs("V16.2.2")
def test_absent_is_null_and_the_zone_does_not_matter() -> None:
    row = {**ROW, "tenant": PLATFORM, "actor_id": None, "payload": None, "key": None}
    written = json.loads(leaf.canonical(leaf.fields(row, 0, None, None)))
    assert {name for name, value in written.items() if value is None} == {
        "tenant",
        "actor_id",
        "payload_sha256",
        "key",
        "subject_seq",
        "subject_prev",
    }
    elsewhere = {**ROW, "at": ROW["at"].astimezone(timezone(timedelta(hours=5)))}
    assert leaf.fields(elsewhere, 0, 1, None) == leaf.fields(ROW, 0, 1, None)


def test_version_two_says_more_where_there_is_more_to_say() -> None:
    first, second = leaf.fields(ROW, 7, 2, None), leaf.fields(SECOND, 7, 2, None)
    added = {name: value for name, value in second.items() if name not in first}
    assert added == {
        "notice": "imaging-cloud@3", "action": "retrieve", "via": "viewer", "session": str(UUID(int=7)),
        "payload_commit": b"commit".hex(), **MORE,
    }  # fmt: skip
    silent = {**SECOND, "notice": "", "action": "", "via": "", "session": None, "more": None, "payload_commit": None}
    assert leaf.fields(silent, 7, 2, None).keys() == leaf.fields(ROW, 7, 2, None).keys()


def test_a_row_cannot_hide_under_names_that_nobody_writes() -> None:
    """Else a column of JSON could say `actor_id` anew, or hold what no leaf commits to."""
    written = leaf.fields(SECOND, 7, 2, None)
    found = leaf.fields({**SECOND, "more": {**MORE, "actor_id": "x"}}, 7, 2, None)
    assert leaf.differences(leaf.canonical(written), found) == ["more"]


@pytest.mark.parametrize("column", [name for name in store.COLUMNS if name != "mac"])
def test_each_column_is_under_the_code(column: str) -> None:
    assert leaf.covered(SECOND) == leaf.covered({**SECOND, "at": SECOND["at"].astimezone(timezone(timedelta(hours=5)))})
    assert leaf.covered({**SECOND, column: OTHER[column]}) != leaf.covered(SECOND)


@pytest.mark.parametrize("column", [name for name in store.COLUMNS if name != "mac"])
def test_each_column_is_committed(column: str) -> None:
    written = leaf.canonical(leaf.fields(SECOND, 7, 2, b"\xab"))
    row = {
        **SECOND,
        "index": 7,
        "subject_seq": 2,
        "subject_prev": b"\xab",
        "leaf": written,
        "leaf_hash": leaf_hash(written),
    }
    assert leaf.check(row) == []
    (broken,) = leaf.check({**row, column: OTHER[column]})
    assert broken.index == 7
    assert broken.what == f"changed: {CALLED.get(column, column)}"


@pytest.mark.parametrize(("column", "value"), [("index", 8), ("subject_seq", 3), ("subject_prev", b"\xac")])
def test_the_place_is_committed(column: str, value: object) -> None:
    written = leaf.canonical(leaf.fields(ROW, 7, 2, b"\xab"))
    row = {
        **ROW,
        "index": 7,
        "subject_seq": 2,
        "subject_prev": b"\xab",
        "leaf": written,
        "leaf_hash": leaf_hash(written),
    }
    assert [broken.what for broken in leaf.check({**row, column: value})] == [f"changed: {column}"]


def test_a_leaf_that_is_no_leaf_is_named() -> None:
    found = leaf.fields(ROW, 7, 2, b"\xab")
    for text in (b"", b"[]", b"\xff", leaf.canonical(found) + b" "):
        assert leaf.differences(text, found) == ["leaf"]
    row = {
        **ROW,
        "index": 7,
        "subject_seq": 2,
        "subject_prev": b"\xab",
        "leaf": leaf.canonical(found),
        "leaf_hash": b"",
    }
    assert [broken.what for broken in leaf.check(row)] == ["changed: leaf_hash"]
