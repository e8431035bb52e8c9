"""What each process of a node runs: the two web origins, the DICOM listener, durable work and the sequencer."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import uvicorn
import uvloop

from troth.doors import dicomweb, dimse, viewer
from troth.doors.web import create as create_pages
from troth.doors.web import require_forms
from troth.kit.bell import Bell
from troth.kit.threads import SharedThreads
from troth.ledger import HeadFile, Sequencer
from troth.lifecycle import ContactDisposal, UnusedAccounts
from troth.main.adopting import InForce, open_in_force
from troth.main.descriptors import raise_open_files
from troth.main.dicom_tls import dicom_tls
from troth.main.first_start import operator
from troth.main.http import BoundedProtocol
from troth.main.node import Part, server_for
from troth.main.proof_runs import ProofRuns
from troth.main.settings import Settings
from troth.main.standing import sequence
from troth.main.tls import Certificate, certificate
from troth.main.upkeeping import Upkeeping
from troth.main.wiring import Rooms
from troth.outreach import Amendments, Introductions
from troth.rights import Fulfilment

Ready = Callable[[], None]

_GARBAGE = 10_000  # new objects between two collections; Python's own 700 are made for a single instance


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the part has one for all that it runs."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def run_web(settings: Settings, first: socket.socket | None, second: socket.socket | None, ready: Ready) -> None:
    """Serve the pages and the viewer's origin until SIGTERM."""
    # Imported here: it costs half a second that the other parts need not pay.
    from troth.doors import rest

    async def work(rooms: Rooms, stop: asyncio.Event) -> None:
        asyncio.get_running_loop().set_default_executor(SharedThreads())
        api = dicomweb.create(rooms)
        applications = (create_pages(rooms, api, rest.create(rooms)), viewer.create(rooms, api))
        require_forms(applications[0].routes)
        shown = certificate(settings)
        servers = [_Server(_uvicorn(app, settings, shown)) for app in applications]
        renewing = asyncio.create_task(shown.follow(stop)) if shown else None
        serving = [
            asyncio.create_task(server.serve(sockets=[listener] if listener else None))
            for server, listener in zip(servers, (first, second), strict=True)
        ]
        while not all(server.started for server in servers):
            await asyncio.sleep(0.005)
        ready()
        await stop.wait()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving, *([renewing] if renewing else []))
        await api.state.gate.close()

    _run(settings, work)


def run_dicom(settings: Settings, first: socket.socket | None, second: socket.socket | None, ready: Ready) -> None:
    """Serve DICOM associations until SIGTERM."""

    async def work(rooms: Rooms, stop: asyncio.Event) -> None:
        asyncio.get_running_loop().set_default_executor(SharedThreads())
        shown = dicom_tls(settings)
        listener = dimse.create(rooms, ourselves=dimse.Ourselves(settings.ae, shown.client if shown else None))
        await listener.start(
            settings.dicom.host, settings.dicom.port, sock=first, tls=shown.server if shown else None
        )  # fmt: skip
        renewing = asyncio.create_task(shown.renewal.follow(stop)) if shown else None
        ready()
        await stop.wait()
        await listener.stop()
        if renewing is not None:
            await renewing

    _run(settings, work)


def may_mean_work(kinds: Collection[str]) -> bool:
    """Whether the worker has to look for work: it is in the ledger too, and what happens to images makes none.

    Args:
        kinds: Of the entries that came; none where they are not known.
    """
    return not kinds or any(not kind.startswith("archive:") for kind in kinds)


def run_worker(settings: Settings, first: socket.socket | None, second: socket.socket | None, ready: Ready) -> None:
    """Sequence the ledger and run durable workflows until SIGTERM."""
    # Imported here: the workflow engine costs a second that the other parts need not pay.
    from troth.kit.durable import Durable

    async def work(rooms: Rooms, stop: asyncio.Event) -> None:
        server = server_for(settings)
        bell = Bell()

        def ring(kinds: Collection[str]) -> None:
            if may_mean_work(kinds):
                bell.ring()

        sequencer = Sequencer(rooms.dsn_sequencer, rooms.keyring, head=HeadFile(settings.data_dir))
        sequencing = asyncio.create_task(sequence(rooms, operator(), sequencer, stop, ring))
        durable = Durable(server.dsn("troth_flow", "troth_flow"))
        fulfilment = Fulfilment(rooms.rights, durable)
        amendments = Amendments(rooms.outreach, durable)
        introductions = Introductions(
            rooms.contacts, rooms.notices, rooms.policy, rooms.mail, settings.http_url, durable
        )
        disposal = ContactDisposal(rooms.contacts, rooms.policy, durable)
        unused = UnusedAccounts(rooms.choices, rooms.people, rooms.notices, rooms.policy, durable)
        await durable.launch()
        ready()
        working = {
            sequencing,
            asyncio.create_task(fulfilment.take(stop, bell=bell)),
            asyncio.create_task(amendments.take(stop, bell=bell)),
            asyncio.create_task(introductions.take(stop, bell=bell)),
            asyncio.create_task(disposal.take(stop, bell=bell)),
            asyncio.create_task(unused.take(stop)),
            asyncio.create_task(Upkeeping(rooms).take(stop)),
            asyncio.create_task(ProofRuns(rooms).take(stop)),
        }
        ended, _ = await asyncio.wait(working, return_when=asyncio.FIRST_EXCEPTION)
        stop.set()
        await durable.stop()
        for task in ended:
            task.result()

    _run(settings, work)


PARTS: dict[str, Part] = {"web": run_web, "dicom": run_dicom, "worker": run_worker}


def _run(settings: Settings, work: Callable[[Rooms, asyncio.Event], object]) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    raise_open_files()

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # beside a parent, that one is asked
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        rooms = await open_in_force(settings, server_for(settings))
        in_force = InForce(rooms)
        await in_force.look()
        # What is here now stays: no collection need look at it again, and pages shared with the parent stay shared.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE)
        following = asyncio.create_task(in_force.follow(stop))
        try:
            await work(rooms, stop)  # type: ignore[misc]
        finally:
            stop.set()
            await following
            await rooms.archive.close()
            await rooms.people.settled()
            await rooms.close()

    uvloop.run(main())


def _uvicorn(app: object, settings: Settings, shown: Certificate | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_level="warning",
        access_log=False,  # a request line may hold what a person searched for
        lifespan="off",
        server_header=False,
        date_header=True,
        http=BoundedProtocol,
        loop="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        proxy_headers=bool(settings.public_url),
        forwarded_allow_ips=settings.trusted_proxies,
        ssl_context_factory=(lambda config, default: shown.context) if shown else None,
    )
