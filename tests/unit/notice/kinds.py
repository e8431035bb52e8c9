"""A small notice with a clause of every kind, as plain content; and one more clause at a time."""

from __future__ import annotations

import copy
import json
from typing import Any

from troth import notice as room
from troth.notice import loading, reading

ACTIVITY = {
    "basis": "eu-gdpr:A6-1-f",
    "categories": ["contacts"],
    "retention": ["contacts"],
    "regions": ["GB"],
    "capacity": "controller",
}

CLAUSES: list[dict[str, Any]] = [
    {"kind": "category", "key": "contacts", "whose": ["users"], "iri": "dpv-pd:Contact", "says": "Names."},
    {"kind": "category", "key": "interests", "whose": ["users"], "iri": "dpv-pd:Interest", "obtained": "inferred",
     "covers": ["telemetry"], "says": "What you may like."},
    {"kind": "purpose", "key": "contact", "says": "To answer.", **ACTIVITY, "categories": ["contacts", "interests"],
     "recipients": ["staff", "printer"],
     "access": [{"who": ["office"], "does": ["disclose", "see_log"], "about": ["subject"], "within": "everywhere"}]},
    {"kind": "purpose", "key": "news", "says": "To tell news.", **ACTIVITY, "basis": "eu-gdpr:A6-1-a"},
    {"kind": "recipient", "key": "staff", "roles": ["office"], "says": "Our office."},
    {"kind": "recipient", "key": "printer", "is_outside": True, "name": "Printer", "country": "US",
     "relation": "supplier", "categories": ["contacts"], "own_notice": "https://printer.example",
     "contract": {"form": "processor", "signed_on": "2026-01-01", "ends_on": "2027-01-01"}, "says": "A printer."},
    {"kind": "recipient", "key": "courts", "is_outside": True, "name": "Courts", "country": "GB",
     "relation": "authority", "contract": {"form": "none_needed", "why_none": "the law"}, "says": "Courts."},
    {"kind": "residency", "regions": ["GB"], "says": "Here."},
    {"kind": "residency", "regions": ["IE"], "says": "And there."},
    {"kind": "transfer", "key": "printer_scc", "origins": ["GB"], "destinations": ["US"], "instrument": "scc",
     "valid_from": "2026-01-01", "valid_until": "2027-01-01", "document": "write to us"},
    {"kind": "transfer", "key": "asked", "origins": ["GB"], "destinations": ["US"], "instrument": "derogation",
     "derogation": "eu-gdpr:A49-1-a", "valid_from": "2026-01-01"},
    {"kind": "retention", "key": "contacts", "period": "P1Y", "anchor": "last_contact_on"},
    {"kind": "consent", "key": "news", "purposes": ["news"], "channels": ["email", "sms"], "expires": "P2Y",
     "wording_shown": "May we?", "says": "Only with your yes."},
    {"kind": "marketing", "purposes": ["news"], "channels": ["email"], "consent": "news", "soft_opt_in": True,
     "stops_by": ["link"], "headers": ["List-Unsubscribe"], "says": "It stops."},
    {"kind": "automation", "decisions": ["account_closure"], "grounds": ["law"], "says": "A person decides."},
    {"kind": "automation", "says": "Always."},
    {"kind": "deidentification", "key": "counts", "purposes": ["contact"], "profile": "aggregate", "says": "Counts."},
    {"kind": "minor", "does": ["register"], "guardian_proof": "a paper", "says": "Grown people.", "bands": [
        {"key": "child", "below_years": 13, "rule": "refused"},
        {"key": "youth", "from_years": 13, "below_years": 16, "rule": "guardian"},
        {"key": "young", "from_years": 16, "below_years": 18, "rule": "own"}]},
    {"kind": "scope", "includes": ["site"], "excludes": ["licensed_products"], "purposes": ["contact"],
     "says": "Here."},
    {"kind": "scope", "excludes": ["offline"], "says": "Not there."},
    {"kind": "scope", "includes": ["portal"], "says": "There."},
    {"kind": "accept", "key": "terms", "title": "Terms", "edition": "2026-11", "before": ["retrieve"],
     "says": "Terms."},
    {"kind": "accept", "key": "rules", "title": "Rules", "edition": "1", "says": "Rules."},
    {"kind": "legal_order", "purposes": ["contact"], "needs": ["document", "review"], "says": "Orders."},
    {"kind": "surface", "key": "enquiry", "at": "site", "purposes": ["contact"], "says": "A form.", "fields": [
        {"name": "email", "category": "contacts", "is_required": True, "why": "to answer"},
        {"name": "topic", "category": "interests"}]},
    {"kind": "basis", "purposes": ["contact"], "interest": "to answer.", "assessment": "ask us",
     "assessed_on": "2026-01-01", "review_on": "2027-01-01"},
    {"kind": "right", "right": "object", "period": "P1M", "acknowledge": "P3D", "except_bases": ["eu-gdpr:A6-1-a"],
     "says": "Object."},
    {"kind": "cookie", "says": "Cookies.", "signals": ["gpc"], "cookies": [
        {"name": "one", "use": "counts", "lasts": "a day", "consent": "news"}],
     "origins": [{"origin": "https://stats.example", "loads": ["script"], "use": "counts", "consent": "news"}]},
    {"kind": "instruction", "purposes": ["hosting"], "key": "standard", "agreement": "baa", "controllers_in": ["US"],
     "says": "As told."},
    {"kind": "purpose", "key": "hosting", "says": "To host.", **ACTIVITY, "capacity": "processor"},
    {"kind": "source", "origin": "third_party", "categories": ["contacts"], "key": "vendors", "who": "data vendors",
     "told_within": "P1M", "gives": ["staff_list"], "says": "Vendors."},
    {"kind": "sharing", "by": ["clinician"], "to": ["referrer"], "longest": "P1M", "needs": ["code"], "says": "Share."},
    {"kind": "amendment", "tells": ["posted", "mailed"], "mails": "material", "objection": "pins", "says": "Changes."},
    {"kind": "contact", "of": "representative", "name": "R", "email": "r@r.example", "country": "IE"},
    {"kind": "surface", "key": "line", "at": "dimse", "way": "listener", "purposes": ["hosting"], "levels": ["full"],
     "closes": ["query"], "says": "By level."},
]  # fmt: skip

HEAD: dict[str, Any] = {
    "notice": "small",
    "version": 1,
    "effective_on": "2026-11-01",
    "deployment": "Small",
    "language": "en-GB",
    "zone": "Europe/London",
    "surfaces": ["site", "portal"],
    "covers": [{"audience": "users", "title": "What", "lead": "We do."}],
}


def content(**head: Any) -> dict[str, Any]:
    """The small notice, with other terms of the head."""
    clauses = [{"id": f"1.{number}", **copy.deepcopy(each)} for number, each in enumerate(CLAUSES, start=1)]
    return {**copy.deepcopy(HEAD), **head, "sections": [{"number": 1, "title": "All", "clauses": clauses}]}


def find(plain: dict[str, Any], kind: str, at: int = 0) -> dict[str, Any]:
    """The clause of a kind, by its place among them."""
    found: dict[str, Any] = [each for each in plain["sections"][0]["clauses"] if each["kind"] == kind][at]
    return found


def made(plain: dict[str, Any], path: str = "small.yaml") -> room.Notice:
    """The notice behind some content."""
    return loading.of_page(reading.Page(path, json.dumps(plain, indent=0), plain, {}))
