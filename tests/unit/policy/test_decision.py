from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.unit.notice.edits import clause_of, remove
from tests.unit.policy.conftest import GOOD, HERE, SUBJECT, THERE, actor, target
from troth import notice
from troth.notice import loading, reading
from troth.policy import Actor, FactSet, Target
from troth.policy.decision import Decider

PLAIN = reading.read(Path(__file__).parents[3] / "notices" / "imaging-cloud" / "notice.yaml").content


@pytest.fixture(scope="module")
def decider(compiled: notice.Compiled) -> Decider:
    return Decider(compiled)


def after(edit: Callable[[dict[str, Any]], Any]) -> Decider:
    """The shipped notice after a change."""
    content = copy.deepcopy(PLAIN)
    edit(content)
    changed = loading.of_page(reading.Page("changed.yaml", json.dumps(content), content, {}))
    return Decider(notice.compile([changed]))


def test_a_permit_names_its_clauses_basis_and_obligations(decider: Decider) -> None:
    verdict = decider.decide(actor("clinician"), "retrieve", target("study"), "diagnosis", GOOD)
    assert verdict.is_allowed
    assert verdict.allowed_by == ("4.1", "5.1")
    assert verdict.forbidden_by == ()
    assert verdict.basis == "A6-1-f"
    assert verdict.obligations == ("region:GB",)
    assert verdict.label == "imaging-cloud 1"
    assert decider.decide(actor("referrer"), "retrieve", target("study"), "diagnosis", GOOD).allowed_by == (
        "4.1",
        "5.2",
    )
    assert decider.decide(actor("patient"), "retrieve", target("study"), "own_access", GOOD).allowed_by == (
        "4.3",
        "5.10",
    )


STORY = [
    # role, action, kind, purpose, the clauses each of which, when taken out of the notice, takes the right away
    ("clinician", "retrieve", "study", "diagnosis", ("4.1", "5.1", "1.2")),
    ("clinician", "query", "organisation", "care", ("4.2", "5.1", "1.2")),
    ("clinician", "see_log", "study", "care", ("4.2", "5.1", "1.2")),
    ("clinician", "invite", "subject", "care", ("4.2", "5.1", "1.2")),
    ("referrer", "retrieve", "study", "care", ("4.2", "5.2", "1.2")),
    ("peer", "store", "organisation", "care", ("4.2", "5.8", "1.2")),
    ("peer", "query", "organisation", "care", ("4.2", "5.8", "1.2")),
    ("patient", "retrieve", "study", "own_access", ("4.3", "5.10", "1.2")),
    ("patient", "see_log", "study", "own_access", ("4.3", "5.10", "1.2")),
    ("patient", "open_request", "subject", "own_access", ("4.3", "5.10", "1.2")),
    ("patient", "copy", "request", "rights", ("4.4", "5.10", "1.2")),
    ("office", "decide_request", "request", "rights", ("4.4", "5.5", "1.2")),
    ("office", "see_proofs", "ledger", "rights", ("4.4", "5.5", "1.2")),
    ("office", "invite", "subject", "administration", ("4.5", "5.5", "1.2")),
    ("admin", "add_peer", "organisation", "administration", ("4.5", "5.6", "1.2")),
    ("operator", "add_user", "organisation", "administration", ("4.5", "5.11", "1.2")),
    ("worker", "copy", "request", "rights", ("4.4", "5.9", "1.2")),
    ("none", "open_notice", "notice", "site", ("4.12",)),
    ("none", "register", "invitation", "site", ("4.12",)),
    ("none", "sign_in", "platform", "site", ("4.12",)),
]


@pytest.mark.parametrize(("role", "action", "kind", "purpose", "clauses"), STORY)
def test_the_right_is_there(decider: Decider, role: str, action: str, kind: str, purpose: str, clauses: Any) -> None:
    verdict = decider.decide(actor(role), action, target(kind), purpose, GOOD)
    assert verdict.is_allowed
    assert verdict.allowed_by[0] == clauses[0]


@pytest.mark.parametrize("clause_id", sorted({clause for story in STORY for clause in story[4]}))
def test_without_the_clause_the_right_is_gone_and_the_others_stay(decider: Decider, clause_id: str) -> None:
    without = after(lambda content: remove(content, clause_id))
    for role, action, kind, purpose, clauses in STORY:
        who, what = actor(role), target(kind)
        assert decider.decide(who, action, what, purpose, GOOD).is_allowed
        is_allowed = without.decide(who, action, what, purpose, GOOD).is_allowed
        assert is_allowed is (clause_id not in clauses), (role, action, kind, purpose)


