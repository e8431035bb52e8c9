"""Problems of a notice as SARIF 2.1.0, which forges and editors show beside the line.

Per: OASIS Standard "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", sections 3.13 to 3.30.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from troth.notice.problem import Problem

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
RULE: Final = "troth/notice"


def sarif(problems: Iterable[Problem], version: str) -> dict[str, Any]:
    """The log of one run of `troth check`.

    Args:
        problems: What is wrong.
        version: Version of this program.
    """
    driver = {
        "name": "troth check",
        "semanticVersion": version,
        "rules": [
            {
                "id": RULE,
                "shortDescription": {"text": "Every promise is complete, known, lawful and enforced."},
                "defaultConfiguration": {"level": "error"},
            }
        ],
    }
    results = [_result(problem) for problem in problems]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(problem: Problem) -> dict[str, Any]:
    text = problem.what + (f" ({problem.hint})" if problem.hint else "")
    place = {"artifactLocation": {"uri": _uri(problem.path)}, "region": {"startLine": problem.line}}
    result: dict[str, Any] = {
        "ruleId": RULE,
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }
    if found := re.match(r"§ ([0-9]+\.[0-9]+)", problem.what):
        result["locations"][0]["logicalLocations"] = [{"name": found.group(1), "kind": "member"}]
    return result


def _uri(path: str) -> str:
    """A file as a URI: absolute ones with their scheme, others as they were named."""
    named = Path(path)
    return named.as_uri() if named.is_absolute() else named.as_posix()
