"""A published version of a notice, with its signature."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from troth.notice.model import Notice

People = tuple[UUID | None, UUID | None]


@dataclass(frozen=True, slots=True)
class NoticeVersion:
    """A notice as it was published.

    Attributes:
        id: Our id of the version.
        name: Short name of the notice.
        number: Its number.
        effective_on: From which day it counts.
        sha256: Of the YAML text.
        signature: Ed25519 signature of the deployment over `message`.
        published_at: When it was published.
        published_by: Who published it; None for a founding version put in force at the command line.
        second_person: Who agreed; None for a founding version.
        is_founding: The first version, with which the deployment began: nobody was promised anything before it.
        notice: What it says.
        is_material: It weighs on data that was already held, as the difference says and two people confirmed.
    """

    id: UUID
    name: str
    number: int
    effective_on: date
    sha256: bytes
    signature: bytes
    published_at: datetime
    published_by: UUID | None
    second_person: UUID | None
    is_founding: bool
    notice: Notice = field(repr=False)
    is_material: bool = False

    def counts_at(self, moment: datetime) -> bool:
        """Whether its day has come, where the notice counts its days.

        Args:
            moment: An instant.
        """
        return moment.astimezone(self.notice.zone).date() >= self.effective_on

    @property
    def message(self) -> bytes:
        """The bytes that were signed."""
        return message(self.name, self.number, self.effective_on, self.sha256, (self.published_by, self.second_person))

    def is_signed_by(self, public_key: bytes) -> bool:
        """Whether this very text was signed by this deployment, with its name, number, day and people.

        Args:
            public_key: Raw Ed25519 public key, 32 bytes.
        """
        if hashlib.sha256(self.notice.source.encode()).digest() != self.sha256:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(self.signature, self.message)
        except InvalidSignature:
            return False
        return True


def message(name: str, number: int, effective_on: date, sha256: bytes, people: People) -> bytes:
    """What is signed: one line each for name, number, day, fingerprint and the two people.

    Args:
        name: Short name of the notice.
        number: Its number.
        effective_on: From which day it counts.
        sha256: Of the YAML text.
        people: Who published it and who agreed.
    """
    named = (str(person) if person else "-" for person in people)
    lines = ("troth notice v1", name, str(number), effective_on.isoformat(), sha256.hex(), *named)
    return "\n".join(lines).encode() + b"\n"
