# ruff: noqa: E501 - a table of edits and what is said about each
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.notice.conftest import FOLDER
from tests.unit.notice.edits import clause_of, remove
from troth import notice as room
from troth.notice.clauses.base import Clause

Edit = Callable[[dict[str, Any]], Any]
Change = Callable[[Edit], room.Notice]


def test_the_shipped_notice_has_no_problem(shipped: room.Notice) -> None:
    assert room.check(shipped) == []
    assert room.check(FOLDER) == []


def test_a_file_that_does_not_load_is_a_list_of_problems(tmp_path: Path) -> None:
    file = tmp_path / "notice.yaml"
    file.write_text("notice: x\n")
    assert {problem.path for problem in room.check(file)} == {str(file)}
    assert room.check(tmp_path / "gone.yaml")[0].what == "the file cannot be read"


def outside(**terms: Any) -> dict[str, Any]:
    return {"id": "5.90", "kind": "recipient", "key": "printer", "says": "A printer.", "is_outside": True, **terms}


def add(section: int, clause: dict[str, Any]) -> Edit:
    return lambda n: n["sections"][section - 1]["clauses"].append(clause)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda n: clause_of(n, "4.1").update(categories=["moods"]), "the category 'moods' is not in this notice"),
        (lambda n: clause_of(n, "4.1").update(recipients=["care_team", "referrers", "friends"]), "the recipient 'friends' is not"),
        (lambda n: clause_of(n, "4.1").update(retention=["forever"]), "the retention 'forever' is not in this notice"),
        (lambda n: clause_of(n, "4.1").pop("condition"), "'images' is health data and the activity has no condition"),
        (lambda n: clause_of(n, "4.1").update(recipients=["care_team"]), "the role 'referrer' gets data that no recipient"),
        (lambda n: clause_of(n, "4.1")["access"][0].update(does=["publish_notice"]), "'publish_notice' cannot be done to"),
        (lambda n: clause_of(n, "1.2")["purposes"].remove("care"), "a processor's activity without an instruction"),
        (lambda n: clause_of(n, "1.2")["purposes"].append("fun"), "§ 1.2: the purpose 'fun' is not in this notice"),
        (lambda n: clause_of(n, "1.2")["purposes"].append("site"), "§ 1.2: § 4.12 is an activity of our own"),
        (lambda n: clause_of(n, "1.3")["purposes"].append("fun"), "§ 1.3: the purpose 'fun' is not in this notice"),
        (lambda n: clause_of(n, "1.3")["purposes"].append("site"), "§ 1.3: § 4.12 says another capacity for 'site'"),
        (lambda n: clause_of(n, "3.1")["categories"].append("moods"), "§ 3.1: the category 'moods' is not in this notice"),
        (lambda n: clause_of(n, "3.3").update(categories=["visits"]), "§ 3.3: a source brings categories, or is never used"),
        (lambda n: clause_of(n, "4.13")["purposes"].append("care"), "uses data for 'care' and says that it never does"),
        (lambda n: clause_of(n, "4.13").update(purposes=[]), "it forbids everything"),
        (lambda n: clause_of(n, "5.1").update(roles=[]), "the recipient 'care_team' is nobody"),
        (lambda n: clause_of(n, "7.1").update(regions=["IE"]), "§ 7.1: § 4.1 happens in GB, where nothing is kept"),
        (lambda n: clause_of(n, "8.1")["minors"].reverse(), "the terms for children are not in order"),
        (lambda n: clause_of(n, "8.1")["minors"][0].update(until_years=3), "a term for children ends before"),
        (lambda n: clause_of(n, "8.1")["law"].update(review_on="2020-01-01"), "the review is before the law applies"),
        (lambda n: clause_of(n, "9.4").pop("still_allowed"), "still_allowed belongs to a restriction"),
        (lambda n: clause_of(n, "9.4")["still_allowed"]["purposes"].append("fun"), "§ 9.4: the purpose 'fun' is not"),
        (lambda n: clause_of(n, "9.6").update(right="access"), "the right 'access' stands twice"),
        (lambda n: clause_of(n, "10.1")["cookies"][0].update(is_necessary=False), "is necessary, or waits for a consent"),
        (lambda n: clause_of(n, "1.5").pop("email"), "a contact that nobody can reach"),
        (lambda n: clause_of(n, "12.1").pop("says"), "§ 12.1: a promise without a sentence"),
        (lambda n: clause_of(n, "12.3").update(id="12.2"), "clause id 12.2 stands twice, first in line"),
        (lambda n: clause_of(n, "12.3").update(id="11.9"), "clause 11.9 stands in section 12"),
        (lambda n: n["sections"][11].update(number=11), "section 11 stands twice"),
        (lambda n: clause_of(n, "4.2").update(key="diagnosis"), "the purpose 'diagnosis' stands twice"),
        (lambda n: n["short"][0].update(clause="99.9"), "In short names clause 99.9, which is not there"),
        (lambda n: n["short"][0].update(audience="visitors"), "In short shows visitors clause 1.2"),
        (lambda n: remove(n, "4.7"), "§ 1.2: the purpose 'findings' is not in this notice"),
        (lambda n: clause_of(n, "2.1").update(iri="dpv-pd:Aura"), "DPV 2.3 has no category 'dpv-pd:Aura'"),
        (add(2, {"id": "2.90", "kind": "category", "key": "moods", "whose": ["users"], "iri": "dpv:X", "says": "Moods."}),
         "no activity uses the category 'moods'"),
        (add(5, outside(name="Printer", country="GB")), "the recipient 'printer' is outside and has no contract"),
        (add(5, outside(contract={"form": "processor", "signed_on": "2026-01-01"})), "outside and has no name or country"),
        (add(5, outside(name="P", country="GB", uses=["sale"], contract={"form": "processor", "signed_on": "2026-01-01"})),
         "the notice says that nothing is used for 'sale'"),
        (lambda n: clause_of(n, "1.5").update(says="We rely on the EU-US Privacy Shield."), "law that no longer stands: Privacy Shield"),
        (lambda n: clause_of(n, "1.5").update(says="See Directive 95/46/EC."), "law that no longer stands: 95/46"),
        (lambda n: clause_of(n, "1.5").update(says="The Data Protection Act 1998 holds."), "law that no longer stands"),
        (lambda n: clause_of(n, "1.5").update(says="Under Safe Harbor."), "law that no longer stands: Safe Harbor"),
    ],
)  # fmt: skip
def test_what_cannot_be_published_is_named_with_place_and_hint(changed: Change, edit: Edit, what: str) -> None:
    problems = room.check(changed(edit))
    found = [problem for problem in problems if what in problem.what]
    assert found, problems
    assert all(problem.hint and problem.line >= 1 and problem.path == "changed.yaml" for problem in found)


