"""Entries of the ledger take who, where, what for and on what grounds from the permit, so that none is forgotten."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from troth import policy
from troth.kit import clock
from troth.kit.db import Space
from troth.ledger import EntryRefused
from troth.policy import Actor, Clear, Permit, Target, refs

HOUSE, PERSON, SIGN_IN = UUID(int=1), UUID(int=7), UUID(int=9)

MEANT = Clear(refs=refs(peer=PERSON))


def permit(**given: UUID | None) -> Permit:
    actor = Actor(
        "user", PERSON, HOUSE, "clinician", session_id=SIGN_IN, name="Dr A. Doctor", organisation="Mock Hospital",
        surface="portal",
    )  # fmt: skip
    now = clock.now()
    return Permit(
        actor, "open", Target("study", uuid4(), given.get("tenant", HOUSE)), "diagnosis", ("4.1", "5.1"), "A6-1-e",
        "imaging-cloud 3", uuid4(), now, now + timedelta(minutes=5), ("audit", "instruction:17"),
    )  # fmt: skip


@pytest.mark.asvs("V16.2.1")
def test_an_entry_takes_from_the_permit_what_the_permit_says() -> None:
    allowed = permit()
    made = policy.entry(
        allowed, "archive:study:opened", key=b"k", payload={"study_uid": "1.2"}, grounds=("contract:1",)
    )
    assert (made.tenant, made.actor_id, made.actor_kind, made.role) == (HOUSE, PERSON, "user", "clinician")
    assert (made.purpose, made.decision_id) == ("diagnosis", allowed.decision_id)
    assert made.clauses == ("4.1", "5.1", "instruction:17", "contract:1")
    assert (made.notice, made.action, made.via, made.session) == ("imaging-cloud@3", "open", "portal", SIGN_IN)
    assert made.payload == {"actor": "Dr A. Doctor", "organisation": "Mock Hospital", "study_uid": "1.2"}


def test_an_act_without_a_permit_says_who_and_is_decided_by_nobody() -> None:
    actor = Actor("peer", PERSON, HOUSE, "peer", name="CT 1")
    made = policy.act(actor, "people:association:opened", "treatment", key=b"k", grounds=("4.1",), clear=MEANT)
    assert (made.tenant, made.actor_id, made.actor_kind, made.role) == (HOUSE, PERSON, "peer", "peer")
    assert (made.purpose, made.clauses, made.decision_id) == ("treatment", ("4.1",), None)
    stranger = policy.act(Actor("anonymous"), "people:association:refused", "own_access", space=Space(HOUSE))
    assert (stranger.tenant, stranger.actor_id, stranger.actor_kind, stranger.role) == (
        HOUSE,
        None,
        "anonymous",
        "none",
    )


def test_an_entry_may_be_written_elsewhere_than_the_permit_is_for() -> None:
    assert policy.entry(permit(), "archive:leftovers:freed", space=Space(None)).tenant is None
    assert policy.entry(permit(tenant=None), "archive:leftovers:freed", space=Space(HOUSE)).tenant == HOUSE


def test_without_a_key_nothing_personal_is_said() -> None:
    assert policy.entry(permit(), "archive:leftovers:freed").payload == {}
    with pytest.raises(EntryRefused):
        policy.entry(permit(), "archive:study:opened", payload={"study_uid": "1.2"})
