from __future__ import annotations

from pathlib import Path

import cedarpy

from troth import notice as room
from troth.notice import cedar, clauses, vocabulary
from troth.notice.clauses.safeguard import MEASURES


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
            assert clause.evidence().looks_for
    assert {clause.kind for clause in shipped.clauses} <= set(clauses.registry())


def test_evidence_is_in_the_vocabulary_of_the_ledger(shipped: room.Notice) -> None:
    from troth.ledger import KINDS

    named = {kind for clause in shipped.clauses for kind in clause.evidence().kinds}
    named |= {kind for measure in MEASURES.values() for kind in measure.kinds}
    assert named <= set(KINDS)


def test_cedar_text_is_quoted() -> None:
    assert cedar.text('a"b\\') == '"a\\"b\\\\"'
    assert cedar.texts(["b", "a"]) == '["a", "b"]'
    assert len(vocabulary.COUNTRIES) == 249
