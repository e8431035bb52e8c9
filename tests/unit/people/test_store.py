"""What row-level security keeps apart, and how the hot statement is answered."""

from __future__ import annotations

import psycopg
import pytest

from tests.common.arrivals import come_in
from tests.common.servers import ServedDatabase
from tests.unit.people.conftest import ADA, ADDRESS, permit_for
from troth.kit import clock
from troth.people import Organisation, PatientKey, People, Subject
from troth.people.model import TOUCH_EVERY, digest_of
from troth.people.store import RESOLVE

TABLES = ("membership", "subject", "subject_account", "session", "invitation")


@pytest.fixture(scope="module")
async def full(people: People, hospital: Organisation, practice: Organisation) -> str:
    """One row or more in each tenant table of the hospital; gives a session's token."""
    permit = permit_for(hospital.id)
    user = await people.add_user(permit, hospital.id, "rls@example.org", "Grace", "clinician")
    subject = await people.ensure_subject(hospital.id, PatientKey("rls"), ADA)
    made = await people.invite_subject(permit, subject.id, "rls-patient@example.org")
    assert ADA.birth_date
    await people.register_subject(made.secret, "Ada Lovelace", ADA.birth_date, made.code, "", ADDRESS)
    link = await people.issue_sign_in_link(permit, user.id)
    return (await come_in(people, link.rpartition("/")[2], ADDRESS)).token


@pytest.mark.parametrize("table", TABLES)
async def test_one_tenant_sees_nothing_of_another(
    database: ServedDatabase, hospital: Organisation, practice: Organisation, full: str, table: str
) -> None:
    counts = []
    for scope in (hospital, practice, None):
        async with database.transaction(scope) as connection:
            row = await (await connection.execute(f"select count(*) as rows from {table}".encode())).fetchone()
            assert row is not None
            counts.append(row["rows"])
    assert counts[0] > 0
    assert counts[1:] == [0, 0]


@pytest.mark.parametrize("table", TABLES)
async def test_one_tenant_changes_nothing_of_another(
    database: ServedDatabase, hospital: Organisation, practice: Organisation, full: str, table: str
) -> None:
    if table == "membership":  # it ends, and is never taken away
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.transaction(hospital) as connection:
                await connection.execute("delete from membership")
    async with database.transaction(practice) as connection:
        if table != "membership":
            assert (await connection.execute(f"delete from {table}".encode())).rowcount == 0
        moved = f"update {table} set tenant = '{practice.id}'".encode()
        assert (await connection.execute(moved)).rowcount == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(hospital) as connection:
            await connection.execute(f"update {table} set tenant = '{practice.id}'".encode())


async def test_a_row_cannot_point_at_a_subject_of_another_tenant(
    database: ServedDatabase, practice: Organisation, ada: Subject
) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        async with database.transaction(practice) as connection:
            await connection.execute(
                "insert into subject_account (tenant, subject_id, account_id, matched_at) values (%s, %s, %s, now())",
                (practice.id, ada.id, ada.id),
            )


async def test_resolving_a_session_among_many_uses_its_index(
    database: ServedDatabase, hospital: Organisation, full: str
) -> None:
    values = {"digest": digest_of(full), "form": "browser", "now": clock.now(), "every": TOUCH_EVERY}
    many = (
        "insert into session (tenant, id, digest, form, kind, proof, made_at, seen_at, expires_at) "
        "select %s, gen_random_uuid(), sha256(n::text::bytea), 'bearer', 'user', 'issued', now(), now(), now() "
        "from generate_series(1, 2000) n"
    )
    async with database.transaction(hospital) as connection:
        await connection.execute(many, (hospital.id,))
    owner = await psycopg.AsyncConnection.connect(database.dsn("troth_owner"), autocommit=True)
    async with owner:
        await owner.execute("analyze session")
    async with database.transaction(hospital) as connection:
        cursor = await connection.execute(f"explain {RESOLVE}".encode(), values)
        plan = "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())
    assert plan.count("Index Scan using session_tenant_digest_key") == 2
    assert "Seq Scan on session" not in plan
