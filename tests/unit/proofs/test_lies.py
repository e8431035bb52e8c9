"""Lies that a look once took for kept: each is written as leaves, and none is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.common.book import BROKEN, HOUSE, IDLE, KEPT, Book, day, viewing
from troth.ledger import DESTROYING, KINDS
from troth.lifecycle import Overdue
from troth.proofs import Standing, Verdict, retention
from troth.proofs.service import judge

SPARED = {
    "archive:leftovers:freed": "bytes that nothing names any more",
    "archive:study:refused_tombstone": "nothing that was held",
    "exchange:disclosure:left": "nothing is gone",
    "lifecycle:disposal:agreed": "nothing is gone yet",
    "lifecycle:hold:placed": "what forbids it",
    "people:account:closed": "the account is its holder's: what the organisation holds of them stays",
    "people:factor:removed": "a way to sign in, of an account",
    "people:factor:reset": "a way to sign in, of an account",
    "people:factor:reset_dropped": "nothing is gone",
    "rights:copy:erased": "a copy: what it was made of stays",
    "rights:request:closed": "the request stays to be read",
}
"""Kinds that sound as if they destroyed, and why no hold is broken by them."""


@pytest.fixture
def book() -> Book:
    return Book()


def ask(book: Book, **said: Any) -> dict[str, Any]:
    refs = {"request": uuid4()}
    book.write("rights:request:opened", refs=refs, says={"right": "access"}, **said)
    return refs


def test_the_time_of_a_request_is_that_of_the_clause_whatever_its_entry_says(book: Book) -> None:
    far = day(book.now + timedelta(days=3000))
    refs = ask(book, dates={"due": far, "acknowledge_by": far})
    book.write("rights:request:acknowledged", refs=refs)
    book.pass_(days=40)
    assert (book.found("9.1").verdict, book.found("9.1").late) == (BROKEN, 1)


def test_a_request_that_is_acknowledged_with_its_late_answer_was_acknowledged_late(book: Book) -> None:
    far = day(book.now + timedelta(days=3000))
    refs = ask(book, dates={"due": far, "acknowledge_by": far})
    book.pass_(days=20)
    book.write("rights:request:closed", refs=refs)
    assert book.found("9.1").verdict is BROKEN


def test_a_request_is_extended_once_and_by_no_more_than_the_clause_says() -> None:
    cases = [(20, 1, 60, KEPT), (20, 1, 90, BROKEN), (20, 2, 60, BROKEN), (50, 1, 5, BROKEN)]
    for before, extensions, days, verdict in cases:
        book, refs = Book("terminology-vendor"), {"request": uuid4()}
        book.write("rights:request:opened", refs=refs, says={"right": "opt_out"})
        book.write("rights:request:acknowledged", refs=refs)
        book.pass_(days=before)
        for _ in range(extensions):
            book.write("rights:request:extended", refs=refs, dates={"due": day(book.now + timedelta(days=3000))})
        book.pass_(days=days)
        book.write("rights:request:closed", refs=refs)
        assert book.found("9.8", "right").verdict is verdict, (before, extensions, days)


def test_where_the_clause_has_no_extension_none_makes_it_longer(book: Book) -> None:
    refs = ask(book)
    book.write("rights:request:acknowledged", refs=refs)
    book.write("rights:request:extended", refs=refs, dates={"due": day(book.now + timedelta(days=60))})
    book.write("rights:request:closed", refs=refs)
    assert book.found("9.1").verdict is BROKEN


def listed(book: Book, contacts: int = 2, **dates: str) -> dict[str, Any]:
    refs = {"list": uuid4()}
    counts = {"contacts": contacts}
    book.write("people:list:taken", refs=refs, says={"source": "partner"}, counts=counts, dates=dates)
    return refs


def test_one_who_is_told_twice_does_not_stand_for_another_who_is_never_told() -> None:
    book, one = Book("terminology-vendor"), uuid4()
    refs = listed(book)
    for _ in range(2):
        book.write("people:contact:told", refs={**refs, "contact": one, "source": one})
    assert book.found("3.2", "telling").verdict is IDLE
    book.pass_(days=40)
    assert book.found("3.2", "telling").verdict is BROKEN


@pytest.mark.parametrize("dates", [{}, {"told_by": "2034-01-01"}], ids=["none", "far"])
def test_the_day_by_which_a_list_is_told_is_that_of_the_clause(dates: dict[str, str]) -> None:
    book = Book("terminology-vendor")
    listed(book, **dates)
    book.pass_(days=2000)
    assert book.found("3.2", "telling").verdict is BROKEN


def test_every_kind_that_destroys_is_held_against_holds_or_says_why_not() -> None:
    words = ("erased", "destroyed", "disposed", "dispose", "closed", "taken away", "given back", "replaced by one")
    sound = {kind for kind, says in KINDS.items() if any(word in says for word in words)}
    assert sound == DESTROYING | SPARED.keys()
    assert not DESTROYING & SPARED.keys()


@pytest.mark.parametrize("kind", sorted(DESTROYING))
def test_whatever_is_destroyed_under_a_hold_on_the_organisation_breaks_it(book: Book, kind: str) -> None:
    book.write("lifecycle:hold:placed", refs={"hold": uuid4(), "organisation": HOUSE}, says={"scope": "organisation"})
    assert book.found("8.2").verdict is KEPT
    book.write(kind, subject_id=str(uuid4()), study_id=str(uuid4()))
    assert book.found("8.2").verdict is BROKEN


def test_who_somebody_is_is_not_erased_while_they_or_a_study_of_theirs_is_held() -> None:
    for scope in ("study", "subject"):
        book, subject = Book(), str(uuid4())
        refs = {"hold": uuid4(), scope: subject if scope == "subject" else uuid4()}
        book.write("lifecycle:hold:placed", subject_id=subject, refs=refs, says={"scope": scope})
        book.write("people:subject:erased", subject_id=str(uuid4()))
        assert book.found("8.2").verdict is KEPT
        book.write("people:subject:erased", subject_id=subject)
        assert book.found("8.2").verdict is BROKEN, scope


def test_what_was_kept_apart_and_destroyed_under_a_hold_on_a_study_cannot_be_seen(book: Book) -> None:
    book.write("archive:instance:discarded")
    book.write("lifecycle:hold:placed", refs={"hold": uuid4(), "study": uuid4()}, says={"scope": "study"})
    assert book.found("8.2").verdict is KEPT
    book.write("archive:instance:discarded")
    assert book.found("8.2").verdict is Verdict.BLIND


def test_the_match_of_one_account_is_not_that_of_another(book: Book) -> None:
    subject, one = str(uuid4()), str(uuid4())
    act = viewing("patient", "own_access", "4.3", subject_id=subject, actor_kind="patient", actor_id=one)
    book.write("people:subject:matched", subject_id=subject, refs={"account": one, "invitation": uuid4()})
    book.write("archive:study:opened", **act)
    assert book.found("9.7").verdict is KEPT
    book.write("archive:study:opened", **{**act, "actor_id": str(uuid4())})
    assert book.found("9.7").verdict is BROKEN


def test_an_opening_that_nothing_ended_shows_nothing_and_stands_for_one_end_in_its_session(book: Book) -> None:
    act = viewing(session=str(uuid4()))
    book.write("archive:study:opened", **act)
    assert book.found("5.4").verdict is IDLE
    book.write("archive:viewing:closed", **act)
    assert (book.found("5.4").verdict, book.found("5.4").of) == (KEPT, 1)
    book.pass_(days=365)
    book.write("archive:viewing:closed", **act)
    assert book.found("5.4").verdict is BROKEN
    book = Book()
    book.write("archive:study:opened", **act)
    book.write("archive:viewing:closed", **{**act, "session": str(uuid4())})
    assert book.found("5.4").verdict is BROKEN


def test_a_copy_that_was_collected_is_the_one_that_was_made(book: Book) -> None:
    subject, made = str(uuid4()), {"request": uuid4()}
    book.write("rights:copy:made", subject_id=subject, refs=made)
    assert book.found("5.4").verdict is IDLE
    book.write("rights:copy:collected", subject_id=subject, refs=made)
    assert book.found("5.4").verdict is KEPT
    book.write("rights:copy:collected", subject_id=subject, refs={"request": uuid4()})
    assert book.found("5.4").verdict is BROKEN


EMERGENCIES = [("imaging-cloud", "4.6"), ("imaging-host", "4.20")]


def claimed(book: Book, clause: str) -> tuple[dict[str, Any], dict[str, Any]]:
    act = viewing("clinician", "emergency", clause)
    refs = {"assignment": uuid4(), "account": act["actor_id"]}
    until = {"until": day(book.now + timedelta(hours=8))}
    book.write("people:emergency:claimed", **{**act, "action": "override", "study_id": None}, refs=refs, dates=until)
    return act, refs


@pytest.mark.parametrize(("deployment", "clause"), EMERGENCIES)
def test_an_emergency_that_nobody_checks_waits(deployment: str, clause: str) -> None:
    book = Book(deployment)
    assert book.found(clause, "emergency").verdict is IDLE
    act, refs = claimed(book, clause)
    book.write("archive:study:opened", **act)
    book.pass_(days=300)
    assert book.found(clause, "emergency").verdict is IDLE
    book.write("people:emergency:reviewed", role="office", actor_id=str(uuid4()), refs=refs)
    assert (book.found(clause, "emergency").verdict, book.found(clause, "emergency").of) == (KEPT, 2)


@pytest.mark.parametrize(("deployment", "clause"), EMERGENCIES)
def test_nobody_checks_their_own_emergency(deployment: str, clause: str) -> None:
    book = Book(deployment)
    _, refs = claimed(book, clause)
    book.write("people:emergency:reviewed", role="office", actor_id=refs["account"], refs=refs)
    assert book.found(clause, "emergency").verdict is BROKEN


@pytest.mark.parametrize("lie", ["nobody", "another patient", "another account", "late", "ended"])
def test_an_opening_in_an_emergency_rests_on_a_claim_in_force(book: Book, lie: str) -> None:
    act, refs = claimed(book, "4.6")
    match lie:
        case "nobody":
            book = Book()
        case "another patient":
            act["subject_id"] = str(uuid4())
        case "another account":
            act["actor_id"] = str(uuid4())
        case "late":
            book.pass_(hours=9)
        case "ended":
            book.write("people:assignment:ended", refs=refs)
    book.write("archive:study:opened", **act)
    assert book.found("4.6", "emergency").verdict is BROKEN


def disposed(book: Book, activity: str = "licensed_products", **said: Any) -> None:
    says = {"ground": "time_over", "activity": activity}
    book.write("lifecycle:contact:disposed", says=says, **{"action": "dispose", "purpose": activity, **said})


def test_a_disposal_is_one_of_the_rule_of_its_activity_and_shows_half_of_the_sentence() -> None:
    """The other half is counted in what is stored; where nobody could, the clause is blind."""
    book = Book("terminology-vendor")
    disposed(book, dates={"due": book.now.date().isoformat()})
    found = book.found("8.4", "retention")
    assert (found.verdict, found.of) == (Verdict.HOLDS, 1)
    [half] = retention.findings(book.notices, None)[book.notices[0].name, "8.4"]
    assert (half.verdict, "past its day" in half.said) == (Verdict.BLIND, True)
    assert judge(True, [found, half])[0] is Standing.UNPROVEN
    assert book.found("8.1", "retention").verdict is IDLE, "another rule"


def test_what_stands_past_its_day_breaks_its_own_rule_and_no_other() -> None:
    book = Book("terminology-vendor")
    name, contract = book.notices[0].name, Overdue("8.4", "licensed_products", 3, 0)
    site = Overdue("8.1", "promotion", 2, 1, is_whole=False)
    found = retention.findings(book.notices, [contract, site])
    assert [each.verdict for each in (*found[name, "8.4"], *found[name, "8.1"])] == [Verdict.HOLDS, BROKEN]
    assert found[name, "8.1"][0].late == 1, "disposing of it ends that"
    found = retention.findings(book.notices, [replace(contract, past=3), replace(site, past=0)])
    assert [each.verdict for each in (*found[name, "8.4"], *found[name, "8.1"])] == [BROKEN, Verdict.BLIND]
    other = retention.findings(book.notices, [replace(contract, activity="something", past=3)])
    assert other[name, "8.4"][0].verdict is Verdict.BLIND


@pytest.mark.parametrize("lie", ["early", "another act"])
def test_what_is_disposed_of_before_its_day_or_by_another_act_breaks_it(lie: str) -> None:
    book = Book("terminology-vendor")
    due = {"due": (book.now + timedelta(days=lie == "early")).date().isoformat()}
    disposed(book, dates=due, action="dispose" if lie == "early" else "erase")
    assert book.found("8.4", "retention").verdict is BROKEN


def test_a_disposal_that_names_no_day_and_an_account_that_was_closed_unused_cannot_be_seen() -> None:
    book = Book("terminology-vendor")
    disposed(book)
    assert book.found("8.4", "retention").verdict is Verdict.BLIND
    book = Book("equipment-maker")
    notice = next(each for each in book.notices if each.find("retention", "unused_account"))
    book.write("people:account:closed", refs={"account": uuid4()})
    assert book.found("8.7", "retention", notice.name).verdict is IDLE, "somebody closed their own"
    book.write("people:account:closed", refs={"account": uuid4(), "proposal": uuid4()})
    assert book.found("8.7", "retention", notice.name).verdict is Verdict.BLIND


@pytest.mark.parametrize("lie", ["", "early", "by a program"])
def test_an_account_that_nobody_used_is_closed_by_a_person_on_its_day_or_later(lie: str) -> None:
    book, refs = Book("equipment-maker"), {"proposal": uuid4()}
    notice = next(each for each in book.notices if each.find("retention", "unused_account"))
    due = {"due": (book.now + timedelta(days=lie == "early")).date().isoformat()}
    book.write("people:proposal:queued", refs=refs, says={"key": "account_closure"}, dates=due, actor_kind="system")
    assert book.found("8.7", "retention", notice.name).verdict is IDLE
    by = "system" if lie == "by a program" else "user"
    book.write("people:account:closed", refs={"account": uuid4(), **refs}, actor_kind=by)
    assert book.found("8.7", "retention", notice.name).verdict is (BROKEN if lie else KEPT)
