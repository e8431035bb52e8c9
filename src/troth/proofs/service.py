"""Each clause of the notice in force → kept, broken, unproven or not possible here.

A promise is kept when a look computed its sentence over all that happened and found nothing against it; that something
of its kind happened proves nothing. What nothing can do here is not possible, whatever happened; what says how things
are is stated, and has nothing to keep.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection, Database, HasTenant
from troth.ledger import Ledger, Verification
from troth.notice import Clause, Notice, Notices, Serves, is_marked, unserved
from troth.proofs import retention, runs_store
from troth.proofs.carried import untold
from troth.proofs.looks import Looks, Text
from troth.proofs.looks.own import KINDS
from troth.proofs.model import Checked, Deep, Departures, Finding, Proven, Report, Standing, Verdict
from troth.proofs.safeguards import Site, look, look_through, recipients

SALE: Final = "sale"
_AT_ONCE: Final = 100

WHOLE: Final = frozenset({"sealed_at_rest", "sealed_in_transit", "tamper_evident", "apart", "stays_erased"})
"""Measures whose live checks compute the whole sentence; a check of another can break it, and not show it."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What one pass found.

    Attributes:
        reports: One for each notice in force.
        departures: What left for somebody outside.
        deep: What was found when all that is held was looked at.
    """

    reports: list[Report]
    departures: Departures
    deep: Deep


class Proofs:
    """The state of every promise.

    Args:
        database: As `troth_app`, for the catalogue.
        ledger: What happened.
        dsn_sequencer: Connection string of the role that sees all tenants' entries: ids and kinds, nothing opened.
        site: What of this machine is looked at.
        notices: The notices in force, and those that were.
        serves: What the program can do for a clause.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        dsn_sequencer: str,
        site: Site,
        notices: Notices,
        serves: Collection[Serves],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._dsn = dsn_sequencer
        self._site = site
        self._notices = notices
        self._serves = serves

    async def computed(self, deep: Deep | None = None) -> Computed:
        """The state of every promise of the notices in force, and what left, computed now over all that happened.

        Args:
            deep: What was found when all that is held was looked at; without it that is looked at now.
        """
        current = tuple(version.notice for version in await self._notices.current())
        return await self._computed(Text(current, await self._published(current)), deep)

    async def report(self, notice: Notice, scope: HasTenant | None = None) -> Report:
        """The state of every promise of one notice now.

        Args:
            notice: The notice in force.
            scope: A permit of an organisation: counter-examples are of that organisation and of the platform itself,
                so that nobody reads when something happened elsewhere.
        """
        current = tuple({each.notice.name: each.notice for each in await self._notices.current()}.values())
        others = tuple(each for each in current if each.name != notice.name)
        found = await self._computed(Text((notice, *others), await self._published((notice, *others))))
        return within(found.reports[0], scope) if scope is not None else found.reports[0]

    async def _published(self, current: Sequence[Notice]) -> tuple[Notice, ...]:
        """Every version that was ever in force: what was done under one of them is measured by it."""
        return (*current, *(version.notice for version in await self._notices.versions()))

    async def _computed(self, text: Text, deep: Deep | None = None) -> Computed:
        """One pass over the ledger for all notices, in the snapshot that is verified."""
        looks = Looks(text)
        async with self._database.transaction(None) as connection:
            own = await runs_store.own(connection)  # first: what is stored while the leaves are read has none yet
            waiting = await self._waiting(connection)
            cookies = await runs_store.cookies(connection)
        verification = await self._ledger.verify(self._dsn, heed=looks.see)
        if deep is None:
            deep = Deep(clock.now(), tuple(await look_through(self._site)))
        checks = [
            *await look(self._site, self._database, verification),
            *deep.checks,
            looks.compared(*own, waiting if verification.pending else ()),
        ]
        now = clock.now()
        found = {**looks.found(now), **_of_cookies(text, cookies)}
        overdue = None if self._site.overdue is None else await self._site.overdue()
        for key, more in retention.findings(text.current, overdue).items():
            found[key] = [*found[key], *more]
        reports = [
            Report(
                notice.name,
                notice.version,
                now,
                verification.size,
                verification.is_sound,
                tuple(
                    self._proven(clause, notice, found[notice.name, clause.id], verification, checks)
                    for clause in notice.clauses
                ),
                tuple(checks),
                self._ledger.verifier_key,
            )
            for notice in text.current
        ]
        registered, sellers = await recipients(self._database, SALE)
        left = Departures(now, verification.size, verification.is_sound, dict(looks.departures), registered, sellers)
        return Computed(reports, left, deep)

    async def _waiting(self, connection: Connection) -> set[str]:
        """Runs and breaks whose entries have no place in the tree yet, however long the sequencer rests."""
        found: set[str] = set()
        last: UUID | None = None
        while True:
            events = await self._ledger.latest(connection, kinds=KINDS, limit=_AT_ONCE, before=last)
            waits = [event for event in events if event.index is None]
            found.update(str(ref) for event in waits for _, ref in event.clear.refs)
            if not waits or len(events) < _AT_ONCE:
                return found
            last = events[-1].id

    def _proven(
        self,
        clause: Clause,
        notice: Notice,
        found: Sequence[Finding],
        verification: Verification,
        checks: Sequence[Checked],
    ) -> Proven:
        checked = tuple(check for check in checks if check.measure in measures_of(clause))
        findings = [*_of_checks(checked), *found]
        missing = unserved(clause, notice, self._serves)
        lacks = tuple(dict.fromkeys(need.lacks for need in missing))
        if clause.not_yet is True:
            lacks = lacks or ("nothing here does this",)
        is_possible = not lacks or (clause.not_yet is not True and all(is_marked(clause, need) for need in missing))
        standing, reason, is_blind = judge(
            verification.is_sound, findings, is_statement=clause.is_statement, lacks=() if is_possible else lacks
        )
        aside = None
        if against := _answerable(standing, findings):
            others = [_answered(each) for each in findings]
            aside = judge(
                verification.is_sound, others, is_statement=clause.is_statement, lacks=() if is_possible else lacks
            )[:2]
        return replace(
            untold(clause, notice, reason),
            standing=standing,
            reason=reason,
            lacks=lacks,
            is_unsaid=not all(is_marked(clause, need) for need in missing),
            is_blind=is_blind,
            is_idle=standing is Standing.UNPROVEN and not is_blind and bool(findings),
            fits=sum(each.fits for each in findings),
            of=sum(each.of for each in findings),
            examples=tuple(example for each in findings for example in each.examples),
            checked=checked,
            against=against,
            aside=aside,
        )


