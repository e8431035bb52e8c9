"""From what the platform keeps of choices to what a page shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from troth.doors.web import words
from troth.doors.web.patient.choice_views import Press, Question, ReceiptView, Stoppable
from troth.notice import Clause, Notice, NoticeVersion
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
            return Press("channel_on", about, "Turn back on", more)
        case "objection", "granted" | "waiting":
            return Press("stand_back", about, "Withdraw objection", more)
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
        undo=Press("allow", str(restriction.id), "Allow use again", f": {title}"),
    )


def questions_of(notices: Iterable[Notice], audience: str, standing: Sequence[Choice]) -> tuple[Question, ...]:
    """The consents that a person can give or refuse here, with the answer that holds.

    Args:
        notices: In force for them.
        audience: `patients` or `users`.
        standing: What they chose.
    """
    answers = {choice.key: choice for choice in standing if choice.kind == "consent"}
    found: dict[str, Question] = {}
    for notice in notices:
        for clause in notice.all("consent"):
            channels: tuple[str, ...] = getattr(clause, "channels", ())
            for about in [f"{clause.key}:{channel}" for channel in channels] or [clause.key]:
                channel = about.partition(":")[2]
                if audience in clause.audiences and _is_choosable(notice, clause, channel):
                    asked = getattr(clause, "wording_shown", "") or clause.sentence(notice)
                    way = f" ({CHANNELS[channel]})" if channel else ""
                    found.setdefault(about, _question(about, asked + way, clause.id, answers.get(about)))
    return tuple(found.values())


def _question(about: str, text: str, clause: str, choice: Choice | None) -> Question:
    state = choice.state if choice is not None else ""
    answer = "yes" if state == "given" else "no" if state in ("refused", "withdrawn") else ""
    return Question(
        anchor=f"ask-{about.replace(':', '-')}",
        text=text,
        clauses=(clause,),
        yes=Press("yes", about, "Yes", f", {text}"),
        no=Press("take_back" if answer == "yes" else "no", about, "No", f", {text}"),
        answer=answer,
        since=choice.made_at if choice is not None and answer else None,
    )


def _is_choosable(notice: Notice, clause: Clause, channel: str) -> bool:
    """Whether anything here would heed the answer: nobody is asked about what is not done, or what a form asks."""
    if clause.not_yet is True or getattr(clause, "asked_of", "everybody") != "everybody":
        return False
    purposes = {key: notice.find("purpose", key) for key in getattr(clause, "purposes", ())}
    if not any(found is not None and found.not_yet is not True for found in purposes.values()):
        return False
    sending = [each for each in notice.all("marketing") if getattr(each, "consent", "") == clause.key]
    missing = {part for each in sending if isinstance(each.not_yet, tuple) for part in each.not_yet}
    return channel not in missing


def may_come(clause: Clause, channel: str, by_kind: Mapping[tuple[str, str], str]) -> bool:
    """Whether a message that advertises may come this way as the answers stand: else there is nothing to stop.

    Args:
        clause: Of the kind `marketing`.
        channel: Which way.
        by_kind: State of each choice that stands, by kind and key.
    """
    if clause.not_yet is True or (isinstance(clause.not_yet, tuple) and channel in clause.not_yet):
        return False
    consent = getattr(clause, "consent", "")
    answers = {by_kind.get(("consent", key)) for key in (consent, f"{consent}:{channel}")}
    return not consent or getattr(clause, "soft_opt_in", False) or "given" in answers


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
                f"Version {version.number} is in force since {words.day(version.effective_on)}.",
                f"If you disagree, your data is used only for what stood in version {before}.",
                (clause.id,),
                Press("stay", str(version.number), f"Stay with version {before}"),
            )
    return None


def _pins(clause: object) -> bool:
    return getattr(clause, "objection", "") == "pins"
