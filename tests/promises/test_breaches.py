"""A promise that was broken is answered for by two people; it stays in the history, and what comes after it breaks."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from tests.common.deployment import Deployment, OpenDeployment, Person
from tests.common.platform import OneDatabase
from tests.promises.test_changes import next_version
from troth import policy
from troth.kit import clock
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.main import beside, commands
from troth.main.reminders import Reminders
from troth.people import Organisation
from troth.proofs import Breach, BreachNotFound, Proven, Standing

BREAKS = "everything: what nobody decided is done, to have something to answer for"
WORDS = {"act": "explain", "happened": "A program read without its clause", "done": "It was ended; the clinic was told"}
DEPLOYMENTS = ("imaging-cloud", "imaging-host", "equipment-maker", "terminology-vendor")


@pytest.fixture(params=DEPLOYMENTS)
async def any_place(request: pytest.FixtureRequest, open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment(request.param)


@pytest.fixture
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-cloud")


def house_of(place: Deployment) -> Organisation:
    return next(each for each in place.organisations if each.operates)


async def done_without_ground(place: Deployment) -> None:
    """An act for the activity of running the service that no clause grants, past every door."""
    house = house_of(place)
    permit = place.set_up_permit("merge", policy.Target("organisation", house.id, house.id))
    entry = policy.entry(permit, "people:contacts:listed", key=house.key)
    await place.rooms.ledger.write(place.rooms.database, permit, [entry])


async def stands(place: Deployment) -> Proven:
    """The promise about running the service."""
    report = next(each for each in (await place.looked()).reports if each.notice == notice_of(place))
    clause = next(each for each in (await place.rooms.notices.current()) if each.name == report.notice)
    key = clause.notice.find("purpose", "administration")
    assert key is not None
    return next(each for each in report.promises if each.clause_id == key.id)


def notice_of(place: Deployment) -> str:
    return place.rooms.settings.notice[0].name


async def breach_of(person: Person, clause: str) -> str:
    page = (await person.web.get("/office/breaches")).text
    found = re.search(rf'id="h([0-9a-f-]+)"><a class="cl" href="[^"]+">§&nbsp;{re.escape(clause)}</a> of', page)
    assert found is not None, page
    return found[1]


async def pressed(person: Person, where: str, act: str) -> httpx.Response:
    """Press a button below the words that somebody has before them."""
    return await person.post(where, {"act": act, "words": await words_before(person)}, page="/office/breaches")


async def words_before(person: Person) -> str:
    found = re.search(r'name="words" value="([0-9a-f]+)"', (await person.web.get("/office/breaches")).text)
    return found[1] if found else ""


@pytest.mark.parametrize("act", ["agree", "back"])
async def test_nobody_answers_to_words_that_they_never_saw(place: Deployment, act: str) -> None:
    house = house_of(place)
    first, second = await place.staff("office", house), await place.staff("office", house)
    await done_without_ground(place)
    where = f"/office/breaches/{await breach_of(first, (await stands(place)).clause_id)}"
    await first.post(where, WORDS, page="/office/breaches")
    read = await words_before(second)
    await first.post(where, {**WORDS, "happened": "Nothing happened"}, page="/office/breaches")
    for words in (read, ""):
        refused = await second.post(where, {"act": act, "words": words}, page="/office/breaches")
        assert (refused.status_code, "The words changed since you read them" in refused.text) == (422, True)
        assert "Nothing happened" in refused.text, "they can be read now"
    assert (await stands(place)).standing is Standing.BROKEN
    assert (await pressed(second, where, act)).status_code == 303


async def test_two_officers_answer_and_what_happens_afterwards_breaks_again(any_place: Deployment) -> None:
    place, house = any_place, house_of(any_place)
    first, second = await place.staff("office", house), await place.staff("office", house)
    outside = await place.staff("office", next(each for each in place.organisations if not each.operates))
    await done_without_ground(place)
    broken = await stands(place)
    assert (broken.standing, broken.against > 0) == (Standing.BROKEN, True)
    assert "/office/breaches" in (await first.web.get("/office/promises")).text
    assert (await outside.web.get("/office/breaches")).status_code == 404
    where = f"/office/breaches/{await breach_of(first, broken.clause_id)}"
    empty = await first.post(where, {**WORDS, "done": " "}, page="/office/breaches")
    assert empty.status_code == 422
    assert (await first.post(where, WORDS, page="/office/breaches")).status_code == 303
    alone = await pressed(first, where, "agree")
    assert alone.status_code == 422
    assert (await stands(place)).standing is Standing.BROKEN, "one person's words mend nothing"
    assert WORDS["happened"] in (await second.web.get("/office/breaches")).text
    assert (await pressed(second, where, "agree")).status_code == 303
    answered = await stands(place)
    assert answered.standing is not Standing.BROKEN
    assert "two people answered for that" in answered.reason
    assert "it was broken from" in answered.reason
    (entry,) = await place.ledgered(kind="proofs:breach:answered")
    assert set(entry.clear.people) == {first.actor.id, second.actor.id}
    page = (await first.web.get("/office/breaches")).text
    assert WORDS["done"] in page
    await done_without_ground(place)
    again = await stands(place)
    assert again.standing is Standing.BROKEN, "what came after the answer is not answered for"
    assert await breach_of(first, again.clause_id) not in where


def waiting_in_navigation(page: str, href: str) -> str:
    """The number beside an entry of the navigation; empty where there is none."""
    found = re.search(rf'<a href="{href}"[^>]*>[^<]*(?:<span class="count">(\d+))?', page)
    assert found is not None, page
    return found[1] or ""


async def test_a_broken_promise_waits_on_top_for_each_who_can_answer_and_says_what_speaks_against_it(
    place: Deployment,
) -> None:
    house = house_of(place)
    first, second = await place.staff("office", house), await place.staff("office", house)
    outside = await place.staff("office", next(each for each in place.organisations if not each.operates))
    assert "Nothing is waiting" in (await first.web.get("/office")).text
    await done_without_ground(place)
    broken = await stands(place)
    where = f"/office/breaches/{await breach_of(first, broken.clause_id)}"
    total = len(await place.rooms.breaches.all(await may_publish(place, first)))
    page = (await first.web.get("/office")).text
    assert page.count('<tr class="is-alert">') == total
    assert re.search(
        r'<tr class="is-alert"><th scope="row"><a href="/office/breaches#h[0-9a-f-]+">Broken promise', page
    )
    assert [waiting_in_navigation(page, each) for each in ("/office", "/office/promises")] == [str(total)] * 2
    elsewhere = (await outside.web.get("/office")).text
    assert ">Broken promise<" not in elsewhere
    assert waiting_in_navigation(elsewhere, "/office/promises") == ""
    told = unescape((await first.web.get("/office/breaches")).text)
    assert broken.says in told
    assert broken.reason[1:] in told
    assert broken.examples
    assert all(f"Entry {each.number} of the log" in told for each in broken.examples)

    refused = await first.post(where, {**WORDS, "done": " "}, page="/office/breaches")
    assert refused.status_code == 422
    breach = where.rpartition("/")[2]
    assert f'<a href="#done-{breach}">Write what was done about it</a>' in refused.text
    assert f'aria-describedby="done-{breach}-fault"' in refused.text
    assert f'aria-describedby="happened-{breach}-fault"' not in refused.text
    assert WORDS["happened"] in refused.text, "what was typed is not thrown away"
    long = await first.post(where, {**WORDS, "happened": "x" * 4001}, page="/office/breaches")
    assert f'<a href="#happened-{breach}">Write it in at most 4,000 characters; these are 4,001</a>' in long.text

    assert (await first.post(where, WORDS, page="/office/breaches")).status_code == 303
    left = str(total - 1) if total > 1 else ""
    assert waiting_in_navigation((await first.web.get("/office")).text, "/office/promises") == left
    page = (await second.web.get("/office")).text
    assert "Second person needed" in page
    assert waiting_in_navigation(page, "/office/promises") == str(total)
    assert first.user is not None
    assert f"Said by {first.user.name}" in unescape((await second.web.get("/office/breaches")).text)
    await pressed(second, where, "agree")
    assert waiting_in_navigation((await second.web.get("/office")).text, "/office/promises") == left


async def test_a_change_of_the_notice_waits_for_the_second_person_and_both_are_in_the_daily_mail(
    place: Deployment,
) -> None:
    house = house_of(place)
    first, second = await place.staff("office", house), await place.staff("office", house)
    outside = await place.staff("office", next(each for each in place.organisations if not each.operates))
    notice = (await place.rooms.notices.current())[0].notice
    says = next(each.says for each in notice.sections[0].clauses if each.says and each.says in notice.source)
    changed = next_version(notice, (says, f"{says} It stays so."), after=timedelta(days=60))
    await place.rooms.proposals.propose(await may_publish(place, first), changed)
    assert "Change of the notice" in (await second.web.get("/office")).text
    for person in (first, outside):
        assert "Change of the notice" not in (await person.web.get("/office")).text
    await done_without_ground(place)
    await place.looked()
    total = len(await place.rooms.breaches.all(await may_publish(place, first)))
    with clock.moved(timedelta(days=1) + datetime.combine(clock.now(), time(12), UTC) - clock.now()):
        before = len(place.mails())
        assert await Reminders(place.rooms).once() == 2, "nothing waits for the office of another organisation"
    mails = place.mails()[before:]
    assert all(f"Broken promises: {total}" in each for each in mails)
    assert sum("Notice: 1" in each for each in mails) == 1, "for the second person alone"


async def test_somebody_whom_the_first_let_in_cannot_agree_and_the_break_stays_open(place: Deployment) -> None:
    house = house_of(place)
    first, second = await place.staff("office", house), await place.staff("office", house)
    await done_without_ground(place)
    clause = (await stands(place)).clause_id
    where = f"/office/breaches/{await breach_of(first, clause)}"
    await first.post(where, WORDS, page="/office/breaches")
    assert "Nobody else in this privacy office can agree" not in (await second.web.get("/office/breaches")).text
    assert second.user is not None
    async with place.rooms.database.transaction(house) as connection:
        await connection.execute(
            "insert into way_in (tenant, id, account_id, role, way, accounts, made_at) values"
            " (%s, gen_random_uuid(), %s, 'office', 'role', %s, now())",
            (house.id, second.user.id, [first.actor.id]),
        )
    refused = await pressed(second, where, "agree")
    assert refused.status_code == 422
    assert "Nobody else in this privacy office can agree" in refused.text
    assert (await stands(place)).standing is Standing.BROKEN
    assert (await pressed(second, where, "back")).status_code == 303
    assert WORDS["happened"] not in (await first.web.get("/office/breaches")).text
    assert len(await place.ledgered(kind="proofs:breach:returned")) == 1


async def test_nobody_of_another_organisation_answers_for_what_one_has_said(place: Deployment) -> None:
    house = house_of(place)
    other = next(each for each in place.organisations if not each.operates)
    first, stranger = await place.staff("office", house), await place.staff("office", other)
    await done_without_ground(place)
    breach_id = UUID(await breach_of(first, (await stands(place)).clause_id))
    breaches = place.rooms.breaches
    here, there = await may_publish(place, first), policy.Target("notice", None, other.id)
    elsewhere = replace(place.set_up_permit("publish_notice", there, "administration"), actor=stranger.actor)
    await breaches.explain(here, breach_id, WORDS["happened"], WORDS["done"])

    async def said() -> Breach:
        return next(each for each in await breaches.all(here) if each.id == breach_id)

    words = (await said()).words
    [seen] = [each for each in await breaches.all(elsewhere) if each.id == breach_id]
    assert (seen.happened, seen.done, seen.words) == ("", "", "")
    with pytest.raises(BreachNotFound):
        await breaches.agree(elsewhere, breach_id, words)
    with pytest.raises(BreachNotFound):
        await breaches.give_back(elsewhere, breach_id, words)
    with pytest.raises(BreachNotFound):
        await breaches.explain(elsewhere, breach_id, "Nothing happened", "Nothing was done")
    assert ((await said()).words, (await said()).is_open) == (words, True)
    second = await place.staff("office", house)
    await breaches.agree(await may_publish(place, second), breach_id, words)
    assert (await said()).agreed_by == second.actor.id


async def test_what_is_wrong_now_takes_no_words(place: Deployment) -> None:
    house = house_of(place)
    officer = await place.staff("office", house)
    key = place.rooms.settings.data_dir / "keys" / "root.key"
    key.chmod(0o644)
    try:
        await place.looked()
        where = f"/office/breaches/{await breach_of(officer, '11.1')}"
        assert "It ends when that is put right" in (await officer.web.get("/office/breaches")).text
        breach = next(each for each in await place.rooms.breaches.all(await may_publish(place, officer)))
        assert breach.against == 0
        page = "/office/people"  # the form is not offered, so it is sent as from another page
        refused = await officer.post(where, WORDS, page=page)
        assert refused.status_code == 422
    finally:
        key.chmod(0o600)
    await place.looked()
    assert "It was put right" in (await officer.web.get("/office/breaches")).text


async def may_publish(place: Deployment, person: Person) -> policy.Permit:
    target = policy.Target("notice", None, person.actor.tenant)
    return await place.rooms.policy.require(person.actor, "publish_notice", target, "administration")


async def test_an_answer_that_is_stretched_in_the_table_is_named(place: Deployment, postgres: EmbeddedServer) -> None:
    house = house_of(place)
    first, second = await place.staff("office", house), await place.staff("office", house)
    await done_without_ground(place)
    clause = (await stands(place)).clause_id
    where = f"/office/breaches/{await breach_of(first, clause)}"
    await first.post(where, WORDS, page="/office/breaches")
    await pressed(second, where, "agree")
    name = str(psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"])
    with psycopg.connect(postgres.dsn(SUPERUSER, name), autocommit=True) as superuser:
        superuser.execute("update proof_breach set said_against = 1000 where agreed_at is not null")
    await place.sequencer.drain()
    found = (await place.looked()).reports[0].safeguards
    assert any(each.holds is False and "the break" in each.found for each in found)


async def test_two_logins_answer_at_the_command_line(
    place: Deployment, postgres: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await done_without_ground(place)
    clause = (await stands(place)).clause_id
    name = psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"]
    served: Any = SimpleNamespace(server=postgres, name=name)
    monkeypatch.setattr(beside, "running", lambda settings: (OneDatabase(served), False))
    folder = str(place.rooms.settings.data_dir)

    async def run(login: str, *words: str) -> Any:
        monkeypatch.setenv("SUDO_USER", login)
        return await asyncio.to_thread(CliRunner().invoke, commands.app, ["breaches", *words, "--data-dir", folder])

    listed = (await run("ada", "list")).output
    breach = next(line.split()[0] for line in listed.splitlines() if f"§ {clause} " in line)
    said = await run("ada", "explain", breach, "--happened", "It was read", "--done", "It was ended")
    assert said.exit_code == 0, said.output
    words = re.search(r"words: (\w+)", (await run("ada", "list")).output)
    assert words is not None
    assert (await run("ada", "agree", breach, words[1])).exit_code != 0
    assert (await run("bob", "agree", breach, words[1][::-1])).exit_code != 0
    agreed = await run("bob", "agree", breach, words[1])
    assert agreed.exit_code == 0, agreed.output
    told = (await run("ada", "list")).output
    assert "answered" in told
    assert "what happened: It was read" in told
