"""The command line: `troth demo | serve | web | dicom | worker | check | notice | verify | ledger | admin`."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from troth.kit.owner import OwnerUnusable
from troth.main import (
    admin,
    backup_command,
    breach_command,
    ledger_command,
    media_command,
    notice_command,
    publish_command,
)
from troth.main.first_start import prepare
from troth.main.node import Node, bound, require_listening
from troth.main.parts import PARTS
from troth.main.settings import Settings, load, require_names_apart, shipped_notice
from troth.main.terminal import say
from troth.main.tls import certificate

app = typer.Typer(
    help="A medical imaging platform that keeps its privacy notice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(notice_command.check)
app.add_typer(admin.app, name="admin")
app.add_typer(breach_command.app, name="breaches")
app.add_typer(ledger_command.app, name="ledger")
app.add_typer(media_command.app, name="archive")
backup_command.add_to(app)
publish_command.add_to(notice_command.app)
app.add_typer(notice_command.app, name="notice")

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the deployment: database, keys, packs.", show_default=False)
]
NoticeFiles = Annotated[
    list[Path] | None, typer.Option("--notice", help="Notice file or deployment folder; may be given several times.")
]
Http = Annotated[str | None, typer.Option("--http", metavar="HOST:PORT", help="Listener of the pages.")]
Viewer = Annotated[str | None, typer.Option("--viewer", metavar="HOST:PORT", help="Listener of the viewer's origin.")]
Dicom = Annotated[str | None, typer.Option("--dicom", metavar="HOST:PORT", help="Listener for DICOM associations.")]


def settings_of(
    data_dir: Path | None,
    notice: list[Path] | None = None,
    http: str | None = None,
    viewer: str | None = None,
    dicom: str | None = None,
) -> Settings:
    """Settings with what the command line chose; without any notice, the shipped example is in force."""
    settings = load(data_dir, notice=tuple(notice or ()), http=http, viewer=viewer, dicom=dicom)
    if not settings.notice:
        settings = load(data_dir, notice=(shipped_notice(),), http=http, viewer=viewer, dicom=dicom)
    return settings


@app.command()
def serve(
    data_dir: DataDir = None,
    notice: NoticeFiles = None,
    http: Http = None,
    viewer: Viewer = None,
    dicom: Dicom = None,
) -> None:
    """Run everything on this machine: database, pages, viewer, DICOM listener, durable work.

    Listens on loopback until told otherwise. A first start makes the organisations named in the deployment folder and
    prints a one-time link for each administrator; there is no default password.
    """
    node = Node(settings_of(data_dir, notice, http, viewer, dicom), PARTS, prepare)
    try:
        node.start()
        say(f"pages   {node.settings.http_url}")
        say(f"viewer  {node.settings.viewer_origin}")
        say(f"dicom   {node.settings.ae} at {node.settings.dicom}")
        say(f"sign in at {node.settings.http_url}/sign-in with your e-mail address for a link;")
        say(f"        {node.settings.way_of_mails}")
        say("Ctrl-C stops it; everything stays in the data folder")
        node.watch()
        say("stopping; what is under way is ended first")
    finally:
        node.stop()


def _one_part(name: str, settings: Settings) -> None:
    """Run one part in this process, for a cluster whose other parts run elsewhere.

    Raises:
        OwnerUnusable: We are root, and there is no parent to step down from.
    """
    if os.geteuid() == 0:
        raise OwnerUnusable(
            f"troth {name} does not run as root",
            hint="Start it as a service user; troth serve starts all parts, and steps down by itself.",
        )
    if name == "web":
        certificate(settings)
        require_names_apart(settings)
    places = {"web": (settings.http, settings.viewer), "dicom": (settings.dicom,), "worker": ()}[name]
    listeners: list[socket.socket] = []
    for place in places:
        listeners.append(bound(place, listeners))

    def ready() -> None:
        for place, listener in zip(places, listeners, strict=True):
            require_listening(place, listener)
        say(f"{name} is ready")

    first, second, *_ = (*listeners, None, None)
    PARTS[name](settings, first, second, ready)


@app.command()
def web(data_dir: DataDir = None, notice: NoticeFiles = None, http: Http = None, viewer: Viewer = None) -> None:
    """Run the pages and the viewer's origin only, beside a database that is up."""
    _one_part("web", settings_of(data_dir, notice, http, viewer))


@app.command()
def dicom(data_dir: DataDir = None, notice: NoticeFiles = None, dicom: Dicom = None) -> None:
    """Run the DICOM listener only, beside a database that is up."""
    _one_part("dicom", settings_of(data_dir, notice, dicom=dicom))


@app.command()
def worker(data_dir: DataDir = None, notice: NoticeFiles = None) -> None:
    """Run durable work and the ledger's sequencer only, beside a database that is up."""
    _one_part("worker", settings_of(data_dir, notice))


@app.command()
def verify(
    data_dir: DataDir = None,
    notice: NoticeFiles = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    pdf: Annotated[
        Path | None, typer.Option("--pdf", help="Write a PDF, and its signature to the same name.sig.")
    ] = None,
) -> None:
    """List every promise as kept, broken, unproven or not possible here, computed over what really happened.

    Exit code 0; 1 where one is broken, or not possible without the notice saying so; 2 where one cannot be computed.
    """
    raise typer.Exit(ledger_command.verify_promises(settings_of(data_dir, notice), json, pdf))


@app.command()
def demo(
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Check every step, then stop; exit code 0 if all held. On free ports, where none are named. Of a "
            "folder where the story was told before, check that what it left is still so, and nothing else.",
        ),
    ] = False,
    data_dir: DataDir = None,
    notice: NoticeFiles = None,
    http: Http = None,
    viewer: Viewer = None,
    dicom: Dicom = None,
) -> None:
    """The main job on real DICOM files, told step by step with evidence.

    Everything lies in a new temporary folder unless --data-dir names one. Without --once the servers stay up for a
    look in the browser until Ctrl-C. In a folder where the story was told to its end, the deployment goes on where it
    was. One that did not come to its end is told anew; what was there is moved beside the folder.
    """
    # Imported here: the story's own code is no part of a running node.
    from troth.main.demo import tell

    if once:  # beside whatever else runs on this machine
        http, viewer, dicom = (door or "127.0.0.1:0" for door in (http, viewer, dicom))
    raise typer.Exit(tell.run(once, data_dir, lambda folder: settings_of(folder, notice, http, viewer, dicom)))
