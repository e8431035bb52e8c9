"""Subjects: one per identifier and organisation, whatever happens at once."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import uuid4

import pytest

from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADA, permit_for
from troth.kit.db import Database
from troth.people import Demographics, Organisation, OrganisationNotFound, PatientKey, People, Subject, SubjectNotFound
from troth.vault import KeyDestroyed, KeyRef, Keyring


async def test_the_same_identifier_is_the_same_subject(people: People, ada: Subject) -> None:
    again = await people.ensure_subject(
        ada.tenant, PatientKey(f" {ada.patient.patient_id} ", "NH"), Demographics("X^Y")
    )
    assert again == ada
    assert again.demographics == ADA


async def test_another_issuer_is_another_subject(people: People, ada: Subject) -> None:
    other = await people.ensure_subject(ada.tenant, PatientKey(ada.patient.patient_id, "OTHER"), ADA)
    assert other.id != ada.id


async def test_the_same_identifier_in_two_organisations_is_two_subjects(
    people: People, ada: Subject, practice: Organisation, keyring: Keyring
) -> None:
    other = await people.ensure_subject(practice.id, ada.patient, ADA)
    assert other.id != ada.id
    assert other.tenant == practice.id
    assert len({ada.key, ada.audit_key, other.key, other.audit_key}) == 4
    keyring.destroy([ada.key])
    assert await people.subject(practice, other.id) == other
    with pytest.raises(KeyDestroyed):
        await people.subject(permit_for(ada.tenant), ada.id)


async def test_a_subject_of_another_organisation_is_not_there(
    people: People, ada: Subject, practice: Organisation
) -> None:
    assert await people.subject(permit_for(ada.tenant), ada.id) == ada
    for absent in (ada.id, uuid4()):
        with pytest.raises(SubjectNotFound) as caught:
            await people.subject(permit_for(practice.id), absent)
        assert str(caught.value) == SubjectNotFound.title
    assert await people.find_subject(permit_for(practice.id), ada.patient) is None
    assert await people.find_subject(permit_for(ada.tenant), ada.patient) == ada


async def test_without_a_tenant_nobody_is_there(people: People, ada: Subject) -> None:
    with pytest.raises(SubjectNotFound):
        await people.subject(permit_for(None), ada.id)
    assert await people.find_subject(permit_for(None), ada.patient) is None


async def test_those_without_an_identifier_are_not_one(people: People, hospital: Organisation) -> None:
    nobody = PatientKey("", "")
    first = await people.ensure_subject(hospital.id, nobody, Demographics("A^B", date(2000, 1, 1)))
    second = await people.ensure_subject(hospital.id, nobody, Demographics("C^D", date(2000, 1, 1)))
    assert first.id != second.id
    assert await people.ensure_subject(hospital.id, nobody, first.demographics) == first
    assert await people.find_subject(hospital, nobody) is None


async def test_many_at_once_make_one_subject_and_leave_no_key(
    people: People, hospital: Organisation, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[KeyRef] = []
    create = keyring.create_many

    def recording(parents: list[KeyRef | None]) -> list[KeyRef]:
        keys = create(parents)
        made.extend(keys)
        return keys

    monkeypatch.setattr(keyring, "create_many", recording)
    wanted = PatientKey(uuid4().hex)
    found = await asyncio.gather(*(people.ensure_subject(hospital.id, wanted, ADA) for _ in range(12)))
    assert len({subject.id for subject in found}) == 1
    assert {key for key in made if keyring.is_alive(key)} == {found[0].key, found[0].audit_key}
    assert len(made) > 2  # there was a race to lose


async def test_inside_a_transaction_of_the_caller(
    people: People, hospital: Organisation, database: ServedDatabase, ada: Subject
) -> None:
    wanted = PatientKey(uuid4().hex)
    async with database.transaction(hospital) as connection:
        assert await people.subject_for(connection, hospital.id, ada.patient, ADA) == ada
        made = await people.subject_for(connection, hospital.id, wanted, ADA)
    assert await people.subject(hospital, made.id) == made


async def test_a_full_pool_does_not_stand_still(
    people: People, hospital: Organisation, database: ServedDatabase
) -> None:
    """Every connection is in use by a caller who asks for a subject over its own."""
    small = Database(database.dsn("troth_app"), max_size=2)
    small.at_end = people._ledger.bind_rest
    fresh = People(small, people._keyring, people._ledger, people._mail, links=people._links)

    async def ingest(number: int) -> Subject:
        async with small.transaction(hospital) as connection:
            return await fresh.subject_for(connection, hospital.id, PatientKey(f"pool-{number}"), ADA)

    try:
        found = await asyncio.wait_for(asyncio.gather(*(ingest(number) for number in range(6))), 10)
    finally:
        await small.close()
    assert len({subject.id for subject in found}) == 6


async def test_what_is_rolled_back_leaves_no_subject(
    people: People, hospital: Organisation, database: ServedDatabase
) -> None:
    wanted = PatientKey(uuid4().hex)
    with pytest.raises(RuntimeError):
        async with database.transaction(hospital) as connection:
            await people.subject_for(connection, hospital.id, wanted, ADA)
            raise RuntimeError
    assert await people.find_subject(hospital, wanted) is None


async def test_no_organisation_no_subject(people: People) -> None:
    with pytest.raises(OrganisationNotFound):
        await people.ensure_subject(uuid4(), PatientKey("1"), ADA)


async def test_nothing_personal_is_in_the_clear(people: People, database: ServedDatabase, ada: Subject) -> None:
    async with database.transaction(ada) as connection:
        cursor = await connection.execute("select subject::text as held from subject where id = %s", (ada.id,))
        row = await cursor.fetchone()
    assert row is not None
    for secret in (ada.patient.patient_id, "LOVELACE", "1815"):
        assert secret not in row["held"]
        assert secret.encode().hex() not in row["held"]
