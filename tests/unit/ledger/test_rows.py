"""Rows that are bound to the ledger: what superusers change of them is found and named, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from tests.common.servers import ServedDatabase
from troth.kit import clock
from troth.kit.db import Space
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.ledger import Ledger, RowsAltered, baseline, binding_store
from troth.ledger.registers import BINDING, REGISTERS
from troth.policy import Target
from troth.rights import Right
from troth.vault import Keyring

Sql = Callable[..., list[Any]]


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


@pytest.fixture(scope="module")
def sql(place: Deployment, postgres: EmbeddedServer) -> Sql:
    """As the superuser of the database: past every door, with every trigger off."""
    database = psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"]

    def run(statement: str, **values: Any) -> list[Any]:
        with psycopg.connect(postgres.dsn(SUPERUSER, str(database)), autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            for part in filter(str.strip, statement.split(";")):
                done = connection.execute(part, values)  # type: ignore[arg-type]
            return done.fetchall() if done.description else []

    return run


@pytest.fixture(scope="module")
async def scene(place: Deployment) -> tuple[Held, Person]:
    """Somebody in the registers that pages and commands fill."""
    held, again = await place.study(), await place.study()
    rooms, house = place.rooms, Target("organisation", held.house.id, held.house.id)
    patient = await place.patient(held)
    await place.peer("MODALITY7")
    doctor = await place.staff("clinician")
    await place.assign(doctor, held)
    await rooms.lifecycle.place_hold(
        place.set_up_permit("hold", held.target, "legal"), "A claim is under way",
        review_on=clock.today() + timedelta(days=30),
    )  # fmt: skip
    await rooms.archive.merging.merge(
        place.set_up_permit("merge", house, "rights"), again.subject_id, held.subject_id, "One person, entered twice."
    )
    await fill_exchange(place, held)
    await place.staff("office")
    invite = Target("organisation", held.house.id, held.house.id, attributes=(("role", "clinician"),))
    permit = replace(place.set_up_permit("invite", invite), actor=doctor.actor)
    await rooms.people.propose_invitation(permit, "second@x.example", "Sam Second", "clinician")
    await rooms.choices.object_to(
        place.set_up_permit("choose", held.subject, "rights"), held.subject_id, "administration"
    )
    await rooms.choices.restrict(place.set_up_permit("restrict", held.target, "rights"), held.subject_id, held.id)
    await rooms.rights.open(place.set_up_permit("open_request", held.subject, "rights"), Right.ACCESS, held.subject_id)
    assert patient.actor.subject_id is not None
    return held, doctor


async def fill_exchange(place: Deployment, held: Held) -> None:
    """Everything that is kept about others, by the organisation and by the platform itself."""
    exchange, today = place.rooms.exchange, clock.today()
    house = Target("organisation", held.house.id, held.house.id)
    keep, instruct = place.set_up_permit("keep_register", house), place.set_up_permit("instruct", house)
    await exchange.add_contract(keep, "baa", "baa", "Example Hospital", today)
    await exchange.give_instruction(instruct, "weekend", "Send on Sundays too.", ["disclose"], ["exchange"], today)
    await exchange.add_order(keep, "legal_order", "A court", "GB", "One study", [held.id], today)
    for permit in (keep, place.set_up_permit("keep_register", Target("platform"))):
        await exchange.add_contract(permit, "mail", "processor", "Post plc", today)
        await exchange.add_instrument(permit, "clauses", "scc", "GB", "US", today, document=b"The clauses.")
        await exchange.add_recipient(
            permit, "post", "Post plc", "service_provider", "GB", ["images"], ["care"],
            stands_under="hospital_systems", contract_key="mail",
        )  # fmt: skip


async def found(place: Deployment) -> list[tuple[str, str]]:
    return sorted((each.register, each.what) for each in await place.rooms.registers.altered())


async def test_what_was_done_by_the_doors_is_whole_and_bound(place: Deployment, scene: object, sql: Sql) -> None:
    assert await found(place) == []
    filled = [name for name in REGISTERS if sql(f"select 1 from {name} limit 1")]
    assert {"membership", "subject_account", "peer", "legal_hold", "assignment", "subject_merge", "standing",
            "notice_version", "way_in", "admission", "exchange_contract", "exchange_recipient", "exchange_instrument",
            "exchange_instruction", "exchange_order"} <= set(filled)  # fmt: skip
    for name in filled:
        assert sql(f"select count(*) from {name} where tag is null or turn = 0 or bound_by is null") == [(0,)]


CHANGES = {
    "session": "expires_at = expires_at + interval '1 year'",
    "account": "email_token = email_token + 1",
    "subject": "patient_token = patient_token + 1",
    "organisation": "level = 'none'",
    "membership": "role = 'office'",
    "standing": "made_at = made_at - interval '1 day'",
    "subject_account": "matched_at = matched_at - interval '1 day'",
    "peer": "address = '192.0.2.99'",
    "legal_hold": "released_at = now()",
    "assignment": "until = until + interval '1 year'",
    "subject_merge": "ended_at = now()",
    "notice_version": "is_material = not is_material",
    "exchange_contract": "valid_until = '2099-01-01'",
    "exchange_recipient": "country = 'US'",
    "exchange_instrument": "valid_until = '2099-01-01'",
    "exchange_instruction": "words = 'anything'",
    "exchange_order": "reviewed_by = gen_random_uuid(), reviewed_at = now()",
    "way_in": "role = 'referrer', accounts = array[account_id]",
    "admission": "role = 'clinician', proposed_by = gen_random_uuid()",
    "restriction": "lifted_at = now()",
    "choice": "state = 'withdrawn'",
    "rights_request": "due_at = due_at + interval '1 year'",
}


#: Columns that a second row of the same has to have otherwise.
OWN = {
    "session": {"digest": "'\\x01'", "viewer_digest": "null"},
    "account": {"email_token": "1"},
    "subject": {"patient_token": "1"},
    "organisation": {"name": "'Another'", "operates": "false"},
    "peer": {"ae": "'EVIL'"},
    "exchange_recipient": {"ended_at": "now()"},
    "assignment": {"ended_at": "now()"},
    "subject_merge": {"ended_at": "now()"},
    "restriction": {"number": "999", "lifted_at": "now()"},
    "rights_request": {"number": "999"},
    "choice": {"number": "999", "is_current": "false"},
}
#: What a lie brings with it: whose a study is, is asked of the merges.
BESIDE = {"subject_merge": {("study", "filed under another patient than its own")}}
#: Without them more is wrong than the row itself: all that is theirs.
WIDE = ("organisation", "subject")


@pytest.mark.parametrize("register", CHANGES)
async def test_a_row_that_was_changed_inserted_deleted_or_put_back_is_named(
    place: Deployment, scene: object, sql: Sql, register: str
) -> None:
    """Each lie with every trigger off; then everything is put back as it was."""
    key, beside = REGISTERS[register].key[0], BESIDE.get(register, set())
    sql(f"create table kept as select * from {register}")
    one = f"{key} = (select {key} from kept order by {key} limit 1)"

    async def told() -> set[tuple[str, str]]:
        told = set(await found(place)) - beside
        return {each for each in told if each[0] == register} if register in WIDE else told

    def back() -> None:
        sql(f"delete from {register}")
        sql(f"insert into {register} select * from kept")

    try:
        sql(f"update {register} set {CHANGES[register]} where {one}")
        assert await told() == {(register, "changed")}
        back()
        sql(f"delete from {register} where {one}")
        assert await told() == {(register, "deleted")}
        sql(f"insert into {register} select * from kept k where {one}")
        assert await found(place) == []
        if register == "notice_version":
            return  # one that nobody signed is named by its signature besides: tests/unit/notice/test_service
        own = {key: "gen_random_uuid()", **OWN.get(register, {})}
        columns = [name for (name,) in sql("select column_name from information_schema.columns where table_name ="
                                           " %(t)s", t=register)]  # fmt: skip
        values = ", ".join(own.get(name, f'"{name}"') for name in columns)
        named = ", ".join(f'"{name}"' for name in columns)
        sql(f"insert into {register} ({named}) select {values} from kept limit 1")
        assert await told() == {(register, "inserted, and no entry of the ledger names it")}
    finally:
        back()
        sql("drop table kept")
    assert await found(place) == []


async def test_an_older_state_with_its_own_tag_and_what_had_ended_are_named(place: Deployment, sql: Sql) -> None:
    member, admin = await place.staff("clinician"), await place.staff("admin")
    assert member.user is not None
    sql("create table older as select * from membership where account_id = %(id)s", id=member.user.id)
    permit = place.set_up_permit("let_in", Target("organisation", place.first.id, place.first.id,
                                                  attributes=(("role", "referrer"),)))  # fmt: skip
    await place.rooms.people.change_role(permit, member.user.id, "referrer")
    assert await found(place) == []
    sql("create table newer as select * from membership where account_id = %(id)s", id=member.user.id)
    sql("delete from membership where account_id = %(id)s", id=member.user.id)
    sql("insert into membership select * from older")
    assert await found(place) == [("membership", "an older state of it")]
    sql("delete from membership where account_id = %(id)s", id=member.user.id)
    sql("insert into membership select * from newer")
    sql("drop table older, newer")

    await place.peer("LEAVER")
    [(peer,)] = sql("select id from peer where ae = 'LEAVER'")
    sql("create table ended as select * from peer where id = %(id)s", id=peer)
    await place.rooms.people.end_peer(place.set_up_permit("add_peer", Target(
        "organisation", place.first.id, place.first.id)), peer)  # fmt: skip
    assert await found(place) == []
    sql("insert into peer select * from ended")
    assert await found(place) == [("peer", "here again after it had ended")]
    sql("delete from peer where id = %(id)s", id=peer)
    sql("drop table ended")
    assert admin.user is not None
    assert await found(place) == []


async def test_who_left_and_came_back_is_as_the_ledger_says_and_the_row_of_then_is_not(
    place: Deployment, sql: Sql
) -> None:
    member, people, house = await place.staff("clinician"), place.rooms.people, place.first
    assert member.user is not None
    here = Target("organisation", house.id, house.id)
    sql("create table then_row as select * from standing where account_id = %(id)s", id=member.user.id)
    for _ in range(2):
        await people.end_user(place.set_up_permit("end_access", here), member.user.id)
        assert await found(place) == []
        adding = place.set_up_permit("administer", here)
        await people.add_user(adding, house.id, member.email, member.user.name, "clinician")
        assert await found(place) == []
    sql("create table now_row as select * from standing where account_id = %(id)s", id=member.user.id)
    for row, wrong in (("then_row", [("standing", "changed")]), ("now_row", [])):
        sql("delete from standing where account_id = %(id)s", id=member.user.id)
        sql(f"insert into standing select * from {row}")
        assert await found(place) == wrong
    sql("drop table then_row, now_row")


async def test_whoever_forgets_the_triggers_leaves_a_row_that_nobody_trusts(
    place: Deployment, scene: object, sql: Sql
) -> None:
    sql("create table kept as select * from membership")
    sql("set session_replication_role = origin; update membership set role = 'office' where role = 'clinician'")
    assert sql("select count(*) from membership where tag is null")[0][0] > 0
    assert set(await found(place)) == {("membership", "changed")}
    sql("delete from membership; insert into membership select * from kept; drop table kept")
    assert await found(place) == []


async def test_the_doors_cannot_commit_what_nothing_binds(place: Deployment, scene: tuple[Held, Person]) -> None:
    held, _ = scene
    database = place.rooms.database
    with pytest.raises(psycopg.Error) as refused:
        async with database.transaction(Space(held.house.id)) as connection:
            connection.at_end = None  # type: ignore[attr-defined]
            await connection.execute("update assignment set ended_at = now()")
    assert refused.value.sqlstate == "TR002"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(Space(held.house.id)) as connection:
            await connection.execute("delete from legal_hold")


async def test_what_was_held_before_is_bound_once_and_never_again(database: ServedDatabase, keyring: Keyring) -> None:
    """As an update brings it: rows without tags, and no entry that says that they were bound."""
    tenant, ledger = uuid4(), Ledger(keyring)
    held = (
        "insert into identity_rule (tenant, id, issuer_token, made_at, ended_at, key_ref, sealed)"
        " select %(tenant)s, gen_random_uuid(), n, now(), now(), '\\x01', '\\x02' from generate_series(1, %(n)s) n"
    )

    def sql(statement: str, **values: Any) -> None:
        with psycopg.connect(database.dsn(SUPERUSER), autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(statement, values)  # type: ignore[arg-type]

    async def found() -> set[str]:
        return {each.what for each in await ledger.altered_rows(database, database.dsn("troth_sequencer"))}

    sql(
        "insert into organisation (id, name, capacity, region, key, made_at)"
        " values (%(tenant)s, 'Before', 'controller', 'GB', '\\x01', now())",
        tenant=tenant,
    )
    sql(held, tenant=tenant, n=130)
    sql(  # of the platform itself, which the organisation may read
        "insert into exchange_contract (tenant, id, key, kind, party, valid_from, made_at) values"
        " (%(none)s, gen_random_uuid(), 'mail', 'processor', 'Post plc', '2026-01-01', now())",
        none=UUID(int=0),
    )
    assert await found() == {"inserted, and no entry of the ledger names it"}

    async def unsound() -> bool:
        return False

    with pytest.raises(RowsAltered):
        await baseline.bind_held(database, ledger, unsound)
    bind = partial(ledger.bind_held, database, database.dsn("troth_sequencer"))
    assert await bind() == 132, "and the organisation, and what the platform keeps"
    assert await found() == set()
    assert await bind() == 0
    sql("update identity_rule set tag = null, turn = 0, bound_by = null, ended_at = null where issuer_token = 1")
    sql(held, tenant=tenant, n=1)
    assert await bind() == 0, "a tag that was taken away does not come back, and nothing new is taken for old"
    assert await found() == {"changed", "inserted, and no entry of the ledger names it"}


@pytest.fixture
def catalogue(place: Deployment, sql: Sql) -> dict[str, dict[str, str]]:
    rows = sql(
        "select table_name, column_name, data_type from information_schema.columns where table_schema = 'public'"
    )
    told: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        told.setdefault(table, {})[column] = kind
    return told


async def test_every_column_of_a_register_is_bound_or_volatile_for_a_reason(
    catalogue: dict[str, dict[str, str]], sql: Sql
) -> None:
    for name, register in REGISTERS.items():
        columns = dict(catalogue[name])
        assert register.is_platform == ("tenant" not in columns), name
        columns.pop("tenant", None)
        told = [*register.key, *register.bound, *register.volatile, *BINDING]
        assert sorted(told) == sorted(columns), f"{name}: say of each column whether it is bound, and why not"
        assert {columns[each] for each in register.moments} <= {"timestamp with time zone", "interval"}
        assert not {columns[each] for each in register.plain} & {"timestamp with time zone", "bytea", "interval"}
        assert all(register.volatile.values())
        [(trigger,)] = sql(
            "select pg_get_triggerdef(oid) from pg_trigger where tgrelid = %(t)s::regclass and tgname = 'row_bound'",
            t=name,
        )
        for column in (*register.key, *register.bound):
            assert f" {column}," in trigger or f" {column} " in trigger or f'"{column}"' in trigger, (name, column)


async def test_keys_of_registers_are_read_back(place: Deployment, scene: object) -> None:
    async with place.rooms.database.transaction(Space(place.first.id)) as connection:
        keys = [row["row"] async for row in binding_store.all_rows(connection, REGISTERS["subject_account"])]
        rows = await binding_store.read(connection, REGISTERS["subject_account"], keys)
    assert sorted(row["row"] for row in rows) == sorted(keys) != []


JSON = {"Accept": "application/dicom+json"}


async def test_an_image_that_was_taken_away_or_put_in_and_a_study_that_was_moved_are_named(
    place: Deployment, sql: Sql
) -> None:
    hers, his = await place.study(slices=3), await place.study()
    copied = await place.study()
    assert (await place.stow([], copied.house)).status_code >= 400  # nothing came in, and nothing is counted
    assert await found(place) == []
    one = "(select i.id from instance i join series r on r.id = i.series_id where r.study_id = %(id)s limit 1)"
    sql("create table gone as select * from instance where id = " + one, id=hers.id)
    sql("delete from instance where id = (select id from gone)")
    assert await found(place) == [("instance", "2 images are held, and the ledger says that 3 came in")]
    sql("insert into instance select * from gone")
    assert await found(place) == []
    sql("update gone set id = gen_random_uuid(), instance_uid = '2.25.7'; insert into instance select * from gone")
    assert await found(place) == [("instance", "4 images are held, and the ledger says that 3 came in")]
    sql("delete from instance where id = (select id from gone); drop table gone")
    sql("update study set subject_id = %(s)s, surviving_id = %(s)s where id = %(id)s", s=his.subject_id, id=hers.id)
    assert await found(place) == [("study", "filed under another patient than its own")]
    sql("update study set subject_id = %(s)s, surviving_id = %(s)s where id = %(id)s", s=hers.subject_id, id=hers.id)
    assert await found(place) == []


async def test_a_role_that_was_written_by_hand_opens_nothing(place: Deployment, sql: Sql) -> None:
    held, admin, other = await place.study(), await place.staff("admin"), await place.staff("office")
    assert admin.user is not None
    path = f"/dicomweb/studies/{held.uid}/metadata"
    assert (await admin.viewer.get(path, headers=JSON)).status_code == 404
    for statement in (
        "update membership set role = 'clinician' where account_id = %(id)s",
        "update membership set role = 'clinician', tag = (select tag from membership where account_id = %(other)s),"
        " turn = (select turn from membership where account_id = %(other)s) where account_id = %(id)s",
    ):
        assert other.user is not None
        sql(statement, id=admin.user.id, other=other.user.id)
        with clock.moved(timedelta(seconds=2)):
            assert (await admin.viewer.get(path, headers=JSON)).status_code == 401
            assert (await admin.web.get("/admin")).status_code in (303, 401)
    told = await place.ledgered(kind="people:row:distrusted", house=held.house)
    assert {(event.outcome, event.clear.says["register"]) for event in told} == {("refused", "membership")}


async def test_a_match_and_a_machine_that_were_written_by_hand_open_nothing(place: Deployment, sql: Sql) -> None:
    hers, his = await place.study(), await place.study()
    she = await place.patient(hers)
    people = place.rooms.people
    path = f"/dicomweb/studies/{his.uid}/metadata"
    sql(
        "update subject_account set subject_id = %(to)s where account_id = %(id)s; update session set subject_id ="
        " %(to)s where account_id = %(id)s",
        to=his.subject_id,
        id=she.actor.id,
    )
    with clock.moved(timedelta(seconds=2)):
        assert (await she.viewer.get(path, headers=JSON)).status_code == 401

    await place.peer("MODALITY8")
    assert await people.actor_of_peer("MODALITY8", "TROTH", "127.0.0.1") is not None
    sql("update peer set address = '192.0.2.9' where ae = 'MODALITY8'")
    assert await people.actor_of_peer("MODALITY8", "TROTH", "192.0.2.9") is None


@pytest.mark.parametrize("lie", ["delete from legal_hold", "update legal_hold set released_at = now()"])
async def test_nothing_is_erased_where_a_hold_was_taken_away_by_hand(place: Deployment, sql: Sql, lie: str) -> None:
    held = await place.study()
    await place.rooms.lifecycle.place_hold(
        place.set_up_permit("hold", held.target, "legal"), "A claim", review_on=clock.today() + timedelta(days=30)
    )
    sql("create table holds as select * from legal_hold")
    sql(f"{lie} where target_id = %(id)s", id=held.id)
    erase = place.set_up_permit("erase", held.target, "rights")
    with pytest.raises(RowsAltered):
        await place.rooms.archive.erase_study(erase, held.id)
    with pytest.raises(RowsAltered):
        await place.rooms.archive.erase_subject(place.set_up_permit("erase", held.subject, "rights"), held.subject_id)
    sql("delete from legal_hold; insert into legal_hold select * from holds; drop table holds")
    assert (await place.rooms.archive.open_study(place.set_up_permit("retrieve", held.target, "care"), held.uid)).study
    assert (await place.rooms.archive.erase_study(erase, held.id)).state == "erased"  # may it: asked elsewhere
    assert ("legal_hold", "changed") not in await found(place)
