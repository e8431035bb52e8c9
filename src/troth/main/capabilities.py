"""What the program serves, found without importing it: what a clause needs and nothing here serves is not possible.

Each door and room that serves something says so in its `serves.py`, beside its routes, jobs, commands or listeners.
`troth check` is a tool for files and loads none of these, so the declarations are read from their source, as literals;
a test loads them all, compares, and finds each `by` alive.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Final

from troth.notice import Serves

PACKAGE: Final = Path(__file__).parents[1]
_CALLED: Final = "Serves"


@cache
def serves() -> tuple[Serves, ...]:
    """Every declaration below `troth`, in the order of the files."""
    return tuple(each for file in sorted(PACKAGE.rglob("serves.py")) for each in _in(file.read_text("utf-8")))


def _in(text: str) -> list[Serves]:
    calls = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _CALLED
    ]
    return [
        Serves(
            *(ast.literal_eval(each) for each in call.args),
            **{each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg},
        )
        for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset))
    ]
