"""How a promise stands, from what its looks found."""

from __future__ import annotations

import pytest

from troth.proofs import Finding, Standing, Verdict
from troth.proofs.service import judge

HOLDS = Finding("one", Verdict.HOLDS, "all fit", 3, 3)
BROKEN = Finding("two", Verdict.BROKEN, "one does not fit", 2, 3)
IDLE = Finding("three", Verdict.IDLE, "nothing happened yet")
BLIND = Finding("four", Verdict.BLIND, "it cannot be read")


@pytest.mark.parametrize(
    ("findings", "standing", "said", "is_blind"),
    [
        ((HOLDS, BROKEN, BLIND), Standing.BROKEN, "one does not fit", False),
        ((HOLDS, BLIND, IDLE), Standing.UNPROVEN, "it cannot be read", True),
        ((HOLDS, IDLE), Standing.UNPROVEN, "nothing happened yet", False),
        ((HOLDS,), Standing.KEPT, "all fit", False),
        ((IDLE,), Standing.UNPROVEN, "nothing happened yet", False),
        ((), Standing.UNPROVEN, "nothing computes yet", False),
    ],
)
def test_broken_outweighs_blind_blind_what_waits_and_that_kept(
    findings: tuple[Finding, ...], standing: Standing, said: str, is_blind: bool
) -> None:
    found, reason, blind = judge(True, findings)
    assert (found, blind) == (standing, is_blind)
    assert said in reason


def test_what_is_not_possible_is_not_kept_whatever_a_look_found() -> None:
    standing, reason, _ = judge(True, [HOLDS], lacks=["nobody can ask for this here"])
    assert standing is Standing.NOT_POSSIBLE
    assert reason == "we promise this and cannot do it yet: nobody can ask for this here"
    assert judge(True, [BROKEN], lacks=["nobody"])[0] is Standing.BROKEN


def test_a_statement_is_neither_kept_nor_unproven_and_breaks_as_any_other() -> None:
    assert judge(True, [], is_statement=True)[0] is Standing.STATED
    assert judge(True, [BROKEN], is_statement=True)[0] is Standing.BROKEN


def test_nothing_is_kept_on_a_ledger_that_was_altered() -> None:
    standing, _, is_blind = judge(False, [HOLDS])
    assert (standing, is_blind) == (Standing.UNPROVEN, True)
