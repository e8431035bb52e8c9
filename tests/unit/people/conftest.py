"""Two organisations, a mailbox and the room between them, on real PostgreSQL, keyring and ledger."""

from __future__ import annotations

import email
import re
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from email.policy import default
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.common.servers import ServedDatabase
from troth.kit import clock
from troth.kit.mail import Mail, MailSettings
from troth.ledger import Event, Ledger
from troth.people import Demographics, Links, Organisation, PatientKey, People, Subject
from troth.policy import Actor, Permit, Target
from troth.vault import Keyring

ADA = Demographics("LOVELACE^ADA^KING^^", date(1815, 12, 10), "F")
ADDRESS = "192.0.2.7"


class Outbox:
    """The mailbox of everybody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def to(self, address: str) -> list[str]:
        """Texts of the messages to one address, oldest first."""
        messages = [
            email.message_from_bytes(path.read_bytes(), policy=default) for path in sorted(self.folder.glob("*.eml"))
        ]
        return [message.get_content() for message in messages if message["To"] == address]

    def secret_to(self, address: str) -> str:
        """What stands at the end of the link in the newest message."""
        found = re.search(r"https://imaging\.example/\S+/(\S+)", self.to(address)[-1])
        assert found
        return found[1]


@pytest.fixture(scope="module")
def outbox(tmp_path_factory: pytest.TempPathFactory) -> Outbox:
    return Outbox(tmp_path_factory.mktemp("outbox"))


@pytest.fixture(scope="module")
def ledger(keyring: Keyring) -> Ledger:
    return Ledger(keyring)


@pytest.fixture(scope="module")
def people(database: ServedDatabase, keyring: Keyring, ledger: Ledger, outbox: Outbox) -> People:
    mail = Mail(MailSettings(outbox=outbox.folder))
    return People(database, keyring, ledger, mail, links=Links("https://imaging.example"))


def permit_for(tenant: UUID | None, action: str = "administer", purpose: str = "administration") -> Permit:
    """A permit as the policy would make it."""
    now = clock.now()
    return Permit(
        Actor("system"),
        action,
        Target("organisation", tenant, tenant),
        purpose,
        ("2.1",),
        "",
        "1",
        uuid4(),
        now,
        now + timedelta(minutes=5),
    )


@pytest.fixture(scope="module")
async def hospital(people: People) -> Organisation:
    return await people.add_organisation(permit_for(None), "Northern Hospital")


@pytest.fixture(scope="module")
async def practice(people: People) -> Organisation:
    return await people.add_organisation(permit_for(None), "Southern Practice")


@pytest.fixture
def new_email() -> str:
    return f"somebody-{uuid4().hex[:8]}@example.org"


@pytest.fixture
async def ada(people: People, hospital: Organisation) -> Subject:
    """A new subject of the hospital."""
    return await people.ensure_subject(hospital.id, PatientKey(f"P-{uuid4().hex[:12]}", "NH"), ADA)


@pytest.fixture
def events_of(database: ServedDatabase, ledger: Ledger) -> Callable[[Subject], object]:
    """The ledger of a subject, newest first."""

    async def read(subject: Subject) -> list[Event]:
        async with database.transaction(subject) as connection:
            return await ledger.of_subject(connection, subject.id, limit=50)

    return read


Happened = Callable[[Organisation | None], Awaitable[list[Event]]]


@pytest.fixture
def happened(database: ServedDatabase, ledger: Ledger) -> Happened:
    """The ledger of an organisation, or of the platform, oldest first."""

    async def read(place: Organisation | None) -> list[Event]:
        async with database.transaction(place) as connection:
            found = await ledger.latest(connection, limit=1000)
        return sorted(found, key=lambda event: (event.at, event.id))

    return read
