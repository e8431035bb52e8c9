"""What a program asks a notice: the terms of one thing, by its key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from troth.notice import clock, law
from troth.notice.clauses.right import Right
from troth.notice.period import Period


@dataclass(frozen=True, slots=True)
class RightTerms:
    """A right with its clock, in the time zone of its notice.

    Attributes:
        clause: The clause that grants it.
        zone: Where days are counted.
    """

    clause: Right
    zone: ZoneInfo

    @property
    def clause_id(self) -> str:
        """Number of the clause, such as "9.1"."""
        return self.clause.id

    @property
    def period(self) -> Period:
        """Until when we answer."""
        return self.clause.period

    @property
    def is_free(self) -> bool:
        """It costs nothing."""
        return self.clause.is_free

    @property
    def is_decided_by_person(self) -> bool:
        """An objection waits for a person, while what it is against rests."""
        return self.clause.decided_by == "person"

    def due_at(self, received_at: datetime, *, is_extended: bool = False) -> datetime:
        """The last second in which the answer is in time, in UTC.

        Args:
            received_at: When everything was there that starts the clock.
            is_extended: The person was told in time that it takes longer.
        """
        extension = self.clause.extension if is_extended else None
        return clock.due_at(received_at, self.period, extension=extension, zone=self.zone)

    def acknowledge_by(self, received_at: datetime) -> datetime:
        """The last second in which we say in time that we have got it, in UTC.

        Args:
            received_at: When it came.
        """
        return clock.due_at(received_at, self.clause.acknowledge, zone=self.zone)

    def stands_against(self, basis: str) -> bool:
        """Whether the right can be used against an activity on this basis.

        Args:
            basis: DPV IRI or name of the basis, such as `A6-1-f`.
        """
        return law.PREFIX + law.short(basis) not in self.clause.except_bases
