"""The four shipped deployments: whole, in plain words, and each of its own."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from troth import notice as room

NOTICES = Path(__file__).parents[3] / "notices"
LEDGER = {  # deployment: the prefix of its promises in the ledger of promises, and how many there are
    "imaging-host": ("IH", 17),
    "equipment-maker": ("EM", 35),
    "terminology-vendor": ("TV", 24),
    "imaging-cloud": ("IC", 21),
}
LONGEST_SENTENCE = 40
JARGON = re.compile(
    r"\b(pursuant|herein|hereby|hereto|thereof|therein|aforementioned|notwithstanding|data subjects?|processors?|"
    r"controllers?|lawful|legitimate interests?|GDPR|personal data|third part(y|ies)|utili[sz]e|facilitate|leverage|"
    r"in accordance with|shall|inter alia|including but not limited to|as applicable|de-?identif\w+|pseudonym\w+|"
    r"personally identifiable|sub-?processors?|stakeholders?|best-of-breed|seamless(ly)?|robust)\b",
    re.IGNORECASE,
)
RUN = 9


def load(deployment: str) -> list[room.Notice]:
    return room.load_all([NOTICES / deployment])


def said_by(notice: room.Notice) -> list[str]:
    """Everything that a reader of a notice is told."""
    told = [clause.sentence(notice) for clause in notice.clauses]
    told += [section.title for section in notice.sections]
    for cover in notice.head.covers:
        told += [cover.title, cover.lead]
    return told + [row.answer for row in notice.head.short]


def sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.?!])\s+", text) if part]


def runs(notices: list[room.Notice]) -> set[tuple[str, ...]]:
    """Every run of nine words that clauses say."""
    found = set()
    for notice in notices:
        for clause in notice.clauses:
            words = re.findall(r"[\w'-]+", clause.sentence(notice).lower())
            found |= {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}
    return found


def test_there_are_four() -> None:
    assert {folder.name for folder in NOTICES.iterdir() if folder.is_dir()} == set(LEDGER)


@pytest.mark.parametrize("deployment", LEDGER)
def test_the_check_finds_nothing(deployment: str) -> None:
    assert room.check_all(load(deployment)) == []


@pytest.mark.parametrize("deployment", LEDGER)
def test_every_promise_is_stated(deployment: str) -> None:
    prefix, count = LEDGER[deployment]
    stated = {promise for notice in load(deployment) for promise in notice.promises}
    assert stated == {f"{prefix}-{number:02}" for number in range(1, count + 1)}


@pytest.mark.parametrize("deployment", LEDGER)
def test_every_clause_states_a_promise(deployment: str) -> None:
    assert [clause.id for notice in load(deployment) for clause in notice.clauses if not clause.promises] == []


@pytest.mark.parametrize("deployment", LEDGER)
def test_sentences_are_plain(deployment: str) -> None:
    for notice in load(deployment):
        for text in said_by(notice):
            assert not JARGON.search(text), text
            for sentence in sentences(text):
                assert len(sentence.split()) <= LONGEST_SENTENCE, sentence


@pytest.mark.parametrize(("one", "other"), combinations(LEDGER, 2))
def test_each_is_in_words_of_its_own(one: str, other: str) -> None:
    shared = runs(load(one)) & runs(load(other))
    assert sorted(" ".join(run) for run in shared) == []


@pytest.mark.parametrize("deployment", LEDGER)
def test_every_audience_has_a_page(deployment: str) -> None:
    notices = load(deployment)
    covered = {audience for notice in notices for audience in notice.audiences}
    assert {"users", "visitors"} <= covered
    for audience in covered:
        for region in ("", "FR", "US", "GB"):
            pages = room.render_all(notices, audience, region)
            assert pages[-1].promises > 10
            for page in pages:
                named = {sentence.clause_id for section in page.sections for sentence in section.sentences}
                assert {row.clause for row in page.short} <= named
                assert all(sentence.says for section in page.sections for sentence in section.sentences)


@pytest.mark.parametrize("deployment", LEDGER)
def test_it_compiles(deployment: str) -> None:
    compiled = room.compile_notices(load(deployment))
    assert compiled.policies
    assert {"administration", "site"} <= compiled.purposes


@pytest.mark.parametrize("deployment", LEDGER)
def test_a_number_names_one_clause_of_the_deployment(deployment: str) -> None:
    ids = [clause.id for notice in load(deployment) for clause in notice.clauses]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("deployment", LEDGER)
def test_contacts_are_invented(deployment: str) -> None:
    for notice in load(deployment):
        for clause in notice.all("contact"):
            assert isinstance(clause, room.Contact)
            assert clause.email == "" or clause.email.endswith((".invalid", ".example")), clause.email


@pytest.mark.parametrize("deployment", LEDGER)
def test_organisations_and_a_page_on_what_differs(deployment: str) -> None:
    seeds = YAML(typ="safe").load((NOTICES / deployment / "organisations.yaml").read_text())["organisations"]
    assert len(seeds) == len({seed["name"] for seed in seeds}) >= 2
    assert len([seed for seed in seeds if seed.get("operates") is True]) == 1
    assert all(re.fullmatch("[A-Z]{2}", seed["region"]) for seed in seeds)
    assert (NOTICES / deployment / "README.md").read_text().startswith(f"# {deployment}\n")


def test_only_those_with_patients_have_a_use_for_scans() -> None:
    takes_in = {name: "care" in room.compile_notices(load(name)).purposes for name in LEDGER}
    assert takes_in == {
        "imaging-host": True,
        "equipment-maker": True,
        "terminology-vendor": False,
        "imaging-cloud": True,
    }
