"""Peers: the DICOM nodes that an organisation has registered.

An AE title proves nothing; it counts only together with the address that a registered peer calls from
(DICOM PS3.15 B.9 asks for TLS with certificates, which comes on top).
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv6Address, ip_address
from uuid import UUID

from troth import policy
from troth.kit import clock, ids
from troth.kit.db import Connection, Row, Space
from troth.people import domains, peers_store, store, trust
from troth.people.errors import FieldMalformed, PeerExists, PeerNotFound
from troth.people.model import Organisation, Peer, PeerCaller
from troth.people.tokens import Tokens
from troth.policy import Actor, Clear, Permit, refs

_OPENED, _REFUSED = "people:association:opened", "people:association:refused"
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_AE = re.compile(r"[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?")


class Peers(Tokens):
    """The part of `People` that knows DICOM peers."""

    async def add_peer(
        self,
        permit: Permit,
        tenant: UUID,
        ae: str,
        host: str,
        port: int,
        *,
        called_ae: str = "",
        certificate: str = "",
        purpose: str = "care",
        over_tls: bool = False,
    ) -> Peer:
        """Register a peer.

        Args:
            permit: To `administer` the organisation.
            tenant: The organisation whose data it may send and ask for.
            ae: Its AE title, 1 to 16 characters.
            host: Its IP address, or a name that is looked up now and never again.
            port: Where it listens itself.
            called_ae: The AE title of ours that it must call; empty for any.
            certificate: SHA-256 of the certificate it shows, 64 hexadecimal digits, colons allowed; empty for none.
            purpose: What it acts for: the key of an activity of the notice.
            over_tls: Whether we call it over TLS.

        Raises:
            FieldMalformed: An AE title, host or port that cannot be.
            PeerExists: Registered already, by whichever organisation.
        """
        space = self._space(permit, tenant)
        organisation = await self.organisation(tenant)
        await self._require_purpose("peer", purpose)
        address, shown = await _address_of(host, port), _fingerprint(certificate)
        called = _title(called_ae) if called_ae else ""
        peer = Peer(ids.uuid7(), tenant, _title(ae), host, address, port, called, shown, purpose, over_tls)
        values = {
            "id": peer.id,
            "organisation_id": tenant,
            "ae": peer.ae,
            "called_ae": peer.called_ae,
            "host": host,
            "address": address,
            "port": port,
            "certificate": shown,
            "purpose": purpose,
            "over_tls": over_tls,
            "made_at": clock.now(),
        }
        async with self._db.transaction(space) as connection:
            if not await peers_store.insert(connection, values):
                raise PeerExists
            await self._note_peer(connection, "added", permit, organisation, peer)
        return peer

    async def peers(self, permit: Permit) -> list[Peer]:
        """The peers of the permit's organisation."""
        if permit.tenant is None:
            return []
        async with self._db.transaction(permit) as connection:
            return [_peer(row) for row in await peers_store.of_organisation(connection, permit.tenant)]

    async def destination(self, actor: Actor, ae: str) -> Peer | None:
        """Where a peer of the actor's own organisation listens; None for every other AE title.

        Args:
            actor: Who wants to send there.
            ae: AE title as it was asked for. Of several nodes with this title the latest registered one is meant.
        """
        if actor.tenant is None:
            return None
        async with self._db.transaction(actor) as connection:
            found = [_peer(row) for row in await peers_store.of_organisation(connection, actor.tenant)]
        return max((peer for peer in found if peer.ae == ae.strip(" ")), key=lambda peer: peer.id, default=None)

    async def end_peer(self, permit: Permit, peer_id: UUID) -> None:
        """Take a peer out of use; felt at its next step.

        Raises:
            PeerNotFound: Not of this organisation.
        """
        if permit.tenant is None:
            raise PeerNotFound
        organisation = await self.organisation(permit.tenant)
        async with self._db.transaction(permit) as connection:
            row = await peers_store.by_id(connection, peer_id, permit.tenant)
            if row is None or not await store.delete_peer(connection, peer_id, permit.tenant):
                raise PeerNotFound
            await self._note_peer(connection, "ended", permit, organisation, _peer(row))

    async def change_peer(
        self, permit: Permit, peer_id: UUID, host: str, port: int, certificate: str = "", *, over_tls: bool = False
    ) -> Peer:
        """Give a peer another address or another certificate.

        With another certificate it is another machine to us: it has a new id, and what called by the old one is
        refused at its next step. With another address it stays the same one.

        Args:
            permit: To `add_peer` in the organisation.
            peer_id: Which.
            host: Its IP address, or a name that is looked up now.
            port: Where it listens.
            certificate: SHA-256 of the certificate it shows from now on; empty for none.
            over_tls: Whether we call it over TLS.

        Raises:
            FieldMalformed: A host, port or certificate that cannot be.
            PeerExists: Another one is registered that calls in this way.
            PeerNotFound: Not of this organisation.
        """
        if permit.tenant is None:
            raise PeerNotFound
        organisation = await self.organisation(permit.tenant)
        address, shown = await _address_of(host, port), _fingerprint(certificate)
        async with self._db.transaction(permit) as connection:
            row = await peers_store.by_id(connection, peer_id, permit.tenant)
            if row is None:
                raise PeerNotFound
            changed = replace(
                _peer(row), id=peer_id if row["certificate"] == shown else ids.uuid7(),
                host=host, address=address, port=port, certificate=shown, over_tls=over_tls,
            )  # fmt: skip
            values = {name: getattr(changed, name) for name in ("host", "address", "port", "certificate", "over_tls")}
            if not await peers_store.change(connection, peer_id, {**values, "id": changed.id}):
                raise PeerExists
            await self._note_peer(connection, "changed", permit, organisation, changed, before=str(peer_id))
        return changed

    async def _note_peer(
        self, connection: Connection, what: str, permit: Permit, organisation: Organisation, peer: Peer, **more: str
    ) -> None:
        """Write that a machine was `added`, `changed` or `ended`, and which one."""
        said = {"peer": str(peer.id), "ae": peer.ae, "host": peer.host, "certificate": peer.certificate, **more}
        await self._note(
            connection, f"people:peer:{what}", permit.actor, organisation.id, organisation.key, permit=permit,
            payload={name: value for name, value in said.items() if value}, counts={"port": peer.port},
            clear=Clear(refs=refs(peer=peer.id)),
        )  # fmt: skip

    async def actor_of_peer(self, calling_ae: str, called_ae: str, address: str) -> Actor | None:
        """Who calls without TLS; see `caller_of_peer`."""
        caller = await self.caller_of_peer(calling_ae, called_ae, address)
        return caller.actor if caller is not None else None

    async def caller_of_peer(
        self, calling_ae: str, called_ae: str, address: str, certificate: str = ""
    ) -> PeerCaller | None:
        """Who calls and what for; None when it is not registered.

        Without TLS a peer is its title and the address it calls from. With TLS it is its title and its certificate; one
        that is registered with a certificate is never taken without.

        Args:
            calling_ae: As in the A-ASSOCIATE-RQ; padding does not count.
            called_ae: The same.
            address: IP address of the other end of the connection.
            certificate: SHA-256 (hex) of the certificate that it showed; empty without TLS.
        """
        try:
            wanted = _normalised(address)
        except ValueError:
            return None
        async with self._db.transaction(None) as connection:
            row = await peers_store.calling(
                connection, calling_ae.strip(" "), called_ae.strip(" "), wanted, certificate
            )
        return _caller(row) if row is not None and await self._is_trusted(row) else None

    async def _is_trusted(self, row: Row) -> bool:
        """Whether a machine is registered as it was bound; where not, the alarm is raised."""
        if trust.of_peer(self._keyring, row):
            return True
        await self.alarm.raise_about("peer", None, row["id"])
        return False

    async def known_peer(self, tenant: UUID, peer_id: UUID) -> tuple[Peer, PeerCaller] | None:
        """A peer that asked for something earlier and is to be answered now; None when it was taken out of use."""
        async with self._db.transaction(Space(tenant)) as connection:
            row = await peers_store.by_id(connection, peer_id, tenant)
        return (_peer(row), _caller(row)) if row is not None and await self._is_trusted(row) else None

    async def record_association(self, caller: PeerCaller, called_ae: str, address: str) -> None:
        """Write that a peer connected.

        Args:
            caller: Who.
            called_ae: As whom it called us.
            address: From where.
        """
        tenant = caller.actor.tenant
        assert tenant is not None
        key = (await self.organisation(tenant)).key
        said = {"called_ae": called_ae, "address": address}
        async with self._db.transaction(caller.actor) as connection:
            await self._note(
                connection, _OPENED, caller.actor, tenant, key, purpose=caller.purpose, payload=said,
                counts={"associations": 1}, clear=Clear(refs=refs(peer=caller.actor.id)),
            )  # fmt: skip

    async def record_strangers(self, attempts: Mapping[tuple[str, str, str], int]) -> None:
        """Write that connections of unknown machines were refused: one entry for all of a while.

        Args:
            attempts: How often, by calling AE title, called AE title and address.
        """
        key = await self._platform_key()
        said = [
            {"calling_ae": calling, "called_ae": called, "address": address, "times": times}
            for (calling, called, address), times in attempts.items()
        ]
        entry = policy.act(
            Actor(kind="anonymous", surface="dimse"),
            _REFUSED,
            "administration",
            key=key,
            payload={"attempts": said},
            outcome="refused",
            counts={"associations": sum(attempts.values())},
        )
        await self._ledger.write(self._db, None, [entry])


