from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from troth.archive import Found
from troth.doors.web import looked
from troth.doors.web.patient.home import film
from troth.doors.web.patient.thread import grouped
from troth.ledger import KINDS, Broken, Completeness, Event
from troth.policy import Actor

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
READER = Actor("patient", uuid4(), uuid4(), "patient", uuid4(), uuid4(), "A. Sample", "Example Hospital")
STUDY = uuid4()


def event(kind: str = "archive:study:opened", **changed: Any) -> Event:
    made = Event(
        id=uuid4(),
        tenant=READER.tenant,
        at=AT,
        kind=kind,
        actor_id=UUID(int=7),
        actor_kind="user",
        role="clinician",
        subject_id=READER.subject_id,
        study_id=STUDY,
        purpose="diagnosis",
        clauses=("4.1",),
        decision_id=None,
        outcome="done",
        counts={"instances": 12},
        payload={"actor": "Dr B. Specimen", "organisation": "Example Hospital"},
    )
    return replace(made, **changed)


def test_an_opening_says_who_what_why_and_by_which_clause() -> None:
    entry = looked.entry_of(event(), READER, {STUDY: "your CT scan"})
    assert (entry.who, entry.who_more) == ("Dr B. Specimen", "clinician, Example Hospital")
    assert entry.what == "Opened your CT scan, 12 images,"
    assert entry.purpose == "to find out what is wrong with you"
    assert (entry.clauses, entry.mark, entry.entry) == (("4.1",), "done", None)


@pytest.mark.asvs("V8.2.3")
@pytest.mark.parametrize(
    ("changed", "who", "mark"),
    [
        ({"actor_kind": "patient", "actor_id": READER.id}, "You", "you"),
        ({"outcome": "refused", "kind": "policy:access:refused"}, "Someone with the role “clinician”", "no"),
        ({"actor_kind": "peer", "payload": {"actor": "CT1"}}, "CT1", "done"),
        ({"actor_kind": "peer", "payload": None}, "An imaging system", "done"),
        ({"actor_kind": "peer", "payload": {"actor": "Bearer token"}}, "A program", "done"),
        ({"actor_kind": "system"}, "The platform", "done"),
        ({"actor_kind": "anonymous", "kind": "people:match:failed"}, "Somebody who was not signed in", "no"),
        ({"payload": None, "is_shredded": True}, "Someone with the role “clinician”", "done"),
    ],
)
def test_everybody_is_named_as_far_as_they_may_be(changed: dict[str, Any], who: str, mark: str) -> None:
    entry = looked.entry_of(event(**changed), READER, {})
    assert (entry.who, entry.mark) == (who, mark)
    assert "Specimen" not in entry.who_more


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_sentence_without_holes(kind: str) -> None:
    entry = looked.entry_of(event(kind), READER, {})
    assert "{" not in entry.what
    assert entry.what[0].isupper()


def test_what_a_destroyed_key_sealed_is_said_to_be_sealed() -> None:
    assert looked.SEALED_AWAY in looked.entry_of(event(is_shredded=True), READER, {}).what


def test_looks_at_lists_are_drawn_together_and_openings_never() -> None:
    listed = [event("archive:studies:queried", at=AT - timedelta(seconds=second)) for second in range(3)]
    other = event("archive:studies:queried", actor_id=UUID(int=8))
    opened = [event(), event()]
    assert [len(group) for group in grouped([*listed, other, *opened, *listed])] == [3, 1, 1, 1, 3]
    assert "3 times" in looked.entry_of(listed[0], READER, {}, alike=listed).what


def test_images_are_counted_together_as_they_arrive() -> None:
    arrived = [event("archive:instances:stored", counts={"instances": 2}) for _ in range(3)]
    assert [len(group) for group in grouped([*arrived, event()])] == [3, 1]
    assert (
        "Sent 6 images of your CT scan, in 3 entries"
        in looked.entry_of(arrived[0], READER, {STUDY: "your CT scan"}, alike=arrived).what
    )


