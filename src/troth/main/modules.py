"""Which parts the program has, found without importing them: what a notice names as enforcer must be one."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def modules() -> frozenset[str]:
    """Names of all modules below `troth`, such as `policy.decision`."""
    files = (file.relative_to(PACKAGE).with_suffix("") for file in PACKAGE.rglob("*.py"))
    return frozenset(".".join(file.parts) for file in files if file.name != "__init__")
