"""`troth admin`: works beside a running node on the same data folder; the last line printed is the value asked for."""

from __future__ import annotations

from typing import Annotated

import typer

from troth.archive import ByRule
from troth.kit.errors import Unprocessable
from troth.main import lists_command, machines_command, members_command, registers_command
from troth.main.beside import beside
from troth.main.first_start import permit_for
from troth.main.inside import DataDir
from troth.main.settings import load
from troth.main.terminal import say
from troth.main.wiring import Rooms
from troth.policy import Target

app = typer.Typer(
    help="Run the platform: organisations, users, peers, tokens; each can be added, listed, changed and ended.",
    no_args_is_help=True,
)
organisation_app = typer.Typer(
    help="Organisations (each is a controller with a space of its own).", no_args_is_help=True
)
app.add_typer(organisation_app, name="organisation")
app.add_typer(members_command.user_app, name="user")
app.add_typer(members_command.invitation_app, name="invitation")
app.add_typer(members_command.session_app, name="session")
app.add_typer(machines_command.peer_app, name="peer")
app.add_typer(machines_command.token_app, name="token")
app.add_typer(registers_command.instrument_app, name="instrument")
app.add_typer(registers_command.recipient_app, name="recipient")
app.add_typer(lists_command.app, name="contacts")


@organisation_app.command("add")
def add_organisation(
    name: str,
    data_dir: DataDir = None,
    region: Annotated[str, typer.Option(help="ISO 3166 code of where its data are kept.")] = "GB",
    operates: Annotated[bool, typer.Option("--operates", help="It runs the whole service and publishes.")] = False,
) -> None:
    """Add an organisation; prints its id."""

    async def work(rooms: Rooms) -> str:
        permit = await permit_for(rooms, "administer", Target("platform"))
        capacity = "processor" if operates else "controller"
        made = await rooms.people.add_organisation(permit, name, capacity, region, operates=operates)
        return str(made.id)

    say(beside(load(data_dir), work))


@organisation_app.command("issuer")
def state_issuer(
    organisation: Annotated[str, typer.Argument(help="Name of the organisation.")],
    default_issuer: Annotated[
        str, typer.Option("--default-issuer", help="Of whom patient numbers are that come without an issuer.")
    ] = "",
    end: Annotated[bool, typer.Option("--end", help="End the rule; what it merged is taken apart again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what it would merge.")] = False,
    data_dir: DataDir = None,
) -> None:
    """State of whom patient numbers without an issuer are, or end that; prints how many merges it made or undid."""
    if bool(default_issuer) is end:
        raise Unprocessable("give either --default-issuer or --end")
    if end and dry_run:
        raise Unprocessable("--dry-run is for --default-issuer only", hint="Nothing was ended.")

    async def work(rooms: Rooms) -> str:
        place, merging = await rooms.people.organisation_named(organisation), rooms.archive.merging
        permit = await permit_for(rooms, "state_issuer", Target("organisation", place.id, place.id))
        if end:
            rule = await rooms.people.rule(permit)
            done = await merging.end_rule(permit, rule.id) if rule is not None else ByRule()
        elif dry_run:
            done = await merging.preview_rule(permit, default_issuer)
        else:
            done = await merging.state_rule(permit, default_issuer)
        if done.refused or done.contradicting:
            say(f"left to a person: {done.refused + done.contradicting}", is_error=True)
        return str(done.merged)

    say(beside(load(data_dir), work))


@organisation_app.command("level")
def set_level(
    name: str,
    level: Annotated[str, typer.Argument(help="A level of service that the notice knows.")],
    data_dir: DataDir = None,
) -> None:
    """Give an organisation another level of service, felt at once; prints the level."""

    async def work(rooms: Rooms) -> str:
        place = await rooms.people.organisation_named(name)
        permit = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
        await rooms.people.set_level(permit, place.id, level, rooms.policy.compiled.levels)
        return level

    say(beside(load(data_dir), work))
