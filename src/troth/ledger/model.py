"""What the ledger holds and answers: entries, events, proofs, verdicts. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from troth.ledger import kinds, needs
from troth.ledger.clear import NOTHING, Clear
from troth.ledger.errors import EntryRefused, ProofBroken
from troth.ledger.merkle import leaf_hash, proves_inclusion
from troth.ledger.note import Checkpoint, open_checkpoint

Outcome = Literal["done", "refused", "failed"]

OUTCOMES = ("done", "refused", "failed")
PLATFORM = UUID(int=0)  # stands for "no tenant" in the tables, so that keys and row-level security need no null

# The clear part takes words and numbers of clauses only: no blank, no @, so no name, no address.
_WORD = re.compile(r"[A-Za-z0-9_.:/#-]{0,64}")
_NOTICE = re.compile(r"[a-z0-9_.+@-]{0,1024}")  # of the label that the policy gives, never typed by anybody
_COUNT_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST_WORDS = 64  # clauses, and counts: a leaf stays below the 65,535 bytes of a C2SP entry bundle
_LARGEST_COUNT = 2**53 - 1  # RFC 8785 3.2.2.3: integers beyond are not the same everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened, to be written.

    Attributes:
        kind: One of `kinds.KINDS`.
        tenant: The organisation in whose space it happened; None on the platform.
        actor_id: Our id of who acted; None for anonymous.
        actor_kind: `user`, `patient`, `peer`, `system` or `anonymous`.
        role: Access role of the actor.
        subject_id: Whose life it touches, our random id.
        study_id: Our id of the study it is about.
        key: Reference to the key that seals the payload: the subject's audit key, else the tenant's.
        payload: The personal part (names, descriptions, UIDs), JSON; sealed.
        purpose: Purpose, as the notice names it.
        clauses: Ids of the clauses that allowed or forbade it, such as ("4.1",).
        decision_id: Id of the policy decision.
        outcome: `done`, `refused` or `failed`.
        counts: Numbers, in the clear; nothing personal.
        notice: The versions of the notices that decided, such as `imaging-cloud@3`.
        action: What was allowed, or refused: a word of the notice's vocabulary.
        via: The surface that it came in by, such as `dicomweb`.
        session: The sign-in or token that stands behind the actor.
        clear: What else it says in the clear: what is meant, words, clocks, further people, bound rows.

    Raises:
        UnknownKind: The kind is not in the vocabulary.
        EntryRefused: The clear part holds free text or lacks what its kind has to say, or a payload has no key.
    """

    kind: str
    tenant: UUID | None
    actor_id: UUID | None = None
    actor_kind: str = "system"
    role: str = "none"
    subject_id: UUID | None = None
    study_id: UUID | None = None
    key: bytes | None = field(default=None, repr=False)
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)
    purpose: str = ""
    clauses: tuple[str, ...] = ()
    decision_id: UUID | None = None
    outcome: str = "done"
    counts: Mapping[str, int] = field(default_factory=dict)
    notice: str = ""
    action: str = ""
    via: str = ""
    session: UUID | None = None
    clear: Clear = NOTHING

    def __post_init__(self) -> None:
        kinds.require(self.kind)
        if self.outcome not in OUTCOMES:
            raise EntryRefused("the outcome is done, refused or failed")
        for name, words in _words(self).items():
            if not all(_WORD.fullmatch(word) for word in words):
                raise EntryRefused(f"{name} must be short words without blanks: nothing personal is in the clear")
        if not _NOTICE.fullmatch(self.notice):
            raise EntryRefused("a notice is its name and version, such as imaging-cloud@3")
        if len(self.clauses) > _MOST_WORDS or len(self.counts) > _MOST_WORDS:
            raise EntryRefused(f"at most {_MOST_WORDS} clauses and counts")
        for name, count in self.counts.items():
            if not _COUNT_NAME.fullmatch(name) or type(count) is not int or abs(count) > _LARGEST_COUNT:
                raise EntryRefused("counts are whole numbers with short lower-case names")
        if self.payload and self.key is None:
            raise EntryRefused("a payload needs the key that seals it")
        if lacking := needs.lacking(self.kind, self.clear):
            raise EntryRefused(f"{self.kind} has to say its {', '.join(lacking)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An entry as it is held, with its place in the tree.

    Attributes:
        payload: The personal part; None where there was none, where it was not asked for, or where it cannot be opened.
        is_shredded: The key was destroyed: nobody can open the payload any more.
        is_damaged: The key lives, but the sealed bytes do not open; `verify` names what was changed.
        index: Number in the ledger, from 0; None until it is sequenced (half a second).
        subject_seq: Number among the events of the same subject, from 1.
        checkpoint_size: Size of the first signed checkpoint that covers it.
        notice: As in `Entry`; empty in entries of version 1, as are `action`, `via`, `session` and `clear`.
        salt: What the payload was committed to with; see `opening.openings`. None where the payload is.
        leaf_version: Version of the leaf: 1 for what was written before there was a clear part and a code (MAC).
    """

    id: UUID
    tenant: UUID | None
    at: datetime
    kind: str
    actor_id: UUID | None
    actor_kind: str
    role: str
    subject_id: UUID | None
    study_id: UUID | None
    purpose: str
    clauses: tuple[str, ...]
    decision_id: UUID | None
    outcome: str
    counts: Mapping[str, int]
    payload: Mapping[str, Any] | None = field(default=None, repr=False)
    is_shredded: bool = False
    is_damaged: bool = False
    index: int | None = None
    subject_seq: int | None = None
    checkpoint_size: int | None = None
    notice: str = ""
    action: str = ""
    via: str = ""
    session: UUID | None = None
    clear: Clear = NOTHING
    salt: bytes | None = field(default=None, repr=False)
    leaf_version: int = 1

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        return kinds.sentence(self.kind)


@dataclass(frozen=True, slots=True)
class Proof:
    """That one event is in the ledger whose checkpoint was signed. Holds nothing personal.

    Attributes:
        leaf: Canonical bytes of the leaf.
        index: Number of the leaf.
        path: Hashes from the leaf's sibling to the child of the root.
        checkpoint: The signed checkpoint that it leads to.
    """

    event_id: UUID
    leaf: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    @property
    def size(self) -> int:
        """Leaves of the tree that the proof is for."""
        return self.checkpoint.size

    @property
    def leaf_hash(self) -> bytes:
        """Hash of the leaf, 32 bytes (RFC 6962 2.1)."""
        return leaf_hash(self.leaf)

    @property
    def text(self) -> str:
        """The proof in the form of C2SP tlog-proof, with the leaf as its extra line."""
        lines = ["c2sp.org/tlog-proof@v1", f"extra {b64encode(self.leaf).decode()}", f"index {self.index}"]
        return "\n".join([*lines, *(b64encode(hashed).decode() for hashed in self.path), "", self.checkpoint.note])


def verify_inclusion(proof: Proof, verifier_key: str) -> None:
    """Check a proof with nothing but the log's public key.

    Args:
        proof: The proof.
        verifier_key: The log's key as `Ledger.verifier_key` gives it.

    Raises:
        CheckpointBroken: The checkpoint is not signed by this key.
        ProofBroken: The path does not lead from the leaf to the signed root.
    """
    checkpoint = open_checkpoint(proof.checkpoint.note, verifier_key)
    if not proves_inclusion(leaf_hash(proof.leaf), proof.index, checkpoint.size, proof.path, checkpoint.root):
        raise ProofBroken


@dataclass(frozen=True, slots=True)
class Broken:
    """One thing that is not as it was signed.

    Attributes:
        index: Number of the leaf, where it has one.
        event_id: The event, where it is known.
        what: What is wrong, such as ``changed: purpose``.
    """

    index: int | None
    event_id: UUID | None
    what: str


@dataclass(frozen=True, slots=True)
class Completeness:
    """Whether a subject's access list is all there is.

    Attributes:
        shown: Entries in the list.
        held: Entries that the ledger counted for the subject, and those written in the last moments.
        pending: How many of them have no place in the tree yet.
        head: Hash of the subject's last leaf; None before the first. Whoever keeps it can tell later that nothing went.
        broken: What does not fit.
        subject_id: Whose list it is; of several together, of the first.
        parts: The lists that it is made of, where several subjects are one human being.
    """

    shown: int
    held: int
    pending: int
    head: bytes | None
    broken: tuple[Broken, ...] = ()
    subject_id: UUID | None = None
    parts: tuple[Completeness, ...] = ()

    @classmethod
    def together(cls, parts: Sequence[Completeness]) -> Completeness:
        """Several lists as one; each is complete by itself, or the whole is not."""
        return cls(
            shown=sum(part.shown for part in parts),
            held=sum(part.held for part in parts),
            pending=sum(part.pending for part in parts),
            head=parts[0].head,
            broken=tuple(broken for part in parts for broken in part.broken),
            subject_id=parts[0].subject_id,
            parts=tuple(parts),
        )

    @property
    def counts(self) -> list[tuple[UUID, int, bytes]]:
        """Subject, number of leaves and hash of the last one, of each list that has any."""
        return [
            (part.subject_id, part.held - part.pending, part.head)
            for part in self.parts or (self,)
            if part.subject_id is not None and part.head is not None
        ]

    @property
    def is_complete(self) -> bool:
        """Everything held is shown, unchanged and in an unbroken chain."""
        return self.shown == self.held and not self.broken and all(part.is_complete for part in self.parts)


@dataclass(frozen=True, slots=True)
class Arrival:
    """That something of a kind has its place in the tree, and whoever follows can read it.

    Attributes:
        tenant: In whose space; None on the platform.
    """

    tenant: UUID | None
    kind: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A stretch of the change feed.

    Attributes:
        events: Events of the kinds asked for, in the order of the ledger, payloads unopened.
        offset: What to give as `after` next time; grows even where no event fitted.
        is_at_end: Nothing further is sequenced yet.
    """

    events: tuple[Event, ...]
    offset: int
    is_at_end: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """Verdict over the whole ledger.

    Attributes:
        size: Leaves found.
        root: Root recomputed from the rows.
        checkpoints: Signed checkpoints whose root was compared.
        signatures: How many of their signatures were checked.
        pending: Entries that wait for their place in the tree.
        broken: What is wrong, the first ones (see `is_cut`).
        is_cut: There was more than `broken` holds.
    """

    size: int
    root: bytes
    checkpoints: int
    signatures: int
    pending: int
    broken: tuple[Broken, ...]
    is_cut: bool = False

    @property
    def is_sound(self) -> bool:
        """Nothing was found."""
        return not self.broken


def _words(entry: Entry) -> dict[str, tuple[str, ...]]:
    return {
        "actor_kind": (entry.actor_kind,),
        "role": (entry.role,),
        "purpose": (entry.purpose,),
        "action": (entry.action,),
        "via": (entry.via,),
        "clauses": entry.clauses,
    }
