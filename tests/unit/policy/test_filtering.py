"""A list shows exactly what decisions allow: SQL and Cedar, row by row, over random worlds.

`TROTH_WORLDS=1000` takes as many; `make test` takes 100 of each kind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.common.servers import ServedDatabase
from troth import notice
from troth.policy import Actor, Column, Columns, FactSet, Filter, Target, decision
from troth.policy.decision import Decider

WORLDS = settings(
    max_examples=int(os.environ.get("TROTH_WORLDS", "100")),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_SPACE = UUID("0d6c3a52-3f4e-4f8e-9a55-2b8e1a6d5c11")
NOTICES = sorted(path.parent for path in Path(__file__).parents[3].joinpath("notices").glob("*/organisations.yaml"))
TENANTS = [uuid5(_SPACE, f"tenant {number}") for number in range(2)]
SUBJECTS = [uuid5(_SPACE, f"subject {number}") for number in range(5)]
OBJECTS, CONSENTS, RESTRICTED, HELD, ASSIGNED = SUBJECTS
PURPOSES = (
    "diagnosis", "care", "own_access", "rights", "emergency", "support", "research", "statistics", "marketing",
    "upkeep", "exchange", "protection", "promotion", "site",
)  # fmt: skip
ROLES = ("clinician", "referrer", "office", "admin", "support", "patient", "peer", "worker", "operator")
KINDS = {"patient": "patient", "peer": "peer", "worker": "system", "operator": "system"}
OBJECTIONS = frozenset(f"objection:{purpose}" for purpose in PURPOSES)
CONSENT = frozenset(f"consent:{purpose}" for purpose in (*PURPOSES, "reuse", "trial"))
COLUMNS: Columns = {
    "is_present": True,
    "tenant": Column("r.tenant", "uuid"),
    "subject": Column("r.subject_id", "uuid", is_nullable=True),
    "is_restricted": Column("r.is_restricted", "bool"),
}


@dataclass(frozen=True)
class Listed:
    """A row of the list."""

    id: UUID
    tenant: UUID
    subject: UUID | None
    is_restricted: bool


def population() -> list[Listed]:
    return [
        Listed(uuid5(_SPACE, f"{tenant} {subject} {restricted}"), tenant, subject, restricted)
        for tenant in TENANTS
        for subject in (*SUBJECTS, None)
        for restricted in (False, True)
    ]


ROWS = population()


class Choices:
    """Facts of rows, as a room that keeps choices would tell them: who objects, consents, is restricted or held."""

    def facts(self, moment: FactSet, subject: UUID | None) -> FactSet:
        claims = {claim for claim in moment.claims if not claim.startswith(("objection:", "consent:"))} - {"assignment"}
        claims |= OBJECTIONS if subject == OBJECTS else CONSENT if subject == CONSENTS else set()
        claims |= {"assignment"} if subject == ASSIGNED else set()
        return FactSet(
            is_member=moment.is_member,
            session_alive=moment.session_alive,
            is_restricted=subject == RESTRICTED,
            is_held=subject == HELD,
            region=moment.region,
            claims=frozenset(claims),
        )

    def column(self, name: str, row: Columns, actor: Actor) -> Column | None:
        subject = row["subject"]
        assert isinstance(subject, Column)
        known = {"context.is_restricted": RESTRICTED, "context.is_held": HELD}
        known |= {f"claim:{claim}": OBJECTS for claim in OBJECTIONS} | {f"claim:{claim}": CONSENTS for claim in CONSENT}
        known["claim:assignment"] = ASSIGNED
        if name in known:
            word = f"who_{SUBJECTS.index(known[name])}"
            return Column(f"({subject.sql} = %({word})s)", "bool", is_nullable=True, parameters={word: known[name]})
        if name.startswith(("claim:objection:", "claim:consent:")):
            return Column("false", "bool")
        return None


@pytest.fixture(scope="module")
def listed(database: ServedDatabase) -> Iterator[psycopg.Connection[Any]]:
    """A table of rows of two organisations behind row-level security, read as the application reads."""
    with psycopg.connect(database.dsn("troth_owner"), autocommit=True) as owner:
        owner.execute(
            "create table listed (tenant uuid not null, id uuid not null, subject_id uuid,"
            " is_restricted boolean not null, primary key (tenant, id))"
        )
        owner.execute("select tenant_table('listed')")
    with psycopg.connect(database.dsn("troth_app"), autocommit=True) as connection:
        for tenant in TENANTS:
            connection.execute("select set_config('app.tenant', %s, false)", (str(tenant),))
            with connection.cursor() as cursor:
                cursor.executemany(
                    "insert into listed values (%s, %s, %s, %s)",
                    [(row.tenant, row.id, row.subject, row.is_restricted) for row in ROWS if row.tenant == tenant],
                )
        yield connection


def kept(connection: psycopg.Connection[Any], tenant: UUID, found: Filter) -> set[UUID]:
    connection.execute("select set_config('app.tenant', %s, false)", (str(tenant),))
    where, parameters = found.where(COLUMNS)
    return {row[0] for row in connection.execute("select r.id from listed r where " + where, parameters)}


actors = st.builds(
    lambda role, tenant, subject: Actor(
        KINDS.get(role, "user"), uuid5(_SPACE, role), tenant, role, subject if role == "patient" else None
    ),
    st.sampled_from(ROLES),
    st.sampled_from([*TENANTS, TENANTS[0], None]),
    st.sampled_from([*SUBJECTS, None]),
)
moments = st.builds(
    FactSet,
    is_member=st.sampled_from([True, True, True, False]),
    session_alive=st.sampled_from([True, True, True, False]),
    region=st.sampled_from(["", "GB", "US"]),
    claims=st.builds(
        frozenset.union,
        st.sampled_from(
            [
                frozenset(),
                frozenset({"instruction:standing_order", "controller:FR", "agreement:dpa"}),
                frozenset({"instruction:standing_order", "controller:US", "agreement:baa"}),
            ]
        ),
        st.frozensets(
            st.sampled_from(
                ["support_grant", "emergency_reason", "duty", "operates_service", "to:GB", "from:FR",
                 "recipient:other_hospitals", "contract:other_hospitals", "category:images", "order_document",
                 "instrument:model_contract", "pinned", "before:care", "before:rights", "channel:email",
                 "governed_by:licensed_products"]
            )
        ),
    ),
)  # fmt: skip


def as_seen(row: Listed, facts: FactSet) -> dict[str, str | bool | None]:
    """A row without SQL: attributes, and the facts of its subject."""
    return {
        "is_present": True,
        "tenant": str(row.tenant),
        "subject": str(row.subject) if row.subject else None,
        "is_restricted": row.is_restricted,
        "context.is_restricted": facts.is_restricted,
        "context.is_held": facts.is_held,
        **{f"claim:{claim}": claim in facts.claims for claim in (*OBJECTIONS, *CONSENT, "assignment")},
    }


def compare(
    connection: psycopg.Connection[Any], decider: Decider, who: Actor, action: str, purpose: str, moment: FactSet
) -> set[UUID]:
    choices = Choices()
    found = decider.filter(who, action, purpose, "study", moment, (choices,))
    allowed: set[UUID] = set()
    for tenant in TENANTS:
        shown = kept(connection, tenant, found)
        rows = [row for row in ROWS if row.tenant == tenant]
        right = set()
        for row in rows:
            target = Target("study", row.id, row.tenant, row.subject, row.is_restricted)
            facts = choices.facts(moment, row.subject)
            if decider.decide(who, action, target, purpose, facts, explain=False).is_allowed:
                right.add(row.id)
            assert found.permits(as_seen(row, facts)) is (row.id in right)
        assert shown == right, (who, action, purpose, moment, found.where(COLUMNS))
        allowed |= right
    if found.is_empty:
        assert not allowed
        assert found.clauses == ()
    return allowed


@pytest.fixture(scope="module")
def deciders() -> list[Decider]:

    return [Decider(notice.compile([notice.load(file) for file in notice.notice_files((path,))])) for path in NOTICES]


@WORLDS
@given(who=actors, moment=moments, purpose=st.sampled_from(PURPOSES), data=st.data())
def test_lists_show_what_the_shipped_notices_allow(
    listed: psycopg.Connection[Any], deciders: list[Decider], who: Actor, moment: FactSet, purpose: str, data: Any
) -> None:
    decider = data.draw(st.sampled_from(deciders))
    action = data.draw(
        st.sampled_from(["query", "retrieve", "copy", "see_log", "erase", "disclose", "restrict", "hold"])
    )
    compare(listed, decider, who, action, purpose, moment)


TEXTS = st.sampled_from([f'"{one}"' for one in (*SUBJECTS, *TENANTS, "no uuid")])
CLAIMS = st.sampled_from(['"objection:care"', '"consent:care"', '"support_grant"', '"emergency_reason"'])
simple = st.one_of(
    st.sampled_from(
        [
            "true", "false", "context.is_member", "context.session_alive", "context.is_restricted", "context.is_held",
            "resource.is_present", "resource.is_restricted", "principal has subject", "principal has tenant",
            "resource has subject", "resource has tenant", "resource has request", "resource has is_restricted",
            "context has claims", "context has purpose", "principal.subject == resource.subject",
            "principal.tenant == resource.tenant", "resource.tenant == principal.tenant",
            "principal.tenant != resource.tenant", 'principal.role == "clinician"', 'principal.kind != "system"',
            'context.purpose == "care"', "resource is Study", "resource is Subject", "principal is Actor",
            'action in [Action::"query", Action::"copy"]', 'action == Action::"query"',
            'resource.request == "r"', 'principal.role == true', "resource.is_restricted == context.is_held",
            'context.region == "GB"', 'context.region == 1', "resource.subject == true",
            '["clinician", "peer"].contains(principal.role)', '["a", "b"].containsAny(["b"])',
            '["a"].containsAll(["b"])',
        ]
    ),
    TEXTS.map(lambda text: f"resource.subject == {text}"),
    TEXTS.map(lambda text: f"resource.subject != {text}"),
    st.lists(TEXTS, min_size=1, max_size=3).map(lambda texts: f"[{', '.join(texts)}].contains(resource.subject)"),
    CLAIMS.map(lambda claim: f"context.claims.contains({claim})"),
    st.lists(CLAIMS, min_size=1, max_size=3).map(lambda claims: f"context.claims.containsAny([{', '.join(claims)}])"),
    st.lists(CLAIMS, min_size=1, max_size=3).map(lambda claims: f"context.claims.containsAll([{', '.join(claims)}])"),
)  # fmt: skip
expressions = st.recursive(
    simple,
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, inner).map(lambda two: f"(({two[0]}) && ({two[1]}))"),
        st.tuples(inner, inner).map(lambda two: f"(({two[0]}) || ({two[1]}))"),
        st.tuples(inner, inner, inner).map(lambda three: f"(if {three[0]} then {three[1]} else {three[2]})"),
    ),
    max_leaves=8,
)


@st.composite
def policies(draw: st.DrawFn) -> notice.Policy:
    effect: Any = draw(st.sampled_from(["permit", "permit", "forbid"]))
    scope = draw(st.sampled_from(["action", 'action == Action::"query"', 'action in [Action::"query"]',
                                  'action == Action::"erase"']))  # fmt: skip
    when = f"when {{ {draw(expressions)} }}"
    unless = f" unless {{ {draw(expressions)} }}" if draw(st.booleans()) else ""
    return notice.Policy("1.1", f"{effect} (principal, {scope}, resource) {when}{unless};", effect)


@WORLDS
@given(
    who=actors, moment=moments, purpose=st.sampled_from(PURPOSES[:3]), made=st.lists(policies(), min_size=1, max_size=5)
)
def test_lists_show_what_any_policies_allow(
    listed: psycopg.Connection[Any], who: Actor, moment: FactSet, purpose: str, made: list[notice.Policy]
) -> None:
    decider = Decider(notice.Compiled(tuple(made), "", "random 1"))
    compare(listed, decider, who, "query", purpose, moment)


def remaining(text: str, kind: str = "study") -> Filter:
    """What remains of one policy beside an open door."""
    effect: Any = "forbid" if text.startswith("forbid") else "permit"
    made = [notice.Policy("1.1", text, effect)]
    if effect == "forbid":
        made.append(notice.Policy("1.2", "permit (principal, action, resource);", "permit"))
    who = Actor("user", uuid5(_SPACE, "who"), TENANTS[0], "clinician")
    return Decider(notice.Compiled(tuple(made), "", "one 1")).filter(who, "query", "care", kind, FactSet(region="GB"))


@pytest.mark.parametrize(
    "text",
    [
        "resource.subject like \"a*\"", "1 < 2", "[resource.subject].contains(\"a\")", "resource == principal",
        "resource.mood is Study", "resource in Study::\"1\"", "principal has tenant.x",
        "context.purpose in Action::\"query\"",
        "resource.subject == resource.tenant", "context.claims.contains(resource.subject)", "context.claims == [\"a\"]",
        "principal.mood", "[principal.mood].contains(\"a\")", "[\"a\"].contains(principal.mood)", "context.purpose",
        "principal.mood is Actor", "principal.mood == \"a\"", "(principal.mood) has x", "resource.subject",
    ],
)  # fmt: skip
def test_what_is_not_understood_or_fails_shows_nothing(text: str) -> None:
    for effect in ("permit", "forbid"):
        found = remaining(f"{effect} (principal, action, resource) when {{ {text} }};")
        assert found.is_empty, found
        assert found.where(COLUMNS) == ("false", {})


def test_a_scope_on_somebody_in_particular_is_not_understood() -> None:
    assert remaining('permit (principal == Actor::"x", action, resource);').is_empty
    assert remaining('permit (principal, action, resource == Study::"x");').is_empty


def test_what_is_known_is_settled() -> None:
    for text, is_empty in (
        ("principal is Actor && resource is Study", False),
        ("resource is Subject", True),
        ("principal is Study", True),
        ('if context.region == "GB" then true else false', False),
        ("(resource is Study) == true", False),
        ('("a" == true) || resource is Study', False),
        ("context has region && context has is_held && context has claims", False),
        ("resource has is_present", False),
        ('action in Action::"query"', False),
        ("context has weather", True),
        ("resource.subject == true", True),
        ("true == resource.subject", True),
        ("context.region == true", True),
        ('["a", "b"].containsAny(["b"])', False),
        ('["a", "b"].containsAll(["b", "c"])', True),
    ):
        assert remaining(f"permit (principal, action, resource) when {{ {text} }};").is_empty is is_empty, text


def test_a_sealed_fact_never_shows_a_row() -> None:
    class Sealed:
        def column(self, name: str, row: Columns, actor: Actor) -> Column | None:
            return Column("r.may", "bool", is_sealed=True) if name.startswith("claim:age:") else None

    text = 'permit (principal, action, resource) when { context.claims.contains("age:child") || resource has subject };'
    found = remaining(text)
    sealed = Filter(found.condition, found.clauses, found.facts, (Sealed(),))
    assert sealed.where(COLUMNS)[0] == "(r.subject_id is not null)"
    forbidding = remaining('forbid (principal, action, resource) when { context.claims.contains("age:child") };')
    sealed = Filter(forbidding.condition, forbidding.clauses, forbidding.facts, (Sealed(),))
    assert sealed.where(COLUMNS)[0] == "not r.may"
    joined = remaining(
        'permit (principal, action, resource) when { resource.is_restricted && (context.claims.contains("age:child")'
        " || resource has subject) };"
    )
    sealed = Filter(joined.condition, joined.clauses, joined.facts, (Sealed(),))
    assert "r.may" not in sealed.where(COLUMNS)[0]


def test_only_leakproof_comparisons(listed: psycopg.Connection[Any]) -> None:
    rows = listed.execute(
        "select o.oprname, p.proleakproof from pg_operator o join pg_proc p on p.oid = o.oprcode where o.oprname = '='"
        " and o.oprleft = o.oprright and o.oprleft in ('uuid'::regtype, 'text'::regtype, 'bool'::regtype)"
    ).fetchall()
    assert rows == [("=", True)] * 3


def test_texts_and_flags_that_all_rows_share() -> None:
    found = remaining('permit (principal, action, resource) when { ["a", "b"].contains(resource.subject) };')
    where, parameters = found.where({"subject": Column("r.word", "text")})
    assert where == "(r.word = any(%(filter_0)s))"
    assert parameters == {"filter_0": ["a", "b"]}
    assert found.where({"subject": Column("r.id", "uuid")}) == ("false", {})
    flag = remaining("permit (principal, action, resource) when { resource.is_restricted };")
    assert flag.where({"is_restricted": Column("r.flag", "bool", is_nullable=True)})[0] == "(r.flag is true)"
    assert flag.where({})[0] == "false"
    assert flag.where({"is_restricted": True})[0] == "true"


def test_a_condition_is_made_once_for_the_same_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision, "_MOST_FILTERS", 1)
    decider = Decider(
        notice.Compiled((notice.Policy("1.2", "permit (principal, action, resource);", "permit"),), "", "1")
    )
    who = Actor("user", uuid5(_SPACE, "who"), TENANTS[0], "clinician")
    other = replace(who, role="office")
    first = decider.filter(who, "query", "care", "study", FactSet(region="GB"))
    assert decider.filter(who, "query", "care", "study", FactSet(region="GB")) is first
    assert decider.filter(other, "query", "care", "study", FactSet(region="GB")) is not first
    assert decider.filter(who, "query", "care", "study", FactSet(region="GB")) is not first  # forgotten meanwhile
    assert decider.filter(who, "query", "care", "study", FactSet(region="FR")).facts.region == "FR"
