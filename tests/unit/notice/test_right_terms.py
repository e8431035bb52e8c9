from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from troth import notice as room


def test_the_clock_of_a_right(changed: Callable[[Callable[[dict[str, Any]], None]], room.Notice]) -> None:
    def edit(content: dict[str, Any]) -> None:
        clauses = [clause for section in content["sections"] for clause in section["clauses"]]
        next(clause for clause in clauses if clause["id"] == "9.1")["extension"] = "P2M"

    terms = room.right(changed(edit), "access")
    received = datetime(2026, 11, 22, 9, tzinfo=UTC)  # a Sunday
    assert terms.clause_id == "9.1"
    assert str(terms.period) == "P1M"
    assert terms.is_free
    assert terms.due_at(received) == datetime(2026, 12, 22, 23, 59, 59, tzinfo=UTC)
    assert terms.due_at(received, is_extended=True) == datetime(2027, 2, 22, 23, 59, 59, tzinfo=UTC)
    assert terms.acknowledge_by(received) == datetime(2026, 11, 25, 23, 59, 59, tzinfo=UTC)


def test_an_objection_stands_against_a_legitimate_interest_only(shipped: room.Notice) -> None:
    terms = shipped.right("object")
    assert terms.stands_against("A6-1-f")
    assert terms.stands_against("eu-gdpr:A6-1-e")
    assert not any(terms.stands_against(basis) for basis in ("A6-1-a", "eu-gdpr:A6-1-b", "A6-1-c", "A6-1-d"))


def test_every_right_of_the_story_is_granted(shipped: room.Notice) -> None:
    for kind in ("access", "rectify", "erase", "restrict", "object", "port"):
        assert shipped.right(kind).clause_id.startswith("9.")


def test_an_objection_waits_for_a_person_where_the_notice_says_so(shipped: room.Notice) -> None:
    assert room.right(shipped, "object").is_decided_by_person
    assert not room.right(shipped, "access").is_decided_by_person
