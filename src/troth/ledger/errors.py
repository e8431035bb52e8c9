"""What can go wrong in the ledger."""

from __future__ import annotations

from troth.kit.errors import BadInput, Conflict, NotFound, TrothError


class EntryRefused(TrothError):
    """An entry that must not be written: an unknown kind, text that could be personal in the clear part, no key."""

    slug = "ledger-entry-refused"
    title = "This cannot be written to the ledger"


class UnknownKind(EntryRefused):
    """The kind is not in the closed vocabulary."""


class WrongScope(EntryRefused):
    """The entry is of another tenant than the transaction."""


class EventNotFound(NotFound):
    """There is no such event in this scope."""

    slug = "event-not-found"


class RowsAltered(TrothError):
    """Rows that bar or name are not what the ledger says: nothing that cannot be undone is done on their word."""

    slug = "rows-altered"
    title = "Something was changed past the platform, so nothing is done that cannot be undone"


class NotSequenced(Conflict):
    """The event is written, but has no place in the tree yet; that takes half a second."""

    slug = "event-not-sequenced"
    title = "This event has no place in the ledger's tree yet"


class OffsetBeyond(BadInput):
    """Somebody follows from a place that the ledger has not reached: it is not the ledger that gave the offset."""

    slug = "offset-beyond"
    title = "The ledger has not come to this offset"


class CheckpointBroken(TrothError):
    """A checkpoint cannot be read, is of another log or is not signed by its key."""

    slug = "checkpoint-broken"
    title = "The checkpoint does not hold"


class ProofBroken(TrothError):
    """A proof does not lead from the leaf to the signed root."""

    slug = "proof-broken"
    title = "The proof does not hold"


class TreeBroken(TrothError):
    """The stored tree is not the one that was signed; the ledger must not be extended."""

    slug = "ledger-broken"
    title = "The ledger's tree is not the one that was signed"


class Fenced(TrothError):
    """Another sequencer took over."""

    slug = "sequencer-fenced"
    title = "Another sequencer took over"
