"""Merging subjects and undoing it: what each then has, what stays in the way, and that nothing is done by half."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import psycopg
import pytest
from pydicom.uid import generate_uid

from tests.common.servers import ServedDatabase
from tests.unit.archive.rooms import MINUTE, Rooms, instance
from troth.archive import Match, Query, WrongPermit
from troth.archive.attributes import PATIENT_ID, STUDY_UID
from troth.kit import clock, ids
from troth.kit.db import Connection
from troth.kit.passwords import SUPERUSER
from troth.ledger import RowsAltered
from troth.people import MergeNotFound, MergeRefused, PatientKey, People, ReasonMissing, SubjectNotFound
from troth.policy import Permit, PermitDenied, Target
from troth.vault import KeyRef


def may(rooms: Rooms, action: str = "merge", organisation=None) -> Permit:
    """A permit of the office, as the policy would make it."""
    house = organisation or rooms.hospital
    now = clock.now()
    target = Target("organisation", house.id, house.id)
    office = rooms.actor("admin" if action == "state_issuer" else "office", house)
    return Permit(office, action, target, "rights", ("9.2",), "", "test", ids.uuid7(), now, now + 5 * MINUTE)


class Patient:
    """One identifier with its images."""

    def __init__(self, rooms: Rooms, name: str = "Miller^James", issuer: str = "", number: str = "", **more) -> None:
        self.rooms, self.number, self.issuer = rooms, number or f"P-{uuid4().hex[:10]}", issuer
        self.attributes = {"PatientName": name, "PatientID": self.number, "IssuerOfPatientID": issuer, **more}
        self.studies: list[str] = []

    async def comes(self, study_uid: str = "") -> str:
        uid = study_uid or generate_uid()
        (outcome,) = await self.rooms.store(instance(StudyInstanceUID=uid, **self.attributes))
        assert outcome.state == "stored", outcome
        self.studies.append(uid)
        return uid

    async def own_id(self) -> UUID:
        subject = await self.rooms.people.ensure_subject(
            self.rooms.hospital.id, PatientKey(self.number, self.issuer), None
        )
        return subject.id


@pytest.fixture
async def pair(rooms: Rooms) -> tuple[Patient, Patient]:
    first, second = Patient(rooms), Patient(rooms, issuer="NH")
    await first.comes()
    await second.comes()
    return first, second


async def studies_of(rooms: Rooms, subject_id: UUID) -> set[str]:
    """What a patient of this subject finds."""
    actor = rooms.actor("patient", subject_id=subject_id)
    target = Target("subject", subject_id, rooms.hospital.id, subject_id)
    permit = await rooms.policy.require(actor, "query", target, "own_access")
    return {found.study.study_uid for found in (await rooms.archive.query(permit, Query("study"))).found}


async def kinds_of(rooms: Rooms, subject_id: UUID) -> list[str]:
    async with rooms.database.transaction(rooms.hospital) as connection:
        return [each.kind for each in await rooms.ledger.of_subject(connection, subject_id, limit=100)]


async def test_everything_of_both_is_the_survivors_until_it_is_undone(rooms: Rooms, pair) -> None:
    first, second = pair
    a, b = await first.own_id(), await second.own_id()
    assert await studies_of(rooms, b) == set(second.studies)
    made = await rooms.archive.merging.merge(may(rooms), a, b, "One person, entered twice.")
    assert (made.subject_id, made.surviving_id, made.reason) == (a, b, "One person, entered twice.")
    later = await first.comes()
    assert await studies_of(rooms, b) == {*first.studies, *second.studies}
    assert await studies_of(rooms, a) == set()
    assert "people:subjects:merged" in await kinds_of(rooms, a)
    assert "people:subjects:merged" in await kinds_of(rooms, b)

    await rooms.archive.merging.unmerge(may(rooms), made.id, "Two brothers.")
    assert await studies_of(rooms, b) == set(second.studies)
    assert await studies_of(rooms, a) == set(first.studies)
    assert later in await studies_of(rooms, a), "what came in between goes back too"
    assert "people:subjects:unmerged" in await kinds_of(rooms, a)
    with pytest.raises(MergeNotFound):
        await rooms.archive.merging.unmerge(may(rooms), made.id, "Again.")


async def test_each_access_list_stays_whole_whichever_way_it_goes(rooms: Rooms, pair) -> None:
    first, second = pair
    a, b = await first.own_id(), await second.own_id()
    made = await rooms.archive.merging.merge(may(rooms), a, b, "One person.")
    target = await rooms.archive.target(rooms.actor("clinician"), first.studies[0])
    assert target.subject_id == b, "decisions are about the survivor"
    viewing = await rooms.archive.open_study(await rooms.may_open(first.studies[0]), first.studies[0])
    await viewing.close()
    await asyncio.sleep(0)
    async with rooms.database.transaction(rooms.hospital) as connection:
        both = await rooms.people.kin_of(connection, b)
        assert both == [b, a] == await rooms.people.kin_of(connection, a)
        together = await rooms.ledger.of_subject(connection, *both, limit=100)
        assert "archive:study:opened" in {event.kind for event in together}
        assert [event.id for event in together] == sorted((event.id for event in together), reverse=True)
        complete = await rooms.ledger.complete_for(connection, *both)
        assert complete.shown == len(together) == sum(part.shown for part in complete.parts)
    await rooms.archive.merging.unmerge(may(rooms), made.id, "Two brothers.")
    assert "archive:study:opened" in await kinds_of(rooms, a), "who looked at it meanwhile is in its own list"
    assert "archive:study:opened" not in await kinds_of(rooms, b)


async def test_a_search_by_either_number_finds_the_whole_person_and_nobody_else(rooms: Rooms, pair) -> None:
    first, second = pair
    stranger = Patient(rooms)
    await stranger.comes()
    by = {each.number: Query("study", (Match(PATIENT_ID, each.number),)) for each in (first, second, stranger)}
    assert set(await rooms.find(by[first.number])) == set(first.studies)
    made = await rooms.archive.merging.merge(may(rooms), await first.own_id(), await second.own_id(), "One person.")
    for number in (first.number, second.number):
        assert set(await rooms.find(by[number])) == {*first.studies, *second.studies}
    narrow = Query("study", (Match(PATIENT_ID, first.number), Match(STUDY_UID, stranger.studies[0])))
    assert await rooms.find(narrow) == []
    assert set(await rooms.find(by[stranger.number])) == set(stranger.studies)
    await rooms.archive.merging.unmerge(may(rooms), made.id, "Two brothers.")
    assert set(await rooms.find(by[first.number])) == set(first.studies)


async def test_no_chain_no_circle_no_stranger_no_reason(rooms: Rooms, pair) -> None:
    first, second = pair
    third = Patient(rooms)
    await third.comes()
    a, b, c = await first.own_id(), await second.own_id(), await third.own_id()
    merging = rooms.archive.merging
    with pytest.raises(ReasonMissing):
        await merging.merge(may(rooms), a, b, "  ")
    with pytest.raises(SubjectNotFound):
        await merging.merge(may(rooms), a, a, "Itself.")
    with pytest.raises(SubjectNotFound):
        await merging.merge(may(rooms), a, uuid4(), "Nobody.")
    with pytest.raises(SubjectNotFound):
        await merging.merge(may(rooms, organisation=rooms.other), a, b, "From another house.")
    with pytest.raises(WrongPermit):
        await merging.merge(may(rooms, "query"), a, b, "With another permit.")
    assert await studies_of(rooms, b) == set(second.studies), "a refusal changes nothing"
    made = await merging.merge(may(rooms), a, b, "One person.")
    assert (await merging.merge(may(rooms), a, b, "Again.")).id == made.id
    for one, other in ((b, a), (b, c), (a, c), (c, a)):
        with pytest.raises(MergeRefused):
            await merging.merge(may(rooms), one, other, "A chain.")
    await merging.merge(may(rooms), c, b, "All three.")
    assert await studies_of(rooms, b) == {*first.studies, *second.studies, *third.studies}
    with pytest.raises(MergeNotFound):
        await merging.unmerge(may(rooms, organisation=rooms.other), made.id, "From another house.")


@pytest.mark.asvs("V2.3.4")
async def test_twice_at_once_and_crosswise_gives_one_merge(rooms: Rooms, pair) -> None:
    first, second = pair
    a, b = await first.own_id(), await second.own_id()
    merging = rooms.archive.merging
    tries = [merging.merge(may(rooms), *each, "At once.") for each in ((a, b), (b, a), (a, b), (b, a))]
    done = await asyncio.gather(*tries, return_exceptions=True)
    made = {each.id for each in done if not isinstance(each, BaseException)}
    assert len(made) == 1
    assert all(isinstance(each, MergeRefused) for each in done if isinstance(each, BaseException))
    assert len(await studies_of(rooms, a)) + len(await studies_of(rooms, b)) == 2


async def test_what_arrives_while_it_is_merged_ends_with_the_survivor(rooms: Rooms) -> None:
    for _ in range(5):
        first, second = Patient(rooms), Patient(rooms, issuer="NH")
        await first.comes()
        await second.comes()
        a, b = await first.own_id(), await second.own_id()
        merging = rooms.archive.merging
        arriving = [first.comes() for _ in range(4)]
        made, *_ = await asyncio.gather(merging.merge(may(rooms), a, b, "Meanwhile."), *arriving)
        assert await studies_of(rooms, b) == {*first.studies, *second.studies}
        arriving = [first.comes() for _ in range(4)]
        await asyncio.gather(merging.unmerge(may(rooms), made.id, "Meanwhile."), *arriving)
        assert await studies_of(rooms, a) == set(first.studies)
        assert await studies_of(rooms, b) == set(second.studies)


@pytest.mark.asvs("V2.3.3")
async def test_cut_short_in_the_middle_it_did_not_happen(rooms: Rooms, pair, monkeypatch) -> None:
    first, second = pair
    a, b = await first.own_id(), await second.own_id()

    async def killed(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(rooms.people, "begin_merge", killed)
    with pytest.raises(RuntimeError):
        await rooms.archive.merging.merge(may(rooms), a, b, "Cut short.")
    monkeypatch.undo()
    assert await studies_of(rooms, a) == set(first.studies)
    assert await rooms.people.merges(may(rooms)) == [] or all(
        each.subject_id != a for each in await rooms.people.merges(may(rooms))
    )
    made = await rooms.archive.merging.merge(may(rooms), a, b, "Once more.")
    monkeypatch.setattr(rooms.people, "end_merge", killed)
    with pytest.raises(RuntimeError):
        await rooms.archive.merging.unmerge(may(rooms), made.id, "Cut short.")
    monkeypatch.undo()
    assert await studies_of(rooms, b) == {*first.studies, *second.studies}


async def test_erasing_the_survivor_erases_all_and_bars_both(rooms: Rooms, pair) -> None:
    first, second = pair
    a, b = await first.own_id(), await second.own_id()
    keys = [each.key for each in await rooms.people.kin(may(rooms), a)]
    await rooms.archive.merging.merge(may(rooms), a, b, "One person.")
    keys += [each.key for each in await rooms.people.kin(may(rooms), b)]
    async with rooms.database.transaction(rooms.hospital) as connection:
        cursor = await connection.execute("select key from study where surviving_id = %s", (b,))
        keys += [KeyRef(bytes(row["key"])) for row in await cursor.fetchall()]
    assert len(set(keys)) == 4
    assert all(rooms.keyring.is_alive(key) for key in keys)
    erasures = await rooms.archive.erase_subject(rooms.may_erase(None, b), b)
    assert len(erasures) == 2
    assert not any(rooms.keyring.is_alive(key) for key in keys)
    for patient in pair:
        for uid in patient.studies:
            (outcome,) = await rooms.store(instance(StudyInstanceUID=uid, **patient.attributes))
            assert outcome.state == "refused"
            with pytest.raises(PermitDenied):
                await rooms.may_open(uid)
    assert "archive:study:erased" in await kinds_of(rooms, a)


async def test_of_a_merged_subject_nothing_is_erased_alone(rooms: Rooms, pair) -> None:
    first, second = pair
    a, b = await first.own_id(), await second.own_id()
    await rooms.archive.merging.merge(may(rooms), a, b, "One person.")
    assert len(await rooms.archive.erase_subject(rooms.may_erase(None, a), a)) == 2, "it is the same human being"


async def test_nothing_is_merged_while_it_is_erased(rooms: Rooms, pair) -> None:
    first, second = pair
    a, b = await first.own_id(), await second.own_id()
    async with rooms.database.transaction(rooms.hospital) as connection:
        await connection.execute(
            "insert into erasure (tenant, study_id, subject_id, surviving_id, key, audit_key, state, started_at)"
            " select tenant, id, subject_id, surviving_id, key, audit_key, 'erasing', now() from study"
            " where subject_id = %s",
            (a,),
        )
    with pytest.raises(MergeRefused) as refused:
        await rooms.archive.merging.merge(may(rooms), a, b, "Too early.")
    assert refused.value.why == "erasing"
    assert "erased" in await rooms.archive.merging.hindrance(may(rooms), a, b)


# By a rule


@pytest.fixture
async def ruled(rooms: Rooms):
    rule = await rooms.people.state_rule(may(rooms, "state_issuer"), "NH")
    rooms.archive.merging._rules.clear()
    yield rule
    if await rooms.people.rule(rooms.hospital) is not None:
        await rooms.archive.merging.end_rule(may(rooms, "state_issuer"), rule.id)
    rooms.archive.merging._rules.clear()


async def test_a_rule_merges_what_is_held_and_its_end_undoes_it(rooms: Rooms) -> None:
    bare = Patient(rooms)
    same, twin = Patient(rooms, issuer="NH", number=bare.number), Patient(rooms)
    other = Patient(rooms, issuer="NH", number=twin.number, PatientBirthDate="19991231")
    for each in (bare, same, twin, other):
        await each.comes()
    admin = may(rooms, "state_issuer")
    preview = await rooms.archive.merging.preview_rule(admin, "NH")
    assert (preview.merged, preview.contradicting) == (1, 1)
    assert await studies_of(rooms, await same.own_id()) == set(same.studies), "a preview does nothing"
    rule = await rooms.people.state_rule(admin, "NH")
    assert await rooms.archive.merging.apply_rule(admin) == preview
    assert await rooms.archive.merging.apply_rule(admin) == type(preview)(0, 0, 1), "again changes nothing"
    assert await studies_of(rooms, await same.own_id()) == {*bare.studies, *same.studies}
    assert await studies_of(rooms, await other.own_id()) == set(other.studies)
    found = await rooms.people.candidates(may(rooms))
    assert {await twin.own_id(), await other.own_id()} in [{each.first.id, each.second.id} for each in found]
    (made,) = await rooms.people.merges(may(rooms), rule_id=rule.id)
    assert "issuer" in made.reason
    assert (await rooms.archive.merging.end_rule(admin, rule.id)).merged == 1
    assert await studies_of(rooms, await same.own_id()) == set(same.studies)
    with pytest.raises(MergeNotFound):
        await rooms.archive.merging.end_rule(admin, rule.id)


async def test_a_rule_is_followed_as_images_arrive(rooms: Rooms, ruled) -> None:
    for first_issuer, second_issuer in (("", "NH"), ("NH", "")):
        number = f"P-{uuid4().hex[:10]}"
        first = Patient(rooms, issuer=first_issuer, number=number)
        second = Patient(rooms, issuer=second_issuer, number=number)
        await first.comes()
        await second.comes()
        stays = second if second_issuer else first
        assert await studies_of(rooms, await stays.own_id()) == {*first.studies, *second.studies}
    foreign = Patient(rooms, issuer="XX", number=number)
    await foreign.comes()
    assert await studies_of(rooms, await foreign.own_id()) == set(foreign.studies)
    nameless = Patient(rooms, number=number, issuer="NH", PatientBirthDate="19111111")
    assert (await nameless.comes()) in await studies_of(rooms, await nameless.own_id())


async def test_what_binds_merges_is_read_once_for_all_that_arrives_together(
    rooms: Rooms, ruled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is as much as there ever was of merges and holds: for each patient anew the work would be its square."""
    bare = [Patient(rooms) for _ in range(5)]
    for each in bare:
        await each.comes()
    looked, really_look = list[Connection](), type(rooms.people).require_whole

    async def require_whole(people: People, connection: Connection) -> None:
        looked.append(connection)
        await really_look(people, connection)

    monkeypatch.setattr(type(rooms.people), "require_whole", require_whole)
    same = [Patient(rooms, issuer="NH", number=each.number) for each in bare]
    sent = [instance(StudyInstanceUID=generate_uid(), **each.attributes) for each in same]
    assert {outcome.state for outcome in await rooms.store(*sent)} == {"stored"}
    assert len(looked) == 1
    for other in same:
        assert len(await studies_of(rooms, await other.own_id())) == 2
    await Patient(rooms).comes()
    assert len(looked) == 1, "what no rule merges costs no look"


