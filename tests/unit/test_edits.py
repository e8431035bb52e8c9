"""The edits that take an enforcement out: each still applies to the tree and to the database, and says who notices."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import psycopg
import pytest
from psycopg.rows import dict_row
from tools import edits, fork_server, series, witness

from tests.common.afterwards import Broken, PromiseBroken
from troth.kit.errors import NotFound
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.proofs import apart, catalogue_store

EDITS = edits.every()
OF_FILES = [edit for edit in EDITS if edit.file]
OF_DATABASE = [edit for edit in EDITS if edit.sql]


def test_there_are_edits_of_each_kind() -> None:
    kinds = [edit.kind for edit in EDITS]
    assert len(kinds) >= 60
    assert {kind: kinds.count(kind) >= 20 for kind in edits.KINDS} == dict.fromkeys(edits.KINDS, True)
    assert all(bool(edit.file) is not bool(edit.sql) for edit in EDITS)
    assert all((edit.kind == "row_policy") is bool(edit.sql) is bool(edit.undo) for edit in EDITS)


@pytest.mark.parametrize("edit", OF_FILES, ids=lambda edit: edit.id)
def test_each_edit_of_a_file_still_applies(edit: edits.Edit) -> None:
    assert edit.file.startswith("src/troth/")
    before = (edits.ROOT / edit.file).read_text()
    assert edit.made(before) != before


@pytest.mark.parametrize("edit", OF_DATABASE, ids=lambda edit: edit.id)
async def test_each_edit_of_the_database_still_changes_it(edit: edits.Edit, postgres: EmbeddedServer) -> None:
    connection = await psycopg.AsyncConnection.connect(postgres.dsn(SUPERUSER), row_factory=dict_row)
    try:
        assert apart.differences(apart.shipped(), await catalogue_store.read(connection)) == []
        await connection.execute(edit.sql.encode())
        assert apart.differences(apart.shipped(), await catalogue_store.read(connection)) != []
        await connection.execute(edit.undo.encode())
        assert apart.differences(apart.shipped(), await catalogue_store.read(connection)) == []
    finally:
        await connection.rollback()
        await connection.close()


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.id)
def test_each_edit_names_promise_tests_that_are_there(edit: edits.Edit) -> None:
    assert edit.tests
    for test in edit.tests:
        file, _, name = test.partition("::")
        assert file.startswith("tests/promises/test_")
        names = {node.name for node in ast.walk(ast.parse((edits.ROOT / file).read_text())) if hasattr(node, "name")}
        assert {each.partition("[")[0] for each in name.split("::") if each} <= names, test


def test_an_edit_whose_text_is_gone_is_an_error() -> None:
    edit = replace(OF_FILES[0], old="nothing of this stands there")
    with pytest.raises(edits.EditLost, match="stands 0 times"):
        edit.made("x = 1\n")
    with pytest.raises(edits.EditLost, match="stands 2 times"):
        replace(edit, old="x").made("x = x\n")
    with pytest.raises(edits.EditLost, match="leaves no Python"):
        replace(edit, old="1", new="(").made("x = 1\n")
    with pytest.raises(edits.EditLost, match="changes nothing that runs"):
        replace(edit, old="  # one", new="  # two").made("x = 1  # one\n")


def test_only_what_a_test_saw_counts() -> None:
    in_test = "/work/tests/promises/test_x.py"
    assert witness.has_seen(AssertionError(), "/work/src/troth/x.py")
    assert witness.has_seen(NotFound(), "/work/src/troth/x.py")
    assert witness.has_seen(ValueError("not enough values to unpack"), in_test)
    for broken in (ValueError(), ImportError(), SyntaxError(), NameError(), AttributeError(), TypeError()):
        assert not witness.has_seen(broken, "/work/src/troth/x.py")
    for broken in (ImportError(), SyntaxError(), NameError(), AttributeError(), TypeError()):
        assert not witness.has_seen(broken, in_test)


def test_after_the_tests_only_a_promise_that_the_ledger_shows_broken_counts() -> None:
    found = [
        Broken("imaging-cloud 8.2", ("IC-18", "IC-19"), "what is held was erased"),
        Broken("imaging-cloud 6.1", ("IC-03",), "somebody acted"),
    ]
    error = PromiseBroken(found)
    assert error.promises == ["IC-03", "IC-18", "IC-19"]
    assert "imaging-cloud 8.2: what is held was erased" in str(error)
    assert witness.has_seen(error, "/work/tests/common/deployment.py", "teardown")
    for other in (AssertionError(), NotFound(), ValueError()):
        assert not witness.has_seen(other, "/work/tests/common/deployment.py", "teardown")
    for each in (error, AssertionError(), NotFound()):
        assert not witness.has_seen(each, "/work/tests/common/deployment.py", "setup")


def test_an_edit_is_for_the_tests_that_it_names() -> None:
    named = ("tests/promises/test_a.py::test_one", "tests/promises/test_b.py", "tests/promises/test_c.py::TestAll")
    turn = series.Turn("id", named, "", "", "", "", "")
    for test in (
        "test_a.py::test_one",
        "test_a.py::test_one[cloud]",
        "test_b.py::test_any",
        "test_c.py::TestAll::test",
    ):
        assert turn.is_for(f"tests/promises/{test}"), test
    for test in ("test_a.py::test_one_more", "test_a.py::test_two", "test_c.py::test_one"):
        assert not turn.is_for(f"tests/promises/{test}"), test


BEFORE = """
LIMIT = 1
def plain():
    return 1
