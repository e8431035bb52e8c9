"""The way of a command to a deployment: beside a running node, or alone for as long as the command takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from troth.kit.errors import Unprocessable
from troth.kit.owner import owning
from troth.kit.postgres import EmbeddedServer, ManagedServer, Postgres
from troth.kit.programs import ServerUnavailable
from troth.main.adopting import InForce, open_in_force
from troth.main.node import listening, server_for
from troth.main.settings import Settings, load, shipped_notice
from troth.main.wiring import Rooms

Result = TypeVar("Result")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}


def running(settings: Settings) -> tuple[Postgres, bool]:
    """The database of a data folder: the running one, or started for the length of a command.

    Returns:
        The server, and whether it has to be stopped again.

    Raises:
        ServerUnavailable: There is no deployment in this folder.
    """
    if not settings.database_url and not (settings.data_dir / "pg").exists():  # before a folder is made for it
        raise ServerUnavailable(
            f"there is no deployment in {settings.data_dir}", hint="Run troth serve first, or name another --data-dir."
        )
    server = server_for(settings)
    if isinstance(server, ManagedServer):
        return server, False
    assert isinstance(server, EmbeddedServer)
    if server.answers():
        return server, False
    server.start()
    return server, True


def beside(settings: Settings, work: Callable[[Rooms], Awaitable[Result]]) -> Result:
    """Do something with the rooms of a deployment, beside a running node or alone.

    Args:
        settings: Of the deployment.
        work: What to do.
    """
    server, is_ours = running(settings)
    if not settings.notice:
        settings = load(settings.data_dir, notice=(shipped_notice(),))

    async def run() -> Result:
        rooms = await open_in_force(listening(settings), server, connections=2)
        try:
            await InForce(rooms).look()
            return await work(rooms)
        finally:
            await rooms.people.settled()
            await rooms.close()

    try:
        with owning(settings.data_dir):
            return asyncio.run(run())
    finally:
        if is_ours:
            server.stop()


def lifetime(text: str) -> timedelta:
    """Read "15m", "1h", "30d".

    Raises:
        Unprocessable: It is not of that form.
    """
    if len(text) < 2 or text[-1] not in _SECONDS or not text[:-1].isdigit():
        raise Unprocessable(f"{text!r} is not a length of time", hint="Such as 15m, 1h or 30d.")
    return timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])
