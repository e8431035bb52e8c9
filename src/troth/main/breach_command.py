"""`troth breaches`: answering for a promise that was broken, by two people at the command line.

Who acts is the login that the operating system knows, as for `troth notice publish`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from troth.main.beside import beside
from troth.main.inside import DataDir, id_of
from troth.main.publish_command import publishing
from troth.main.settings import load
from troth.main.terminal import say
from troth.main.wiring import Rooms
from troth.proofs import Breach

app = typer.Typer(help="Promises that were broken, and what is said of them.", no_args_is_help=True)
Which = Annotated[str, typer.Argument(help="Id of the break, as `troth breaches list` prints it.")]
Words = Annotated[str, typer.Argument(help="Name of the words that you read, as `troth breaches list` prints it.")]


@app.command("list")
def list_all(data_dir: DataDir = None) -> None:
    """List every break, newest first, with what was said of it."""

    async def work(rooms: Rooms) -> list[Breach]:
        return await rooms.breaches.all(await publishing(rooms))

    for each in beside(load(data_dir), work):
        state = "open" if each.is_open else "answered" if each.agreed_at else "mended"
        say(f"{each.id}  {state:9}  {each.notice} § {each.clause}  found {each.found_at:%Y-%m-%d %H:%M}")
        if each.happened:
            say(f"  what happened: {each.happened}")
            say(f"  what was done: {each.done}")
        if each.words:
            say(f"  words: {each.words}")


@app.command("explain")
def explain(
    breach: Which,
    happened: Annotated[str, typer.Option("--happened", help="What happened.")],
    done: Annotated[str, typer.Option("--done", help="What was done about it, and who was told.")],
    data_dir: DataDir = None,
) -> None:
    """Say what happened and what was done. The break ends when a second person has agreed."""

    async def work(rooms: Rooms) -> None:
        await rooms.breaches.explain(await publishing(rooms), id_of(breach), happened, done)

    beside(load(data_dir), work)
    say("said; another person has to agree")


@app.command("agree")
def agree(breach: Which, words: Words, data_dir: DataDir = None) -> None:
    """Agree as the second person: the break is answered."""

    async def work(rooms: Rooms) -> None:
        await rooms.breaches.agree(await publishing(rooms), id_of(breach), words)

    beside(load(data_dir), work)
    say("answered")


@app.command("back")
def back(breach: Which, words: Words, data_dir: DataDir = None) -> None:
    """Do not agree to what was said, or take one's own words back."""

    async def work(rooms: Rooms) -> None:
        await rooms.breaches.give_back(await publishing(rooms), id_of(breach), words)

    beside(load(data_dir), work)
    say("given back; it waits for other words")
