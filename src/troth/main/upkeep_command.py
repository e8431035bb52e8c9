"""`troth archive`: look after what is held, bring folders in, take studies out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from troth.archive import GRACE, KEY_GRACE, Choice, Rechecked, Swept
from troth.kit.errors import NotFound, Unprocessable
from troth.main.beside import beside, lifetime
from troth.main.first_start import operator, permit_for
from troth.main.settings import load
from troth.main.terminal import say
from troth.main.wiring import Rooms
from troth.people import Organisation
from troth.policy import Target

app = typer.Typer(help="Look after what is held; import and export.", no_args_is_help=True)
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the deployment.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Progress:
    """One line on the terminal that says how far it is; nothing where nobody looks.

    Args:
        what: What is counted.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._at = 0.0
        self._began = time.monotonic()
        self._is_shown = sys.stderr.isatty()

    def tell(self, done: int, total: int, what: str = "") -> None:
        """How much is done."""
        now = time.monotonic()
        if not self._is_shown or (now - self._at < 0.1 and done < total):
            return
        self._at = now
        share = min(1.0, done / total) if total else 1.0
        bar = "#" * round(30 * share)
        rate = done / max(now - self._began, 0.001)
        sys.stderr.write(f"\r{what or self._what:10} [{bar:30}] {done:,} of {total:,}  {rate:,.0f}/s ")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._is_shown:
            sys.stderr.write("\n")


@app.command("sweep")
def sweep(
    data_dir: DataDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    grace: Annotated[str, typer.Option(help="Leave alone what is younger: 15m, 1h, 0m.")] = "",
    as_json: AsJson = False,
) -> None:
    """Give back what nobody names: bytes, keys and subjects that a killed process left behind."""
    chosen = lifetime(grace) if grace else GRACE
    progress = Progress("sweep")

    async def work(rooms: Rooms) -> Swept:
        permit = await permit_for(rooms, "administer", Target("platform"))
        return await rooms.archive.upkeep.sweep(
            permit,
            grace=chosen,
            key_grace=chosen if grace else KEY_GRACE,
            is_dry=dry_run,
            is_thorough=True,
            told=lambda what, done, total: progress.tell(done, total, what),
        )

    swept = beside(load(data_dir), work)
    progress.end()
    if as_json:
        say(json.dumps(asdict(swept)))
        return
    verb = "found" if dry_run else "freed"
    say(f"{swept.looked} packs looked through")
    say(
        f"{verb}: {swept.pieces} pieces of packs with {swept.bytes:,} bytes, {swept.packs} whole packs, "
        f"{swept.subjects} subjects without anything, {swept.keys} keys"
    )
    if swept.postponed:
        say("a transaction ran on for a minute, so not everything could be looked at; try again later")


@app.command("scrub")
def recheck(
    data_dir: DataDir = None,
    organisation: Annotated[str, typer.Option("--organisation", help="Only of this organisation.")] = "",
    study: Annotated[str, typer.Option("--study", metavar="UID", help="Only this study.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="YYYY-MM-DD", help="Only what was stored since.")] = "",
    sample: Annotated[float, typer.Option("--sample", help="Percent of the instances, drawn at random.")] = 100.0,
    rate: Annotated[float, typer.Option("--rate", help="Most megabytes per second; 0 for no limit.")] = 0.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the last run was stopped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read back what is held and check seals, digests and rows; exit code 1 if anything is broken.

    What is broken is named by our ids and what is wrong with it, never by a person.
    """
    if not 0 < sample <= 100:
        raise Unprocessable("--sample is a percentage above 0", hint="Such as 5 or 100.")
    progress = Progress("instances")
    work = _reading(organisation, study, _day(since), sample / 100, rate, resume, progress.tell)
    found = beside(load(data_dir), work)
    progress.end()
    broken = [one for each in found for one in each.broken]
    counts = {name: sum(each.counts()[name] for each in found) for name in ("instances", "bytes", "mended", "broken")}
    if as_json:
        rows = [{name: str(value) for name, value in asdict(one).items()} for one in broken]
        say(json.dumps({**counts, "found": rows}))
    else:
        for one in broken:
            say(f"BROKEN  organisation {one.tenant}  study {one.study_id}  instance {one.instance_id}  {one.what}")
        say(f"{counts['instances']:,} instances read back whole, {counts['bytes']:,} bytes")
        if counts["mended"]:
            say(f"{counts['mended']} of them were thought to be broken before")
        say(f"{len(broken)} are broken" if broken else "nothing is broken")
    if broken:
        raise typer.Exit(1)


def _reading(
    organisation: str,
    study_uid: str,
    since: datetime | None,
    share: float,
    megabytes: float,
    resume: bool,
    told: Callable[[int, int], None],
) -> Callable[[Rooms], Awaitable[list[Rechecked]]]:
    async def work(rooms: Rooms) -> list[Rechecked]:
        found = []
        for place in await houses(rooms, organisation):
            target = Target("organisation", place.id, place.id)
            permit = await permit_for(rooms, "administer", target)
            study_id = None
            if study_uid:
                study_id = (await rooms.archive.target(operator(place.id), study_uid)).id
                if study_id is None:
                    continue
            after = await rooms.archive.upkeep.unfinished(permit) if resume else None
            limit = round(megabytes * 1e6) or None
            choice = Choice(study_id, since, share, limit, after)
            found.append(await rooms.archive.upkeep.recheck(permit, choice, told))
        if study_uid and not found:
            raise NotFound("there is no such study")
        return found

    return work


async def houses(rooms: Rooms, name: str) -> list[Organisation]:
    """The organisation of a name, or all of them."""
    return [await rooms.people.organisation_named(name)] if name else await rooms.people.organisations()


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Unprocessable(f"{text!r} is not a day", hint="Such as 2026-11-22.") from None
