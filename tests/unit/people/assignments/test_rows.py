"""A worklist shows exactly what decisions allow: the real table, the real notice, SQL and Cedar row by row.

`TROTH_WORLDS=1000` takes as many; `make test` takes 60.
"""

from __future__ import annotations

import os
import random
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid5

from tests.common.servers import ServedDatabase
from troth import notice
from troth.kit import clock
from troth.kit.db import Space
from troth.people import AssignmentFacts, AssignmentRows
from troth.policy import Actor, Column, Columns, FactSet, Target
from troth.policy.decision import Decider
from troth.vault import Keyring

WORLDS = int(os.environ.get("TROTH_WORLDS", "60"))
_SPACE = UUID("3f1c1f6e-6f0b-4a53-9f6e-0f1f5a7f2a11")
HOST = Path(__file__).parents[4] / "notices" / "imaging-host" / "notice.yaml"
TENANTS = [uuid5(_SPACE, f"tenant {number}") for number in range(2)]
STAFF = [uuid5(_SPACE, f"staff {number}") for number in range(3)]
SUBJECTS = [uuid5(_SPACE, f"subject {number}") for number in range(4)]
STUDIES = {uuid5(_SPACE, f"{subject} {number}"): subject for subject in SUBJECTS for number in range(2)}
COLUMNS: Columns = {
    "is_present": True,
    "id": Column("r.id", "uuid"),
    "tenant": Column("r.tenant", "uuid"),
    "subject": Column("r.subject_id", "uuid"),
    "is_restricted": False,
}


async def world(database: ServedDatabase, chance: random.Random) -> None:
    """Assignments as they may stand: of all ways, over, ended and in force, in both organisations."""
    now = clock.now()
    for tenant in TENANTS:
        async with database.transaction(Space(tenant)) as connection:
            await connection.execute("delete from assignment")
            for number in range(chance.randrange(8)):
                way = chance.choice(["care", "care", "duty", "emergency"])
                study = chance.choice([None, *STUDIES]) if way == "care" else None
                subject = None if way == "duty" else STUDIES[study] if study else chance.choice(SUBJECTS)
                until = now + timedelta(minutes=chance.choice([-5, 30]))
                await connection.execute(
                    "insert into assignment (tenant, id, account_id, way, subject_id, study_id, made_at, until, "
                    "ended_at, key_ref, sealed) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, ''::bytea, ''::bytea) "
                    "on conflict do nothing",
                    (
                        tenant, uuid5(_SPACE, f"{tenant} {number}"), chance.choice(STAFF), way, subject, study,
                        now - timedelta(hours=1), until, chance.choice([None, None, now - timedelta(minutes=1)]),
                    ),
                )  # fmt: skip


async def test_a_list_is_what_decisions_allow(database: ServedDatabase, keyring: Keyring) -> None:
    decider = Decider(notice.compile([notice.load(HOST)]))
    facts, shown_at_all = AssignmentFacts(database, keyring), 0
    values = ", ".join(f"('{study}'::uuid, '{subject}'::uuid)" for study, subject in STUDIES.items())
    for number in range(WORLDS):
        chance = random.Random(number)
        await world(database, chance)
        who = Actor("user", chance.choice(STAFF), chance.choice(TENANTS), chance.choice(["clinician", "referrer"]))
        purpose = chance.choice(["diagnosis", "care", "emergency"])
        action = chance.choice(["query", "retrieve", "see_log"])
        moment = FactSet(is_member=True, session_alive=True)
        found = decider.filter(who, action, purpose, "study", moment, (AssignmentRows(),))
        where, parameters = found.where(COLUMNS)
        for tenant in TENANTS:
            scope = Space(tenant)
            rows = (
                f"select r.id from (select '{tenant}'::uuid as tenant, v.* from (values {values}) v(id, subject_id)) r"
            )
            async with database.transaction(scope) as connection:
                cursor = await connection.execute(f"{rows} where {where}".encode(), parameters)
                shown = {row["id"] for row in await cursor.fetchall()}
            right = set()
            for study, subject in STUDIES.items():
                target = Target("study", study, tenant, subject)
                claims = (await facts.about(who, target)).claims
                known = FactSet(is_member=True, session_alive=True, claims=claims)
                if decider.decide(who, action, target, purpose, known, explain=False).is_allowed:
                    right.add(study)
            assert shown == right, (number, who.role, action, purpose)
            shown_at_all += len(right)
    assert shown_at_all > 0


async def test_nobody_else_is_ever_assigned(database: ServedDatabase, keyring: Keyring) -> None:
    facts = AssignmentFacts(database, keyring)
    target = Target("study", next(iter(STUDIES)), TENANTS[0], SUBJECTS[0])
    for kind in ("patient", "peer", "system", "anonymous"):
        assert not (await facts.about(Actor(kind, STAFF[0], TENANTS[0], "clinician"), target)).claims  # type: ignore[arg-type]
        column = AssignmentRows().column("claim:assignment", COLUMNS, Actor(kind, STAFF[0]))  # type: ignore[arg-type]
        assert column == Column("false", "bool")
    assert AssignmentRows().column("claim:objection:care", COLUMNS, Actor("user", STAFF[0])) is None
    elsewhere = Actor("user", STAFF[0], TENANTS[1], "clinician")
    assert not (await facts.about(elsewhere, target)).claims
    unasked = AssignmentFacts(database, keyring, lambda: frozenset({"support_grant"}))
    assert await unasked.about(Actor("user", STAFF[0], TENANTS[0], "clinician"), target) == FactSet()
