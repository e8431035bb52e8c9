"""Instances that contradict what is held inside one organisation: kept apart, compared, resolved by a person."""

from troth.archive.quarantine.comparing import MOST_GROUPS, Comparing
from troth.archive.quarantine.keeping import Keeping
from troth.archive.quarantine.model import Against, Comparison, Group, Limits, Resolved, Side
from troth.archive.quarantine.resolving import Resolving
from troth.archive.quarantine.sparing import Sparing

__all__ = [
    "MOST_GROUPS",
    "Against",
    "Comparing",
    "Comparison",
    "Group",
    "Keeping",
    "Limits",
    "Quarantine",
    "Resolved",
    "Resolving",
    "Side",
    "Sparing",
]


class Quarantine:
    """The verbs of quarantine.

    Args:
        keeping: Ends what is kept apart.
        comparing: Shows it.
        resolving: Takes it in.
        sparing: Keeps what a legal hold is on.
    """

    def __init__(self, keeping: Keeping, comparing: Comparing, resolving: Resolving, sparing: Sparing) -> None:
        self.most_groups = MOST_GROUPS
        self.groups = comparing.groups
        self.beside = comparing.beside
        self.against = comparing.against
        self.compare = comparing.compare
        self.picture = comparing.picture
        self.keep_as_new = resolving.keep_as_new
        self.replace = resolving.replace
        self.discard = keeping.discard
        self.expire = keeping.expire
        self.heed = sparing.heed
