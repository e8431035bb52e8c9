"""The notices of one deployment: which files, whom each is for, and whether they go together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from itertools import combinations
from pathlib import Path

from troth.kit.errors import Unprocessable
from troth.notice.checking import check
from troth.notice.errors import NoticeMalformed
from troth.notice.loading import load
from troth.notice.model import Notice
from troth.notice.needs import Serves
from troth.notice.problem import Problem
from troth.notice.rendering import Rendered, render

LIMIT_NOTICES = 20


def notice_files(paths: Iterable[Path]) -> list[Path]:
    """The notice files that paths name; a deployment folder stands for the `notice*.yaml` in it.

    Args:
        paths: Files and folders.

    Raises:
        Unprocessable: A path is not there, or holds no notice or too many.
    """
    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("notice*.yaml")) if path.is_dir() else [path]
        if not found or not all(file.exists() for file in found):
            raise Unprocessable(f"there is no notice at {path}", hint="Name a notice file or a deployment folder.")
        files += found
    if len(files) > LIMIT_NOTICES:
        raise Unprocessable(
            f"{len(files)} notices in one deployment", hint=f"At most {LIMIT_NOTICES}; move old ones to another folder."
        )
    return files


def load_all(paths: Iterable[Path]) -> list[Notice]:
    """Load the notices that paths name.

    Args:
        paths: Files and folders.

    Raises:
        Unprocessable: As for `notice_files`.
        NoticeMalformed: One of them cannot be read; with the problems of all.
    """
    notices: list[Notice] = []
    problems: list[Problem] = []
    for file in notice_files(paths):
        try:
            notices.append(load(file))
        except NoticeMalformed as fault:
            problems += fault.problems
    if problems:
        raise NoticeMalformed(problems)
    return notices


def check_all(
    notices: Sequence[Notice],
    *,
    modules: Collection[str] | None = None,
    today: date | None = None,
    serves: Collection[Serves] | None = None,
) -> list[Problem]:
    """All problems of the notices of one deployment, alone and together.

    Args:
        notices: Of one deployment.
        modules: Names of the modules of the program, such as `policy.decision`; given, each enforcer must be one.
        today: Given, what has ended by then is a problem as well. A start gives none: a contract that ran out stops
            what rests on it, and not the hospital.
        serves: All that the program serves; given, what it cannot keep has to say so itself. A start gives none: what
            is not possible is told to readers, and stops nothing that is.
    """
    found = [problem for notice in notices for problem in check(notice, modules=modules, today=today, serves=serves)]
    return sorted({*found, *_together(notices)})


def applying(notices: Iterable[Notice], audience: str, region: str = "") -> tuple[Notice, ...]:
    """The notices that a reader is shown: first those that add something for their country, then the one they add to.

    Args:
        notices: Of one deployment.
        audience: `patients`, `users` or `visitors`.
        region: ISO 3166 code of the country where the reader lives; empty when nobody knows.
    """
    found = [notice for notice in notices if notice.applies_to(audience, region)]
    bases = [notice for notice in found if not notice.head.supplements]
    special = [notice for notice in bases if notice.head.applies_in]
    chosen = special or bases
    names = {notice.name for notice in chosen}
    return (*(notice for notice in found if notice.head.supplements in names), *chosen)


def render_all(notices: Iterable[Notice], audience: str, region: str = "") -> tuple[Rendered, ...]:
    """What a reader is shown, notice by notice.

    Args:
        notices: Of one deployment.
        audience: `patients`, `users` or `visitors`.
        region: ISO 3166 code of the country where the reader lives; empty when nobody knows.
    """
    return tuple(render(notice, audience) for notice in applying(notices, audience, region))


def _together(notices: Sequence[Notice]) -> Iterator[Problem]:
    names = {notice.name for notice in notices}
    for notice in notices:
        base = notice.head.supplements
        if base and (base not in names or base == notice.name):
            known = ", ".join(sorted(names - {notice.name})) or "none"
            hint = f"name another notice of this deployment: {known}"
            yield Problem(notice.path, 1, f"it adds to the notice {base!r}, which is not there", hint)
        if any(other.name == base and other.head.supplements for other in notices):
            hint = f"name the notice that {base!r} adds to"
            yield Problem(notice.path, 1, f"it adds to {base!r}, which itself adds to another", hint)
    for first, second in combinations(notices, 2):
        if first.name == second.name:
            what = f"the notice {first.name!r} stands twice, in versions {first.version} and {second.version}"
            yield Problem(second.path, 1, what, f"see {first.path}; one file per notice, earlier versions are kept")
        elif audiences := _both(first, second):
            what = f"{' and '.join(audiences)} are told by {first.name!r} already, for the same countries"
            yield Problem(second.path, 1, what, f"see {first.path}; give each its own covers or applies_in")


def _both(first: Notice, second: Notice) -> tuple[str, ...]:
    """The audiences for whom two notices would both be the one."""
    if first.head.supplements != second.head.supplements:
        return ()
    here, there = first.places, second.places
    if bool(here) != bool(there) or (here and not here & there):
        return ()
    return tuple(audience for audience in first.audiences if audience in second.audiences)
