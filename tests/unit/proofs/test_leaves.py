"""Leaves that a look can make no sense of end no run; what looks keep in memory; rows from before entries named any."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.common.book import BROKEN, KEPT, Book, viewing
from troth.proofs import Verdict
from troth.proofs.looks import Leaf
from troth.proofs.looks.access import OfViewings
from troth.proofs.looks.emergencies import OfEmergencies
from troth.proofs.looks.own import Own

RAN, BREAK, ANSWERED = "proofs:run:ended", "proofs:clause:broken", "proofs:breach:answered"


def let_in(book: Book, **said: Any) -> int:
    return book.write("people:member:joined", **{"people": [str(uuid4())], **said})


def test_a_leaf_that_a_look_can_make_no_sense_of_blinds_that_look_and_no_other() -> None:
    book = Book()
    number = let_in(book)  # names no account
    let_in(book, refs={"account": "nobody"})
    found = book.found("12.1", "amendment")
    assert (found.verdict, f"entry {number + 1} " in found.said) == (Verdict.BLIND, True)
    book.write("archive:study:opened", **viewing())
    assert book.found("4.1").verdict is KEPT


def test_what_broke_a_promise_before_such_a_leaf_stays_and_is_told_with_it() -> None:
    book = Book()
    for _ in range(2):
        book.write(
            "notice:version:published", refs={"version": uuid4()}, actor_id=str(uuid4()), people=[],
            says={"notice": book.notices[0].name, "sha256": "00"},
        )  # fmt: skip
    assert book.found("12.1", "amendment").verdict is BROKEN
    number = let_in(book)
    found = book.found("12.1", "amendment")
    assert (found.verdict, f"entry {number + 1} " in found.said) == (BROKEN, True)


def test_what_several_looks_share_blinds_each_that_rests_on_it() -> None:
    book = Book()
    number = book.write("archive:study:opened", **{**viewing(), "clauses": 5})
    filed = book.write("exchange:register:changed", refs={"recipient": uuid4()}, dates={"valid_from": "soon"})
    held = book.looks.found(book.now)
    said = {each.look: each.said for findings in held.values() for each in findings if each.verdict is Verdict.BLIND}
    assert all(f"entry {number + 1} " in said[look] for look in ("purpose", "never"))
    assert f"entry {filed + 1} " in said["instruction"]
    assert "surface" not in said


@pytest.mark.parametrize("octets", [b"[]", b"{}", b'{"index": "1", "kind": "x"}', b"\xff", b'{"index": 1}'])
def test_what_does_not_say_what_it_is_is_left_to_the_ledger(octets: bytes) -> None:
    book = Book()
    book.looks.see(octets)
    book.write("archive:study:opened", **viewing())
    assert book.found("4.1").verdict is KEPT


@pytest.mark.parametrize("said", [{"refs": {"breach": uuid4()}, "counts": None}])
def test_what_we_said_of_ourselves_and_nobody_can_read_is_not_called_whole(said: dict[str, Any]) -> None:
    book = Book()
    assert book.looks.compared({}, {}, ()).holds is True
    number = book.write(ANSWERED, **said)
    found = book.looks.compared({}, {}, ())
    assert (found.holds, f"entry {number + 1} " in found.found) == (None, True)


def leaves(book: Book, monkeypatch: pytest.MonkeyPatch) -> list[Leaf]:
    """Everything that is written from now on."""
    written: list[Leaf] = []
    monkeypatch.setattr(book.looks, "see", lambda octets: written.append(Leaf.read(octets)))
    return written


def test_a_claim_that_ran_out_and_a_viewing_that_ended_are_kept_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Book()
    clause = next(each for each in book.notices[0].clauses if each.key == "emergency")
    emergencies, viewings, written = OfEmergencies(clause), OfViewings(), leaves(book, monkeypatch)
    for _ in range(9):
        until = {"until": f"{book.now:%Y-%m-%dT%H:%M:%S}Z"}
        book.write("people:emergency:claimed", refs={"assignment": uuid4()}, dates=until)
        act = viewing()
        book.write("archive:study:opened", **act)
        book.write("archive:viewing:closed", **act)
        book.pass_(days=2)
    for leaf in written:
        emergencies.see(leaf)
        if leaf.kind in OfViewings.kinds:
            viewings.see(leaf)
    assert len(emergencies._claims) == 1
    assert len(viewings._opened) == 0
    assert viewings.found(book.now).fits == 9


def own(*leaves: dict[str, Any]) -> Own:
    found = Own()
    for number, said in enumerate(leaves):
        found.see(Leaf.read(json.dumps({"index": number, "refs": [], "counts": {}, **said}).encode()))
    return found


def test_rows_from_before_entries_named_any_are_not_called_changed() -> None:
    before = [{"kind": RAN}, {"kind": RAN}, {"kind": BREAK}]
    named = {"kind": BREAK, "refs": [["breach", "new"]]}
    runs, breaks = {"b": "22", "a": "11"}, {"new": "open", "old": "mended"}
    assert own(*before, named).compared(runs, breaks, ()).holds is True
    for more in ({"c": "33"}, {"new": "mended"}, {"older": "mended"}, {"old": "answered:9"}):
        is_run = "c" in more
        found = own(*before, named).compared(
            {**more, **runs} if is_run else runs, breaks if is_run else {**breaks, **more}, ()
        )
        assert found.holds is False, more
    assert own(named).compared({}, breaks, ()).holds is False, "there is no entry of before"
    assert own(*before, named).compared({"c": "33", **runs}, breaks, ("c",)).holds is True, "its entry has no place yet"
