"""What every part of the room stands on: the platform's key, organisations, accounts, the ledger entry of an actor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from troth import policy
from troth.kit import clock, ids
from troth.kit.db import Connection, Database, Row, Space
from troth.kit.errors import TrothError
from troth.kit.mail import Mail
from troth.ledger import Bind, Ledger, RowsAltered
from troth.people import closures_store, store, trust
from troth.people.errors import AccountClosing, FieldMalformed, OrganisationExists, OrganisationNotFound
from troth.people.model import Links, Organisation
from troth.policy import NOTHING, Actor, Clear, Permit, refs
from troth.vault import KeyDestroyed, KeyRef, Keyring, SealBroken

_logger = logging.getLogger(__name__)
_ADDED = "people:organisation:added"
_ROUNDS: Final = 3
_NAMED_BY: Final = "It names each row that was altered: troth verify."


@dataclass(frozen=True, slots=True)
class Account:
    """What somebody signs in with: an e-mail address, sealed under a key of its own."""

    id: UUID
    key: KeyRef


class Room:
    """The common ground of the parts; `People` joins them.

    Args:
        db: Opened as `troth_app`.
        keyring: Of the deployment.
        ledger: Where what happens is written.
        mail: The mail transport.
        links: How links in mails begin.

    Attributes:
        alarm: Says that a row was met that is not believed.
    """

    def __init__(self, db: Database, keyring: Keyring, ledger: Ledger, mail: Mail, *, links: Links) -> None:
        self._db = db
        self._keyring = keyring
        self._ledger = ledger
        self.alarm = trust.Alarm(db, ledger)
        self._mail = mail
        self._links = links
        self._organisations: dict[UUID, Organisation] = {}
        self._platform: KeyRef | None = None
        self._later: set[asyncio.Task[None]] = set()

    async def settled(self) -> None:
        """Wait until mail that is on its way has been handed over; for shutdown and tests."""
        while self._later:
            await asyncio.wait(self._later)

    # Organisations

    async def add_organisation(
        self, permit: Permit, name: str, capacity: str = "controller", region: str = "GB", *, operates: bool = False
    ) -> Organisation:
        """Add an organisation, which is a tenant with a key of its own.

        Args:
            permit: To `administer` the platform.
            name: Display name, unique.
            capacity: `controller` or `processor`.
            region: ISO 3166 code of where its data is kept.
            operates: It runs the whole service; at most one does.

        Raises:
            OrganisationExists: The name is taken, or another one runs the service.
        """
        [key] = await self._new_keys([None])
        made = Organisation(ids.uuid7(), name.strip(), capacity, region, key, operates)
        values = {"id": made.id, "name": made.name, "capacity": capacity, "region": region, "key": key}
        values["operates"] = operates
        platform = await self._platform_key()
        is_added = False
        try:
            async with self._db.transaction(permit) as connection:
                is_added = await store.insert_organisation(connection, {**values, "made_at": clock.now()})
                if is_added:
                    said = {"organisation": str(made.id), "name": made.name}
                    await self._note(
                        connection, _ADDED, permit.actor, None, platform, permit=permit, payload=said,
                        counts={"operates": int(operates)},
                        clear=Clear(refs=refs(organisation=made.id), says={"region": region, "capacity": capacity}),
                    )  # fmt: skip
        finally:
            if not is_added:
                await self._destroy([key])
        if not is_added:
            raise OrganisationExists
        return made

    async def organisation(self, tenant: UUID) -> Organisation:
        """The organisation of a tenant.

        Raises:
            OrganisationNotFound: There is none.
        """
        if tenant not in self._organisations:
            self._organisations[tenant] = await self._organisation_by(organisation_id=tenant)
        return self._organisations[tenant]

    async def organisation_over(self, connection: Connection, tenant: UUID) -> Organisation:
        """The same for somebody who holds a connection already and must not wait for a second one.

        Raises:
            OrganisationNotFound: There is none.
        """
        await self._learn_organisation(connection, tenant)
        if tenant not in self._organisations:
            raise OrganisationNotFound
        return self._organisations[tenant]

    async def organisation_named(self, name: str) -> Organisation:
        """The organisation of a name, for the command line.

        Raises:
            OrganisationNotFound: There is none.
        """
        try:
            return await self._organisation_by(name=name)
        except OrganisationNotFound:
            known = ", ".join(each.name for each in await self.organisations())
            raise OrganisationNotFound(
                f"there is no organisation {name!r}", hint=f"There are: {known}." if known else ""
            ) from None

    async def organisations(self) -> list[Organisation]:
        """All organisations, controllers first, by name."""
        async with self._db.transaction(None) as connection:
            return [_organisation(row) for row in await store.organisations(connection)]

    async def level(self, permit: Permit, tenant: UUID) -> str:
        """The level of service of an organisation.

        Args:
            permit: To `administer` it.
            tenant: The organisation.

        Raises:
            OrganisationNotFound: There is none for this permit.
        """
        async with self._db.transaction(self._space(permit, tenant)) as connection:
            level = await store.level(connection, tenant)
        if level is None:
            raise OrganisationNotFound
        return level

    async def set_level(self, permit: Permit, tenant: UUID, level: str, known: Collection[str]) -> bool:
        """Give an organisation another level of service, felt by every door at its next decision.

        Args:
            permit: To `administer` it, of whoever runs the service: an organisation does not choose by itself.
            tenant: The organisation.
            level: The level.
            known: The levels that the notice has.

        Returns:
            Whether it had another one.

        Raises:
            FieldMalformed: The notice has no such level.
            OrganisationNotFound: There is none for this permit.
        """
        if permit.actor.kind != "system":
            raise OrganisationNotFound
        if level not in known:
            raise FieldMalformed(
                f"the notice has no such level of service; it has: {', '.join(sorted(known)) or 'none'}"
            )
        organisation = await self.organisation(tenant)
        async with self._db.transaction(self._space(permit, tenant)) as connection:
            before = await store.level(connection, tenant)
            changed = await store.set_level(connection, tenant, level)
            if changed:
                await self._note(
                    connection,
                    "people:level:changed",
                    permit.actor,
                    tenant,
                    organisation.key,
                    permit=permit,
                    payload={"before": before, "level": level},
                    clear=Clear(says={"level": level, **({"before": before} if before else {})}),
                )
        return changed

    async def _organisation_by(self, *, organisation_id: UUID | None = None, name: str | None = None) -> Organisation:
        async with self._db.transaction(None) as connection:
            rows = await store.organisations(connection, organisation_id=organisation_id, name=name)
        if not rows:
            raise OrganisationNotFound
        return _organisation(rows[0])

    async def _learn_organisation(self, connection: Connection, tenant: UUID) -> None:
        """Read an organisation that is not known yet over a connection at hand.

        Inside a transaction nobody waits for a second connection: with a full pool all would wait for ever.
        """
        if tenant not in self._organisations:
            for row in await store.organisations(connection, organisation_id=tenant):
                self._organisations[tenant] = _organisation(row)

    def _space(self, permit: Permit, tenant: UUID) -> Space:
        """The space of a tenant, for a permit of that tenant or of the platform itself."""
        is_platform = permit.tenant is None and permit.actor.kind == "system"
        if permit.tenant != tenant and not is_platform:
            raise OrganisationNotFound
        return Space(tenant)

    # Keys

    async def _new_keys(self, parents: Iterable[KeyRef | None]) -> list[KeyRef]:
        return await asyncio.to_thread(self._keyring.create_many, list(parents))

    async def _destroy(self, keys: Iterable[KeyRef]) -> None:
        await asyncio.to_thread(self._keyring.destroy, list(keys))

    async def _platform_key(self) -> KeyRef:
        """The key above all accounts; made when it is asked for first."""
        while self._platform is None:
            async with self._db.transaction(None) as connection:
                held = await store.platform_key(connection)
            if held is None:
                [key] = await self._new_keys([None])
                async with self._db.transaction(None) as connection:
                    is_ours = await store.insert_platform_key(connection, key)
                if not is_ours:
                    await self._destroy([key])
            else:
                self._platform = KeyRef(held)
        return self._platform

    # Accounts

    async def _account_of(self, email: str) -> Account | None:
        """The account of a normalised address.

        Raises:
            RowsAltered: Somebody changed past us whose address leads to it.
        """
        token = self._keyring.token(await self._platform_key(), "email", email)
        async with self._db.transaction(None) as connection:
            row = await store.account_by_email(connection, token)
        if row is not None and not trust.of_account(self._keyring, row):
            await self.alarm.raise_about("account", None, row["id"])
            raise RowsAltered(hint=_NAMED_BY)
        if row is not None and row["closed_at"] is not None:  # whoever closed it was killed before it was gone
            await self._erase_closed([row["id"]])
            return None
        return Account(row["id"], KeyRef(row["key"])) if row else None

    async def _account_for(self, email: str) -> Account:
        """Find the account of a normalised address, or make it.

        Raises:
            AccountClosing: One that is being closed stands in its place.
        """
        for _ in range(_ROUNDS):
            found = await self._account_of(email) or await self._new_account(email)
            if found is not None:
                return found
        raise AccountClosing

    async def _new_account(self, email: str) -> Account | None:
        """Make the account of a normalised address; None where somebody was faster, or one is being closed."""
        platform = await self._platform_key()
        [key] = await self._new_keys([platform])
        made = Account(ids.uuid7(), key)
        values = {
            "id": made.id,
            "key": key,
            "email_token": self._keyring.token(platform, "email", email),
            "email_sealed": self._keyring.seal(key, email.encode(), account_context(made.id)),
            "made_at": clock.now(),
        }
        is_ours = False
        try:
            async with self._db.transaction(None) as connection:
                is_ours = await store.insert_account(connection, values)
        finally:
            if not is_ours:
                await self._destroy([key])
        return made if is_ours else None

    # Closing accounts

    async def _hold_accounts(self, connection: Connection, account_ids: Sequence[UUID]) -> list[Row]:
        """Accounts, held until the transaction ends; the first thing that whoever lets one stand or closes one does.

        Raises:
            RowsAltered: Somebody changed one past us: its key may be another's.
        """
        rows = await closures_store.hold(connection, account_ids)
        if not all(trust.of_account(self._keyring, row) for row in rows):
            raise RowsAltered(hint=_NAMED_BY)
        return rows

    async def _hold_open(self, connection: Connection, account_id: UUID) -> None:
        """Hold an account that is about to stand somewhere.

        Raises:
            AccountClosing: It is being closed, or was.
        """
        rows = await self._hold_accounts(connection, [account_id])
        if not rows or rows[0]["closed_at"] is not None:
            raise AccountClosing

    async def _mark_closed(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Mark accounts that are held: their addresses go now, and nobody without the keyring can write that."""
        marks = [
            (row["id"], self._keyring.seal(KeyRef(row["key"]), b"", account_context(row["id"])))
            for row in rows
            if row["closed_at"] is None
        ]
        await closures_store.mark_closed(connection, marks, clock.now())

    async def _erase_closed(self, account_ids: Sequence[UUID] | None) -> int:
        """Destroy the keys of accounts that are marked as closed, then delete the rows: never the other way round.

        Returns:
            How many went; who stands somewhere is left.

        Raises:
            RowsAltered: Somebody marked one past us, changed its key, or took away that it stands somewhere. Nothing of
                it was destroyed; the others went.
        """
        async with self._db.transaction(None) as connection:
            rows = await closures_store.closed_accounts(connection, account_ids)
        closed = [row for row in rows if self._was_closed(row)]
        standing = await self._standing([row["id"] for row in closed])
        over = [row for row in closed if row["id"] not in standing]
        if over:
            await self._destroy([KeyRef(row["key"]) for row in over])
            async with self._db.transaction(None) as connection:
                await closures_store.delete_accounts(connection, [row["id"] for row in over])
        if altered := {row["id"] for row in rows} - {row["id"] for row in over}:
            for account_id in sorted(altered):
                await self.alarm.raise_about("account", None, account_id)
            raise RowsAltered(hint=_NAMED_BY)
        return len(over)

    def _was_closed(self, row: Row) -> bool:
        """Whether it was us who marked an account, and the key is its own: by what is sealed in its address's place."""
        if not trust.of_account(self._keyring, row):
            return False
        try:
            return not email_of(self._keyring, row, row["id"])
        except KeyDestroyed:
            return True  # killed between the key and the row
        except SealBroken:
            return False

    async def _standing(self, account_ids: Sequence[UUID]) -> set[UUID]:
        """Accounts that stand somewhere by the ledger, whatever rows there are: asked in the space of each house."""
        if not account_ids:
            return set()
        last: dict[str, Bind] = {}
        houses = await self.organisations()
        for place in (None, *houses):
            keys = [
                f"{account_id}:{house.id}:{kind}"
                for account_id in account_ids
                for house in (houses if place is None else (place,))
                for kind in ("user", "patient")
            ]
            async with self._db.transaction(place) as connection:
                found = await self._ledger.bound(connection, "standing", keys)
            last |= found  # what a house says is newer: the platform knows only of what was held before rows were bound
        return {UUID(key.partition(":")[0]) for key, bind in last.items() if bind.tag is not None}

    # Ledger and mail

    async def _note(
        self,
        connection: Connection,
        kind: str,
        actor: Actor,
        tenant: UUID | None,
        key: KeyRef,
        *,
        permit: Permit | None = None,
        subject_id: UUID | None = None,
        purpose: str = "",
        outcome: str = "done",
        payload: Mapping[str, Any] | None = None,
        counts: Mapping[str, int] | None = None,
        clear: Clear = NOTHING,
    ) -> UUID:
        """Write what an actor did into the ledger, in the transaction that does it; gives the id of the entry."""
        space, said = Space(tenant), payload or {}
        if permit is not None:
            entry = policy.entry(
                permit, kind, key=key, payload=said, subject_id=subject_id, outcome=outcome, counts=counts, space=space,
                clear=clear,
            )  # fmt: skip
        else:
            entry = policy.act(
                actor, kind, purpose, key=key, payload=said, subject_id=subject_id, outcome=outcome, counts=counts,
                space=space, clear=clear,
            )  # fmt: skip
        return await self._ledger.append(connection, entry)

    def _do_later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something after the answer, so that the time of the answer tells nothing about it."""
        task = asyncio.create_task(_told_when_it_fails(work))
        self._later.add(task)
        task.add_done_callback(self._later.discard)


async def _told_when_it_fails(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except TrothError as fault:
        _logger.warning("mail was not sent: %s", fault.slug)


def _organisation(row: Row) -> Organisation:
    return Organisation(row["id"], row["name"], row["capacity"], row["region"], KeyRef(row["key"]), row["operates"])


def account_context(account_id: UUID) -> bytes:
    """What the sealed address of an account is bound to."""
    return b"account:" + account_id.bytes


def email_of(keyring: Keyring, row: Mapping[str, Any], account_id: UUID) -> str:
    """The address of an account.

    Args:
        keyring: The keyring.
        row: Its `key` and `email_sealed`.
        account_id: The account.

    Raises:
        troth.vault.KeyDestroyed: It was closed.
    """
    return keyring.unseal(KeyRef(row["key"]), row["email_sealed"], account_context(account_id)).decode()
