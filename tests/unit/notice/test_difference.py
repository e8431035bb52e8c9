"""What changed, for whom, and whether it weighs on anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.notice.edits import clause_of, remove
from troth import notice as room
from troth.notice import Difference, Notice

Changed = Callable[[Callable[[dict[str, Any]], None]], Notice]


def edited(clause_id: str, **terms: Any) -> Callable[[dict[str, Any]], None]:
    def edit(content: dict[str, Any]) -> None:
        clause_of(content, clause_id).update(terms)

    return edit


def added(section: int, clause: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def edit(content: dict[str, Any]) -> None:
        next(each for each in content["sections"] if each["number"] == section)["clauses"].append(clause)

    return edit


def difference(shipped: Notice, changed: Changed, edit: Callable[[dict[str, Any]], None]) -> Difference:
    return room.diff(shipped, changed(edit))


def more(clause_id: str, term: str, *values: Any) -> Callable[[dict[str, Any]], None]:
    def edit(content: dict[str, Any]) -> None:
        clause = clause_of(content, clause_id)
        clause[term] = [*clause.get(term, []), *values]

    return edit


PARTNER = {
    "id": "5.90", "kind": "recipient", "key": "partner", "is_outside": True, "name": "Partner", "country": "GB",
    "contract": {"form": "processor", "signed_on": "2026-01-01"}, "says": "A partner.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "weight"),
    [
        (added(5, PARTNER), "a new recipient"),
        (added(2, {"id": "2.90", "kind": "category", "key": "voice", "whose": ["patients"], "iri": "dpv-pd:Voice",
                   "says": "Your voice."}), "more data"),
        (more("4.1", "recipients", "support_staff"), "a new recipient"),
        (more("4.1", "categories", "account"), "more data"),
        (more("4.1", "regions", "US"), "another country"),
        (more("7.1", "regions", "IE"), "another country"),
        (more("5.1", "roles", "support"), "a new recipient"),
        (more("6.1", "to", "support"), "a new recipient"),
        (edited("8.1", period="P9Y"), "kept longer"),
        (edited("8.1", minors=[{"below_years": 18, "until_years": 30}]), "kept longer"),
        (edited("8.1", anchor="request_closed_on"), "kept longer"),
        (edited("8.3", contract="longer"), "kept longer"),
    ],
)  # fmt: skip
def test_what_weighs(shipped: Notice, changed: Changed, edit: Any, weight: str) -> None:
    found = difference(shipped, changed, edit)
    assert found.is_material
    assert [each.weights for each in found if each.is_material] == [(weight,)]
    assert "material" in str(next(iter(found)))


@pytest.mark.parametrize(
    "edit",
    [
        edited("4.1", says="To find out what is wrong."),
        edited("1.5", name="F. Fixture"),
        edited("8.1", period="P7Y"),
        edited("8.1", minors=[]),
        edited("8.1", contract="fixed"),
        lambda content: remove(content, "2.9"),
        edited("4.1", id="4.99"),
    ],
    ids=["typo", "contact", "shorter", "no minors", "no contract", "less data", "moved"],
)
def test_what_weighs_nothing(shipped: Notice, changed: Changed, edit: Any) -> None:
    found = difference(shipped, changed, edit)
    assert not found.is_material
    assert found.weighs_on == ()


def test_a_new_purpose(shipped: Notice, changed: Changed) -> None:
    def edit(content: dict[str, Any]) -> None:
        section = next(each for each in content["sections"] if each["number"] == 4)
        section["clauses"].append({**clause_of(content, "4.1"), "id": "4.90", "key": "teaching", "for": ["patients"]})

    found = difference(shipped, changed, edit)
    [change] = found
    assert change.weights == ("a new purpose",)
    assert found.weighs_on == ("patients",)
    assert found.read_by("patients") == (change,)
    assert found.read_by("visitors") == ()


def test_nothing_changed(shipped: Notice) -> None:
    assert len(room.diff(shipped, shipped)) == 0


OUTSIDE = {**PARTNER, "uses": ["care"]}
WAY = {
    "id": "7.90", "kind": "transfer", "key": "scc", "origins": ["GB"], "destinations": ["US"], "instrument": "scc",
    "valid_from": "2026-01-01", "says": "On clauses.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "weight"),
    [
        (more("5.90", "uses", "findings"), "a new purpose"),
        (edited("5.90", country="IE"), "another country"),
        (more("7.90", "destinations", "CA"), "another country"),
    ],
)
def test_what_weighs_of_those_outside(changed: Changed, edit: Any, weight: str) -> None:
    def begin(content: dict[str, Any]) -> None:
        added(5, OUTSIDE.copy())(content)
        added(7, WAY.copy())(content)

    def then(content: dict[str, Any]) -> None:
        begin(content)
        edit(content)

    found = room.diff(changed(begin), changed(then))
    assert [each.weights for each in found] == [(weight,)]


def test_a_way_abroad_that_was_not_there_weighs(shipped: Notice, changed: Changed) -> None:
    assert [each.weights for each in difference(shipped, changed, added(7, WAY))] == [("another country",)]


def test_a_rule_that_was_not_there_and_one_that_is_gone(shipped: Notice, changed: Changed) -> None:
    rule = {
        "id": "8.90",
        "kind": "retention",
        "key": "drafts",
        "period": "P1D",
        "anchor": "written_on",
        "says": "A day.",
    }
    new = difference(shipped, changed, added(8, rule))
    assert [(each.kind, each.weights) for each in new] == [("added", ())]
    gone = room.diff(changed(added(8, rule)), shipped)
    assert [(each.kind, each.after) for each in gone.of("removed")] == [("removed", "")]
    assert str(*gone) == "removed § 8.90: A day."


def test_a_clause_that_became_another_kind_is_gone_and_new(shipped: Notice, changed: Changed) -> None:
    def edit(content: dict[str, Any]) -> None:
        clause = clause_of(content, "8.2")
        clause.clear()
        clause.update(id="8.2", kind="scope", includes=["site"], says="Here.")

    assert {each.kind for each in difference(shipped, changed, edit)} == {"added", "removed"}
