"""What happens between the database and the parts: schema, keys, notice, and on a first start the organisations."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from ruamel.yaml import YAML

from troth.kit import migrate
from troth.kit.errors import Unprocessable
from troth.kit.postgres import Postgres
from troth.main.node import migrations
from troth.main.settings import Settings
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.notice import Notice, check
from troth.policy import Actor, Permit, Target
from troth.vault import Keyring

PURPOSE = "administration"


class NoticeHasProblems(Unprocessable):
    """A notice that does not pass its check is not put in force."""

    slug = "notice-has-problems"
    title = "The notice does not pass its check"


def prepare(settings: Settings, server: Postgres) -> None:
    """Bring schema, keys and notice up to date; on a first start make the organisations of the deployment.

    Raises:
        NoticeHasProblems: A notice does not pass its check; nothing was changed.
    """
    notices = load_notices(settings)
    problems = [problem for notice in notices for problem in check(notice)]
    if problems:
        raise NoticeHasProblems(f"{len(problems)} problems in the notice; the first: {problems[0]}",
                                hint="Run: troth check NOTICE")  # fmt: skip
    migrate.upgrade(server.dsn("troth_owner"), migrations())
    keys = settings.data_dir / "keys"
    Keyring.open(keys, create=not keys.exists())
    asyncio.run(_publish_and_found(settings, server, notices))


def operator(tenant: UUID | None = None) -> Actor:
    """The person at the command line: whoever can read the data folder already holds the platform."""
    return Actor("system", None, tenant, "operator", name="Operator", organisation="Platform")


async def permit_for(rooms: Rooms, action: str, target: Target) -> Permit:
    """A permit for the operator, decided by the notice like any other."""
    return await rooms.policy.require(operator(target.tenant), action, target, PURPOSE)


async def _publish_and_found(settings: Settings, server: Postgres, notices: list[Notice]) -> None:
    rooms = open_rooms(settings, server, notices, connections=2)
    try:
        permit = await permit_for(rooms, "publish_notice", Target("notice"))
        for notice in notices:
            await rooms.notices.put_in_force(permit, notice)
        if not await rooms.people.organisations():
            await found(rooms, seeds(settings))
    finally:
        await rooms.close()


def seeds(settings: Settings) -> list[dict[str, Any]]:
    """Organisations that the deployment folders name."""
    found_seeds: list[dict[str, Any]] = []
    for path in settings.notice:
        file: Path = (path if path.is_dir() else path.parent) / "organisations.yaml"
        if file.exists():
            found_seeds += YAML(typ="safe").load(file.read_text())["organisations"]
    return found_seeds


async def found(rooms: Rooms, named: list[dict[str, Any]]) -> None:
    """Make organisations with their first administrators, and print a one-time link for each."""
    permit = await permit_for(rooms, "administer", Target("platform"))
    for seed in named:
        organisation = await rooms.people.add_organisation(
            permit, seed["name"], capacity=seed.get("capacity", "controller"), region=seed.get("region", "GB")
        )
        inside = await permit_for(rooms, "administer", Target("organisation", organisation.id, organisation.id))
        for person in seed.get("users", []):
            user = await rooms.people.add_user(inside, organisation.id, person["email"], person["name"], person["role"])
            if person["role"] == "admin":
                link = await rooms.people.issue_sign_in_link(inside, user.id)
                sys.stdout.write(f"first sign-in  {organisation.name}, {person['role']}: {link}\n")
