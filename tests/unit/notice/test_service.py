from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.unit.notice.edits import clause_of
from troth import notice as room
from troth.kit import clock
from troth.kit.db import Connection, Database
from troth.ledger import Entry
from troth.vault import Keyring


@dataclass(frozen=True)
class Somebody:
    id: UUID | None = field(default_factory=uuid4)
    kind: str = "user"
    role: str = "admin"
    tenant: UUID | None = None
    name: str = "A. Person"
    organisation: str = "Example"
    session_id: UUID | None = None
    surface: str = "portal"


@dataclass(frozen=True)
class Allowed:
    actor: Somebody = field(default_factory=Somebody)
    action: str = "publish_notice"
    purpose: str = "administration"
    tenant: UUID | None = field(default_factory=uuid4)
    grounds: tuple[str, ...] = ("4.5",)
    notice_version: str = "small 1"
    decision_id: UUID = field(default_factory=uuid4)


class Book:
    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def append(self, connection: Connection, entry: Entry) -> UUID:
        self.entries.append(entry)
        return uuid4()

    async def require_whole(self, connection: Connection, *registers: str) -> None:
        """It has no rows to compare with."""


SOURCE = """
notice: small
version: 1
effective_on: 2026-11-01
deployment: Example
language: en-GB
zone: Europe/London
surfaces: [site]
covers:
  - {audience: patients, title: For patients, lead: All of it.}
  - {audience: users, title: For users, lead: All of it.}
sections:
  - number: 1
    title: Changes
    clauses:
      - {id: 1.1, kind: amendment, tells: [posted], says: Nothing changes unseen.}
"""


def named(name: str, version: int = 1, effective_on: str = "2026-11-01", *swaps: tuple[str, str]) -> room.Notice:
    source = SOURCE.replace("notice: small\n", f"notice: {name}\n").replace("version: 1\n", f"version: {version}\n")
    source = source.replace("effective_on: 2026-11-01\n", f"effective_on: {effective_on}\n")
    for before, after in swaps:
        assert before in source
        source = source.replace(before, after)
    return room.parse(source, f"{name}.yaml")


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def notices(database: Database, keyring: Keyring, book: Book) -> room.Notices:
    return room.Notices(database, keyring, book)


async def test_begin_then_change_with_two_people(notices: room.Notices, keyring: Keyring, book: Book) -> None:
    one = named("two-people")
    first = await notices.put_in_force(Allowed(Somebody(None, "system", "operator")), one)
    assert (first.number, first.is_founding, first.published_by) == (1, True, None)
    assert first.sha256 == hashlib.sha256(one.source.encode()).digest()
    assert await notices.put_in_force(Allowed(), one) == first
    two = named("two-people", 2)
    with pytest.raises(room.NoticeConflict):
        await notices.put_in_force(Allowed(), two)
    permit, second_person = Allowed(), Allowed()
    second = await notices.publish(permit, two, second_person)
    assert (second.published_by, second.second_person, second.is_founding) == (
        permit.actor.id,
        second_person.actor.id,
        False,
    )
    assert await notices.publish(Allowed(), two, Allowed()) == second
    for version in await notices.versions("two-people"):
        assert version.is_signed_by(keyring.public_key)
        assert not version.is_signed_by(bytes(31) + b"\x01")
    assert [entry.kind for entry in book.entries] == ["notice:version:published"] * 2
    assert book.entries[1].counts["number"] == 2
    assert book.entries[1].actor_id == permit.actor.id


async def test_publishing_takes_two_different_people_who_may(notices: room.Notices, book: Book) -> None:
    notice = named("who-may")
    permit = Allowed()
    for second in (permit, Allowed(permit.actor), Allowed(Somebody(None)), Allowed(action="retrieve")):
        with pytest.raises(room.SecondPersonMissing):
            await notices.publish(permit, notice, second)
    with pytest.raises(room.SecondPersonMissing):
        await notices.put_in_force(Allowed(action="retrieve"), notice)
    assert await notices.versions("who-may") == []
    assert book.entries == []
    assert (await notices.publish(permit, notice, Allowed())).number == 1


async def test_a_number_is_used_once(notices: room.Notices) -> None:
    await notices.publish(Allowed(), named("numbers", 3), Allowed())
    for number in (2, 3):
        with pytest.raises(room.NoticeConflict) as caught:
            await notices.publish(
                Allowed(), named("numbers", number, "2026-11-01", ("Nothing changes unseen.", "All is new.")), Allowed()
            )
        assert "4" in caught.value.hint


async def test_what_has_problems_is_not_published(
    notices: room.Notices, changed: Callable[[Callable[[dict[str, Any]], Any]], room.Notice]
) -> None:
    broken = changed(lambda n: clause_of(n, "4.1").update(retention=["forever"]))
    before = await notices.versions()
    with pytest.raises(room.NoticeMalformed):
        await notices.publish(Allowed(), broken, Allowed())
    with pytest.raises(room.NoticeMalformed):
        await notices.put_in_force(Allowed(), broken)
    assert await notices.versions() == before


