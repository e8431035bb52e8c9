"""`troth demo`: start a node in a folder of its own, tell the story, keep it up for a look or end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from troth.kit import clock
from troth.kit.errors import TrothError
from troth.kit.owner import owning
from troth.main.demo.cast import files
from troth.main.demo.mark import Mark, aside
from troth.main.demo.people import Cast, addresses, one_time_links
from troth.main.demo.story import Story
from troth.main.demo.visit import DoesNotHold, NotOnThePage
from troth.main.first_start import prepare
from troth.main.node import Node
from troth.main.parts import PARTS
from troth.main.settings import Settings, shipped_notice
from troth.main.wiring import Rooms, load_notices, open_rooms

Result = TypeVar("Result")

_INTERRUPTED = 130  # 128 + SIGINT, as a shell says it


def run(once: bool, data_dir: Path | None, settings_in: Callable[[Path], Settings]) -> int:
    """Tell the story, or where it was told before, go on with what it left.

    Args:
        once: End after it; of a folder where it was told, look whether that is still so.
        data_dir: Where everything is kept; a temporary folder when None.
        settings_in: Settings for a folder.

    Returns:
        Exit code: 0 only if every step held; 130 where it was stopped before.

    Raises:
        NotOfTheDemo: The folder holds a deployment in which no demo was begun, or a node runs on it.
    """
    folder = (data_dir or open_folder()).absolute()
    settings, mark = settings_in(folder), Mark.of(folder)
    if mark.result != "held" and not mark.is_untold:
        say(f"The story in {folder} did not come to its end, so it is told anew.")
        say(f"What was there is in {aside(folder)}; delete it when you like.")
        mark = Mark()
    node = Node(settings, PARTS, prepare)
    is_interrupted = False
    try:
        if not mark.begun:
            mark.keep(folder)  # before there is a database, so that what this start leaves is known
        return _told(node, mark, once, data_dir)
    except KeyboardInterrupt:
        is_interrupted = True
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would leave behind what is being stopped
        return _INTERRUPTED
    finally:
        node.stop()
        if is_interrupted:
            say("\nStopped.")
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)


def _told(node: Node, mark: Mark, once: bool, data_dir: Path | None) -> int:
    """Start, tell or look again, and unless once, hand out the links and stay up; returns the exit code."""
    folder, is_again = node.settings.data_dir, mark.result == "held"
    began = time.monotonic()
    node.start()
    took = f"up in {time.monotonic() - began:.1f} s"
    with owning(folder):
        if not is_again:
            say(f"{took}, a first start with an empty folder")
            held = asyncio.run(_stoppable(tell(node, mark)))
        elif once:
            say(f"{took}: the story was told in {folder} before. It is not told again: looked at is what it left")
            held = asyncio.run(_stoppable(look_again(node, mark)))
        else:
            say(f"{took}: the deployment in {folder} goes on where it was; its story was told before, every step held")
            held = True
        if held and not once:
            say(f"\nThe servers stay up. Look around at {node.settings.http_url}; stop with Ctrl-C.")
            say(_afterwards(data_dir, node.settings))
            asyncio.run(_stoppable(hand_out(node)))
    if held and not once:
        node.watch()
        say("\nStopping. " + _afterwards(data_dir, node.settings))
    return 0 if held else 1


async def _stoppable(work: Coroutine[Any, Any, Result]) -> Result:
    """Do something until Ctrl-C; then it is over, whatever was under way makes of it.

    Raises:
        KeyboardInterrupt: It was stopped.
    """
    interrupted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    doing, waiting = asyncio.create_task(work), asyncio.create_task(interrupted.wait())
    await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if interrupted.is_set():
        doing.cancel()
        await asyncio.wait({doing}, timeout=5)
        raise KeyboardInterrupt
    waiting.cancel()
    return doing.result()


def _afterwards(data_dir: Path | None, settings: Settings) -> str:
    if data_dir is None:
        return f"Everything lies in {settings.data_dir} and is deleted at the end; --data-dir DIR keeps it."
    words = [sys.argv[0] if Path(sys.argv[0]).name == "troth" else "troth", "serve", "--data-dir", str(data_dir)]
    if settings.notice != (shipped_notice(),):
        words += [word for path in settings.notice for word in ("--notice", str(path))]
    usual = Settings(settings.data_dir)
    for door in ("http", "viewer", "dicom"):
        if (address := getattr(settings, door)) != getattr(usual, door):
            words += [f"--{door}", str(address)]
    return f"Everything stays in {data_dir}. Go on with: {' '.join(words)}"


async def tell(node: Node, mark: Mark) -> bool:
    """Go through the steps; stops at the first that does not hold. Each is written down when it begins.

    Returns:
        Whether all held.
    """

    async def all_steps(story: Story) -> bool:
        steps = story.steps()
        for number, (title, step) in enumerate(steps, 1):
            say(f"\n{number}.  {title}")
            mark.begun = number
            mark.keep(node.settings.data_dir)
            held = await _holds(step()) and (number < len(steps) or await _holds(story.cast.complete()))
            if not held:
                mark.result = "failed"
                mark.keep(node.settings.data_dir)
                return False
        mark.result, mark.kept, mark.erased = "held", story.head_uid, story.old_uid
        mark.keep(node.settings.data_dir)
        say("\nEvery step held.")
        return True

    return await _in_story(node, all_steps)


async def look_again(node: Node, mark: Mark) -> bool:
    """Look whether what was told at an earlier start is still so; returns whether it is."""

    async def look(story: Story) -> bool:
        say("\n1.  What was told is still so")
        held = await _holds(story.still(mark.kept, mark.erased))
        if held:
            say("\nWhat was looked at holds. Every step is told in a new folder.")
        return held

    return await _in_story(node, look)


async def _in_story(node: Node, work: Callable[[Story], Awaitable[bool]]) -> bool:
    rooms = open_rooms(node.settings, node.server, load_notices(node.settings), connections=4)
    made = await asyncio.to_thread(files, clock.today())
    story = Story(node, rooms, made, lambda line: say(f"     {line}"), Cast(rooms))
    try:
        return await work(story)
    finally:
        await story.close()
        await rooms.close()


async def _holds(step: Awaitable[None]) -> bool:
    try:
        await step
    except (DoesNotHold, NotOnThePage, TrothError) as fault:
        say(f"     DOES NOT HOLD: {fault}")
        return False
    return True


async def hand_out(node: Node) -> None:
    """Print a fresh one-time link for each person of the story."""
    rooms = open_rooms(node.settings, node.server, load_notices(node.settings), connections=2)
    try:
        await _links(node, rooms)
    finally:
        await rooms.close()


async def _links(node: Node, rooms: Rooms) -> None:
    say("One browser holds one person at a time: open each link in a private window of its own.")
    for job, links in await one_time_links(rooms):
        say(f"  {job}")
        for who, link in links:
            say(f"     {who:56}  {link}")
    say("     Staff set up a second factor at their first sign-in, an app for codes or a passkey; later they are asked")
    say("     for it. Lost it: two administrators let you back in, or troth admin user forget-factor.")
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
