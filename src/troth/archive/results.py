"""Walks candidates newest first, unseals them, matches them exactly, and stops at a page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date
from typing import Protocol
from uuid import UUID

from troth.archive import attributes as tags
from troth.archive import summaries
from troth.archive.errors import SearchAmbiguous, SearchTooBroad, StudyMisplaced
from troth.archive.model import Found, Page, Query, Row, StudySummary
from troth.archive.records import instance_record, open_record, series_record
from troth.archive.searching import MOST_SCANNED, Plan, holds
from troth.vault import KeyDestroyed, KeyRef, Keyring

_LARGEST_STEP = 2_000


class Candidates(Protocol):
    """Gives the next studies that may match."""

    def __call__(self, *, after: tuple[date, UUID] | None, limit: int, offset: int) -> Awaitable[list[Row]]:
        """The next rows after one."""


SeriesOf = Callable[[Sequence[UUID]], Awaitable[list[Row]]]
InstancesOf = Callable[[UUID, str], Awaitable[list[Row]]]


class Search:
    """One search at work.

    Args:
        keyring: Unseals.
        plan: What was planned.
        query: What was asked for.
        candidates: Studies that may match.
        series_of: Series of some studies.
        instances_of: Instances of a series of a study.

    Attributes:
        misplaced: Studies that are not owned by whom their rows name; no result.
    """

    def __init__(
        self,
        keyring: Keyring,
        plan: Plan,
        query: Query,
        candidates: Candidates,
        series_of: SeriesOf,
        instances_of: InstancesOf,
    ) -> None:
        self._keyring = keyring
        self._plan = plan
        self._query = query
        self._candidates = candidates
        self._series_of = series_of
        self._instances_of = instances_of
        self.misplaced: list[UUID] = []

    async def page(self) -> Page:
        """The page that was asked for.

        Raises:
            SearchTooBroad: Too many candidates had to be read for it.
            SearchAmbiguous: One person is meant, and there are several.
        """
        query = self._query
        # When every row is a result, the database skips the rows of earlier pages; else they are matched first.
        skip = 0 if self._plan.is_exact else query.offset
        found: list[Found] = []
        async for result in self._results():
            if skip:
                skip -= 1
                continue
            found.append(result)
            if len(found) > query.limit:
                break
        if query.is_of_one and len({each.study.subject_id for each in found}) > 1:
            raise SearchAmbiguous
        return Page(tuple(found[: query.limit]), is_more=len(found) > query.limit)

    async def _results(self) -> AsyncIterator[Found]:
        async for key, study, values in self._studies():
            if self._query.level == "study":
                yield Found("study", study, values=values)
                continue
            async for result in self._below(key, study):
                yield result

    async def _studies(self) -> AsyncIterator[tuple[KeyRef, StudySummary, dict[int, str]]]:
        """Studies that match, in steps that grow while little is found."""
        after = self._query.after
        step = self._query.limit + 1
        offset = self._query.offset if self._plan.is_exact else 0
        scanned = 0
        while True:
            rows = await self._candidates(after=after, limit=step, offset=offset)
            for row in rows:
                try:
                    study = summaries.study_summary(self._keyring, row)
                except KeyDestroyed:
                    continue  # erased a moment ago
                except StudyMisplaced as fault:
                    self.misplaced.append(fault.study_id)
                    continue
                values = summaries.study_values(study)
                # A study of a merged subject is meant by each identifier of theirs, whichever one it carries.
                met = tags.PATIENT_ID if row["is_merged"] else None
                if self._plan.is_exact or holds(self._plan.rules, "study", values, besides=met):
                    yield KeyRef(row["key"]), study, values
            scanned += len(rows)
            if len(rows) < step:
                return
            if scanned >= MOST_SCANNED:
                raise SearchTooBroad
            after, offset = (rows[-1]["study_date"], rows[-1]["id"]), 0
            step = min(step * 4, _LARGEST_STEP)

    async def _below(self, key: KeyRef, study: StudySummary) -> AsyncIterator[Found]:
        rules = self._plan.rules
        for series_row in await self._series_of([study.id]):
            try:
                series = series_record(self._keyring, key, series_row)
                if not holds(rules, "series", summaries.series_values(series)):
                    continue
                if self._query.level == "series":
                    yield summaries.found_series(study, series)
                    continue
                for row in await self._instances_of(study.id, series.series_uid):
                    instance = instance_record(row)
                    values = open_record(self._keyring, key, instance).values
                    if holds(rules, "instance", summaries.instance_values(instance, values)):
                        yield summaries.found_instance(study, series, instance, values)
            except KeyDestroyed:
                return