def _title(ae: str) -> str:
    """An AE title without padding (DICOM PS3.5 6.2: AE, no backslash, no control characters)."""
    stripped = ae.strip(" ")
    if not _AE.fullmatch(stripped):
        raise FieldMalformed("an AE title has 1 to 16 characters of ASCII without backslash")
    return stripped


def _normalised(address: str) -> str:
    found = ip_address(address)
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found)


def _fingerprint(certificate: str) -> str:
    """The SHA-256 of a certificate in lower-case hexadecimal digits; empty for none."""
    shown = certificate.replace(":", "").strip().lower()
    if shown and not _FINGERPRINT.fullmatch(shown):
        raise FieldMalformed("the SHA-256 of a certificate has 64 hexadecimal digits")
    return shown


async def _address_of(host: str, port: int) -> str:
    if not 0 < port < 65536:
        raise FieldMalformed("a port is a number from 1 to 65535")
    try:
        return _normalised(host)
    except ValueError:
        pass
    try:
        name = domains.ascii_form(host)
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FieldMalformed("we cannot find this host", hint="Check its spelling, or write its IP address.") from None
    # IPv4 first: imaging modalities rarely call over IPv6, and "localhost" has both.
    addresses = sorted(
        {_normalised(str(entry[4][0]).split("%")[0]) for entry in found}, key=lambda one: (":" in one, one)
    )
    return addresses[0]


def _caller(row: Row) -> PeerCaller:
    actor = Actor(
        kind="peer",
        id=row["id"],
        tenant=row["organisation_id"],
        role="peer",
        name=row["ae"],
        organisation=row["organisation"],
        via="dimse",
        surface="dimse",
    )
    return PeerCaller(actor, row["purpose"])


def _peer(row: Row) -> Peer:
    return Peer(
        row["id"], row["organisation_id"], row["ae"], row["host"], row["address"], row["port"], row["called_ae"],
        row["certificate"], row["purpose"], row["over_tls"],
    )  # fmt: skip
