"""The notice in force, its versions, and whether each promise is kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import words
from troth.doors.web.desk import AUDIENCES_HERE, Desk, audience_of
from troth.doors.web.promises import WORDS, counted_words, kind_of
from troth.doors.web.public.views import (
    Addition,
    AudienceLink,
    ChangeView,
    ClauseView,
    Group,
    NoticePage,
    PromisesPage,
    SectionView,
    ShortLine,
    StateMark,
    Tally,
)
from troth.doors.web.render import Page
from troth.kit.db import Space
from troth.kit.errors import NotFound
from troth.notice import AUDIENCES, Notice, NoticeVersion, applying, diff, render, sentence
from troth.policy import Actor
from troth.proofs import Proven, Report

LABELS = {"visitors": "Visitors", "patients": "Patients", "users": "People who work here"}
CHANGES = {"added": "New", "changed": "Changed", "removed": "Gone"}
PLACES = {"EEA": "European Economic Area", "EU": "European Union"}
ELSEWHERE = "ZZ"
"""A code that ISO 3166 leaves to users: for readers who live where no notice adds anything."""
_COUNTRY = re.compile(r"[A-Z]{2}")
NOT_CHECKED = StateMark("idle", "Not checked yet")
TALLIED = tuple((kind, WORDS[kind]) for kind in ("kept", "idle", "unseen", "blind", "missing", "broken"))
"""The states of promises in the order in which they are counted out; statements are counted apart."""


class NoticePages:
    """Handlers for the notice and the promises.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def notice(self, http_request: Request) -> Response:
        """The notices in force for one reader, or an earlier version, for one audience."""
        visitor = await self._desk.visitor(http_request)
        current = await self._desk.rooms.notices.current()
        audience = _audience(http_request, visitor.actor, current)
        asked = http_request.path_params.get("number")
        if asked is None:
            view = await self._in_force(http_request, visitor.actor, current, audience)
        else:
            first = next((each.name for each in current if audience in each.notice.audiences), "")
            name = http_request.query_params.get("of", first)
            version = await self._desk.rooms.notices.version(asked, name)
            view = await self._view(version, audience, is_old=True)
        rooms = self._desk.rooms
        async with rooms.database.transaction(Space(None)) as connection:
            signed = await rooms.ledger.checkpoint(connection)
        if signed is not None:
            view = replace(view, checkpoint=signed.note.rstrip("\n"), log_key=rooms.ledger.verifier_key)
        return await self._desk.page(
            http_request, visitor, "Privacy notice", Page("public/notice.html", view), here="/notice"
        )

    async def _in_force(
        self, http_request: Request, actor: Actor | None, current: Sequence[NoticeVersion], audience: str
    ) -> NoticePage:
        """What applies to this reader: the notice for the audience, and what others add where the reader lives."""
        versions = {each.name: each for each in current}
        notices = [each.notice for each in current]
        asked = http_request.query_params.get("in", "")
        region = _region(asked, notices) if asked else await self._desk.home_of(actor)
        found = applying(notices, audience, region)
        bases = [versions[each.name] for each in found if not each.head.supplements]
        if not bases:
            return NoticePage()
        view = await self._view(bases[0], audience, is_old=False)
        more = [versions[each.name] for each in found if each.head.supplements]
        return replace(
            view,
            audiences=tuple(
                AudienceLink(LABELS[each], f"/notice?for={each}" + (f"&in={asked}" if asked else ""), each == audience)
                for each in AUDIENCES_HERE
                if any(each in notice.audiences for notice in notices)
            ),
            additions=tuple([_addition(each, await self._view(each, audience, is_old=False)) for each in more]),
            places=_places(notices, audience, region),
        )

    async def promises(self, http_request: Request) -> Response:
        """Every promise of the notices in force, and whether it is kept."""
        visitor = await self._desk.visitor(http_request)
        notices = [each.notice for each in await self._desk.rooms.notices.current()]
        found = await self._desk.promises.last()
        told = [(notice, found.of(notice.name) if found else None) for notice in notices]
        view = promises_page(told, is_behind=found is not None and found.is_behind)
        return await self._desk.page(
            http_request, visitor, "Promises", Page("public/promises.html", view), here="/promises"
        )

    async def _view(self, version: NoticeVersion, audience: str, *, is_old: bool) -> NoticePage:
        reports = [] if is_old else await self._reports()
        earlier = [
            each for each in await self._desk.rooms.notices.versions(version.name) if each.number < version.number
        ]
        before = max(earlier, key=lambda each: each.number, default=None)
        return notice_page(version, audience, reports, before)

    async def _reports(self) -> Sequence[Report]:
        """The state of all promises in force, as the last run found it; none before the first."""
        found = await self._desk.promises.last()
        return found.reports if found is not None else ()


