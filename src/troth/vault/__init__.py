"""Keys that can be destroyed for good, and the sealed objects that die with them.

`Keyring` holds a tree of keys (root → tenant → subject → study, the subject's audit key beside it) in slots that are
overwritten in place. `Packs` holds sealed objects in append-only files. Lowest room: it knows no business words.
"""

from troth.vault import escrow, journal
from troth.vault.copying import CopiedPack, copy_packs, copy_sparse
from troth.vault.errors import (
    KeyDestroyed,
    KeyLost,
    KeyringDamaged,
    KeyringMissing,
    KeyringUnsafe,
    ObjectMissing,
    PackFault,
    RecoveryRefused,
    SealBroken,
)
from troth.vault.keyring import Keyring
from troth.vault.leftovers import Freed, KeyCensus, Named, free_unnamed, quiet_packs
from troth.vault.model import KeyRef, PackSize, SealedObject
from troth.vault.packs import ObjectWriter, Packs
from troth.vault.segments import SEGMENT_BYTES
from troth.vault.tickets import text_of, ticket_of

__all__ = [
    "SEGMENT_BYTES",
    "CopiedPack",
    "Freed",
    "KeyCensus",
    "KeyDestroyed",
    "KeyLost",
    "KeyRef",
    "Keyring",
    "KeyringDamaged",
    "KeyringMissing",
    "KeyringUnsafe",
    "Named",
    "ObjectMissing",
    "ObjectWriter",
    "PackFault",
    "PackSize",
    "Packs",
    "RecoveryRefused",
    "SealBroken",
    "SealedObject",
    "copy_packs",
    "copy_sparse",
    "escrow",
    "free_unnamed",
    "journal",
    "quiet_packs",
    "text_of",
    "ticket_of",
]
