"""Bound rows that a decision asks: one that was changed past us gives nothing and stays a bar, and is told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.common.deployment import Deployment, Held, OpenDeployment, Person
from tests.common.outside import Office, office_of
from tests.common.platform import AtOnce
from tests.common.receiver import Receiver, receiving
from tests.promises.test_holds import in_conflict
from troth.exchange import ExchangeFacts
from troth.kit import clock, ids
from troth.kit.db import Database
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.ledger import RowsAltered
from troth.lifecycle import LifecycleFacts
from troth.people import Admission, AssignmentFacts, ChoiceFacts, Organisation, PeopleFacts, SignInLinkOver, agreeing
from troth.policy import Facts, FactSet, Target
from troth.rights import Fulfilment, Right

Sql = Callable[..., None]
JSON = {"Accept": "application/dicom+json"}


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Receiver]:
    with receiving("ELSEWHERE") as receiver:
        yield receiver


@pytest.fixture(scope="module")
async def office(place: Deployment, elsewhere: Receiver) -> Office:
    found = await office_of(place, next(each for each in place.organisations if each.region == "GB"))
    await found.contract("other_place", "controller")
    await found.recipient(
        "city_clinic", elsewhere, kind="customer", country="GB", stands_under="other_hospitals", categories="images",
        purposes="exchange", contract_key="other_place",
    )  # fmt: skip
    return found


@pytest.fixture
def past(place: Deployment, postgres: EmbeddedServer) -> Iterator[Sql]:
    """A statement about a table, as the superuser, past every trigger; each table is put back as it was."""
    database = psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"]
    kept: set[str] = set()
    with psycopg.connect(postgres.dsn(SUPERUSER, str(database)), autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")

        def run(table: str, statement: str, **values: Any) -> None:
            if table not in kept:
                connection.execute(f"create temporary table kept_{table} as select * from {table}".encode())
                kept.add(table)
            assert connection.execute(statement.encode(), values).rowcount > 0

        yield run
        for table in kept:
            connection.execute(f"delete from {table}".encode())
            connection.execute(f"insert into {table} select * from kept_{table}".encode())


@pytest.fixture
def lie(past: Sql) -> Sql:
    """Changes rows like that."""
    return lambda table, change, **values: past(table, f"update {table} set {change}", **values)


@pytest.fixture
def drop(past: Sql) -> Sql:
    """Deletes rows like that."""
    return lambda table, which, **values: past(table, f"delete from {table} where {which}", **values)


async def told(place: Deployment, register: str, house: Organisation | None = None) -> int:
    """How often it was told that a row of a register was not believed."""
    rows = await place.ledgered(kind="people:row:distrusted", house=house or place.first)
    return sum(each.clear.says == {"register": register} for each in rows)


async def asked(place: Deployment, facts: Facts, held: Held, who: Person, **named: str) -> FactSet:
    about = await place.rooms.archive.target_of(who.actor, held.id)
    target = Target(about.kind, about.id, about.tenant, about.subject_id, attributes=tuple(named.items()))
    return await facts.about(who.actor, target)


HOLD_LIES = (
    "released_at = now()", "ends_on = current_date - 1", "released_at = now(), turn = turn + 1", "tag = null",
)  # fmt: skip


@pytest.mark.parametrize("change", HOLD_LIES)
async def test_a_hold_stays_whatever_its_row_says(place: Deployment, lie: Sql, change: str) -> None:
    held, admin = await place.study(), await place.staff("admin")
    rooms, facts = place.rooms, LifecycleFacts(place.rooms.database, place.rooms.keyring)
    hold = await rooms.lifecycle.place_hold(
        place.set_up_permit("hold", held.target, "legal"), "A claim", review_on=clock.today() + timedelta(days=9)
    )
    other = await place.study()
    assert await asked(place, facts, held, admin) == FactSet(is_held=True)
    lie("legal_hold", f"{change} where id = %(id)s", id=hold.id)
    found = await asked(place, facts, held, admin)
    assert (found.is_held, [each.row for each in found.distrusted]) == (True, [hold.id])
    assert await asked(place, facts, other, admin) == FactSet()


async def test_a_hold_that_was_released_bars_nothing(place: Deployment) -> None:
    held, admin = await place.study(), await place.staff("admin")
    permit = place.set_up_permit("hold", held.target, "legal")
    hold = await place.rooms.lifecycle.place_hold(permit, "A claim", review_on=clock.today() + timedelta(days=9))
    await place.rooms.lifecycle.release_hold(permit, hold.id, "It is settled")
    facts = LifecycleFacts(place.rooms.database, place.rooms.keyring)
    assert await asked(place, facts, held, admin) == FactSet()


async def test_nothing_kept_apart_is_destroyed_while_a_hold_was_taken_out_past_the_platform(
    place: Deployment, drop: Sql
) -> None:
    held, keeping = await place.study(), place.rooms.archive.quarantine
    permit = place.set_up_permit("hold", held.target, "legal")
    hold = await place.rooms.lifecycle.place_hold(permit, "A claim", review_on=clock.today() + timedelta(days=99))
    untouched = await place.study()
    for each in (held, untouched):
        assert (await place.stow(in_conflict(each), each.house)).status_code == 409
    house = Target("organisation", held.house.id, held.house.id)
    resolve = place.set_up_permit("resolve", house, "care")
    [kept] = [each for each in await keeping.groups(resolve) if each.study_uid == held.uid]
    [free] = [each for each in await keeping.groups(resolve) if each.study_uid == untouched.uid]
    assert await keeping.discard(resolve, free.newest_id, is_whole_group=True) == 1
    on_held = place.set_up_permit("resolve", (await keeping.against(resolve, kept.newest_id)).target, "care")
    drop("legal_hold", "id = %(id)s", id=hold.id)
    [seen] = [each for each in await keeping.groups(resolve) if each.study_uid == held.uid]
    assert seen.is_held is False, "nothing but the ledger knows of it any more"
    with pytest.raises(RowsAltered):
        await keeping.discard(resolve, kept.newest_id, is_whole_group=True)
    with pytest.raises(RowsAltered):
        await keeping.replace(resolve, on_held, kept.newest_id, "The newer one")
    with clock.moved(timedelta(days=31)):
        administer = place.set_up_permit("administer", house, "administration")
        with pytest.raises(RowsAltered):
            await keeping.expire(administer)
    assert [each.newest_id for each in await keeping.groups(resolve) if each.study_uid == held.uid] == [kept.newest_id]


@pytest.mark.parametrize("change", ["lifted_at = now()", "lifted_at = now(), tag = null"])
async def test_a_restriction_stays_and_is_felt_at_the_door(place: Deployment, lie: Sql, change: str) -> None:
    held, admin = await place.study(), await place.staff("admin")
    doctor = await place.staff("clinician")
    await place.assign(doctor, held)
    path = f"/dicomweb/studies/{held.uid}/metadata"
    assert (await doctor.viewer.get(path, headers=JSON)).status_code == 200
    await place.rooms.choices.restrict(place.set_up_permit("restrict", held.target, "rights"), held.subject_id, held.id)
    facts = ChoiceFacts(place.rooms.database, place.rooms.keyring)
    before = await told(place, "restriction")
    for moved in (2, 4):
        with clock.moved(timedelta(seconds=moved)):
            assert (await doctor.viewer.get(path, headers=JSON)).status_code >= 400
        lie("restriction", f"{change} where subject_id = %(id)s", id=held.subject_id)
    assert (await asked(place, facts, held, admin)).is_restricted
    assert await told(place, "restriction") == before + 1, "once, however often it is asked"


@pytest.mark.parametrize("change", ["state = 'given'", "is_current = false", "key = key || 'x', state = 'given'"])
async def test_what_was_refused_stays_refused(place: Deployment, lie: Sql, change: str) -> None:
    held, admin = await place.study(), await place.staff("admin")
    choose = place.set_up_permit("choose", held.subject, "rights")
    await place.rooms.choices.choose_channel(choose, held.subject_id, "sms", is_wanted=True)
    await place.rooms.choices.choose_channel(choose, held.subject_id, "sms", is_wanted=False)
    facts = ChoiceFacts(place.rooms.database, place.rooms.keyring)
    assert (await asked(place, facts, held, admin)).claims == {"stopped:sms"}
    lie("choice", f"{change} where holder_id = %(id)s and is_current", id=held.subject_id)
    found = await asked(place, facts, held, admin)
    assert any(each.startswith("stopped:sms") for each in found.claims)
    assert [each.register for each in found.distrusted] == ["choice"]


async def test_a_consent_that_nobody_gave_is_none_and_an_objection_stands(place: Deployment, lie: Sql) -> None:
    held, admin = await place.study(), await place.staff("admin")
    choose = place.set_up_permit("choose", held.subject, "rights")
    await place.rooms.choices.choose_channel(choose, held.subject_id, "email", is_wanted=True)
    await place.rooms.choices.object_to(choose, held.subject_id, "administration")
    facts = ChoiceFacts(place.rooms.database, place.rooms.keyring)
    assert (await asked(place, facts, held, admin)).claims == {"objection:administration"}
    mine = "where holder_id = %(id)s and kind = "
    lie("choice", f"kind = 'consent', key = 'research' {mine} 'channel'", id=held.subject_id)
    lie("choice", f"state = 'refused', is_current = false {mine} 'objection'", id=held.subject_id)
    assert (await asked(place, facts, held, admin)).claims == {"objection:administration"}


async def test_a_choice_that_was_taken_back_is_over(place: Deployment) -> None:
    held, admin = await place.study(), await place.staff("admin")
    choose = place.set_up_permit("choose", held.subject, "rights")
    await place.rooms.choices.object_to(choose, held.subject_id, "administration")
    await place.rooms.choices.withdraw_objection(choose, held.subject_id, "administration")
    facts = ChoiceFacts(place.rooms.database, place.rooms.keyring)
    assert await asked(place, facts, held, admin) == FactSet()


@pytest.mark.parametrize(
    "change", ["until = until + interval '1 day'", "made_by = null", "way = 'duty', subject_id = null"]
)
async def test_an_assignment_that_was_changed_opens_nothing(place: Deployment, lie: Sql, change: str) -> None:
    held, other = await place.study(), await place.study()
    doctor = await place.staff("clinician")
    await place.assign(doctor, held)
    path = f"/dicomweb/studies/{held.uid}/metadata"
    assert (await doctor.viewer.get(path, headers=JSON)).status_code == 200
    before = await told(place, "assignment")
    lie("assignment", f"{change} where account_id = %(id)s", id=doctor.actor.id)
    facts = AssignmentFacts(place.rooms.database, place.rooms.keyring)
    assert (await asked(place, facts, held, doctor)).claims == frozenset()
    for one in (held, other):
        with clock.moved(timedelta(seconds=2)):
            answer = await doctor.viewer.get(f"/dicomweb/studies/{one.uid}/metadata", headers=JSON)
        assert answer.status_code == 404
    assert await told(place, "assignment") == before + 1


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("exchange_recipient", "country = 'FR', email = 'thief@example.org'"),
        ("exchange_recipient", "purposes = array['exchange', 'support']"),
        ("exchange_contract", "valid_until = current_date + 999"),
    ],
)
async def test_nothing_goes_to_a_recipient_whose_row_was_changed(
    place: Deployment, office: Office, elsewhere: Receiver, lie: Sql, table: str, change: str
) -> None:
    held = await place.study(office.house)
    assert (await office.disclose(held, "city_clinic", "exchange", "contract")).status_code == 200
    before = elsewhere.associations
    lie(table, change)
    answer = await office.disclose(held, "city_clinic", "exchange", "contract")
    assert answer.status_code == 409
    assert elsewhere.associations == before
    assert await told(place, table, office.house) == 1


LIES_OF_REGISTERS = (
    ("exchange_instrument", "destination = 'FR'"),
    ("exchange_instrument", "valid_until = valid_until + 999, turn = turn + 1"),
    ("exchange_instruction", "actions = array['disclose', 'erase']"),
    ("exchange_instruction", "valid_until = valid_until + 999"),
    ("exchange_order", "study_ids = '{}'"),
    ("exchange_order", "reviewed_by = gen_random_uuid(), reviewed_at = now()"),
)


@pytest.mark.parametrize(("table", "change"), LIES_OF_REGISTERS)
async def test_an_instrument_an_instruction_and_an_order_that_were_changed_are_not_there(
    place: Deployment, office: Office, lie: Sql, table: str, change: str
) -> None:
    held, exchange, today = await place.study(office.house), place.rooms.exchange, clock.today()
    house, soon, key = Target("organisation", office.house.id, office.house.id), today + timedelta(days=9), ids.code()
    keep, instruct = place.set_up_permit("keep_register", house), place.set_up_permit("instruct", house)
    key = f"of_{key.lower().replace('-', '_')}"
    await exchange.add_instrument(keep, key, "scc", "GB", "US", today, soon, document=b"The clauses.")
    await exchange.give_instruction(instruct, key, "Send it.", ["disclose"], ["exchange"], today, soon)
    order = await exchange.add_order(keep, "legal_order", "A court", "GB", "All", [held.id], today, soon, document=b"O")
    facts = ExchangeFacts(place.rooms.database, place.rooms.people, place.rooms.keyring)

    async def claims() -> tuple[set[str], set[str]]:
        found = await asked(place, facts, held, office.person, order=str(order))
        told = {each for each in found.claims if each in mine}
        return told, {each.register for each in found.distrusted}

    mine = {
        "exchange_instrument": {f"instrument:{key}"}, "exchange_instruction": {f"instruction:{key}"},
        "exchange_order": {"order_document", f"legal_order:{order}"},
    }[table]  # fmt: skip
    assert await claims() == (mine, set())
    lie(table, f"{change} where made_at = (select max(made_at) from {table})")
    assert await claims() == (set(), {table})


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("admission", "role = 'office'"),
        ("admission", "proposed_by = %(other)s"),
        ("way_in", "accounts = array[account_id]"),
    ],
)
async def test_nobody_is_let_in_on_a_proposal_or_a_way_that_was_changed(
    place: Deployment, lie: Sql, table: str, change: str
) -> None:
    first, second = await place.staff("admin"), await place.staff("admin")
    people, house = place.rooms.people, place.first.id
    inviting = Target("organisation", house, house, attributes=(("role", "clinician"),))
    permit = replace(place.set_up_permit("invite", inviting), actor=first.actor)
    untouched = await people.propose_invitation(permit, "other@x.example", "Olga Other", "clinician")
    waits = await people.propose_invitation(permit, "new@x.example", "Nora New", "clinician")
    assert first.actor.id is not None
    assert second.actor.id is not None

    async def agreed(to: Admission) -> None:
        let_in = place.set_up_permit("let_in", agreeing(second.actor, to))
        await people.agree_admission(replace(let_in, actor=second.actor), to.id)

    sent = len(place.mails())
    await agreed(untouched)
    assert len(place.mails()) == sent + 1, "what nobody touched is agreed to"
    await people.are_independent(house, first.actor.id, second.actor.id)
    lie(table, change, other=second.actor.id)
    sent = len(place.mails())
    with pytest.raises(RowsAltered):
        await agreed(waits)
    if table == "way_in":
        with pytest.raises(RowsAltered):
            await people.are_independent(house, first.actor.id, second.actor.id)
    assert len(place.mails()) == sent


async def test_no_factor_is_taken_away_on_a_way_that_was_changed(place: Deployment, lie: Sql) -> None:
    first, second, lost = [await place.staff("admin") for _ in range(3)]
    people, here = place.rooms.people, Target("organisation", place.first.id, place.first.id)
    permit = place.set_up_permit("end_access", here)
    assert lost.actor.id is not None
    asked = await people.ask_reset(replace(permit, actor=first.actor), lost.actor.id)
    lie("way_in", "accounts = array[account_id]")
    with pytest.raises(RowsAltered):
        await people.agree_reset(replace(permit, actor=second.actor), asked.id)
    assert asked.id in {each.id for each in await people.resets(permit)}


@pytest.mark.parametrize(
    "change", ["closed_at = now(), state = 'refused'", "due_at = due_at + interval '1 year'", "scope = '{}'"]
)
async def test_a_request_that_was_changed_is_shown_open_and_due_and_nothing_is_done_on_its_word(
    place: Deployment, lie: Sql, change: str
) -> None:
    held = await place.study()
    patient, rooms, engine = await place.patient(held), place.rooms, AtOnce()
    permit = place.set_up_permit("open_request", held.subject, "rights")
    request = await rooms.rights.open(permit, Right.ACCESS, held.subject_id, study_ids=[held.id])
    see = place.set_up_permit("see_request", held.subject, "rights")
    assert (await rooms.rights.of_subject(see, held.subject_id))[0].due_at == request.due_at > clock.now()
    before, other = await told(place, "rights_request"), await place.study()
    asking = place.set_up_permit("open_request", other.subject, "rights")
    untouched = await rooms.rights.open(asking, Right.ACCESS, other.subject_id, study_ids=[other.id])
    await Fulfilment(rooms.rights, engine).make_copy(str(other.house.id), str(untouched.id))
    lie("rights_request", f"{change} where id = %(id)s", id=request.id)
    with pytest.raises(RowsAltered):
        await Fulfilment(rooms.rights, engine).make_copy(str(held.house.id), str(request.id))
    [shown] = await rooms.rights.of_subject(see, held.subject_id)
    assert shown.is_open
    assert shown.due_at <= clock.now()
    assert (await patient.web.get("/requests")).status_code == 200
    assert await told(place, "rights_request") == before + 1


async def test_the_alarm_over_a_request_waits_for_no_second_connection(
    place: Deployment, lie: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, rooms = await place.study(), place.rooms
    permit = place.set_up_permit("open_request", held.subject, "rights")
    request = await rooms.rights.open(permit, Right.ACCESS, held.subject_id, study_ids=[held.id])
    see, copy = (place.set_up_permit(action, held.subject, "rights") for action in ("see_request", "copy"))
    transaction, open_now = Database.transaction, 0

    @asynccontextmanager
    async def counted(database: Database, *given: Any, **more: Any) -> AsyncIterator[Any]:
        nonlocal open_now
        async with transaction(database, *given, **more) as connection:
            open_now += 1
            try:
                yield connection
            finally:
                open_now -= 1

    rung = []

    async def ring(*about: Any) -> None:
        rung.append((open_now, about))

    monkeypatch.setattr(Database, "transaction", counted)
    monkeypatch.setattr(rooms.people.alarm, "raise_about", ring)
    lie("rights_request", "due_at = due_at + interval '1 year' where id = %(id)s", id=request.id)
    house = place.set_up_permit("see_request", Target("organisation", held.house.id, held.house.id), "rights")
    assert (await rooms.rights.request(see, request.id)).is_open
    assert [each.id for each in await rooms.rights.of_subject(see, held.subject_id)] == [request.id]
    assert request.id in {each.id for each in await rooms.rights.of_organisation(house)}
    with pytest.raises(RowsAltered):
        await rooms.rights.copy_stream(copy, request.id)
    assert rung == [(0, ("rights_request", held.house.id, request.id))] * 4


async def test_an_assignment_that_was_given_to_somebody_else_opens_nothing_for_them(
    place: Deployment, lie: Sql
) -> None:
    held, doctor, thief = await place.study(), await place.staff("clinician"), await place.staff("clinician")
    await place.assign(doctor, held)
    path = f"/dicomweb/studies/{held.uid}/metadata"
    assert (await doctor.viewer.get(path, headers=JSON)).status_code == 200
    lie("assignment", "account_id = %(thief)s where account_id = %(id)s", id=doctor.actor.id, thief=thief.actor.id)
    assert (await thief.viewer.get(path, headers=JSON)).status_code == 404


LINES = ("account_id = %(victim)s", "expires_at = expires_at + interval '1 year'", "role = 'admin', turn = turn + 1")


@pytest.mark.parametrize("change", LINES)
async def test_a_session_that_was_written_by_hand_lets_nobody_in(place: Deployment, lie: Sql, change: str) -> None:
    victim, thief = await place.staff("admin"), await place.staff("clinician")
    assert (await thief.web.get("/studies")).status_code == 200
    before = await told(place, "session")
    lie("session", f"{change} where account_id = %(id)s", id=thief.actor.id, victim=victim.actor.id)
    with clock.moved(timedelta(seconds=2)):
        assert (await thief.web.get("/admin")).status_code in (303, 401)
        assert (await thief.web.get("/studies")).status_code in (303, 401)
    assert await told(place, "session") == before + 1
    assert (await victim.web.get("/admin")).status_code == 200


async def test_a_token_and_a_viewer_that_were_written_by_hand_open_nothing(place: Deployment, lie: Sql) -> None:
    held = await place.study()
    doctor, program = await place.staff("clinician"), await place.bearer("clinician", "diagnosis")
    await place.assign(doctor, held)
    path = f"/dicomweb/studies/{held.uid}/metadata"
    assert (await doctor.viewer.get(path, headers=JSON)).status_code == 200
    lie("session", "viewer_digest = sha256('mine') where account_id = %(id)s", id=doctor.actor.id)
    with clock.moved(timedelta(seconds=2)):
        assert (await doctor.viewer.get(path, headers=JSON)).status_code == 401
        assert (await doctor.web.get("/studies")).status_code in (303, 401)
    assert (await program.viewer.get("/dicomweb/studies", headers=JSON)).status_code in (200, 204)
    lie("session", "role = 'office' where form = 'bearer'")
    with clock.moved(timedelta(seconds=2)):
        assert (await program.viewer.get("/dicomweb/studies", headers=JSON)).status_code == 401


async def test_an_address_that_was_moved_to_another_account_leads_nowhere(place: Deployment, lie: Sql) -> None:
    victim, thief = await place.staff("admin"), await place.staff("clinician")
    sent = len(place.mails())
    await place.rooms.people.start_sign_in(thief.email, "192.0.2.1")
    await place.rooms.people.settled()
    assert len(place.mails()) == sent + 1
    lie("account", "email_token = -email_token - 1 where id = %(id)s", id=thief.actor.id)
    kept = "(select -email_token - 1 from account where id = %(thief)s)"
    lie("account", f"email_token = {kept} where id = %(id)s", id=victim.actor.id, thief=thief.actor.id)
    await place.rooms.people.start_sign_in(thief.email, "192.0.2.1")
    await place.rooms.people.settled()
    assert len(place.mails()) == sent + 1, "no link to somebody else's account"


async def test_a_sign_in_link_that_was_written_by_hand_lets_nobody_in(place: Deployment, lie: Sql) -> None:
    victim, thief = await place.staff("admin"), await place.staff("clinician")
    await place.rooms.people.start_sign_in(thief.email, "192.0.2.2")
    await place.rooms.people.settled()
    [secret] = re.findall(r"/sign-in/(\S+)", place.mails()[-1])[-1:]
    assert [each.account_id for each in await place.rooms.people.people_at(secret)] == [thief.actor.id]
    lie("sign_in_link", "account_id = %(id)s where used_at is null", id=victim.actor.id)
    with pytest.raises(SignInLinkOver):
        await place.rooms.people.people_at(secret)


@pytest.mark.parametrize("change", ["region = 'US'", "level = 'none'"])
async def test_an_organisation_that_was_changed_has_no_level_and_runs_nothing(
    place: Deployment, lie: Sql, change: str
) -> None:
    doctor = await place.staff("clinician")
    facts, about = PeopleFacts(place.rooms.database, place.rooms.keyring), Target("organisation")
    claims = (await facts.about(doctor.actor, about)).claims
    assert any(each.startswith("level:") and each != "level:" for each in claims)
    lie("organisation", change)
    found = await facts.about(doctor.actor, about)
    assert found.claims <= {"level:", f"via:{doctor.actor.via}"}
    assert [each.register for each in found.distrusted] == ["organisation"]
