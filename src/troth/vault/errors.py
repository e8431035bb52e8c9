"""What can go wrong in the vault. No message ever holds key bytes, plain bytes or a name."""

from __future__ import annotations

from troth.kit.errors import Gone, TrothError, Unavailable, Unprocessable


class KeyDestroyed(Gone):
    """The key, or a key above it, was destroyed: what it sealed can never be read again."""

    slug = "key-destroyed"
    title = "This was erased: its key does not exist any more"


class KeyLost(TrothError):
    """The key is not in the keyring, and nobody destroyed it: a fault of ours, never an erasure."""

    slug = "key-lost"
    title = "A key is missing that was never destroyed"


class SealBroken(TrothError):
    """Sealed bytes were changed, cut short, put in another order or used in another context."""

    slug = "seal-broken"
    title = "Stored bytes are not what was sealed"


class ObjectMissing(SealBroken):
    """The pack that a locator names is not there, or ends before the object does."""

    slug = "object-missing"
    title = "Stored bytes are not where they were put"


class KeyringUnsafe(TrothError):
    """A key file can be read or written by others than its user, or is not a plain file."""

    slug = "keyring-unsafe"
    title = "The keyring is not protected; nothing is opened"


class KeyringMissing(TrothError):
    """There is no keyring in this folder and none was to be made."""

    slug = "keyring-missing"
    title = "There is no keyring here"


class KeyringDamaged(Unavailable):
    """Both copies of a page are unreadable, the root key does not fit, or a write was not confirmed."""

    slug = "keyring-damaged"
    title = "The keyring cannot be read or written"


class PackFault(Unavailable):
    """Object bytes could not be written or made durable; nothing may be acknowledged."""

    slug = "pack-fault"
    title = "Bytes could not be stored"


class RecoveryRefused(Unprocessable):
    """The recovery key does not open this copy of a keyring, or there is none."""

    slug = "recovery-refused"
    title = "The keys of this backup cannot be opened"
