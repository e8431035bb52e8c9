"""Whether content has the shape that the schema asks for: each fault with its line, and how to mend it.

Understands the part of JSON Schema that `schema.py` writes, and nothing else; a test holds its verdicts against those
of a full validator. A full one costs more to import than everything else that `troth check` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from troth.notice.problem import Problem
from troth.notice.reading import Page, Place
from troth.notice.schema import schema
from troth.notice.terms import DAY, SLUG, TEXT

_MEANT: Final = {
    SLUG: "a short name of small letters, digits and _",
    TEXT: "plain text without < and >, at most 2,000 characters",
    DAY: "a day such as 2026-11-01",
}
_TYPES: Final[Mapping[str, type]] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def problems(page: Page) -> Iterator[Problem]:
    """Everything in a page that the language does not know.

    Args:
        page: What was read.
    """
    yield from _of(schema(), page.content, (), page)


def _of(rule: Mapping[str, Any], content: Any, place: Place, page: Page) -> Iterator[Problem]:
    if "$ref" in rule:
        yield from _of_clause(content, place, page)
    elif isinstance(rule.get("type"), list):
        fits = next((name for name in rule["type"] if _is_a(name, content)), rule["type"][-1])
        yield from _of({**rule, "type": fits}, content, place, page)
    elif "type" in rule and not _is_a(rule["type"], content):
        yield _told(page, place, f"not of the type {rule['type']}", "see the schema's description of this key")
    elif "enum" in rule:
        if content not in rule["enum"]:
            yield _told(page, place, f"unknown value {_shown(content)}", f"one of: {_listed(rule['enum'])}")
    elif rule["type"] == "object":
        yield from _of_object(rule, content, place, page)
    elif rule["type"] == "array":
        yield from _of_list(rule, content, place, page)
    elif rule["type"] == "string":
        if not _pattern(rule["pattern"]).search(content):
            hint = _MEANT.get(rule["pattern"], f"of the form {rule['pattern']}")
            yield _told(page, place, f"cannot be read: {_shown(content)}", hint)
    elif rule["type"] == "integer" and not rule["minimum"] <= content <= rule.get("maximum", content):
        most = f" and at most {rule['maximum']}" if "maximum" in rule else ""
        yield _told(page, place, f"not accepted: {content}", f"at least {rule['minimum']}{most}")


def _of_clause(content: Any, place: Place, page: Page) -> Iterator[Problem]:
    """A clause by its kind; the only place where the schema branches."""
    definitions = schema()["$defs"]
    kinds = definitions["clause"]["properties"]["kind"]
    if not isinstance(content, dict):
        yield _told(page, place, "not of the type object", "a clause has an id, a kind and its terms")
    elif "kind" not in content:
        yield _told(page, place, "'kind' is missing", kinds["description"])
    elif not isinstance(content["kind"], str) or content["kind"] not in kinds["enum"]:
        what = f"unknown value {_shown(content['kind'])}"
        yield _told(page, (*place, "kind"), what, f"one of: {_listed(kinds['enum'])}")
    else:
        yield from _of_object(definitions[content["kind"]], content, place, page)


def _of_object(rule: Mapping[str, Any], content: dict[str, Any], place: Place, page: Page) -> Iterator[Problem]:
    known = rule["properties"]
    unknown = [key for key in content if key not in known]
    if unknown:
        what = f"unknown key {', '.join(_shown(key) for key in unknown[:10])}{_named(place)}"
        yield Problem(page.path, page.line((*place, unknown[0])), what, f"known keys: {', '.join(known)}")
    for key in rule["required"]:
        if key not in content:
            yield _told(page, place, f"{key!r} is missing", known[key].get("description", ""))
    for key, value in content.items():
        if key in known and "const" not in known[key]:
            yield from _of(known[key], value, (*place, key), page)


def _of_list(rule: Mapping[str, Any], content: list[Any], place: Place, page: Page) -> Iterator[Problem]:
    least, most = rule.get("minItems", 0), rule["maxItems"]
    if not least <= len(content) <= most:
        yield _told(page, place, f"not accepted: {len(content)} entries", f"at least {least} and at most {most}")
    for index, value in enumerate(content[:most]):
        yield from _of(rule["items"], value, (*place, index), page)


def _is_a(name: str, content: Any) -> bool:
    return isinstance(content, _TYPES[name]) and not (name == "integer" and isinstance(content, bool))


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _told(page: Page, place: Place, what: str, hint: str) -> Problem:
    head, colon, rest = what.partition(": ")
    if head == "not accepted":
        return Problem(page.path, page.line(place), f"{head}{_named(place)}{colon}{rest}", hint)
    return Problem(page.path, page.line(place), f"{what}{_named(place)}", hint)


def _named(place: Place) -> str:
    words = [str(part) for part in place if isinstance(part, str) and part not in ("sections", "clauses")]
    return f" in {'.'.join(words)}" if words else ""


def _shown(content: Any) -> str:
    if isinstance(content, (dict, list)):
        return "that is no text"
    return repr(content[:60] if isinstance(content, str) else content)


def _listed(values: list[Any]) -> str:
    shown = ", ".join(map(str, values[:30]))
    return shown if len(values) <= 30 else f"{shown} and {len(values) - 30} more"
