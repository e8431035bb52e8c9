"""What the notices say about a list of people: which sources there are, and how long a record of each activity stays.

This is the one place where it is decided how long a record is kept: the activity under which it was taken says it, and
no other. What was taken under a contract follows the period of the contract's own activity, and nothing of the site's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from troth.notice import Notice, Period, Purpose, Retention, clock
from troth.people.errors import SourceUnlisted

CONTACTS: Final = "contacts"
_YET_TO_COME: Final = ("_ended_on", "_closed_on")


@dataclass(frozen=True, slots=True)
class Origin:
    """One source that a notice lists.

    Attributes:
        word: What lists and records call it.
        origin: `subject`, `controller`, `device` or `third_party`.
        who: Who that is, in the words of the notice.
        gives: Claims of those it names.
        activities: For what the notice uses what comes from there.
    """

    word: str
    clause: str
    origin: str
    who: str
    says: str
    notice: Notice
    told_within: Period | None
    gives: tuple[str, ...]
    activities: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Which lists come from it: `staff` where those it names are given something, else `contacts`."""
        return "staff" if self.gives else "contacts"

    def tell_by(self, at: datetime) -> datetime | None:
        """Until when somebody has to be told of whom it gave us something at an instant.

        Per: GDPR Art. 14(3)(a); Regulation (EEC, Euratom) 1182/71 Art. 3.
        """
        return clock.due_at(at, self.told_within, zone=self.notice.zone) if self.told_within is not None else None


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a record stays.

    Attributes:
        dispose_on: The first day on which nothing keeps it; None while what starts the time has not happened.
        clause: The clause that says so.
        activity: Under which it was taken.
        is_under_contract: The activity is that of a contract, out of the reach of the site's notice.
    """

    dispose_on: date | None
    clause: str
    activity: str
    is_under_contract: bool


def origins(notices: Iterable[Notice]) -> dict[str, Origin]:
    """The sources from which lists of people may come, by the word that names them."""
    found: dict[str, Origin] = {}
    for notice in notices:
        for clause in notice.all("source"):
            told: Mapping[str, Any] = clause.content()
            words: tuple[str, ...] = getattr(clause, "names", ())
            activities = told["purposes"] or _activities(notice, told["categories"])
            for word in words:
                found.setdefault(
                    word,
                    Origin(
                        word, clause.id, told["origin"], told.get("who", ""), clause.sentence(notice), notice,
                        told.get("told_within"), tuple(told.get("gives", ())), activities,
                    ),
                )  # fmt: skip
    return found


def origin_of(notices: Sequence[Notice], word: str, activity: str) -> Origin:
    """The source of a list, for an activity.

    Raises:
        SourceUnlisted: No notice in force lists it, or uses what comes from there for that.
    """
    known = origins(notices)
    if word not in known:
        raise SourceUnlisted(
            "the notice lists no such source", hint=f"It lists: {', '.join(sorted(known)) or 'none for lists'}."
        )
    found = known[word]
    if activity not in found.activities:
        raise SourceUnlisted(
            "the notice does not use what comes from there for that",
            hint=f"It uses it for: {', '.join(found.activities) or 'nothing'}.",
        )
    return found


def keeping(notices: Sequence[Notice], activity: str, anchor_on: date | None) -> Keeping | None:
    """How long a record stays that was taken under an activity; None where no notice in force knows it any more.

    Args:
        notices: In force.
        activity: Under which it was taken.
        anchor_on: The day that starts the time, if it has come.
    """
    for notice in notices:
        purpose = notice.find("purpose", activity)
        if not isinstance(purpose, Purpose):
            continue
        rules = [rule for key in purpose.retention if isinstance(rule := notice.find("retention", key), Retention)]
        if not rules:
            return None
        under = activity in contract_activities([notice])
        if anchor_on is None:
            return Keeping(None, rules[0].clause_id, activity, under)
        last = max(rules, key=lambda rule: rule.dispose_on(anchor_on))
        return Keeping(last.dispose_on(anchor_on), last.clause_id, activity, under)
    return None


def starts_at_once(notices: Sequence[Notice], activity: str) -> bool:
    """Whether the time to keep a record runs from when it was taken in, unless the list names an earlier day."""
    for notice in notices:
        purpose = notice.find("purpose", activity)
        if isinstance(purpose, Purpose):
            rules = [notice.find("retention", key) for key in purpose.retention]
            return not any(str(getattr(rule, "anchor", "")).endswith(_YET_TO_COME) for rule in rules)
    return False


def contract_activities(notices: Iterable[Notice]) -> frozenset[str]:
    """Activities that a notice leaves to contracts: it names them as out of its reach, and lets them go on."""
    return frozenset(
        word
        for notice in notices
        for clause in notice.all("scope")
        for word in set(clause.content().get("excludes", ())) & set(clause.content().get("purposes", ()))
    )


def _activities(notice: Notice, categories: Sequence[str]) -> tuple[str, ...]:
    """The activities of the site that use a category of contacts which a source gives; none that a contract has."""
    contracts = contract_activities([notice])
    kept = {
        key for key in categories
        if CONTACTS in getattr(notice.find("category", key), "holdings", ())
    }  # fmt: skip
    return tuple(
        clause.key
        for clause in notice.all("purpose")
        if isinstance(clause, Purpose) and kept & set(clause.categories) and clause.key not in contracts
    )
