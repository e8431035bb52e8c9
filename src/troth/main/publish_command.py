"""`troth notice publish | agree | withdraw | proposals`: a change of the notice by two people at the command line.

Who acts is the login that the operating system knows, through `sudo` the one behind it: whoever can run this can read
the data folder, so no further secret would prove more. Two logins are two people.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from uuid import NAMESPACE_URL, UUID, uuid5

import typer

from troth.kit.errors import Unprocessable
from troth.main.beside import beside
from troth.main.first_start import PURPOSE, operator
from troth.main.settings import load as load_settings
from troth.main.terminal import say
from troth.main.wiring import Rooms
from troth.notice import Proposal, ProposalNotFound, following, load, notice_files, parse
from troth.policy import Permit, Target

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the deployment.", show_default=False)]
Material = Annotated[
    bool, typer.Option("--material", help="It affects data we already hold, also where the check says not.")
]
Next = Annotated[
    bool, typer.Option("--next", help="Give it the number that follows and the first day from which it may count.")
]
Number = Annotated[str, typer.Argument(help="Id of the proposal; the one that waits, if there is one only.")]


def login() -> str:
    """Name of the person at the command line."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


async def publishing(rooms: Rooms) -> Permit:
    """A permit to publish for this very person, decided by the notice in force."""
    person = replace(operator(), id=uuid5(NAMESPACE_URL, f"troth:operator:{login()}"))
    return await rooms.policy.require(person, "publish_notice", Target("notice"), PURPOSE)


def publish(path: Path, is_next: Next = False, material: Material = False, data_dir: DataDir = None) -> None:
    """Propose a version and show what it would do. It counts when a second person has agreed. Prints the id last."""
    files = notice_files((path,))
    if len(files) != 1:
        raise Unprocessable(f"{path} holds {len(files)} notices", hint="Name one file.")
    notice = load(files[0])

    async def work(rooms: Rooms) -> tuple[Proposal, Sequence[str]]:
        permit = await publishing(rooms)
        before = next(iter(await rooms.notices.versions(notice.name)), None) if is_next else None
        proposed = notice if before is None else parse(following(before, notice.source), notice.path)
        proposal = await rooms.proposals.propose(permit, proposed, is_material=material)
        return proposal, (await rooms.outreach.consequences(permit, proposal)).lines

    _show(*beside(load_settings(data_dir), work))


def agree(proposal: Number = "", material: Material = False, data_dir: DataDir = None) -> None:
    """Agree to a proposal as the second person: it is signed and counts from its day on."""

    async def work(rooms: Rooms) -> tuple[Proposal, Sequence[str]]:
        permit = await publishing(rooms)
        found = await _found(rooms, proposal)
        lines = (await rooms.outreach.consequences(permit, found)).lines
        return await rooms.proposals.agree(permit, found.id, found.sha256, is_material=material), lines

    agreed, lines = beside(load_settings(data_dir), work)
    _show(agreed, lines)


def withdraw(proposal: Number = "", data_dir: DataDir = None) -> None:
    """Take a proposal back."""

    async def work(rooms: Rooms) -> None:
        await rooms.proposals.withdraw(await publishing(rooms), (await _found(rooms, proposal)).id)

    beside(load_settings(data_dir), work)
    say("withdrawn")


def proposals(data_dir: DataDir = None) -> None:
    """List proposals, newest first."""

    async def work(rooms: Rooms) -> list[Proposal]:
        await publishing(rooms)
        return await rooms.proposals.all()

    for each in beside(load_settings(data_dir), work):
        label = f"{each.notice.name} {each.notice.version}"
        say(f"{each.id}  {each.state:9}  {label}  from {each.effective_on}")


async def _found(rooms: Rooms, text: str) -> Proposal:
    if text:
        try:
            return await rooms.proposals.one(UUID(text))
        except ValueError:
            raise ProposalNotFound from None
    waiting = [each for each in await rooms.proposals.all() if each.is_open]
    if len(waiting) != 1:
        raise ProposalNotFound(f"{len(waiting)} proposals wait", hint="Name one by its id.")
    return waiting[0]


def _show(proposal: Proposal, lines: Sequence[str]) -> None:
    notice = proposal.notice
    say(f"{notice.name}, version {notice.version}, from {proposal.effective_on}: {proposal.state}")
    for change in proposal.difference:
        say(f"  {change}")
    say("material" if proposal.is_material else "not material")
    for line in lines:
        say(f"  {line}")
    say(str(proposal.id))


def add_to(app: typer.Typer) -> None:
    """Add the commands to `troth notice`."""
    for command in (publish, agree, withdraw, proposals):
        app.command(command.__name__)(command)
