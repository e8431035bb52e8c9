"""What the pages need from the platform. `main/wiring` gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from troth.archive import Archive
from troth.exchange import Exchange
from troth.kit.db import Database
from troth.ledger import Ledger
from troth.lifecycle import Lifecycle
from troth.notice import Notices, Proposals
from troth.outreach import Outreach
from troth.people import Assignments, Choices, Contacts, People
from troth.policy import Policy
from troth.proofs import Breaches, Runs
from troth.rights import Accounts, Rights


class Address(Protocol):
    """Where a listener listens."""

    @property
    def host(self) -> str:
        """IP address or name."""

    @property
    def port(self) -> int:
        """TCP port."""


class Settings(Protocol):
    """What of the settings the pages look at."""

    @property
    def data_dir(self) -> Path:
        """Folder of the deployment."""

    @property
    def http(self) -> Address:
        """Listener of the pages."""

    @property
    def viewer(self) -> Address:
        """Listener of the viewer's origin."""

    @property
    def dicom(self) -> Address:
        """Listener for associations."""

    @property
    def ae(self) -> str:
        """Our application entity title."""

    @property
    def dicom_tls_certificate(self) -> str:
        """With it the listener for associations speaks TLS only; empty without."""

    @property
    def http_url(self) -> str:
        """Address of the pages for people, without a slash at the end."""

    @property
    def viewer_origin(self) -> str:
        """Address of the viewer for people, without a slash at the end."""

    @property
    def is_https(self) -> bool:
        """Whether people reach us by https."""


class Rooms(Protocol):
    """The rooms this door opens."""

    @property
    def settings(self) -> Settings:
        """Settings of this node."""

    @property
    def database(self) -> Database:
        """For reading the ledger in the space of a permit."""

    @property
    def ledger(self) -> Ledger:
        """Who looked."""

    @property
    def notices(self) -> Notices:
        """The notice in force."""

    @property
    def proposals(self) -> Proposals:
        """Versions that wait for a second person."""

    @property
    def outreach(self) -> Outreach:
        """What a change would do, and whom it was told."""

    @property
    def policy(self) -> Policy:
        """Decides."""

    @property
    def people(self) -> People:
        """Sessions, invitations, subjects."""

    @property
    def choices(self) -> Choices:
        """Consents, objections, restrictions and other choices."""

    @property
    def assignments(self) -> Assignments:
        """Who takes part in whose care."""

    @property
    def lifecycle(self) -> Lifecycle:
        """Legal holds."""

    @property
    def contacts(self) -> Contacts:
        """People whom others named, and the lists they stand on."""

    @property
    def accounts(self) -> Accounts:
        """What is held of accounts."""

    @property
    def archive(self) -> Archive:
        """Studies."""

    @property
    def rights(self) -> Rights:
        """Requests of data subjects."""

    @property
    def exchange(self) -> Exchange:
        """Who receives data, and what left."""

    @property
    def breaches(self) -> Breaches:
        """Promises that were broken, and the answers."""

    @property
    def runs(self) -> Runs:
        """Whether each promise is kept, as the last run found it."""
