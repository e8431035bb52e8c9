"""Each clause of the notice in force → kept, broken or unproven, from what happened and from live checks.

Nothing is called kept because the program means well: a promise is kept when an entry of the ledger or a live check
shows it and nothing speaks against it, and unproven until then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from troth.kit import clock
from troth.kit.db import Connection, Database, HasTenant
from troth.ledger import KINDS, CheckpointBroken, Event, Ledger, Proof, ProofBroken, Verification, verify_inclusion
from troth.notice import Clause, Evidence, Notice
from troth.proofs.model import Checked, Departures, Proven, Report, Shown, Standing
from troth.proofs.safeguards import Site, look

_EXAMPLES = 3
DEPARTED = "exchange:disclosure:recorded"
"""What is written before anything leaves for somebody outside."""


class Proofs:
    """The state of every promise.

    Args:
        database: As `troth_app`, for the catalogue.
        ledger: What happened.
        dsn_sequencer: Connection string of the role that sees all tenants' entries: ids and kinds, nothing opened.
        site: What of this machine is looked at.
    """

    def __init__(self, database: Database, ledger: Ledger, dsn_sequencer: str, site: Site) -> None:
        self._database = database
        self._ledger = ledger
        self._dsn = dsn_sequencer
        self._site = site

    async def report(self, notice: Notice, scope: HasTenant | None = None) -> Report:
        """The state of every promise of a notice now.

        Args:
            notice: The notice in force.
            scope: A permit of an organisation: only what happened there and on the platform itself is evidence, so
                that nobody reads when something happened elsewhere.
        """
        verification = await self._ledger.verify(self._dsn)
        checks = await look(self._site, self._database, verification)
        evidence = {clause.id: clause.evidence() for clause in notice.clauses}
        if scope is None:
            found = await self._everywhere(evidence)
        else:
            async with self._database.transaction(None) as connection:
                found = await self._evidence(connection, evidence)
            async with self._database.transaction(scope) as connection:
                inside = await self._evidence(connection, evidence)
            found = {clause_id: [*inside[clause_id], *some][:_EXAMPLES] for clause_id, some in found.items()}
        promises = [
            _proven(clause, notice, evidence[clause.id], found[clause.id], verification, checks)
            for clause in notice.clauses
        ]
        return Report(
            notice.name,
            notice.version,
            clock.now(),
            verification.size,
            verification.is_sound,
            tuple(promises),
            tuple(checks),
            self._ledger.verifier_key,
        )

    async def departures(self) -> Departures:
        """What was disclosed on the whole platform, by purpose, and whether the ledger that says so holds."""
        verification = await self._ledger.verify(self._dsn)
        everybody = Database(self._dsn, max_size=1)
        try:
            async with everybody.transaction(None) as connection:
                counted = await self._ledger.purposes_of(connection, DEPARTED)
        finally:
            await everybody.close()
        return Departures(clock.now(), verification.size, verification.is_sound, counted)

    async def _everywhere(self, evidence: Mapping[str, Evidence]) -> dict[str, list[Shown]]:
        everybody = Database(self._dsn, max_size=1)
        try:
            async with everybody.transaction(None) as connection:
                return await self._evidence(connection, evidence)
        finally:
            await everybody.close()

    async def _evidence(self, connection: Connection, evidence: Mapping[str, Evidence]) -> dict[str, list[Shown]]:
        """The last entries that bear on each clause: one pass over the ledger for all of them, one for the proofs."""
        kinds = {kind for each in evidence.values() for kind in each.kinds if kind in KINDS}
        last = await self._ledger.last_of(connection, kinds)
        events: dict[str, list[Event]] = {}
        for clause_id, each in evidence.items():
            held = [last[kind, each.names] for kind in each.kinds if (kind, each.names) in last]
            events[clause_id] = sorted(held, key=lambda event: event.at, reverse=True)[:_EXAMPLES]
        wanted = {event.id for some in events.values() for event in some}
        proofs = await self._ledger.prove_all(connection, wanted)
        held_by = self._held(proofs, wanted)
        return {
            clause_id: [
                Shown(
                    event.id,
                    event.kind,
                    event.at,
                    event.index,
                    event.id in held_by,
                    proofs[event.id].text if event.id in held_by else "",
                )
                for event in some
            ]
            for clause_id, some in events.items()
        }

    def _held(self, proofs: Mapping[UUID, Proof], wanted: set[UUID]) -> set[UUID]:
        """Which proofs lead from their leaf to the signed root, computed as a stranger would."""
        held = set()
        for event_id in wanted & proofs.keys():
            try:
                verify_inclusion(proofs[event_id], self._ledger.verifier_key)
            except (ProofBroken, CheckpointBroken):
                continue
            held.add(event_id)
        return held


def _proven(
    clause: Clause,
    notice: Notice,
    evidence: Evidence,
    shown: Sequence[Shown],
    verification: Verification,
    checks: Sequence[Checked],
) -> Proven:
    checked = tuple(check for check in checks if check.measure in measures_of(clause))
    standing, reason = judge(verification.is_sound, shown, checked)
    section = next(section for section in notice.sections if clause in section.clauses)
    return Proven(
        clause_id=clause.id,
        kind=clause.kind,
        section=f"{section.number} {section.title}",
        says=clause.sentence(notice),
        promises=clause.promises,
        standing=standing,
        enforcer=clause.enforcer(),
        looks_for=evidence.looks_for,
        reason=reason,
        shown=tuple(shown),
        checked=checked,
    )


def measures_of(clause: Clause) -> tuple[str, ...]:
    """Measures whose live check bears on a clause."""
    if clause.kind == "logging":
        return ("tamper_evident",)
    if clause.kind == "capacity":
        return ("apart",) if getattr(clause, "is_apart", False) else ()
    named = getattr(clause, "measure", "")
    return (named,) if named else ()


def judge(ledger_holds: bool, shown: Sequence[Shown], checked: Sequence[Checked]) -> tuple[Standing, str]:
    """Whether a promise is kept, and why.

    Args:
        ledger_holds: The ledger was computed again and nothing differs.
        shown: Entries that bear on it.
        checked: Live checks that bear on it.
    """
    failed = [check for check in checked if check.holds is False]
    if failed:
        return Standing.BROKEN, failed[0].found
    if shown and not ledger_holds:
        return Standing.BROKEN, "the ledger that should show it was altered"
    proved = [one for one in shown if one.is_proved]
    if proved:
        return Standing.KEPT, f"ledger entry {proved[0].number} shows it, and its proof was computed"
    passed = [check for check in checked if check.holds]
    if passed:
        return Standing.KEPT, passed[0].found
    if shown:
        return Standing.UNPROVEN, "an entry shows it and waits for its place in the ledger"
    return Standing.UNPROVEN, "nothing has happened yet that could show it"