# clause, and what it alone forbids
FORBIDDEN: list[tuple[str, Actor, str, Target, str, FactSet]] = [
    (
        "8.2",
        actor("worker"),
        "erase",
        target("study", attributes=(("request", "r"),)),
        "rights",
        replace(GOOD, is_held=True),
    ),
    ("9.4", actor("clinician"), "retrieve", target("study", is_restricted=True), "diagnosis", GOOD),
    ("9.4", actor("clinician"), "query", target("study"), "care", replace(GOOD, is_restricted=True)),
    ("11.5", actor("clinician"), "retrieve", target("study"), "care", replace(GOOD, session_alive=False)),
    ("11.5", actor("peer"), "store", target("organisation"), "care", replace(GOOD, session_alive=False)),
    ("11.5", actor("patient"), "retrieve", target("study"), "own_access", replace(GOOD, session_alive=False)),
    ("7.1", actor("peer"), "store", target("organisation"), "care", replace(GOOD, region="US")),
]


@pytest.mark.parametrize(("clause_id", "who", "action", "what", "purpose", "facts"), FORBIDDEN)
def test_what_a_clause_forbids(
    decider: Decider, clause_id: str, who: Actor, action: str, what: Target, purpose: str, facts: FactSet
) -> None:
    verdict = decider.decide(who, action, what, purpose, facts)
    assert not verdict.is_allowed
    assert verdict.forbidden_by == (clause_id,)
    assert verdict.has_access
    assert after(lambda content: remove(content, clause_id)).decide(who, action, what, purpose, facts).is_allowed


def test_what_goes_on_while_something_is_restricted(decider: Decider) -> None:
    restricted = target("study", is_restricted=True)
    for who, action, purpose in (
        ("patient", "retrieve", "own_access"),
        ("office", "see_log", "rights"),
        ("peer", "store", "care"),
    ):
        assert decider.decide(actor(who), action, restricted, purpose, GOOD).is_allowed
    here = replace(GOOD, region="GB")
    assert decider.decide(actor("peer"), "store", target("organisation"), "care", here).is_allowed


def test_absent_is_refused_like_not_yours(decider: Decider) -> None:
    absent = Target("study", None, HERE)
    verdict = decider.decide(actor("clinician"), "retrieve", absent, "diagnosis", GOOD)
    theirs = decider.decide(actor("clinician"), "retrieve", target("study", THERE), "diagnosis", GOOD)
    for each in (verdict, theirs):
        assert not each.is_allowed
        assert not each.has_access
    assert theirs.forbidden_by == ("1.3",)


@pytest.mark.asvs("V8.2.2")
def test_a_patient_reaches_only_themselves(decider: Decider) -> None:
    for kind, action in (("study", "retrieve"), ("subject", "query"), ("request", "see_request")):
        assert decider.decide(actor("patient"), action, target(kind), "own_access", GOOD).is_allowed
        for other in (uuid4(), None):
            assert not decider.decide(
                actor("patient"), action, target(kind, subject=other), "own_access", GOOD
            ).is_allowed
    nobody = replace(actor("patient"), subject_id=None)
    assert not decider.decide(nobody, "retrieve", target("study", subject=None), "own_access", GOOD).is_allowed


def test_who_is_no_member_any_more_is_refused(decider: Decider) -> None:
    left = replace(GOOD, is_member=False)
    for role, action, kind, purpose, _ in STORY:
        if role not in ("none", "operator", "worker"):
            assert not decider.decide(actor(role), action, target(kind), purpose, left).is_allowed, role
    assert not decider.decide(actor("clinician"), "retrieve", target("study"), "care", FactSet()).is_allowed


@pytest.mark.parametrize(
    ("kind", "role"),
    [("user", "worker"), ("user", "operator"), ("user", "patient"), ("patient", "clinician"), ("peer", "clinician"),
     ("peer", "office"), ("system", "clinician"), ("anonymous", "clinician"), ("user", "emperor")],
)  # fmt: skip
def test_a_role_that_the_kind_of_actor_cannot_have_counts_for_nothing(decider: Decider, kind: Any, role: str) -> None:
    who = Actor(kind, uuid4(), HERE, role, SUBJECT)
    for _, action, about, purpose, _ in STORY:
        if purpose != "site":
            assert not decider.decide(who, action, target(about), purpose, GOOD).is_allowed


