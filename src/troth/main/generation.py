"""What a node says of itself when it starts: what its log is called, and that it runs."""

from __future__ import annotations

import socket
from hashlib import sha256
from importlib.metadata import version
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from troth import policy
from troth.kit.db import Space
from troth.ledger import Clear, generation, refs
from troth.main import collecting
from troth.main.settings import Settings
from troth.main.wiring import Rooms
from troth.policy import Actor

_PURPOSE = "administration"
_STARTED = "main:node:started"


def host_of(public_url: str) -> str:
    """Host name by which people reach the deployment; empty where it has none that is of it alone."""
    host = urlsplit(public_url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return "" if host == "localhost" else host
    return ""


def deployment_of(public_key: bytes) -> str:
    """What a deployment without a host name of its own is called: a name made of its public key."""
    return f"deployment-{sha256(public_key).hexdigest()[:16]}"


async def name_log(rooms: Rooms, settings: Settings, actor: Actor, *, is_restored: bool = False) -> str:
    """Give the log the name of this deployment, where it has another one, and a new one after each restore.

    Args:
        rooms: The rooms.
        settings: Of the deployment.
        actor: The operator.
        is_restored: Entries may have been lost that were signed.

    Returns:
        The name from now on.
    """
    deployment = deployment_of(rooms.keyring.public_key)
    async with rooms.database.transaction(Space(None)) as connection:
        checkpoint = await rooms.ledger.checkpoint(connection)
        opened = await rooms.ledger.latest(connection, kinds=[generation.KIND], limit=1)
        before = opened[0].clear.says.get("origin", generation.ORIGIN) if opened else generation.ORIGIN
        name = generation.named(host_of(settings.public_url), deployment, generation.next_number(before))
        if opened and not is_restored and name.rpartition("/")[0] == before.rpartition("/")[0]:
            return before
        says = {"origin": name, "before": before, "root": checkpoint.root.hex() if checkpoint else "none"}
        counts = {"size": checkpoint.size if checkpoint else 0, "restored": int(is_restored)}
        entry = policy.act(actor, generation.KIND, _PURPOSE, space=Space(None), counts=counts, clear=Clear(says=says))
        await rooms.ledger.append(connection, entry)
    return name


async def say_started(rooms: Rooms, settings: Settings, actor: Actor, schema: str) -> None:
    """Write that this node starts: which one, where it stores, with what program, schema, surfaces and listeners.

    Args:
        rooms: The rooms.
        settings: Of the deployment.
        actor: The operator.
        schema: The newest migration.
    """
    name = f"troth:node:{rooms.keyring.public_key.hex()}:{socket.gethostname()}:{settings.data_dir}"
    surfaces = collecting.surfaces([version.notice for version in await rooms.notices.current()])
    says = {
        "region": settings.region,
        "program": version("troth"),
        "schema": schema,
        "surfaces": "+".join(surfaces),
        "listeners": "http+viewer+dicom" if not settings.tls_certificate else "https+viewer+dicom",
    }
    ports = {"http": settings.http.port, "viewer": settings.viewer.port, "dicom": settings.dicom.port}
    clear = Clear(refs=refs(node=uuid5(NAMESPACE_URL, name)), says={word: said for word, said in says.items() if said})
    entry = policy.act(actor, _STARTED, _PURPOSE, space=Space(None), counts=ports, clear=clear)
    await rooms.ledger.write(rooms.database, Space(None), [entry])
