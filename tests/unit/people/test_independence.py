"""Whether two accounts are two people: the closure over who let whom in."""

from __future__ import annotations

import random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from troth.people.independence import Ways, controlled_by, independent

A, B, C, D, E, F = (UUID(int=number) for number in range(1, 7))


def way(*accounts: UUID) -> list[frozenset[UUID]]:
    return [frozenset(accounts)]


def test_the_founding_pair_is_two_and_nobody_is_two_with_themselves() -> None:
    assert independent({}, A, B)
    assert independent({A: [frozenset()], B: []}, A, B)
    assert not independent({}, A, A)


def test_who_was_let_in_by_the_other_is_no_second_person_however_far() -> None:
    ways = {B: way(A), C: way(B)}
    assert controlled_by(ways, A) == {A, B, C}
    assert not independent(ways, A, B)
    assert not independent(ways, C, A)
    assert not independent(ways, C, B)


def test_who_let_in_both_holds_both() -> None:
    ways = {B: way(A), C: way(A)}
    assert not independent(ways, B, C)
    assert independent({B: way(A), C: way(D)}, B, C)


def test_what_two_agreed_to_nobody_holds_alone() -> None:
    ways = {C: way(A, B), D: way(A, B)}
    assert independent(ways, C, D)
    assert independent(ways, A, C)


def test_two_puppets_of_one_are_no_two_for_a_third() -> None:
    ways = {B: way(A), C: way(A, B), D: way(E, F)}
    assert controlled_by(ways, A) == {A, B, C}
    assert not independent(ways, C, A)
    assert independent(ways, C, D)


def test_one_more_way_in_by_one_alone_opens_what_two_had_agreed_to() -> None:
    assert independent({C: way(A, B)}, A, C)
    assert not independent({C: [*way(A, B), *way(A)]}, A, C)


@given(st.randoms(use_true_random=False))
def test_it_is_what_the_definition_says(chance: random.Random) -> None:
    accounts = [UUID(int=number) for number in range(1, 9)]
    ways: Ways = {
        each: [frozenset(chance.sample(accounts, chance.randint(0, 3))) for _ in range(chance.randint(0, 2))]
        for each in accounts
    }
    for one in accounts:
        for other in accounts:
            plain = one != other and not any({one, other} <= controlled_by(ways, each) for each in accounts)
            assert independent(ways, one, other) is plain