class Thing:
    def method(self):
        return [each for each in (1, 2)]
    @property
    def told(self):
        return "before"
"""


@pytest.mark.parametrize(
    ("old", "new", "holds"),
    [
        ("return 1", "return 7", lambda module: module.plain() == 7),
        ("(1, 2)", "(3,)", lambda module: module.Thing().method() == [3]),
        ('"before"', '"after"', lambda module: module.Thing().told == "after"),
    ],
)
def test_functions_are_given_the_code_of_an_edit(old: str, new: str, holds: object) -> None:
    module = ModuleType("edited")
    module.__file__ = "edited.py"
    exec(BEFORE, vars(module))
    assert not holds(module)  # type: ignore[operator]
    assert fork_server.swap(module, BEFORE, BEFORE.replace(old, new)) == 1
    assert holds(module)  # type: ignore[operator]


@pytest.mark.parametrize(("old", "new"), [("LIMIT = 1", "LIMIT = 2"), ("def plain", "def other")])
def test_what_runs_at_import_needs_a_fresh_python(old: str, new: str) -> None:
    module = ModuleType("edited")
    module.__file__ = "edited.py"
    exec(BEFORE, vars(module))
    with pytest.raises(fork_server.NotSwapped):
        fork_server.swap(module, BEFORE, BEFORE.replace(old, new))


def test_what_was_not_measured_anew_stays_on_the_page_with_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = EDITS[:3]
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n{edits._BEGIN}\n{edits._END}\nAfter.\n")
    monkeypatch.setattr(edits, "PAGE", page)
    test = "tests/promises/test_it.py::test_it[a|b]"
    edits.keep([
        edits.Outcome(first.id, first.kind, test, ["IC-03"], seconds=4.0, commit="aaaaaaa"),
        edits.Outcome(second.id, second.kind, test, ["IC-03"], seconds=5.0, commit="aaaaaaa"),
    ])  # fmt: skip
    edits.keep([edits.Outcome(second.id, second.kind, besides="test_it ImportError", commit="bbbbbbb")])
    text = page.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    rows = edits.on_page(text)
    assert set(rows) == {first.id, second.id}
    assert (rows[first.id].is_noticed, rows[first.id].commit) == (True, "aaaaaaa")
    assert rows[first.id].by == "`test_it[a|b]` (test_it)"
    assert (rows[second.id].is_noticed, rows[second.id].commit) == (False, "bbbbbbb")
    [line] = [line for line in text.splitlines() if line.startswith(first.kind)]
    assert re.search(r"2 measured +1 noticed +4 s +on aaaaaaa, bbbbbbb$", line)
    assert third.id in text.partition("not measured: ")[2].partition("\n")[0]
