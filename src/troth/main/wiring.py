"""The composition root: which rooms there are, and what each is handed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from troth import policy
from troth.archive import Archive, QuarantineLimits
from troth.exchange import Exchange, ExchangeFacts
from troth.kit.db import Database
from troth.kit.errors import Gone, NotFound
from troth.kit.mail import Mail, MailSettings
from troth.kit.postgres import EmbeddedServer, Postgres
from troth.ledger import HeadFile, Ledger
from troth.lifecycle import Lifecycle, LifecycleFacts, Overdues
from troth.main.capabilities import serves
from troth.main.collecting import uncovered
from troth.main.facts import CombinedFacts
from troth.main.registers import Registers
from troth.main.sending import by_dimse
from troth.main.settings import Address, Settings
from troth.notice import (
    Compiled,
    Notice,
    Notices,
    Problem,
    Proposals,
    compile_notices,
    contact_for_privacy,
    impossible,
    load_all,
)
from troth.outreach import Outreach
from troth.people import (
    AssignmentFacts,
    AssignmentRows,
    Assignments,
    ChoiceFacts,
    ChoiceRows,
    Choices,
    Contacts,
    Links,
    People,
    PeopleFacts,
    SourceFacts,
)
from troth.policy import Actor, Facts, Policy, Target
from troth.proofs import Breaches, Proofs, Runs, Site
from troth.rights import Accounts, Rights
from troth.vault import Keyring, Packs


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything that a door may open."""

    settings: Settings
    database: Database
    keyring: Keyring
    packs: Packs
    ledger: Ledger
    mail: Mail
    notices: Notices
    policy: Policy
    people: People
    archive: Archive
    rights: Rights
    compiled: Compiled
    proofs: Proofs
    runs: Runs
    breaches: Breaches
    registers: Registers
    dsn_sequencer: str
    proposals: Proposals
    outreach: Outreach
    choices: Choices
    lifecycle: Lifecycle
    exchange: Exchange
    contacts: Contacts
    accounts: Accounts
    assignments: Assignments

    async def close(self) -> None:
        """Give back what the running loop holds."""
        await self.database.close()


def load_notices(settings: Settings) -> list[Notice]:
    """The notices that the settings put in force; read once by a parent and its forked parts, unless they change."""
    files = tuple(
        file for path in settings.notice for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])
    )
    return list(_loaded(settings.notice, tuple(file.stat().st_mtime_ns for file in files if file.exists())))


@lru_cache(maxsize=4)
def _loaded(paths: tuple[Path, ...], changed_at: tuple[int, ...]) -> tuple[Notice, ...]:
    return tuple(load_all(paths))


def open_rooms(settings: Settings, server: Postgres, notices: list[Notice], *, connections: int = 8) -> Rooms:
    """Wire the rooms of one process.

    Args:
        settings: Of this node.
        server: Where the database is.
        notices: In force.
        connections: Most database connections of this process.
    """
    database = Database(server.dsn("troth_app"), max_size=connections)
    keyring = Keyring.open(settings.data_dir / "keys")
    packs = Packs(settings.data_dir / "packs")
    ledger = Ledger(keyring, head=HeadFile(settings.data_dir))
    database.at_end = ledger.bind_rest

    async def foot() -> str:
        return foot_of([version.notice for version in await room_of_notices.current()], settings.http_url)

    mail = Mail(_mail_settings(settings), foot)
    compiled = compile_notices(notices)
    people = People(database, keyring, ledger, mail, links=Links(settings.http_url))

    async def write_refusal(actor: Actor, action: str, target: Target, purpose: str, clauses: tuple[str, ...]) -> None:
        owner = await archive.origin_of(actor, target) if target.kind == "study" else target.subject_id
        await _write_refusal(database, ledger, people, actor, action, target, purpose, clauses, owner)

    # A room that knows facts of a decision gives them here; each is asked once for every decision.
    bands = [band for notice in notices for clause in notice.all("minor") for band in getattr(clause, "bands", ())]
    sources: list[Facts] = [
        PeopleFacts(database, keyring),
        ChoiceFacts(database, keyring, bands),
        LifecycleFacts(database, keyring),
        ExchangeFacts(database, people, keyring),
        SourceFacts(database, notices),
        AssignmentFacts(database, keyring, lambda: policy.compiled.claims),
    ]
    facts = CombinedFacts(database, sources, settings.region, people.alarm.raise_about)
    policy = Policy(compiled, facts, write_refusal, (ChoiceRows(), AssignmentRows()))
    limits = QuarantineLimits(
        settings.quarantine_instances, settings.quarantine_gigabytes * 10**9, timedelta(settings.quarantine_days)
    )
    archive = Archive(database, keyring, packs, people, ledger, policy, limits)
    room_of_notices = Notices(database, keyring, ledger)
    people.read_notices(room_of_notices)
    lifecycle = Lifecycle(database, keyring, ledger, people)
    archive.merging.heed(lifecycle.hinders_merging)
    archive.quarantine.heed(lifecycle.standing)
    choices = Choices(database, keyring, ledger, room_of_notices, mail, Links(settings.http_url))
    people.keep_agreements(choices.agree)
    contacts = Contacts(database, keyring, ledger, room_of_notices, people)
    rights = Rights(
        database, keyring, packs, ledger, archive, people, room_of_notices, policy, lifecycle, choices
    )  # fmt: skip
    registers = Registers(database, ledger, room_of_notices, people, archive, server.dsn("troth_sequencer"))
    overdues = Overdues(database, people, contacts, choices, room_of_notices, lifecycle)
    site = site_of(settings, server, registers, overdues)
    proofs = Proofs(database, ledger, server.dsn("troth_sequencer"), site, room_of_notices, serves())
    return Rooms(
        settings=settings, database=database, keyring=keyring, packs=packs, ledger=ledger, mail=mail,
        notices=room_of_notices, policy=policy, people=people, archive=archive, rights=rights, compiled=compiled,
        proofs=proofs, runs=Runs(database, ledger, room_of_notices, proofs),
        breaches=Breaches(database, ledger, keyring, people), registers=registers,
        dsn_sequencer=server.dsn("troth_sequencer"),
        proposals=Proposals(database, ledger, room_of_notices, _wrong, people.are_independent),
        outreach=Outreach(database, ledger, room_of_notices, people, policy, settings.http_url),
        choices=choices, lifecycle=lifecycle,
        exchange=Exchange(
            database, keyring, packs, ledger, mail, room_of_notices, people, archive, facts, by_dimse(settings)
        ),
        contacts=contacts, accounts=Accounts(database, ledger, room_of_notices, people, choices, contacts, mail),
        assignments=Assignments(database, keyring, ledger, people),
    )  # fmt: skip