def _answerable(standing: Standing, findings: Sequence[Finding]) -> int:
    """How much of what happened breaks a promise that nothing else breaks; 0 where something has to be mended first."""
    broken = [each for each in findings if each.verdict is Verdict.BROKEN]
    if standing is not Standing.BROKEN or any(not each.of or each.late for each in broken):
        return 0
    return sum(each.of - each.fits for each in broken)


def _answered(finding: Finding) -> Finding:
    """A finding without what speaks against it."""
    if finding.verdict is not Verdict.BROKEN:
        return finding
    verdict = Verdict.HOLDS if finding.fits else Verdict.IDLE
    return replace(finding, verdict=verdict, said="of all else nothing speaks against it")


def within(report: Report, scope: HasTenant) -> Report:
    """A report as one organisation sees it: counter-examples of its own and of the platform.

    Args:
        report: Over the whole platform.
        scope: Of the organisation.
    """
    promises = (
        replace(each, examples=tuple(one for one in each.examples if one.tenant in (None, scope.tenant)))
        for each in report.promises
    )
    return replace(report, promises=tuple(promises))


def measures_of(clause: Clause) -> tuple[str, ...]:
    """Measures whose live check bears on a clause."""
    if clause.kind == "capacity":
        return ("apart",) if getattr(clause, "is_apart", False) else ()
    named = getattr(clause, "measure", "")
    return (named,) if named else ()


def _of_cookies(text: Text, seen: Sequence[str]) -> dict[tuple[str, str], Sequence[Finding]]:
    """Every cookie that an answer ever set is one that the notices of the deployment list.

    One that they do not list is so now, until they do: nobody can answer it away.

    Args:
        text: The notices.
        seen: Names of cookies that were set, as the doors saw them leave.
    """
    listed = {one.name for clause in text.all("cookie") for one in getattr(clause, "cookies", ())}
    unlisted = [name for name in seen if name not in listed]
    if unlisted:
        said = f"a cookie is set that stands in no clause: {unlisted[0]}"
        fits = len(seen) - len(unlisted)
        finding = Finding("cookie", Verdict.BROKEN, said, fits, len(seen), late=len(unlisted))
    elif seen:
        finding = Finding("cookie", Verdict.HOLDS, "every cookie that was ever set is listed", len(seen), len(seen))
    else:
        finding = Finding("cookie", Verdict.IDLE, "no cookie was set yet")
    return {(notice.name, clause.id): [finding] for notice in text.current for clause in notice.all("cookie")}


def _of_checks(checked: Sequence[Checked]) -> list[Finding]:
    """Live checks as findings: a failed one breaks; one that passes holds where it is the whole sentence."""
    found = []
    for check in checked:
        if check.holds is False:
            found.append(Finding(check.measure, Verdict.BROKEN, check.found))
        elif check.holds is None:
            found.append(Finding(check.measure, Verdict.BLIND, check.found))
        elif check.measure in WHOLE:
            found.append(Finding(check.measure, Verdict.HOLDS, check.found))
    return found


def judge(
    ledger_holds: bool, findings: Sequence[Finding], *, is_statement: bool = False, lacks: Sequence[str] = ()
) -> tuple[Standing, str, bool]:
    """How a promise stands, why, and whether it is because nobody can see.

    Args:
        ledger_holds: The ledger was computed again and nothing differs.
        findings: What the looks of the clause found.
        is_statement: It says how things are.
        lacks: What is missing, where it is not possible here.
    """
    by_verdict = {verdict: [each for each in findings if each.verdict is verdict] for verdict in Verdict}
    if broken := by_verdict[Verdict.BROKEN]:
        return Standing.BROKEN, broken[0].said, False
    if lacks:
        return Standing.NOT_POSSIBLE, f"we promise this and cannot do it yet: {'; '.join(lacks)}", False
    if is_statement:
        return Standing.STATED, "this says how things are", False
    if not ledger_holds:
        return Standing.UNPROVEN, "the ledger that should show it was altered", True
    if blind := by_verdict[Verdict.BLIND]:
        return Standing.UNPROVEN, blind[0].said, True
    if idle := by_verdict[Verdict.IDLE]:  # one part of a sentence that waits is not kept by another that happened
        return Standing.UNPROVEN, idle[0].said, False
    if holds := by_verdict[Verdict.HOLDS]:
        return Standing.KEPT, "; ".join(each.said for each in holds), False
    return Standing.UNPROVEN, "it is enforced, and nothing computes yet whether it always was", False
