"""`troth admin`: works beside a running node on the same data folder; the last line printed is the value asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from troth.archive import ByRule
from troth.doors.dimse.tls import fingerprint_of
from troth.kit.errors import Unprocessable
from troth.main import lists_command
from troth.main.beside import beside, lifetime
from troth.main.first_start import permit_for
from troth.main.settings import load
from troth.main.wiring import Rooms
from troth.policy import Target

app = typer.Typer(help="Run the platform: organisations, users, peers, tokens.", no_args_is_help=True)
organisation_app = typer.Typer(
    help="Organisations (each is a controller with a space of its own).", no_args_is_help=True
)
user_app = typer.Typer(help="People who work in an organisation.", no_args_is_help=True)
peer_app = typer.Typer(help="DICOM nodes of an organisation.", no_args_is_help=True)
token_app = typer.Typer(help="Bearer tokens for DICOMweb and REST.", no_args_is_help=True)
app.add_typer(organisation_app, name="organisation")
app.add_typer(user_app, name="user")
app.add_typer(peer_app, name="peer")
app.add_typer(token_app, name="token")
app.add_typer(lists_command.app, name="contacts")

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the deployment.", show_default=False)]
Organisation = Annotated[str, typer.Option("--organisation", help="Name of the organisation.")]


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

    typer.echo(beside(load(data_dir), work))


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
            typer.echo(f"left to a person: {done.refused + done.contradicting}", err=True)
        return str(done.merged)

    typer.echo(beside(load(data_dir), work))


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

    typer.echo(beside(load(data_dir), work))


@user_app.command("add")
def add_user(
    email: str,
    organisation: Organisation,
    name: Annotated[str, typer.Option(help="Display name, such as 'Dr B. Specimen'.")],
    role: Annotated[str, typer.Option(help="clinician, referrer, office or admin.")] = "clinician",
    data_dir: DataDir = None,
) -> None:
    """Add a user; prints a sign-in link that works once, for 15 minutes."""

    async def work(rooms: Rooms) -> str:
        place = await rooms.people.organisation_named(organisation)
        permit = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
        user = await rooms.people.add_user(permit, place.id, email, name, role)
        return await rooms.people.issue_sign_in_link(permit, user.id)

    typer.echo(beside(load(data_dir), work))


@user_app.command("invite")
def invite_user(
    email: str,
    organisation: Organisation,
    role: Annotated[str, typer.Option(help="clinician, referrer, office or admin.")] = "clinician",
    name: Annotated[str, typer.Option(help="Display name.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Invite a user by mail; prints the invitation's link, which works once, for seven days."""

    async def work(rooms: Rooms) -> str:
        place = await rooms.people.organisation_named(organisation)
        permit = await permit_for(rooms, "invite", Target("organisation", place.id, place.id))
        return (await rooms.people.invite_user(permit, place.id, email, name, role)).link

    typer.echo(beside(load(data_dir), work))


@peer_app.command("add")
def add_peer(
    ae: Annotated[str, typer.Argument(help="AE title of the peer.")],
    address: Annotated[str, typer.Argument(metavar="HOST:PORT")],
    organisation: Organisation,
    called_ae: Annotated[str, typer.Option(help="The AE title of ours that it must call; any without.")] = "",
    certificate: Annotated[
        str, typer.Option(help="PEM file, or SHA-256, of the certificate it shows; it is then known by that alone.")
    ] = "",
    purpose: Annotated[str, typer.Option(help="What it acts for: an activity of the notice.")] = "care",
    tls: Annotated[bool, typer.Option("--tls", help="Call it over TLS.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Register a DICOM node of an organisation; prints its id.

    It may send and ask in its organisation, and is a destination for others of the same organisation.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise Unprocessable(f"{address!r} is not HOST:PORT")
    shown = fingerprint_of(Path(certificate).read_text()) if Path(certificate).is_file() else certificate

    async def work(rooms: Rooms) -> str:
        place = await rooms.people.organisation_named(organisation)
        permit = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
        peer = await rooms.people.add_peer(
            permit, place.id, ae, host, int(port), called_ae=called_ae, certificate=shown, purpose=purpose, over_tls=tls
        )
        return str(peer.id)

    typer.echo(beside(load(data_dir), work))


@token_app.command("issue")
def issue_token(
    organisation: Organisation,
    role: Annotated[str, typer.Option(help="Role the token acts in.")],
    purpose: Annotated[str, typer.Option(help="The only purpose it may be used for.")],
    for_: Annotated[str, typer.Option("--for", help="How long it lives: 15m, 1h, 30d.")] = "1h",
    data_dir: DataDir = None,
) -> None:
    """Issue a bearer token for DICOMweb and REST; prints it once."""

    async def work(rooms: Rooms) -> str:
        place = await rooms.people.organisation_named(organisation)
        permit = await permit_for(rooms, "administer", Target("organisation", place.id, place.id))
        return await rooms.people.issue_token(permit, place.id, role, purpose, lifetime(for_))

    typer.echo(beside(load(data_dir), work))
