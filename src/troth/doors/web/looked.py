"""Who looked: from events of the ledger to the list that the person it is about reads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from troth.doors.web import words
from troth.ledger import Completeness, Event, Proof
from troth.policy import Actor

#: Why somebody did it, as the person it is about reads it. Only for purposes somebody else may have.
WHY: Mapping[str, str] = {
    "diagnosis": "to find out what is wrong with you",
    "care": "to treat you",
    "emergency": "in an emergency",
    "rights": "to answer your request",
    "administration": "to run the service",
    "support": "to help the hospital use the service",
}

#: What happened, said to the person it is about. `{what}` is the scan, `{images}` how much of it.
SAID: Mapping[str, str] = {
    "archive:instances:stored": "Sent {images}of {what}",
    "archive:instance:refused": "Sent something that was refused when it arrived",
    "archive:study:opened": "Opened {what}{images_after}",
    "archive:viewing:closed": "Closed {what}{images_after}",
    "archive:studies:queried": "Saw {what} in a list",
    "archive:study:copied": "Made a copy of {what}",
    "archive:study:erased": "Erased {what}",
    "archive:study:refused_tombstone": "Sent a scan that had been erased; it was refused and not stored",
    "policy:access:refused": "Tried to open {what} and was refused. They saw nothing",
    "people:session:started": "Signed in",
    "people:session:ended": "Signed out",
    "people:invitation:made": "Made an invitation for you",
    "people:invitation:used": "Used the invitation",
    "people:subject:matched": "Name, birth date and code matched: the account was joined to your record",
    "people:match:failed": "Tried to join an account to your record; something did not match, and nothing was shown",
    "people:assignment:made": "Said that {to} takes part in your care until {until}, because: {reason}",
    "people:assignment:ended": "Ended that somebody takes part in your care",
    "people:emergency:claimed": "Wrote down an emergency, to open your scans for some hours: {reason}",
    "people:emergency:reviewed": "Checked an emergency that had been written down, and found {state}: {reason}",
    "people:subjects:merged": "Said that two patient numbers are both yours, and merged them: {reason}",
    "people:subjects:unmerged": "Took two patient numbers apart that had been merged: {reason}",
    "people:subjects:compared": "Compared your record with another one, to see whether both are yours",
    "people:objection:queued": "Objected; it waits for a person, and rests meanwhile",
    "lifecycle:hold:placed": "Placed a legal hold: nothing it covers is erased until it ends",
    "lifecycle:hold:released": "Released a legal hold",
    "rights:request:opened": "Made a request",
    "rights:request:acknowledged": "Gave a receipt for your request",
    "rights:request:decided": "Decided your request",
    "rights:copy:made": "Made a copy of everything held about you",
    "rights:copy:collected": "Took the copy",
    "rights:list:collected": "Took this list, with its proofs",
    "rights:request:closed": "Closed your request",
}

NEWS = frozenset(
    {
        "people:emergency:claimed",
        "archive:study:opened",
        "archive:study:copied",
        "archive:study:erased",
        "policy:access:refused",
    }
)
FILTERS: Mapping[str, str] = {
    "": "Others",
    "care": "To treat me",
    "refused": "Refused",
    "you": "You",
    "steps": "Automatic steps",
    "all": "Everything",
}
SEALED_AWAY = "Something that only a destroyed key could open"


@dataclass(frozen=True, slots=True)
class Looked:
    """One entry of the list.

    Attributes:
        mark: `done`, `warn`, `no`, `you` or `later`; chooses the dot of the thread.
        who_more: Role and organisation.
        purpose: Printed in bold; says why.
        end: What closes the sentence.
        entry: Number in the ledger, or None while it has none.
        written: When it was written, against what happened.
        fingerprint: First groups of the leaf's hash.
        checked: Whether the proof held when this page was made; None where it was not tried.
        is_unfolded: Show the proof at once.
    """

    mark: str
    who: str
    who_more: str
    what: str
    purpose: str
    end: str
    clauses: tuple[str, ...]
    at: datetime
    anchor: str = ""
    entry: int | None = None
    entry_words: str = ""
    written: str = ""
    fingerprint: str = ""
    checkpoint: str = ""
    checked: bool | None = None
    is_unfolded: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A proof that was tried: it held, or not."""

    proof: Proof
    leaf_hash: bytes
    held: bool


@dataclass(frozen=True, slots=True)
class CompleteLine:
    """What the list says about its own completeness."""

    kind: str
    words: str
    detail: str


@dataclass(frozen=True, slots=True)
class Filter:
    """One choice of a filter, with an address of its own."""

    label: str
    href: str
    is_chosen: bool


