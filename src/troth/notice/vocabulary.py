"""What the platform can do, to what, and who can be meant: the words that clauses choose from.

These are no rights. Nobody may do anything because a word stands here; a clause of a notice has to say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

AUDIENCES: Final = ("patients", "users", "visitors")

ANYBODY: Final = "anybody"

ROLES: Final[Mapping[str, tuple[str, frozenset[str]]]] = MappingProxyType(
    {
        ANYBODY: ("anybody", frozenset({"user", "patient", "peer", "system", "anonymous"})),
        "clinician": ("doctors and others who treat you", frozenset({"user"})),
        "referrer": ("the doctor who sent you", frozenset({"user"})),
        "office": ("the privacy office", frozenset({"user"})),
        "admin": ("administrators", frozenset({"user"})),
        "operator": ("those who run the whole service", frozenset({"system"})),
        "support": ("our support staff", frozenset({"user"})),
        "patient": ("you", frozenset({"patient"})),
        "peer": ("machines and systems of the hospital", frozenset({"peer", "user"})),
        "worker": ("our own programs", frozenset({"system"})),
    }
)
"""Roles: how they are called to a reader, and which kinds of actor can stand in them. A role claimed by another kind
of actor counts for nothing. `peer` may be a bearer token (kind `user`) as well as an association."""

TARGETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "platform": "Platform",
        "organisation": "Organisation",
        "study": "Study",
        "subject": "Subject",
        "request": "Request",
        "invitation": "Invitation",
        "notice": "Notice",
        "ledger": "Ledger",
    }
)
"""Kinds of target and their Cedar entity types."""

ALWAYS_PRESENT: Final = frozenset({"platform", "notice", "ledger"})
"""Targets that are there without an id of their own."""


@dataclass(frozen=True, slots=True)
class ActionTerm:
    """One thing that can be done.

    Attributes:
        words: The verb as it is read aloud.
        about: The kinds of target it can be done to.
    """

    words: str
    about: frozenset[str]


def _action(words: str, *about: str) -> ActionTerm:
    return ActionTerm(words, frozenset(about))


ACTIONS: Final[Mapping[str, ActionTerm]] = MappingProxyType(
    {
        "query": _action("search", "organisation", "subject", "study"),
        "retrieve": _action("open", "study"),
        "store": _action("bring in", "organisation", "study"),
        "copy": _action("copy", "study", "subject", "request"),
        "erase": _action("erase", "study", "subject"),
        "see_log": _action("see who looked", "study", "subject", "organisation", "ledger"),
        "invite": _action("invite", "organisation", "subject"),
        "register": _action("register", "platform", "organisation", "invitation"),
        "sign_in": _action("sign in", "platform", "organisation"),
        "open_notice": _action("read the notice", "platform", "notice"),
        "open_request": _action("ask for a right", "subject", "study", "request"),
        "see_request": _action("see a request", "organisation", "subject", "request"),
        "decide_request": _action("decide a request", "organisation", "request"),
        "see_proofs": _action("see whether promises are kept", "platform", "organisation", "notice", "ledger"),
        "publish_notice": _action("publish a notice", "platform", "notice"),
        "administer": _action("run the service", "platform", "organisation"),
        "add_user": _action("add a user", "organisation"),
        "add_peer": _action("add a machine", "organisation"),
        "echo": _action("test the line", "platform", "organisation"),
        "disclose": _action("pass on to somebody outside", "study", "subject"),
        "keep_registers": _action("say who may receive data and on what terms", "platform", "organisation"),
    }
)

WITHIN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "own_organisation": "only inside their own organisation",
        "own_subject": "only what is about themselves",
        "own_request": "only for a request that somebody made, named with it",
        "deployment": "only by those who run the whole service",
        "everywhere": "everywhere",
    }
)
"""How far an access reaches."""

CLAIMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "support_grant": "your hospital let them in, for a stated time",
        "emergency_reason": "they wrote down why, and somebody checks it",
        "referral": "they sent the patient for this scan",
    }
)
"""Facts that an access may require. What no room claims does not hold, so the access is refused."""

_CODES: Final = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY "
    "BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK "
    "FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR "
    "IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK "
    "ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM "
    "PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF "
    "TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW "
)

COUNTRIES: Final = frozenset(_CODES.split())
"""ISO 3166-1 alpha-2 codes."""
