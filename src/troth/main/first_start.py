"""What happens between the database and the parts: schema, keys, notice, and on a first start the organisations."""

from __future__ import annotations

import asyncio
import sys
from uuid import NAMESPACE_URL, UUID, uuid5

from troth.kit import migrate
from troth.kit.postgres import Postgres
from troth.main.node import migrations
from troth.main.settings import Settings
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.notice import Notice, NoticeInvalid, check, seeds
from troth.policy import Actor, Permit, Target
from troth.vault import Keyring

PURPOSE = "administration"


def prepare(settings: Settings, server: Postgres) -> None:
    """Bring schema, keys and notice up to date; on a first start make the organisations of the deployment.

    Raises:
        NoticeInvalid: A notice does not pass its check; nothing was changed.
    """
    notices = load_notices(settings)
    problems = [problem for notice in notices for problem in check(notice)]
    if problems:
        raise NoticeInvalid(problems)
    migrate.upgrade(server.dsn("troth_owner"), migrations())
    keys = settings.data_dir / "keys"
    Keyring.open(keys, create=not keys.exists())
    asyncio.run(_publish_and_found(settings, server, notices))


OPERATOR = uuid5(NAMESPACE_URL, "troth:operator")
PLATFORM = uuid5(NAMESPACE_URL, "troth:platform")


def operator(tenant: UUID | None = None, id: UUID = OPERATOR) -> Actor:
    """The person at the command line: whoever can read the data folder already holds the platform."""
    return Actor("system", id, tenant, "admin", name="Operator", organisation="Platform")


async def permit_for(rooms: Rooms, action: str, target: Target) -> Permit:
    """A permit for the operator, decided by the notice like any other."""
    return await rooms.policy.require(operator(target.tenant), action, target, PURPOSE)


async def _publish_and_found(settings: Settings, server: Postgres, notices: list[Notice]) -> None:
    rooms = open_rooms(settings, server, notices, connections=2)
    try:
        # Before the first start there is nobody who could agree: the operator publishes what came with the folder,
        # and the platform, which has checked it, signs second. Every later version takes two people.
        published = {(version.name, version.number) for version in await rooms.notices.versions()}
        target = Target("notice")
        for notice in notices:
            if (notice.name, notice.version) not in published:
                first = await rooms.policy.require(operator(), "publish_notice", target, PURPOSE)
                second = await rooms.policy.require(operator(None, PLATFORM), "publish_notice", target, PURPOSE)
                await rooms.notices.publish(first, notice, second)
        if not await rooms.people.organisations():
            await found(rooms)
    finally:
        await rooms.close()


async def found(rooms: Rooms) -> None:
    """Make the organisations of the deployment folders, and for each an administrator with a one-time link."""
    permit = await permit_for(rooms, "administer", Target("platform"))
    for path in rooms.settings.notice:
        for seed in seeds(path if path.is_dir() else path.parent):
            place = await rooms.people.add_organisation(permit, seed.name, seed.capacity, seed.region)
            inside = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
            email = f"admin@{seed.name.lower().replace(' ', '-')}.invalid"
            user = await rooms.people.add_user(inside, place.id, email, "Administrator", "admin")
            link = await rooms.people.issue_sign_in_link(inside, user.id)
            sys.stdout.write(f"first sign-in  {seed.name}, administrator: {link}\n")
