"""The notice as data: load, check, compare, publish, render, compile. The face of the room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from troth.notice import clock
from troth.notice.checking import check, impossible
from troth.notice.clauses.amendment import Amendment
from troth.notice.clauses.base import Clause, LegalSource, Policy, Row
from troth.notice.clauses.category import Category
from troth.notice.clauses.contact import Contact, contact_for_privacy
from troth.notice.clauses.cookie import Cookies
from troth.notice.clauses.marketing import Marketing
from troth.notice.clauses.purpose import Purpose
from troth.notice.clauses.retention import Retention
from troth.notice.clauses.right import Right
from troth.notice.compiling import Compiled, compile_notices
from troth.notice.compiling import compile_notices as compile
from troth.notice.coverage import Collecting, coverage
from troth.notice.deployment import applying, check_all, load_all, notice_files, render_all
from troth.notice.difference import Change, Difference, diff
from troth.notice.errors import (
    DayPassed,
    NothingChanged,
    NothingInForce,
    NoticeAltered,
    NoticeConflict,
    NoticeMalformed,
    PeriodMalformed,
    ProposalNotFound,
    ProposalOpen,
    ProposalOver,
    SecondPersonMissing,
    VersionNotFound,
)
from troth.notice.law import RIGHTS
from troth.notice.loading import load, parse
from troth.notice.model import Notice, Section, retention, right
from troth.notice.needs import Need, Serves, is_marked, unserved
from troth.notice.period import Period
from troth.notice.problem import Problem
from troth.notice.register import Activity, Register, as_csv, as_jsonld, register
from troth.notice.rendering import Rendered, RenderedSection, Sentence, render, sentence
from troth.notice.right_terms import RightTerms
from troth.notice.sarif import sarif
from troth.notice.vocabulary import (
    ACTIONS,
    ALWAYS_PRESENT,
    AMENDING,
    ANYBODY,
    AUDIENCES,
    COUNTRIES,
    HOLDINGS,
    MARKETING,
    ROLES,
    SOURCING,
    TARGETS,
    places,
)

if TYPE_CHECKING:
    from troth.notice.proposals import Proposal, Proposals, earliest, following
    from troth.notice.service import Notices
    from troth.notice.version import NoticeVersion

__all__ = [
    "ACTIONS",
    "ALWAYS_PRESENT",
    "AMENDING",
    "ANYBODY",
    "AUDIENCES",
    "COUNTRIES",
    "HOLDINGS",
    "MARKETING",
    "RIGHTS",
    "ROLES",
    "SOURCING",
    "TARGETS",
    "Activity",
    "Amendment",
    "Category",
    "Change",
    "Clause",
    "Collecting",
    "Compiled",
    "Contact",
    "Cookies",
    "DayPassed",
    "Difference",
    "LegalSource",
    "Marketing",
    "Need",
    "NothingChanged",
    "NothingInForce",
    "Notice",
    "NoticeAltered",
    "NoticeConflict",
    "NoticeMalformed",
    "NoticeVersion",
    "Notices",
    "Period",
    "PeriodMalformed",
    "Policy",
    "Problem",
    "Proposal",
    "ProposalNotFound",
    "ProposalOpen",
    "ProposalOver",
    "Proposals",
    "Purpose",
    "Register",
    "Rendered",
    "RenderedSection",
    "Retention",
    "Right",
    "RightTerms",
    "Row",
    "SecondPersonMissing",
    "Section",
    "Sentence",
    "Serves",
    "VersionNotFound",
    "applying",
    "as_csv",
    "as_jsonld",
    "check",
    "check_all",
    "clock",
    "compile",
    "compile_notices",
    "contact_for_privacy",
    "coverage",
    "diff",
    "earliest",
    "following",
    "impossible",
    "is_marked",
    "load",
    "load_all",
    "notice_files",
    "parse",
    "places",
    "register",
    "render",
    "render_all",
    "retention",
    "right",
    "sarif",
    "sentence",
    "unserved",
]

_OF_VERSIONS = ("Notices", "NoticeVersion", "Proposal", "Proposals", "earliest", "following")


def __getattr__(name: str) -> Any:
    """What works with published versions: it needs database, ledger and signatures, and checking a file does not."""
    if name not in _OF_VERSIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from troth.notice import proposals, service, version

    return getattr(next(module for module in (service, version, proposals) if hasattr(module, name)), name)
