"""`troth admin instrument|recipient`: the registers of the platform, or of an organisation that is named."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from troth.kit.errors import Unprocessable
from troth.main.beside import beside
from troth.main.first_start import permit_for
from troth.main.inside import DataDir, Id, Work, id_of, table
from troth.main.settings import load
from troth.main.terminal import say
from troth.main.wiring import Rooms
from troth.policy import Permit, Target

instrument_app = typer.Typer(help="What transfers to other countries rest on.", no_args_is_help=True)
recipient_app = typer.Typer(help="Who outside may receive data.", no_args_is_help=True)

Of = Annotated[str, typer.Option("--organisation", help="Whose register; the platform's own without.")]
Since = Annotated[str, typer.Option("--from", help="First day, such as 2026-01-05.")]
Until = Annotated[str, typer.Option("--until", help="Last day; no end without.")]
Reason = Annotated[str, typer.Option(help="Why; everybody can read it.")]


@instrument_app.command("add")
def add_instrument(
    key: Annotated[str, typer.Argument(help="Short name; clauses of the notice refer to it.")],
    kind: Annotated[str, typer.Option(help="scc, bcr, adequacy or derogation.")],
    origin: Annotated[str, typer.Option(help="ISO 3166 code, or EEA.")],
    destination: Annotated[str, typer.Option(help="The same.")],
    from_: Since,
    until: Until = "",
    document: Annotated[Path | None, typer.Option(help="Its text or PDF: a copy goes to whoever asks.")] = None,
    organisation: Of = "",
    data_dir: DataDir = None,
) -> None:
    """File a transfer instrument; prints its id."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        text = document.read_bytes() if document is not None else b""
        made = await rooms.exchange.add_instrument(
            permit, key, kind, origin, destination, _day(from_), _day(until) if until else None, document=text
        )
        return str(made)

    _keeping(organisation, data_dir, work)


@instrument_app.command("list")
def list_instruments(organisation: Of = "", data_dir: DataDir = None) -> None:
    """List the instruments: id, short name, kind, from, to, last day, why it ended."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        return table(
            (each.id, each.key, each.kind, each.origin, each.destination, each.term.until or "-", each.reason or "-")
            for each in await rooms.exchange.instruments(permit)
        )

    _keeping(organisation, data_dir, work)


@instrument_app.command("end")
def end_instrument(instrument: Id, reason: Reason, organisation: Of = "", data_dir: DataDir = None) -> None:
    """Declare an instrument invalid: nothing goes on it any more; prints how many disclosures went on it."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        return str((await rooms.exchange.invalidate(permit, id_of(instrument), reason)).disclosures)

    _keeping(organisation, data_dir, work)


@recipient_app.command("add")
def add_recipient(
    key: Annotated[str, typer.Argument(help="Short name; disclosures refer to it.")],
    name: Annotated[str, typer.Option(help="Its name.")],
    kind: Annotated[str, typer.Option(help="What it is, such as service_provider.")],
    country: Annotated[str, typer.Option(help="ISO 3166 code of where it is.")],
    category: Annotated[list[str], typer.Option(help="Data that it may receive; may be given several times.")],
    purpose: Annotated[list[str], typer.Option(help="What for; may be given several times.")],
    stands_under: Annotated[str, typer.Option(help="The recipient of the notice that it is one of.")] = "",
    contract: Annotated[str, typer.Option(help="Short name of its contract.")] = "",
    organisation: Of = "",
    data_dir: DataDir = None,
) -> None:
    """Register a recipient; prints its id."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        made = await rooms.exchange.add_recipient(
            permit, key, name, kind, country, category, purpose, stands_under=stands_under, contract_key=contract
        )
        return str(made)

    _keeping(organisation, data_dir, work)


@recipient_app.command("list")
def list_recipients(organisation: Of = "", data_dir: DataDir = None) -> None:
    """List the recipients: id, short name, name, country, what for, whether it ended."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        return table(
            (each.id, each.key, each.name, each.country, " ".join(each.purposes), "ended" if each.ended_at else "-")
            for each in await rooms.exchange.recipients(permit)
        )

    _keeping(organisation, data_dir, work)


@recipient_app.command("end")
def end_recipient(recipient: Id, organisation: Of = "", data_dir: DataDir = None) -> None:
    """End a recipient: nothing goes there any more. Prints the id."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        await rooms.exchange.end_recipient(permit, id_of(recipient))
        return recipient

    _keeping(organisation, data_dir, work)


def _keeping(organisation: str, data_dir: Path | None, work: Work) -> None:
    """Do something with the registers of the platform, or of an organisation, as the operator."""

    async def run(rooms: Rooms) -> str:
        place = Target("platform")
        if organisation:
            found = await rooms.people.organisation_named(organisation)
            place = Target("organisation", found.id, found.id)
        return await work(rooms, await permit_for(rooms, "keep_register", place))

    if said := beside(load(data_dir), run):
        say(said)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unprocessable(f"{text[:32]!r} is no day", hint="Such as 2026-01-05.") from None
