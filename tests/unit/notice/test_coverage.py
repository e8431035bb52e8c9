# ruff: noqa: E501 - a table of what is said
"""What the platform collects against what the notices say."""

from __future__ import annotations

import pytest

from tests.unit.notice.kinds import content, find, made
from troth import notice as room
from troth.notice import Collecting, coverage

SMALL = content()
find(SMALL, "category")["covers"] = ["contacts", "account"]
NOTICE = made(SMALL)
ENQUIRY = {"token": "", "email": "contacts", "topic": "telemetry"}


@pytest.mark.parametrize(
    "each",
    [
        Collecting("form", "enquiry", "site", ENQUIRY),
        Collecting("form", "sign_in", "portal", {"email": "account"}),
        Collecting("cookie", "one"),
        Collecting("listener", "pages", "portal"),
        Collecting("column", "account", parts={"email_sealed": "account", "id": ""}),
        Collecting("listener", "DICOM", "dimse", {"instances": "images"}, by=("store",)),
    ],
)
def test_what_a_clause_covers_passes(each: Collecting) -> None:
    assert coverage([NOTICE], [each]) == []


@pytest.mark.parametrize(
    ("each", "what"),
    [
        (Collecting("form", "enquiry", "mobile", ENQUIRY), "the form 'enquiry' stands on the surface 'mobile', which no notice"),
        (Collecting("form", "enquiry", "site", {**ENQUIRY, "age": "contacts"}), "§ 1.25: the field 'age' of 'enquiry' is not in"),
        (Collecting("form", "enquiry", "site", {"email": "contacts"}), "§ 1.25: the form 'enquiry' has no field 'topic'"),
        (Collecting("form", "sign_in", "portal", {"scan": "images"}), "the field 'scan' of 'sign_in' holds 'images'"),
        (Collecting("cookie", "two"), "the cookie 'two' is in no clause"),
        (Collecting("listener", "DICOM", "dimse", by=("disclose",)), "the listener 'DICOM' stands on the surface 'dimse'"),
        (Collecting("column", "study", parts={"sealed": "images"}), "the column 'sealed' of 'study' holds 'images'"),
        (Collecting("column", "mood", parts={"sealed": "moods"}), "'moods' (which the language does not know)"),
        (Collecting("job", "campaign", parts={"campaign": "posts"}), "the job 'campaign' holds 'posts'"),
    ],
)  # fmt: skip
def test_what_no_clause_covers_is_named(each: Collecting, what: str) -> None:
    problems = coverage([NOTICE], [each])
    assert any(what in problem.what and problem.hint and problem.path == "small.yaml" for problem in problems), problems


def test_a_category_covers_what_is_called_as_its_key() -> None:
    (contacts, interests) = NOTICE.all("category")
    assert isinstance(contacts, room.Category)
    assert contacts.holdings == ("contacts", "account")
    assert made(content()).category("contacts").holdings == ("contacts",)
    assert isinstance(interests, room.Category)
    plain = content()
    find(plain, "category", 1)["covers"] = []
    assert made(plain).category("interests").holdings == ()
