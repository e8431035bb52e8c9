"""The DICOM listener: takes connections, keeps their number in bounds, ends them in good order."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from dataclasses import dataclass

from troth.archive import Commitment
from troth.doors.dimse.association import Association
from troth.doors.dimse.committing import Reporter
from troth.doors.dimse.conversation import Conversation, Ourselves
from troth.doors.dimse.gate import Shown
from troth.doors.dimse.handshakes import Handshakes
from troth.doors.dimse.limits import Limits
from troth.doors.dimse.offered import STORAGE_COMMITMENT
from troth.doors.dimse.ports import Rooms
from troth.doors.dimse.strangers import Strangers
from troth.doors.dimse.upper import State, UpperLayer

_BACKLOG = 1_024


@dataclass(slots=True)
class Tally:
    """How the listener fared since it started; counts only."""

    connected: int = 0
    associated: int = 0
    displaced: int = 0


class Listener:
    """Accepts associations on one address. One per process; several processes may share a port."""

    def __init__(self, rooms: Rooms, limits: Limits, ourselves: Ourselves) -> None:
        self.ourselves = ourselves
        self._rooms = rooms
        self._limits = limits
        self._server: asyncio.Server | Handshakes | None = None
        self._watch: asyncio.Task[None] | None = None
        self._all: set[Association] = set()
        self._outside: dict[Association, None] = {}  # silent, or turned away; oldest first
        self._deciding: set[Association] = set()
        self._open: set[Association] = set()
        self._open_of: Counter[object] = Counter()  # of an organisation, and of a title of it
        self._is_stopping = False
        self._strangers = Strangers(rooms.people)
        self.reporter = Reporter(rooms, limits, ourselves, self._talk_of)
        self._following: list[asyncio.Task[None]] = []
        self.tally = Tally()

    @property
    def port(self) -> int:
        """The port listened on; of use when 0 was asked for."""
        assert self._server is not None
        if isinstance(self._server, Handshakes):
            return self._server.port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def associations(self) -> int:
        """Associations open now."""
        return len(self._open)

    async def start(
        self,
        host: str,
        port: int,
        reuse_port: bool = False,
        *,
        sock: socket.socket | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen.

        Args:
            host: Address; loopback until the operator says otherwise.
            port: TCP port, 0 for any free one.
            reuse_port: Let several processes listen on the same port.
            sock: A socket that the parent of this process has bound; host and port are then not used.
            tls: How we show ourselves and whom we believe; None for plain TCP.
        """
        loop = asyncio.get_running_loop()
        if tls is not None:
            listening = sock or socket.create_server((host, port), backlog=_BACKLOG, reuse_port=reuse_port)
            self._begin(Handshakes(listening, tls, self._connect, self._limits))
        elif sock is not None:
            self._begin(await loop.create_server(self._connect, sock=sock, backlog=_BACKLOG))
        else:
            self._begin(
                await loop.create_server(self._connect, host, port, backlog=_BACKLOG, reuse_port=reuse_port or None)
            )

    async def stop(self) -> None:
        """Listen no more; let C-STOREs under way end and be answered, then end every association."""
        self._is_stopping = True
        if self._server is not None:
            self._server.close()
        for association in tuple(self._all):
            association.end()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limits.drain_seconds
        while self._all and loop.time() < until:
            for association in tuple(self._all):
                if association.upper.state is State.CLOSING:
                    association.upper.close()
            await asyncio.sleep(0.01)
        for association in tuple(self._all):
            association.upper.drop()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for task in self._following:
            task.cancel()
        await self.reporter.close()
        await self._strangers.tell()
        await asyncio.sleep(0)

    # -- what associations ask ---------------------------------------------------------------------------------

    def asked(self, association: Association) -> bool:
        """An association request came; False when too many wait for their answer."""
        if len(self._deciding) >= self._limits.deciding:
            return False
        self._outside.pop(association, None)
        self._deciding.add(association)
        return True

    def decided(self, association: Association) -> None:
        """It was answered, one way or the other."""
        self._deciding.discard(association)
        if association in self._all and association not in self._open:
            self._outside[association] = None
            self._make_room()

    def turned_away(self, shown: Shown) -> None:
        """Nobody knows this peer."""
        self._strangers.note(shown)

    def asked_to_commit(self, commitment: Commitment) -> None:
        """A peer is to be told which instances are held."""
        self.reporter.soon(commitment)

    def take_place(self, association: Association) -> bool:
        """A place among the open associations, or False when all are taken."""
        limits, organisation, peer = self._limits, association.tenant, _peer_of(association)
        has_kept = self._open_of[organisation] < limits.associations_kept
        if len(self._open) >= (limits.associations_in_all if has_kept else limits.associations) or self._is_stopping:
            return False
        if self._open_of[peer] >= limits.associations_per_peer:
            return False
        if association not in self._all:
            return False  # went away while we asked who it was
        self._open.add(association)
        self._open_of.update((organisation, peer))
        self.tally.associated += 1
        return True

    def leave(self, association: Association) -> None:
        """The connection is gone."""
        self._all.discard(association)
        self._outside.pop(association, None)
        self._deciding.discard(association)
        if association in self._open:
            self._open.remove(association)
            for counted in (association.tenant, _peer_of(association)):
                self._open_of[counted] -= 1
                if not self._open_of[counted]:
                    del self._open_of[counted]

    # -- connections -------------------------------------------------------------------------------------------

    def _begin(self, server: asyncio.Server | Handshakes) -> None:
        self._is_stopping = False
        self._server = server
        loop = asyncio.get_running_loop()
        self._watch = loop.create_task(self._keep_watch())
        self._following = [loop.create_task(self.reporter.follow()), loop.create_task(self._strangers.follow())]

    def _talk_of(self, peer_id: object) -> Conversation | None:
        talks = (association.talk for association in self._open if association.peer_id == peer_id)
        return next((talk for talk in talks if talk is not None and talk.context_of(STORAGE_COMMITMENT)), None)

    def _connect(self) -> UpperLayer:
        upper = UpperLayer(self._limits)
        association = Association(upper, self._rooms, self._limits, self)
        upper.attach(association)
        self._all.add(association)
        self._outside[association] = None
        self.tally.connected += 1
        self._make_room()
        return upper

    def _make_room(self) -> None:
        # ten thousand silent sockets cost the oldest of them, never the peer that comes next
        while len(self._outside) > self._limits.pending:
            oldest = next(iter(self._outside))
            del self._outside[oldest]
            oldest.upper.drop()
            self.tally.displaced += 1

    async def _keep_watch(self) -> None:
        pause = min(1.0, self._limits.artim_seconds / 4, self._limits.idle_seconds / 4)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(pause)
            now = loop.time()
            for association in tuple(self._all):
                association.upper.expire(now)


def _peer_of(association: Association) -> tuple[object, str]:
    """Two organisations may have a machine of one title."""
    return association.tenant, association.calling_ae
