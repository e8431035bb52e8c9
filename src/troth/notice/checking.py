"""Everything that must hold of a notice before it may be published."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date
from itertools import islice
from pathlib import Path

import cedarpy

from troth.notice import law
from troth.notice.clauses.base import Clause
from troth.notice.compiling import compile_notices
from troth.notice.errors import NoticeMalformed
from troth.notice.loading import load
from troth.notice.model import Notice
from troth.notice.needs import Serves, misstated
from troth.notice.problem import Problem

LIMIT_POLICIES = 1_000

_STALE = tuple((re.compile(pattern, re.IGNORECASE), hint) for pattern, hint in law.STALE.items())


def check(
    notice: Notice | Path | str,
    *,
    modules: Collection[str] | None = None,
    today: date | None = None,
    serves: Collection[Serves] | None = None,
) -> list[Problem]:
    """All problems of a notice, in the order of its lines; an empty list means that it may be published.

    Args:
        notice: A loaded notice, or the file or folder to load it from.
        modules: Names of the modules of the program, such as `policy.decision`; given, each enforcer must be one.
        today: Given, what has ended by then is a problem as well.
        serves: All that the program serves; given, what it cannot keep has to say so itself, and nothing else may.
    """
    if not isinstance(notice, Notice):
        try:
            notice = load(notice)
        except NoticeMalformed as fault:
            return list(fault.problems)
    problems = [*_numbers(notice), *_clauses(notice), *_short(notice), *_stale(notice), *_policies(notice)]
    if modules is not None:
        problems += _enforcers(notice, modules)
    if today is not None:
        problems += _ended(notice, today)
    if serves is not None:
        problems += impossible(notice, serves)
    return sorted(set(problems))


def _numbers(notice: Notice) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    keys: dict[tuple[str, str], int] = {}
    sections: set[int] = set()
    for section in notice.sections:
        if section.number in sections:
            yield Problem(notice.path, section.line, f"section {section.number} stands twice", "number sections once")
        sections.add(section.number)
        for clause in section.clauses:
            if not clause.id.startswith(f"{section.number}."):
                hint = f"ids here begin with {section.number}."
                yield Problem(notice.path, clause.line, f"clause {clause.id} stands in section {section.number}", hint)
            if clause.id in seen:
                what = f"clause id {clause.id} stands twice, first in line {seen[clause.id]}"
                yield Problem(notice.path, clause.line, what, "give it the next free number")
            seen.setdefault(clause.id, clause.line)
            if clause.key and (clause.kind, clause.key) in keys:
                what = f"the {clause.kind} {clause.key!r} stands twice, first in line {keys[clause.kind, clause.key]}"
                yield Problem(notice.path, clause.line, what, "use another key, or make one clause of the two")
            keys.setdefault((clause.kind, clause.key), clause.line)


def _clauses(notice: Notice) -> Iterator[Problem]:
    for clause in notice.clauses:
        if not clause.sentence(notice):
            yield _at(notice, clause, "a promise without a sentence", "add says: and write it as you would say it")
        if not clause.enforcer():
            yield _at(
                notice, clause, f"nothing enforces a clause of kind {clause.kind!r}", "use a kind that is enforced"
            )
        for fault in clause.faults(notice):
            yield _at(notice, clause, fault.what, fault.hint)


def _enforcers(notice: Notice, modules: Collection[str]) -> Iterator[Problem]:
    """A promise is kept by a part of the program that is there."""
    for clause in notice.clauses:
        enforcer = clause.enforcer()
        if enforcer and enforcer not in modules:
            what = f"{enforcer!r} has to keep this promise, and the program has no such part"
            yield _at(notice, clause, what, "leave the promise out until something keeps it")


def impossible(notice: Notice, serves: Collection[Serves]) -> list[Problem]:
    """Where a notice promises what nothing can keep and does not say so, or says so of what can be kept.

    Args:
        notice: The notice.
        serves: All that the program serves.
    """
    return [
        _at(notice, clause, what, hint) for clause in notice.clauses for what, hint in misstated(clause, notice, serves)
    ]


def _ended(notice: Notice, today: date) -> Iterator[Problem]:
    """What a clause rests on has not run out, and has begun."""
    for clause in notice.clauses:
        for limit in clause.limits():
            if limit.until is not None and limit.until < today:
                what = f"{limit.what} ended on {limit.until.isoformat()}"
                yield _at(notice, clause, what, "renew it and give the new day, or take the clause out")
            if limit.since is not None and limit.since > today:
                what = f"{limit.what} begins only on {limit.since.isoformat()}"
                yield _at(notice, clause, what, "add the clause when it has begun")


def _short(notice: Notice) -> Iterator[Problem]:
    for row in notice.head.short:
        found = notice.clause(row.clause)
        if found is None:
            hint = "name a clause of this notice"
            yield Problem(notice.path, 1, f"In short names clause {row.clause}, which is not there", hint)
        elif row.audience not in found.audiences:
            what = f"In short shows {row.audience} clause {row.clause}, which is not for them"
            yield Problem(notice.path, found.line, what, f"add {row.audience} to its audiences")


def _stale(notice: Notice) -> Iterator[Problem]:
    for number, line in enumerate(notice.source.splitlines(), start=1):
        text = line.split(" #")[0]
        for pattern, hint in _STALE:
            if found := pattern.search(text):
                yield Problem(notice.path, number, f"law that no longer stands: {found.group()}", hint)


def _policies(notice: Notice) -> Iterator[Problem]:
    """The compiled policies against the Cedar schema: a last net below the clauses' own checks."""
    made = (policy for clause in notice.clauses for policy in clause.policies(notice))
    if len(list(islice(made, LIMIT_POLICIES + 1))) > LIMIT_POLICIES:
        hint = "name groups such as EEA instead of each country, and fewer roles and purposes"
        yield Problem(notice.path, 1, f"the notice comes to more than {LIMIT_POLICIES:,} policies", hint)
        return
    compiled = compile_notices([notice])
    for error in cedarpy.validate_policies(compiled.text, compiled.schema).errors:
        policy = compiled.numbered(error.policy_id)
        clause = notice.clause(policy.clause_id) if policy is not None else None
        line = clause.line if clause is not None else 1
        named = f"§ {clause.id}: " if clause is not None else ""
        hint = "this is a fault of the program; report it"
        yield Problem(notice.path, line, f"{named}does not compile: {error.error}", hint)


def _at(notice: Notice, clause: Clause, what: str, hint: str) -> Problem:
    return Problem(notice.path, clause.line, f"§ {clause.id}: {what}", hint)