def _audience(http_request: Request, actor: Actor | None, current: Sequence[NoticeVersion]) -> str:
    """Whom the page is for: as asked, else as who is signed in, else the first that there is something for."""
    asked = http_request.query_params.get("for", "")
    if asked and asked not in AUDIENCES:
        raise NotFound
    return asked or audience_of(actor, current)


def _region(asked: str, notices: Sequence[Notice]) -> str:
    """The country that a reader names, or one of the group that they name."""
    for notice in notices:
        if asked in notice.head.applies_in:
            return min(notice.places)
    if not _COUNTRY.fullmatch(asked):
        raise NotFound
    return asked


def _places(notices: Sequence[Notice], audience: str, region: str) -> tuple[AudienceLink, ...]:
    """The choice of where the reader lives, where it makes a difference."""
    special = [each for each in notices if each.head.applies_in and audience in each.audiences]
    links = [
        AudienceLink(PLACES.get(term, term), f"/notice?for={audience}&in={term}", region in notice.places)
        for notice in special
        for term in notice.head.applies_in
    ]
    if not links:
        return ()
    is_elsewhere = not any(each.is_chosen for each in links)
    return (AudienceLink("Everywhere else", f"/notice?for={audience}&in={ELSEWHERE}", is_elsewhere), *links)


def _addition(version: NoticeVersion, view: NoticePage) -> Addition:
    anchor = f"also-{version.name}"
    return Addition(view.heading, view.lead, view.version_line, anchor, view.short, view.sections)


def notice_page(
    version: NoticeVersion, audience: str, reports: Sequence[Report], before: NoticeVersion | None
) -> NoticePage:
    """A version for one audience, with the state of each promise.

    Args:
        version: The version.
        audience: `patients`, `users` or `visitors`.
        reports: The state of the promises of all notices in force; empty when they were not checked.
        before: The version before it.
    """
    rendered = render(version.notice, audience)
    proven = by_clause(next((each for each in reports if each.notice == version.name), None))
    sections = tuple(
        _section(
            each.number, each.title, [clause_view(version.notice, one.clause_id, proven) for one in each.sentences]
        )
        for each in rendered.sections
    )
    changes = _changes(before.notice, version.notice, audience) if before is not None else ()
    return NoticePage(
        heading=rendered.cover.title,
        lead=rendered.cover.lead,
        audiences=tuple(
            AudienceLink(LABELS[each], f"/notice?for={each}", each == audience)
            for each in AUDIENCES_HERE
            if each in version.notice.audiences
        ),
        version_line=_version_line(version),
        kept=_kept_line(reports),
        short=tuple(ShortLine(each.ask, each.answer, each.clause) for each in rendered.short),
        changes=changes,
        changes_since=before.number if before is not None else 0,
        sections=sections,
    )


def _version_line(version: NoticeVersion) -> str:
    agreed = "agreed by two people" if version.second_person is not None else "the first one"
    return f"Version {version.number} · in force since {words.day(version.effective_on)} · {agreed} · signed"


def by_clause(report: Report | None) -> Mapping[str, Proven]:
    """The findings of a report by clause."""
    return {each.clause_id: each for each in report.promises} if report is not None else {}


def clause_view(notice: Notice, clause_id: str, proven: Mapping[str, Proven]) -> ClauseView:
    """One promise: its sentence, its state, how it is kept."""
    said = sentence(notice, clause_id)
    found = proven.get(clause_id)
    how = [(row.term, _capital(row.words)) for row in said.kept if row.words]
    if found is None:
        return ClauseView(id=clause_id, sentence=said.says, state=NOT_CHECKED, how=tuple(how))
    told = _found_words(found)
    if kind_of(found) not in ("missing", "stated"):
        how.append(("Now", told))
    kind = kind_of(found)
    return ClauseView(
        id=clause_id,
        sentence=said.says,
        state=StateMark(kind, WORDS[kind]),
        own=_lacking_words(found),
        how=tuple(how),
        evidence="" if kind == "stated" else told,
    )


def _found_words(found: Proven) -> str:
    """What was found, for a reader who knows no ledger."""
    counted = counted_words(found)
    reason = _capital(found.reason)
    return f"{reason} ({counted})" if counted else reason


