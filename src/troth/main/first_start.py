"""What happens between the database and the parts: schema, keys, notice, and on a first start the organisations."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from troth.exchange import AGREEMENT
from troth.kit import migrate
from troth.kit.errors import Unprocessable
from troth.kit.owner import is_ours
from troth.kit.postgres import Postgres
from troth.main import collecting
from troth.main.adopting import InForce
from troth.main.binding import require_keyring
from troth.main.generation import name_log, say_started
from troth.main.modules import modules
from troth.main.node import migrations
from troth.main.placing import misplaced
from troth.main.settings import Settings
from troth.main.standing import say_standing
from troth.main.terminal import confide, say
from troth.main.wiring import Rooms, load_notices, open_rooms
from troth.notice import Notice, NoticeConflict, NoticeMalformed, Problem, check_all, diff
from troth.policy import Actor, Permit, Target

PURPOSE = "administration"


def prepare(settings: Settings, server: Postgres) -> None:
    """Bring schema, keys and notice up to date; on a first start make the organisations of the deployment.

    Raises:
        NoticeMalformed: A notice does not pass its check, the program collects what no clause covers, or the node
            stands where no data may be kept.
    """
    notices = load_notices(settings)
    _require(check_all(notices, modules=modules()) or collecting.uncovered(notices))
    _require(list(misplaced(notices, settings.region)))
    migrate.upgrade(server.dsn("troth_owner"), migrations())
    _require(list(collecting.unsaid(server.dsn("troth_owner"))))
    require_keyring(server.dsn("troth_owner"), settings.data_dir / "keys")
    warn_of_backups(server.dsn("troth_owner"))
    asyncio.run(_publish_and_found(settings, server, notices))


def warn_of_backups(dsn: str) -> None:
    """Say which backups the parts may not write to, where root made them before there was another user.

    Nothing of it is taken over unasked: the places come from the database.
    """
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("select folder from backup union select keys_folder from backup").fetchall()
    for (folder,) in rows:
        if not is_ours(Path(folder)):
            sys.stderr.write(
                f"troth: WARNING: what is erased is not erased in {folder}: it belongs to root, and the parts are not "
                "root any more. The next troth backup into it hands it over\n"
            )


def _require(problems: list[Problem]) -> None:
    if problems:
        raise NoticeMalformed(problems)


OPERATOR = uuid5(NAMESPACE_URL, "troth:operator")


def operator(tenant: UUID | None = None) -> Actor:
    """The person at the command line: whoever can read the data folder already holds the platform."""
    return Actor(
        "system", OPERATOR, tenant, "operator", name="Operator", organisation="Platform", surface="command_line"
    )


async def permit_for(rooms: Rooms, action: str, target: Target) -> Permit:
    """A permit for the operator, decided by the notice like any other."""
    return await rooms.policy.require(operator(target.tenant), action, target, PURPOSE)


async def _publish_and_found(settings: Settings, server: Postgres, notices: list[Notice]) -> None:
    rooms = open_rooms(settings, server, notices, connections=2)
    try:
        await say_standing(rooms, operator())
        await rooms.ledger.bind_held(rooms.database, rooms.dsn_sequencer)
        await InForce(rooms).look()
        await name_log(rooms, settings, operator())
        permit = await permit_for(rooms, "publish_notice", Target("notice"))
        for notice in notices:
            await _put_in_force(rooms, permit, notice)
        if not await rooms.people.organisations():
            await found(rooms)
        await say_started(rooms, settings, operator(), migrate.newest(migrations()))
    finally:
        await rooms.close()


async def _put_in_force(rooms: Rooms, permit: Permit, notice: Notice) -> None:
    """Begin with a notice; where another text was published, that one stays in force, and the operator is told."""
    try:
        await rooms.notices.put_in_force(permit, notice)
    except NoticeConflict:
        last = (await rooms.notices.versions(notice.name))[0].notice
        if not diff(last, notice) and last.head.covers == notice.head.covers:
            return  # the version that was made of it, with the number and the day of its own
        folder = rooms.settings.data_dir
        say(
            f"troth: WARNING: {notice.path} is not what was published as {notice.name}, which stays in force. To make"
            f" it the next version, two logins agree:\n"
            f"       troth notice publish {notice.path} --next --data-dir {folder}\n"
            f"       troth notice agree --data-dir {folder}",
            is_error=True,
        )


@dataclass(frozen=True, slots=True)
class Seed:
    """An organisation to be made at the first start.

    Attributes:
        operates: It runs the whole service.
        agreement: Its contract with us, by `kind` (`processor` or `baa`) and the day `since` which it holds.
        instruction: What it tells us to do: `key`, `words`, `actions`, `purposes`, and the day `since` which.
    """

    name: str
    capacity: str
    region: str
    operates: bool = False
    agreement: Mapping[str, Any] = field(default_factory=dict)
    instruction: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, one: Mapping[str, Any]) -> Seed:
        """One entry of `organisations.yaml`.

        Raises:
            KeyError: Something is missing.
        """
        agreement, instruction = one.get("agreement", {}), one.get("instruction", {})
        for part, keys in ((agreement, ("kind", "since")), (instruction, ("key", "words", "since"))):
            for key in keys if part else ():
                part[key]
        operates = one.get("operates") is True
        return cls(str(one["name"]), one["capacity"], one["region"], operates, agreement, instruction)


def seeds(folder: Path) -> tuple[Seed, ...]:
    """The organisations of a deployment folder; none where `organisations.yaml` is missing.

    Args:
        folder: The folder with the notice.

    Raises:
        Unprocessable: The file says something else than a list of organisations.
    """
    file = folder / "organisations.yaml"
    if not file.exists():
        return ()
    try:
        content = YAML(typ="safe").load(file.read_text())
        return tuple(Seed.read(one) for one in content["organisations"])
    except (YAMLError, KeyError, TypeError) as fault:
        raise Unprocessable(
            f"{file} is not a list of organisations", hint="Give name, capacity and region of each."
        ) from fault


FIRST_LINKS = "first-sign-in.txt"
"""Where the links of the founding pairs are, when no person looked on at the first start."""
FIRST_WORDS = (
    "First sign-in of each organisation's two administrators; there is no password, a link works once, for 15 minutes"
)
FOUNDERS = (("Administrator", "admin"), ("Second administrator", "second-admin"))
"""The founding pair of an organisation and their mailboxes: what takes two people can be done from the first day."""


def founder_address(organisation: str, mailbox: str) -> str:
    """Where one of the founding pair of an organisation gets mail."""
    return f"{mailbox}@{organisation.lower().replace(' ', '-')}.invalid"


async def found(rooms: Rooms) -> None:
    """Make the organisations of the deployment folders, and for each two administrators with a one-time link each."""
    permit = await permit_for(rooms, "administer", Target("platform"))
    links = []
    for path in rooms.settings.notice:
        for seed in seeds(path if path.is_dir() else path.parent):
            place = await rooms.people.add_organisation(
                permit, seed.name, seed.capacity, seed.region, operates=seed.operates
            )
            await _file(rooms, seed, Target("organisation", place.id, place.id))
            inside = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
            for name, mailbox in FOUNDERS:
                email = founder_address(seed.name, mailbox)
                user = await rooms.people.add_user(inside, place.id, email, name, "admin")
                link = await rooms.people.issue_sign_in_link(inside, user.id)
                links.append(f"{f'{seed.name}, {email}':64}  {link}")
    if links:
        confide(FIRST_WORDS, links, rooms.settings.data_dir / FIRST_LINKS)


async def _file(rooms: Rooms, seed: Seed, place: Target) -> None:
    """File what an organisation has signed and ordered before its first day."""
    if agreement := seed.agreement:
        permit = await permit_for(rooms, "keep_register", place)
        await rooms.exchange.add_contract(permit, AGREEMENT, agreement["kind"], seed.name, agreement["since"])
    if order := seed.instruction:
        permit = await permit_for(rooms, "instruct", place)
        await rooms.exchange.give_instruction(
            permit, order["key"], order["words"], order["actions"], order["purposes"], order["since"]
        )
