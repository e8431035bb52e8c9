"""Proposing, agreeing, withdrawing: by whom, to what, and when."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from tests.common.servers import ServedDatabase
from tests.unit.notice.test_service import Allowed, Book, Somebody, named
from troth import notice as room
from troth.kit import clock
from troth.kit.db import Database
from troth.vault import Keyring

WORDS = ("says: Nothing changes unseen.", "says: Nothing ever changes unseen.")


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def notices(database: Database, keyring: Keyring, book: Book) -> room.Notices:
    return room.Notices(database, keyring, book)


@pytest.fixture
def proposals(database: Database, book: Book, notices: room.Notices) -> room.Proposals:
    return room.Proposals(database, book, notices)


@pytest.fixture(autouse=True)
def each_test_has_notices_of_its_own(database: ServedDatabase) -> None:
    """Notices of one deployment go together, and a proposal is held against all of them."""
    with psycopg.connect(database.dsn("troth_owner"), autocommit=True) as connection:
        connection.execute("truncate notice_proposal, notice_version cascade")


def soon(days: int = 1) -> str:
    return str(clock.today() + timedelta(days=days))


async def test_one_proposes_another_agrees(notices: room.Notices, proposals: room.Proposals, book: Book) -> None:
    await notices.put_in_force(Allowed(), named("agreed"))
    first, second = Allowed(), Allowed()
    made = await proposals.propose(first, named("agreed", 2, soon(), WORDS))
    assert made.is_open
    assert [change.clause_id for change in made.difference] == ["1.1"]
    with pytest.raises(room.ProposalOpen):
        await proposals.propose(second, named("agreed", 3, soon(), WORDS))
    for permit in (first, Allowed(first.actor), Allowed(Somebody(None)), Allowed(action="retrieve")):
        with pytest.raises(room.SecondPersonMissing):
            await proposals.agree(permit, made.id, made.sha256)
    with pytest.raises(room.ProposalOver):
        await proposals.agree(second, made.id, bytes(32))
    with pytest.raises(room.ProposalNotFound):
        await proposals.agree(second, uuid4(), made.sha256)
    done = await proposals.agree(second, made.id, made.sha256)
    assert (done.state, done.decided_by) == ("agreed", second.actor.id)
    version = (await notices.versions("agreed"))[0]
    assert (version.id, version.published_by, version.second_person) == (
        done.version_id, first.actor.id, second.actor.id,
    )  # fmt: skip
    assert not version.is_material
    assert done.version_id in await notices.changes()
    for verb in (proposals.agree(second, made.id, made.sha256), proposals.withdraw(second, made.id)):
        with pytest.raises(room.ProposalOver):
            await verb
    assert [entry.kind for entry in book.entries][-2:] == ["notice:version:proposed", "notice:version:published"]
    assert made.id in [each.id for each in await proposals.all()]


async def test_people_raise_what_the_comparison_does_not_see(notices: room.Notices, proposals: room.Proposals) -> None:
    await notices.put_in_force(Allowed(), named("raised"))
    made = await proposals.propose(Allowed(), named("raised", 2, soon(), WORDS))
    assert not made.is_material
    await proposals.agree(Allowed(), made.id, made.sha256, is_material=True)
    assert (await notices.versions("raised"))[0].is_material
    third = named("raised", 3, soon(), ("Nothing changes unseen.", "No change."))
    assert (await proposals.propose(Allowed(), third, is_material=True)).is_material


async def test_what_cannot_be_proposed(notices: room.Notices, proposals: room.Proposals) -> None:
    await notices.put_in_force(Allowed(), named("cannot", 3, soon(5)))
    for notice, fault in (
        (named("cannot", 3, soon(6), WORDS), room.NoticeConflict),
        (named("cannot", 4, soon(4), WORDS), room.NoticeConflict),
        (named("cannot", 4, soon(6)), room.NothingChanged),
        (named("cannot", 4, str(clock.today() - timedelta(days=2)), WORDS), room.DayPassed),
        (named("cannot", 4, soon(6), ("id: 1.1", "id: 7.1"), WORDS), room.NoticeMalformed),
    ):
        with pytest.raises(fault):
            await proposals.propose(Allowed(), notice)
    for permit in (Allowed(Somebody(None)), Allowed(action="retrieve")):
        with pytest.raises(room.SecondPersonMissing):
            await proposals.propose(permit, named("cannot", 4, soon(6), WORDS))
    assert "cannot" not in [each.notice.name for each in await proposals.all()]


async def test_the_time_promised_before_a_change_is_kept(notices: room.Notices, proposals: room.Proposals) -> None:
    promise = ("tells: [posted]", "tells: [posted], before: P30D")
    await notices.put_in_force(Allowed(), named("ahead", 1, "2026-11-01", promise))
    with pytest.raises(room.DayPassed):
        await proposals.propose(Allowed(), named("ahead", 2, soon(29), promise, WORDS))
    assert (await proposals.propose(Allowed(), named("ahead", 2, soon(31), promise, WORDS))).is_open


async def test_withdrawn_or_overtaken_is_over(notices: room.Notices, proposals: room.Proposals) -> None:
    await notices.put_in_force(Allowed(), named("over"))
    made = await proposals.propose(Allowed(), named("over", 2, soon(), WORDS))
    with pytest.raises(room.SecondPersonMissing):
        await proposals.withdraw(Allowed(action="retrieve"), made.id)
    await proposals.withdraw(Allowed(), made.id)
    with pytest.raises(room.ProposalOver):
        await proposals.agree(Allowed(), made.id, made.sha256)
    late = await proposals.propose(Allowed(), named("over", 2, soon(), WORDS))
    with clock.moved(timedelta(days=3)), pytest.raises(room.ProposalOver):
        await proposals.agree(Allowed(), late.id, late.sha256)


async def test_a_first_version_can_be_proposed_too(notices: room.Notices, proposals: room.Proposals) -> None:
    made = await proposals.propose(Allowed(), named("brand-new", 1, soon()))
    assert made.before is None
    assert len(made.difference) == 0
    await proposals.agree(Allowed(), made.id, made.sha256)
    assert [each.number for each in await notices.versions("brand-new")] == [1]


def test_a_version_counts_from_the_first_day_that_the_notice_before_it_leaves() -> None:
    today = clock.now().astimezone(named("days").zone).date()
    assert room.earliest(named("days", 1, str(today))) == today
    assert room.earliest(named("days", 1, soon(5))) == today + timedelta(days=5)
    words = (WORDS[0], f"before: P30D, {WORDS[0]}")
    assert room.earliest(named("days", 1, str(today), words)) == today + timedelta(days=30)
