"""Looking after what is held: nothing lost, nothing left over."""

from __future__ import annotations

from troth.archive.rechecking import Rechecking
from troth.archive.sweeping import Sweeping
from troth.kit.db import Database
from troth.ledger import Ledger
from troth.vault import Keyring, Packs


class Upkeep:
    """Sweeps what nobody names, and reads back what is held.

    Args:
        db: The database.
        keyring: Of this machine.
        packs: Of this machine.
        ledger: Is told.
    """

    def __init__(self, db: Database, keyring: Keyring, packs: Packs, ledger: Ledger) -> None:
        sweeping = Sweeping(db, keyring, packs, ledger)
        rechecking = Rechecking(db, keyring, packs, ledger)
        self.alone = sweeping.alone
        self.sweep = sweeping.sweep
        self.recheck = rechecking.recheck
        self.unfinished = rechecking.unfinished
        self.known_broken = rechecking.known_broken
        self.damaged = rechecking.damaged
        self.record_broken = rechecking.record_broken
