"""Second factors: one-time codes by time, passkeys, recovery codes. Pure rules, and the SQL of their tables."""

from __future__ import annotations

from troth.people.factors.model import Challenge, Enrolled, Factor, Owed, Reset
from troth.people.factors.passkeys import Party, PasskeyRefused

__all__ = ["Challenge", "Enrolled", "Factor", "Owed", "Party", "PasskeyRefused", "Reset"]
