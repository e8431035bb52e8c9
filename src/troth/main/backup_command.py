"""`troth backup` and `troth restore`."""

from __future__ import annotations

import asyncio
import os
import secrets
from base64 import b32encode
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from troth.kit.errors import Unprocessable
from troth.kit.owner import owning
from troth.main.adopting import InForce
from troth.main.backup import Made, Source, Wanted, make, restore
from troth.main.beside import lifetime, running
from troth.main.first_start import permit_for
from troth.main.settings import load, shipped_notice
from troth.main.terminal import say
from troth.main.upkeep_command import Progress
from troth.main.wiring import load_notices, open_rooms
from troth.policy import Target

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the deployment.", show_default=False)]
Recovery = Annotated[
    Path | None,
    typer.Option("--recovery-key", help="File with the recovery key; made, and only readable by you, if absent."),
]


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the backups lie.")],
    keyring_to: Annotated[
        Path, typer.Option("--keyring-to", help="Where the keys lie: another medium, other readers.")
    ],
    recovery_key: Recovery = None,
    keep: Annotated[int, typer.Option(min=1, help="How many backups are kept.")] = 2,
    keys_live: Annotated[str, typer.Option(help="How long the keys of a backup live, such as 7d.")] = "7d",
    data_dir: DataDir = None,
) -> None:
    """Make a backup beside a running node: database, packs and, apart from them, the keys.

    Only packs that changed are copied. Whatever is erased afterwards is erased in the backups too, as long as the node
    can reach them. The recovery key opens the keys; without it a backup is worth nothing.
    """
    settings = load(data_dir)
    if not settings.notice:
        settings = load(data_dir, notice=(shipped_notice(),))
    recovery, is_new = _recovery(recovery_key)
    wanted = Wanted(folder.absolute(), keyring_to.absolute(), recovery, keep, lifetime(keys_live))
    server, is_ours = running(settings)
    progress = Progress("backup")

    async def work() -> Made:
        rooms = open_rooms(settings, server, load_notices(settings), connections=2)
        try:
            await InForce(rooms).look()
            permit = await permit_for(rooms, "administer", Target("platform"))
            return await make(rooms, server, permit, wanted, lambda what, done: progress.tell(done, done, what))
        finally:
            await rooms.people.settled()
            await rooms.close()

    try:
        with owning(settings.data_dir):
            made = asyncio.run(work())
    finally:
        if is_ours:
            server.stop()
    progress.end()
    say(f"database {made.database_bytes:,} bytes; {made.packs} packs with {made.bytes:,} bytes, {made.copied} copied")
    say(f"the keys of this backup live for {keys_live} in {wanted.keys_folder / made.stamp}")
    if is_new and recovery_key is None:
        say("keep the recovery key; it is shown this once, and opens the keys of this backup:")
        say(recovery)
    else:
        say(made.stamp)


def restore_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the backups lie.")],
    keyring_from: Annotated[Path, typer.Option("--keyring-from", help="Where the keys lie.")],
    data_dir: Annotated[Path, typer.Option("--data-dir", help="A new folder; nothing is written over.")],
    recovery_key: Annotated[Path | None, typer.Option("--recovery-key", help="File with the recovery key.")] = None,
    stamp: Annotated[str, typer.Option(help="Which backup; without it the newest.")] = "",
    erasures: Annotated[
        list[Path] | None, typer.Option("--erasures", help="The file keys/destroyed of the lost folder, if it is left.")
    ] = None,
    notice: Annotated[list[Path] | None, typer.Option("--notice", help="Notice file or deployment folder.")] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Read every instance back.")] = True,
) -> None:
    """Restore a backup into a new folder: checked, and with every erasure since done again before it opens.

    Everybody signs in anew. Exit code 1 if something is not whole.
    """
    if recovery_key is not None and not recovery_key.is_file():
        raise Unprocessable(f"there is no recovery key at {recovery_key}")
    if recovery_key is None and not os.environ.get("TROTH_RECOVERY_KEY"):
        raise Unprocessable("the recovery key is needed", hint="--recovery-key FILE, or TROTH_RECOVERY_KEY.")
    recovery = recovery_key.read_text() if recovery_key else os.environ["TROTH_RECOVERY_KEY"]
    progress = Progress("restore")
    source = Source(
        folder.absolute(), keyring_from.absolute(), recovery.strip(), stamp, tuple(erasures or ()), tuple(notice or ())
    )  # fmt: skip
    done = restore(
        source, data_dir.absolute(), is_checked=check, told=lambda what, n, of: progress.tell(n, of, what)
    )  # fmt: skip
    progress.end()
    for name, value in asdict(done).items():
        say(f"{name.replace('_', ' '):15} {', '.join(value) or 'nothing' if isinstance(value, tuple) else value}")
    if done.entries_lost:
        say(f"{done.entries_lost} entries of the ledger were signed after this backup: witnesses will see that")
    if done.broken or done.ledger_broken:
        raise typer.Exit(1)
    say(f"start it with troth serve --data-dir {data_dir}")


def _recovery(path: Path | None) -> tuple[str, bool]:
    """The recovery key, and whether it was made now."""
    if path is not None and path.exists():
        return path.read_text().strip(), False
    if path is None and os.environ.get("TROTH_RECOVERY_KEY"):
        return os.environ["TROTH_RECOVERY_KEY"].strip(), False
    made = b32encode(secrets.token_bytes(25)).decode()
    if path is not None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as handle:
            handle.write(made + "\n")
    return made, True


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("backup")(backup)
    app.command("restore")(restore_command)
