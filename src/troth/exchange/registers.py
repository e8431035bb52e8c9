"""The registers: who may receive data, on which contract and instrument, and what controllers and courts said."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, LiteralString
from uuid import UUID

from troth.exchange import rows, store
from troth.exchange.documents import Document
from troth.exchange.errors import RegisterMalformed, RowNotFound, SaleBarred
from troth.exchange.gate import barred_by
from troth.exchange.model import (
    CONTRACT_KINDS,
    EEA,
    INSTRUMENT_KINDS,
    ORDER_KINDS,
    PLATFORM,
    RECIPIENT_KINDS,
    Contract,
    Instruction,
    Instrument,
    LegalOrder,
    Recipient,
    is_abroad,
)
from troth.exchange.room import Room
from troth.kit import clock, ids
from troth.kit.db import Space
from troth.notice import ACTIONS
from troth.policy import Clear, Permit
from troth.vault import KeyRef

_SLUG = re.compile(r"[a-z][a-z0-9_]{0,63}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_LONGEST_WORDS = 10_000
_KEEP = "keep_register"
_READ = ("keep_register", "instruct", "see_log", "see_request", "open_notice", "see_proofs", "disclose")


@dataclass(frozen=True, slots=True)
class Affected:
    """Whom the end of an instrument touches.

    Attributes:
        recipients: Recipients to whom nothing can go any more.
        disclosures: How many disclosures of this space went on it.
    """

    recipients: tuple[Recipient, ...]
    disclosures: int


class Registers(Room):
    """The part of `Exchange` that keeps the registers."""

    # Write

    async def add_contract(
        self,
        permit: Permit,
        key: str,
        kind: str,
        party: str,
        valid_from: date,
        valid_until: date | None = None,
        *,
        approved_by: str = "",
        document: bytes = b"",
    ) -> UUID:
        """File a contract.

        Args:
            permit: `keep_register` on the organisation or the platform.
            key: Short name; recipients and clauses refer to it.
            kind: One of `CONTRACT_KINDS`.
            party: The other party.
            valid_from: First day.
            valid_until: Last day; None for no end.
            approved_by: For a sub-processor: which controller approved it (GDPR Art. 28(2)).
            document: The contract itself, PDF or text; empty where it lies elsewhere.

        Raises:
            RegisterMalformed: A value cannot be.
        """
        _require(kind in CONTRACT_KINDS, "There is no such kind of contract.")
        _require(bool(party.strip()), "Name the other party.")
        values = {
            "key": _slug(key),
            "kind": kind,
            "party": party.strip(),
            "approved_by": approved_by.strip(),
            **_term(valid_from, valid_until),
        }
        return await self._add(permit, _KEEP, "exchange_contract", values, document)

    async def add_recipient(
        self,
        permit: Permit,
        key: str,
        name: str,
        kind: str,
        country: str,
        categories: Collection[str],
        purposes: Collection[str],
        *,
        stands_under: str = "",
        address: str = "",
        contract_key: str = "",
        peer_id: UUID | None = None,
        email: str = "",
    ) -> UUID:
        """Register a recipient.

        Args:
            permit: `keep_register` on the organisation or the platform.
            key: Short name; the notice and disclosures refer to it.
            name: Its name.
            kind: One of `RECIPIENT_KINDS`.
            country: ISO 3166 code of where it is.
            categories: Keys of the categories of data that it may receive.
            purposes: Keys of the activities that it may receive them for.
            stands_under: Key of the recipient in the notice that it is one of; the same key when empty.
            address: Where it is.
            contract_key: Under which name its contract is on file.
            peer_id: Its DICOM node.
            email: Where mail for it goes.

        Raises:
            SaleBarred: A purpose that the notice rules out, such as a sale.
            RegisterMalformed: A value cannot be, or the notice has no such purpose or category.
        """
        _require(kind in RECIPIENT_KINDS, "There is no such kind of recipient.")
        _require(bool(name.strip()), "Name the recipient.")
        _require(bool(_COUNTRY.fullmatch(country)), "A country is an ISO 3166 code, such as GB.")
        _require(not email or email.count("@") == 1, "Write the address in full, like name@example.org.")
        _require(bool(categories) and bool(purposes), "Say which data it receives, and what for.")
        await self._require_stated(stands_under or key, categories, purposes)
        values = {
            "key": _slug(key),
            "stands_under": _slug(stands_under or key),
            "name": name.strip(),
            "kind": kind,
            "address": address.strip(),
            "country": country,
            "categories": sorted(set(categories)),
            "purposes": sorted(set(purposes)),
            "contract_key": _slug(contract_key) if contract_key else "",
            "peer_id": peer_id,
            "email": email.strip(),
        }
        return await self._add(permit, _KEEP, "exchange_recipient", values)

    async def add_instrument(
        self,
        permit: Permit,
        key: str,
        kind: str,
        origin: str,
        destination: str,
        valid_from: date,
        valid_until: date | None = None,
        *,
        recipient_key: str = "",
        document: bytes = b"",
    ) -> UUID:
        """File an instrument for transfers.

        Args:
            permit: `keep_register` on the organisation or the platform.
            key: Short name; clauses refer to it.
            kind: One of `INSTRUMENT_KINDS`.
            origin: ISO 3166 code or `EEA`.
            destination: The same.
            valid_from: First day.
            valid_until: Last day; None for no end.
            recipient_key: The only recipient that it binds; empty for all there.
            document: The instrument itself, PDF or text; a copy of it is given to whoever asks (GDPR Art. 13(1)(f)).

        Raises:
            RegisterMalformed: A value cannot be; standard clauses and binding rules need their document.
        """
        _require(kind in INSTRUMENT_KINDS, "There is no such kind of instrument.")
        _require(origin != destination, "A transfer leads to another country.")
        for place in (origin, destination):
            _require(place == "EEA" or bool(_COUNTRY.fullmatch(place)), "A place is an ISO 3166 code, or EEA.")
        _require(not (origin in EEA and destination in {*EEA, "EEA"}), "Inside the EEA nothing is a transfer.")
        _require(kind not in ("scc", "bcr") or bool(document), "File the document of these clauses with them.")
        values = {
            "key": _slug(key),
            "kind": kind,
            "origin": origin,
            "destination": destination,
            "recipient_key": recipient_key,
            **_term(valid_from, valid_until),
        }
        return await self._add(permit, _KEEP, "exchange_instrument", values, document)

    async def give_instruction(
        self,
        permit: Permit,
        key: str,
        words: str,
        actions: Collection[str],
        purposes: Collection[str],
        valid_from: date,
        valid_until: date | None = None,
    ) -> UUID:
        """Record what a controller tells us to do (GDPR Art. 28(3)(a)).

        Args:
            permit: `instruct` on the organisation.
            key: Short name; clauses refer to it.
            words: Its text.
            actions: The actions that it covers.
            purposes: Keys of the activities that it covers.
            valid_from: First day.
            valid_until: Last day; None for no end.

        Raises:
            RegisterMalformed: A value cannot be.
        """
        _require(0 < len(words.strip()) <= _LONGEST_WORDS, "Write the instruction down.")
        _require(bool(actions) and set(actions) <= set(ACTIONS), "Name actions that there are.")
        _require(bool(purposes), "Name the activities that it covers.")
        values = {
            "key": _slug(key),
            "words": words.strip(),
            "actions": sorted(set(actions)),
            "purposes": sorted(_slug(each) for each in set(purposes)),
            **_term(valid_from, valid_until),
        }
        return await self._add(permit, "instruct", "exchange_instruction", values, sealed=("words",))

    async def add_order(
        self,
        permit: Permit,
        kind: str,
        authority: str,
        country: str,
        scope: str,
        study_ids: Sequence[UUID],
        valid_from: date,
        valid_until: date | None = None,
        *,
        document: bytes = b"",
    ) -> UUID:
        """Register an order of a court or authority, or a request of a government, also one that will be refused.

        Args:
            permit: `keep_register` on the organisation.
            kind: One of `ORDER_KINDS`.
            authority: Who demands.
            country: ISO 3166 code of the authority.
            scope: What it demands, in its words.
            study_ids: The studies or accounts it is about.
            valid_from: First day.
            valid_until: Last day; None for no end.
            document: The order itself; until it is there, nothing is disclosed.

        Raises:
            RegisterMalformed: A value cannot be.
        """
        _require(kind in ORDER_KINDS, "There is no such kind of order.")
        _require(bool(authority.strip()), "Name the authority.")
        _require(bool(_COUNTRY.fullmatch(country)), "A country is an ISO 3166 code, such as GB.")
        _require(0 < len(scope.strip()) <= _LONGEST_WORDS, "Write down what it demands.")
        values = {
            "kind": kind,
            "authority": authority.strip(),
            "country": country,
            "scope": scope.strip(),
            "study_ids": list(study_ids),
            **_term(valid_from, valid_until),
        }
        return await self._add(permit, _KEEP, "exchange_order", values, document, sealed=("scope",))

    # End

    async def end_contract(self, permit: Permit, contract_id: UUID, reason: str = "") -> None:
        """End a contract; the next disclosure or decision that rests on it is refused."""
        await self._end(permit, _KEEP, "exchange_contract", contract_id, reason, "exchange:register:changed")

    async def end_recipient(self, permit: Permit, recipient_id: UUID) -> None:
        """Take a recipient out of the register; nothing goes there any more."""
        await self._end(permit, _KEEP, "exchange_recipient", recipient_id, "", "exchange:register:changed")

    async def end_order(self, permit: Permit, order_id: UUID, answer: str) -> None:
        """Close an order with what was answered to it."""
        await self._end(permit, _KEEP, "exchange_order", order_id, answer, "exchange:register:changed")

    async def revoke_instruction(self, permit: Permit, instruction_id: UUID) -> None:
        """Revoke an instruction; the next operation that it would have allowed is refused."""
        kind = "exchange:instruction:revoked"
        await self._end(permit, "instruct", "exchange_instruction", instruction_id, "", kind)

    async def invalidate(self, permit: Permit, instrument_id: UUID, reason: str) -> Affected:
        """Declare an instrument invalid; transfers that relied on it are refused from this moment.

        Args:
            permit: `keep_register`.
            instrument_id: Our id of it.
            reason: Why, such as the judgment.

        Returns:
            Whom it touches.
        """
        _require(bool(reason.strip()), "Say why it is not valid any more.")
        kind = "exchange:transfer:invalidated"
        await self._end(permit, _KEEP, "exchange_instrument", instrument_id, reason.strip(), kind)
        return await self.affected(permit, instrument_id)

    async def cut_off(self, permit: Permit) -> tuple[Recipient, ...]:
        """The recipients abroad to whom nothing can go now, whoever ended the instrument that led there.

        Args:
            permit: `keep_register` of an organisation.
        """
        if permit.tenant is None:
            return ()
        origin, now = (await self._people.organisation(permit.tenant)).region, clock.now()
        ways = [each for each in await self.instruments(permit) if each.holds(now)]
        return tuple(
            each
            for each in await self.recipients(permit)
            if each.ended_at is None
            and is_abroad(origin, each.country)
            and not any(way.leads(origin, each) for way in ways)
        )

    # Read

    async def recipients(self, permit: Permit) -> list[Recipient]:
        """The recipients that may be seen from a space: its own and the platform's."""
        return [rows.recipient(row) for row in await self._rows(permit, "exchange_recipient")]

    async def contracts(self, permit: Permit) -> list[Contract]:
        """The contracts on file."""
        return [rows.contract(row) for row in await self._rows(permit, "exchange_contract")]

    async def instruments(self, permit: Permit) -> list[Instrument]:
        """The instruments for transfers."""
        return [rows.instrument(row) for row in await self._rows(permit, "exchange_instrument")]

    async def instructions(self, permit: Permit) -> list[Instruction]:
        """The instructions of the controller."""
        key = await self._own_key(permit)
        found = await self._rows(permit, "exchange_instruction")
        return [rows.instruction(row, lambda one, name: self._opened(one, name, key)) for row in found]

    async def orders(self, permit: Permit) -> list[LegalOrder]:
        """Legal orders and requests of governments, newest first."""
        key = await self._own_key(permit)
        found = await self._rows(permit, "exchange_order")
        return [rows.order(row, lambda one, name: self._opened(one, name, key)) for row in found]

    async def document(self, permit: Permit, document_id: UUID) -> Document:
        """A document of a register.

        Raises:
            RowNotFound: There is none in this space.
        """
        async with self._db.transaction(self._space(permit, *_READ)) as connection:
            return await self._documents.read(connection, document_id)

    async def affected(self, permit: Permit, instrument_id: UUID) -> Affected:
        """Whom an instrument carries, and to whom nothing can go without it."""
        space = self._space(permit, *_READ)
        instruments, now = await self.instruments(permit), clock.now()
        ended = next((each for each in instruments if each.id == instrument_id), None)
        if ended is None:
            raise RowNotFound
        others = [each for each in instruments if each.id != instrument_id and each.holds(now)]
        origins = await self._origins(space, ended.origin)
        cut_off = [
            each
            for each in await self.recipients(permit)
            if each.ended_at is None
            and any(
                ended.leads(origin, each) and not any(other.leads(origin, each) for other in others)
                for origin in origins
            )
        ]
        async with self._db.transaction(space) as connection:
            went = await store.went_on(connection, instrument_id)
        return Affected(tuple(cut_off), went["disclosures"])

    # How

    async def _add(
        self,
        permit: Permit,
        action: str,
        table: LiteralString,
        values: Mapping[str, Any],
        document: bytes = b"",
        *,
        sealed: Collection[str] = (),
    ) -> UUID:
        space, row_id, key = self._space(permit, action), ids.uuid7(), await self._key(self._tenant(permit))
        if sealed and key is None:
            raise RegisterMalformed("This is said by an organisation.")
        hidden = {name: self._sealed(row_id, name, key, values[name]) for name in sealed if key is not None}
        tenant = self._tenant(permit) or PLATFORM
        made = {"tenant": tenant, "id": row_id, "made_by": permit.actor.id, "made_at": clock.now()}
        kind = "exchange:instruction:given" if table == "exchange_instruction" else "exchange:register:changed"
        told = {name: value for name, value in values.items() if isinstance(value, str)}
        async with self._db.transaction(space) as connection:
            document_id = await self._documents.file(connection, tenant, key, document) if document else None
            row = {**values, **hidden, **made, "document_id": document_id}
            if not await store.insert(connection, table, row):
                raise RegisterMalformed("A row with this short name is in the register.", hint="End it first.")
            await self._note(
                connection, kind, permit, key=key, payload={"register": table, "row": str(row_id), **told},
                counts={"added": 1}, grounds=_named(table, row_id), clear=_clear(table, row_id, "given", values),
            )  # fmt: skip
        return row_id

    async def _end(
        self, permit: Permit, action: str, table: LiteralString, row_id: UUID, reason: str, kind: str
    ) -> None:
        space, key = self._space(permit, action), await self._key(self._tenant(permit))
        assert space.tenant is not None
        async with self._db.transaction(space) as connection:
            if not await store.end(connection, table, row_id, space.tenant, clock.now(), reason):
                raise RowNotFound
            await self._note(
                connection, kind, permit, key=key, payload={"register": table, "row": str(row_id), "reason": reason},
                counts={"ended": 1}, grounds=_named(table, row_id), clear=_clear(table, row_id, "ended", {}),
            )  # fmt: skip

    async def _rows(self, permit: Permit, table: str) -> list[dict[str, Any]]:
        async with self._db.transaction(self._space(permit, *_READ)) as connection:
            return await store.rows(connection, table)

    async def _own_key(self, permit: Permit) -> KeyRef:
        key = await self._key(self._tenant(permit))
        if key is None:
            raise RowNotFound
        return key

    async def _origins(self, space: Space, origin: str) -> tuple[str, ...]:
        """Where data of this space lies: the organisation's region; on the platform, wherever the instrument says."""
        if space.tenant is not None and space.tenant != PLATFORM:
            return ((await self._people.organisation(space.tenant)).region,)
        return tuple(sorted(EEA)) if origin == "EEA" else (origin,)

    async def _require_stated(self, recipient: str, categories: Collection[str], purposes: Collection[str]) -> None:
        notices = await self._in_force()
        for purpose in purposes:
            barring = next(((each, found) for each in notices if (found := barred_by(purpose, each))), None)
            if barring is not None:
                raise SaleBarred(f"The notice {barring[0].name} rules out {purpose!r} (§ {barring[1]}).")
        for kind, keys in (("recipient", [recipient]), ("purpose", purposes), ("category", categories)):
            for key in keys:
                if not any(notice.find(kind, key) for notice in notices):
                    raise RegisterMalformed(f"No notice in force has the {kind} {key!r}.", hint="State it first.")


def _named(table: str, row_id: UUID) -> tuple[str, ...]:
    return (f"{table.removeprefix('exchange_')}:{row_id}",)


_WORDS = ("key", "kind", "country", "origin", "destination", "stands_under", "contract_key")


def _clear(table: str, row_id: UUID, state: str, values: Mapping[str, Any]) -> Clear:
    """What a register says of a row in the clear: which, in what state, its short words and its term."""
    noun = table.removeprefix("exchange_")
    words = {name: str(values[name]) for name in _WORDS if values.get(name)}
    term = {name: values[name] for name in ("valid_from", "valid_until") if values.get(name) is not None}
    return Clear(refs=((noun, row_id),), says={"register": noun, "state": state, **words}, dates=term)


def _term(valid_from: date, valid_until: date | None) -> dict[str, date | None]:
    _require(valid_until is None or valid_from <= valid_until, "It cannot end before it begins.")
    return {"valid_from": valid_from, "valid_until": valid_until}


def _slug(key: str) -> str:
    _require(bool(_SLUG.fullmatch(key)), "A short name has small letters, digits and underscores.")
    return key


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RegisterMalformed(otherwise)
