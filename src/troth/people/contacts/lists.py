"""Lists of people are handed over, looked through, agreed to and taken in; each record keeps where it came from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import Connection, Row
from troth.people import sources_store as store
from troth.people.contacts import reading, terms
from troth.people.contacts.ground import ACTION, Ground, token_of
from troth.people.contacts.model import ContactRecord, PeopleList, Preview
from troth.people.contacts.reading import Line, Refused
from troth.people.contacts.terms import Origin
from troth.people.errors import FieldMalformed, ListMalformed, ListNotFound
from troth.people.model import Organisation
from troth.people.room import email_of
from troth.policy import Clear, Permit, refs
from troth.vault import KeyDestroyed, KeyRef

BATCH: Final = 200
_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class _Taken:
    """A line that is being taken in, with its keys, and the contact that it is about if there is one."""

    line: Line = field(repr=False)
    token: int
    contact_key: KeyRef = field(repr=False)
    source_key: KeyRef = field(repr=False)
    held: Row | None = field(repr=False)


class Lists(Ground):
    """The part of `Contacts` that takes lists in."""

    async def offer(
        self, permit: Permit, source: str, activity: str, supplier: str, content: bytes, way: str = "page"
    ) -> PeopleList:
        """Import a list. Nothing of it is taken in before somebody agreed to what is counted of it.

        Args:
            permit: To bring people into the organisation.
            source: By the word of the notice, such as `partner`.
            activity: For what its people are taken in, as the notice names it.
            supplier: Who exactly it is from, such as the name of the partner.
            content: CSV.
            way: How it came: `page` or `command_line`.

        Raises:
            SourceUnlisted: No notice in force lists the source, or uses what comes from there for that.
            ListMalformed: It cannot be read, or holds nobody.
            FieldMalformed: It is not said who it is from.
        """
        organisation = await self._organisation_of(permit)
        origin = terms.origin_of(await self.notices(), source, activity)
        if not supplier.strip() or len(supplier) > reading.LONGEST:
            raise FieldMalformed("say by name who the list is from", hint="One line, such as the name of the partner.")
        found = await asyncio.to_thread(reading.read, content, clock.today())
        if not found.lines and not found.refused:
            raise ListMalformed("the list names nobody")
        [key] = await self._new_keys([organisation.key])
        made_id, is_kept = ids.uuid7(), False
        kept = json.dumps(_as_json(supplier.strip(), found), ensure_ascii=False).encode()
        values = {
            "tenant": organisation.id,
            "id": made_id,
            "kind": origin.kind,
            "source": origin.word,
            "origin": origin.origin,
            "clause": origin.clause,
            "activity": activity,
            "way": way,
            "state": "waits",
            "lines": len(found.lines),
            "tell_within": _period(origin),
            "key": key,
            "sealed": await asyncio.to_thread(self._keyring.seal, key, kept, _list_context(organisation.id, made_id)),
            "made_by": permit.actor.id,
            "made_at": clock.now(),
        }
        try:
            async with self._db.transaction(permit) as connection:
                number = await store.insert_list(connection, values)
                counts = {"number": number, "lines": len(found.lines), "refused": len(found.refused)}
                await self.note(
                    connection,
                    "people:list:offered",
                    permit,
                    organisation,
                    {"source": source},
                    counts,
                    clear=Clear(refs=refs(list=made_id), says={"source": source}),
                )
            is_kept = True
        finally:
            if not is_kept:
                await self._destroy([key])
        return (await self.preview(permit, made_id))[0]

    async def preview(self, permit: Permit, list_id: UUID) -> tuple[PeopleList, Preview | None]:
        """A list, and what would come of it as things stand; no preview once it was taken in or dropped.

        Raises:
            ListNotFound: There is none in this organisation.
        """
        organisation = await self._organisation_of(permit)
        async with self._db.transaction(permit) as connection:
            row = await self._list(connection, list_id)
            kept = await asyncio.to_thread(self._opened, row)
            if kept is None or row["state"] != "waits":
                return _people_list(row, kept), None
            lines, refused = _lines(kept), tuple(Refused(*each) for each in kept["refused"])
            tokens = {token_of(self._keyring, organisation, each.email) for each in lines}
            known = await store.contacts_by_token(connection, sorted(tokens))
            ending = 0
            if row["kind"] == "staff":
                here = await store.contact_rows(
                    connection, "where s.source = %(s)s and s.activity = %(a)s and s.ended_at is null",
                    {"s": row["source"], "a": row["activity"]},
                )  # fmt: skip
                staying = {each["id"] for each in known.values()}
                ending = sum(each["id"] not in staying for each in here)
        counted = Preview(len(tokens) - len(known), len(known), kept["merged"], refused, ending)
        return _people_list(row, kept), counted

    async def lists(self, permit: Permit) -> list[PeopleList]:
        """The lists of the organisation, newest first."""
        await self._organisation_of(permit)
        async with self._db.transaction(permit) as connection:
            return [_people_list(row, None) for row in await store.lists(connection)]

    async def agree(self, permit: Permit, list_id: UUID) -> None:
        """Let a list be taken in; the worker does it.

        Raises:
            ListNotFound: There is none that waits.
            SourceUnlisted: The notice changed meanwhile, and lists the source no longer.
        """
        organisation = await self._organisation_of(permit)
        async with self._db.transaction(permit) as connection:
            row = await self._list(connection, list_id, "waits")
            terms.origin_of(await self.notices(), row["source"], row["activity"])
            await store.change_list(connection, list_id, {"state": "agreed", "agreed_at": clock.now()})
            counts = {"number": row["number"], "lines": row["lines"]}
            await self.note(
                connection,
                "people:list:agreed",
                permit,
                organisation,
                {"source": row["source"]},
                counts,
                clear=Clear(refs=refs(list=list_id), says={"source": row["source"]}),
            )

    async def drop(self, permit: Permit, list_id: UUID) -> None:
        """Take nothing of a list in; what it held is unreadable from now on.

        Raises:
            ListNotFound: There is none that waits.
        """
        organisation = await self._organisation_of(permit)
        async with self._db.transaction(permit) as connection:
            row = await self._list(connection, list_id, "waits")
            await store.change_list(connection, list_id, {"state": "dropped", "sealed": None, "done_at": clock.now()})
            counts = {"number": row["number"]}
            await self.note(
                connection,
                "people:list:dropped",
                permit,
                organisation,
                {"source": row["source"]},
                counts,
                clear=Clear(refs=refs(list=list_id), says={"source": row["source"]}),
            )
        await self._destroy([KeyRef(row["key"])])

    async def records(self, permit: Permit, *, after: UUID | None = None) -> list[ContactRecord]:
        """Contacts of the organisation with where each came from, oldest first; that they are read is written first.

        Args:
            permit: To bring people into the organisation.
            after: The record after which to go on.
        """
        organisation = await self._organisation_of(permit)
        async with self._db.transaction(permit) as connection:
            rows = await store.contact_rows(
                connection, "where %(after)s::uuid is null or s.id > %(after)s order by s.id limit %(most)s",
                {"after": after, "most": _MOST_SHOWN},
            )  # fmt: skip
            await self.note(connection, "people:contacts:listed", permit, organisation, {}, {"records": len(rows)})
        return [record for row in rows if (record := self.record(row)) is not None]

    # What the durable workflow does. Each step is safe to run twice.

    async def waiting(self) -> list[tuple[UUID, UUID]]:
        """Lists that were agreed to and not taken in, as tenant and list."""
        found = []
        for organisation in await self._people.organisations():
            async with self._db.transaction(organisation) as connection:
                found += [(organisation.id, each) for each in await store.lists_in(connection, "agreed")]
        return found

    async def take_some(self, permit: Permit, list_id: UUID) -> int:
        """Take the next people of a list in.

        Args:
            permit: Of the worker, to bring people into the organisation.
            list_id: The list.

        Returns:
            How many; 0 when nobody is left.
        """
        organisation = await self._organisation_of(permit)
        async with self._db.transaction(permit) as connection:
            row = await self._list(connection, list_id)
        kept = await asyncio.to_thread(self._opened, row)
        if row["state"] != "agreed" or kept is None:
            return 0
        lines = _lines(kept)[row["taken"] : row["taken"] + BATCH]
        if not lines:
            return 0
        origin = terms.origin_of(await self.notices(), row["source"], row["activity"])
        tokens = [token_of(self._keyring, organisation, each.email) for each in lines]
        async with self._db.transaction(permit) as connection:
            held = await store.contacts_by_token(connection, tokens)
        fresh = iter(await self._new_keys([organisation.key] * sum(each not in held for each in tokens)))
        contact_keys = [KeyRef(held[each]["key"]) if each in held else next(fresh) for each in tokens]
        source_keys = await self._new_keys(contact_keys)
        made = [key for key, token in zip(contact_keys, tokens, strict=True) if token not in held]
        spare: list[KeyRef] = [*source_keys, *made]
        try:
            async with self._db.transaction(permit) as connection:
                again = await self._list(connection, list_id)
                now_held = await store.contacts_by_token(connection, tokens)
                if (again["taken"], again["state"]) == (row["taken"], "agreed") and now_held.keys() == held.keys():
                    people = [
                        _Taken(line, token, contact_key, source_key, held.get(token))
                        for line, token, contact_key, source_key in zip(
                            lines, tokens, contact_keys, source_keys, strict=True
                        )
                    ]
                    spare = await self._take(connection, organisation, origin, row, people, str(kept["supplier"]))
        finally:
            await self._destroy(spare)
        return len(lines)

    async def finish(self, permit: Permit, list_id: UUID) -> int:
        """End a list that was taken in: who is on the list before and not on this one is ended, and its file goes.

        Returns:
            How many were ended.
        """
        organisation = await self._organisation_of(permit)
        now = clock.now()
        async with self._db.transaction(permit) as connection:
            row = await self._list(connection, list_id)
            if row["state"] != "agreed":
                return int(row["ended"])
            gone: list[Row] = []
            if row["kind"] == "staff":
                gone = await store.end_missing(connection, row["source"], row["activity"], list_id, now)
            for each in gone:
                await self.note(
                    connection, "people:staff:ended", permit, organisation, {"source": row["source"]}, {},
                    clear=Clear(refs=refs(contact=each["contact_id"], list=list_id), says={"source": row["source"]}),
                )  # fmt: skip
            changed = {"state": "done", "sealed": None, "done_at": now, "ended": len(gone)}
            await store.change_list(connection, list_id, changed)
            tell_by, untold = await store.to_tell(connection, list_id)
            counts = {
                "number": row["number"], "lines": row["lines"], "contacts": untold, "added": row["added"],
                "known": row["known"], "ended": len(gone),
            }  # fmt: skip
            told = {"source": row["source"], "clause": row["clause"]}
            await self.note(
                connection,
                "people:list:taken",
                permit,
                organisation,
                told,
                counts,
                clear=Clear(
                    refs=refs(list=list_id),
                    says={"source": row["source"]},
                    dates={} if tell_by is None else {"told_by": tell_by},
                ),
            )
        await self._destroy([KeyRef(row["key"])])
        return len(gone)

    # Inside

    async def _take(
        self,
        connection: Connection,
        organisation: Organisation,
        origin: Origin,
        row: Row,
        people: Sequence[_Taken],
        supplier: str,
    ) -> list[KeyRef]:
        """Write some lines; gives the keys that were not needed."""
        spare: list[KeyRef] = []
        now, accounts = clock.now(), await self._accounts(connection)
        starts = terms.starts_at_once([origin.notice], row["activity"])
        for each in people:
            contact_id = each.held["id"] if each.held else ids.uuid7()
            account_id = each.held["account_id"] if each.held else accounts.get(each.line.email)
            if each.held is None:
                values = {
                    "tenant": organisation.id, "id": contact_id, "key": each.contact_key, "email_token": each.token,
                    "account_id": account_id, "linked_at": now if account_id else None, "made_at": now,
                    "sealed": self.seal_email(each.contact_key, organisation.id, contact_id, each.line.email),
                }  # fmt: skip
                await store.insert_contact(connection, values)
            source_id = ids.uuid7()
            told = {"told": each.line.told, "supplier": supplier, "line": each.line.number}
            values = {
                "tenant": organisation.id, "contact_id": contact_id, "id": source_id, "list_id": row["id"],
                "source": row["source"], "origin": row["origin"], "clause": row["clause"],
                "activity": row["activity"], "way": row["way"], "obtained_at": now,
                "anchor_on": each.line.anchor_on or (clock.today() if starts else None),
                "tell_by": origin.tell_by(now), "key": each.source_key,
                "sealed": self.seal_told(each.source_key, organisation.id, source_id, told),
            }  # fmt: skip
            if await store.upsert_source(connection, values) is not None:
                spare.append(each.source_key)
            elif origin.gives and account_id is not None:
                await self.note_linked(connection, organisation, account_id, row["source"])
        added = sum(each.held is None for each in people)
        counted = {"taken": len(people), "added": added, "known": len(people) - added}
        await store.change_list(connection, row["id"], {word: row[word] + more for word, more in counted.items()})
        return spare

    async def _accounts(self, connection: Connection) -> dict[str, UUID]:
        """Accounts of members by address: who is both is one human being, as far as anybody can tell."""
        found = {}
        for row in await store.members(connection):
            found[email_of(self._keyring, row, row["account_id"])] = row["account_id"]
        return found

    async def _list(self, connection: Connection, list_id: UUID, state: str = "") -> Row:
        row = await store.people_list(connection, list_id)
        if row is None or (state and row["state"] != state):
            raise ListNotFound
        return row

    def _opened(self, row: Row) -> dict[str, Any] | None:
        """What a list holds; None once it went."""
        if row["sealed"] is None:
            return None
        try:
            context = _list_context(row["tenant"], row["id"])
            opened: dict[str, Any] = json.loads(self._keyring.unseal(KeyRef(row["key"]), row["sealed"], context))
        except KeyDestroyed:
            return None
        return opened

    async def _organisation_of(self, permit: Permit) -> Organisation:
        if permit.action != ACTION or permit.tenant is None:
            raise ListNotFound
        return await self._people.organisation(permit.tenant)


def _as_json(supplier: str, found: reading.Reading) -> dict[str, Any]:
    return {
        "supplier": supplier,
        "merged": found.merged,
        "refused": [[each.number, each.why] for each in found.refused],
        "lines": [
            [each.number, each.email, each.told, each.anchor_on.isoformat() if each.anchor_on else ""]
            for each in found.lines
        ],
    }


def _lines(kept: Mapping[str, Any]) -> list[Line]:
    return [
        Line(number, email, told, datetime.fromisoformat(on).date() if on else None)
        for number, email, told, on in kept["lines"]
    ]


def _period(origin: Origin) -> str:
    return origin.told_within.words if origin.told_within is not None else ""


def _people_list(row: Row, kept: Mapping[str, Any] | None) -> PeopleList:
    passed_over = ("tenant", "key", "sealed", "made_by")
    words = {name: value for name, value in row.items() if name not in passed_over}
    return PeopleList(**words, supplier=str(kept["supplier"]) if kept else "")


def _list_context(tenant: UUID, list_id: UUID) -> bytes:
    return b"people-list:" + tenant.bytes + list_id.bytes