def site_of(settings: Settings, server: Postgres, registers: Registers, overdues: Overdues) -> Site:
    """What of this machine the proofs look at, and of the rows."""
    listeners = {"pages": settings.http, "viewer": settings.viewer, "dicom": settings.dicom}
    places = {name: (address.host, address.port) for name, address in listeners.items()}
    return Site.of(
        settings.data_dir,
        places,
        is_https=settings.is_https,
        rows=registers.bound,
        held=registers.held,
        overdue=overdues.found,
        reader=server.socket_folder if isinstance(server, EmbeddedServer) else None,
    )


def _wrong(notices: Sequence[Notice]) -> list[Problem]:
    """What the program collects that no notice covers, and what they promise that it cannot do and they do not say."""
    return [*uncovered(notices), *(problem for notice in notices for problem in impossible(notice, serves()))]


async def _write_refusal(
    database: Database,
    ledger: Ledger,
    people: People,
    actor: Actor,
    action: str,
    target: Target,
    purpose: str,
    clauses: tuple[str, ...],
    owner: UUID | None,
) -> None:
    """A refused attempt belongs to the life of the person whose data it was, and is written under their key."""
    if actor.tenant is None:
        return
    key = bytes((await people.organisation(actor.tenant)).key)
    subject_id: UUID | None = None
    read = owner if owner is not None and target.tenant == actor.tenant else actor.subject_id
    if read is not None:  # of nobody's study one's own record is read, so that a refusal takes the same time
        with suppress(NotFound, Gone):  # of an erased person the attempt is kept under the organisation's key
            subject = await people.subject(actor, read)
            if read == owner:
                key, subject_id = bytes(subject.audit_key), subject.id
    async with database.transaction(actor) as connection:
        await ledger.append(
            connection,
            policy.act(
                actor,
                "policy:access:refused",
                purpose,
                key=key,
                payload={"action": action, "on": target.kind},
                subject_id=subject_id,
                study_id=target.id if target.kind == "study" and subject_id else None,
                outcome="refused",
                grounds=clauses,
                action=action,
            ),
        )


def foot_of(notices: Sequence[Notice], url: str) -> str:
    """What ends every message: whom to write to about one's data, and where the notice is read.

    Args:
        notices: In force.
        url: Address of the pages, without a slash at the end.
    """
    contact = contact_for_privacy(notices)
    if contact is None:
        return ""
    return f"Questions about your data: {contact.ways}\nWhat we promise: {url}/notice"


def _mail_settings(settings: Settings) -> MailSettings:
    outbox = settings.data_dir / "outbox"
    if not settings.smtp:
        return MailSettings(sender=settings.mail_from, outbox=outbox)
    address = Address.parse(settings.smtp)
    is_near = address.host in ("127.0.0.1", "::1", "localhost")
    return MailSettings(
        sender=settings.mail_from,
        server=address.host,
        port=address.port,
        security="none" if is_near else "starttls",
        outbox=outbox,
    )
