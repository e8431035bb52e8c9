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


class VersionNotFound(errors.NotFound):
    """No version of the notice has this number."""

    slug = "version-not-found"
    title = "There is no such version of the notice"
