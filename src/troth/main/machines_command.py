"""`troth admin peer|token`: machines and programs of an organisation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from troth.doors.dimse.tls import fingerprint_of
from troth.kit.errors import Unprocessable
from troth.main.beside import lifetime
from troth.main.inside import DataDir, Id, Organisation, id_of, inside, table
from troth.main.wiring import Rooms
from troth.people import SessionNotFound
from troth.policy import Permit

peer_app = typer.Typer(help="DICOM nodes of an organisation.", no_args_is_help=True)
token_app = typer.Typer(help="Bearer tokens for DICOMweb and REST.", no_args_is_help=True)

Place = Annotated[str, typer.Argument(metavar="HOST:PORT")]
Certificate = Annotated[
    str, typer.Option(help="PEM file, or SHA-256, of the certificate it shows; it is then known by that alone.")
]
OverTls = Annotated[bool, typer.Option("--tls", help="Call it over TLS.")]


@peer_app.command("add")
def add_peer(
    ae: Annotated[str, typer.Argument(help="AE title of the peer.")],
    address: Place,
    organisation: Organisation,
    called_ae: Annotated[str, typer.Option(help="The AE title of ours that it must call; any without.")] = "",
    certificate: Certificate = "",
    purpose: Annotated[str, typer.Option(help="What it acts for: an activity of the notice.")] = "care",
    tls: OverTls = False,
    data_dir: DataDir = None,
) -> None:
    """Register a DICOM node of an organisation; prints its id.

    It may send and ask in its organisation, and is a destination for others of the same organisation.
    """
    host, port = _split(address)

    async def work(rooms: Rooms, permit: Permit) -> str:
        assert permit.tenant is not None
        peer = await rooms.people.add_peer(
            permit, permit.tenant, ae, host, port, called_ae=called_ae, certificate=_shown(certificate),
            purpose=purpose, over_tls=tls,
        )  # fmt: skip
        return str(peer.id)

    inside(organisation, data_dir, "add_peer", work)


@peer_app.command("list")
def list_peers(organisation: Organisation, data_dir: DataDir = None) -> None:
    """List the DICOM nodes: id, AE title, address, purpose, certificate."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        return table(
            (each.id, each.ae, f"{each.host}:{each.port}", each.purpose, each.certificate or "-")
            for each in await rooms.people.peers(permit)
        )

    inside(organisation, data_dir, "administer", work)


@peer_app.command("change")
def change_peer(
    peer: Id,
    address: Place,
    organisation: Organisation,
    certificate: Certificate = "",
    tls: OverTls = False,
    data_dir: DataDir = None,
) -> None:
    """Give a DICOM node another address or certificate; prints its id, a new one with another certificate."""
    host, port = _split(address)

    async def work(rooms: Rooms, permit: Permit) -> str:
        changed = await rooms.people.change_peer(permit, id_of(peer), host, port, _shown(certificate), over_tls=tls)
        return str(changed.id)

    inside(organisation, data_dir, "add_peer", work)


@peer_app.command("end")
def end_peer(peer: Id, organisation: Organisation, data_dir: DataDir = None) -> None:
    """Take a DICOM node out of use; open associations feel it at their next step. Prints its id."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        await rooms.people.end_peer(permit, id_of(peer))
        return peer

    inside(organisation, data_dir, "end_access", work)


@token_app.command("issue")
def issue_token(
    organisation: Organisation,
    role: Annotated[str, typer.Option(help="Role the token acts in.")],
    purpose: Annotated[str, typer.Option(help="The only purpose it may be used for.")],
    for_: Annotated[str, typer.Option("--for", help="How long it lives: 15m, 1h, 30d.")] = "1h",
    data_dir: DataDir = None,
) -> None:
    """Issue a bearer token for DICOMweb and REST; prints it once."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        assert permit.tenant is not None
        return await rooms.people.issue_token(permit, permit.tenant, role, purpose, lifetime(for_))

    inside(organisation, data_dir, "issue_token", work)


@token_app.command("list")
def list_tokens(organisation: Organisation, data_dir: DataDir = None) -> None:
    """List the tokens that are good now: id, role, purpose, issued, end. The secrets are known to nobody."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        return table(
            (each.id, each.role, each.purpose, f"{each.made_at:%Y-%m-%d %H:%M}", f"{each.expires_at:%Y-%m-%d %H:%M}")
            for each in await rooms.people.tokens(permit)
        )

    inside(organisation, data_dir, "administer", work)


@token_app.command("revoke")
def revoke_token(token: Id, organisation: Organisation, data_dir: DataDir = None) -> None:
    """Revoke a token by the id that the list shows; felt at its next request. Prints the id."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        if not await rooms.people.end_session_by_id(permit, id_of(token)):
            raise SessionNotFound
        return token

    inside(organisation, data_dir, "end_access", work)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or len(port) > 5:
        raise Unprocessable(f"{address!r} is not HOST:PORT")
    return host, int(port)


def _shown(certificate: str) -> str:
    """The SHA-256 of a certificate that was given as a PEM file or as itself."""
    return fingerprint_of(Path(certificate).read_text()) if Path(certificate).is_file() else certificate