async def test_in_force_from_its_day_on_and_for_its_audience(database: Database, keyring: Keyring, book: Book) -> None:
    notices = room.Notices(database, keyring, book)
    today = clock.today()
    soon = named(
        "zz-later",
        8,
        str(today + timedelta(days=2)),
        ("  - {audience: users, title: For users, lead: All of it.}\n", ""),
    )
    now = named("zz-later", 7, str(today))
    await notices.publish(Allowed(), now, Allowed())
    await notices.publish(Allowed(), soon, Allowed())
    assert (await notices.in_force("patients")).number == 7
    with clock.moved(timedelta(days=3)):
        assert (await notices.in_force("patients")).number == 8
        assert (await notices.in_force("users")).name != "zz-later", "a newer version stands for the whole notice"
        assert [each.number for each in await notices.current() if each.name == "zz-later"] == [8]
    with clock.moved(timedelta(days=-3650)), pytest.raises(room.NothingInForce):
        await notices.in_force("patients")
    assert (await room.Notices(database, keyring, book).in_force()).notice.clauses == now.clauses
    assert (await notices.version(8, "zz-later")).effective_on > date(2026, 1, 1)
    with pytest.raises(room.VersionNotFound):
        await notices.version(99)


async def test_what_was_published_cannot_be_altered(notices: room.Notices, database: Database) -> None:
    await notices.publish(Allowed(), named("stone"), Allowed())
    for statement in ("update notice_version set number = 9", "delete from notice_version", "truncate notice_version"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.transaction(None) as connection:
                await connection.execute(statement)


async def test_if_the_ledger_fails_nothing_is_published(database: Database, keyring: Keyring) -> None:
    class Torn(Book):
        async def append(self, connection: Connection, entry: Entry) -> UUID:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await room.Notices(database, keyring, Torn()).publish(Allowed(), named("torn"), Allowed())
    assert await room.Notices(database, keyring, Book()).versions("torn") == []


async def test_the_real_ledger_takes_the_entry(database: Database, keyring: Keyring) -> None:
    from troth.ledger import Ledger

    version = await room.Notices(database, keyring, Ledger(keyring)).publish(Allowed(), named("real"), Allowed())
    assert version.number == 1


class Rows:
    """Somebody who holds the database and no key: changes rows past the platform, and puts them back."""

    def __init__(self, database: Any, postgres: Any) -> None:
        self.dsn = postgres.dsn("troth_super", database.name)

    def change(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            assert connection.execute(statement, values).rowcount == 1  # type: ignore[arg-type]


ALTERED = (
    "source = replace(source, 'Nothing changes unseen.', 'Anything goes.')",
    "source = replace(source, 'Nothing changes unseen.', 'Anything goes.'),"
    " sha256 = sha256(convert_to(replace(source, 'Nothing changes unseen.', 'Anything goes.'), 'utf8'))",
    "source = 'no notice at all: ['",
    "effective_on = effective_on - 1",
    "signature = decode(repeat('00', 64), 'hex')",
    "second_person = gen_random_uuid()",
)


@pytest.mark.parametrize("change", ALTERED)
async def test_a_version_that_was_altered_is_not_loaded_and_the_one_before_stays_in_force(
    database: Any, postgres: Any, keyring: Keyring, book: Book, change: str
) -> None:
    notices = room.Notices(database, keyring, book)
    name = f"altered-{ALTERED.index(change)}"
    await notices.put_in_force(Allowed(), named(name))
    second = await notices.publish(Allowed(), named(name, 2, "2026-11-02"), Allowed())

    async def said() -> list[int]:
        started = room.Notices(database, keyring, book)  # as after a restart
        return [version.number for version in await started.current() if version.name == name]

    assert await said() == [2]
    assert await notices.altered() == []
    Rows(database, postgres).change(f"update notice_version set {change} where id = %s", second.id)

    assert await said() == [1]
    assert [version.number for version in await room.Notices(database, keyring, book).versions(name)] == [1]
    assert await notices.altered() == [(second.id, name, 2)]
    with pytest.raises(room.NoticeAltered):  # nothing is built on it
        await room.Notices(database, keyring, book).publish(Allowed(), named(name, 3, "2026-11-03"), Allowed())
    Rows(database, postgres).change("delete from notice_version where id = %s", second.id)


async def test_where_no_version_is_what_was_signed_nothing_is_served_and_nothing_starts(
    database: Any, postgres: Any, keyring: Keyring, book: Book
) -> None:
    only = await room.Notices(database, keyring, book).put_in_force(Allowed(), named("lost"))
    rows = Rows(database, postgres)
    rows.change("update notice_version set source = replace(source, 'unseen', 'seen') where id = %s", only.id)
    started = room.Notices(database, keyring, book)
    with pytest.raises(room.NoticeAltered):
        await started.current()
    with pytest.raises(room.NoticeAltered):
        await started.put_in_force(Allowed(), named("lost"))
    rows.change("update notice_version set source = replace(source, 'seen', 'unseen') where id = %s", only.id)
    assert "lost" in {version.name for version in await room.Notices(database, keyring, book).current()}
