from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.notice.edits import clause_of, remove
from troth import notice as room

Change = Callable[[Callable[[dict[str, Any]], Any]], room.Notice]


def test_the_page_of_each_audience(shipped: room.Notice) -> None:
    patients, users, visitors = (room.render(shipped, audience) for audience in shipped.audiences)
    assert [section.number for section in patients.sections] == list(range(1, 13))
    assert len(patients.short) == 6
    assert patients.promises > visitors.promises
    assert users.cover.title != patients.cover.title
    shown = {sentence.clause_id for section in visitors.sections for sentence in section.sentences}
    assert "2.1" not in shown
    assert "10.2" in shown
    assert patients.notice is shipped


def test_an_unknown_audience_or_clause_is_a_key_error(shipped: room.Notice) -> None:
    with pytest.raises(KeyError):
        room.render(shipped, "friends")
    with pytest.raises(KeyError):
        room.sentence(shipped, "99.9")


def test_how_a_promise_is_kept(shipped: room.Notice) -> None:
    sentence = room.sentence(shipped, "4.1")
    kept = [(row.term, row.words) for row in sentence.kept]
    assert kept[0][0] == "Basis"
    assert "GDPR Art. 6(1)(f)" in kept[0][1]
    assert kept[1] == ("Health data", "health care, by people bound to keep it secret (GDPR Art. 9(2)(h))")
    assert kept[-1][0] == "Looked for"
    assert sentence.enforcer == "policy.decision"
    assert sentence.anchor == "p4-1"


def test_a_purpose_that_nothing_serves_yet_says_so(shipped: room.Notice) -> None:
    for clause_id in ("4.7", "4.8", "4.9", "4.10"):
        sentence = room.sentence(shipped, clause_id)
        assert any("every attempt is refused" in row.words for row in sentence.kept)


def test_what_is_promised_and_cannot_be_done_yet_is_said_first(shipped: room.Notice) -> None:
    row = room.sentence(shipped, "9.2").kept[0]
    assert row.term == "Not yet"
    assert "we promise this and cannot do all of it: patients cannot ask for this here; " in row.words
    assert room.sentence(shipped, "10.2").kept[0].words.endswith(": nothing here does this")
    assert room.sentence(shipped, "8.4").kept[0].words.endswith(": nothing removes it by itself when its time is over")
    assert room.sentence(shipped, "9.7").kept[0].term != "Not yet"


def test_every_promise_has_a_sentence_an_enforcer_and_a_proof_to_look_for(shipped: room.Notice) -> None:
    for clause in shipped.clauses:
        sentence = room.sentence(shipped, clause.id)
        assert sentence.says.endswith((".", "?")), clause.id
        assert sentence.enforcer
        assert all(row.term and row.words for row in sentence.kept), clause.id


def test_a_fee_and_a_missing_extension_are_said(changed: Change) -> None:
    def edit(content: dict[str, Any]) -> None:
        clause_of(content, "9.1").update(is_free=False)
        assert "extension" not in clause_of(content, "9.1")

    notice = changed(edit)
    words = " ".join(row.words for row in room.sentence(notice, "9.1").kept)
    assert "a fee that we name first" in words
    assert "hard case" not in words


def test_sentences_are_made_where_the_author_wrote_none(changed: Change) -> None:
    def edit(content: dict[str, Any]) -> None:
        for clause_id in ("8.3", "1.5", "12.3"):
            clause_of(content, clause_id).pop("says")

    notice = changed(edit)
    assert room.sentence(notice, "8.3").says == "We keep this for three years after the request closed on."
    assert room.sentence(notice, "1.5").says == "Our data protection officer is E. Fixture."
    assert room.sentence(notice, "12.3").says == "The authority is Information Commissioner's Office."


def test_differences(shipped: room.Notice, changed: Change) -> None:
    def edit(content: dict[str, Any]) -> None:
        remove(content, "6.2")
        clause_of(content, "8.1")["period"] = "P10Y"
        clause_of(content, "5.1")["says"] = "Only those who treat you."
        added = {
            "id": "8.90",
            "kind": "retention",
            "key": "letters",
            "period": "P1Y",
            "anchor": "sent_on",
            "says": "Letters.",
        }
        content["sections"][7]["clauses"].append(added)
        clause_of(content, "8.2").clear()
        content["sections"][7]["clauses"][1].update(id="8.2", kind="amendment", tells=["posted"], says="New kind.")

    difference = room.diff(shipped, changed(edit))
    assert [change.clause_id for change in difference.of("added")] == ["8.2", "8.90"]
    assert [change.clause_id for change in difference.of("removed")] == ["6.2", "8.2"]
    assert {change.clause_id: change.terms for change in difference.of("changed")} == {
        "5.1": ("says",),
        "8.1": ("period",),
    }
    assert len(difference) == 6
    said = [str(change) for change in difference]
    assert any(line.startswith("changed § 8.1 (period): Eight years") for line in said)
    assert any("is now 'Only those who treat you.'" in line for line in said)
    assert "added § 8.90: Letters." in said
    assert any(line.startswith("removed § 6.2: You may share") for line in said)
    assert len(room.diff(shipped, shipped)) == 0


def test_terms_of_law_have_words() -> None:
    from troth.notice import law

    assert law.article("eu-gdpr:A6-1-f") == "GDPR Art. 6(1)(f)"
    assert law.article("eu-gdpr:A15") == "GDPR Art. 15"