def entry_of(
    event: Event,
    reader: Actor,
    titles: Mapping[UUID, str],
    checked: Checked | None = None,
    *,
    alike: Sequence[Event] = (),
) -> Looked:
    """One event as the person it is about reads it.

    A colleague whose attempt was refused appears by role only; whoever did something appears by name.

    Args:
        event: The event, with its payload opened.
        reader: The person it is about.
        titles: What the reader calls the studies, by our id.
        checked: The proof, if it was tried.
        alike: The entries that this one stands for, if it is more than itself; it is the newest of them.
    """
    is_you = event.actor_kind == "patient" and event.actor_id == reader.id
    is_refused = event.outcome == "refused" or event.kind in {"policy:access:refused", "people:match:failed"}
    who, who_more = _who(event, reader, is_you=is_you, is_refused=is_refused)
    why = "" if is_you or is_refused else WHY.get(event.purpose, "")
    return Looked(
        mark="no" if is_refused else "you" if is_you else "done",
        who=who,
        who_more=who_more,
        what=_what(event, titles, alike or [event]) + ("," if why else ""),
        purpose=why,
        end=".",
        clauses=event.clauses,
        at=event.at,
        anchor=f"e{event.id.hex}",
        entry=event.index,
        entry_words=words.entry_number(event.index) if event.index is not None else "",
        written="before the first image was shown" if event.kind == "archive:study:opened" else "when it happened",
        fingerprint=words.fingerprint(checked.leaf_hash) if checked else "",
        checkpoint=words.entry_number(checked.proof.size) if checked else "",
        checked=checked.held if checked else None,
    )


def _who(event: Event, reader: Actor, *, is_you: bool, is_refused: bool) -> tuple[str, str]:
    told = event.payload or {}
    if is_you:
        return "You", ""
    if event.actor_kind == "system":
        return "The platform", "automatically"
    if event.actor_kind == "peer":
        name = str(told.get("actor") or "An imaging system")
        return ("A program" if name == words.BEARER else name), reader.organisation
    if event.actor_kind == "anonymous":
        return "Somebody who was not signed in", ""
    if is_refused:
        return f"Someone with the role “{words.role(event.role)}”", reader.organisation
    if told.get("actor"):
        return str(told["actor"]), f"{words.role(event.role)}, {told.get('organisation') or reader.organisation}"
    return f"Someone with the role “{words.role(event.role)}”", reader.organisation


def _what(event: Event, titles: Mapping[UUID, str], alike: Sequence[Event]) -> str:
    if event.is_shredded:
        return SEALED_AWAY
    what = titles.get(event.study_id, "one of your scans") if event.study_id else "your scans"
    is_sum = event.kind == "archive:instances:stored"
    count = sum(_images(each) for each in alike) if is_sum else _images(event)
    said = SAID.get(event.kind, event.sentence.rstrip("."))
    if len(alike) > 1:
        said += f", in {len(alike)} entries" if is_sum else f", {len(alike)} times"
    return said.format(
        **_told(event),
        what=what,
        images=f"{words.counted(count, 'image')} " if count else "images ",
        images_after=f", {words.counted(count, 'image')}" if count else "",
    )


def _told(event: Event) -> dict[str, str]:
    """What an entry says of itself, for the sentences that repeat it."""
    told = event.payload or {}
    until = str(told.get("until", ""))[:10]
    return {
        "to": str(told.get("to", "somebody")),
        "until": words.day(date.fromisoformat(until)) if until else "it is ended",
        "reason": str(told.get("reason", "")).rstrip("."),
        "state": str(told.get("state", "")),
    }


def _images(event: Event) -> int:
    return event.counts.get("instances", event.counts.get("images", 0))


def complete_line(complete: Completeness, tally: Mapping[str, int], *, is_of_study: bool = False) -> CompleteLine:
    """Whether the list is all there is, in words, and what it is made of.

    Args:
        complete: What was counted and followed just now, of the whole list.
        tally: Entries by each kind of actor.
        is_of_study: The tally is of what is about one scan.
    """
    waiting = f" {words.counted(complete.pending, 'entry', 'entries')} will be sealed within a second." * (
        complete.pending > 0
    )
    whole = f"{words.number(complete.shown)} of {words.counted(complete.held, 'entry', 'entries')}"
    if not complete.is_complete:
        return CompleteLine(
            "broken",
            "This list is not complete",
            f"{whole} fit. The privacy office is bound to find out why: tell it what you see here.",
        )
    own, steps = tally.get("patient", 0), tally.get("system", 0)
    others = sum(tally.values()) - own - steps
    made_of = (
        f"{words.number(others)} by people and systems, {words.number(own)} by you, {words.number(steps)} automatic"
    )
    followed = "Counted and followed from the first entry to the last, just now." + waiting
    if is_of_study:
        held = words.counted(sum(tally.values()), "entry", "entries")
        return CompleteLine(
            "kept",
            "This list is complete",
            f"{held} about this scan: {made_of}. Of everything about you: {whole}. {followed}",
        )
    return CompleteLine("kept", "This list is complete", f"{whole}: {made_of}. {followed}")


