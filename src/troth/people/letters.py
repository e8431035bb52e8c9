"""What the platform writes to subjects: mail to the accounts that are linked to them, with a link and nothing else.

A message says that something is there to be read. What it is stays behind the sign-in.
"""

from __future__ import annotations

from uuid import UUID

from troth.people import store
from troth.people.errors import SubjectNotFound
from troth.people.model import LinkedAccount
from troth.people.room import email_of
from troth.people.subjects import Subjects
from troth.policy import Permit


class Letters(Subjects):
    """The part of `People` that writes to subjects."""

    async def accounts_of_subject(self, permit: Permit, subject_id: UUID) -> list[LinkedAccount]:
        """The accounts that are linked to a subject, oldest link first.

        Args:
            permit: Whose target is the subject, its organisation or one of its requests.
            subject_id: The subject.

        Raises:
            SubjectNotFound: The permit is for another subject.
        """
        if permit.target.subject_id not in (None, subject_id):
            raise SubjectNotFound
        async with self._db.transaction(permit) as connection:
            rows = await store.accounts_of_subject(connection, subject_id)
        return [
            LinkedAccount(
                row["id"],
                email_of(self._keyring, row, row["id"]),
                row["matched_at"],
                row["zone"],
            )
            for row in rows
        ]

    async def write_to_subject(self, permit: Permit, subject_id: UUID, title: str, text: str, path: str) -> int:
        """Mail a link to the accounts of a subject; nobody is written to where none is linked.

        Args:
            permit: Whose target is the subject, its organisation or one of its requests.
            subject_id: The subject.
            title: The subject line; nothing personal.
            text: What the message says before the link; nothing personal.
            path: Path of the page, such as `/requests/…`.

        Returns:
            How many were written to.

        Raises:
            SubjectNotFound: The permit is for another subject.
            troth.kit.mail.MailNotSent: A message was not taken.
        """
        accounts = await self.accounts_of_subject(permit, subject_id)
        for account in accounts:
            await self._mail.send(account.email, title, f"{text}\n\n{self._links.base_url}{path}\n", {})
        return len(accounts)
