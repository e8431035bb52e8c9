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


class NotInLevel(PermitDenied):
    """What the organisation asks for as a whole would be allowed, and is not in its level of service.

    Told to its own people and machines alone: it says nothing of what is there.
    """

    slug = "not-in-level"
    title = "The level of service of your organisation does not include this"
    http_status = 403

    def __init__(self, clauses: tuple[str, ...] = (), reason: str = "") -> None:
        super().__init__(clauses, reason)
        self.detail = reason or self.title
        self.hint = "Whoever runs the service can change the level; then try again."
