"""Runs: what the looks found is computed by our own programs, stored, and only read by pages.

A stranger never makes the ledger be recomputed. A result says nothing of now once it is older than a day, or of
another program, nor of a clause that has changed; a break is written down and stays listed for a year after it ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from typing import Any, Final, TypeAlias

from troth.kit import clock, ids
from troth.kit.db import Connection, Database, Row
from troth.ledger import Entry, Ledger
from troth.notice import Notices, NoticeVersion, VersionNotFound
from troth.policy import NOTHING, Actor, Clear, act, refs
from troth.proofs import result, runs_store
from troth.proofs.carried import LOOKED_AT, carried
from troth.proofs.model import Deep, Proven, Report, Standing
from troth.proofs.result import Result, outdated
from troth.proofs.service import Proofs

STALE: Final = timedelta(hours=26)
TOLD: Final = timedelta(days=365)
"""For how long a break stays listed after it ended."""

Seen: TypeAlias = tuple[str, int]
"""A version that was looked at: the name of its notice and its number."""

LONGEST_NAME: Final = 128
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RAN: Final = "proofs:run:ended"
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

    async def run(self, *, is_deep: bool = True) -> Result:
        """Compute everything now, and keep what was found; after whoever else computes.

        Args:
            is_deep: Look through all that is held too; else what was found there last counts, for a day.
        """
        async with self._database.transaction(None) as holding:
            await runs_store.lease(holding)
            return await self._run(is_deep=is_deep)

    async def try_run(self, *, is_deep: bool = False) -> Result | None:
        """The same, or None where another process computes at this moment."""
        async with self._database.transaction(None) as holding:
            return await self._run(is_deep=is_deep) if await runs_store.try_lease(holding) else None

    async def _run(self, *, is_deep: bool) -> Result:
        started, held = clock.now(), None if is_deep else await self._held()
        found = await self._proofs.computed(held)
        async with self._database.transaction(None) as connection:
            reports = _answered(found.reports, await runs_store.breaches(connection, _EVER))
            entries = await self._broken(connection, reports, started)
            told = await self._with_breaches(connection, reports, started)
            plain = result.as_plain(told, found.departures, found.deep)
            sha256, run_id = result.digest(plain), ids.uuid7()
            standings = [promise.standing for report in reports for promise in report.promises]
            counts = {each.name.lower(): standings.count(each) for each in Standing}
            clear = Clear(refs=refs(run=run_id), says={"sha256": sha256.hex()})
            entries.append(_entry(_RAN, counts, clear=clear))
            await self._ledger.append_many(connection, entries)
            await runs_store.insert_run(
                connection,
                {
                    "id": run_id, "size": found.departures.ledger_size, "program": version("troth"), "sha256": sha256,
                    "results": plain, "counts": counts, "started_at": started, "ended_at": clock.now(),
                    "written": len(entries),
                },
            )  # fmt: skip
        return Result(run_id, told, found.departures, found.deep)

    async def _held(self) -> Deep | None:
        """What was found in all that is held, while that says something of now."""
        _, last = await self._last_read()
        return None if last is None or clock.now() - last.deep.at > STALE else last.deep

    async def last(self) -> Result | None:
        """What the last run found; None before the first. Reads, and computes nothing.

        What it cannot speak for any more is blind: it is older than a day, another program made it, or it was altered.
        Where a notice has changed since, only what changed is.
        """
        row, found = await self._last_read()
        if row is None or found is None:
            return None
        why = "the last check is older than a day" if clock.now() - row["ended_at"] > STALE else ""
        if row["program"] != version("troth"):
            why = "another version of the program made the last check"
        if why:
            return replace(found, reports=tuple(outdated(each, why) for each in found.reports))
        return await self._in_force(found)

    async def _in_force(self, found: Result) -> Result:
        """What a run found, told of the versions in force now."""
        reports, current = [], await self._notices.current()
        for each in current:
            report = found.of(each.name)
            if report is not None and report.version != each.number:
                report = await self._told_of(each, report)
            reports.extend([] if report is None else [report])
        return replace(found, reports=tuple(reports), is_behind=bool(_unseen(current, found)))

    async def _told_of(self, newer: NoticeVersion, report: Report) -> Report:
        try:
            before = await self._notices.version(report.version, report.notice)
        except VersionNotFound:  # it is not what was signed any more: nobody can say what differs
            return outdated(report, LOOKED_AT)
        return carried(report, before.notice, newer.notice)

    async def unseen(self) -> frozenset[Seen]:
        """The versions in force at which the last run did not look; none where there is no run to be behind."""
        _, last = await self._last_read()
        return frozenset() if last is None else _unseen(await self._notices.current(), last)

    async def _last_read(self) -> tuple[Row | None, Result | None]:
        """The last run and its results, read once; without results where they are not those that its entry names."""
        read = self._read
        async with self._database.transaction(None) as connection:
            await runs_store.see_one_moment(connection)  # a run may end between its row and its entry
            row = await runs_store.last_run(connection)
            if row is None:
                return None, None
            if read is None or read.id != row["id"]:
                plain = await runs_store.results_of(connection, row["id"])
                told = await self._ledger.latest(connection, kinds=[_RAN], limit=1)
                read = self._read = _read(row, plain, told[0].clear if told else NOTHING)
        return row, read

    async def last_size(self) -> tuple[int, datetime] | None:
        """How long the ledger was when the last run had written its own, and when that ended; None before the first."""
        async with self._database.transaction(None) as connection:
            row = await runs_store.last_run(connection)
        return None if row is None else (row["size"] + row["written"], row["ended_at"])

    async def saw_cookie(self, name: str) -> None:
        """Keep that an answer set a cookie of this name."""
        async with self._database.transaction(None) as connection:
            await runs_store.insert_cookie(connection, name[:LONGEST_NAME], clock.now())

    async def last_deep(self) -> datetime | None:
        """When all that is held was looked at last; None where nobody can say."""
        _, last = await self._last_read()
        return None if last is None else last.deep.at

    async def _broken(self, connection: Connection, reports: Sequence[Report], now: datetime) -> list[Entry]:
        """Write down what broke since the last run, and what is broken no more."""
        held = [row for row in await runs_store.breaches(connection, now) if row["ended_at"] is None]
        known = {(row["notice"], row["clause"]): row["id"] for row in held}
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
                breach_id = known[notice, clause] = ids.uuid7()
                await runs_store.insert_breach(
                    connection,
                    {
                        "id": breach_id, "notice": notice, "clause": clause, "look": promise.kind,
                        "first_index": first, "found_at": now,
                    },
                )  # fmt: skip
                against, clear = {"against": promise.of - promise.fits}, Clear(refs=refs(breach=breach_id))
                entries.append(_entry("proofs:clause:broken", against, clause, clear))
            await runs_store.count_breach(connection, known[notice, clause], promise.against)
        for row in held:
            if (row["notice"], row["clause"]) not in found:
                await runs_store.end_breach(connection, row["id"], now)
                clear = Clear(refs=refs(breach=row["id"]))
                entries.append(_entry("proofs:clause:mended", {}, row["clause"], clear))
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


def _unseen(current: Sequence[NoticeVersion], found: Result) -> frozenset[Seen]:
    return frozenset((each.name, each.number) for each in current) - {
        (each.notice, each.version) for each in found.reports
    }


def _answered(reports: Sequence[Report], breaches: Sequence[Row]) -> list[Report]:
    """Reports in which what two people answered for breaks a promise no more; what came after it does."""
    answered = {
        (row["notice"], row["clause"]): row for row in breaches if row["agreed_at"] is not None
    }  # the newest of each

    def one(promise: Proven, notice: str) -> Proven:
        row = answered.get((notice, promise.clause_id))
        if promise.aside is None or row is None or promise.against > row["said_against"]:
            return promise
        standing, reason = promise.aside
        said = f"{reason}; {row['said_against']:,} of {promise.of:,} did not fit it, and two people answered for that"
        return replace(promise, standing=standing, reason=said, is_idle=standing is Standing.UNPROVEN)

    return [replace(report, promises=tuple(one(each, report.notice) for each in report.promises)) for report in reports]


def _read(row: Row, plain: Mapping[str, Any] | None, told: Clear) -> Result | None:
    """The results of a run; None where they are gone, or are not those that its entry names."""
    sha256 = b"" if plain is None else result.digest(plain)
    is_told = told.ref("run") == row["id"] and told.says.get("sha256") == sha256.hex()
    if plain is None or sha256 != bytes(row["sha256"]) or not is_told:
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


def _entry(kind: str, counts: Mapping[str, int], clause: str = "", clear: Clear = NOTHING) -> Entry:
    return act(_OURSELVES, kind, _PURPOSE, grounds=(clause,) if clause else (), counts=counts, clear=clear)
