"""The shipped notice of the imaging cloud: whole, in our own words, and readable."""

from __future__ import annotations

import re

import pytest
from ruamel.yaml import YAML

from tests.unit.notice.conftest import FOLDER
from troth import notice as room

# IC-01 to IC-21: the ledger of promises for this deployment.
PROMISES = {f"IC-{number:02}" for number in range(1, 22)}
JARGON = re.compile(
    r"\b(pursuant|herein|thereof|data subject|processor|controller|lawful|legitimate interests?|GDPR|personal data"
    r"|third part(y|ies)|utili[sz]e|facilitate|in accordance with|shall)\b",
    re.IGNORECASE,
)


def test_every_promise_is_stated(shipped: room.Notice) -> None:
    assert shipped.promises == PROMISES


@pytest.mark.parametrize("audience", room.AUDIENCES)
def test_a_patient_can_read_it_aloud(shipped: room.Notice, audience: str) -> None:
    page = room.render(shipped, audience)
    said = [sentence.says for section in page.sections for sentence in section.sentences]
    said += [page.cover.title, page.cover.lead, *(row.answer for row in page.short)]
    for text in said:
        assert not JARGON.search(text), text
        for sentence in re.split(r"(?<=[.?])\s", text):
            assert len(sentence.split()) <= 32, sentence


def test_two_organisations_and_the_operator_are_seeded() -> None:
    seeds = YAML(typ="safe").load((FOLDER / "organisations.yaml").read_text())["organisations"]
    assert [seed["name"] for seed in seeds] == ["Example Hospital", "Sample Clinic", "Example Imaging Cloud"]
    assert {(seed["capacity"], seed["region"]) for seed in seeds[:2]} == {("controller", "GB")}
    assert seeds[2]["operates"] is True


def test_the_folder_says_what_differs() -> None:
    assert "imaging-cloud" in (FOLDER / "README.md").read_text()


def test_activities_state_all_that_a_register_needs(shipped: room.Notice) -> None:
    for clause in shipped.all("purpose"):
        activity = shipped.purpose(clause.key)
        assert activity.basis.startswith("eu-gdpr:A6-1-")
        assert activity.categories
        assert activity.retention
        assert activity.regions == ("GB",)
