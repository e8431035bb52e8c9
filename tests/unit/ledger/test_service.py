"""Writing, reading, proving and following, on a real database."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.unit.ledger.conftest import Deployment, Scope
from troth import ledger
from troth.kit import clock
from troth.ledger import (
    Arrival,
    EventNotFound,
    NotSequenced,
    OffsetBeyond,
    TreeBroken,
    UnknownKind,
    WrongScope,
    merkle,
    store,
)

SUBJECT = UUID(int=0x5)
STUDY = UUID(int=0x6)


async def call(deployment: Deployment, verb: str, *given: Any, tenant: UUID | None = None, **named: Any) -> Any:
    async with deployment.database.transaction(Scope(tenant or deployment.tenant)) as connection:
        return await getattr(deployment.ledger, verb)(connection, *given, **named)


async def fill(deployment: Deployment, count: int) -> list[UUID]:
    entries = [
        deployment.entry(
            subject_id=SUBJECT,
            study_id=STUDY,
            key=deployment.key,
            payload={"name": f"Jäne {number}", "uid": "1.2"},
            decision_id=uuid4(),
            counts={"number": number},
        )
        for number in range(count)
    ]
    return await deployment.append(*entries)


@pytest.mark.parametrize("count", [1, 2, 250])
async def test_what_was_written_is_read(deployment: Deployment, count: int) -> None:
    ids = await fill(deployment, count)
    events = await call(deployment, "of_subject", SUBJECT, limit=1000)
    assert [event.id for event in events] == ids[::-1]
    assert ids == sorted(ids)
    newest = events[0]
    assert newest.payload == {"name": f"Jäne {count - 1}", "uid": "1.2"}
    assert newest.counts == {"number": count - 1}
    assert newest.clauses == ("4.1", "5.1")
    assert (newest.role, newest.purpose, newest.outcome) == ("clinician", "diagnosis", "done")
    assert newest.sentence == "The study was opened."
    assert (newest.index, newest.checkpoint_size, newest.subject_seq) == (None, None, None)
    await deployment.sequencer.drain()
    events = await call(deployment, "of_study", STUDY, limit=1000)
    assert [event.index for event in events] == list(range(count))[::-1]
    assert [event.subject_seq for event in events] == list(range(1, count + 1))[::-1]
    assert {event.checkpoint_size for event in events} == {count}


async def test_what_is_written_alone_is_read(deployment: Deployment) -> None:
    entries = [
        deployment.entry(subject_id=SUBJECT, key=deployment.key, payload={"name": 'Jäne \\ "{'}, counts={"number": one})
        for one in range(2)
    ]
    scope = Scope(deployment.tenant)
    ids = await deployment.ledger.write(deployment.database, scope, entries)
    appended = await deployment.append(deployment.entry(subject_id=SUBJECT))
    assert ids + appended == sorted(ids + appended)
    events = (await call(deployment, "of_subject", SUBJECT))[::-1]
    assert [event.id for event in events] == ids + appended
    assert [(event.payload, event.counts, event.clauses) for event in events[:2]] == [
        ({"name": 'Jäne \\ "{'}, {"number": one}, ("4.1", "5.1")) for one in range(2)
    ]
    assert await deployment.sequencer.drain() == 3
    assert not (await deployment.verify()).broken


async def test_nothing_is_written_alone_in_the_space_of_another(deployment: Deployment) -> None:
    with pytest.raises(WrongScope):
        await deployment.ledger.write(deployment.database, Scope(uuid4()), [deployment.entry(subject_id=SUBJECT)])
    assert await call(deployment, "of_subject", SUBJECT) == []


async def test_nothing_to_write_is_nothing_written(deployment: Deployment) -> None:
    assert await call(deployment, "append_many", []) == []
    assert await call(deployment, "of_subject", SUBJECT) == []


@pytest.mark.asvs("V2.3.3")
async def test_an_entry_lives_and_dies_with_its_transaction(deployment: Deployment) -> None:
    with pytest.raises(RuntimeError):
        async with deployment.database.transaction(Scope(deployment.tenant)) as connection:
            await deployment.ledger.append(connection, deployment.entry())
            raise RuntimeError
    assert await call(deployment, "latest") == []
    assert await deployment.sequencer.drain() == 0


async def test_pages_follow_one_another(deployment: Deployment) -> None:
    ids = await fill(deployment, 5)
    first = await call(deployment, "of_subject", SUBJECT, limit=2)
    second = await call(deployment, "of_subject", SUBJECT, limit=2, before=first[-1].id)
    assert [event.id for event in (*first, *second)] == ids[::-1][:4]
    assert [event.id for event in await call(deployment, "of_study", STUDY, before=ids[1])] == ids[:1]
    assert [event.id for event in await call(deployment, "latest", before=ids[1])] == ids[:1]


async def test_the_latest_of_a_scope(deployment: Deployment) -> None:
    (opened,) = await fill(deployment, 1)
    closed = await deployment.append_one(kind="archive:viewing:closed")
    on_platform = await deployment.append_one(kind="main:backup:made", tenant=None)
    assert [event.id for event in await call(deployment, "latest")] == [closed, opened]
    assert [event.id for event in await call(deployment, "latest", kinds={"archive:study:opened"})] == [opened]
    async with deployment.database.transaction(None) as connection:
        (event,) = await deployment.ledger.latest(connection)
    assert (event.id, event.tenant, event.payload) == (on_platform, None, None)
    with pytest.raises(UnknownKind):
        await call(deployment, "latest", kinds={"archive:study:seen"})


async def test_a_destroyed_key_leaves_an_event_without_payload(deployment: Deployment) -> None:
    (event_id,) = await fill(deployment, 1)
    await deployment.sequencer.drain()
    assert (await call(deployment, "event", event_id)).payload is not None
    deployment.keyring.destroy(deployment.key)
    event = await call(deployment, "event", event_id)
    assert (event.payload, event.is_shredded, event.is_damaged) == (None, True, False)
    assert (await call(deployment, "complete_for", SUBJECT)).is_complete
    ledger.verify_inclusion(await call(deployment, "prove", event_id), deployment.ledger.verifier_key)


async def test_a_payload_opens_in_its_own_row_only(deployment: Deployment) -> None:
    first, second = await fill(deployment, 2)
    deployment.tamper(
        "update ledger_entry e set payload = (select payload from ledger_entry where id = %s) where id = %s",
        (first, second),
    )
    assert (await call(deployment, "event", first)).is_damaged is False
    event = await call(deployment, "event", second)
    assert (event.payload, event.is_shredded, event.is_damaged) == (None, False, True)


async def test_an_event_of_another_tenant_is_not_there(deployment: Deployment) -> None:
    (event_id,) = await fill(deployment, 1)
    await deployment.sequencer.drain()
    for verb in ("event", "prove"):
        await call(deployment, verb, event_id)
        for absent, tenant in ((event_id, UUID(int=0xB)), (uuid4(), deployment.tenant)):
            with pytest.raises(EventNotFound):
                await call(deployment, verb, absent, tenant=tenant)
    assert await call(deployment, "of_subject", SUBJECT, tenant=UUID(int=0xB)) == []
    assert (await call(deployment, "complete_for", SUBJECT, tenant=UUID(int=0xB))).held == 0


async def test_proofs_hold_for_every_event_and_checkpoint(deployment: Deployment) -> None:
    ids = await fill(deployment, 3)
    with pytest.raises(NotSequenced):
        await call(deployment, "prove", ids[0])
    assert await call(deployment, "checkpoint") is None
    await deployment.sequencer.drain()
    old = await call(deployment, "checkpoint")
    ids += await fill(deployment, 300)
    with pytest.raises(NotSequenced):
        await call(deployment, "prove", ids[3])
    await deployment.sequencer.drain()
    new = await call(deployment, "checkpoint")
    for event_id in ids[::50]:
        proof = await call(deployment, "prove", event_id)
        ledger.verify_inclusion(proof, deployment.ledger.verifier_key)
        assert proof.size == 303
    path = await call(deployment, "prove_consistency", 3, 303)
    assert merkle.proves_consistency(3, 303, path, old.root, new.root)
    assert await call(deployment, "checkpoint", 3) == old
    assert len(await call(deployment, "tile", 0, 0)) == 8192
    assert len(await call(deployment, "tile", 0, 1, 47)) == 47 * 32
    assert await call(deployment, "tile", 0, 1) is None
    assert await call(deployment, "tile", 9, 9) is None
    deployment.tamper("delete from ledger_tile where level = 0 and index = 0")
    with pytest.raises(TreeBroken):
        await call(deployment, "prove", ids[0])
    with pytest.raises(TreeBroken):
        await call(deployment, "prove_all", ids)


async def test_an_access_list_is_complete(deployment: Deployment) -> None:
    assert (await call(deployment, "complete_for", SUBJECT)).is_complete
    await fill(deployment, 2)
    waiting = await call(deployment, "complete_for", SUBJECT)
    assert (waiting.shown, waiting.held, waiting.pending, waiting.head) == (2, 2, 2, None)
    await deployment.sequencer.drain()
    await fill(deployment, 600)
    await deployment.append_one(subject_id=UUID(int=0x55))
    both = await call(deployment, "complete_for", SUBJECT)
    assert (both.shown, both.held, both.pending) == (602, 602, 600)
    assert both.is_complete
    await deployment.sequencer.drain()
    whole = await call(deployment, "complete_for", SUBJECT)
    assert (whole.shown, whole.held, whole.pending) == (602, 602, 0)
    assert whole.is_complete
    assert whole.head is not None
    with clock.moved(timedelta(minutes=-5)):
        await fill(deployment, 1)
    late = await call(deployment, "complete_for", SUBJECT)
    assert [broken.what for broken in late.broken] == ["in no leaf"]


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("update ledger_entry set purpose = 'care' where id = %(id)s", "changed: purpose"),
        ("delete from ledger_entry where id = %(id)s", "missing before: entries 2 and on of this subject"),
        ("delete from ledger_entry where id = %(last)s", "the chain ends at 3 of 4"),
        (
            "update ledger_leaf set subject_prev = '' where entry_id = %(id)s",
            "changed: subject_prev / the entry before it is another one",
        ),
        ("delete from ledger_subject", "the chain ends at 4 of 0"),
    ],
)
async def test_an_access_list_is_not_complete(deployment: Deployment, query: str, what: str) -> None:
    ids = await fill(deployment, 4)
    await deployment.sequencer.drain()
    assert (await call(deployment, "complete_for", SUBJECT)).is_complete
    deployment.tamper(query, {"id": ids[1], "last": ids[3]})
    found = await call(deployment, "complete_for", SUBJECT)
    assert not found.is_complete
    assert " / ".join(broken.what for broken in found.broken) == what


async def test_the_feed_gives_everything_once_and_in_order(deployment: Deployment) -> None:
    empty = await call(deployment, "follow", -1, {"archive:study:opened"})
    assert (empty.events, empty.offset, empty.is_at_end) == ((), -1, True)
    opened = await fill(deployment, 3)
    await deployment.append_one(kind="archive:viewing:closed")
    await deployment.append_one(tenant=UUID(int=0xB))
    opened += await fill(deployment, 2)
    await deployment.sequencer.drain()
    seen, offset, is_at_end = [], -1, False
    while not is_at_end:
        feed = await call(deployment, "follow", offset, {"archive:study:opened"}, window=2)
        seen, offset, is_at_end = [*seen, *feed.events], feed.offset, feed.is_at_end
    assert [event.id for event in seen] == opened
    assert [event.index for event in seen] == [0, 1, 2, 5, 6]
    assert {event.payload for event in seen} == {None}
    assert offset == 6
    again = await call(deployment, "follow", offset, {"archive:study:opened"})
    assert (again.events, again.offset, again.is_at_end) == ((), 6, True)
    with pytest.raises(UnknownKind):
        await call(deployment, "follow", offset, {"archive:study:seen"})


async def test_the_feed_stops_at_a_limit_and_refuses_what_it_never_gave(deployment: Deployment) -> None:
    with pytest.raises(OffsetBeyond):
        await call(deployment, "follow", 0, {"archive:study:opened"})
    opened = await fill(deployment, 3)
    await deployment.append_one(kind="archive:viewing:closed")
    await deployment.sequencer.drain()
    feed = await call(deployment, "follow", -1, {"archive:study:opened"}, limit=2)
    assert ([event.id for event in feed.events], feed.offset, feed.is_at_end) == (opened[:2], 1, False)
    feed = await call(deployment, "follow", feed.offset, {"archive:study:opened"}, limit=2)
    assert ([event.id for event in feed.events], feed.offset, feed.is_at_end) == (opened[2:], 3, True)
    with pytest.raises(OffsetBeyond):
        await call(deployment, "follow", 4, {"archive:study:opened"})


async def test_whoever_listens_hears_what_got_its_place_and_nothing_of_what_it_says(deployment: Deployment) -> None:
    heard = asyncio.Event()
    told: list[Arrival] = []

    async def listen() -> None:
        async for arrival in deployment.ledger.arrivals(deployment.database, heard.set):
            told.append(arrival)

    listening = asyncio.create_task(listen())
    await heard.wait()
    await fill(deployment, 2)
    await deployment.append_one(kind="main:backup:made", tenant=None)
    await asyncio.sleep(0.2)
    assert told == [], "what has no place yet cannot be read yet"
    await deployment.sequencer.drain()
    while len(told) < 2:
        await asyncio.sleep(0.01)
    assert {*told} == {Arrival(deployment.tenant, "archive:study:opened"), Arrival(None, "main:backup:made")}
    listening.cancel()
    await asyncio.wait([listening])


async def test_an_access_list_is_complete_while_the_sequencer_works(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that gets its place between two reads is not counted twice."""
    await fill(deployment, 3)
    read = store.select_of_subjects

    async def read_then_sequence(*arguments: Any) -> list[Any]:
        rows = await read(*arguments)
        await deployment.sequencer.drain()
        return rows

    monkeypatch.setattr(store, "select_of_subjects", read_then_sequence)
    seen = await call(deployment, "complete_for", SUBJECT)
    assert seen.is_complete
    assert (seen.shown, seen.held, seen.pending) == (3, 3, 0)


