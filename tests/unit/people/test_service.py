"""No verb without a permit, but for those that turn a credential into an actor."""

from __future__ import annotations

import inspect

from troth.people import People

SHOWS_A_CREDENTIAL = {
    "start_sign_in",
    "sign_in",
    "people_at",
    "owed",
    "ask_again",
    "begin_enrolment",
    "enrolling",
    "enrol_app",
    "enrol_passkey",
    "passkey_creation",
    "passkey_request",
    "passkey_question",
    "people_by_code",
    "sign_in_by_code",
    "people_by_passkey",
    "sign_in_by_passkey",
    "show_code",
    "show_passkey",
    "keep_draft",
    "enter_viewer",
    "actor_of_viewer",
    "actor_of_session",
    "actor_of_token",
    "bearer_of_token",
    "actor_of_peer",
    "caller_of_peer",
    "open_invitation",
    "register_subject",
    "accept_invitation",
}
ACTS_FOR_THE_ACTOR_ITSELF = {
    "end_session",
    "own_sessions",
    "end_own_session",
    "is_fresh",
    "hand_over",
    "draft",
    "drop_draft",
    "factors_of",
    "renew_codes",
    "remove_factor",
}
INSIDE_A_STORE_OF_A_PERMIT = {"ensure_subject", "subject_for"}
INSIDE_A_TRANSACTION_OF_A_PERMIT = {
    "require_whole",
    "put_right",
    "kin_of",
    "kin_at",
    "kin_held",
    "both_held",
    "forget_likeness",
}
NOTHING_PERSONAL = {
    "organisation",
    "organisation_over",
    "destination",
    "known_peer",
    "record_association",
    "record_strangers",
    "organisation_named",
    "organisations",
    "sweep",
    "resume_closures",
    "purposes",
    "are_independent",
    "independents",
    "settled",
}


def test_verbs_take_a_permit() -> None:
    free = SHOWS_A_CREDENTIAL | ACTS_FOR_THE_ACTOR_ITSELF | INSIDE_A_STORE_OF_A_PERMIT
    free |= INSIDE_A_TRANSACTION_OF_A_PERMIT | NOTHING_PERSONAL
    verbs = {name: verb for name, verb in inspect.getmembers(People, inspect.iscoroutinefunction) if name[0] != "_"}
    assert free <= set(verbs)
    for name, verb in verbs.items():
        first = list(inspect.signature(verb).parameters)[1:2]
        assert name in free or first in (["permit"], ["scope"]), name
