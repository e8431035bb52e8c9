"""Runs: what the looks found is computed by our own programs, stored, and only read by pages.

A stranger never makes the ledger be recomputed. A result says nothing of now once it is older than a day, or of
another program or notice; a break is written down and stays listed for a year after it ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from importlib.metadata import version
from typing import Any, Final

from troth.kit import clock, ids
from troth.kit.db import Connection, Database, Row
from troth.ledger import Entry, Ledger
from troth.notice import Notices
from troth.policy import Actor, act
from troth.proofs import result, runs_store
from troth.proofs.model import Proven, Report, Standing
from troth.proofs.result import Result, outdated
from troth.proofs.service import Proofs

STALE: Final = timedelta(hours=26)
TOLD: Final = timedelta(days=365)
"""For how long a break stays listed after it ended."""

_DAY: Final = timedelta(days=1)
_PURPOSE: Final = "administration"
_OURSELVES: Final = Actor(kind="system", role="worker")


class Runs:
    """The runs of a platform.

    Args:
        database: As `troth_app`.
        ledger: Where a run and each break are written.
        notices: The notices in force.
        proofs: Computes.
    """

    def __init__(self, database: Database, ledger: Ledger, notices: Notices, proofs: Proofs) -> None:
        self._database = database
        self._ledger = ledger
        self._notices = notices
        self._proofs = proofs
        self._read: Result | None = None

    async def run(self) -> Result:
        """Compute everything now, and keep what was found."""
        started = clock.now()
        reports, departures = await self._proofs.computed()
        async with self._database.transaction(None) as connection:
            before = await runs_store.last_run(connection)
            entries = await self._broken(connection, reports, started)
            told = await self._with_breaches(connection, reports, started)
            plain = result.as_plain(told, departures)
            sha256, run_id = result.digest(plain), ids.uuid7()
            standings = [promise.standing for report in reports for promise in report.promises]
            counts = {each.name.lower(): standings.count(each) for each in Standing}
            is_news = before is None or before["counts"] != counts or started - before["started_at"] >= _DAY
            if entries or is_news:
                entries.append(_entry("proofs:run:ended", counts))
            await self._ledger.append_many(connection, entries)
            await runs_store.insert_run(
                connection,
                {
                    "id": run_id, "size": departures.ledger_size, "program": version("troth"), "sha256": sha256,
                    "results": plain, "counts": counts, "started_at": started, "ended_at": clock.now(),
                },
            )  # fmt: skip
        return Result(run_id, told, departures)

    async def last(self) -> Result | None:
        """What the last run found; None before the first. Reads, and computes nothing.

        What it cannot speak for any more is blind: it is older than a day, another program or notice made it, or it
        was altered.
        """
        async with self._database.transaction(None) as connection:
            row = await runs_store.last_run(connection)
            if row is None:
                return None
            if self._read is None or self._read.id != row["id"]:
                plain = await runs_store.results_of(connection, row["id"])
                self._read = _read(row, plain)
        found = self._read
        why = "the last check is older than a day" if clock.now() - row["ended_at"] > STALE else ""
        if row["program"] != version("troth"):
            why = "another version of the program made the last check"
        if found is None:
            return None
        in_force = {each.name: each.number for each in await self._notices.current()}
        reports = (
            outdated(each, why or "the notice has changed since the last check")
            if why or in_force.get(each.notice) != each.version
            else each
            for each in found.reports
        )
        return replace(found, reports=tuple(reports))

    async def last_size(self) -> tuple[int, datetime] | None:
        """How long the ledger was at the last run, and when that ended; None before the first."""
        async with self._database.transaction(None) as connection:
            row = await runs_store.last_run(connection)
        return None if row is None else (row["size"], row["ended_at"])

    async def _broken(self, connection: Connection, reports: Sequence[Report], now: datetime) -> list[Entry]:
        """Write down what broke since the last run, and what is broken no more."""
        held = [row for row in await runs_store.breaches(connection, now) if row["ended_at"] is None]
        known = {(row["notice"], row["clause"]) for row in held}
        found = {
            (report.notice, promise.clause_id): promise
            for report in reports
            for promise in report.promises
            if promise.standing is Standing.BROKEN
        }
        entries = []
        for (notice, clause), promise in found.items():
            if (notice, clause) not in known:
                first = min((each.number for each in promise.examples), default=None)
                await runs_store.insert_breach(
                    connection,
                    {
                        "id": ids.uuid7(), "notice": notice, "clause": clause, "look": promise.kind,
                        "first_index": first, "found_at": now,
                    },
                )  # fmt: skip
                entries.append(_entry("proofs:clause:broken", {"against": promise.of - promise.fits}, clause))
        for row in held:
            if (row["notice"], row["clause"]) not in found:
                await runs_store.end_breach(connection, row["id"], now)
                entries.append(_entry("proofs:clause:mended", {}, row["clause"]))
        return entries

    async def _with_breaches(
        self, connection: Connection, reports: Sequence[Report], now: datetime
    ) -> tuple[Report, ...]:
        """Reports that also say what was broken within a year."""
        ended = [row for row in await runs_store.breaches(connection, now - TOLD) if row["ended_at"] is not None]
        return tuple(
            replace(report, promises=tuple(_remembering(each, report.notice, ended) for each in report.promises))
            for report in reports
        )


def _read(row: Row, plain: Mapping[str, Any] | None) -> Result | None:
    """The results of a run; None where they are gone or were altered."""
    if plain is None or result.digest(plain) != bytes(row["sha256"]):
        return None
    try:
        return result.read(row["id"], plain)
    except (KeyError, TypeError, ValueError):
        return None  # another version of the program wrote it


def _remembering(promise: Proven, notice: str, ended: Sequence[Row]) -> Proven:
    mine = [row for row in ended if (row["notice"], row["clause"]) == (notice, promise.clause_id)]
    if not mine:
        return promise
    told = ", ".join(f"{_day(row['found_at'])} to {_day(row['ended_at'])}" for row in mine)
    return replace(promise, reason=f"{promise.reason}; it was broken from {told}")


def _day(moment: datetime) -> str:
    day: date = moment.date()
    return f"{day.day} {day:%B %Y}"


def _entry(kind: str, counts: Mapping[str, int], clause: str = "") -> Entry:
    return act(_OURSELVES, kind, _PURPOSE, grounds=(clause,) if clause else (), counts=counts)
