"""What can be wrong with a notice."""

from __future__ import annotations

from collections.abc import Sequence

from troth.kit import errors
from troth.notice.problem import Problem


class NoticeMalformed(errors.Unprocessable):
    """The notice cannot be taken as it is.

    Attributes:
        problems: Each with place, what is wrong, and how to mend it.
    """

    slug = "notice-malformed"
    title = "The notice cannot be taken as it is"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class PeriodMalformed(ValueError):
    """A text that is not a period of ISO 8601, or one that no notice can mean."""


class NoticeConflict(errors.Conflict):
    """This number of the notice was published with other words, or is not the next one."""

    slug = "notice-conflict"
    title = "This version of the notice contradicts what was published"


class SecondPersonMissing(errors.Unprocessable):
    """Publishing takes two different people."""

    slug = "second-person-missing"
    title = "A notice is published by two different people"


class NothingInForce(errors.NotFound):
    """No notice is in force for this audience."""

    slug = "nothing-in-force"
    title = "No notice is in force here"


class NoticeAltered(errors.TrothError):
    """A published version is not what was signed: it is not loaded, and nothing is built on it."""

    slug = "notice-altered"
    title = "The privacy notice in the database is not the one that was published and signed"


class VersionNotFound(errors.NotFound):
    """No version of the notice has this number."""

    slug = "version-not-found"
    title = "There is no such version of the notice"


class ProposalOpen(errors.Conflict):
    """Another proposal for this notice waits for a second person."""

    slug = "proposal-open"
    title = "Another version is proposed already"


class ProposalNotFound(errors.NotFound):
    """No proposal has this id."""

    slug = "proposal-not-found"
    title = "There is no such proposal"


class ProposalOver(errors.Conflict):
    """The proposal was agreed to, or withdrawn, before, or what was seen is not what it says."""

    slug = "proposal-over"
    title = "This proposal cannot be agreed to any more"


class NothingChanged(errors.Unprocessable):
    """The proposed text says what the version before says."""

    slug = "nothing-changed"
    title = "The proposed version changes nothing"


class DayPassed(errors.Unprocessable):
    """A version cannot count from a day that has passed."""

    slug = "day-passed"
    title = "A version cannot count from a day that has passed"
