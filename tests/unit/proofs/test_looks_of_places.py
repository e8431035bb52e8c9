"""Looks at where data lies and goes, what stays erased, objections and withdrawals, and who agreed to a notice."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.common.book import BROKEN, IDLE, KEPT, Book, viewing
from troth.proofs import Verdict

RESIDENCY = [
    ("imaging-cloud", "7.1", "GB", "FR"),
    ("imaging-host", "7.1", "CA", "RU"),
    ("equipment-maker", "7.1", "FR", "RU"),
    ("equipment-maker", "27.1", "US", "RU"),
    ("equipment-maker", "47.1", "GB", "RU"),
]


def start(book: Book, region: str, surfaces: str = "portal+site", node: UUID | None = None) -> int:
    says = {"region": region, "program": "1", "schema": "1", "surfaces": surfaces}
    return book.write("main:node:started", refs={"node": node or uuid4()}, says=says, actor_kind="system", tenant=None)


def arrive(book: Book, **says: str) -> int:
    return book.write("archive:instances:stored", actor_kind="peer", says={"way": "C-STORE", **says})


@pytest.mark.parametrize(("deployment", "clause", "inside", "outside"), RESIDENCY)
def test_what_was_taken_in_elsewhere_is_seen(deployment: str, clause: str, inside: str, outside: str) -> None:
    book = Book(deployment)
    start(book, inside)
    assert book.found(clause).verdict is IDLE
    arrive(book, region=inside)
    assert (book.found(clause).verdict, book.found(clause).of) == (KEPT, 1)
    wrong = arrive(book, region=outside)
    assert book.found(clause).verdict is BROKEN
    assert [each.number for each in book.found(clause).examples] == [wrong]


@pytest.mark.parametrize(("deployment", "clause", "inside", "outside"), RESIDENCY)
def test_what_left_for_elsewhere_is_seen(deployment: str, clause: str, inside: str, outside: str) -> None:
    book = Book(deployment)
    book.write("exchange:disclosure:recorded", says={"country": inside})
    assert book.found(clause).verdict is KEPT
    book.write("exchange:disclosure:recorded", says={"country": outside}, outcome="refused")
    assert book.found(clause).verdict is KEPT
    book.write("exchange:disclosure:recorded", says={"country": outside})
    assert book.found(clause).verdict is BROKEN


def test_an_arrival_that_does_not_say_where_is_judged_only_where_all_servers_stand_on_one_side() -> None:
    book, one, other = Book(), uuid4(), uuid4()
    arrive(book)
    assert "what was before does not say enough" in book.found("7.1").said
    start(book, "GB", node=one)
    arrive(book)
    assert (book.found("7.1").verdict, book.found("7.1").of) == (KEPT, 1)
    start(book, "US", node=other)
    arrive(book)
    assert book.found("7.1").of == 1
    start(book, "US", node=one)
    arrive(book)
    assert book.found("7.1").verdict is BROKEN


SCOPE = [
    ("imaging-host", "1.7", "portal+site+dimse+rest", "portal+desktop"),
    ("terminology-vendor", "1.2", "portal+site+mail", "portal+dimse"),
    ("equipment-maker", "1.2", "portal+site+dimse", "portal+desktop"),  # the notice for patients has the line for it
    ("equipment-maker", "1.3", "portal+site", "affiliates"),
    ("equipment-maker", "41.2", "portal+site+dicomweb", "desktop"),
]


@pytest.mark.parametrize(("deployment", "clause", "listed", "other"), SCOPE)
def test_a_server_that_starts_with_a_surface_that_is_not_listed_is_seen(
    deployment: str, clause: str, listed: str, other: str
) -> None:
    book = Book(deployment)
    assert book.found(clause).verdict is IDLE
    start(book, "GB", listed)
    assert book.found(clause).verdict is KEPT
    wrong = start(book, "GB", other)
    assert [each.number for each in book.found(clause).examples] == [wrong]


@pytest.mark.parametrize(("deployment", "clause", "listed", "other"), SCOPE)
def test_a_server_that_names_no_surface_shows_nothing(deployment: str, clause: str, listed: str, other: str) -> None:
    book = Book(deployment)
    start(book, "GB", "")
    assert book.found(clause).verdict is IDLE
    start(book, "GB", listed)
    assert "computed since entry" in book.found(clause).said
    start(book, "GB", other)
    assert book.found(clause).verdict is BROKEN


@pytest.mark.parametrize(("deployment", "clause", "listed", "other"), SCOPE)
def test_what_came_by_a_surface_that_is_not_listed_is_seen(
    deployment: str, clause: str, listed: str, other: str
) -> None:
    book = Book(deployment)
    book.write("archive:study:opened", **viewing(), via=listed.split("+")[0])
    assert book.found(clause).verdict is KEPT
    book.write("archive:study:opened", **viewing(), via=other.split("+")[-1])
    assert book.found(clause).verdict is BROKEN


def test_what_stands_under_a_contract_is_used_for_the_contract_alone() -> None:
    book = Book("terminology-vendor")
    act: dict[str, Any] = {"says": {"activity": "licensed_products", "ground": "time_over"}, "action": "dispose"}
    book.write("lifecycle:contact:disposed", **act, purpose="licensed_products")
    assert book.found("1.2").verdict is KEPT
    book.write("lifecycle:contact:disposed", **act, purpose="administration")
    assert book.found("1.2").verdict is BROKEN


ERASED = [("imaging-cloud", "11.6"), ("imaging-host", "11.6"), ("equipment-maker", "31.5")]


@pytest.mark.parametrize(("deployment", "clause"), ERASED)
@pytest.mark.parametrize("kind", ["archive:instances:stored", "archive:study:opened", "archive:study:copied"])
def test_what_was_erased_and_is_met_again_is_seen(deployment: str, clause: str, kind: str) -> None:
    book, study = Book(deployment), str(uuid4())
    book.write(kind, study_id=study)
    assert book.found(clause).verdict is IDLE
    book.write("archive:study:erased", study_id=study)
    book.write(kind, study_id=str(uuid4()))
    book.write(kind, study_id=study, outcome="refused")
    assert (book.found(clause).verdict, book.found(clause).of) == (KEPT, 1)
    book.write(kind, study_id=study)
    assert book.found(clause).verdict is BROKEN


def object_clauses() -> list[tuple[str, str]]:
    found = []
    for deployment in ("imaging-cloud", "imaging-host", "equipment-maker", "terminology-vendor"):
        for notice in Book(deployment).notices:
            found += [(deployment, each.id) for each in notice.all("right") if getattr(each, "right", "") == "object"]
    return found


@pytest.mark.parametrize(("deployment", "clause"), object_clauses())
def test_an_objection_is_decided_within_a_month_of_the_calendar(deployment: str, clause: str) -> None:
    book, subject = Book(deployment), str(uuid4())

    def say(kind: str, state: str) -> int:
        return book.write(f"people:objection:{kind}", subject_id=subject, says={"key": "care", "state": state})

    assert book.found(clause).verdict is IDLE
    say("decided", "refused")
    assert (book.found(clause).verdict, book.found(clause).of) == (KEPT, 1)
    say("queued", "waiting")
    book.pass_(days=29)
    assert book.found(clause).of == 1
    say("decided", "granted")
    assert (book.found(clause).verdict, book.found(clause).of) == (KEPT, 2)
    late = say("queued", "waiting")
    book.pass_(days=36)
    assert [each.number for each in book.found(clause).examples] == [late]  # by the clock alone
    say("decided", "granted")
    assert book.found(clause).verdict is BROKEN


@pytest.mark.parametrize(("deployment", "clause"), object_clauses())
@pytest.mark.parametrize(("kind", "state"), [("queued", "waiting"), ("decided", "granted")])
def test_what_an_objection_is_against_rests(deployment: str, clause: str, kind: str, state: str) -> None:
    book, subject = Book(deployment), str(uuid4())
    act = viewing(purpose="care", subject_id=subject)
    book.write("archive:study:opened", **act)
    book.write(f"people:objection:{kind}", subject_id=subject, says={"key": "care", "state": state})
    book.write("archive:study:opened", **act)  # what was on its way
    book.pass_(seconds=2)
    book.write("archive:study:opened", **{**act, "subject_id": str(uuid4())})
    assert book.found(clause).verdict is not BROKEN
    book.write("archive:study:opened", **act)
    assert book.found(clause).verdict is BROKEN


OBJECTING = dict(object_clauses())["imaging-cloud"]


def test_an_objection_counts_for_each_number_that_was_merged_with_theirs() -> None:
    book, one, other, refs = Book(), str(uuid4()), str(uuid4()), {"merge": uuid4()}
    book.write("people:objection:decided", subject_id=one, says={"key": "care", "state": "granted"})
    for subject in (one, other):
        book.write("people:subjects:merged", subject_id=subject, refs=refs, says={"state": "merged"})
    book.pass_(seconds=2)
    book.write("archive:study:opened", **viewing(purpose="care", subject_id=other))
    assert book.found(OBJECTING).verdict is BROKEN


def test_an_objection_that_was_taken_back_stops_nothing() -> None:
    book, subject = Book(), str(uuid4())
    for kind, state in (("queued", "waiting"), ("decided", "withdrawn")):
        book.write(f"people:objection:{kind}", subject_id=subject, says={"key": "care", "state": state})
    book.pass_(days=40)
    book.write("archive:study:opened", **viewing(purpose="care", subject_id=subject))
    assert book.found(OBJECTING).verdict is KEPT


def test_what_arrived_outside_has_its_entry() -> None:
    book, refs = Book("imaging-host"), {"disclosure": uuid4(), "recipient": uuid4()}
    clause = next(each.id for notice in book.notices for each in notice.all("logging"))
    book.write("exchange:disclosure:recorded", refs=refs, says={"category": "images", "country": "CA"})
    book.write("exchange:disclosure:left", refs=refs)
    assert (book.found(clause).verdict, book.found(clause).of) == (KEPT, 1)
    book.write("exchange:disclosure:left", refs={**refs, "disclosure": uuid4()})
    assert book.found(clause).verdict is BROKEN


AMENDMENT = [
    (deployment, clause.id, notice.name)
    for deployment in ("imaging-cloud", "imaging-host", "equipment-maker", "terminology-vendor")
    for notice in Book(deployment).notices
    for clause in notice.all("amendment")
]


@pytest.mark.parametrize(("deployment", "clause", "notice"), AMENDMENT)
@pytest.mark.parametrize(
    ("ways", "verdict"),
    [
        ({"one": "", "two": ""}, KEPT),  # the founding pair
        ({"one": "", "two": "one"}, BROKEN),  # the first let in the second
        ({"one": "", "go": "", "two": "go"}, KEPT),
        ({"one": "", "go": "one", "two": "go"}, BROKEN),  # by way of somebody whom the first let in
        ({"boss": "", "one": "boss", "two": "boss"}, BROKEN),  # one let in both
        ({"boss": "", "other": "", "one": "boss other", "two": "boss other"}, KEPT),
    ],
)
def test_two_people_of_whom_neither_let_in_the_other_agree(
    deployment: str, clause: str, notice: str, ways: dict[str, str], verdict: Verdict
) -> None:
    book = Book(deployment)
    who = {name: str(uuid4()) for name in ways}
    for name, by in ways.items():
        let_in = [who[each] for each in by.split()]
        book.write("people:member:joined", refs={"account": who[name]}, says={"role": "office"}, people=let_in)
    said: dict[str, Any] = {"says": {"notice": notice, "sha256": "00"}, "tenant": None}
    pair = [who["one"], who["two"]]
    book.write("notice:version:published", actor_id=pair[1], people=pair, **said)
    assert book.found(clause, "amendment", notice).verdict is verdict


def test_an_age_that_was_stated_cannot_be_seen_and_is_never_called_kept() -> None:
    book = Book("terminology-vendor")
    clause = next(each.id for notice in book.notices for each in notice.all("minor"))
    assert book.found(clause).verdict is IDLE
    book.write("people:age:stated", subject_id=str(uuid4()))
    assert book.found(clause).verdict is Verdict.BLIND


def test_a_consent_that_was_taken_back_ends_in_that_moment() -> None:
    book, subject = Book("imaging-host"), str(uuid4())
    clause = next(
        each.id for notice in book.notices for each in notice.all("right") if getattr(each, "right", "") == "withdraw"
    )
    act = viewing(purpose="newsletter", subject_id=subject, says={"channel": "email"})
    book.write("people:consent:recorded", subject_id=subject, says={"key": "news", "state": "given"})
    book.write("people:message:sent", **act)
    assert book.found(clause).verdict is IDLE
    book.write("people:consent:recorded", subject_id=subject, says={"key": "news", "state": "withdrawn"})
    assert book.found(clause).verdict is KEPT
    book.pass_(seconds=2)
    book.write("people:message:sent", **act)
    assert book.found(clause).verdict is BROKEN