def test_a_worker_is_bound_to_a_request(decider: Decider) -> None:
    for action, about in (("erase", "study"), ("copy", "study"), ("erase", "subject")):
        for tenant in (HERE, None):
            who = actor("worker", tenant)
            bound = target(about, attributes=(("request", str(uuid4())),))
            assert decider.decide(who, action, bound, "rights", GOOD).is_allowed
            assert not decider.decide(who, action, target(about), "rights", GOOD).is_allowed
            assert not decider.decide(who, action, bound, "care", GOOD).is_allowed
        theirs = target(about, THERE, attributes=(("request", str(uuid4())),))
        assert not decider.decide(actor("worker"), action, theirs, "rights", GOOD).is_allowed


def test_whoever_runs_the_service_publishes_and_opens_no_scan(decider: Decider) -> None:
    platform = actor("operator", None)
    assert decider.decide(platform, "publish_notice", target("notice"), "administration", GOOD).is_allowed
    assert decider.decide(platform, "administer", target("platform"), "administration", GOOD).is_allowed
    assert not decider.decide(actor("operator"), "publish_notice", target("notice"), "administration", GOOD).is_allowed
    for purpose in ("diagnosis", "care", "administration", "support"):
        verdict = decider.decide(actor("operator"), "retrieve", target("study"), purpose, GOOD)
        assert not verdict.is_allowed
        assert "5.7" in verdict.forbidden_by


def test_emergency_and_support_wait_for_their_facts(decider: Decider) -> None:
    for role, purpose, claim in (
        ("clinician", "emergency", "emergency_reason"),
        ("support", "support", "support_grant"),
    ):
        assert not decider.decide(actor(role), "retrieve", target("study"), purpose, GOOD).is_allowed
        claimed = replace(GOOD, claims=frozenset({claim}))
        assert decider.decide(actor(role), "retrieve", target("study"), purpose, claimed).is_allowed


def test_purposes_that_are_ruled_out_name_their_clause(decider: Decider) -> None:
    for purpose, clause_id in (
        ("marketing", "4.13"),
        ("sale", "4.13"),
        ("newsletter", "10.4"),
        ("outside_analytics", "10.3"),
    ):
        verdict = decider.decide(actor("clinician"), "retrieve", target("study"), purpose, GOOD)
        assert verdict.forbidden_by == (clause_id,)
        assert not verdict.has_access


def test_what_nobody_has_heard_of_is_refused(decider: Decider) -> None:
    for action, kind, purpose in (("fly", "study", "care"), ("retrieve", "moon", "care"), ("retrieve", "study", "fun"),
                                  ("retrieve", "study", 'x" || true || "'), ("", "", "")):  # fmt: skip
        what = Target(kind, uuid4(), HERE, SUBJECT)
        assert not decider.decide(actor("clinician"), action, what, purpose, GOOD).is_allowed


@pytest.mark.asvs("V8.2.1", "V8.3.1")
def test_an_empty_notice_allows_nothing() -> None:
    decider = Decider(notice.compile([]))
    for role, action, kind, purpose, _ in STORY:
        assert not decider.decide(actor(role), action, target(kind), purpose, GOOD).is_allowed


@pytest.mark.asvs("V16.5.3")
def test_a_policy_that_cannot_be_evaluated_refuses() -> None:
    broken = notice.Policy("1.1", "forbid (principal, action, resource) when { resource.mood };", "forbid")
    open_door = notice.Policy("1.2", "permit (principal, action, resource);", "permit")
    decider = Decider(notice.Compiled((open_door, broken), "", "broken 1"))
    verdict = decider.decide(actor("clinician"), "retrieve", target("study"), "care", GOOD)
    assert not verdict.is_allowed
    assert verdict.forbidden_by == ()
    fine = Decider(notice.Compiled((open_door,), "", "fine 1"))
    assert fine.decide(actor("clinician"), "retrieve", target("study"), "care", GOOD).is_allowed


def test_a_change_of_the_notice_is_a_change_of_the_decision() -> None:
    def edit(content: dict[str, Any]) -> None:
        clause_of(content, "4.4")["access"][1]["does"].append("retrieve")
        remove(content, "5.7")

    assert after(edit).decide(actor("office"), "retrieve", target("study"), "rights", GOOD).is_allowed
