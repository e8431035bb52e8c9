"""What the program says it collects is what it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.routing import Route
from tools import catalogue

from tests.common.servers import ServedDatabase
from troth.doors.web import declared
from troth.doors.web.errors import FieldUndeclared, FormUndeclared
from troth.doors.web.office.exchange_forms import FORMS as REGISTERS
from troth.main import collecting, modules
from troth.notice import HOLDINGS

SOURCE = Path(collecting.__file__).parents[1]


@pytest.mark.asvs("V14.1.1")
def test_every_column_is_said_to_hold_something_or_nothing(database: ServedDatabase, tmp_path: Path) -> None:
    owner = database.dsn("troth_owner")
    assert list(collecting.unsaid(owner)) == []
    short = tmp_path / "columns.yaml"
    short.write_text(collecting.COLUMNS.read_text().replace("email_sealed: account", "gone: account"))
    (problem,) = collecting.unsaid(owner, short)
    assert "the column 'email_sealed' of the table 'account'" in problem.what


def test_the_columns_that_the_check_reads_are_those_of_a_database(database: ServedDatabase) -> None:
    assert collecting.TABLES.read_text() == catalogue.tables(collecting.columns_of(database.dsn("troth_owner")))


def test_the_check_names_a_column_and_a_form_that_nobody_declared(tmp_path: Path) -> None:
    assert collecting.undeclared() == []
    tables, routes = tmp_path / "tables.json", tmp_path / "app.py"
    tables.write_text(collecting.TABLES.read_text().replace('"email_sealed"', '"email_sealed", "mood"', 1))
    routes.write_text(collecting.ROUTES.read_text().replace('Route("/theme"', 'Route("/mood"'))
    told = [problem.what for problem in collecting.undeclared(tables, routes=routes)]
    assert told == [
        "the column 'mood' of the table 'account' is not said to hold anything",
        "the form at /mood is not declared",
    ]


def test_every_job_that_the_worker_registers_is_listed() -> None:
    registered = set()
    for file in SOURCE.rglob("*.py"):
        text = file.read_text()
        for name in re.findall(r"durable\.register\((\w+),", text):
            registered |= set(re.findall(rf'^{name} = "([^"]+)"', text, re.MULTILINE))
    assert registered == set(collecting.JOBS)


def test_what_is_held_is_known_to_the_language() -> None:
    for each in (*collecting.program(), *collecting.tables()):
        assert {holding for holding in each.parts.values() if holding} <= set(HOLDINGS), each.name


def test_the_forms_of_the_registers_are_those_of_the_pages() -> None:
    for name, terms in REGISTERS.items():
        assert set(declared.FORMS[f"office_{name}"].fields) == {"token", "here", *(term.name for term in terms)}


@pytest.mark.asvs("V15.3.3")
def test_a_form_without_a_line_is_refused() -> None:
    declared.require_forms([Route("/sign-in", print, methods=["POST"]), Route("/mood", print)])
    with pytest.raises(FormUndeclared):
        declared.require_forms([Route("/mood", print, methods=["POST"])])


@pytest.mark.asvs("V2.2.1", "V15.3.3")
def test_a_field_without_a_line_is_refused() -> None:
    declared.require_fields("/sign-in", ["email"])
    declared.require_fields("/requests", ["study-1", "study-27", "token"])
    declared.require_fields("/elsewhere", ["anything"])
    for path, name in (("/sign-in", "mood"), ("/requests", "study-x"), ("/invitation/abc", "mood")):
        with pytest.raises(FieldUndeclared):
            declared.require_fields(path, [name])


def test_modules_are_found_without_importing_them() -> None:
    assert {"policy.decision", "notice.coverage", "main.modules"} <= modules.modules()