def test_a_clause_that_nobody_enforces_does_not_pass(shipped: room.Notice, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = shipped.clause("8.2")
    monkeypatch.setattr(type(hold), "enforcer", Clause.enforcer)
    (problem,) = room.check(shipped)
    assert "nothing enforces a clause of kind 'hold'" in problem.what


def test_a_policy_that_cedar_does_not_take_is_found(shipped: room.Notice, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Clause, notice: object) -> Any:
        yield room.Policy(self.id, '@id("8.2") forbid (principal, action, resource) when { context.mood };', "forbid")

    monkeypatch.setattr(type(shipped.clause("8.2")), "policies", broken)
    assert any("§ 8.2: does not compile" in problem.what for problem in room.check(shipped))


def test_policies_that_cannot_be_read_are_found(shipped: room.Notice, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Clause, notice: object) -> Any:
        yield room.Policy(self.id, "forbid everything", "forbid")

    monkeypatch.setattr(type(shipped.clause("8.2")), "policies", broken)
    assert any(problem.what.startswith("does not compile") for problem in room.check(shipped))


def test_a_recipient_outside_with_a_contract_passes(changed: Change) -> None:
    contract = {"form": "processor", "signed_on": "2026-01-01", "ends_on": "2028-01-01"}
    notice = changed(add(5, outside(name="Printer", country="GB", contract=contract, uses=["care"])))
    assert room.check(notice) == []
    assert any("as processor, signed 2026-01-01" in row.words for row in room.sentence(notice, "5.90").kept)


def test_comments_may_speak_of_old_law() -> None:
    source = (FOLDER / "notice.yaml").read_text() + "# once upon a time there was a privacy shield\n"
    notice = room.parse(source.replace("# once", " # once"))
    assert room.check(notice) == []
