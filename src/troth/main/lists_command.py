"""`troth admin contacts`: lists of people from a file, and how long contacts stay; the same verbs as the pages have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from troth.kit.errors import Unprocessable
from troth.main.beside import beside
from troth.main.first_start import permit_for
from troth.main.settings import load
from troth.main.terminal import say
from troth.main.wiring import Rooms
from troth.people import PeopleList, Preview
from troth.policy import Permit, Target

app = typer.Typer(
    help="People whom others named: lists with their source, and how long they stay.", no_args_is_help=True
)

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the deployment.", show_default=False)]
Organisation = Annotated[str, typer.Option("--organisation", help="Name of the organisation.")]
_MOST_TOLD = 20


@app.command("import")
def import_list(
    file: Annotated[Path, typer.Argument(help="CSV in UTF-8; the first line names the columns.")],
    organisation: Organisation,
    source: Annotated[str, typer.Option(help="Where it comes from, as the notice lists it, such as partner.")],
    supplier: Annotated[str, typer.Option("--from", help="Who exactly, by name; those on the list are told it.")],
    activity: Annotated[str, typer.Option("--for", help="What for, as the notice names it, such as promotion.")],
    agree: Annotated[bool, typer.Option("--yes", help="Take it in; without this it is only looked through.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Look a list of people through, and with --yes have the worker take it in; prints its number."""
    try:
        content = file.read_bytes()
    except OSError as fault:
        raise Unprocessable(f"{file} cannot be read: {fault.strerror}") from fault

    async def work(rooms: Rooms) -> tuple[PeopleList, Preview | None]:
        permit = await _permit(rooms, organisation)
        made = await rooms.contacts.offer(permit, source, activity, supplier, content, way="command_line")
        told = await rooms.contacts.preview(permit, made.id)
        await (rooms.contacts.agree if agree else rooms.contacts.drop)(permit, made.id)
        return told

    made, preview = beside(load(data_dir), work)
    if preview is not None:
        say(f"{preview.new} new, {preview.known} known, {preview.merged} twice, {len(preview.refused)} refused")
        for each in preview.refused[:_MOST_TOLD]:
            say(f"line {each.number}: {each.why}")
        if len(preview.refused) > _MOST_TOLD:
            say(f"and {len(preview.refused) - _MOST_TOLD} more")
        if made.kind == "staff":
            say(f"{preview.ending} on the list before and not on this one")
    say("the worker takes it in" if agree else "nothing was taken in; add --yes to take it in")
    say(made.reference)


@app.command("due")
def due(
    organisation: Organisation,
    dispose: Annotated[bool, typer.Option("--dispose", help="Have the worker dispose of what is over.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Count the contacts whose time is over, activity by activity; prints how many there are in all."""

    async def work(rooms: Rooms) -> int:
        permit = await _permit(rooms, organisation)
        found = await rooms.contacts.due(permit)
        for each in found:
            governed = "its contract" if each.is_under_contract else "the notice of the site"
            say(f"{each.activity}: {each.due} of {each.held} over, by {governed}, clause {each.clause or 'none'}")
        total = sum(each.due for each in found)
        if dispose and total:
            await rooms.contacts.agree_to_dispose(permit)
        return total

    say(beside(load(data_dir), work))


async def _permit(rooms: Rooms, organisation: str) -> Permit:
    place = await rooms.people.organisation_named(organisation)
    if not rooms.policy.grants("operator", "bring_people"):
        raise Unprocessable(
            "no notice in force here lets anybody take in lists of people, so none is held",
            hint="Such a clause is described in docs/reference/clauses; notices/terminology-vendor has one.",
        )
    return await permit_for(rooms, "bring_people", Target("organisation", place.id, place.id))
