"""The registers whose rows are bound to the ledger, with each column: bound, or volatile for a reason.

A row is named by its key without the tenant; what is bound of it is read by the database as one text, so that every
reader computes the same: plain columns as JSON, moments as seconds since 1970, and what is sealed as its SHA-256 (its
nonce makes that unguessable). A test holds this list against the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, LiteralString
from uuid import UUID

#: Of the form of what is bound; part of every tag.
FORM: Final = 1
#: What binds a row; no part of what is bound.
BINDING: Final = ("turn", "tag", "bound_by")


@dataclass(frozen=True, slots=True)
class Register:
    """One table whose rows are bound.

    Attributes:
        name: The table.
        key: Columns of its key without the tenant: ids, and words of closed lists.
        plain: Columns that are bound as they are.
        moments: Columns with a time, bound as seconds since 1970, or with a span of time, as its seconds.
        sealed: Columns with sealed or raw bytes or long text, bound as their SHA-256.
        volatile: Columns that are not bound, each with the reason.
        is_platform: It has no tenant.
    """

    name: LiteralString
    key: tuple[LiteralString, ...]
    plain: tuple[LiteralString, ...] = ()
    moments: tuple[LiteralString, ...] = ()
    sealed: tuple[LiteralString, ...] = ()
    volatile: Mapping[str, str] = field(default_factory=dict)
    is_platform: bool = False

    @property
    def bound(self) -> tuple[LiteralString, ...]:
        """All columns that are bound, in order."""
        return (*self.plain, *self.moments, *self.sealed)

    def text(self, alias: LiteralString) -> LiteralString:
        """SQL of what is bound of a row, as one text.

        Args:
            alias: Of the table in the statement.
        """
        parts: list[LiteralString] = [alias + '."' + column + '"' for column in self.plain]
        parts += ["extract(epoch from " + alias + '."' + column + '")::text' for column in self.moments]
        for column in self.sealed:
            parts.append("encode(sha256(" + alias + '."' + column + "\"::bytea), 'hex')")
        return "jsonb_build_array(" + ", ".join(parts) + ")::text"

    def row(self, alias: LiteralString) -> LiteralString:
        """SQL of the key of a row, as one text."""
        return " || ':' || ".join(alias + '."' + column + '"::text' for column in self.key)

    def columns(self, alias: LiteralString, prefix: LiteralString) -> LiteralString:
        """SQL of what a reader needs in order to see that a row is what was bound.

        Args:
            alias: Of the table in the statement.
            prefix: Of the names of the columns in the answer.
        """
        return (
            self.text(alias) + " as " + prefix + "_bound, " + alias + ".turn as " + prefix + "_turn, "
            + alias + ".tag as " + prefix + "_tag"
        )  # fmt: skip


_SEEN: Final = "says when somebody was here last; nothing is decided by it"

REGISTERS: Final[Mapping[str, Register]] = {
    each.name: each
    for each in (
        Register("membership", ("account_id",), ("role", "is_active"), ("made_at",), ("name_sealed",),
                 {"last_here_at": _SEEN}),
        Register("session", ("id",),
                 ("form", "kind", "account_id", "subject_id", "role", "proof", "purpose", "viewer_issued"),
                 ("made_at", "fresh_at", "expires_at", "ended_at", "idle"), ("digest", "viewer_digest"),
                 {"seen_at": "moves with each visit; when it ends at the latest is bound"}),
        Register("account", ("id",), ("email_token",), ("made_at",), ("key", "email_sealed"),
                 {"zone": "how times are shown to one person",
                  "closed_at": "asked again of standing before a key is destroyed"}, is_platform=True),
        Register("subject", ("id",), ("patient_token", "issuer_token"), ("made_at",),
                 ("key", "audit_key", "demographics_sealed"),
                 {"likeness_token": "finds whom to compare; a person decides, or what is sealed"}),
        Register("organisation", ("id",), ("name", "capacity", "region", "level", "operates"), ("made_at",), ("key",),
                 is_platform=True),
        Register("standing", ("account_id", "organisation_id", "kind"), (), ("made_at",), is_platform=True),
        Register("subject_account", ("subject_id", "account_id"), (), ("matched_at",)),
        Register("way_in", ("id",), ("account_id", "role", "way", "accounts"), ("made_at",)),
        Register("admission", ("id",), ("account_id", "role", "proposed_by", "state", "decided_by"),
                 ("proposed_at", "expires_at", "decided_at"), ("invitee_sealed",)),
        Register("peer", ("id",),
                 ("organisation_id", "ae", "called_ae", "host", "address", "port", "purpose", "over_tls"),
                 ("made_at",), ("certificate",), is_platform=True),
        Register("subject_merge", ("id",),
                 ("subject_id", "surviving_id", "rule_id", "patient_id_token", "surviving_patient_id_token", "made_by",
                  "ended_by"), ("made_at", "ended_at"), ("key_ref", "sealed")),
        Register("identity_rule", ("id",), ("issuer_token", "made_by", "ended_by"), ("made_at", "ended_at"),
                 ("key_ref", "sealed")),
        Register("assignment", ("id",),
                 ("account_id", "way", "subject_id", "study_id", "made_by", "ended_by", "reviewed_by"),
                 ("made_at", "until", "ended_at", "reviewed_at"), ("key_ref", "sealed")),
        Register("legal_hold", ("id",), ("scope", "target_id", "owner_id", "review_on", "ends_on", "released_by"),
                 ("made_at", "released_at"), ("key_ref", "sealed")),
        Register("restriction", ("id",), ("number", "subject_id", "study_id", "clause"), ("made_at", "lifted_at"),
                 ("sealed",)),
        Register("choice", ("id",),
                 ("number", "holder_id", "holder_kind", "kind", "key", "state", "notice", "version", "clause",
                  "is_current", "event_id"), ("made_at", "expires_at"), ("sealed",)),
        Register("exchange_contract", ("id",),
                 ("key", "kind", "party", "approved_by", "valid_from", "valid_until", "document_id", "made_by",
                  "end_reason"), ("made_at", "ended_at")),
        Register("exchange_recipient", ("id",),
                 ("key", "stands_under", "name", "kind", "address", "country", "categories", "purposes",
                  "contract_key", "peer_id", "email", "made_by"), ("made_at", "ended_at")),
        Register("exchange_instrument", ("id",),
                 ("key", "kind", "origin", "destination", "recipient_key", "valid_from", "valid_until", "document_id",
                  "made_by", "reason"), ("made_at", "invalidated_at")),
        Register("exchange_instruction", ("id",), ("key", "actions", "purposes", "valid_from", "valid_until",
                 "made_by"), ("made_at", "revoked_at"), ("words",)),
        Register("exchange_order", ("id",),
                 ("kind", "authority", "country", "study_ids", "document_id", "valid_from", "valid_until", "answer",
                  "made_by", "reviewed_by"), ("made_at", "reviewed_at", "ended_at"), ("scope",)),
        Register("rights_request", ("id",),
                 ("number", "right", "state", "subject_id", "opened_by", "opened_by_kind", "scope", "clauses",
                  "notice_version"),
                 ("opened_at", "acknowledge_by", "acknowledged_at", "due_at", "closed_at"),
                 ("subject_key", "audit_key", "certificate", "certificate_signature", "reply_sealed")),
        Register("notice_version", ("id",),
                 ("notice", "number", "effective_on", "audiences", "published_by", "second_person", "is_founding",
                  "is_material"), ("published_at",), ("source", "sha256", "signature"), is_platform=True),
        Register("notice_proposal", ("id",),
                 ("notice", "number", "effective_on", "is_material", "proposed_by", "state", "decided_by",
                  "version_id"), ("proposed_at", "decided_at"), ("source", "sha256"), is_platform=True),
    )
}  # fmt: skip


def message(register: Register, tenant: UUID | None, row: str, turn: int, bound: str) -> bytes:
    """The bytes that a tag is computed over: one line each.

    Args:
        register: The register.
        tenant: Of the row; None on the platform.
        row: Its key.
        turn: How often it was changed.
        bound: What is bound of it, as the database reads it.
    """
    where = "-" if register.is_platform or tenant is None else str(tenant)
    return f"{FORM}\n{register.name}\n{where}\n{row}\n{turn}\n{bound}".encode()
