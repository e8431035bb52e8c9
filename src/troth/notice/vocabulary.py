"""What the platform can do, to what, and who can be meant: the words that clauses choose from.

These are no rights. Nobody may do anything because a word stands here; a clause of a notice has to say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        "account": "Account",
        "recipient": "Recipient",
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
        "tell_change": _action("tell of a change of the notice", "notice"),
        "administer": _action("run the service", "platform", "organisation"),
        "add_user": _action("add a user", "organisation"),
        "add_peer": _action("add a machine", "organisation"),
        "disclose": _action("give to somebody outside", "study", "subject", "account", "organisation", "recipient"),
        "share": _action("share", "study"),
        "release": _action("release without names", "study", "organisation", "platform"),
        "send_message": _action("write to", "subject", "account", "organisation"),
        "decide_about": _action("decide about somebody by a program", "subject", "account"),
        "choose": _action("say yes or no", "subject", "account"),
        "hold": _action("put under a legal hold", "study", "subject", "organisation"),
        "restrict": _action("stop the use of", "study", "subject"),
        "dispose": _action("dispose of when its time is over", "study", "subject", "account", "organisation"),
        "instruct": _action("give an instruction", "organisation"),
        "keep_register": _action("keep the register of recipients and contracts", "organisation", "platform"),
        "bring_people": _action("bring in a list of people", "organisation"),
        "echo": _action("test the line", "platform", "organisation"),
    }
)

LEAVING: Final = ("disclose", "share", "release")
"""Actions by which something leaves the organisation; each names where from and where to."""

CHANNELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "post": "letter",
        "email": "e-mail",
        "sms": "text message",
        "call": "a call by a person",
        "automated_call": "a call by a machine",
        "push": "a message to an app",
    }
)
"""Ways to reach a person."""

SURFACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "site": "our public pages",
        "portal": "the pages after sign-in",
        "viewer": "the viewer",
        "dicomweb": "the line for programs (DICOMweb)",
        "dimse": "the line for machines (DICOM)",
        "mail": "e-mail",
        "command_line": "the command line of those who run the service",
        "contact": "any way of getting in touch",
        "product": "products and subscriptions",
        "support": "support",
        "mobile": "apps for telephones",
        "desktop": "apps for computers",
        "affiliates": "pages of our group",
    }
)
"""Where a notice can hold."""

AMENDING: Final = "amendment"
"""The purpose of telling people of a change. The clause about changes allows it, no activity has to."""

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
        "assignment": "they take part in this person's care",
        "staff_list": "their employer named them on a list that it gave us",
        "order_document": "the document of a legal order is on file",
        "order_review": "a person has looked at the legal order",
        "decided_by_person": "a person has decided",
        "customer": "the person is a customer already",
        "guardian": "a parent or guardian asks, and has shown to be one",
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

_EU = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"

GROUPS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"EU": frozenset(_EU.split()), "EEA": frozenset(_EU.split()) | {"IS", "LI", "NO"}}
)
"""Groups of countries that may be named in place of each."""

PLACES: Final = tuple(sorted(COUNTRIES | GROUPS.keys()))
"""Countries and groups of them."""


def places(names: Iterable[str]) -> frozenset[str]:
    """The countries behind some names of countries and groups.

    Args:
        names: ISO 3166 codes, `EU` or `EEA`.
    """
    return frozenset(code for name in names for code in GROUPS.get(name, frozenset({name})))
