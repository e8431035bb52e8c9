"""From what the platform keeps of choices to what a page shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from troth.doors.web import words
from troth.doors.web.patient.choice_views import Press, Question, ReceiptView, Stoppable
from troth.notice import Notice, NoticeVersion
from troth.people import Activity, Choice, Restriction

EVERYTHING = "everything"
CHANNELS: Mapping[str, str] = {
    "email": "E-mail",
    "sms": "Text message",
    "call": "A call by a person",
    "automated_call": "A call by a machine",
    "post": "Letter",
    "push": "A message to an app",
}
_STATES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("consent", "given"): ("kept", "You said yes"),
    ("consent", "refused"): ("refused", "You said no"),
    ("consent", "withdrawn"): ("refused", "You took it back"),
    ("consent", "expired"): ("wait", "Your yes has run out"),
    ("channel", "given"): ("kept", "You want it"),
    ("channel", "refused"): ("refused", "You stopped it"),
    ("objection", "granted"): ("held", "Stopped for you"),
    ("objection", "waiting"): ("open", "A person is looking at it"),
    ("objection", "refused"): ("refused", "Refused, with ground"),
    ("objection", "withdrawn"): ("wait", "You took it back"),
    ("version", "refused"): ("held", "You stay with the version before"),
    ("version", "given"): ("kept", "You accepted it"),
    ("age", "given"): ("kept", "Stated"),
}


def state_of(choice: Choice) -> tuple[str, str]:
    """Rings and word of a choice."""
    return _STATES.get((choice.kind, choice.state), ("wait", choice.state))


def receipt_of(choice: Choice) -> ReceiptView:
    """A choice as its receipt shows it."""
    rings, state = state_of(choice)
    return ReceiptView(
        anchor=choice.reference,
        title=title_of(choice),
        text=choice.ground,
        rings=rings,
        state=state,
        since=choice.made_at,
        until=choice.expires_at,
        notice=f"{choice.notice} {choice.record.get('notice', {}).get('version', choice.version)}",
        clauses=tuple(dict.fromkeys(filter(None, (choice.clause, str(choice.record.get("decided_by_clause", "")))))),
        reference=choice.reference,
        href=f"/choices/{choice.id}",
        undo=_undo(choice),
    )


def title_of(choice: Choice) -> str:
    """What a choice is about, in the words that were seen."""
    if choice.kind == "channel":
        channel, _, topic = choice.key.partition(":")
        return CHANNELS.get(channel, channel) + (f" about {topic}" if topic else "")
    if choice.kind == "version":
        seen = choice.record.get("notice", {}).get("version", choice.version)
        return f"Version {seen} of the notice"
    if choice.kind == "age":
        return "Your age"
    return choice.wording or choice.key


def _undo(choice: Choice) -> Press | None:
    about = choice.key
    more = f": {title_of(choice)}"
    match choice.kind, choice.state:
        case "consent", "given":
            return Press("take_back", about, "Take it back", more)
        case "consent", _:
            return Press("yes", about, "Say yes", more)
        case "channel", "given":
            return Press("channel_off", about, "Stop it", more)
        case "channel", _:
            return Press("channel_on", about, "Have it again", more)
        case "objection", "granted" | "waiting":
            return Press("stand_back", about, "Let it go on", more)
        case "version", "refused":
            return Press("accept", str(choice.record.get("notice", {}).get("version", "")), "Accept it after all", more)
    return None


def restriction_receipt(restriction: Restriction, title: str, notice: str) -> ReceiptView:
    """A restriction as its receipt shows it."""
    return ReceiptView(
        anchor=restriction.reference,
        title=title,
        text="It is kept, you can still see it, and it is used for nothing else.",
        rings="held",
        state="Use is stopped",
        since=restriction.made_at,
        until=None,
        notice=notice,
        clauses=(restriction.clause,) if restriction.clause else (),
        reference=restriction.reference,
        href="",
        undo=Press("allow", str(restriction.id), "Allow the use again", f": {title}"),
    )


def questions_of(notices: Iterable[Notice], audience: str, answered: Sequence[str]) -> tuple[Question, ...]:
    """The consents that a person is asked for and has not answered."""
    found: dict[str, Question] = {}
    for notice in notices:
        for clause in notice.all("consent"):
            channels: tuple[str, ...] = getattr(clause, "channels", ())
            for about in [f"{clause.key}:{channel}" for channel in channels] or [clause.key]:
                if audience not in clause.audiences or about in answered:
                    continue
                asked = getattr(clause, "wording_shown", "") or clause.sentence(notice)
                way = f" ({CHANNELS[about.partition(':')[2]]})" if channels else ""
                found.setdefault(
                    about,
                    Question(
                        anchor=f"ask-{about.replace(':', '-')}",
                        text=asked + way,
                        clauses=(clause.id,),
                        yes=Press("yes", about, "Yes", f", {asked}"),
                        no=Press("no", about, "No", f", {asked}"),
                    ),
                )
    return tuple(found.values())


def activity_line(activity: Activity, state: str | None) -> Stoppable:
    """An activity with what an objection would come to, or came to."""
    is_stopped = state in ("granted", "waiting")
    outcome = "It is stopped for you." if is_stopped else activity.ground
    if state == "waiting":
        outcome = "You objected. A person is looking at it, and tells you what they decide and why."
    if not is_stopped and activity.is_granted and not activity.is_weighed:
        outcome = f"If you object, it stops for you at once. It rests on {activity.basis}."
    press = None if is_stopped else Press("object", activity.key, "Object", f" to: {activity.sentence}")
    right = (activity.right_clause,) if activity.right_clause else ()
    return Stoppable(activity.sentence, outcome, (activity.clause, *right), press)


def version_line(versions: Sequence[NoticeVersion], published: Sequence[NoticeVersion]) -> Stoppable | None:
    """The version in force, where the notice lets somebody stay with the one before."""
    for version in versions:
        clause = next((each for each in version.notice.all("amendment") if _pins(each)), None)
        earlier = [each for each in published if each.name == version.name and each.number < version.number]
        if clause is not None and earlier:
            before = max(each.number for each in earlier)
            return Stoppable(
                f"Version {version.number} counts since {words.day(version.effective_on)}.",
                f"If you disagree, your data is used only for what stood in version {before}.",
                (clause.id,),
                Press("stay", str(version.number), f"Stay with version {before}"),
            )
    return None


def _pins(clause: object) -> bool:
    return getattr(clause, "objection", "") == "pins"
