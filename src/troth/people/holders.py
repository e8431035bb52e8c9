"""Everybody who has an account here: to be told of what concerns all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from troth.kit.errors import NotFound
from troth.people import store
from troth.people.erasure import Erasure
from troth.people.room import email_of
from troth.policy import Permit

_AUDIENCES: Final = {"user": "users", "patient": "patients"}


class AccountNotFound(NotFound):
    """The account was closed."""

    slug = "account-not-found"
    title = "There is no such account"


class Holders(Erasure):
    """The part of `People` that knows all accounts."""

    async def holders(self, permit: Permit, audiences: Sequence[str]) -> list[tuple[UUID, tuple[str, ...]]]:
        """The accounts of some audiences, with the audiences each belongs to; ids alone.

        Args:
            permit: To publish a notice, or to tell of its change.
            audiences: `patients`, `users` or both; a visitor has no account.
        """
        del permit  # proof that it was decided; accounts belong to no organisation
        kinds = [kind for kind, audience in _AUDIENCES.items() if audience in audiences]
        async with self._db.transaction(None) as connection:
            rows = await store.holders(connection, kinds)
        return [(row["account_id"], tuple(sorted(_AUDIENCES[kind] for kind in row["kinds"]))) for row in rows]

    async def write_to_account(self, permit: Permit, account_id: UUID, title: str, text: str, message_id: UUID) -> None:
        """Mail one account.

        Args:
            permit: To tell of a change.
            account_id: To whom.
            title: The subject line; nothing personal.
            text: What the message says; nothing personal.
            message_id: The same for the same message, so that one sent again is known as such.

        Raises:
            AccountNotFound: The account was closed.
            troth.kit.mail.MailNotSent: The message was not taken.
        """
        del permit
        async with self._db.transaction(None) as connection:
            row = await store.account(connection, account_id)
        if row is None:
            raise AccountNotFound
        email = email_of(self._keyring, row, row["id"])
        await self._mail.send(email, title, text, {"Message-ID": f"<{message_id}@troth.invalid>"})
