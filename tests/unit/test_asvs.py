"""The map of OWASP ASVS: fresh, whole, and refused where it claims what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools import asvs
from tools.asvs import ROOT, Unsound

SHOWN = asvs.marks(ROOT / "tests")


def test_the_page_is_what_the_tests_and_the_list_say() -> None:
    assert asvs.PAGE.read_text(encoding="utf-8") == asvs.page(asvs.requirements(asvs.known(), SHOWN)), "make asvs"


def test_each_requirement_stands_somehow() -> None:
    found = {each.id: each for each in asvs.requirements(asvs.known(), SHOWN)}
    assert len(found) == 253
    assert found["V13.2.2"].standing == "shown in part"
    assert "unit/main/test_apart.py::test_a_part_is_nobody_and_can_become_nobody_else" in found["V13.2.2"].tests
    assert found["V10.1.1"].standing == "does not apply"
    assert all(each.because for each in found.values() if each.standing != "shown")
    assert all(bool(each.tests) == each.standing.startswith("shown") for each in found.values())


@pytest.mark.parametrize(
    ("number", "told", "tests", "fault"),
    [
        ("V8.4.1", {"open": "no test"}, None, "has 3 tests and says"),
        ("V8.4.1", {}, [], "has 0 tests"),
        ("V1.1.1", {"open": "one", "na": "two"}, None, "says"),
        ("V2.1.1", {"record": "docs/nothing.md"}, None, "which is not there"),
        ("V2.1.1", None, None, "requirements by level"),
    ],
)
def test_what_does_not_add_up_is_refused(
    number: str, told: dict[str, str] | None, tests: list[str] | None, fault: str
) -> None:
    said = {each: dict(one) for each, one in asvs.known().items()}
    if told is None:
        del said[number]
    else:
        said[number] = {"level": said[number]["level"], "about": said[number]["about"], **told}
    shown = dict(SHOWN)
    if tests is not None:
        shown[number] = tests
    with pytest.raises(Unsound, match=fault):
        asvs.requirements(said, shown)


def test_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text('@pytest.mark.asvs("V99.1.1")\ndef test_it(): ...\n')
    with pytest.raises(Unsound, match=r"V99\.1\.1"):
        asvs.requirements(asvs.known(), asvs.marks(tmp_path))
