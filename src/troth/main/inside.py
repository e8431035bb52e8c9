"""What commands about one organisation have in common: its name, a permit of the operator there, a table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from troth.kit.errors import Unprocessable
from troth.main.beside import beside
from troth.main.first_start import permit_for
from troth.main.settings import load
from troth.main.terminal import say
from troth.main.wiring import Rooms
from troth.policy import Permit, Target

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the deployment.", show_default=False)]
Organisation = Annotated[str, typer.Option("--organisation", help="Name of the organisation.")]
Id = Annotated[str, typer.Argument(help="The id that the list shows.")]

Work = Callable[[Rooms, Permit], Awaitable[str]]


def inside(organisation: str, data_dir: Path | None, action: str, work: Work, **attributes: str) -> None:
    """Do something in an organisation as the operator, and print what comes of it.

    Args:
        organisation: Its name.
        data_dir: Of the deployment.
        action: What is done, as the notice names it.
        work: Is given the rooms and the permit, and returns what is printed.
        **attributes: What the notice may ask besides, such as the `role` that somebody is let into.
    """

    async def run(rooms: Rooms) -> str:
        place = await rooms.people.organisation_named(organisation)
        target = Target("organisation", place.id, place.id, attributes=tuple(attributes.items()))
        return await work(rooms, await permit_for(rooms, action, target))

    if said := beside(load(data_dir), run):  # an empty list is no line
        say(said)


def id_of(text: str) -> UUID:
    """An id as a list printed it.

    Raises:
        Unprocessable: It is none.
    """
    try:
        return UUID(text)
    except ValueError:
        raise Unprocessable(f"{text[:64]!r} is no id", hint="The first column of the list has them.") from None


def table(rows: Iterable[Iterable[object]]) -> str:
    """Rows as lines of columns with a tab between, for people and for `cut`."""
    return "\n".join("\t".join(str(cell) for cell in row) for row in rows)