def is_kind(event: Event, chosen: str) -> bool:
    """Whether an event belongs to a filter of `FILTERS`; the empty one is what others did."""
    is_refused = event.outcome == "refused" or event.kind in {"policy:access:refused", "people:match:failed"}
    if chosen == "refused":
        return is_refused
    if chosen == "care":
        return event.purpose in {"diagnosis", "care"} and event.outcome != "refused" and event.actor_kind != "patient"
    if chosen == "you":
        return event.actor_kind == "patient"
    if chosen == "steps":
        return event.actor_kind == "system"
    return chosen == "all" or event.actor_kind not in {"patient", "system"}


def filters(base: str, chosen: str) -> tuple[Filter, ...]:
    """The filters of a list at an address."""
    return tuple(
        Filter(label, f"{base}?show={key}#looked" if key else f"{base}#looked", key == chosen)
        for key, label in FILTERS.items()
    )


def last_look(events: Sequence[Event], reader: Actor) -> str:
    """How many people have opened something, and who did last, for a page that leads to the whole list.

    Args:
        events: Newest first.
        reader: The person they are about.
    """
    looks = [event for event in events if _is_look(event)]
    if not looks:
        return "Nobody else has looked at these images."
    last, people = entry_of(looks[0], reader, {}), len({event.actor_id for event in looks})
    counted = "One person has" if people == 1 else f"{people} people have"
    who = ", ".join(filter(None, (last.who, last.who_more.partition(",")[0])))
    why = f", {last.purpose}" if last.purpose else ""
    return f"{counted} looked at these images. The last was {who}, on {words.moment(last.at)}{why}."


def is_news(event: Event) -> bool:
    """Whether an event belongs on the home page: somebody else looked, took a copy, or tried and was refused.

    What goes on by itself is no look of anybody: the line below the list counts it. But a scan that is gone is told.
    """
    if event.actor_kind == "system":
        return event.kind == "archive:study:erased"
    return event.kind in NEWS and event.actor_kind != "patient"


def _is_look(event: Event) -> bool:
    return event.kind == "archive:study:opened" and event.actor_kind == "user" and event.outcome == "done"


def lead(news: Iterable[Event], since: datetime, total: int) -> str:
    """The first sentences of the patient's page: what the list of news beside them shows, counted.

    Args:
        news: Events of `NEWS` for which `is_news` holds.
        since: From when on they are counted.
        total: How many scans are held.
    """
    told = [event for event in news if event.at >= since and is_news(event)]
    people = len({event.actor_id for event in told if _is_look(event)})
    them = "it" if total == 1 else "them"
    opened = f"{_several(people, 'person', 'people')} {'has' if people <= 1 else 'have'} opened {them}"
    further = [
        _several(count, *words_of)
        for count, words_of in (
            (_acting(told, "archive:study:opened", is_person=False), ("system opened a scan", "systems opened a scan")),
            (_times(told, "archive:study:copied"), ("copy was made", "copies were made")),
            (_times(told, "archive:study:erased"), ("scan was erased", "scans were erased")),
            (_times(told, "people:emergency:claimed"), ("emergency was written down", "emergencies were written down")),
            (_acting(told, "policy:access:refused", is_person=True), ("person was refused", "people were refused")),
            (_acting(told, "policy:access:refused", is_person=False), ("system was refused", "systems were refused")),
        )
        if count
    ]
    # The first stands at the head of its sentence, the others within it.
    said = ", ".join(each if place == 0 else each[0].lower() + each[1:] for place, each in enumerate(further))
    return f"{opened} in the last 30 days." + (f" {said}." if said else "")


def _times(events: Iterable[Event], kind: str) -> int:
    return sum(event.kind == kind for event in events)


def _acting(events: Iterable[Event], kind: str, *, is_person: bool) -> int:
    """How many different people, or systems, did something."""
    return len({event.actor_id for event in events if event.kind == kind and (event.actor_kind == "user") == is_person})


def _several(count: int, one: str, many: str) -> str:
    numbers: Sequence[str] = ("Nobody", "One", "Two", "Three", "Four", "Five")
    if count == 0:
        return numbers[0]
    return f"{numbers[count] if count < len(numbers) else words.number(count)} {one if count == 1 else many}"
