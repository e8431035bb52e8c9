"""Pure rules."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest

from troth.people import Demographics, Links, PatientKey, Session, Subject, User
from troth.people.model import demographics_from_bytes, demographics_to_bytes, new_secret, tenant_of
from troth.policy import Actor
from troth.vault import KeyRef


@pytest.mark.asvs("V7.2.3")
def test_a_secret_names_its_tenant() -> None:
    tenant = uuid4()
    secret = new_secret(tenant)
    assert tenant_of(secret) == tenant
    assert new_secret(tenant) != secret


def test_what_is_no_secret_names_nobody() -> None:
    secret = new_secret(uuid4())
    for broken in ("", secret[:-1], secret + "a", "g" * 75, "é" * 75, "-" * 32 + secret[32:]):
        assert tenant_of(broken) is None


def test_demographics_survive_their_plain_form() -> None:
    for held in (Demographics("山田^太郎", date(1990, 2, 28), "M"), Demographics()):
        patient = PatientKey('a"\\b', "x")
        assert demographics_from_bytes(demographics_to_bytes(patient, held)) == (patient, held)


def test_padding_does_not_count_in_an_identifier() -> None:
    assert PatientKey(" 123 \0", " x ").trimmed() == PatientKey("123", "x")


def test_nothing_personal_shows_in_a_repr() -> None:
    key = KeyRef(b"k" * 16)
    patient, held = PatientKey("ID-SECRET", "ISS-SECRET"), Demographics("NAME-SECRET", date(1999, 9, 9), "O")
    shown = [
        Subject(uuid4(), uuid4(), key, key, patient, held),
        User(uuid4(), uuid4(), "admin", True, "NAME-SECRET", "MAIL-SECRET"),
        Session("TOKEN-SECRET", Actor("user", name="NAME-SECRET"), None),  # type: ignore[arg-type]
    ]
    for one in shown:
        assert "SECRET" not in repr(one)
        assert "1999" not in repr(one)


def test_a_subject_without_birth_date_is_described_by_nobody() -> None:
    key = KeyRef(b"k" * 16)
    subject = Subject(uuid4(), uuid4(), key, key, PatientKey("1"), Demographics("Lovelace^Ada"))
    assert not subject.is_described_by("Ada Lovelace", None)
    assert not subject.is_described_by("Ada Lovelace", date(1815, 12, 10))


def test_links() -> None:
    links = Links("https://imaging.example")
    assert links.to_sign_in("s") == "https://imaging.example/sign-in/s"
    assert links.to_invitation("s") == "https://imaging.example/invitation/s"