def test_each_entry_is_in_one_of_three_lists_and_in_everything() -> None:
    events = [event(), event(actor_kind="patient"), event(actor_kind="system"), event(actor_kind="peer")]
    for one in events:
        assert [key for key in ("", "you", "steps") if looked.is_kind(one, key)] != []
        assert sum(looked.is_kind(one, key) for key in ("", "you", "steps")) == 1
        assert looked.is_kind(one, "all")


def test_a_list_that_is_not_complete_says_so() -> None:
    tally = {"user": 2, "peer": 1, "patient": 2, "system": 1}
    whole = looked.complete_line(Completeness(6, 6, 0, b""), tally)
    assert (whole.kind, whole.words) == ("kept", "This list is complete")
    assert "6 of 6 entries: 3 by people and systems, 2 by you, 1 automatic." in whole.detail
    assert "1 entry will be sealed" in looked.complete_line(Completeness(6, 6, 1, b""), tally).detail
    scan = looked.complete_line(Completeness(9, 9, 0, b""), tally, is_of_study=True).detail
    assert "6 entries about this scan" in scan
    assert "Of everything about you: 9 of 9 entries." in scan
    for broken in (Completeness(5, 6, 0, b""), Completeness(6, 6, 0, b"", (Broken(1, None, "changed"),))):
        assert looked.complete_line(broken, tally).kind == "broken"


def test_the_home_page_tells_of_people_and_of_what_is_gone() -> None:
    assert looked.is_news(event())
    assert looked.is_news(event("archive:study:copied"))
    assert not looked.is_news(event("archive:study:copied", actor_kind="system"))
    assert not looked.is_news(event(actor_kind="patient"))
    assert looked.is_news(event("archive:study:erased", actor_kind="system"))


def test_the_first_sentence_counts_people_not_looks() -> None:
    since = AT - timedelta(days=1)
    events = [
        event(),
        event(),
        event(actor_id=UUID(int=8)),
        event(actor_kind="patient"),
        event(at=since - timedelta(1)),
    ]
    assert looked.lead(events, since, 3) == "Two people have opened them in the last 30 days."
    assert looked.lead(events[:1], since, 1) == "One person has opened it in the last 30 days."
    assert looked.lead([], since, 0) == "Nobody has opened them in the last 30 days."
    nine = [event(actor_id=UUID(int=number)) for number in range(1, 10)]
    assert looked.lead(nine, since, 2).startswith("9 people have opened them")


def test_the_lead_counts_what_the_list_below_it_shows() -> None:
    since = AT - timedelta(days=1)
    events = [
        event("archive:study:copied"),
        event("people:emergency:claimed", study_id=None),
        event("policy:access:refused", outcome="refused"),
        event("policy:access:refused", outcome="refused"),
        event("archive:study:opened", actor_kind="peer", actor_id=UUID(int=9)),
        event("archive:study:erased", actor_kind="system", actor_id=None),
        event("archive:study:copied", at=since - timedelta(1)),
        event("archive:study:copied", actor_kind="patient"),
    ]
    assert looked.lead(events, since, 1) == (
        "Nobody has opened it in the last 30 days. One system opened a scan, one copy was made, one scan was erased,"
        " one emergency was written down, one person was refused."
    )


def found(number: int, modality: str = "CT") -> Found:
    study: Any = SimpleNamespace(study_uid="1.2")
    return Found("instance", study, "1.2.3", f"1.2.3.{number}", {0x00080060: modality, 0x00200013: str(number)})


def test_the_strip_shows_five_images_from_all_along_the_scan() -> None:
    shown = film([found(number) for number in range(100, 0, -1)] + [found(500, "SR")])
    assert [int(each.split("/instances/1.2.3.")[1].partition("/")[0]) for each in shown] == [11, 31, 51, 71, 91]
    assert len(film([found(1), found(2)])) == 2
    assert film([found(1, "SR")]) == ()
