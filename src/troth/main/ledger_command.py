"""`troth ledger` and `troth verify`: prove what happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from troth.kit.db import Space
from troth.kit.errors import Unprocessable
from troth.kit.owner import as_caller
from troth.ledger import AlteredRow, Verification
from troth.main import collecting
from troth.main.beside import beside
from troth.main.checkpoints import append as append_to
from troth.main.first_start import permit_for
from troth.main.settings import Settings, load
from troth.main.terminal import say
from troth.main.wiring import Rooms
from troth.policy import Target
from troth.proofs import Report, Standing, as_pdf, signature_of

app = typer.Typer(help="Recompute the ledger, prove an entry.", no_args_is_help=True)
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the deployment.", show_default=False)]


@app.command("verify")
def verify_ledger(
    known: Annotated[
        list[Path] | None,
        typer.Option("--known", help="A file of signed checkpoints that were kept elsewhere, one after the other."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Recompute the whole tree from its rows and check every signature; names each row that was altered."""
    kept = [note for file in known or () for note in notes_in(file)]

    async def work(rooms: Rooms) -> tuple[Verification, list[AlteredRow]]:
        return await rooms.ledger.verify(rooms.dsn_sequencer, known=kept), await rooms.registers.altered()

    verdict, altered = beside(load(data_dir), work)
    say(f"{verdict.size} entries computed again, {verdict.signatures} signed checkpoints checked")
    say(f"root {verdict.root.hex()}")
    for broken in verdict.broken:
        say(f"BROKEN  entry {broken.index}  id {broken.event_id}  {broken.what}")
    for row in altered:
        say(f"ALTERED  {row.register}  id {row.id}  {row.what}")
    if verdict.broken or altered:
        raise typer.Exit(1)
    say("the ledger is whole, and so are the rows that it binds")


@app.command("checkpoint")
def checkpoint(
    append: Annotated[
        Path | None, typer.Option("--append", help="Add it to this file, where it differs from the last one there.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Print the signed checkpoint of the ledger, to be kept elsewhere: `troth ledger verify --known` compares."""

    async def work(rooms: Rooms) -> str:
        async with rooms.database.transaction(Space(None)) as connection:
            found = await rooms.ledger.checkpoint(connection)
        return "" if found is None else found.note

    note = beside(load(data_dir), work)
    if not note:
        raise Unprocessable("nothing is signed yet")
    if append is None:
        say(note.rstrip("\n"))
    else:
        append_to(append, note)


def notes_in(file: Path) -> list[str]:
    """The signed checkpoints of a file, one after the other, each with its signatures (C2SP signed-note).

    Raises:
        Unprocessable: There is none in it.
    """
    found: list[str] = []
    is_over = True
    for line in file.read_text().splitlines(keepends=True):
        is_signature = line.startswith("\N{EM DASH} ")
        if is_over and not is_signature:
            if not line.strip():
                continue
            found.append("")
        is_over = is_signature
        if found:
            found[-1] += line
    if not found:
        raise Unprocessable(f"there is no signed checkpoint in {file}")
    return [each if each.endswith("\n") else each + "\n" for each in found]


@app.command("prove")
def prove(
    event: Annotated[str, typer.Argument(help="Id of the entry.")],
    organisation: Annotated[str, typer.Option("--organisation", help="Name of the organisation it belongs to.")],
    data_dir: DataDir = None,
) -> None:
    """Print the proof that an entry is in the ledger: leaf, path, signed checkpoint (JSON)."""
    try:
        event_id = UUID(event)
    except ValueError as fault:
        raise Unprocessable(f"{event!r} is not the id of an entry") from fault

    async def work(rooms: Rooms) -> str:
        place = await rooms.people.organisation_named(organisation)
        permit = await permit_for(rooms, "see_proofs", Target("ledger", None, place.id))
        async with rooms.database.transaction(permit) as connection:
            proof = await rooms.ledger.prove(connection, event_id)
        return json.dumps(
            {
                "index": proof.index,
                "leaf": proof.leaf.decode(),
                "path": [step.hex() for step in proof.path],
                "checkpoint": proof.checkpoint.note,
                "key": rooms.ledger.verifier_key,
            },
            indent=1,
        )

    say(beside(load(data_dir), work))


def verify_promises(settings: Settings, as_json: bool, pdf: Path | None = None) -> int:
    """Print the state of every promise.

    Args:
        settings: Of the deployment.
        as_json: As JSON, with the proofs in full.
        pdf: Write it for an auditor here, and its signature beside it.

    Returns:
        0; 1 where one is broken, or not possible here without saying so; 2 where one cannot be computed.
    """

    async def work(rooms: Rooms) -> list[Report]:
        found = list((await rooms.runs.run()).reports)
        if pdf is not None:
            drawn = as_pdf(found)
            with as_caller():
                pdf.write_bytes(drawn)
                pdf.with_name(pdf.name + ".sig").write_text(signature_of(drawn, rooms.keyring))
        return found

    reports = beside(settings, work)
    if as_json:
        told = [{**asdict(report), "collecting": collecting_surfaces()} for report in reports]
        say(json.dumps(told, default=str, indent=1))
    else:
        for report in reports:
            _tell(report)
        for each in collecting_surfaces():
            say(f"  collects          {each}")
    return exit_code(reports)


def collecting_surfaces() -> list[str]:
    """Everything of the program by which something about people comes in, with the surface of the notice it is on."""
    return sorted(f"{each.way} {each.name} on {each.surface}" for each in collecting.program() if each.surface)


def exit_code(reports: Sequence[Report]) -> int:
    """0; 1 where a promise is broken, or not possible here without saying so; 2 where one cannot be computed.

    Args:
        reports: One for each notice in force.
    """
    promises = [promise for report in reports for promise in report.promises]
    if any(promise.standing is Standing.BROKEN or promise.is_unsaid for promise in promises):
        return 1
    return 2 if any(promise.is_blind for promise in promises) else 0


def _tell(report: Report) -> None:
    say(f"{report.notice}, version {report.version}")
    for promise in report.promises:
        say(f"  § {promise.clause_id:5} {promise.standing.value:17} {promise.says}")
        say(f"            {promise.reason}")
        if promise.lacks and promise.standing is not Standing.NOT_POSSIBLE:
            say(f"            not possible here yet: {'; '.join(promise.lacks)}")
        for each in promise.examples:
            say(f"            entry {each.number}  {each.kind}  {each.at:%Y-%m-%d %H:%M}")
    for check in report.safeguards:
        holds = {True: "holds", False: "BROKEN", None: "unproven"}[check.holds]
        say(f"  {check.measure:17} {holds:9} {check.found}")
    counts = ", ".join(f"{report.count(standing)} {standing.value}" for standing in Standing)
    say(f"{len(report.promises)} promises: {counts}; ledger of {report.ledger_size} entries")
