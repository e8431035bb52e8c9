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
        "contact": "Contact",
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
        "resolve": _action("sort out scans that contradict each other in", "organisation", "study"),
        "copy": _action("copy", "study", "subject", "request"),
        "erase": _action("erase", "study", "subject"),
        "rectify": _action("put right", "study", "subject"),
        "see_log": _action("see who looked", "study", "subject", "organisation", "ledger"),
        "follow": _action("be told what changed", "organisation", "study"),
        "invite": _action("invite", "organisation", "subject"),
        "assign": _action("say who takes part in the care of", "organisation", "subject", "study"),
        "override": _action("open in an emergency, with the reason written down,", "organisation", "subject"),
        "review": _action("check afterwards what was opened in an emergency", "organisation", "subject"),
        "register": _action("register", "platform", "organisation", "invitation"),
        "sign_in": _action("sign in", "platform", "organisation"),
        "open_notice": _action("read the notice", "platform", "notice"),
        "open_request": _action("ask for a right", "subject", "study", "request"),
        "see_request": _action("see a request", "organisation", "subject", "request"),
        "decide_request": _action("decide a request", "organisation", "request"),
        "see_proofs": _action("see whether promises are kept", "platform", "organisation", "notice", "ledger"),
        "publish_notice": _action("publish a notice", "platform", "notice"),
        "tell_source": _action("tell somebody from whom we have what we know of them", "organisation"),
        "ask_support": _action("ask for support", "organisation"),
        "tell_change": _action("tell of a change of the notice", "notice"),
        "administer": _action("run the service", "platform", "organisation"),
        "add_user": _action("add a user", "organisation"),
        "let_in": _action("let people into", "organisation"),
        "change_role": _action("give another role to somebody in", "organisation"),
        "add_peer": _action("add a machine", "organisation"),
        "issue_token": _action("issue a token for programs of", "organisation"),
        "end_access": _action("end what lets people, machines and programs into", "organisation"),
        "disclose": _action("give to somebody outside", "study", "subject", "account", "organisation", "recipient"),
        "share": _action("share", "study"),
        "release": _action("release without names", "study", "organisation", "platform"),
        "send_message": _action("write to", "subject", "account", "organisation"),
        "decide_about": _action("decide about somebody by a program", "subject", "account"),
        "propose": _action("put before a person for a decision", "subject", "account"),
        "choose": _action("say yes or no", "subject", "account"),
        "merge": _action("say which numbers are of one patient", "organisation"),
        "state_issuer": _action("say of whom patient numbers are that come without an issuer", "organisation"),
        "hold": _action("put under a legal hold", "study", "subject", "organisation"),
        "restrict": _action("stop the use of", "study", "subject"),
        "dispose": _action(
            "dispose of when its time is over", "study", "subject", "account", "organisation", "contact"
        ),
        "instruct": _action("give an instruction", "organisation"),
        "keep_register": _action("keep the register of recipients and contracts", "organisation", "platform"),
        "bring_people": _action("bring in a list of people", "organisation"),
        "echo": _action("test the line", "platform", "organisation"),
    }
)

FACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "consent:<key>": "the person gave this consent and it counts now (consent without channels)",
        "consent:<key>:<channel>": "the same, for one channel (consent with channels)",
        "channel:<channel>": "the message goes this way; said by whoever sends, as attribute `channel` of the target",
        "stopped:<channel>": "the person stopped messages on this channel (marketing)",
        "customer": "the person is a customer already (marketing with soft_opt_in)",
        "objection:<purpose>": "an objection to this purpose was granted or waits for a person (right, marketing)",
        "pinned": "the person objected to a version of the notice (amendment with objection: pins)",
        "before:<purpose>": "this purpose stood in the version that a pinned person stays with",
        "instruction:<key>": "the controller gave this instruction and has not revoked it (instruction with key)",
        "agreement:dpa": "a data processing agreement with the controller is in force (instruction with agreement)",
        "agreement:baa": "a business associate agreement with the controller is in force",
        "controller:<country>": "country of the controller whose data it is (instruction with controllers_in)",
        "recipient:<key>": "what leaves goes to this recipient; attribute `recipient` of the target",
        "category:<key>": "what leaves is of this category; attribute `category` of the target",
        "from:<country>": "what leaves leaves from here",
        "to:<country>": "what leaves goes there; every disclosure has one (residency, transfer)",
        "contract:<recipient>": "the contract with this recipient is on file and in force (recipient outside)",
        "instrument:<key>": "this transfer instrument is on file and valid (transfer)",
        "order_document": "the document of the legal order is on file (legal_order)",
        "order_review": "a person has looked at the legal order (legal_order)",
        "level:<word>": "the organisation has this level of service (surface with levels)",
        "via:<surface>": "it comes in by this surface (surface with levels)",
        "governed_by:<word>": "the record stands under other terms (scope with excludes)",
        "source:<clause>": "the people who are told came by this source; attribute `source` of the target (source)",
        "deidentified:<key>": "the release passed this gate (deidentification)",
        "decision:<word>": "which significant decision a program is about to take (automation)",
        "decided_by_person": "a person has decided it (automation)",
        "ground:contract": "the contract needs the automated decision; also ground:consent, ground:law (automation)",
        "age:<band>": "the person is in this age band today (minor)",
        "guardian": "a parent or guardian acts, and has shown to be one (minor)",
        "letting:<role>": "somebody is to be let into this role; attribute `role` of the target (lets_in)",
        "accepted:<key>": "the terms were accepted in this edition (accept)",
    }
)
"""Claims that policies ask for, and what each says. Rooms give them through `policy.FactSet.claims`."""

LETTING: Final = "let_in"
"""The action that lets people into roles; an access with it says which."""

LEAVING: Final = ("disclose", "share", "release")
"""Actions by which something leaves the organisation; each names where from and where to."""

HOLDINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "images": "images and what the machine writes beside them",
        "demographics": "name, birth date, sex and numbers of a patient",
        "reports": "reports, orders and appointments",
        "account": "accounts: name, e-mail address, organisation, role",
        "sessions": "sign-ins: when, from which address",
        "requests": "what people ask about their data, and the answers",
        "choices": "consents, objections and other choices",
        "ledger": "who did what, when and why",
        "mail": "messages that were sent",
        "disclosures": "what was given to whom",
        "chat": "what is written to support",
        "visits": "how often pages were read",
        "contacts": "what people give to be contacted: name, addresses, telephone, organisation",
        "applications": "what applicants give",
        "payments": "orders and payments",
        "telemetry": "what devices and apps report of their use",
        "posts": "what members write for each other",
    }
)
"""What the platform can hold about people. A form, column, listener or job says which it touches."""

MARKETING: Final = frozenset({"marketing", "advertising", "profiling", "newsletter", "campaign"})
"""Purposes that are direct marketing by their name, beside those that a marketing clause names."""

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
        "rest": "the line for other programs (REST)",
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

SOURCING: Final = "source"
"""The purpose of telling people from whom we have what we know of them. The clause about the source allows it."""

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
        "assignment": "they take part in this person's care",
        "duty": "they are on duty for the whole hospital, until a day that is written down",
        "staff_list": "their employer named them on a list that it gave us",
        "order_document": "the document of a legal order is on file",
        "order_review": "a person has looked at the legal order",
        "decided_by_person": "a person has decided",
        "customer": "the person is a customer already",
        "guardian": "a parent or guardian asks, and has shown to be one",
        "seconded": "another person asked for it before, neither of the two let the other in, and nobody alone both",
        "operates_service": "their organisation runs the whole service",
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
