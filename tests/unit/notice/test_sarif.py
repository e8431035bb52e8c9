"""Problems as SARIF."""

from __future__ import annotations

import json

from troth.notice import Problem, sarif


def test_each_problem_has_its_place_and_words() -> None:
    problems = [Problem("notices/n.yaml", 7, "§ 4.1: wrong", "mend it"), Problem("/a b/n.yaml", 1, "too large")]
    log = json.loads(json.dumps(sarif(problems, "1.2.3")))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["tool"]["driver"]["semanticVersion"] == "1.2.3"
    first, second = run["results"]
    rule = run["tool"]["driver"]["rules"][first["ruleIndex"]]
    assert rule["id"] == first["ruleId"]
    assert first["message"]["text"] == "§ 4.1: wrong (mend it)"
    place = first["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "notices/n.yaml"
    assert place["physicalLocation"]["region"]["startLine"] == 7
    assert place["logicalLocations"][0]["name"] == "4.1"
    assert second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///a%20b/n.yaml"
    assert "logicalLocations" not in second["locations"][0]


def test_nothing_wrong_is_a_run_without_results() -> None:
    assert sarif([], "1.0.0")["runs"][0]["results"] == []
