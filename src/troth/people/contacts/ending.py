"""Records whose time is over: counted for whoever decides, and disposed of when it was agreed.

How long a record stays is said by the activity under which it was taken (`terms.keeping`), here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from troth.kit import clock, ids
from troth.kit.db import HasTenant, Row
from troth.notice import Notice
from troth.people import sources_store as store
from troth.people.contacts import terms
from troth.people.contacts.ground import ACTION, Ground
from troth.people.contacts.model import Disposal, Due
from troth.people.errors import ListNotFound
from troth.policy import Clear, Permit, refs
from troth.vault import KeyRef

DISPOSING: Final = "dispose"
Decide = Callable[[UUID, str], Awaitable[Permit | None]]


class Ending(Ground):
    """The part of `Contacts` that knows how long records stay."""

    async def due(self, permit: Permit) -> list[Due]:
        """How many records of each activity are over today, and when the next are.

        Args:
            permit: To bring people into the organisation.
        """
        if permit.action not in (ACTION, DISPOSING) or permit.tenant is None:
            raise ListNotFound
        return await self.counted(permit)

    async def counted(self, scope: HasTenant) -> list[Due]:
        """The same for our own programs, which count and open nothing.

        Args:
            scope: Of the organisation.
        """
        notices, today = await self.notices(), clock.today()
        found = []
        async with self._db.transaction(scope) as connection:
            for row in await store.activities(connection):
                days = await store.anchors(connection, row["activity"])
                found.append(_due(notices, row["activity"], days, today))
        return found

    async def agree_to_dispose(self, permit: Permit) -> UUID:
        """Let what is over be disposed of; the worker does it, and looks at each record again.

        Args:
            permit: To bring people into the organisation.

        Raises:
            ListNotFound: Nothing is over.
        """
        found = sum(each.due for each in await self.due(permit))
        if not found:
            raise ListNotFound
        assert permit.tenant is not None
        organisation = await self._people.organisation(permit.tenant)
        made_id = ids.uuid7()
        values = {
            "tenant": organisation.id, "id": made_id, "asked_by": permit.actor.id, "asked_at": clock.now(),
            "found": found,
        }  # fmt: skip
        async with self._db.transaction(permit) as connection:
            if under_way := await store.disposals(connection, is_open=True):
                return UUID(str(under_way[0]["id"]))
            await store.insert_disposal(connection, values)
            await self.note(
                connection,
                "lifecycle:disposal:agreed",
                permit,
                organisation,
                {},
                {"records": found},
                clear=Clear(refs=refs(disposal=made_id)),
            )
        return made_id

    async def disposals(self, permit: Permit) -> list[Disposal]:
        """Disposals of the organisation, newest first."""
        async with self._db.transaction(permit) as connection:
            rows = await store.disposals(connection)
        words = ("id", "asked_at", "found", "disposed", "kept", "done_at")
        return [Disposal(**{word: row[word] for word in words}) for row in rows]

    async def open_disposals(self) -> list[tuple[UUID, UUID]]:
        """Disposals under way, as tenant and disposal."""
        found = []
        for organisation in await self._people.organisations():
            async with self._db.transaction(organisation) as connection:
                rows = await store.disposals(connection, is_open=True)
            found += [(organisation.id, row["id"]) for row in rows]
        return found

    async def dispose_some(self, tenant: UUID, disposal_id: UUID, decide: Decide, most: int) -> int:
        """Dispose of some records that are over; each needs a permit for the activity under which it was taken.

        Args:
            tenant: The organisation.
            disposal_id: The disposal.
            decide: The permit for a record and its activity; None where it is not allowed.
            most: How many of each activity at most.

        Returns:
            How many went; 0 when there is nothing left that may go.
        """
        organisation = await self._people.organisation(tenant)
        notices, gone = await self.notices(), 0
        async with self._db.transaction(organisation) as connection:
            await self._ledger.require_whole(connection, "legal_hold")
            held = [row["activity"] for row in await store.activities(connection)]
        for activity in held:
            last_on = _last_anchor(notices, activity, clock.today())
            if last_on is None:
                continue
            async with self._db.transaction(organisation) as connection:
                rows = await store.contact_rows(
                    connection,
                    "where s.activity = %(activity)s and s.anchor_on <= %(before)s "
                    "order by s.anchor_on, s.id limit %(most)s",
                    {"activity": activity, "before": last_on, "most": most},
                )
            for row in rows:
                if (permit := await decide(row["source_id"], activity)) is not None:
                    kept = terms.keeping(notices, activity, row["anchor_on"])
                    if kept is not None and kept.dispose_on is not None:
                        gone += await self._dispose(permit, row, disposal_id, kept.dispose_on)
        return gone

    async def finish_disposal(self, permit: Permit, disposal_id: UUID) -> int:
        """Write down that a disposal ended, and how many records that are over were kept all the same."""
        assert permit.tenant is not None
        organisation = await self._people.organisation(permit.tenant)
        kept = sum(each.due for each in await self.due(permit))
        async with self._db.transaction(permit) as connection:
            row = await store.finish_disposal(connection, disposal_id, kept, clock.now())
            if row is not None:
                counts = {"records": row["disposed"], "kept": kept}
                await self.note(
                    connection,
                    "lifecycle:disposal:done",
                    permit,
                    organisation,
                    {},
                    counts,
                    clear=Clear(refs=refs(disposal=disposal_id)),
                )
        return kept

    async def _dispose(self, permit: Permit, row: Row, disposal_id: UUID, due: date) -> int:
        """One record: unreadable first, then its row; the contact with it if there is nothing else of them."""
        organisation = await self._people.organisation(row["tenant"])
        await self._destroy([KeyRef(row["source_key"])])
        async with self._db.transaction(permit) as connection:
            was_last = await store.delete_source(connection, row["id"], row["source_id"])
            await store.count_disposed(connection, disposal_id, 1)
            told = {"source": row["source"], "activity": row["activity"], "anchor_on": str(row["anchor_on"])}
            counts = {"contacts": int(was_last)}
            await self.note(
                connection,
                "lifecycle:contact:disposed",
                permit,
                organisation,
                told,
                counts,
                clear=Clear(
                    refs=refs(disposal=disposal_id, contact=row["id"], source=row["source_id"]),
                    says={"ground": "time_over", "activity": row["activity"]},
                    dates={"due": due},
                ),
            )
        if was_last:
            await self._destroy([KeyRef(row["key"])])
        return 1


def _due(notices: Sequence[Notice], activity: str, days: Sequence[Row], today: date) -> Due:
    due = past = running = held = 0
    later: list[date] = []
    clause, under = "", activity in terms.contract_activities(notices)
    for row in days:
        held += row["records"]
        kept = terms.keeping(notices, activity, row["anchor_on"])
        clause = kept.clause if kept else clause
        if kept is None or kept.dispose_on is None:
            running += row["records"]
        elif kept.dispose_on <= today:
            due += row["records"]
            past += row["records"] if kept.dispose_on < today else 0
        else:
            later.append(kept.dispose_on)
    return Due(activity, clause, under, held, due, past, running, min(later, default=None))


def _last_anchor(notices: Sequence[Notice], activity: str, today: date) -> date | None:
    """The latest day from which the whole time has passed; None where nothing of an activity can be over."""
    earliest, latest = today - timedelta(days=366 * 160), today
    kept = terms.keeping(notices, activity, earliest)
    if kept is None or kept.dispose_on is None or kept.dispose_on > today:
        return None
    while earliest < latest:  # the end never comes earlier for a later start
        middle = earliest + (latest - earliest + timedelta(days=1)) // 2
        kept = terms.keeping(notices, activity, middle)
        assert kept is not None
        if kept.dispose_on is not None and kept.dispose_on <= today:
            earliest = middle
        else:
            latest = middle - timedelta(days=1)
    return earliest
