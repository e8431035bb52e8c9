"""Small changes of a notice's plain content."""

from __future__ import annotations

from typing import Any


def clause_of(content: dict[str, Any], clause_id: str) -> dict[str, Any]:
    """The clause with a number."""
    found: dict[str, Any] = next(
        clause for section in content["sections"] for clause in section["clauses"] if clause["id"] == clause_id
    )
    return found


def remove(content: dict[str, Any], clause_id: str) -> None:
    """Take a clause out."""
    for section in content["sections"]:
        section["clauses"] = [clause for clause in section["clauses"] if clause["id"] != clause_id]
    content["sections"] = [section for section in content["sections"] if section["clauses"]]
