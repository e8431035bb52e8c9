from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest

from troth.archive import Match, Query, SearchKeyUnknown, SearchTooBroad, SearchValueInvalid
from troth.archive.searching import Plan, Scope, plan

NAME, PATIENT_ID, DATE, MODALITIES, STUDY_UID = 0x00100010, 0x00100020, 0x00080020, 0x00080061, 0x0020000D


def token(kind: str, value: str) -> int:
    return hash((kind, value))


def planned(*matches: tuple[int, str], scope: Scope | None = None, **query: object) -> Plan:
    asked = Query(matches=tuple(Match(tag, value) for tag, value in matches), **query)  # type: ignore[arg-type]
    return plan(asked, scope or Scope(), token)


def test_what_drives() -> None:
    assert planned((NAME, "SMI*"), (MODALITIES, "CT")).tokens == (token("name.edge", "smi"), token("modality", "CT"))
    assert planned((PATIENT_ID, "P-1"), (NAME, "SMI*")).tokens == ()
    assert planned((PATIENT_ID, "P-1")).patient_id_token == token("patient_id", "p-1")
    assert planned((NAME, "SMI*"), scope=Scope(subject_id=uuid4())).tokens == ()


def test_when_every_row_is_a_result() -> None:
    assert planned().is_exact
    assert planned((DATE, "20240101-"), (STUDY_UID, "1.2")).is_exact
    assert not planned((NAME, "SMI*")).is_exact
    assert not planned(level="series").is_exact
    assert planned((NAME, "*"), (PATIENT_ID, "")).is_exact


def test_a_study_without_date_is_in_no_range() -> None:
    assert planned().dates[0] == date.min
    assert planned((DATE, "-20240101")).dates[0] > date.min


@pytest.mark.parametrize(
    ("matches", "query", "error"),
    [
        ([(0x00104000, "x")], {}, SearchKeyUnknown),
        ([(0x0008103E, "x")], {}, SearchKeyUnknown),
        ([(NAME, "a"), (NAME, "b")], {}, SearchValueInvalid),
        ([(DATE, "x")], {}, SearchValueInvalid),
        ([], {"limit": -1}, SearchValueInvalid),
        ([], {"limit": 5000}, SearchValueInvalid),
        ([], {"offset": 10_001}, SearchTooBroad),
    ],
)
def test_refusals(matches: list[tuple[int, str]], query: dict[str, int], error: type[Exception]) -> None:
    with pytest.raises(error):
        planned(*matches, **query)
