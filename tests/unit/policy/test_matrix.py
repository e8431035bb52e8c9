"""Every role, action, kind of target, purpose and organisation against a table written by hand from the notice."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.policy.conftest import GOOD, HERE, THERE, actor, target
from troth import notice
from troth.policy.decision import Decider

REFUSED = ("emergency", "research", "support", "marketing", "outside_analytics", "", "unheard_of")
STUDY_LIKE = ("organisation", "study", "subject")

# role, purpose -> action -> kinds of target, in the actor's own organisation and about the patient itself
OWN: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    **{
        (role, purpose): {"query": STUDY_LIKE, "retrieve": ("study",), "see_log": STUDY_LIKE}
        for role in ("clinician", "referrer")
        for purpose in ("diagnosis", "care")
    },
    ("peer", "care"): {
        "store": ("organisation", "study"),
        "query": ("organisation", "study"),
        "retrieve": ("study",),
        "echo": ("organisation",),
        "follow": ("organisation", "study"),
    },
    ("patient", "own_access"): {
        "query": ("study", "subject"),
        "retrieve": ("study",),
        "see_log": ("study", "subject"),
        "copy": ("study", "subject", "request"),
        "open_request": ("study", "subject", "request"),
        "see_request": ("subject", "request"),
    },
    ("patient", "rights"): {
        "copy": ("study", "subject", "request"),
        "open_request": ("study", "subject", "request"),
        "see_request": ("subject", "request"),
        "choose": ("subject",),
        "restrict": ("study", "subject"),
    },
    ("office", "rights"): {
        "hold": STUDY_LIKE,
        "merge": ("organisation",),
        "rectify": ("study", "subject"),
        "restrict": ("study", "subject"),
        "see_request": ("organisation", "subject", "request"),
        "decide_request": ("organisation", "request"),
        "see_log": ("organisation", "study", "subject", "ledger"),
        "see_proofs": ("organisation", "ledger"),
    },
    ("office", "administration"): {"invite": ("organisation", "subject")},
    ("admin", "administration"): {
        "administer": ("organisation",),
        "invite": ("organisation", "subject"),
        "add_peer": ("organisation",),
        "change_role": ("organisation",),
        "issue_token": ("organisation",),
        "end_access": ("organisation",),
        "state_issuer": ("organisation",),
        "echo": ("organisation",),
    },
    ("operator", "administration"): {
        "administer": ("organisation",),
        "invite": ("organisation", "subject"),
        "add_user": ("organisation",),
        "add_peer": ("organisation",),
        "change_role": ("organisation",),
        "issue_token": ("organisation",),
        "end_access": ("organisation",),
        "state_issuer": ("organisation",),
        "echo": ("organisation",),
        "see_proofs": ("organisation", "ledger"),
    },
    ("worker", "rights"): {"see_request": ("request",), "copy": ("request",)},
}
OWN["clinician", "emergency"] = {"override": ("organisation", "subject")}
OWN["office", "rights"]["review"] = ("organisation", "subject")
OWN["clinician", "care"]["invite"] = ("subject",)
OWN["clinician", "care"]["rectify"] = ("study",)
OWN["clinician", "care"]["resolve"] = ("organisation", "study")
ROLES = ("clinician", "referrer", "office", "admin", "support", "patient", "peer", "worker", "operator", "none")
ANYBODY = {
    "open_notice": ("platform", "notice"),
    "sign_in": ("platform", "organisation"),
    "register": ("platform", "organisation", "invitation"),
    "see_proofs": ("platform", "notice"),
}


def expected(role: str, action: str, kind: str, purpose: str, is_own: bool) -> bool:
    if purpose == "site" and kind in ANYBODY.get(action, ()):
        return True
    return is_own and kind in OWN.get((role, purpose), {}).get(action, ())


def purposes_of(role: str) -> set[str]:
    """Those that the role has something in, and some that nobody has."""
    return {purpose for who, purpose in OWN if who == role} | {"site", *REFUSED}


@pytest.mark.asvs("V8.2.1")
def test_roles_actions_targets_purposes_and_organisations(compiled: notice.Compiled) -> None:
    decider = Decider(compiled)
    wrong = []
    for role, action, kind in itertools.product(ROLES, notice.ACTIONS, notice.TARGETS):
        fits = kind in notice.ACTIONS[action].about
        purposes = purposes_of(role) if fits else purposes_of(role) - set(REFUSED)
        for purpose, tenant in itertools.product(purposes, (HERE, THERE) if fits else (HERE,)):
            who, what = actor(role), target(kind, tenant)
            is_own = what.tenant in (None, who.tenant) and (role != "none" or what.tenant is None)
            is_allowed = decider.decide(who, action, what, purpose, GOOD).is_allowed
            if is_allowed is not expected(role, action, kind, purpose, is_own):
                wrong.append((role, action, kind, purpose, "own" if tenant == HERE else "other", is_allowed))
    assert wrong == []


def test_a_purpose_of_others_gives_a_role_nothing(compiled: notice.Compiled) -> None:
    decider = Decider(compiled)
    purposes = {purpose for _, purpose in OWN} | {policy.purpose for policy in compiled.policies}
    for role, purpose in itertools.product(ROLES, purposes - {"site"}):
        for action in ("query", "retrieve", "erase", "see_log", "decide_request", "administer"):
            for kind in notice.ACTIONS[action].about - {"platform"}:
                is_allowed = decider.decide(actor(role), action, target(kind), purpose, GOOD).is_allowed
                assert is_allowed is expected(role, action, kind, purpose, True), (role, action, kind, purpose)
