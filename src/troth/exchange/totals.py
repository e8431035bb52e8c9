"""Totals for somebody outside: counts that the platform makes itself, without any group in which few could be found."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from troth.exchange.errors import DisclosureRefused
from troth.notice import Notice
from troth.people import User

TOTALS: Final[Mapping[str, str]] = MappingProxyType({"accounts_by_role": "Accounts by role"})
"""The tables that can be made, and how they are called."""

GATE: Final = "aggregate"
"""The profile of a clause that lets counts leave, and nothing else."""


def guard_of(purpose: str, notices: Iterable[Notice]) -> Any:
    """The clause that says how small a group may be for an activity, or None where none does.

    Args:
        purpose: Key of the activity.
        notices: Those in force.
    """
    for notice in notices:
        for clause in notice.all("deidentification"):
            held: Any = clause
            if held.profile == GATE and purpose in held.purposes:
                return held
    return None


def accounts_by_role(users: Iterable[User], smallest: int) -> dict[str, int]:
    """Active accounts by role, without the groups that are too small.

    Nothing is rounded and no sum is given, so that what was left out cannot be computed from the rest.

    Args:
        users: Of one organisation.
        smallest: Fewest people behind a number.

    Raises:
        DisclosureRefused: No group is large enough.
    """
    counts = Counter(user.role for user in users if user.is_active)
    kept = {role: count for role, count in sorted(counts.items()) if count >= smallest}
    if not kept:
        raise DisclosureRefused("groups", f"Every group has fewer than {smallest} people, so there is nothing to tell.")
    return kept


def as_csv(counts: Mapping[str, int]) -> str:
    """A table of totals as a file.

    Args:
        counts: By group.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("group", "people"))
    writer.writerows(counts.items())
    return text.getvalue()
