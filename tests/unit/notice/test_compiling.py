from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import cedarpy

from troth import notice as room
from troth.notice import cedar, clauses, vocabulary
from troth.policy import Actor, FactSet, Target
from troth.policy.decision import Decider


def test_every_policy_names_its_clause_and_fits_the_schema(shipped: room.Notice) -> None:
    compiled = room.compile([shipped])
    for policy in compiled.policies:
        assert policy.text.startswith(f'@id("{policy.clause_id}")\n{policy.effect}')
        assert cedarpy.validate_policies(policy.text, compiled.schema).validation_passed
        assert shipped.clause(policy.clause_id) is not None
    assert cedarpy.policies_to_json_str(compiled.text)
    assert compiled.label == "imaging-cloud 1"
    assert "diagnosis" in compiled.purposes
    assert "research" not in compiled.purposes


def test_permits_carry_basis_region_and_the_recipients_clause(shipped: room.Notice) -> None:
    compiled = room.compile([shipped])
    found = [each for each in compiled.policies if each.purpose == "diagnosis" and '"clinician"' in each.text]
    (policy,) = [each for each in found if 'Action::"retrieve"' in each.text]
    assert (policy.clause_id, policy.under, policy.basis, policy.obligations) == (
        "4.1",
        ("5.1",),
        "A6-1-f",
        ("region:GB",),
    )


def test_two_notices_decide_together(shipped: room.Notice) -> None:
    assert room.compile_notices([shipped, shipped]).label == "imaging-cloud 1, imaging-cloud 1"


NOTICES = Path(__file__).parents[3] / "notices"


def forbids(compiled: room.Compiled, clause_id: str) -> list[str]:
    return [each.text for each in compiled.policies if each.effect == "forbid" and each.clause_id == clause_id]


def test_one_notice_alone_binds_everything() -> None:
    alone = room.load(NOTICES / "equipment-maker" / "notice-patients.yaml")
    assert all("resource)\nwhen { [" not in text for text in forbids(room.compile([alone]), "27.1"))


def test_a_prohibition_of_one_notice_acts_where_that_notice_applies() -> None:
    compiled = room.compile(room.load_all([NOTICES / "equipment-maker"]))
    for policy in compiled.policies:
        assert cedarpy.validate_policies(policy.text, compiled.schema).validation_passed
    for clause_id, own, others in (
        ("27.1", "care", "news"),  # the notice for patients
        ("26.1", "upkeep", "administration"),
        ("7.1", "news", "care"),  # the notice for users
        ("7.1", "related", "diagnosis"),  # which the one for Europe adds to
        ("47.1", "news", "care"),
        ("6.1", "service", "care"),
    ):
        texts = forbids(compiled, clause_id)
        assert texts
        for text in texts:
            scope = text.partition("resource)\nwhen { [")[2].partition("]")[0]
            assert f'"{own}"' in scope, clause_id
            assert f'"{others}"' not in scope, clause_id


def test_safeguards_hold_for_the_whole_deployment() -> None:
    apart = [room.load(path) for path in room.notice_files([NOTICES / "equipment-maker"])]
    together = {policy.text for policy in room.compile(apart).policies}
    for one in apart:
        for clause in one.clauses:
            for policy in clause.policies(one):
                is_bound = policy.effect == "forbid" and clause.reach == "notice"
                assert (policy.text in together) is not is_bound, policy.clause_id
    kinds = clauses.registry()
    for kind in ("automation", "capacity", "hold", "never", "right", "safeguard", "consent", "marketing"):
        assert kinds[kind].reach == "deployment", kind


def test_a_notice_for_some_countries_binds_what_is_not_known_to_be_elsewhere() -> None:
    decider = Decider(room.compile(room.load_all([NOTICES / "equipment-maker"])))
    who = Actor("user", uuid4(), uuid4(), "office")
    study = Target("account", uuid4(), who.tenant, uuid4())

    def forbidden(purpose: str, *claims: str) -> set[str]:
        facts = FactSet(is_member=True, session_alive=True, claims=frozenset({"to:CN", *claims}))
        return set(decider.decide(who, "disclose", study, purpose, facts).forbidden_by) & {"7.1", "27.1", "47.1"}

    assert forbidden("contracts", "controller:FR") == {"7.1", "47.1"}
    assert forbidden("contracts") == {"7.1", "47.1"}, "nobody knows where"
    assert forbidden("contracts", "controller:US") == {"7.1"}
    assert forbidden("care", "controller:FR") == {"27.1"}
    assert forbidden("rights", "controller:FR") == {"7.1", "27.1", "47.1"}, "an activity of both"


def test_each_file_of_clauses_is_one_registered_kind() -> None:
    folder = Path(clauses.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "base"}
    kinds = clauses.registry()
    assert {kind.__module__.rsplit(".", 1)[1] for kind in kinds.values()} == files == set(kinds)
    for path in folder.glob("*.py"):
        for name in files - {path.stem}:
            if path.stem != "__init__":
                assert f"clauses.{name} import" not in path.read_text(), f"{path.stem} knows {name}"


def test_every_kind_has_an_enforcer_and_evidence(shipped: room.Notice) -> None:
    for kind in clauses.registry():
        for clause in shipped.all(kind):
            assert clause.enforcer()
            assert clause.looks_for()
    assert {clause.kind for clause in shipped.clauses} <= set(clauses.registry())


def test_cedar_text_is_quoted() -> None:
    assert cedar.text('a"b\\') == '"a\\"b\\\\"'
    assert cedar.texts(["b", "a"]) == '["a", "b"]'
    assert len(vocabulary.COUNTRIES) == 249
