"""From a file to a notice: read, hold against the schema, build."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from troth.notice import reading
from troth.notice.clauses import registry
from troth.notice.clauses.base import Clause
from troth.notice.errors import NoticeMalformed
from troth.notice.model import Head, Notice, Section
from troth.notice.problem import Problem
from troth.notice.reading import Page, Place
from troth.notice.schema import schema
from troth.notice.terms import DAY, SLUG, TEXT, build

_LIMIT_PROBLEMS = 100
_MEANT = {
    SLUG: "a short name of small letters, digits and _",
    TEXT: "plain text without < and >, at most 2,000 characters",
    DAY: "a day such as 2026-11-01",
}


def load(path: Path | str) -> Notice:
    """Load a notice.

    Args:
        path: The file, or a deployment folder that holds `notice.yaml`.

    Raises:
        NoticeMalformed: It cannot be read, or says something that the language does not know; with all problems.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "notice.yaml"
    return of_page(reading.read(file))


def parse(source: str, path: str = "notice.yaml") -> Notice:
    """Load a notice from its text, such as a published version's.

    Args:
        source: YAML.
        path: How to name it in problems.

    Raises:
        NoticeMalformed: As for `load`.
    """
    return replace(_parsed(source), path=path)


@lru_cache(maxsize=16)
def _parsed(source: str) -> Notice:
    """A version in force is asked for again and again, and its text never changes."""
    return of_page(reading.parse(source))


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def of_page(page: Page) -> Notice:
    """Hold a page against the schema and build the notice.

    Args:
        page: What was read.

    Raises:
        NoticeMalformed: It says something that the language does not know; with all problems.
    """
    problems = []
    for error in _validator().iter_errors(page.content):
        problems.append(_problem(error, page))
        if len(problems) >= _LIMIT_PROBLEMS:
            break
    if problems:
        raise NoticeMalformed(sorted(set(problems)))
    sections = []
    for position, section in enumerate(page.content["sections"]):
        place: Place = ("sections", position)
        clauses = tuple(
            _clause(content, (*place, "clauses", index), page) for index, content in enumerate(section["clauses"])
        )
        sections.append(Section(section["number"], section["title"], clauses, page.line(place)))
    head = _made(Head, page.content, (), page)
    try:
        ZoneInfo(head.zone)
    except (ZoneInfoNotFoundError, OSError) as fault:
        raise NoticeMalformed(
            [
                Problem(
                    page.path, page.line(("zone",)), f"no time zone {head.zone!r}", "use a name such as Europe/London"
                )
            ]
        ) from fault
    return Notice(head, tuple(sections), page.path, page.source)


def _clause(content: dict[str, Any], place: Place, page: Page) -> Clause:
    made: Clause = _made(registry()[content["kind"]], content, place, page, line=page.line(place))
    return made


def _made(model: type[Any], content: dict[str, Any], place: Place, page: Page, **further: Any) -> Any:
    try:
        return build(model, content, **further)
    except ValueError as fault:
        what = f"no such day or period: {fault}"
        raise NoticeMalformed(
            [Problem(page.path, page.line(place), what, "such as 2026-11-01, P8Y, P1M or P30D")]
        ) from fault


def _problem(error: ValidationError, page: Page) -> Problem:
    place: Place = tuple(error.absolute_path)
    line = page.line(place)
    named = _named(place)
    value: Any = error.validator_value
    rule: Any = error.schema
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        known = rule["properties"]
        unknown = [key for key in instance if key not in known]
        line = page.line((*place, unknown[0]))
        what = f"unknown key {', '.join(map(repr, unknown))}{named}"
        return Problem(page.path, line, what, f"known keys: {', '.join(known)}")
    if error.validator == "required":
        missing = next(key for key in value if key not in instance and f"{key!r} is" in error.message)
        meaning = rule.get("properties", {}).get(missing, {}).get("description", "")
        return Problem(page.path, line, f"{missing!r} is missing{named}", meaning)
    if error.validator == "enum":
        return Problem(page.path, line, f"unknown value {error.instance!r}{named}", f"one of: {_listed(value)}")
    if error.validator == "pattern":
        return Problem(
            page.path,
            line,
            f"cannot be read: {str(error.instance)[:60]!r}{named}",
            _MEANT.get(value, f"of the form {value}"),
        )
    if error.validator == "type":
        return Problem(page.path, line, f"not of the type {value}{named}", "see the schema's description of this key")
    return Problem(page.path, line, f"not accepted{named}: {error.message[:160]}", f"{error.validator}: {value}")


def _named(place: Place) -> str:
    words = [str(part) for part in place if isinstance(part, str) and part not in ("sections", "clauses")]
    return f" in {'.'.join(words)}" if words else ""


def _listed(values: list[Any]) -> str:
    shown = ", ".join(map(str, values[:30]))
    return shown if len(values) <= 30 else f"{shown} and {len(values) - 30} more"
