"""`troth archive import` and `troth archive export`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from troth.archive import (
    Exported,
    FolderMedium,
    Imported,
    Importing,
    Match,
    MediaWriter,
    Query,
    SourceRefused,
    StudyNotFound,
)
from troth.doors.taking import telling_why
from troth.kit import clock
from troth.kit.errors import Unprocessable
from troth.kit.owner import as_caller
from troth.kit.zipping import ZipWriter
from troth.main.beside import beside
from troth.main.first_start import permit_for
from troth.main.settings import load
from troth.main.terminal import named, say
from troth.main.upkeep_command import DataDir, Progress, app
from troth.main.wiring import Rooms
from troth.people import Organisation
from troth.policy import Actor, Permit, Target

__all__ = ["app"]

House = Annotated[str, typer.Option("--organisation", help="Name of the organisation.")]
Role = Annotated[str, typer.Option(help="Role in which it is done.")]
Purpose = Annotated[str, typer.Option(help="Purpose for which it is done.")]
_PAGE = 100
_PATIENT_ID, _ISSUER = 0x00100020, 0x00100021


@app.command("import")
def import_files(
    place: Annotated[Path, typer.Argument(metavar="FOLDER|DICOMDIR|ZIP", help="What to bring in.")],
    organisation: House,
    role: Role = "peer",
    purpose: Purpose = "care",
    anew: Annotated[bool, typer.Option("--anew", help="Also what was done in an earlier run.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Bring files in; may be stopped and run again, what is done is not done twice.

    What cannot be taken is listed with the reason; exit code 1 if there was any.
    """
    progress = Progress("files")
    refused: list[tuple[str, str]] = []

    async def work(rooms: Rooms) -> Imported:
        house = await rooms.people.organisation_named(organisation)
        async with _acting(rooms, house, role, purpose) as actor:

            async def allowed() -> Permit:
                return await permit_to_store(rooms, actor, purpose)

            importing = Importing(
                rooms.archive, rooms.database, house.key, allowed,
                lambda name, why: refused.append((name, why)), progress.tell,
            )  # fmt: skip
            return await importing.take(place.absolute(), is_anew=anew)

    imported = beside(load(data_dir), work)
    progress.end()
    for name, why in refused:
        say(f"NOT TAKEN  {named(name)}: {why}")
    say(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in asdict(imported).items()))
    if imported.refused:
        raise typer.Exit(1)


@app.command("export")
def export_studies(
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER|ZIP", help="A new folder, or a new file.zip.")],
    organisation: House,
    study: Annotated[list[str] | None, typer.Option("--study", metavar="UID", help="A study; may be repeated.")] = None,
    patient: Annotated[str, typer.Option("--patient", metavar="ID", help="All studies of a PatientID.")] = "",
    issuer: Annotated[str, typer.Option("--issuer", help="Issuer of the PatientID.")] = "",
    role: Role = "peer",
    purpose: Purpose = "care",
    data_dir: DataDir = None,
) -> None:
    """Take studies out as a DICOM file set that any viewer opens; each study is in the ledger before its first byte."""
    if not study and not patient:
        raise Unprocessable("say what to export", hint="--study UID or --patient ID")
    if to.exists() and (to.is_file() or any(to.iterdir())):
        raise SourceRefused(f"{to} is there already", hint="Nothing is written over.")
    if not to.absolute().parent.is_dir():
        raise SourceRefused(f"{to.absolute().parent} is no folder", hint="Make it first.")
    progress = Progress("instances")

    async def work(rooms: Rooms) -> Exported:
        house = await rooms.people.organisation_named(organisation)
        async with _acting(rooms, house, role, purpose) as actor:
            uids = list(study or ()) or await _of_patient(rooms, house, actor, purpose, patient, issuer)
            if not uids:
                raise StudyNotFound("there is no study of this patient that may be exported")
            if to.suffix.lower() != ".zip":
                return await _write(rooms, house, actor, purpose, uids, MediaWriter(FolderMedium(to)), progress)
            unfinished = to.with_name(to.name + ".part")
            with as_caller():
                file = unfinished.open("xb")
            with file:
                medium = ZipWriter(lambda chunk: (file.write(chunk), None)[1], clock.now(), with_digests=False)
                exported = await _write(rooms, house, actor, purpose, uids, MediaWriter(medium), progress)
                medium.finish()
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            with as_caller():
                unfinished.rename(to)
            return exported

    exported = beside(load(data_dir), work)
    progress.end()
    studies = "1 study" if exported.studies == 1 else f"{exported.studies:,} studies"
    instances = "1 instance" if exported.instances == 1 else f"{exported.instances:,} instances"
    say(f"{studies}, {instances}, {exported.bytes:,} bytes")
    say(to)


async def permit_to_store(rooms: Rooms, actor: Actor, purpose: str) -> Permit:
    """The permit to bring files into the actor's organisation.

    Raises:
        NotTaken: A clause stands in the way at this moment; it is named, and the import can be run again.
        PermitDenied: It may not be done at all.
    """
    target = Target("organisation", actor.tenant, actor.tenant)
    with telling_why():
        return await rooms.policy.require(actor, "store", target, purpose)


async def _write(
    rooms: Rooms, house: Organisation, actor: Actor, purpose: str, uids: list[str], writer: MediaWriter,
    progress: Progress,
) -> Exported:  # fmt: skip
    writer.told = lambda count: progress.tell(count, count)
    async with aclosing(writer):
        for uid in uids:
            permit = await rooms.policy.require(actor, "retrieve", await rooms.archive.target(actor, uid), purpose)
            viewing = await rooms.archive.open_study(permit, uid)
            try:
                await writer.add(viewing)
            finally:
                await viewing.close()
        today = clock.today()
        return await writer.finish(house.name, f"{today.day} {today:%B %Y}")


async def _of_patient(
    rooms: Rooms, house: Organisation, actor: Actor, purpose: str, patient_id: str, issuer: str
) -> list[str]:
    """The studies of one patient, over as many pages as there are.

    Raises:
        Unprocessable: Several patients have this number; what is exported for one must not hold another's.
    """
    found: list[str] = []
    whose: set[UUID] = set()
    if any(sign in patient_id + issuer for sign in "*?\\"):
        raise Unprocessable("an identifier has no wildcards here")
    wanted = [Match(_PATIENT_ID, patient_id)]
    if issuer:
        wanted.append(Match(_ISSUER, issuer))
    while True:
        permit = await rooms.policy.require(actor, "query", Target("organisation", house.id, house.id), purpose)
        page = await rooms.archive.query(permit, Query(matches=tuple(wanted), limit=_PAGE, offset=len(found)))
        found += [one.study.study_uid for one in page.found]
        whose |= {one.study.subject_id for one in page.found}
        if len(whose) > 1:
            raise Unprocessable(
                "more than one patient has this number",
                hint="Say with --issuer who gave it out, or name each study with --study.",
            )
        if not page.is_more:
            return found


@asynccontextmanager
async def _acting(rooms: Rooms, house: Organisation, role: str, purpose: str) -> AsyncIterator[Actor]:
    """Somebody of the organisation for the length of a command: begun and ended in the ledger like any other.

    The operator may see nothing themselves. Whoever holds the data folder can issue tokens, so this gives no more than
    there is; and the notice decides about every single thing that is done.
    """
    permit = await permit_for(rooms, "administer", Target("organisation", house.id, house.id))
    token = await rooms.people.issue_token(permit, house.id, role, purpose, timedelta(days=1))
    actor = await rooms.people.actor_of_token(token)
    assert actor is not None
    try:
        yield actor
    finally:
        await rooms.people.end_session(actor)
