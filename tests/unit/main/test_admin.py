"""`troth admin`: what is added is listed, changed and ended by command too, on a real deployment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from tests.common.deployment import Deployment, OpenDeployment
from tests.common.platform import OneDatabase
from troth.kit.postgres import EmbeddedServer
from troth.main import beside, inside, registers_command
from troth.main.admin import app
from troth.main.settings import load as load_settings

Run = Callable[..., Awaitable[list[list[str]]]]
PRINT = "ab" * 32


@pytest.fixture(scope="module")
async def place(open_deployment: OpenDeployment) -> Deployment:
    return await open_deployment("imaging-host")


@pytest.fixture
def run(place: Deployment, postgres: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command beside the deployment, for its first organisation; gives the lines that it printed, as columns."""
    name = psycopg.conninfo.conninfo_to_dict(place.rooms.dsn_sequencer)["dbname"]
    served: Any = SimpleNamespace(server=postgres, name=name)
    monkeypatch.setattr(beside, "running", lambda settings: (OneDatabase(served), False))
    settings = place.rooms.settings

    def with_notice(data_dir: Path | None) -> Any:
        return load_settings(data_dir, notice=settings.notice)

    for module in (inside, registers_command):
        monkeypatch.setattr(module, "load", with_notice)

    async def invoke(*words: str, fails: bool = False, of: str = place.first.name) -> list[list[str]]:
        given = [*words, "--data-dir", str(settings.data_dir), *(["--organisation", of] if of else [])]
        answer = await asyncio.to_thread(CliRunner().invoke, app, given)
        assert (answer.exit_code != 0) is fails, answer.output
        return [line.split("\t") for line in answer.output.splitlines()]

    return invoke


async def test_a_member_by_command(run: Run) -> None:
    await run("user", "add", "one@x.example", "--name", "O. Ne", "--role", "clinician")
    assert ["clinician", "one@x.example", "O. Ne"] in [each[1:] for each in await run("user", "list")]
    assert await run("user", "role", "ONE@x.example", "referrer") == [["referrer"]]
    assert ["referrer", "one@x.example", "O. Ne"] in [each[1:] for each in await run("user", "list")]
    await run("user", "end", "one@x.example")
    assert "one@x.example" not in str(await run("user", "list"))
    await run("user", "end", "one@x.example", fails=True)


async def test_an_invitation_and_a_session_by_command(run: Run, place: Deployment) -> None:
    first = await run("user", "invite", "two@x.example", "--name", "T. Wo", "--role", "office")
    [[invitation, role, until, email, name]] = await run("invitation", "list")
    assert (role, email, name, until.split(" ")[0]) == ("office", "two@x.example", "T. Wo", "until")
    again = await run("invitation", "resend", invitation)
    assert again != first
    await run("invitation", "withdraw", invitation)
    assert await run("invitation", "list") == []
    await run("invitation", "withdraw", invitation, fails=True)
    await run("invitation", "withdraw", "no-id", fails=True)
    person = await place.staff("clinician")
    assert str(person.actor.session_id) in str(await run("session", "list"))
    await run("session", "end", str(person.actor.session_id))
    assert (await person.web.get("/studies")).status_code == 303
    await run("session", "end", str(person.actor.session_id), fails=True)


async def test_machines_and_tokens_by_command(run: Run, place: Deployment) -> None:
    [[peer]] = await run("peer", "add", "CMD_CT", "192.0.2.1:104")
    await run("peer", "add", "CMD_CT", "nowhere", fails=True)
    await run("peer", "add", "CMD_MR", "192.0.2.1:104", "--purpose", "curiosity", fails=True)
    [[changed]] = await run("peer", "change", peer, "192.0.2.2:105", "--certificate", PRINT)
    assert changed != peer
    assert [changed, "CMD_CT", "192.0.2.2:105", "care", PRINT] in await run("peer", "list")
    await run("peer", "end", changed)
    assert "CMD_CT" not in str(await run("peer", "list"))
    [[secret]] = await run("token", "issue", "--role", "peer", "--purpose", "care", "--for", "1h")
    assert secret not in str(await run("token", "list"))
    actor = await place.rooms.people.actor_of_token(secret)
    assert actor is not None
    assert [str(actor.id), "peer", "care"] in [each[:3] for each in await run("token", "list")]
    await run("token", "revoke", str(actor.id))
    assert await place.rooms.people.actor_of_token(secret) is None
    await run("token", "revoke", str(actor.id), fails=True)
    await run("token", "issue", "--role", "peer", "--purpose", "curiosity", fails=True)


async def test_registers_of_the_platform_by_command(run: Run, tmp_path: Path) -> None:
    text = tmp_path / "clauses.txt"
    text.write_text("The clauses.")
    given = ("--kind", "scc", "--origin", "GB", "--destination", "US", "--from", "2026-01-05")
    await run("instrument", "add", "clauses", *given, of="", fails=True)
    [[instrument]] = await run("instrument", "add", "clauses", *given, "--document", str(text), of="")
    assert [instrument, "clauses", "scc", "GB", "US", "-", "-"] in await run("instrument", "list", of="")
    assert await run("instrument", "end", instrument, "--reason", "It was replaced.", of="") == [["0"]]
    assert "It was replaced." in str(await run("instrument", "list", of=""))
    await run("instrument", "add", "more", *given[:-1], "soon", "--document", str(text), of="", fails=True)
    who = ("--name", "City Clinic", "--kind", "customer", "--country", "GB", "--category", "images")
    what = ("--purpose", "exchange", "--stands-under", "other_hospitals")
    [[recipient]] = await run("recipient", "add", "city", *who, *what, of="")
    assert [recipient, "city", "City Clinic", "GB", "exchange", "-"] in await run("recipient", "list", of="")
    await run("recipient", "end", recipient, of="")
    assert [recipient, "city", "City Clinic", "GB", "exchange", "ended"] in await run("recipient", "list", of="")
    [[own]] = await run("instrument", "add", "own", *given, "--document", str(text))
    assert own in str(await run("instrument", "list"))
    assert own not in str(await run("instrument", "list", of=""))
