"""The register of processing (GDPR Art. 30): every activity of the notices in force, for people, tables and machines.

The machine-readable form is JSON-LD in the terms of the Data Privacy Vocabulary 2.3; its context is written into it, so
that reading it fetches nothing.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.notice import law
from troth.notice.clauses.base import Clause
from troth.notice.clauses.basis import Basis
from troth.notice.clauses.category import Category
from troth.notice.clauses.contact import Contact
from troth.notice.clauses.purpose import Purpose
from troth.notice.clauses.retention import Retention
from troth.notice.model import Notice
from troth.notice.vocabulary import ROLES

DPV: Final = "https://w3id.org/dpv#"
_CONTEXT: Final[dict[str, Any]] = {
    "dpv": DPV,
    "dpv-pd": "https://w3id.org/dpv/pd#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_SUBJECTS: Final = {"patients": "dpv:Patient", "users": "dpv:User", "visitors": "dpv:Visitor"}
_COLUMNS: Final = (
    "notice", "version", "clause", "activity", "what it is for", "capacity", "lawful basis", "condition", "data",
    "about whom", "special categories", "recipients", "countries", "retention", "transfers", "safeguards",
    "assessment of the interest",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Held:
    """A category of data within an activity."""

    clause: str
    key: str
    iri: str
    says: str
    whose: tuple[str, ...]
    is_special: bool


@dataclass(frozen=True, slots=True)
class Receiver:
    """A recipient within an activity."""

    clause: str
    key: str
    name: str
    country: str
    is_outside: bool
    contract: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A retention rule within an activity."""

    clause: str
    key: str
    period: str
    words: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Activity:
    """One entry of the register.

    Attributes:
        notice: Short name of the notice, with its version in `version`.
        basis: IRI of the lawful basis, such as `eu-gdpr:A6-1-e`.
        condition: IRI of the condition of Art. 9(2), or empty.
        assessments: Of a legitimate interest: the clause that names it, and where its assessment can be read.
    """

    notice: str
    version: int
    clause: str
    key: str
    says: str
    capacity: str
    basis: str
    basis_words: str
    condition: str
    categories: tuple[Held, ...]
    recipients: tuple[Receiver, ...]
    regions: tuple[str, ...]
    retention: tuple[Kept, ...]
    assessments: tuple[tuple[str, str], ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """About whom: `patients`, `users`, `visitors`."""
        return tuple(dict.fromkeys(whose for held in self.categories for whose in held.whose))


@dataclass(frozen=True, slots=True)
class Register:
    """The register of one notice.

    Attributes:
        controller: Who answers for it, as the notice names them.
        contacts: Name and address of officer and representatives.
        transfers: Where data may go abroad, and on what.
        measures: How it is protected: clause and sentence.
    """

    notice: str
    version: int
    effective_on: str
    deployment: str
    controller: str
    contacts: tuple[tuple[str, str, str], ...]
    transfers: tuple[tuple[str, str], ...]
    measures: tuple[tuple[str, str], ...]
    activities: tuple[Activity, ...]


def register(notice: Notice) -> Register:
    """The register of processing of a notice.

    Args:
        notice: The notice in force.
    """
    contacts = [clause for clause in notice.all("contact") if isinstance(clause, Contact)]
    company = next((each.name for each in contacts if each.of == "company"), notice.head.deployment)
    activities = [clause for clause in notice.all("purpose") if isinstance(clause, Purpose)]
    return Register(
        notice=notice.name,
        version=notice.version,
        effective_on=notice.head.effective_on.isoformat(),
        deployment=notice.head.deployment,
        controller=company,
        contacts=tuple(
            (each.of, each.name, each.email or each.post or each.url)
            for each in contacts
            if each.of in ("dpo", "representative")
        ),
        transfers=tuple((each.id, each.sentence(notice)) for each in notice.all("transfer")),
        measures=tuple((each.id, each.sentence(notice)) for each in notice.all("safeguard")),
        activities=tuple(_activity(notice, each) for each in activities),
    )


def _activity(notice: Notice, clause: Purpose) -> Activity:
    categories = [notice.find("category", key) for key in clause.categories]
    recipients = [notice.find("recipient", key) for key in clause.recipients]
    retention = [notice.find("retention", key) for key in clause.retention]
    return Activity(
        notice=notice.name,
        version=notice.version,
        clause=clause.id,
        key=clause.key,
        says=clause.sentence(notice),
        capacity=clause.capacity,
        basis=clause.basis,
        basis_words=f"{law.BASES[clause.basis]} ({law.article(clause.basis)})",
        condition=clause.condition,
        categories=tuple(
            Held(each.id, each.key, each.iri, each.sentence(notice), each.whose, each.is_special)
            for each in categories
            if isinstance(each, Category)
        ),
        recipients=tuple(_receiver(each) for each in recipients if each is not None),
        regions=clause.regions,
        retention=tuple(
            Kept(each.id, each.key, str(each.period), each.period.words, each.anchor)
            for each in retention
            if isinstance(each, Retention)
        ),
        assessments=tuple(
            (each.id, each.assessment)
            for each in notice.all("basis")
            if isinstance(each, Basis) and clause.key in each.purposes
        ),
    )


def _receiver(clause: Clause) -> Receiver:
    roles = ", ".join(ROLES[role][0] for role in getattr(clause, "roles", ()))
    contract = getattr(clause, "contract", None)
    return Receiver(
        clause=clause.id,
        key=clause.key,
        name=getattr(clause, "name", "") or roles or clause.key,
        country=getattr(clause, "country", ""),
        is_outside=bool(getattr(clause, "is_outside", False)),
        contract=str(getattr(contract, "form", "")),
    )


def as_csv(registers: Sequence[Register]) -> str:
    """The registers as one table (RFC 4180), one row for each activity.

    Args:
        registers: Of the notices in force.
    """
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(_COLUMNS)
    for each in registers:
        for one in each.activities:
            table.writerow([_plain(value) for value in _row(each, one)])
    return written.getvalue()


def _row(whole: Register, one: Activity) -> tuple[str, ...]:
    return (
        one.notice,
        str(one.version),
        one.clause,
        one.key,
        one.says,
        one.capacity,
        one.basis_words,
        law.article(one.condition) if one.condition else "",
        "; ".join(held.key for held in one.categories),
        "; ".join(one.subjects),
        "; ".join(held.key for held in one.categories if held.is_special),
        "; ".join(f"{each.name} ({each.country})" if each.country else each.name for each in one.recipients),
        "; ".join(one.regions),
        "; ".join(f"{each.key}: {each.words} from {each.anchor}" for each in one.retention),
        "; ".join(says for _, says in whole.transfers),
        "; ".join(clause for clause, _ in whole.measures),
        "; ".join(f"§ {clause}: {where}" for clause, where in one.assessments),
    )


def _plain(value: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def as_jsonld(registers: Sequence[Register], base: str) -> str:
    """The registers in the terms of DPV 2.3, as JSON-LD 1.1.

    Args:
        registers: Of the notices in force.
        base: Address of the pages, under which everything is named.
    """
    graph = [node for each in registers for node in _nodes(each, base.rstrip("/"))]
    return json.dumps({"@context": _CONTEXT, "@graph": graph}, ensure_ascii=False, indent=1)


def _nodes(each: Register, base: str) -> list[dict[str, Any]]:
    here = f"{base}/notice/register#{each.notice}"
    page = f"{base}/notice/versions/{each.version}?of={each.notice}"
    whole: dict[str, Any] = {
        "@id": here,
        "@type": "dpv:ROPA",
        "dct:title": f"Register of processing: {each.deployment}",
        "dct:issued": {"@value": each.effective_on, "@type": "xsd:date"},
        "dpv:hasNotice": {"@id": page, "@type": "dpv:PrivacyNotice"},
        "dpv:hasPersonalDataProcess": [{"@id": f"{here}-{one.key}"} for one in each.activities],
        "dpv:hasTechnicalOrganisationalMeasure": [
            {"@id": f"{page}#p{clause.replace('.', '-')}", "@type": "dpv:TechnicalMeasure", "skos:definition": says}
            for clause, says in each.measures
        ],
    }
    return [whole, *(_process(each, one, here, page) for one in each.activities)]


def _process(whole: Register, one: Activity, here: str, page: str) -> dict[str, Any]:
    def at(clause: str) -> str:
        return f"{page}#p{clause.replace('.', '-')}"

    role = "dpv:hasDataController" if one.capacity == "controller" else "dpv:hasDataProcessor"
    kind = "dpv:DataController" if one.capacity == "controller" else "dpv:DataProcessor"
    basis = [one.basis, *([one.condition] if one.condition else [])]
    return {
        "@id": f"{here}-{one.key}",
        "@type": "dpv:PersonalDataProcess",
        "dct:title": one.key,
        role: {"@id": f"{here}-company", "@type": kind, "dpv:hasName": whole.controller},
        "dpv:hasPurpose": {"@id": at(one.clause), "@type": "dpv:Purpose", "skos:definition": one.says},
        "dpv:hasLegalBasis": [{"@id": iri} for iri in basis],
        "dpv:hasDataSubject": [{"@id": _SUBJECTS[subject]} for subject in one.subjects],
        "dpv:hasPersonalData": [
            {
                "@id": at(held.clause),
                "@type": [held.iri, "dpv:SpecialCategoryPersonalData" if held.is_special else "dpv:PersonalData"],
                "skos:definition": held.says,
            }
            for held in one.categories
        ],
        "dpv:hasRecipient": [
            {
                "@id": at(each.clause),
                "@type": ["dpv:Recipient", *(["dpv:ThirdParty"] if each.is_outside else [])],
                "dpv:hasName": each.name,
                **({"dpv:hasLocation": each.country} if each.country else {}),
            }
            for each in one.recipients
        ],
        "dpv:hasStorageCondition": [
            *(
                {
                    "@id": at(each.clause),
                    "@type": "dpv:StorageDuration",
                    "dpv:hasDuration": {"@value": each.period, "@type": "xsd:duration"},
                    "skos:definition": f"{each.words} from {each.anchor}",
                }
                for each in one.retention
            ),
            *({"@type": "dpv:StorageLocation", "dpv:hasLocation": region} for region in one.regions),
        ],
    }
