"""A promise that nothing can keep says so itself, or does not pass; and one that can be kept does not say it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.notice.kinds import content, find, made
from troth import notice as room
from troth.notice import Serves, is_marked, unserved

Edit = Callable[[dict[str, Any]], Any]
RIGHT = [
    Serves("right", "object:ask", "route:/x", ("users",)),
    *(Serves("right", f"object:{part}", "route:/x") for part in ("acknowledge", "decide", "answer")),
]


def wrong(edit: Edit, serves: list[Serves], kind: str) -> list[str]:
    plain = content()
    edit(find(plain, kind))
    notice = made(plain)
    clause = next(each for each in notice.clauses if each.kind == kind)
    found = [problem for problem in room.impossible(notice, serves) if problem.what.startswith(f"§ {clause.id}:")]
    assert all(problem.line and problem.hint for problem in found)
    return [problem.what.partition(": ")[2] for problem in found]


def test_what_nothing_serves_is_told_with_what_is_missing() -> None:
    told = wrong(lambda _: None, [], "right")
    assert "this is not possible here: people with an account for work cannot ask for this here" in told
    assert "this is not possible here: nobody answers such a request" in told
    assert wrong(lambda clause: clause.update(not_yet=True), [], "right") == []


def test_a_part_is_named_by_its_word() -> None:
    def extends(clause: dict[str, Any]) -> None:
        clause.update(extension="P2M")

    def says_so(clause: dict[str, Any]) -> None:
        clause.update(extension="P2M", not_yet=["extend"])

    assert wrong(extends, RIGHT, "right") == ["this is not possible here: nobody can take longer and say why"]
    assert wrong(says_so, RIGHT, "right") == []
    assert wrong(says_so, [*RIGHT, Serves("right", "object:extend", "route:/x")], "right") == [
        "it says not_yet of 'extend', and that is there, or no part of it"
    ]


def test_a_mark_on_what_is_served_does_not_pass() -> None:
    assert wrong(lambda clause: clause.update(not_yet=True), RIGHT, "right") == [
        "it says not_yet, and all that it needs is there"
    ]
    assert wrong(lambda clause: clause.update(not_yet=["fun"]), RIGHT, "right") == [
        "it says not_yet of 'fun', and that is there, or no part of it"
    ]


def test_who_is_served_counts() -> None:
    patients = [Serves("right", "object:ask", "route:/x", ("patients",)), *RIGHT[1:]]
    assert wrong(lambda _: None, patients, "right") == [
        "this is not possible here: people with an account for work cannot ask for this here"
    ]


def test_what_needs_nothing_may_be_marked_by_its_author() -> None:
    assert wrong(lambda clause: clause.update(not_yet=True), [], "category") == []


@pytest.mark.parametrize("kind", ["never", "automation", "recipient", "residency", "basis", "contact", "scope"])
def test_a_prohibition_and_a_statement_need_nothing(kind: str, shipped: room.Notice) -> None:
    for notice in (made(content()), shipped):
        assert [need for clause in notice.all(kind) for need in clause.prerequisites(notice)] == []


def test_every_need_says_what_is_missing_in_words_and_has_a_word_for_the_mark(shipped: room.Notice) -> None:
    for notice in (made(content()), shipped):
        for clause in notice.clauses:
            for need in unserved(clause, notice, []):
                assert need.lacks
                assert not need.lacks.endswith(".")
                assert need.part.replace("_", "").isalnum()
                assert is_marked(clause, need) == (clause.not_yet is True or need.part in (clause.not_yet or ()))
