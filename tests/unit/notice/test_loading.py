# ruff: noqa: E501 - a table of edits and what is said about each
from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.notice.edits import clause_of
from troth import notice as room
from troth.notice import loading, reading, schema

Edit = Callable[[dict[str, Any]], Any]


def test_the_shipped_notice_loads_from_its_folder_and_its_file(shipped: room.Notice) -> None:
    again = room.load(Path(shipped.path))
    assert again == shipped
    assert shipped.label == "imaging-cloud 1"
    assert shipped.audiences == ("patients", "users", "visitors")
    assert shipped.regions == ("GB",)
    assert room.parse(shipped.source).clauses == shipped.clauses


def test_the_copy_of_the_schema_is_the_schema() -> None:
    hint = 'run: python -c "from troth.notice import loading, reading, schema; schema.write()"'
    assert schema.COPY.read_text(encoding="utf-8") == schema.as_text(), hint


def test_the_copy_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "COPY", tmp_path / "schema.json")
    schema.write()
    assert json.loads((tmp_path / "schema.json").read_text()) == schema.schema()


def test_every_term_of_the_schema_is_described() -> None:
    for kind, model in schema.schema()["$defs"].items():
        if kind == "clause":
            continue
        assert model["description"], kind
        for key, term in model["properties"].items():
            assert key == "kind" or term["description"], f"{kind}.{key}"


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda n: n.pop("version"), "'version' is missing"),
        (lambda n: n.update(colour="red"), "unknown key 'colour'"),
        (lambda n: n.update(effective_on="2026-02-30"), "no such day or period"),
        (lambda n: n.update(zone="Europe/Atlantis"), "no time zone 'Europe/Atlantis'"),
        (lambda n: n.update(version="one"), "not of the type integer"),
        (lambda n: n.update(sections=[]), "not accepted: "),
        (lambda n: clause_of(n, "4.1").pop("basis"), "'basis' is missing"),
        (lambda n: clause_of(n, "4.1").pop("retention"), "'retention' is missing"),
        (lambda n: clause_of(n, "4.1").pop("key"), "'key' is missing"),
        (lambda n: clause_of(n, "4.1").pop("kind"), "'kind' is missing"),
        (lambda n: clause_of(n, "4.1").update(retention=[]), "not accepted in retention"),
        (lambda n: clause_of(n, "4.1").update(basis="eu-gdpr:A6-1-z"), "unknown value 'eu-gdpr:A6-1-z' in basis"),
        (lambda n: clause_of(n, "4.1").update(condition="because"), "unknown value 'because' in condition"),
        (lambda n: clause_of(n, "4.1").update(kind="wish"), "unknown value 'wish' in kind"),
        (lambda n: clause_of(n, "4.1").update(key="Diagnosis!"), "cannot be read: 'Diagnosis!' in key"),
        (lambda n: clause_of(n, "4.1").update(says="<script>alert(1)</script>"), "cannot be read: '<script>"),
        (lambda n: clause_of(n, "4.1").update(regions=["XX"]), "unknown value 'XX' in regions"),
        (lambda n: clause_of(n, "4.1")["access"][0].update(who=["friend"]), "unknown value 'friend' in access.who"),
        (lambda n: clause_of(n, "8.1").update(period="P1X"), "cannot be read: 'P1X' in period"),
        (lambda n: clause_of(n, "8.1").update(period="-P1Y"), "cannot be read: '-P1Y' in period"),
        (lambda n: clause_of(n, "8.1").update(period="P0D"), "no such day or period: P0D"),
    ],
)
def test_what_the_language_does_not_know_is_refused_with_place_and_hint(
    plain: dict[str, Any], edit: Edit, what: str
) -> None:
    content = copy.deepcopy(plain)
    edit(content)
    with pytest.raises(room.NoticeMalformed) as caught:
        loading.of_page(reading.Page("n.yaml", "", content, {}))
    (problem,) = caught.value.problems
    assert what in problem.what
    assert problem.hint
    assert problem.line >= 1
    assert str(problem).startswith(f"n.yaml:{problem.line}: ")


def test_the_line_is_that_of_the_fault() -> None:
    source = "notice: x\nversion: 1\nsections:\n  - number: 1\n    title: One\n    clauses:\n      - id: '1.1'\n        kind: hold\n        wish: no\n"
    with pytest.raises(room.NoticeMalformed) as caught:
        room.parse(source)
    assert any(problem.line == 9 and "unknown key 'wish'" in problem.what for problem in caught.value.problems)


def test_a_text_or_a_list_is_no_notice() -> None:
    for source in ("hello", "- 1", "", "12"):
        with pytest.raises(room.NoticeMalformed, match="not of the type object"):
            room.parse(source)


def test_a_flood_of_problems_is_cut(plain: dict[str, Any]) -> None:
    content = copy.deepcopy(plain)
    content["sections"] = [{"number": 1, "title": "<", "clauses": [{}]} for _ in range(100)]
    with pytest.raises(room.NoticeMalformed) as caught:
        loading.of_page(reading.Page("n.yaml", "", content, {}))
    assert len(caught.value.problems) <= 101
