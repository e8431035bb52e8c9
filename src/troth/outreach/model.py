"""What a change of the notice would do, and what people are told of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from troth.notice import AUDIENCES, Amendment, Change, Difference, Notice, Retention

_WORDS: Final = {"added": "New", "changed": "Changed", "removed": "Gone"}


@dataclass(frozen=True, slots=True)
class Consequences:
    """What would follow if a proposed version counted from its day.

    Attributes:
        effective_on: Its day.
        is_counted: Whether studies were counted, because the retention of studies would change.
        due: Studies that would become due for disposal on that day, and are not due by then as things stand.
        later: Studies that would be kept longer than now.
        sooner: Studies that would be kept less long than now, those in `due` among them.
        has_minors: The rule has longer terms for children, which these numbers leave out: a birth date is sealed.
        accounts: Accounts that would be written to.
        purposes: Activities that would begin.
        ends: Activities that would end.
    """

    effective_on: date
    is_counted: bool = False
    due: int = 0
    later: int = 0
    sooner: int = 0
    has_minors: bool = False
    accounts: int = 0
    purposes: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What is read before agreeing, one sentence each."""
        said = []
        if self.is_counted:
            said.append(f"{_counted(self.due, 'study becomes', 'studies become')} due on {spoken(self.effective_on)}.")
            if self.sooner > self.due:
                said.append(f"{_counted(self.sooner - self.due, 'study ends', 'studies end')} sooner than now.")
            if self.later:
                said.append(f"{_counted(self.later, 'study is', 'studies are')} kept longer than now.")
            if self.has_minors and (self.due or self.sooner or self.later):
                said.append("Scans of children have terms of their own, so fewer of them are touched.")
        said += [f"The activity {purpose} begins." for purpose in self.purposes]
        said += [f"The activity {purpose} ends; every attempt is refused from then on." for purpose in self.ends]
        if self.accounts:
            said.append(
                f"{_counted(self.accounts, 'account is', 'accounts are')} written to, once, with the difference."
            )
        else:
            said.append("Nobody is written to; the change is posted beside the notice.")
        return tuple(said)


@dataclass(frozen=True, slots=True)
class Told:
    """How far a change has been told.

    Attributes:
        accounts: Whom it is about.
        sent: How many of them were written to.
        told_at: When the last one was; None while it is under way.
    """

    version_id: UUID
    accounts: int
    sent: int
    told_at: datetime | None


def audiences_told(before: Notice, change: Difference, *, is_material: bool) -> tuple[str, ...]:
    """The audiences that the notice before promised to write to about a change.

    Args:
        before: The notice that made the promise.
        change: What changed.
        is_material: The change weighs on data that is held, as two people confirmed.
    """
    promised = [clause for clause in before.all("amendment") if isinstance(clause, Amendment) and clause.is_mailed]
    if not promised or not len(change):
        return ()
    if all(clause.mails == "material" for clause in promised):
        if not is_material:
            return ()
        if change.weighs_on:
            return change.weighs_on
    read_by = {audience for each in change for audience in each.audiences}
    return tuple(audience for audience in AUDIENCES if audience in read_by)


def moved_by(before: Retention, after: Retention, days: Iterable[tuple[date, int]], on: date) -> tuple[int, int, int]:
    """How many studies become due on a day, end sooner, and end later under another rule, children's terms left out.

    Args:
        before: The rule in force.
        after: The rule that is proposed.
        days: Study dates with how many studies each has.
        on: From when the newer rule would count.

    Returns:
        Due, sooner, later.
    """
    due = sooner = later = 0
    for day, held in days:
        was, becomes = before.period.after(day), after.period.after(day)
        due += held if becomes <= on < was else 0
        sooner += held if becomes < was else 0
        later += held if becomes > was else 0
    return due, sooner, later


def letter(before: Notice, after: Notice, change: Difference, audiences: Sequence[str], url: str) -> tuple[str, str]:
    """The message about a change for an account: title and text, in the words of the notice.

    Args:
        before: What the person was promised.
        after: What counts from its day on.
        change: The difference.
        audiences: What the account's holder is here: `patients`, `users` or both.
        url: Where the difference can be read.
    """
    name, day = after.head.deployment, spoken(after.head.effective_on)
    lines = [
        f"{name} changes its privacy notice. Version {after.version} is in force from {day}; "
        f"until then version {before.version} does.",
        "",
        "What changes for you:",
    ]
    for each in change:
        if set(audiences) & set(each.audiences):
            lines += ["", *_told(each)]
    lines += ["", "Read both versions, and what you can do about it:", url, ""]
    return f"Our privacy notice changes on {day}", "\n".join(lines)


def _told(change: Change) -> list[str]:
    weighs = f" ({', '.join(change.weights)})" if change.weights else ""
    said = [f"{_WORDS[change.kind]}{weighs}, § {change.clause_id}"]
    if change.before and change.before != change.after:
        said.append(f"Before: {change.before}")
    if change.after:
        said.append(f"Now: {change.after}" if change.kind == "changed" else change.after)
    return said


def spoken(day: date) -> str:
    """A day as letters write it: 22 November 2026."""
    return f"{day.day} {day:%B} {day.year}"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
