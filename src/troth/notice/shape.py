"""Whether content has the shape that the schema asks for: each fault with its line, and how to mend it.

Understands the part of JSON Schema that `schema.py` writes, and nothing else; a test holds its verdicts against those
of a full validator. A full one costs more to import than everything else that `troth check` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from troth.notice.period import Period
from troth.notice.problem import Problem
from troth.notice.reading import Page, Place
from troth.notice.schema import schema
from troth.notice.terms import DAY, SLUG, TEXT

MEANT: Final[Mapping[str, str]] = {
    SLUG: "a short name of small letters, digits and _",
    TEXT: "plain text without < and >, at most 2,000 characters",
    DAY: "a day such as 2026-11-01",
    Period.PATTERN: "a length of time, such as P8Y for 8 years, P6M for 6 months or P30D for 30 days",
    r"^[^@\s<>]+@[^@\s<>]+$": "an e-mail address, such as privacy@hospital.example",
    r"^[A-Z]{2}-[0-9]{2}$": "two capitals, a hyphen and two digits, such as IC-01",
    r"^https://[a-z0-9.-]{1,253}(:[0-9]{1,5})?$": "an address with nothing after the host, such as https://x.example",
    r"^https://[^\s<>]+$": "a web address that begins with https://",
    r"^[a-z][a-z0-9-]{0,63}$": "a short name of small letters, digits and hyphens",
    r"^[a-z]{2,3}(-[A-Z]{2})?$": "a language, such as en or en-GB",
    r"^\+?[0-9 ()-]{3,30}$": "a telephone number, such as +44 20 7946 0000",
    r"^[A-Za-z_]+(/[A-Za-z_]+)*$": "a time zone, such as Europe/London",
    r"^[A-Za-z0-9_-]{1,64}$": "letters, digits, _ and hyphens, at most 64",
    r"^(dpv|dpv-pd|eu-gdpr):[A-Za-z0-9-]+$": "a term of the Data Privacy Vocabulary, such as dpv:Sell",
    r"^[0-9]{1,3}\.[0-9]{1,3}$": 'number of section and clause between quotation marks, such as "4.1"',
    r"^[A-Za-z0-9.-]{1,32}$": "letters, digits, dots and hyphens, at most 32",
}
"""What each form of text that the schema knows is, in words and with an example; a test holds it against the schema."""
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
            yield _told(page, place, f"cannot be read: {_shown(content)}", MEANT[rule["pattern"]])
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
