"""The refusal of a decision."""

from __future__ import annotations

from troth.kit import errors


class PermitDenied(errors.PermitDenied):
    """The notice does not allow it. To outsiders it looks like something that is not there.

    Attributes:
        clauses: Ids of the clauses that forbid it, such as ("9.4",). Filled only when the actor would have been
            allowed without them, that is for somebody who already has access; never part of the text.
        reason: Why, in the words of the notice, for that somebody alone; empty for everybody else. Doors that show
            it show it apart from the text.
    """

    def __init__(self, clauses: tuple[str, ...] = (), reason: str = "") -> None:
        super().__init__()
        self.clauses = clauses
        self.reason = reason
