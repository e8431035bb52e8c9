from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.unit.policy.conftest import HERE, THERE, Refusals, Said, actor, target
from troth import notice
from troth.kit import clock, errors
from troth.policy import PERMIT_LIFETIME, Instructed, PermitDenied, Policy, Target


async def test_a_permit_says_who_what_why_and_for_how_long(policy: Policy) -> None:
    who, what = actor("clinician"), target("study")
    permit = await policy.require(who, "retrieve", what, "diagnosis")
    assert (permit.actor, permit.action, permit.target, permit.purpose) == (who, "retrieve", what, "diagnosis")
    assert permit.clauses == ("4.1", "5.1")
    assert permit.basis == "A6-1-f"
    assert permit.notice_version == policy.notice_version == "imaging-cloud 1"
    assert permit.obligations == ("region:GB",)
    assert permit.tenant == HERE
    assert permit.expires_at - permit.decided_at == PERMIT_LIFETIME == timedelta(minutes=5)
    assert abs(clock.now() - permit.decided_at) < timedelta(minutes=1)
    assert (await policy.require(who, "retrieve", what, "diagnosis")).decision_id != permit.decision_id


@pytest.mark.asvs("V16.3.2")
async def test_a_refusal_is_told_and_looks_like_absence(policy: Policy, refusals: Refusals) -> None:
    who = actor("clinician")
    absent, theirs = Target("study", None, HERE), target("study", THERE)
    said = []
    for what in (absent, theirs):
        with pytest.raises(PermitDenied) as caught:
            await policy.require(who, "retrieve", what, "diagnosis")
        said.append(
            (str(caught.value), caught.value.detail, caught.value.hint, caught.value.clauses, caught.value.http_status)
        )
        assert isinstance(caught.value, errors.NotFound)
    assert said[0] == said[1]
    assert said[0][3] == ()
    assert refusals.told == [
        (who, "retrieve", absent, "diagnosis", ()),
        (who, "retrieve", theirs, "diagnosis", ("1.3",)),
    ]


async def test_who_has_access_is_told_the_clause_apart_from_the_text(
    policy: Policy, facts: Said, refusals: Refusals
) -> None:
    who, what = actor("clinician"), target("study")
    assert await policy.may(who, "retrieve", what, "care")
    facts.set(is_restricted=True)
    with pytest.raises(PermitDenied) as caught:
        await policy.require(who, "retrieve", what, "care")
    assert caught.value.clauses == ("9.4",)
    assert "9.4" not in str(caught.value)
    assert refusals.told[0][4] == ("9.4",)
    with pytest.raises(PermitDenied) as caught:
        await policy.require(actor("office"), "retrieve", what, "care")
    assert caught.value.clauses == ()


async def test_what_ended_has_ended_at_the_next_decision(policy: Policy, facts: Said) -> None:
    who, what = actor("patient"), target("study")
    await policy.require(who, "retrieve", what, "own_access")
    facts.set(session_alive=False)
    with pytest.raises(PermitDenied):
        await policy.require(who, "retrieve", what, "own_access")


async def test_asking_whether_is_not_an_attempt(policy: Policy, refusals: Refusals) -> None:
    assert not await policy.may(actor("office"), "retrieve", target("study"), "care")
    assert refusals.told == []


async def test_nobody_in_particular_is_not_written_down(policy: Policy, refusals: Refusals) -> None:
    assert (await policy.require(actor("none"), "open_notice", target("notice"), "site")).clauses == ("4.12",)
    with pytest.raises(PermitDenied):
        await policy.require(actor("none"), "retrieve", target("study"), "care")
    assert refusals.told == []


@pytest.mark.asvs("V16.3.2", "V16.5.3")
async def test_if_a_refusal_cannot_be_written_down_nothing_is_allowed_either(
    compiled: notice.Compiled, facts: Said
) -> None:
    async def torn(*refusal: Any) -> None:
        raise errors.Unavailable

    with pytest.raises(errors.Unavailable):
        await Policy(compiled, facts, torn).require(actor("office"), "retrieve", target("study"), "care")


async def test_without_anybody_to_tell_it_is_refused_all_the_same(compiled: notice.Compiled, facts: Said) -> None:
    with pytest.raises(PermitDenied):
        await Policy(compiled, facts).require(actor("office"), "retrieve", target("study"), "care")


async def test_another_notice_decides_from_the_next_decision_on(policy: Policy) -> None:
    who, what = actor("clinician"), target("study")
    assert await policy.may(who, "retrieve", what, "care")
    policy.adopt(notice.compile([]))
    assert not await policy.may(who, "retrieve", what, "care")
    assert policy.notice_version == ""


async def test_a_permit_on_the_platform_lies_in_the_actors_space(policy: Policy) -> None:
    permit = await policy.require(actor("clinician"), "open_notice", target("notice"), "site")
    assert permit.tenant == HERE


async def test_a_refusal_says_why_only_to_those_who_have_access(policy: Policy, facts: Said) -> None:
    facts.set(is_restricted=True)
    with pytest.raises(PermitDenied) as caught:
        await policy.require(actor("clinician"), "retrieve", target("study"), "care")
    assert caught.value.reason.startswith("Ask us to stop using something, and it stops at once.")
    assert caught.value.reason.endswith("(§ 9.4)")
    for who, what in ((actor("office"), target("study")), (actor("clinician"), target("study", THERE)),
                      (actor("none"), target("study"))):  # fmt: skip
        with pytest.raises(PermitDenied) as caught:
            await policy.require(who, "retrieve", what, "care")
        assert caught.value.reason == ""


async def test_a_list_is_filtered_at_the_moment_of_its_permit(policy: Policy, facts: Said) -> None:
    who = actor("clinician")
    row: dict[str, str | bool | None] = {"tenant": str(HERE), "subject": None, "is_present": True}
    permit = await policy.require(who, "query", target("organisation"), "diagnosis")
    facts.set(session_alive=False)
    assert (await policy.rows_of(permit)).permits(row)
    assert not (await policy.rows_of(permit)).permits({**row, "tenant": str(THERE)})
    assert (await policy.filter(who, "query", "diagnosis")).is_empty
    assert (await policy.rows_of(replace(permit, moment=None))).is_empty
    facts.set(session_alive=True)
    found = await policy.filter(who, "query", "diagnosis")
    assert found.clauses == ("4.1",)
    assert not found.permits({**row, "is_restricted": True})
    assert found.permits(row)


async def test_an_instruction_that_covers_the_act_stands_in_the_permit(policy: Policy, facts: Said) -> None:
    covers = Instructed(uuid4(), frozenset({"retrieve"}), frozenset({"care"}))
    other = Instructed(uuid4(), frozenset({"erase"}), frozenset({"care"}))
    facts.set(instructions=(covers, other))
    permit = await policy.require(actor("clinician"), "retrieve", target("study"), "care")
    assert permit.grounds == (*permit.clauses, f"instruction:{covers.id}")


def test_what_is_granted_to_a_role_at_all_is_known_without_asking(policy: Policy) -> None:
    assert policy.grants("clinician", "retrieve")
    assert policy.grants("clinician", "open_notice"), "what anybody may"
    assert not policy.grants("peer", "erase")
    assert not policy.grants("stranger", "query")
    assert "emergency_reason" in policy.compiled.claims
