"""Whether two accounts are two people as far as the platform can tell: nobody alone let in both. Pure.

An account has one or more ways in, each the set of accounts that had to agree to it. Whoever holds all of a way holds
the account: they could have given the address of a mailbox of their own. What rests on the mailboxes themselves (two
of them in one hand, whoever runs the mail server) cannot be seen from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

Ways = Mapping[UUID, Iterable[frozenset[UUID]]]
"""Each account with its ways in. An account without one, or with an empty one, was there at the founding."""


def independent(ways: Ways, one: UUID, other: UUID) -> bool:
    """Whether two accounts are different and no single account lets itself into both.

    Args:
        ways: Of everybody in the organisation.
        one: An account.
        other: Another.
    """
    if one == other:
        return False
    above = _above(ways, one) & _above(ways, other)
    return not any({one, other} <= controlled_by(ways, each) for each in {one, other, *above})


def controlled_by(ways: Ways, account: UUID) -> frozenset[UUID]:
    """The accounts that one account could have let itself into, itself included: to the fixpoint."""
    held = {account}
    while more := {
        each for each, those in ways.items() if each not in held and any(way and way <= held for way in those)
    }:
        held |= more
    return frozenset(held)


def _above(ways: Ways, account: UUID) -> frozenset[UUID]:
    """Every account that had a part in some way to an account, and in the ways to those."""
    found: set[UUID] = set()
    waiting = [account]
    while waiting:
        for way in ways.get(waiting.pop(), ()):
            fresh = way - found
            found |= fresh
            waiting += fresh
    return frozenset(found)