async def test_many_proofs_are_those_that_one_by_one_would_give(deployment: Deployment) -> None:
    ids = await fill(deployment, 5)
    await deployment.sequencer.drain()
    waiting = await fill(deployment, 1)
    found = await call(deployment, "prove_all", [*ids, *waiting, uuid4()])
    assert set(found) == set(ids)
    for event_id in ids:
        one = await call(deployment, "prove", event_id)
        assert found[event_id] == one
        ledger.verify_inclusion(found[event_id], deployment.ledger.verifier_key)


async def test_before_the_first_checkpoint_nothing_is_proved(deployment: Deployment) -> None:
    assert await call(deployment, "prove_all", await fill(deployment, 2)) == {}


async def test_a_function_of_the_database_writes_the_same_entries(deployment: Deployment) -> None:
    """What `append_many` writes row by row, `ledger_append` takes as one parameter, with nothing lost or altered."""
    given = {"subject_id": SUBJECT, "study_id": STUDY, "key": deployment.key, "decision_id": uuid4()}
    entries = [deployment.entry(**given, payload={"name": "Jäne"}, counts={"instances": number}) for number in (1, 2)]
    entries.append(deployment.entry(subject_id=SUBJECT))
    [*ids] = await deployment.append(*entries)
    sealed = deployment.ledger.sealed(entries)
    assert "Jäne".encode() not in sealed
    async with deployment.database.transaction(Scope(deployment.tenant)) as connection:
        row = await (
            await connection.execute("select ledger_append(%s::jsonb) as count", (sealed.decode(),))
        ).fetchone()
        assert row == {"count": 3}
    events = (await call(deployment, "of_subject", SUBJECT, limit=10))[::-1]
    assert [event.id for event in events[:3]] == ids
    plain = [
        {name: getattr(event, name) for name in ("kind", "payload", "counts", "clauses", "purpose", "role", "study_id",
                                                 "actor_id", "decision_id", "outcome")}
        for event in events
    ]  # fmt: skip
    assert plain[:3] == plain[3:]
    await deployment.sequencer.drain()
    assert (await call(deployment, "complete_for", SUBJECT)).is_complete


async def test_a_list_that_grows_at_every_look_is_told_as_it_was_last_seen(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever for a moment at which nothing moves."""
    await fill(deployment, 1)
    looks = iter(range(1000))

    async def always_another(connection: Any, subject_id: UUID) -> Any:
        return {"held": next(looks), "head": None}

    monkeypatch.setattr(store, "select_subject", always_another)
    seen = await call(deployment, "complete_for", SUBJECT)
    assert (seen.shown, seen.pending) == (1, 1)
    assert next(looks) == 40, "twenty looks, each between two counts"
