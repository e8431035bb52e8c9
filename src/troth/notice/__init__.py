"""The notice as data: load, check, compare, publish, render, compile. The face of the room."""

from __future__ import annotations

from troth.notice import clock
from troth.notice.checking import check
from troth.notice.clauses.base import Clause, Evidence, LegalSource, Policy, Row
from troth.notice.clauses.category import Category
from troth.notice.clauses.contact import Contact
from troth.notice.clauses.cookie import Cookies
from troth.notice.clauses.purpose import Purpose
from troth.notice.clauses.retention import Retention
from troth.notice.clauses.right import Right
from troth.notice.compiling import Compiled, compile_notices
from troth.notice.compiling import compile_notices as compile
from troth.notice.difference import Change, Difference, diff
from troth.notice.errors import (
    NothingInForce,
    NoticeConflict,
    NoticeMalformed,
    PeriodMalformed,
    SecondPersonMissing,
    VersionNotFound,
)
from troth.notice.law import RIGHTS
from troth.notice.loading import load, parse
from troth.notice.model import Notice, Section, retention, right
from troth.notice.period import Period
from troth.notice.problem import Problem
from troth.notice.rendering import Rendered, RenderedSection, Sentence, render, sentence
from troth.notice.right_terms import RightTerms
from troth.notice.service import Notices
from troth.notice.version import NoticeVersion
from troth.notice.vocabulary import ACTIONS, ALWAYS_PRESENT, ANYBODY, AUDIENCES, ROLES, TARGETS

__all__ = [
    "ACTIONS",
    "ALWAYS_PRESENT",
    "ANYBODY",
    "AUDIENCES",
    "RIGHTS",
    "ROLES",
    "TARGETS",
    "Category",
    "Change",
    "Clause",
    "Compiled",
    "Contact",
    "Cookies",
    "Difference",
    "Evidence",
    "LegalSource",
    "NothingInForce",
    "Notice",
    "NoticeConflict",
    "NoticeMalformed",
    "NoticeVersion",
    "Notices",
    "Period",
    "PeriodMalformed",
    "Policy",
    "Problem",
    "Purpose",
    "Rendered",
    "RenderedSection",
    "Retention",
    "Right",
    "RightTerms",
    "Row",
    "SecondPersonMissing",
    "Section",
    "Sentence",
    "VersionNotFound",
    "check",
    "clock",
    "compile",
    "compile_notices",
    "diff",
    "load",
    "parse",
    "render",
    "retention",
    "right",
    "sentence",
]
