# ruff: noqa: E501 - tables of edits and of decisions
"""Every kind of clause: what it says, what is wrong with it, and what it decides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from tests.unit.notice.kinds import content, find, made
from troth import notice as room
from troth.notice import clauses
from troth.notice.vocabulary import places
from troth.policy.decision import Decider
from troth.policy.facts import FactSet
from troth.policy.model import Actor, Target

Edit = Callable[[dict[str, Any]], Any]
LAW = {"source": "GDPR Art. 14(3)(a)", "effective_on": "2018-05-25", "review_on": "2027-06-30"}


@pytest.fixture(scope="module")
def small() -> room.Notice:
    return made(content())


def test_the_small_notice_has_every_kind_and_passes(small: room.Notice) -> None:
    seen = {clause.kind for clause in small.clauses}
    assert set(clauses.registry()) - seen == {"capacity", "hold", "logging", "never", "safeguard"}
    assert room.check(small, today=date(2026, 11, 22)) == []


def test_every_sentence_says_how_it_is_kept(small: room.Notice) -> None:
    for clause in small.clauses:
        said = room.sentence(small, clause.id)
        assert said.says
        assert said.enforcer
        assert all(row.words for row in said.kept)


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda n: find(n, "transfer").update(destinations=["US", "GB"]), "a transfer from a country to itself"),
        (lambda n: find(n, "transfer").update(valid_until="2025-01-01"), "the instrument ends before it begins"),
        (lambda n: find(n, "transfer").update(instrument="derogation"), "a derogation is named where one is used"),
        (lambda n: find(n, "marketing").update(purposes=["fun"]), "the purpose 'fun' is not in this notice"),
        (lambda n: find(n, "marketing").update(consent="fun"), "the consent 'fun' is not in this notice"),
        (lambda n: find(n, "marketing").pop("consent"), "a soft opt-in is an exception from a consent"),
        (lambda n: find(n, "marketing").pop("headers"), "e-mail stops by a link and carries no headers"),
        (lambda n: find(n, "deidentification").update(purposes=["fun"]), "the purpose 'fun' is not in this notice"),
        (lambda n: find(n, "deidentification").update(smallest_group=1), "a group of one is a person"),
        (lambda n: find(n, "minor")["bands"][1].update(from_years=12), "the age bands overlap or leave a gap"),
        (lambda n: find(n, "minor").pop("guardian_proof"), "nobody says how one is known"),
        (lambda n: [find(n, "scope").pop("includes"), find(n, "scope").pop("excludes")], "nothing about what is in"),
        (lambda n: find(n, "scope").update(purposes=["fun"]), "the purpose 'fun' is not in this notice"),
        (lambda n: find(n, "legal_order").update(purposes=["fun"]), "the purpose 'fun' is not in this notice"),
        (lambda n: find(n, "surface").update(purposes=["fun"]), "the purpose 'fun' is not in this notice"),
        (lambda n: find(n, "surface")["fields"][0].update(category="moods"), "the category 'moods' is not in this notice"),
        (lambda n: find(n, "surface").update(fields=[]), "a form without fields collects nothing"),
        (lambda n: find(n, "surface")["fields"][1].update(name="email"), "a field stands twice"),
        (lambda n: find(n, "basis").update(review_on="2025-01-01"), "the review is before the assessment"),
        (lambda n: find(n, "basis").update(purposes=["fun"]), "the purpose 'fun' is not in this notice"),
        (lambda n: find(n, "basis").update(purposes=["news"]), "§ 1.4 rests on another basis"),
        (lambda n: find(n, "cookie")["cookies"][0].update(consent="fun"), "the consent 'fun' is not in this notice"),
        (lambda n: find(n, "source").pop("told_within"), "people of whom we hear from others have to be told"),
        (lambda n: find(n, "source").update(told_within="P2M"), "the law gives a month at most to tell somebody"),
        (lambda n: [find(n, "source").pop("told_within"), find(n, "source").update(law=LAW)], "a law about telling, and nobody is told"),
        (lambda n: find(n, "source").update(purposes=["fun"]), "the purpose 'fun' is not in this notice"),
        (lambda n: find(n, "source").update(categories=["moods"]), "the category 'moods' is not in this notice"),
        (lambda n: find(n, "right").update(right="access", decided_by="person"), "decided_by belongs to the right to object"),
        (lambda n: find(n, "amendment").update(mails="never"), "mailed changes and which they are belong together"),
        (lambda n: find(n, "recipient", 1)["contract"].update(ends_on="2025-01-01"), "the contract ends before it was signed"),
        (lambda n: find(n, "recipient", 1)["contract"].pop("signed_on"), "a contract has a day on which it was signed"),
        (lambda n: find(n, "recipient", 2)["contract"].pop("why_none"), "why no contract is needed is said where none is"),
        (lambda n: find(n, "recipient", 1).update(categories=["moods"]), "the category 'moods' is not in this notice"),
        (lambda n: find(n, "recipient", 1).update(passes_to=["friends"]), "the recipient 'friends' is not in this notice"),
        (lambda n: [find(n, "recipient", 1).update(passes_to=["courts"]), find(n, "recipient", 2).update(passes_to=["printer"])],
         "the recipient 'printer' passes data on to itself"),
        (lambda n: find(n, "recipient", 1).update(country="CN"), "the recipient 'printer' is in CN, and no transfer leads there"),
        (lambda n: [find(n, "recipient", 1).update(is_sale=True), n["sections"][0]["clauses"].append(
            {"id": "1.90", "kind": "never", "purposes": ["sale"], "says": "No sale."})], "the notice says that nothing is sold"),
        (lambda n: find(n, "purpose").update(regions=["CN"]), "§ 1.3 happens in CN, where nothing is kept"),
        (lambda n: [find(n, "purpose").update(regions=["CN"]), find(n, "residency").update(leaves=True)], "§ 1.3 happens in CN, and no transfer leads there"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(edit: Edit, what: str) -> None:
    plain = content()
    edit(plain)
    problems = room.check(made(plain))
    assert any(what in problem.what and problem.hint for problem in problems), problems


def test_a_region_that_is_reached_by_a_transfer_is_no_problem() -> None:
    plain = content()
    find(plain, "purpose")["regions"] = ["US"]
    find(plain, "residency")["leaves"] = True
    find(plain, "residency", 1)["leaves"] = True
    assert room.check(made(plain)) == []


def test_two_promises_about_changes_agree() -> None:
    plain = content()
    plain["sections"][0]["clauses"].append({"id": "1.90", "kind": "amendment", "tells": ["posted"], "says": "Else."})
    assert any("tells of changes in another way" in problem.what for problem in room.check(made(plain)))


@pytest.mark.parametrize(
    ("today", "what"),
    [
        (date(2027, 6, 1), "the contract ended on 2027-01-01"),
        (date(2027, 6, 1), "the instrument ended on 2027-01-01"),
        (date(2027, 6, 1), "the assessment ended on 2027-01-01"),
        (date(2025, 6, 1), "the instrument begins only on 2026-01-01"),
    ],
)
def test_what_has_ended_or_not_begun_is_named(small: room.Notice, today: date, what: str) -> None:
    assert any(what in problem.what for problem in room.check(small, today=today))


def test_an_enforcer_is_a_part_of_the_program(small: room.Notice) -> None:
    there = {clause.enforcer() for clause in small.clauses}
    assert room.check(small, modules=there) == []
    problems = room.check(small, modules=there - {"policy.decision"})
    assert any("'policy.decision' has to keep this promise" in problem.what for problem in problems)


def test_groups_of_countries() -> None:
    assert places(["EEA", "US"]) >= {"NO", "FR", "US"}
    assert "NO" not in places(["EU"])


WORKER = Actor("user", None, None, "office")
SENT = {
    "recipient:printer",
    "category:contacts",
    "from:GB",
    "to:US",
    "contract:printer",
    "instrument:printer_scc",
    "order_document",
    "order_review",
    "deidentified:counts",
}


@pytest.fixture(scope="module")
def decider(small: room.Notice) -> Decider:
    return Decider(room.compile([small]))


def forbids(decider: Decider, action: str, purpose: str, claims: set[str]) -> tuple[str, ...]:
    """The clauses that forbid."""
    subject = Target("subject", None)
    return decider.decide(WORKER, action, subject, purpose, FactSet(claims=frozenset(claims))).forbidden_by


@pytest.mark.parametrize(
    ("action", "purpose", "claims", "kind"),
    [
        ("disclose", "contact", SENT - {"contract:printer"}, "recipient"),
        ("disclose", "contact", SENT | {"category:interests"}, "recipient"),
        ("disclose", "contact", SENT - {"instrument:printer_scc"}, "transfer"),
        ("disclose", "contact", SENT - {"to:US"} | {"to:CN"}, "residency"),
        ("disclose", "contact", SENT - {"order_document"}, "legal_order"),
        ("disclose", "contact", SENT - {"order_review"}, "legal_order"),
        ("disclose", "contact", SENT - {"deidentified:counts"}, "deidentification"),
        ("disclose", "contact", SENT | {"objection:contact"}, "right"),
        ("send_message", "news", {"channel:email"}, "consent"),
        ("send_message", "news", {"channel:email"}, "marketing"),
        ("send_message", "news", {"channel:sms", "consent:news:sms"}, "marketing"),
        ("send_message", "news", {"channel:post"}, "consent"),
        ("send_message", "news", {"channel:email", "consent:news:email", "stopped:email"}, "marketing"),
        ("decide_about", "contact", {"decision:account_closure"}, "automation"),
        ("decide_about", "contact", {"ground:law"}, "automation"),
        ("see_log", "news", {"governed_by:licensed_products"}, "scope"),
        ("see_log", "contact", {"governed_by:offline"}, "scope"),
        ("see_log", "hosting", {"agreement:baa", "controller:US"}, "instruction"),
        ("see_log", "hosting", {"instruction:standard", "controller:US"}, "instruction"),
    ],
)
def test_what_a_clause_forbids(
    decider: Decider, small: room.Notice, action: str, purpose: str, claims: set[str], kind: str
) -> None:
    forbidden = forbids(decider, action, purpose, claims)
    assert kind in {clause.kind for clause in small.clauses if clause.id in forbidden}


@pytest.mark.parametrize(
    ("action", "purpose", "claims"),
    [
        ("disclose", "contact", SENT),
        ("disclose", "contact", SENT - {"instrument:printer_scc"} | {"instrument:asked"}),
        ("send_message", "news", {"channel:email", "consent:news:email"}),
        ("decide_about", "contact", {"decision:account_closure", "decided_by_person"}),
        ("see_log", "contact", {"governed_by:licensed_products"}),
        ("see_log", "hosting", {"instruction:standard", "agreement:baa", "controller:US"}),
        ("see_log", "hosting", {"controller:GB"}),
    ],
)
def test_what_no_clause_forbids(decider: Decider, action: str, purpose: str, claims: set[str]) -> None:
    assert forbids(decider, action, purpose, claims) == ()


@pytest.mark.parametrize(
    ("claims", "is_forbidden"),
    [({"age:child"}, True), ({"age:youth"}, True), ({"age:youth", "guardian"}, False), ({"age:young"}, False)],
)
def test_ages(decider: Decider, claims: set[str], is_forbidden: bool) -> None:
    verdict = decider.decide(WORKER, "register", Target("platform"), "contact", FactSet(claims=frozenset(claims)))
    assert bool(verdict.forbidden_by) == is_forbidden


def test_terms_come_first(decider: Decider) -> None:
    study = Target("study", None)
    for claims, is_forbidden in (({"accepted:terms"}, False), (set(), True)):
        verdict = decider.decide(WORKER, "retrieve", study, "contact", FactSet(claims=frozenset(claims)))
        assert bool(verdict.forbidden_by) == is_forbidden


def test_law_that_nobody_looked_at_again_is_named(shipped: room.Notice) -> None:
    found = [problem.what for problem in room.check(shipped, today=date(2028, 1, 1))]
    assert "§ 8.1: the last look at the law ended on 2027-03-01" in found
    assert "§ 9.1: the last look at the law ended on 2027-06-30" in found


def test_an_order_may_have_to_stay_secret() -> None:
    plain = content()
    find(plain, "legal_order")["tells_subject"] = False
    notice = made(plain)
    (order,) = notice.all("legal_order")
    assert "You" not in {row.term for row in room.sentence(notice, order.id).kept}


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda n: find(n, "transfer").pop("instrument"), "'instrument' is missing"),
        (
            lambda n: find(n, "transfer").update(instrument="privacy_shield"),
            "unknown value 'privacy_shield' in instrument",
        ),
        (lambda n: find(n, "legal_order").update(needs=[]), "not accepted in needs"),
        (lambda n: find(n, "consent").update(purposes=[]), "not accepted in purposes"),
    ],
)
def test_what_a_promise_cannot_do_without_is_missed(edit: Edit, what: str) -> None:
    plain = content()
    edit(plain)
    with pytest.raises(room.NoticeMalformed) as caught:
        made(plain)
    assert any(what in problem.what and problem.hint for problem in caught.value.problems), caught.value.problems