def _lacking_words(found: Proven) -> str:
    """What of a promise is not possible here, said below it."""
    if not found.lacks:
        return ""
    what = "We promise this and cannot do it yet" if kind_of(found) == "missing" else "Of this we cannot do all yet"
    return f"{what}: {'; '.join(found.lacks)}."


def _capital(text: str) -> str:
    """As a sentence begins; an address stays as it is."""
    first = text.partition(" ")[0]
    return text if "@" in first or ":" in first else text[:1].upper() + text[1:]


def _section(number: int, title: str, clauses: Sequence[ClauseView]) -> SectionView:
    return SectionView(number, title, _counted([each.state.kind for each in clauses]), tuple(clauses))


def _counted(kinds: Sequence[str]) -> StateMark:
    """The state of several promises: the worst gives the mark, the words count each."""
    counts = Counter(kinds)
    shown = next((kind for kind in ("broken", "blind", "kept", "idle", "unseen", "missing") if counts[kind]), "stated")
    words_of = (f"{counts[kind]} {label.lower()}" for kind, label in TALLIED if counts[kind])
    return StateMark(shown, ", ".join(words_of))


def _kept_line(reports: Sequence[Report]) -> StateMark:
    """All notices in force, as the page about promises counts them."""
    if not reports:
        return NOT_CHECKED
    return _counted([kind_of(each) for report in reports for each in report.promises])


def _changes(before: Notice, after: Notice, audience: str) -> tuple[ChangeView, ...]:
    """Sentences that this audience read otherwise before."""
    changes = []
    for change in diff(before, after):
        clause = after.clause(change.clause_id) or before.clause(change.clause_id)
        if clause is not None and audience in clause.audiences:
            changes.append(ChangeView(change.clause_id, change.before, change.after, CHANGES[change.kind]))
    return tuple(changes)


def promises_page(found: Sequence[tuple[Notice, Report | None]], *, is_behind: bool = False) -> PromisesPage:
    """All promises at once; exceptions first.

    Args:
        found: The notices in force, each with the state of its promises, or None where nothing was checked yet.
        is_behind: A version came into force since the check.
    """
    if not found:
        return PromisesPage(0, 0, "No notice is in force here, so nothing was promised.", "", (), (), ())
    unsorted = [section for notice, report in found for section in _all_sections(notice, by_clause(report))]
    sections = tuple(sorted(unsorted, key=lambda each: each.number))
    report = min((each for _, each in found if each is not None), key=lambda each: each.at, default=None)
    clauses = [each for section in sections for each in section.clauses]
    counts = Counter(each.state.kind for each in clauses)
    notes = {
        "broken": "Something that happened speaks against them",
        "blind": "What would show them cannot be read at present",
        "missing": "We promise them and cannot do them yet; what is missing stands with each",
        "unseen": "Enforced, and nothing computes yet whether they always were",
        "idle": "Enforced, and nothing has happened yet that they are about",
        "stated": "They say how things are: there is nothing to keep or break",
    }
    named = {**dict(TALLIED), "stated": "Statements"}
    return PromisesPage(
        total=len(clauses) - counts["stated"],
        statements=counts["stated"],
        lead="Taken from the notice in force here. A promise is kept when its sentence was computed over everything "
        "that happened; that something of the kind happened proves nothing.",
        checked=_checked_line(report),
        is_live=is_behind,
        tallies=tuple(
            Tally(kind, label, counts[kind]) for kind, label in TALLIED if counts[kind] or kind in ("kept", "broken")
        ),
        sections=sections,
        groups=tuple(Group(kind, named[kind], note, _of_kind(clauses, kind)) for kind, note in notes.items()),
    )


def _checked_line(report: Report | None) -> str:
    if report is None:
        return "Nothing was checked yet: our programs do it within a minute of their start"
    book = "and every one fits" if report.ledger_holds else "and something in it was altered"
    entries = words.counted(report.ledger_size, "log entry", "log entries")
    return f"Checked {words.moment(report.at)} · {entries} computed again, {book}"


def _all_sections(notice: Notice, proven: Mapping[str, Proven]) -> Iterable[SectionView]:
    for each in notice.sections:
        yield _section(each.number, each.title, [clause_view(notice, one.id, proven) for one in each.clauses])


def _of_kind(clauses: Iterable[ClauseView], kind: str) -> tuple[ClauseView, ...]:
    return tuple(each for each in clauses if each.state.kind == kind)
