"""What an entry of a kind has to say in the clear, so that a look over all entries can compute what was promised."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from troth.ledger.clear import Clear


class Needs(NamedTuple):
    """Names that must be there.

    Attributes:
        refs: Nouns of things that are meant.
        says: Words.
        dates: Clocks.
    """

    refs: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()


_DISCLOSURE = Needs(refs=("disclosure", "recipient"))

NEEDS: Mapping[str, Needs] = MappingProxyType(
    {
        "people:session:started": Needs(refs=("session",), says=("proof",)),
        "people:session:ended": Needs(refs=("session",)),
        "people:organisation:added": Needs(refs=("organisation",)),
        "people:level:changed": Needs(says=("level",)),
        "people:member:joined": Needs(refs=("account",), says=("role",)),
        "people:member:changed": Needs(refs=("account",), says=("role", "before")),
        "people:member:ended": Needs(refs=("account",)),
        "people:token:issued": Needs(refs=("token",), says=("role", "purpose"), dates=("until",)),
        "people:token:ended": Needs(refs=("token",)),
        "people:peer:added": Needs(refs=("peer",)),
        "people:peer:changed": Needs(refs=("peer",)),
        "people:peer:ended": Needs(refs=("peer",)),
        "people:association:opened": Needs(refs=("peer",)),
        "people:invitation:made": Needs(refs=("invitation",)),
        "people:invitation:used": Needs(refs=("invitation",)),
        "people:invitation:withdrawn": Needs(refs=("invitation",)),
        "people:subject:matched": Needs(refs=("account", "invitation")),
        "people:match:failed": Needs(refs=("invitation",)),
        "people:terms:accepted": Needs(refs=("account", "version"), says=("accepts",)),
        "people:staff:linked": Needs(refs=("account",)),
        "people:staff:ended": Needs(refs=("contact", "list"), says=("source",)),
        "people:consent:recorded": Needs(refs=("choice", "version"), says=("key", "state")),
        "people:channel:chosen": Needs(refs=("choice", "version"), says=("key", "state")),
        "people:objection:queued": Needs(refs=("choice", "version"), says=("key", "state")),
        "people:objection:decided": Needs(refs=("choice", "version"), says=("key", "state")),
        "people:version:answered": Needs(refs=("choice", "version"), says=("key", "state")),
        "people:restriction:set": Needs(refs=("restriction",), says=("state",)),
        "people:assignment:made": Needs(refs=("assignment", "account"), says=("way",), dates=("until",)),
        "people:assignment:ended": Needs(refs=("assignment", "account")),
        "people:emergency:claimed": Needs(refs=("assignment", "account"), dates=("until",)),
        "people:emergency:reviewed": Needs(refs=("assignment", "account")),
        "people:subjects:merged": Needs(refs=("merge",), says=("state", "way")),
        "people:subjects:unmerged": Needs(refs=("merge",), says=("state", "way")),
        "people:rule:stated": Needs(refs=("rule",)),
        "people:rule:ended": Needs(refs=("rule",)),
        "people:proposal:queued": Needs(refs=("proposal",), says=("key",)),
        "people:proposal:decided": Needs(refs=("proposal",), says=("key", "state")),
        "people:account:closed": Needs(refs=("account",)),
        "people:list:offered": Needs(refs=("list",), says=("source",)),
        "people:list:agreed": Needs(refs=("list",), says=("source",)),
        "people:list:dropped": Needs(refs=("list",), says=("source",)),
        "people:list:taken": Needs(refs=("list",), says=("source",)),
        "people:contact:told": Needs(refs=("contact", "source"), says=("source",)),
        "lifecycle:hold:placed": Needs(refs=("hold",), says=("scope",), dates=("review_on",)),
        "lifecycle:hold:released": Needs(refs=("hold",), says=("scope",)),
        "lifecycle:disposal:agreed": Needs(refs=("disposal",)),
        "lifecycle:disposal:done": Needs(refs=("disposal",)),
        "lifecycle:contact:disposed": Needs(refs=("disposal", "contact"), says=("ground", "activity"), dates=("due",)),
        "rights:request:opened": Needs(refs=("request",), says=("right",), dates=("due", "acknowledge_by")),
        "rights:request:acknowledged": Needs(refs=("request",), says=("right",), dates=("due",)),
        "rights:request:decided": Needs(refs=("request",), says=("right",)),
        "rights:request:closed": Needs(refs=("request",), says=("right", "state")),
        "rights:copy:made": Needs(refs=("request",)),
        "rights:copy:collected": Needs(refs=("request",)),
        "rights:copy:erased": Needs(refs=("request",)),
        "exchange:register:changed": Needs(says=("register", "state")),
        "exchange:instruction:given": Needs(refs=("instruction",), says=("key",), dates=("valid_from",)),
        "exchange:instruction:revoked": Needs(refs=("instruction",)),
        "exchange:transfer:invalidated": Needs(refs=("instrument",)),
        "exchange:order:reviewed": Needs(refs=("order",)),
        "exchange:disclosure:recorded": _DISCLOSURE._replace(says=("category", "country")),
        "exchange:disclosure:left": _DISCLOSURE,
        "exchange:disclosure:failed": _DISCLOSURE,
        "exchange:disclosure:refused": Needs(says=("category", "reason")),
        "exchange:document:asked": Needs(refs=("document", "instrument", "request")),
        "exchange:document:sent": Needs(refs=("document", "instrument", "request")),
        "notice:version:proposed": Needs(refs=("proposal",), says=("notice",), dates=("effective_on",)),
        "notice:version:withdrawn": Needs(refs=("proposal",), says=("notice",)),
        "notice:version:published": Needs(refs=("version",), says=("notice", "sha256"), dates=("effective_on",)),
        "outreach:amendment:mailed": Needs(refs=("version", "account")),
        "outreach:amendment:told": Needs(refs=("version",)),
        "ledger:head:differed": Needs(says=("state",)),
        "ledger:generation:opened": Needs(says=("origin", "before", "root")),
        "proofs:run:ended": Needs(refs=("run",), says=("sha256",)),
        "proofs:clause:broken": Needs(refs=("breach",)),
        "proofs:clause:mended": Needs(refs=("breach",)),
        "proofs:breach:explained": Needs(refs=("breach",)),
        "proofs:breach:returned": Needs(refs=("breach",)),
        "proofs:breach:answered": Needs(refs=("breach",)),
        "main:node:started": Needs(refs=("node",), says=("region", "program", "schema")),
        "archive:instances:stored": Needs(says=("way",)),
    }
)
"""By kind; a kind that is not here needs nothing. Entries of version 1 were written before there were any."""


def lacking(kind: str, clear: Clear) -> list[str]:
    """Names of what an entry of a kind has to say and does not."""
    needs = NEEDS.get(kind)
    if needs is None:
        return []
    nouns = {noun for noun, _ in clear.refs}
    return [
        *(f"ref {noun}" for noun in needs.refs if noun not in nouns),
        *(word for word in needs.says if word not in clear.says),
        *(name for name in needs.dates if name not in clear.dates),
    ]
