"""The ledger: what happened, append-only, provable, and readable for the person it is about.

Write with `Ledger.append` in the transaction that does the thing; a `Sequencer` gives each entry its place in a Merkle
tree (RFC 6962) and signs the tree's size and root; anybody can check a `Proof` with the log's public key alone.
"""

from troth.ledger.binding import is_bound
from troth.ledger.builder import Acting, Allowed, act, entry
from troth.ledger.clear import NOTHING, Bind, Clear, refs
from troth.ledger.errors import (
    CheckpointBroken,
    EntryRefused,
    EventNotFound,
    Fenced,
    NotSequenced,
    OffsetBeyond,
    ProofBroken,
    RowsAltered,
    TreeBroken,
    UnknownKind,
    WrongScope,
)
from troth.ledger.generation import ORIGIN
from troth.ledger.head import Head, HeadFile
from troth.ledger.kinds import DESTROYING, KINDS, sentence
from troth.ledger.merkle import EMPTY_ROOT
from troth.ledger.model import (
    Arrival,
    Broken,
    Completeness,
    Entry,
    Event,
    Feed,
    Proof,
    Verification,
    verify_inclusion,
)
from troth.ledger.needs import NEEDS
from troth.ledger.note import Checkpoint, open_checkpoint
from troth.ledger.opening import openings
from troth.ledger.registers import REGISTERS
from troth.ledger.rows import AlteredRow, RowsLook
from troth.ledger.sealer import Sealer
from troth.ledger.sequencer import Sequencer
from troth.ledger.service import Ledger
from troth.ledger.tail import HEAD_DIFFERED, Differs

__all__ = [
    "DESTROYING",
    "EMPTY_ROOT",
    "HEAD_DIFFERED",
    "KINDS",
    "NEEDS",
    "NOTHING",
    "ORIGIN",
    "REGISTERS",
    "Acting",
    "Allowed",
    "AlteredRow",
    "Arrival",
    "Bind",
    "Broken",
    "Checkpoint",
    "CheckpointBroken",
    "Clear",
    "Completeness",
    "Differs",
    "Entry",
    "EntryRefused",
    "Event",
    "EventNotFound",
    "Feed",
    "Fenced",
    "Head",
    "HeadFile",
    "Ledger",
    "NotSequenced",
    "OffsetBeyond",
    "Proof",
    "ProofBroken",
    "RowsAltered",
    "RowsLook",
    "Sealer",
    "Sequencer",
    "TreeBroken",
    "UnknownKind",
    "Verification",
    "WrongScope",
    "act",
    "entry",
    "is_bound",
    "open_checkpoint",
    "openings",
    "refs",
    "sentence",
    "verify_inclusion",
]
