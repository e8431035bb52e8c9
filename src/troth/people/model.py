"""Organisations, users, sessions, subjects: what other rooms see of them, and the pure rules."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Literal, get_args
from uuid import UUID

from troth.kit import ids
from troth.people import names
from troth.policy import Actor
from troth.vault import KeyRef

Role = Literal["clinician", "referrer", "office", "admin"]
ROLES: tuple[str, ...] = get_args(Role)
StandingKind = Literal["user", "patient"]

LINK_LIFETIME = timedelta(minutes=15)
INVITATION_LIFETIME = timedelta(days=7)
SESSION_LIFETIME = timedelta(hours=12)
IDLE_OF_STAFF = timedelta(minutes=15)
IDLE_OF_PATIENT = timedelta(minutes=30)
TOUCH_EVERY = timedelta(minutes=1)
MOST_TRIES = 5

_SECRET_CHARACTERS = 43  # 32 random bytes in base64url


@dataclass(frozen=True, slots=True)
class Organisation:
    """A legal body and, under the same id, its isolated space.

    Attributes:
        capacity: `controller` or `processor`.
        region: ISO 3166 code of where its data is kept.
        key: The tenant key, under which all of its subjects' keys lie.
        operates: It runs the whole service: two of its privacy office may publish the notice.
    """

    id: UUID
    name: str
    capacity: str
    region: str
    key: KeyRef = field(repr=False)
    operates: bool = False

    @property
    def tenant(self) -> UUID:
        """The tenant is the organisation's id."""
        return self.id


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who works in one organisation. The same account may be a user of several.

    Attributes:
        zone: IANA zone of the account; empty for the notice's.
        is_closed: Who this was is destroyed: they have no name and no address here any more.
    """

    id: UUID
    tenant: UUID
    role: str
    is_active: bool
    name: str = field(repr=False)
    email: str = field(repr=False)
    zone: str = ""
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """One place where an account can stand: an organisation, as staff or as one of the patients of a mailbox.

    Attributes:
        subject_id: Which patient: several may have one mailbox, such as a mother and her children.
        name: Who stands there.
    """

    account_id: UUID
    organisation_id: UUID
    organisation: str
    kind: StandingKind
    subject_id: UUID | None = None
    name: str = field(default="", repr=False)

    @property
    def key(self) -> str:
        """What a form says to choose this one; it names nobody outside of the account."""
        return f"{self.kind}-{self.subject_id or self.organisation_id}"


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has just begun.

    Attributes:
        token: The value of the cookie. Only its SHA-256 is kept, so it cannot be shown again.
        expires_at: The absolute end, however busy it is.
    """

    token: str = field(repr=False)
    actor: Actor
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that has not ended.

    Attributes:
        account_id: Whose it is.
        kind: `user` or `patient`.
        proof: How they signed in: `mail`, `issued` (a link from an administrator's hand) or `match`.
        seen_at: When it was last used, to the minute.
        expires_at: The absolute end.
        organisation: Where it stands; filled in lists of somebody's own.
    """

    id: UUID
    account_id: UUID
    kind: str
    proof: str
    made_at: datetime
    seen_at: datetime
    expires_at: datetime
    organisation: str = ""


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A bearer token that has not ended; the secret itself is known to nobody here."""

    id: UUID
    role: str
    purpose: str
    made_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a bearer token stands for: who acts, and the only purpose it was issued for."""

    actor: Actor
    purpose: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Peer:
    """Another DICOM application entity, registered by one organisation.

    Attributes:
        ae: Its AE title.
        called_ae: The AE title of ours that it may call; empty for any.
        host: As registered.
        address: The IP address that the host had then; no name is looked up when it calls.
        certificate: SHA-256 (hex) of the certificate that it shows; it is then known by that, and by nothing else.
        purpose: What it acts for: the key of an activity of the notice.
        over_tls: Whether we call it over TLS.
    """

    id: UUID
    tenant: UUID
    ae: str
    host: str
    address: str
    port: int
    called_ae: str = ""
    certificate: str = ""
    purpose: str = "care"
    over_tls: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """Somebody who is to be let into a role by two people, and waits for the second.

    Attributes:
        account_id: The member who is to have another role; None for somebody who is to be invited.
        proposed_by: The account of who proposed it.
        expires_at: When it lapses.
    """

    id: UUID
    tenant: UUID
    role: str
    account_id: UUID | None
    proposed_by: UUID
    proposed_at: datetime
    expires_at: datetime
    name: str = field(repr=False)
    email: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PendingInvitation:
    """An invitation of a future member that nobody has used.

    Attributes:
        is_over: Its seven days have passed; it can be sent again.
    """

    id: UUID
    tenant: UUID
    role: str
    made_by: UUID | None
    made_at: datetime
    expires_at: datetime
    is_over: bool
    name: str = field(repr=False)
    email: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PeerCaller:
    """A peer that calls.

    Attributes:
        purpose: What it acts for.
    """

    actor: Actor
    purpose: str


@dataclass(frozen=True, slots=True)
class PatientKey:
    """PatientID and IssuerOfPatientID, which mean something only together and only inside one organisation."""

    patient_id: str = field(repr=False)
    issuer: str = field(default="", repr=False)

    def trimmed(self) -> PatientKey:
        """Without the padding that does not count (DICOM PS3.5 6.2, LO)."""
        return PatientKey(self.patient_id.strip(" \0"), self.issuer.strip(" \0"))


@dataclass(frozen=True, slots=True)
class Demographics:
    """Who a subject is, as DICOM says it: PatientName, PatientBirthDate, PatientSex."""

    name: str = field(default="", repr=False)
    birth_date: date | None = field(default=None, repr=False)
    sex: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Subject:
    """A data subject in one organisation. The same human being elsewhere is another subject.

    Attributes:
        key: Everything about the subject is sealed under it or below.
        audit_key: Ledger payloads about the subject; has a retention of its own.
    """

    id: UUID
    tenant: UUID
    key: KeyRef = field(repr=False)
    audit_key: KeyRef = field(repr=False)
    patient: PatientKey = field(repr=False)
    demographics: Demographics = field(repr=False)

    @property
    def name(self) -> str:
        """The name as it is written in a letter."""
        return names.displayed(self.demographics.name)

    @property
    def can_register(self) -> bool:
        """Whether somebody could prove to be this subject: name and whole birth date are held."""
        return bool(self.name) and self.demographics.birth_date is not None

    def is_described_by(self, name: str, birth_date: date | None) -> bool:
        """Whether a typed name and birth date are this subject's. Takes the same work whatever is wrong."""
        held = self.demographics.birth_date
        same_name = names.matches(name, self.demographics.name)
        same_date = compare_digest(str(birth_date or "none"), str(held or "unknown"))
        return same_name & same_date


@dataclass(frozen=True, slots=True)
class Merge:
    """That two subjects of one organisation are one human being. Can be undone.

    Attributes:
        subject_id: The one that was merged; its row, keys and access list stay.
        surviving_id: Whose everything is while the merge stands.
        rule_id: The rule that made it; None where a person did.
        reason: Why; sealed.
        ended_at: When it was undone.
    """

    id: UUID
    tenant: UUID
    subject_id: UUID
    surviving_id: UUID
    rule_id: UUID | None
    made_by: UUID | None
    made_at: datetime
    ended_at: datetime | None = None
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Two subjects that may be one human being; a person decides.

    Attributes:
        by_rule: They have one PatientID, and a rule would merge them were their birth dates or sexes not different.
    """

    first: Subject
    second: Subject
    by_rule: bool = False


@dataclass(frozen=True, slots=True)
class IssuerRule:
    """What an administrator states: identifiers that come without an issuer are of this one."""

    id: UUID
    tenant: UUID
    issuer: str = field(repr=False)
    made_at: datetime


@dataclass(frozen=True, slots=True)
class LinkedAccount:
    """An account that was matched with a subject.

    Attributes:
        zone: IANA zone of the account; empty for the notice's.
    """

    id: UUID
    email: str = field(repr=False)
    matched_at: datetime
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that has just been made. Its secret and code cannot be shown again.

    Attributes:
        link: What was mailed.
        code: The one-time code that reaches the subject another way (printed by the clinic); empty for staff.
    """

    id: UUID
    tenant: UUID
    kind: StandingKind
    secret: str = field(repr=False)
    link: str = field(repr=False)
    code: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OpenInvitation:
    """What may be shown to whoever holds the link: no name, no address."""

    organisation: str
    kind: StandingKind
    expires_at: datetime
    region: str = ""
    tenant: UUID | None = None


@dataclass(frozen=True, slots=True)
class Links:
    """How links in mails begin; the rest is the secret.

    Attributes:
        base_url: Origin of the web door, without a slash at its end.
        sign_in: Path of the page that takes sign-in secrets.
        invitation: Path of the page that takes invitation secrets.
    """

    base_url: str
    sign_in: str = "/sign-in/"
    invitation: str = "/invitation/"

    def to_sign_in(self, secret: str) -> str:
        """The whole sign-in link."""
        return f"{self.base_url}{self.sign_in}{secret}"

    def to_invitation(self, secret: str) -> str:
        """The whole invitation link."""
        return f"{self.base_url}{self.invitation}{secret}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A browser asked to sign in.

    Attributes:
        token: The value of the cookie with which the code of the mail counts. Only its SHA-256 is kept.
    """

    token: str = field(repr=False)
    expires_at: datetime


def new_secret(tenant: UUID) -> str:
    """A secret that begins with its tenant, so that even its look-up runs behind row-level security."""
    return tenant.hex + ids.secret(32)


def tenant_of(secret: str) -> UUID | None:
    """The tenant that a secret claims; the digest covers it, so a false claim finds nothing."""
    if len(secret) != 32 + _SECRET_CHARACTERS or not secret.isascii():
        return None
    try:
        return UUID(hex=secret[:32])
    except ValueError:
        return None


def digest_of(secret: str) -> bytes:
    """What is kept of a secret. No salt or stretching: the secret is 256 random bits."""
    return sha256(secret.encode()).digest()


def demographics_to_bytes(patient: PatientKey, demographics: Demographics) -> bytes:
    """The plain form that is sealed."""
    held = {
        "patient_id": patient.patient_id,
        "issuer": patient.issuer,
        "name": demographics.name,
        "birth_date": demographics.birth_date.isoformat() if demographics.birth_date else "",
        "sex": demographics.sex,
    }
    return json.dumps(held, ensure_ascii=False, separators=(",", ":")).encode()


def demographics_from_bytes(plain: bytes) -> tuple[PatientKey, Demographics]:
    """The reverse of `demographics_to_bytes`."""
    held = json.loads(plain)
    birth_date = date.fromisoformat(held["birth_date"]) if held["birth_date"] else None
    return (
        PatientKey(held["patient_id"], held["issuer"]),
        Demographics(held["name"], birth_date, held["sex"]),
    )
