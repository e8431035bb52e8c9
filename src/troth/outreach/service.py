"""What a change would do, and whom it has to be told."""

from __future__ import annotations

from uuid import UUID, uuid5

from troth import policy
from troth.archive import Census
from troth.kit import clock
from troth.kit.db import Database
from troth.kit.errors import Gone, NotFound
from troth.ledger import Ledger
from troth.notice import AMENDING, Difference, Notice, Notices, NoticeVersion, Proposal, VersionNotFound, diff
from troth.outreach import store
from troth.outreach.model import Consequences, Told, audiences_told, letter, moved_by
from troth.people import People
from troth.policy import Actor, Clear, Permit, Policy, Target, refs

WORKER = Actor("system", None, None, "worker", name="Troth", organisation="Troth")


class Outreach:
    """Consequences of a change, and telling it.

    Args:
        database: As `troth_app`.
        ledger: Where what was sent is written.
        notices: What was published.
        people: Whom there is to tell.
        policy: Decides whether it may be told.
        url: Address of the pages, without a slash at the end.
    """

    def __init__(
        self, database: Database, ledger: Ledger, notices: Notices, people: People, policy: Policy, url: str
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._notices = notices
        self._people = people
        self._policy = policy
        self._census = Census(database)
        self._url = url

    async def consequences(self, permit: Permit, proposal: Proposal) -> Consequences:
        """What would follow from a proposal, counted now.

        Args:
            permit: To publish a notice.
            proposal: The proposal.
        """
        after, day = proposal.notice, proposal.effective_on
        if proposal.before is None:
            return Consequences(day, purposes=tuple(_keys(after)))
        before = proposal.before.notice
        told = audiences_told(before, proposal.difference, is_material=proposal.is_material)
        accounts = len(await self._people.holders(permit, told)) if told else 0
        was, becomes = _keys(before), _keys(after)
        begun = tuple(becomes[key] for key in becomes if key not in was)
        ended = tuple(was[key] for key in was if key not in becomes)
        try:
            old, new = before.retention(), after.retention()
        except KeyError:
            return Consequences(day, accounts=accounts, purposes=begun, ends=ended)
        if (old.period, old.anchor) == (new.period, new.anchor):
            return Consequences(day, accounts=accounts, purposes=begun, ends=ended)
        due = sooner = later = 0
        for place in await self._people.organisations():
            counts = moved_by(old, new, await self._census.studies_by_day(permit, place.id), day)
            due, sooner, later = due + counts[0], sooner + counts[1], later + counts[2]
        return Consequences(
            day,
            is_counted=True,
            due=due,
            sooner=sooner,
            later=later,
            has_minors=bool(new.minors),
            accounts=accounts,
            purposes=begun,
            ends=ended,
        )

    async def told(self, version_id: UUID) -> Told | None:
        """How far a version was told; None when nothing was begun."""
        async with self._database.transaction(None) as connection:
            row = await store.progress(connection, version_id)
        return Told(version_id, row["accounts"], row["sent"], row["told_at"]) if row else None

    # What the durable workflow does, step by step. Each is safe to run twice.

    async def owed(self) -> list[UUID]:
        """Published versions that were not told to the end, oldest first."""
        async with self._database.transaction(None) as connection:
            known = await store.known(connection)
        return [version_id for version_id in await self._notices.changes() if not known.get(version_id, False)]

    async def begin(self, version_id: UUID) -> int:
        """Name everybody who has to be told.

        Returns:
            How many.
        """
        version, before, change = await self._change(version_id)
        told = audiences_told(before, change, is_material=version.is_material) if before else ()
        accounts = []
        if told:
            accounts = await self._people.holders(await self._permit(), told)
        async with self._database.transaction(None) as connection:
            if await store.take_up(connection, version_id, version.is_material, clock.now()):
                await store.queue(connection, version_id, accounts)
        progress = await self.told(version_id)
        return progress.accounts if progress else 0

    async def mail_some(self, version_id: UUID, most: int) -> int:
        """Write to some of those who were not written to.

        Returns:
            How many were tried; 0 when nobody is left.

        Raises:
            troth.kit.mail.MailNotSent: A message was not taken; those before it are sent.
            troth.policy.PermitDenied: The notice in force does not promise it.
        """
        async with self._database.transaction(None) as connection:
            waiting = await store.waiting(connection, version_id, most)
        if not waiting:
            return 0
        version, before, change = await self._change(version_id)
        assert before is not None
        permit = await self._permit()
        for account_id in waiting:
            await self._mail_one(permit, version, before, change, account_id)
        return len(waiting)

    async def _mail_one(
        self, permit: Permit, version: NoticeVersion, before: Notice, change: Difference, account_id: UUID
    ) -> None:
        """Send, and write down that it was sent; a worker that dies between the two sends the same Message-ID again."""
        async with self._database.transaction(None) as connection:
            claimed = await store.claim(connection, version.id, account_id)
            if claimed is None:
                return
            url = f"{self._url}/notice/versions/{version.number}/changes?of={version.name}"
            title, text = letter(before, version.notice, change, claimed["audiences"], url)
            try:
                await self._people.write_to_account(permit, account_id, title, text, uuid5(version.id, str(account_id)))
            except (NotFound, Gone):  # closed since: there is nobody to tell
                outcome = "failed"
            else:
                outcome = "done"
            await store.sent(connection, version.id, account_id, clock.now())
            clear = Clear(refs=refs(version=version.id, account=account_id))
            entry = policy.entry(
                permit, "outreach:amendment:mailed", outcome=outcome, counts={"number": version.number}, clear=clear
            )
            await self._ledger.append(connection, entry)

    async def finish(self, version_id: UUID) -> int:
        """Write down that everybody was told.

        Returns:
            How many were written to.
        """
        version, _, change = await self._change(version_id)
        progress = await self.told(version_id)
        sent = progress.sent if progress else 0
        permit = await self._permit() if sent else None
        async with self._database.transaction(None) as connection:
            if await store.finish(connection, version_id, clock.now()):
                due = progress.accounts if progress else 0
                counts = {"number": version.number, "accounts": due, "changes": len(change)}
                clear = Clear(refs=refs(version=version_id))
                kind = "outreach:amendment:told"
                if permit is not None:
                    entry = policy.entry(permit, kind, counts=counts, clear=clear)
                else:  # nobody had to be told
                    entry = policy.act(WORKER, kind, AMENDING, counts=counts, clear=clear)
                await self._ledger.append(connection, entry)
        return sent

    async def _change(self, version_id: UUID) -> tuple[NoticeVersion, Notice | None, Difference]:
        versions = await self._notices.versions()
        version = next((each for each in versions if each.id == version_id), None)
        if version is None:
            raise VersionNotFound
        earlier = [each for each in versions if each.name == version.name and each.number < version.number]
        before = max(earlier, key=lambda each: each.number, default=None)
        if before is None:
            return version, None, Difference(())
        return version, before.notice, diff(before.notice, version.notice)

    async def _permit(self) -> Permit:
        return await self._policy.require(WORKER, "tell_change", Target("notice"), AMENDING)


def _keys(notice: Notice) -> dict[str, str]:
    """The activities of a notice that somebody can act in: key and key with number."""
    return {each.key: f"{each.key} (§ {each.id})" for each in notice.all("purpose") if getattr(each, "access", ())}
