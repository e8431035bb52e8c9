"""Each look over made leaves: kept, broken with its entry, idle; and never kept on leaves that do not say enough."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.common.book import BROKEN, HOUSE, IDLE, KEPT, NOTICES, START, Book, day, notices, viewing
from troth.notice import Notice
from troth.notice import clock as notice_clock
from troth.proofs import Verdict


@pytest.fixture
def book() -> Book:
    return Book()


def ask(book: Book, right: str = "access", due: int = 30) -> dict[str, UUID]:
    refs = {"request": uuid4()}
    dates = {"due": day(book.now + timedelta(days=due)), "acknowledge_by": day(book.now + timedelta(days=3))}
    book.write("rights:request:opened", refs=refs, says={"right": right}, dates=dates)
    return refs


def test_a_request_that_is_answered_in_time_is_kept_and_one_second_late_is_broken(book: Book) -> None:
    assert book.found("9.1").verdict is IDLE
    refs = ask(book)
    assert book.found("9.1").verdict is IDLE  # it is open, and its day is not over
    book.write("rights:request:acknowledged", refs=refs)
    book.pass_(days=30)
    book.write("rights:request:closed", refs=refs)
    assert (book.found("9.1").verdict, book.found("9.1").of) == (KEPT, 1)
    late, due = ask(book), notice_clock.due_at(book.now, "P1M", zone=book.notices[0].zone)
    book.write("rights:request:acknowledged", refs=late)
    book.now = due + timedelta(seconds=1)
    book.write("rights:request:closed", refs=late)
    found = book.found("9.1")
    assert (found.verdict, found.fits, found.of) == (BROKEN, 1, 2)
    assert [each.number for each in found.examples] == [3]


def test_an_open_request_breaks_by_the_clock_alone(book: Book) -> None:
    refs = ask(book)
    book.write("rights:request:acknowledged", refs=refs)
    book.pass_(days=31)
    assert book.found("9.1").verdict is BROKEN


def test_a_request_that_nobody_acknowledged_in_three_days_is_broken(book: Book) -> None:
    refs = ask(book)
    book.pass_(days=4)
    assert book.found("9.1").verdict is BROKEN
    book.write("rights:request:acknowledged", refs=refs)
    book.write("rights:request:closed", refs=refs)
    assert book.found("9.1").verdict is BROKEN


def test_the_requests_of_one_right_show_nothing_of_another(book: Book) -> None:
    refs = ask(book, "erase")
    book.write("rights:request:acknowledged", refs=refs)
    book.write("rights:request:closed", refs=refs)
    assert book.found("9.3").verdict is KEPT
    assert book.found("9.1").verdict is IDLE
    assert book.found("9.2").verdict is IDLE


def test_an_entry_that_does_not_say_which_request_is_never_counted_as_kept(book: Book) -> None:
    book.write("rights:request:opened", v=1)
    book.write("rights:request:closed", v=1)
    found = book.found("9.1")
    assert found.verdict is IDLE
    assert "computed since entry 1" in found.said


def test_nothing_is_erased_under_a_hold(book: Book) -> None:
    study, hold = uuid4(), uuid4()
    book.write("archive:study:erased", study_id=str(uuid4()), action="erase")
    assert book.found("8.2").verdict is IDLE  # never a hold: an erasure shows nothing
    book.write("lifecycle:hold:placed", refs={"hold": hold, "study": study}, says={"scope": "study"})
    book.write("archive:study:erased", study_id=str(uuid4()), action="erase")
    assert (book.found("8.2").verdict, book.found("8.2").of) == (KEPT, 1)
    wrong = book.write("archive:study:erased", study_id=str(study), action="erase")
    assert book.found("8.2").verdict is BROKEN
    assert [each.number for each in book.found("8.2").examples] == [wrong]


@pytest.mark.parametrize("scope", ["study", "subject", "organisation"])
def test_a_hold_that_was_released_holds_nothing(book: Book, scope: str) -> None:
    study, subject, hold = str(uuid4()), str(uuid4()), uuid4()
    target = {"study": study, "subject": subject, "organisation": HOUSE}[scope]
    refs = {"hold": hold, scope: target}
    book.write("lifecycle:hold:placed", refs=refs, says={"scope": scope})
    book.write("lifecycle:hold:released", refs=refs, says={"scope": scope})
    book.write("archive:study:erased", study_id=study, subject_id=subject, action="erase")
    assert book.found("8.2").verdict is KEPT
    book.write("lifecycle:hold:placed", refs={"hold": uuid4(), scope: target}, says={"scope": scope})
    book.write("archive:study:erased", study_id=study, subject_id=subject, action="erase")
    assert book.found("8.2").verdict is BROKEN


def test_a_hold_on_a_person_covers_the_numbers_that_were_merged_with_theirs(book: Book) -> None:
    survivor, merged, refs = str(uuid4()), str(uuid4()), {"merge": uuid4()}
    book.write("lifecycle:hold:placed", refs={"hold": uuid4(), "subject": survivor}, says={"scope": "subject"})

    def both(kind: str) -> None:
        for subject, state in ((merged, "merged"), (survivor, "surviving")):  # one entry in each access list
            book.write(kind, subject_id=subject, refs=refs, says={"state": state})

    both("people:subjects:merged")
    both("people:subjects:unmerged")
    book.write("archive:study:erased", subject_id=merged, study_id=str(uuid4()), action="erase")
    assert book.found("8.2").verdict is KEPT
    both("people:subjects:merged")
    book.write("archive:study:erased", subject_id=merged, study_id=str(uuid4()), action="erase")
    assert book.found("8.2").verdict is BROKEN


def test_the_first_version_is_not_called_agreed_and_a_later_one_needs_two(book: Book) -> None:
    one, two = str(uuid4()), str(uuid4())
    said = {"says": {"notice": "imaging-cloud"}, "tenant": None}
    book.write("notice:version:published", actor_id=one, actor_kind="system", **said)
    found = book.found("12.1")
    assert found.verdict is IDLE
    assert "one person put there at founding" in found.said
    book.write("notice:version:published", actor_id=one, people=[two], **said)
    assert book.found("12.1").verdict is KEPT
    book.write("notice:version:published", actor_id=one, people=[one], **said)
    assert book.found("12.1").verdict is BROKEN


def test_an_act_names_its_clause_and_is_one_that_it_grants(book: Book) -> None:
    assert book.found("4.1").verdict is IDLE
    book.write("archive:study:opened", **viewing())
    assert (book.found("4.1").verdict, book.found("5.1").verdict) == (KEPT, KEPT)
    wrong = book.write("archive:study:opened", **viewing(clause="4.2"))
    assert [each.number for each in book.found("4.1").examples] == [wrong]


@pytest.mark.parametrize("more", [{"role": "peer"}, {"action": "erase"}])
def test_an_act_by_another_role_or_of_another_kind_breaks_the_purpose(book: Book, more: dict[str, str]) -> None:
    book.write("archive:study:opened", **viewing(**more))
    assert book.found("4.1").verdict is BROKEN


def test_a_refusal_is_no_act(book: Book) -> None:
    book.write("policy:access:refused", **viewing(role="admin"), outcome="refused")
    assert book.found("4.1").verdict is IDLE
    assert book.found("5.7").verdict is IDLE


def test_a_prohibition_is_kept_by_all_that_was_done_and_broken_by_one(book: Book) -> None:
    book.write("archive:study:opened", **viewing())
    assert (book.found("5.7").verdict, book.found("4.13").verdict) == (KEPT, KEPT)
    book.write("archive:study:opened", **viewing(role="office"))
    assert (book.found("5.7").verdict, book.found("4.13").verdict) == (BROKEN, KEPT)
    book.write("people:message:sent", **viewing(purpose="sale", action="send_message"))
    assert book.found("4.13").verdict is BROKEN


def test_a_level_of_service_without_a_way_in_is_seen(book: Book) -> None:
    book.write("people:level:changed", says={"level": "web"})
    book.write("archive:study:opened", **viewing(), via="dicomweb")
    assert book.found("3.5").verdict is KEPT
    assert book.found("3.4").verdict is IDLE
    book.write("archive:instances:stored", **viewing(purpose="care", clause="4.2", action="store"), via="dimse")
    assert book.found("3.4").verdict is BROKEN


def test_nothing_is_done_in_a_session_after_its_end(book: Book) -> None:
    session = str(uuid4())
    book.write("archive:study:opened", **viewing(), session=session)
    assert book.found("11.5").verdict is IDLE
    book.write("people:session:ended", refs={"session": session})
    book.pass_(seconds=1)
    book.write("archive:study:opened", **viewing(), session=session)  # what was on its way
    assert book.found("11.5").verdict is KEPT
    book.pass_(seconds=1)
    book.write("archive:study:opened", **viewing(), session=session)
    assert book.found("11.5").verdict is BROKEN


def test_nothing_is_done_by_somebody_who_is_not_named(book: Book) -> None:
    book.write("archive:study:opened", **viewing())
    assert book.found("11.4").verdict is KEPT
    book.write("archive:study:copied", **viewing(actor_kind="system", actor_id=None, role="worker"))
    book.write("people:invitation:used", **viewing(actor_kind="anonymous", actor_id=None, action="register"))
    assert book.found("11.4").verdict is KEPT
    book.write("archive:study:opened", **viewing(actor_kind="anonymous", actor_id=None))
    assert book.found("11.4").verdict is BROKEN


def test_whoever_acts_as_a_patient_was_matched_before(book: Book) -> None:
    subject = str(uuid4())
    act = viewing(role="patient", purpose="own_access", clause="4.3", subject_id=subject, actor_kind="patient")
    book.write("people:subject:matched", subject_id=subject, refs={"account": act["actor_id"], "invitation": uuid4()})
    book.write("archive:study:opened", **act)
    assert book.found("9.7").verdict is KEPT
    book.write("archive:study:opened", **{**act, "subject_id": str(uuid4())})
    assert book.found("9.7").verdict is BROKEN


def test_a_viewing_that_ended_has_its_beginning(book: Book) -> None:
    act = viewing()
    book.write("archive:study:opened", **act)
    book.write("archive:viewing:closed", **act)
    copied = viewing(actor_kind="system", actor_id=None, role="worker")
    book.write("archive:study:copied", **copied)
    book.write("archive:viewing:closed", **copied)
    assert book.found("5.4").verdict is KEPT
    book.write("archive:viewing:closed", **viewing())
    assert book.found("5.4").verdict is BROKEN


def test_every_arrival_names_who_brought_it(book: Book) -> None:
    assert book.found("3.1").verdict is IDLE
    peer = uuid4()
    book.write("archive:instances:stored", actor_kind="peer", actor_id=str(peer), refs={"peer": peer})
    assert book.found("3.1").verdict is KEPT
    book.write("archive:instances:stored", actor_kind="anonymous")
    assert book.found("3.1").verdict is BROKEN


def test_what_is_stopped_is_not_used_and_still_shown_to_the_person(book: Book) -> None:
    subject, restriction = str(uuid4()), uuid4()
    assert book.found("9.4").verdict is IDLE
    book.write("people:restriction:set", subject_id=subject, refs={"restriction": restriction}, says={"state": "given"})
    book.pass_(seconds=2)
    book.write("archive:study:opened", **viewing(subject_id=subject, purpose="own_access", clause="4.3"))
    assert book.found("9.4").verdict is KEPT
    book.write("archive:study:opened", **viewing(subject_id=subject))
    assert book.found("9.4").verdict is BROKEN


def test_what_was_allowed_again_is_used(book: Book) -> None:
    subject, refs = str(uuid4()), {"restriction": uuid4()}
    book.write("people:restriction:set", subject_id=subject, refs=refs, says={"state": "given"})
    book.write("people:restriction:set", subject_id=subject, refs=refs, says={"state": "withdrawn"})
    book.pass_(seconds=2)
    book.write("archive:study:opened", **viewing(subject_id=subject))
    assert book.found("9.4").verdict is KEPT


def test_what_is_stopped_is_stopped_for_each_number_that_was_merged_with_theirs(book: Book) -> None:
    survivor, merged, merge = str(uuid4()), str(uuid4()), {"merge": uuid4()}
    refs = {"restriction": uuid4()}
    book.write("people:restriction:set", subject_id=survivor, refs=refs, says={"state": "given"})
    book.pass_(seconds=2)
    book.write("archive:study:opened", **viewing(subject_id=merged))
    assert book.found("9.4").verdict is KEPT, "it was another person's then"
    for subject in (merged, survivor):
        book.write("people:subjects:merged", subject_id=subject, refs=merge)
    book.write("archive:study:opened", **viewing(subject_id=merged))
    assert (book.found("9.4").verdict, len(book.found("9.4").examples)) == (BROKEN, 1)
    for subject in (merged, survivor):
        book.write("people:subjects:unmerged", subject_id=subject, refs=merge)
    book.write("archive:study:opened", **viewing(subject_id=merged))
    assert len(book.found("9.4").examples) == 1


def message(subject: str) -> dict[str, Any]:
    return {
        "subject_id": subject, "purpose": "newsletter", "clauses": ["4.10"], "action": "send_message", "role": "office",
        "actor_id": str(uuid4()), "says": {"channel": "email"},
    }  # fmt: skip


@pytest.mark.parametrize(("seconds", "verdict"), [(0, KEPT), (2, BROKEN)])
def test_a_message_needs_the_yes_that_is_in_force(seconds: int, verdict: Verdict) -> None:
    book, subject = Book("imaging-host"), str(uuid4())
    assert book.found("10.3").verdict is IDLE
    book.write("people:consent:recorded", subject_id=subject, says={"key": "news", "state": "given"})
    book.write("people:message:sent", **message(subject))
    assert book.found("10.3").verdict is KEPT
    book.write("people:consent:recorded", subject_id=subject, says={"key": "news", "state": "withdrawn"})
    book.pass_(seconds=seconds)
    book.write("people:message:sent", **message(subject))
    assert book.found("10.3").verdict is verdict


def test_a_message_to_somebody_who_never_said_yes_is_seen() -> None:
    book = Book("imaging-host")
    book.write("people:message:sent", **message(str(uuid4())))
    assert book.found("10.3").verdict is BROKEN


def test_a_yes_runs_out() -> None:
    book, subject = Book("imaging-host"), str(uuid4())
    until = {"until": day(book.now + timedelta(days=1))}
    book.write("people:consent:recorded", subject_id=subject, says={"key": "news", "state": "given"}, dates=until)
    book.pass_(days=2)
    book.write("people:message:sent", **message(subject))
    assert book.found("10.3").verdict is BROKEN


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("people:channel:chosen", {"key": "email", "state": "refused"}),
        ("people:objection:decided", {"key": "newsletter", "state": "granted"}),
    ],
)
def test_no_message_goes_to_somebody_who_stopped_it(kind: str, says: dict[str, str]) -> None:
    book, subject = Book("imaging-host"), str(uuid4())
    book.write("people:message:sent", **message(subject))
    assert book.found("10.4").verdict is KEPT
    book.write(kind, subject_id=subject, says=says)
    book.pass_(seconds=2)
    book.write("people:message:sent", **message(subject))
    assert book.found("10.4").verdict is BROKEN


def filed(book: Book, noun: str, **says: str) -> UUID:
    ref = uuid4()
    book.write(
        "exchange:register:changed", refs={noun: ref}, says={"register": noun, "state": "given", **says},
        dates={"valid_from": "2026-01-01"}, actor_id=str(uuid4()), role="office",
    )  # fmt: skip
    return ref


def ended(book: Book, noun: str, ref: UUID) -> None:
    book.write("exchange:register:changed", refs={noun: ref}, says={"register": noun, "state": "ended"})
    book.pass_(seconds=2)


def leaving(purpose: str, refs: dict[str, UUID], **says: str) -> dict[str, Any]:
    return {"purpose": purpose, "action": "disclose", "role": "office", "refs": refs, "says": says}


def test_what_goes_outside_goes_on_a_contract_in_force() -> None:
    book = Book("imaging-host")
    recipient = filed(book, "recipient", key="clinic_b", stands_under="other_hospitals")
    contract = filed(book, "contract", key="clinic_b")
    refs = {"recipient": recipient, "contract": contract}
    assert book.found("6.7").verdict is IDLE
    book.write("exchange:disclosure:recorded", **leaving("exchange", refs, category="images"))
    assert book.found("6.7").verdict is KEPT
    ended(book, "contract", contract)
    book.write("exchange:disclosure:recorded", **leaving("exchange", refs, category="images"))
    assert book.found("6.7").verdict is BROKEN


def test_what_goes_abroad_goes_on_an_instrument_that_is_valid_then() -> None:
    book = Book("imaging-host")
    book.write("people:organisation:added", refs={"organisation": UUID(HOUSE)}, says={"region": "GB"})
    instrument = filed(book, "instrument", key="standard_contract", origin="GB")
    act = leaving("exchange", {"instrument": instrument}, country="US")
    book.write("exchange:disclosure:recorded", **act)
    assert book.found("7.3").verdict is KEPT
    assert book.found("7.4").verdict is IDLE
    book.write("exchange:transfer:invalidated", refs={"instrument": instrument})
    book.pass_(seconds=2)
    book.write("exchange:disclosure:recorded", **act)
    assert book.found("7.3").verdict is BROKEN


@pytest.mark.parametrize(("reviewer", "verdict"), [("another", KEPT), ("the same", BROKEN), ("nobody", BROKEN)])
def test_an_order_is_looked_at_by_another_than_who_filed_it(reviewer: str, verdict: Verdict) -> None:
    book = Book("imaging-host")
    filer, order = str(uuid4()), uuid4()
    book.write("exchange:register:changed", refs={"order": order}, says={"state": "given"}, actor_id=filer)
    if reviewer != "nobody":
        who = filer if reviewer == "the same" else str(uuid4())
        book.write("exchange:order:reviewed", refs={"order": order}, actor_id=who)
    book.write("exchange:disclosure:recorded", **leaving("legal_orders", {"order": order}))
    assert book.found("5.12").verdict is verdict


def test_each_act_for_a_controller_is_instructed_at_that_moment() -> None:
    book = Book("equipment-maker")
    book.write("people:organisation:added", refs={"organisation": UUID(HOUSE)}, says={"region": "FR"})
    order = filed(book, "instruction", key="standing_order")
    contract = filed(book, "contract", key="with_us", kind="processor")
    act = viewing(purpose="diagnosis", clause="24.1")
    book.write("archive:study:opened", **act)
    assert [book.found(each).verdict for each in ("21.2", "21.4", "21.5")] == [KEPT, IDLE, KEPT]
    book.write("exchange:instruction:revoked", refs={"instruction": order})
    ended(book, "contract", contract)
    book.write("archive:study:opened", **act)
    assert [book.found(each).verdict for each in ("21.2", "21.4", "21.5")] == [BROKEN, IDLE, BROKEN]


def test_a_program_decides_about_nobody_without_a_person() -> None:
    book, proposal = Book("equipment-maker"), uuid4()
    program = {"actor_kind": "system", "role": "worker"}
    book.write("lifecycle:disposal:done", **program, action="dispose")
    assert book.found("44.8").verdict is KEPT
    book.write("people:proposal:decided", refs={"proposal": proposal}, says={"state": "confirmed"})
    book.write("people:account:closed", **program, action="decide_about", refs={"proposal": proposal})
    assert book.found("44.8").verdict is KEPT
    book.write("people:account:closed", **program, action="decide_about", refs={"proposal": uuid4()})
    assert book.found("44.8").verdict is BROKEN


def test_an_account_that_was_made_by_invitation_accepted_what_came_with_it() -> None:
    book, account = Book("imaging-host"), uuid4()
    book.write("people:member:joined", refs={"account": account, "invitation": uuid4()})
    assert book.found("1.2").verdict is BROKEN
    book.write("people:terms:accepted", refs={"account": account}, says={"accepts": "notice:1"})
    assert book.found("1.2").verdict is BROKEN  # the notice, and not the terms
    accepts = {"accepts": "notice:1+terms_of_use:2026-11"}
    book.write("people:terms:accepted", refs={"account": account}, says=accepts)
    assert book.found("1.2").verdict is KEPT
    book.write("people:member:joined", refs={"account": account, "invitation": uuid4()})
    assert (book.found("1.2").verdict, book.found("1.2").of) == (KEPT, 2)  # it comes in once more
    late = uuid4()
    book.write("people:subject:matched", refs={"account": late, "invitation": uuid4()})
    book.write("archive:study:opened", **viewing(actor_id=str(late)))
    book.write("people:terms:accepted", refs={"account": late}, says=accepts)
    assert (book.found("1.2").verdict, book.found("1.2").fits) == (BROKEN, 2)  # it acted before


def test_everybody_on_a_list_is_told_in_time() -> None:
    book, ref = Book("terminology-vendor"), uuid4()
    until = {"told_by": day(book.now + timedelta(days=30))}
    book.write("people:list:taken", refs={"list": ref}, says={"source": "partner"}, dates=until, counts={"contacts": 2})
    assert book.found("3.2", "source").verdict is KEPT
    assert book.found("3.2", "telling").verdict is IDLE
    for _ in range(2):
        book.write("people:contact:told", refs={"list": ref, "contact": uuid4(), "source": uuid4()})
    assert book.found("3.2", "telling").verdict is KEPT
    late = uuid4()
    book.write(
        "people:list:taken", refs={"list": late}, says={"source": "partner"}, dates=until, counts={"contacts": 1}
    )
    book.pass_(days=32)
    assert book.found("3.2", "telling").verdict is BROKEN


def test_a_small_group_is_not_released() -> None:
    book = Book("terminology-vendor")
    act = leaving("partner_totals", {}, kind="totals")
    book.write("exchange:disclosure:recorded", **act, counts={"smallest_group": 20})
    assert book.found("5.13").verdict is KEPT
    book.write("exchange:disclosure:recorded", **act, counts={"smallest_group": 19})
    assert book.found("5.13").verdict is BROKEN


def every() -> Iterator[tuple[str, Notice]]:
    for folder in sorted(NOTICES.iterdir()):
        for notice in notices(folder.name):
            yield folder.name, notice


@pytest.mark.parametrize(("deployment", "notice"), list(every()), ids=lambda each: getattr(each, "name", each))
def test_on_an_empty_ledger_nothing_is_kept(deployment: str, notice: Notice) -> None:
    found = Book(deployment).looks.found(START)
    assert {each.verdict for (name, _), some in found.items() if name == notice.name for each in some} <= {IDLE}
    assert {clause.id for clause in notice.clauses} == {number for name, number in found if name == notice.name}
