"""The daily look for accounts that nobody used for as long as the notice states: a person decides about each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from troth.kit import clock
from troth.kit.errors import NotFound
from troth.notice import Notice, Notices, Retention
from troth.people import WORKER, Choices, People, UnusedAccount
from troth.policy import Actor, PermitDenied, Policy, Target

if TYPE_CHECKING:  # the workflow engine costs a second to import; only the worker needs it
    from troth.kit.durable import Durable

LOOK = "lifecycle.look_for_unused"
RULE: Final = "unused_account"
CLOSURE: Final = "account_closure"
PURPOSE: Final = "administration"
PAUSE_SECONDS: Final = 60.0
TRY_AGAIN_SECONDS: Final = 3600.0


class UnusedAccounts:
    """Looks once a day in every organisation, where a notice in force has a retention rule `unused_account`.

    Whether a program may close an account by itself is decided like anything else, for each. Where the notice wants a
    person (`automation`), it is refused, and the proposal waits with its ground until somebody of the privacy office
    decides. Who signs in meanwhile keeps the account: then the ground has gone.

    Args:
        choices: Holds what waits for a person.
        people: Knows the organisations.
        notices: State the period.
        policy: Decides.
        durable: Where the workflow is registered; before `launch`.
    """

    def __init__(self, choices: Choices, people: People, notices: Notices, policy: Policy, durable: Durable) -> None:
        self._choices = choices
        self._people = people
        self._notices = notices
        self._policy = policy
        self._durable = durable
        durable.register(LOOK, self._look)

    async def take(self, stop: asyncio.Event, pause_seconds: float = PAUSE_SECONDS) -> None:
        """Look once a day in each organisation, until told to stop."""
        looked = date.min
        while not stop.is_set():
            today = clock.today()
            if today != looked and await self._rule() is not None:
                for organisation in await self._people.organisations():
                    await self._durable.start(LOOK, f"unused:{organisation.id}:{today}", str(organisation.id))
            looked = today
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_seconds)

    def _look(self, tenant: str) -> None:
        durable = self._durable
        while True:
            try:
                durable.step("look", self.look, tenant)
                return
            except durable.Failed:
                durable.sleep(TRY_AGAIN_SECONDS)

    async def look(self, tenant: str) -> int:
        """Look in one organisation.

        Args:
            tenant: Its id.

        Returns:
            How many accounts were put before a person, or closed where the notice lets a program do that.
        """
        rule = await self._rule()
        if rule is None:
            return 0
        worker = replace(WORKER, tenant=UUID(tenant))
        done = 0
        for account in await self._choices.unused_accounts(worker, clock.now()):
            is_due = rule.dispose_on(account.last_at.date()) <= clock.today()
            if account.proposal_id is not None and not is_due:
                await self._withdraw(worker, account)
            elif account.proposal_id is None and is_due:
                done += await self._one(worker, account, rule)
        return done

    async def _one(self, worker: Actor, account: UnusedAccount, rule: Retention) -> int:
        """Close an account, if a program may; else put it before a person."""
        target = _target(worker, account.id)
        ground = f"Nobody used it since {_day(account.last_at)}; the notice says {rule.period.words} (§ {rule.id})."
        try:
            permit = await self._policy.require(worker, "decide_about", target, PURPOSE)
        except PermitDenied:
            return await self._propose(worker, account, ground, rule)
        await self._choices.close_account(permit, account.id, ground)
        return 1

    async def _propose(self, worker: Actor, account: UnusedAccount, ground: str, rule: Retention) -> int:
        try:
            permit = await self._policy.require(worker, "propose", _target(worker, account.id), PURPOSE)
        except PermitDenied:
            return 0  # this organisation's notice lets no program say anything about an account
        due_on = rule.dispose_on(account.last_at.date())
        made = await self._choices.propose(permit, account.id, CLOSURE, ground, due_on)
        if made is None:
            return 0
        await self._choices.write_of_proposal(permit, account.id, CLOSURE, "queued")
        return 1

    async def _withdraw(self, worker: Actor, account: UnusedAccount) -> None:
        permit = await self._policy.require(worker, "propose", _target(worker, account.id), PURPOSE)
        with contextlib.suppress(NotFound):
            assert account.proposal_id is not None
            await self._choices.withdraw_proposal(permit, account.proposal_id, "The account was used again.")

    async def _rule(self) -> Retention | None:
        return rule_of([version.notice for version in await self._notices.current()])


def rule_of(notices: Iterable[Notice]) -> Retention | None:
    """The rule about accounts that nobody uses; None where no notice in force has one."""
    for notice in notices:
        found = notice.find("retention", RULE)
        if isinstance(found, Retention):
            return found
    return None


def _target(worker: Actor, account_id: UUID) -> Target:
    return Target("account", account_id, worker.tenant, account_id, attributes=(("decision", CLOSURE),))


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"