async def test_no_rule_merges_where_merges_were_changed_past_the_platform(rooms: Rooms, ruled) -> None:
    bare, again = Patient(rooms), Patient(rooms)
    same, twin = (Patient(rooms, issuer="NH", number=each.number) for each in (bare, again))
    await bare.comes()
    await same.comes()
    lie = "update subject_merge set ended_at = case when ended_at is null then now() end"
    database = rooms.database
    assert isinstance(database, ServedDatabase)
    with psycopg.connect(database.dsn(SUPERUSER), autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("create table kept_merge as select * from subject_merge")
        connection.execute(lie)
        try:
            await again.comes()
            study = await twin.comes()
            with pytest.raises(RowsAltered):
                await rooms.archive.merging.apply_rule(may(rooms, "state_issuer"))
        finally:
            connection.execute("delete from subject_merge")
            connection.execute("insert into subject_merge select * from kept_merge")
            connection.execute("drop table kept_merge")
    assert study in await studies_of(rooms, await twin.own_id()), "what arrived is kept"
    assert await studies_of(rooms, await twin.own_id()) == set(twin.studies), "nothing was merged"
    await rooms.archive.merging.apply_rule(may(rooms, "state_issuer"))
    assert await studies_of(rooms, await twin.own_id()) == {*again.studies, *twin.studies}


async def test_no_rule_merges_again_what_a_person_took_apart(rooms: Rooms, ruled) -> None:
    bare = Patient(rooms)
    same = Patient(rooms, issuer="NH", number=bare.number)
    await bare.comes()
    await same.comes()
    merges = await rooms.people.merges(may(rooms), rule_id=ruled.id)
    stays = await same.own_id()
    made = next(each for each in merges if each.surviving_id == stays)
    await rooms.archive.merging.unmerge(may(rooms), made.id, "Two people with one number.")
    await bare.comes()
    await rooms.archive.merging.apply_rule(may(rooms, "state_issuer"))
    assert await studies_of(rooms, await same.own_id()) == set(same.studies)


async def test_candidates_are_alike_and_a_person_can_say_that_they_are_two(rooms: Rooms) -> None:
    name = f"Zoë{uuid4().hex[:6].translate(str.maketrans('0123456789', 'ghijklmnop'))}^Anna"
    first = Patient(rooms, name=name, PatientSex="F")
    alike = Patient(rooms, name=name.upper() + "^MARIA", PatientSex="")
    brother = Patient(rooms, name=name, PatientSex="M")
    older = Patient(rooms, name=name, PatientBirthDate="19301212")
    for each in (first, alike, brother, older):
        await each.comes()

    async def found() -> set[frozenset[UUID]]:
        ours = {await each.own_id() for each in (first, alike, brother, older)}
        pairs = [frozenset({each.first.id, each.second.id}) for each in await rooms.people.candidates(may(rooms))]
        return {pair for pair in pairs if pair & ours}

    a, b, c = await first.own_id(), await alike.own_id(), await brother.own_id()
    assert await found() == {frozenset({a, b}), frozenset({b, c})}
    async with rooms.database.transaction(rooms.hospital) as connection:
        await connection.execute("update subject set likeness_token = null where id = %s", (b,))
    assert await found() == {frozenset({a, b}), frozenset({b, c})}, "what was made before is learnt"
    await rooms.people.set_apart(may(rooms), b, a)
    assert await found() == {frozenset({b, c})}
    await rooms.archive.merging.merge(may(rooms), b, c, "One person.")
    assert await found() == set()
    pairs = await rooms.people.candidates(may(rooms))
    assert (await rooms.events("people:subjects:compared"))[0].counts == {"pairs": len(pairs)}, "and the ledger says so"
