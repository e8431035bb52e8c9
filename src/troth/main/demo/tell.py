"""`troth demo`: start a node in a folder of its own, tell the story, keep it up for a look or end."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from troth.kit import clock
from troth.kit.errors import TrothError
from troth.kit.owner import owning
from troth.main.demo.cast import files
from troth.main.demo.people import addresses, one_time_links
from troth.main.demo.story import DoesNotHold, Story
from troth.main.demo.visit import NotOnThePage
from troth.main.first_start import prepare
from troth.main.node import Node
from troth.main.parts import PARTS
from troth.main.settings import Address, Settings, shipped_notice
from troth.main.wiring import Rooms, load_notices, open_rooms


def run(once: bool, data_dir: Path | None, settings_in: Callable[[Path], Settings]) -> int:
    """Tell the story.

    Args:
        once: End after it.
        data_dir: Where everything is kept; a temporary folder when None.
        settings_in: Settings for a folder.

    Returns:
        Exit code: 0 only if every step held.
    """
    folder = data_dir or open_folder()
    settings = settings_in(folder)
    if once:  # beside whatever else runs on this machine
        free = Address("127.0.0.1", 0)
        settings = replace(settings, http=free, viewer=free, dicom=free)
    is_again = (folder / "pg" / "PG_VERSION").exists()
    node = Node(settings, PARTS, prepare)
    try:
        began = time.monotonic()
        node.start()
        took = f"up in {time.monotonic() - began:.1f} s"
        if is_again:
            say(f"{took}: the deployment in {folder} goes on where it was; the story was told at its first start")
            held = True
        else:
            say(f"{took}, a first start with an empty folder")
            with owning(folder):
                held = asyncio.run(tell(node))
        if held and not once:
            say(f"\nThe servers stay up. Look around at {node.settings.http_url}; stop with Ctrl-C.")
            say(_afterwards(data_dir, node.settings))
            with owning(folder):
                asyncio.run(hand_out(node))
            node.watch()
            say("\nStopping. " + _afterwards(data_dir, node.settings))
        return 0 if held else 1
    finally:
        node.stop()
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)


def _afterwards(data_dir: Path | None, settings: Settings) -> str:
    if data_dir is None:
        return f"Everything lies in {settings.data_dir} and is deleted at the end; --data-dir DIR keeps it."
    notices = "" if settings.notice == (shipped_notice(),) else "".join(f" --notice {path}" for path in settings.notice)
    return f"Everything stays in {data_dir}. Go on with: troth serve --data-dir {data_dir}{notices}"


async def tell(node: Node) -> bool:
    """Go through the steps; stops at the first that does not hold.

    Returns:
        Whether all held.
    """
    rooms = open_rooms(node.settings, node.server, load_notices(node.settings), connections=4)
    story = Story(node, rooms, await asyncio.to_thread(files, clock.today()), lambda line: say(f"     {line}"))
    try:
        for number, (title, step) in enumerate(story.steps(), 1):
            say(f"\n{number}.  {title}")
            try:
                await step()
            except (DoesNotHold, NotOnThePage, TrothError) as fault:
                say(f"     DOES NOT HOLD: {fault}")
                return False
        say("\nEvery step held.")
        return True
    finally:
        await story.close()
        await rooms.close()


async def hand_out(node: Node) -> None:
    """Print a fresh one-time link for each person of the story."""
    rooms = open_rooms(node.settings, node.server, load_notices(node.settings), connections=2)
    try:
        await _links(node, rooms)
    finally:
        await rooms.close()


async def _links(node: Node, rooms: Rooms) -> None:
    say("One browser holds one person at a time: open each link in a private window of its own.")
    for who, link in await one_time_links(rooms):
        say(f"     {who:32} {link}")
    say("     Staff set up a second factor at their first sign-in: an app for codes, or a passkey.")
    say(f"Each link works once, for 15 minutes. For a new one: {node.settings.http_url}/sign-in with the address of")
    say(f"     {', '.join(addresses(rooms))}; {node.settings.way_of_mails}.")


def open_folder() -> Path:
    """A new folder that the database's unprivileged user can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="troth-demo-", dir="/var/tmp" if os.geteuid() == 0 else None))  # noqa: S108
    folder.chmod(0o711)
    return folder


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
