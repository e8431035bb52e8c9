from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.common.servers import ServedDatabase
from tests.unit.archive.rooms import Rooms, open_rooms
from troth.doors import dicomweb
from troth.kit import clock
from troth.people import Bearer
from troth.policy import Actor
from troth.vault import Keyring


@dataclass
class Sessions:
    """Sessions and tokens as `people` would know them."""

    sessions: dict[str, Actor] = field(default_factory=dict)
    bearers: dict[str, Bearer] = field(default_factory=dict)

    async def actor_of_session(self, token: str) -> Actor | None:
        return self.sessions.get(token)

    async def bearer_of_token(self, token: str) -> Bearer | None:
        return self.bearers.get(token)


@dataclass
class House:
    """What the door is given, and clients of it."""

    rooms: Rooms
    people: Sessions
    app: Any = None
    gate: Any = None
    routes: Any = ()

    @property
    def archive(self) -> Any:
        return self.rooms.archive

    @property
    def policy(self) -> Any:
        return self.rooms.policy

    def client(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://troth.test/dicomweb", headers=headers)

    def signed_in(self, actor: Actor) -> httpx.AsyncClient:
        token = f"session-{len(self.people.sessions)}"
        self.people.sessions[token] = actor
        return self.client(Cookie=f"troth_session={token}")

    def bearer(self, actor: Actor, purpose: str) -> httpx.AsyncClient:
        token = f"bearer-{len(self.people.bearers)}"
        self.people.bearers[token] = Bearer(actor, purpose, clock.now())
        return self.client(Authorization=f"Bearer {token}")

    def sender(self) -> httpx.AsyncClient:
        return self.bearer(self.rooms.actor("peer"), "care")

    def clinician(self) -> httpx.AsyncClient:
        return self.signed_in(self.rooms.actor("clinician"))


@pytest.fixture(scope="module")
async def house(
    database: ServedDatabase, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    rooms = await open_rooms(database, keyring, tmp_path_factory.mktemp("dicomweb"))
    made = House(rooms, Sessions())
    door = dicomweb.create(made)
    made.routes, made.gate = door.routes, door.state.gate
    made.app = Starlette(routes=[Mount("/dicomweb", app=door)])
    yield made
    await door.state.gate.close()
    await rooms.archive.close()
