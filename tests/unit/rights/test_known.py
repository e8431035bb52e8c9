"""How we know something: who brought a study in is read from the entry that was written when it was stored."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from troth.ledger import Event
from troth.rights.known import Known, Source, apart, as_json, brought

AT = datetime(2026, 11, 22, tzinfo=UTC)


def stored(actor_kind: str, **payload: str) -> Event:
    return Event(
        id=UUID(int=1), tenant=UUID(int=2), at=AT, kind="archive:instances:stored", actor_id=None,
        actor_kind=actor_kind, role="peer", subject_id=None, study_id=None, purpose="care", clauses=(),
        decision_id=None, outcome="done", counts={}, payload={"organisation": "Hospital", **payload},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event", "origin", "how"),
    [
        (stored("peer", actor="CT1", came_by="C-STORE"), "device", "DICOM network (C-STORE), from the AE title CT1"),
        (stored("peer", actor="CT1"), "device", "DICOM network (C-STORE), from the AE title CT1"),
        (stored("peer", actor="Bearer token", came_by="STOW-RS"), "controller", "DICOMweb (STOW-RS), with a token"),
        (stored("peer", actor="Bearer token"), "controller", "DICOMweb (STOW-RS), with a token"),
        (stored("user", actor="Dr B.", came_by="STOW-RS"), "controller", "DICOMweb (STOW-RS)"),
    ],
)
def test_a_study_names_who_brought_it_and_how(event: Event, origin: str, how: str) -> None:
    found = brought(event)
    assert found[0] == origin
    assert "Hospital" in found[1]
    assert found[2].startswith(how)


def test_what_was_concluded_is_marked_and_kept_apart() -> None:
    source = Source("subject", "you", "a form", "3.1", AT)
    items = [Known("Name", "A", "provided", source), Known("Age", "over 18", "inferred", source, "your birth date")]
    assert {name: len(found) for name, found in apart(items).items()} == {"provided": 1, "observed": 0, "inferred": 1}
    told = as_json(items)
    assert "is_inferred" not in told["provided"][0]
    assert (told["inferred"][0]["is_inferred"], told["inferred"][0]["concluded_from"]) == (True, "your birth date")
