"""From a file to a notice: read, hold against the schema, build."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from troth.notice import reading, shape
from troth.notice.clauses import registry
from troth.notice.clauses.base import Clause
from troth.notice.errors import NoticeMalformed
from troth.notice.model import Head, Notice, Section
from troth.notice.problem import Problem
from troth.notice.reading import Page, Place
from troth.notice.terms import build

_LIMIT_PROBLEMS = 100


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


def of_page(page: Page) -> Notice:
    """Hold a page against the schema and build the notice.

    Args:
        page: What was read.

    Raises:
        NoticeMalformed: It says something that the language does not know; with all problems.
    """
    problems = list(islice(shape.problems(page), _LIMIT_PROBLEMS))
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
