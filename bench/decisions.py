"""What a decision costs, and a list that shows only what decisions allow. No peer decides, so none is here."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

import psycopg

from troth import notice
from troth.kit import migrate
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.main.node import migrations
from troth.policy import Actor, Column, Columns, FactSet, Target
from troth.policy.decision import Decider

POLICIES = 200
STUDIES = 10_000
_ASKED = 2_000
_COLUMNS: Columns = {
    "is_present": True,
    "tenant": Column("s.tenant", "uuid"),
    "subject": Column("s.subject_id", "uuid"),
    "is_restricted": Column("s.is_restricted", "bool"),
}
_INSERT = """insert into study (tenant, id, study_uid, subject_id, surviving_id, key, audit_key, is_restricted,
    study_date, instance_count, patient_key_token, sealed, stored_at, changed_at)
select %(tenant)s, gen_random_uuid(), '2.25.' || n, gen_random_uuid(), gen_random_uuid(), '', '', n %% 5 = 0,
    date '2026-01-01' - n %% 3000, 1, n, '', now(), now() from generate_series(1, %(count)s) as n"""


def decider(path: Path) -> Decider:
    """The shipped notice, filled up to 200 policies with further rules of the same form.

    Args:
        path: Folder of the notice.
    """
    compiled = notice.compile([notice.load(file) for file in notice.notice_files([path])])
    policies = list(compiled.policies)
    for number in range(POLICIES - len(policies)):
        conditions = f'context.purpose == "further_{number}" && context.claims.contains("objection:further_{number}")'
        text = f"forbid (principal, action, resource) when {{ {conditions} }};"
        policies.append(notice.Policy(f"99.{number % 1000}", text, "forbid"))
    return Decider(notice.Compiled(tuple(policies), compiled.schema, "measured"))


def decision(path: Path) -> dict[str, float]:
    """Milliseconds of one decision in the middle, permits and denials apart."""
    made = decider(path)
    tenant, subject = uuid4(), uuid4()
    who = Actor("user", uuid4(), tenant, "clinician")
    here = Target("study", uuid4(), tenant, subject)
    facts = FactSet(is_member=True, session_alive=True, region="GB")
    figures = {}
    for row, target in (("decision", here), ("decision-denied", Target("study", here.id, tenant, subject, True))):
        took = []
        for _ in range(_ASKED):
            begun = time.perf_counter()
            verdict = made.decide(who, "retrieve", target, "diagnosis", facts)
            took.append(time.perf_counter() - begun)
            assert verdict.is_allowed is (row == "decision")
        figures[row] = 1000 * median(took)
    return figures


def listed(path: Path, folder: Path) -> dict[str, float]:
    """Milliseconds to make the filter and read the id of every visible study of 10,000, behind row-level security."""
    made = decider(path)
    place = Path(tempfile.mkdtemp(prefix="troth-measured-list-", dir=folder))
    place.chmod(0o711)
    server = EmbeddedServer(place)
    server.start()
    try:
        migrate.upgrade(server.dsn("troth_owner"), migrations())
        tenant = uuid4()
        with psycopg.connect(server.dsn("troth_app"), autocommit=True) as connection:
            connection.execute("select set_config('app.tenant', %s, false)", (str(tenant),))
            with psycopg.connect(server.dsn(SUPERUSER), autocommit=True) as superuser:
                superuser.execute("set session_replication_role = replica")  # these studies are of nobody
                superuser.execute(_INSERT, {"tenant": tenant, "count": STUDIES})
            took = [_one_list(made, connection, tenant) for _ in range(9)]
    finally:
        server.stop()
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(server.socket_folder, ignore_errors=True)
    return {"list-filtered": 1000 * median(took)}


def _one_list(made: Decider, connection: psycopg.Connection[tuple[UUID]], tenant: UUID) -> float:
    who = Actor("user", uuid4(), tenant, "clinician")
    facts = FactSet(is_member=True, session_alive=True, region="GB")
    begun = time.perf_counter()
    where, parameters = made.filter(who, "query", "diagnosis", "study", facts).where(_COLUMNS)
    statement = "select s.id from study s where "
    shown = connection.execute(statement + where, parameters, binary=True).fetchall()
    took = time.perf_counter() - begun
    held = connection.execute("select id from study where not is_restricted", binary=True).fetchall()
    if set(shown) != set(held) or len(held) != STUDIES - STUDIES // 5:
        raise AssertionError("the list shows other studies than decisions allow")
    return took


def figures(wanted: set[str], path: Path, folder: Path) -> dict[str, float]:
    """One round of the rows of this file that are wanted.

    Args:
        wanted: Ids of rows.
        path: Folder of the notice.
        folder: Disk for the database.
    """
    found: dict[str, float] = {}
    if wanted & {"decision", "decision-denied"}:
        found |= decision(path)
    if "list-filtered" in wanted:
        found |= listed(path, folder)
    return found
