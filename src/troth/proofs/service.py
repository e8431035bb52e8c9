"""Each clause of the notice in force → kept, broken or unproven, from what happened and from live checks.

Nothing is called kept because the program means well: a promise is kept when an entry of the ledger or a live check
shows it and nothing speaks against it, and unproven until then.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from troth.kit import clock
from troth.kit.db import Connection, Database
from troth.ledger import Event, Ledger, Verification
from troth.notice import Clause, Notice
from troth.proofs import store
from troth.proofs.model import Checked, Proven, Report, Shown, Standing

_EXAMPLES = 3


class Proofs:
    """The state of every promise.

    Args:
        database: As `troth_app`, for the catalogue.
        ledger: What happened.
        dsn_sequencer: Connection string of the role that sees all tenants' entries: ids and kinds, nothing opened.
        keys: Folder of the keyring.
        addresses: Hosts that listeners listen on, by name.
        is_https: Whether people reach the pages by https.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        dsn_sequencer: str,
        keys: Path,
        addresses: Mapping[str, str],
        *,
        is_https: bool,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._dsn = dsn_sequencer
        self._keys = keys
        self._addresses = addresses
        self._is_https = is_https

    async def report(self, notice: Notice) -> Report:
        """The state of every promise of a notice now.

        Args:
            notice: The notice in force.
        """
        verification = await self._ledger.verify(self._dsn)
        checks = await self._checks(verification)
        everybody = Database(self._dsn, max_size=1)
        try:
            async with everybody.transaction(None) as connection:
                promises = [
                    await self._proven(connection, clause, notice, verification, checks) for clause in notice.clauses
                ]
        finally:
            await everybody.close()
        return Report(
            notice.name, notice.version, clock.now(), verification.size, verification.is_sound, tuple(promises)
        )

    async def _proven(
        self,
        connection: Connection,
        clause: Clause,
        notice: Notice,
        verification: Verification,
        checks: Sequence[Checked],
    ) -> Proven:
        evidence = clause.evidence()
        events: list[Event] = []
        for kind in evidence.kinds:
            events += await self._ledger.latest(connection, kinds=[kind], clause=evidence.names, limit=1)
        events.sort(key=lambda event: event.at, reverse=True)
        shown = [await self._shown(connection, event) for event in events[:_EXAMPLES]]
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

    async def _shown(self, connection: Connection, event: Event) -> Shown:
        is_proved = False
        if event.index is not None:
            proof = await self._ledger.prove(connection, event.id)
            is_proved = proof.index == event.index
        return Shown(event.id, event.kind, event.at, event.index, is_proved)

    async def _checks(self, verification: Verification) -> list[Checked]:
        root = next(iter(sorted(self._keys.glob("root*"))), None)
        mode = stat.S_IMODE(root.stat().st_mode) if root else None
        near = all(host in ("127.0.0.1", "::1", "localhost") for host in self._addresses.values())
        async with self._database.transaction(None) as connection:
            open_tables = await store.unprotected_tables(connection)
            role = await store.application_role(connection)
        apart = not open_tables and not any(role.values())
        return [
            Checked(
                "tamper_evident",
                verification.is_sound if verification.size else None,
                f"{verification.size} entries computed again, {len(verification.broken)} differ",
            ),
            Checked(
                "sealed_at_rest",
                mode == 0o600 if mode is not None else None,
                "the root key can be read by nobody but the platform" if mode == 0o600 else "the root key lies open",
            ),
            Checked(
                "sealed_in_transit",
                near or self._is_https,
                "nothing listens beyond this machine" if near else "pages are reached by https",
            ),
            Checked(
                "apart",
                apart,
                "every table keeps organisations apart" if apart else f"{len(open_tables)} tables do not",
            ),
        ]


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
