"""The shipped notice as policies, people of two organisations, and facts that a test sets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from troth import notice
from troth.policy import Actor, FactSet, Policy, Target

HERE, THERE = uuid4(), uuid4()
SUBJECT = uuid4()
KINDS = {"patient": "patient", "peer": "peer", "worker": "system", "operator": "system", "none": "anonymous"}
GOOD = FactSet(is_member=True, session_alive=True)


@dataclass
class Said:
    """Facts that a test sets."""

    facts: FactSet = GOOD

    async def about(self, actor: Actor, target: Target) -> FactSet:
        return self.facts

    def set(self, **changes: Any) -> None:
        self.facts = replace(self.facts, **changes)


@dataclass
class Refusals:
    """What was told about refusals."""

    told: list[tuple[Actor, str, Target, str, tuple[str, ...]]] = field(default_factory=list)

    async def __call__(self, *refusal: Any) -> None:
        self.told.append(refusal)


def actor(role: str, tenant: UUID | None = HERE) -> Actor:
    kind: Any = KINDS.get(role, "user")
    subject = SUBJECT if role == "patient" else None
    return Actor(kind, None if role == "none" else uuid4(), None if role == "none" else tenant, role, subject)


def target(kind: str, tenant: UUID | None = HERE, subject: UUID | None = SUBJECT, **further: Any) -> Target:
    if kind in ("platform", "notice"):
        return Target(kind)
    if kind in ("organisation", "ledger"):
        return Target(kind, tenant, tenant)
    return Target(kind, uuid4(), tenant, subject, **further)


@pytest.fixture(scope="session")
def shipped() -> notice.Notice:
    return notice.load(Path(__file__).parents[3] / "notices" / "imaging-cloud")


@pytest.fixture(scope="session")
def compiled(shipped: notice.Notice) -> notice.Compiled:
    return notice.compile([shipped])


@pytest.fixture
def facts() -> Said:
    return Said()


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


@pytest.fixture
def policy(compiled: notice.Compiled, facts: Said, refusals: Refusals) -> Policy:
    return Policy(compiled, facts, refusals)
