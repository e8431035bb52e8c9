"""The reference page of each kind of clause, made from its declaration.

python -m troth.notice.reference     writes docs/reference/clauses anew; a test compares the two
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from troth.notice.clauses import registry
from troth.notice.schema import schema
from troth.notice.terms import DAY, SLUG, TEXT
from troth.notice.vocabulary import FACTS

FOLDER: Final = Path(__file__).parents[3] / "docs" / "reference" / "clauses"

_COMMON: Final = ("id", "kind", "says", "promises", "for", "not_yet")
_MEANT: Final = {SLUG: "a short name", TEXT: "text", DAY: "a day, as 2026-11-01"}


def pages() -> dict[str, str]:
    """The pages by file name."""
    kinds = registry()
    made = {f"{name}.md": _page(name) for name in kinds}
    made["README.md"] = _contents(kinds)
    return made


def write(folder: Path = FOLDER) -> None:
    """Write the pages anew, after a kind of clause has changed.

    Args:
        folder: Where to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def _contents(kinds: Mapping[str, Any]) -> str:
    lines = [
        "# Kinds of clause",
        "",
        "Every promise of a notice is a clause of one of these kinds. The pages are made from the program: change the",
        "declaration in `src/troth/notice/clauses/<kind>.py` and run `python -m troth.notice.reference`.",
        "",
        *(f"- [`{name}`]({name}.md): {kind.about}" for name, kind in kinds.items()),
        "",
        "## What every clause has",
        "",
        *_table({key: _definition("hold")["properties"][key] for key in _COMMON}, ("id", "kind")),
        "",
        "## Facts",
        "",
        "What policies ask for at the moment of a decision, and what each says.",
        "",
        "| fact | what it says |",
        "|---|---|",
        *(f"| `{fact}` | {words} |" for fact, words in FACTS.items()),
    ]
    return "\n".join(lines) + "\n"


def _page(name: str) -> str:
    made = _definition(name)
    own = {key: value for key, value in made["properties"].items() if key not in _COMMON}
    lines = [f"# `{name}`", "", made["description"], ""]
    lines += ["Beside what [every clause](README.md#what-every-clause-has) has:", ""]
    lines += list(_table(own, made["required"]))
    for key, value in _nested(own):
        lines += ["", f"## `{key}`", "", *_table(value["properties"], value["required"])]
    return "\n".join(lines) + "\n"


def _definition(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema()["$defs"][name]
    return found


def _nested(properties: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in properties.items():
        inner = value.get("items", value)
        if inner.get("type") == "object":
            yield key, inner


def _table(properties: Mapping[str, Any], required: Any) -> Iterator[str]:
    yield "| term | needed | what it means | values |"
    yield "|---|---|---|---|"
    for key, value in properties.items():
        needed = "yes" if key in required else ""
        yield f"| `{key}` | {needed} | {value.get('description', '')} | {_values(value).replace('|', '&#124;')} |"


def _values(rule: Mapping[str, Any]) -> str:
    if "const" in rule:
        return f"`{rule['const']}`"
    if "enum" in rule:
        shown = ", ".join(f"`{value}`" for value in rule["enum"][:24])
        return shown if len(rule["enum"]) <= 24 else f"{shown} and {len(rule['enum']) - 24} more"
    if isinstance(rule["type"], list):
        return " or ".join(_values({**rule, "type": name}) for name in rule["type"])
    if rule["type"] == "array":
        return f"list: {_values(rule['items'])}"
    if rule["type"] == "string":
        return _MEANT.get(rule["pattern"], f"`{rule['pattern']}`")
    return {"object": "see below", "integer": "whole number", "boolean": "`true` or `false`"}[rule["type"]]


if __name__ == "__main__":  # pragma: no cover - the line above says how it is used
    write()
