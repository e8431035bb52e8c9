"""The keyring: keys that can be destroyed for good.

Files in the folder: ``root.key`` (32 bytes, 0600), ``slots-a`` and ``slots-b`` (format: `troth.vault.pages`), ``lock``,
``destroyed`` (which keys are gone, for copies that lie elsewhere: `troth.vault.journal`).

Each key is wrapped under its parent and the topmost ones under the root key, so destroying one makes all below it
unreadable. Unwrapped keys are kept in a small cache, but none is used unless the live bytes of its slot *and of every
slot above it* are still those it was unwrapped from; they are read through shared memory, so a key that any process
destroys is dead in all of them at once. The count of destructions in page 0 makes each process drop its whole cache the
next time it uses the keyring.

Formats (AES-256-GCM with a random nonce; a key may seal 2^32 values, NIST SP 800-38D 8.3)::

    sealed value = 0x01 | nonce 12 | ciphertext | tag 16      additional data = "troth:seal:1:" + context
    wrapped key  = ciphertext 32 | tag 16                     additional data = "troth:key:1:" + keyring id
                                                              + own KeyRef + KeyRef of the parent
    code of an entry = HMAC-SHA256(HKDF-Expand(root key, "troth:ledger:entry:1" + keyring id), entry)
    tag of a row     = HMAC-SHA256(HKDF-Expand(root key, "troth:ledger:row:1" + keyring id), row)
    token, digest = HMAC-SHA256(HKDF-Expand(key, "troth:index:…:1"), length of kind (2) + kind + value)

What this cannot do: reach copies that the disk itself keeps (an SSD's spare blocks, snapshots, a copy-on-write file
system) or backups of the keyring. Those need epoch re-wrapping under a key in a KMS; not built yet.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from troth.kit.files import sync_folder, write_whole
from troth.vault import journal, pages, root
from troth.vault.errors import KeyDestroyed, KeyLost, KeyringDamaged, KeyringMissing, SealBroken
from troth.vault.mirrors import Draft, Mirrors, alone
from troth.vault.model import KeyRef

_CACHE_KEYS: Final = 512
_MAX_DEPTH: Final = 8
_REF_BYTES: Final = 16
_SEALED_FORMAT: Final = b"\x01"
_SEALED_MIN_BYTES: Final = 1 + 12 + 16
_SEAL: Final = b"troth:seal:1:"
_KEY: Final = b"troth:key:1:"
_SEED: Final = b"troth:signing-seed:1:"
_TOKEN: Final = b"troth:index:token:1"
_DIGEST: Final = b"troth:index:digest:1"
_ENTRY: Final = b"troth:ledger:entry:1"
_ROW: Final = b"troth:ledger:row:1"


class _Unwrapped:
    """A key in memory, with the slot bytes that prove that it still exists."""

    __slots__ = ("aead", "index_keys", "parent", "secret", "slot", "start", "stop")

    def __init__(self, start: int, slot: bytes, parent: _Unwrapped | None, secret: bytes) -> None:
        self.start = start
        self.stop = start + pages.SLOT_BYTES
        self.slot = slot
        self.parent = parent
        self.secret = secret
        self.aead = AESGCM(secret)
        self.index_keys: dict[bytes, bytes] = {}

    def index_key(self, label: bytes) -> bytes:
        """The key for tokens or digests: the first block of HKDF-Expand. Per: RFC 5869 2.3."""
        key = self.index_keys.get(label)
        if key is None:
            key = self.index_keys[label] = hmac.digest(self.secret, label + b"\x01", "sha256")
        return key


class Keyring:
    """Keys in slots. Make one with `open`; share it between threads; each process opens its own.

    `create`, `create_many` and `destroy` wait for the disk (about 2 ms each): call them through ``asyncio.to_thread``.
    """

    def __init__(self, mirrors: Mirrors, root_key: bytes, journal_path: Path) -> None:
        self._mirrors = mirrors
        self._journal_path = journal_path
        self._root = AESGCM(root_key)
        self._cache: dict[KeyRef, _Unwrapped] = {}
        self._gone: frozenset[KeyRef] = frozenset()  # what the journal told of at its length below
        self._gone_bytes = -1
        self._cursor = 1  # no page before this one is known to have a free slot
        head = bytes(mirrors.view[: pages.PAGE_BYTES])
        self._id, _, nonce, sealed_seed = pages.read_head(head)
        self._count = head[pages.DESTRUCTIONS]
        try:
            seed = self._root.decrypt(nonce, sealed_seed, _SEED + self._id)
        except InvalidTag:
            raise KeyringDamaged("the root key does not fit this keyring") from None
        self._signing_key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public_key = self._signing_key.public_key().public_bytes_raw()
        self._entry_key = hmac.digest(root_key, _ENTRY + self._id + b"\x01", "sha256")
        self._row_key = hmac.digest(root_key, _ROW + self._id + b"\x01", "sha256")

    @classmethod
    def open(cls, folder: Path, *, create: bool = False) -> Keyring:
        """Open the keyring in a folder.

        Args:
            folder: Where it is.
            create: Make one if there is none.

        Raises:
            KeyringMissing: There is none, and none was to be made.
            KeyringUnsafe: A file can be read or written by group or others.
            KeyringDamaged: The root key is lost or does not fit, or a page is unreadable in both mirrors.
        """
        root_path, first, second = folder / "root.key", folder / "slots-a", folder / "slots-b"
        if create:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with alone(folder / "lock"):
                _make(root_path, first, second)
        elif not root_path.exists() and not first.exists() and not second.exists():
            raise KeyringMissing
        try:
            root_key = root.read(root_path)
        except FileNotFoundError:
            raise KeyringDamaged("the root key is lost") from None
        if not first.exists() and not second.exists():
            raise KeyringDamaged("both slot files are lost")
        for path in (first, second):  # a lost mirror is made anew from the other one
            if not path.exists():
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
                sync_folder(folder)
        return cls(Mirrors(first, second, folder / "lock"), root_key, folder / journal.NAME)

    def close(self) -> None:
        """Give files and memory back. The keyring cannot be used afterwards."""
        self._cache.clear()
        self._mirrors.close()

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key of this deployment, 32 bytes."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Sign for this deployment: 64 bytes, Ed25519. Per: RFC 8032 5.1."""
        return self._signing_key.sign(message)

    def mac(self, message: bytes) -> bytes:
        """Code over an entry of the ledger: 32 bytes, HMAC-SHA256 under a key of its own, below the root key.

        Whoever has the database alone cannot make one.
        """
        return hmac.digest(self._entry_key, message, "sha256")

    def tag(self, message: bytes) -> bytes:
        """Tag over a row that is bound to the ledger: 32 bytes, as `mac` under a key that is for nothing else."""
        return hmac.digest(self._row_key, message, "sha256")

    def create(self, parent: KeyRef | None) -> KeyRef:
        """Make a key. It is durable in both mirrors on return.

        Args:
            parent: The key that wraps it; None for the root.

        Raises:
            KeyDestroyed: The parent does not exist any more.
        """
        return self.create_many([parent])[0]

    def create_many(self, parents: Sequence[KeyRef | None]) -> list[KeyRef]:
        """Make several keys with one sync per mirror.

        Args:
            parents: The parent of each; None for the root.

        Returns:
            A reference for each, in the same order.

        Raises:
            KeyDestroyed: A parent does not exist any more; then nothing was made.
            KeyLost: A parent is missing, and nobody destroyed it.
        """
        above = [self._root if parent is None else self._key(parent).aead for parent in parents]
        with self._mirrors.drafting() as draft:
            for parent in parents:
                if parent is not None and (missing := self.missing(parent)) is not None:
                    raise self._fault_of(missing)  # since we looked
            free = self._free_slots(draft, len(parents))
            refs = [pages.new_ref(slot) for slot in free]
            for slot, ref, parent, aead in zip(free, refs, parents, above, strict=True):
                nonce = os.urandom(12)
                context = _KEY + self._id + ref + (parent or pages.ROOT)
                wrapped = aead.encrypt(nonce, os.urandom(32), context)
                draft.put(slot, pages.fill(ref, parent or pages.ROOT, nonce, wrapped))
        return refs

    def destroy(self, refs: Iterable[KeyRef]) -> None:
        """Overwrite keys in place in both mirrors, sync, and read the disk back.

        On return they, and all keys below them, are unreadable in every process. May be repeated: a key that is gone
        already has its page written again.

        Raises:
            KeyringDamaged: The disk did not confirm it. Try again; until then count the keys as alive.
        """
        with self._mirrors.drafting() as draft:
            draft.count_destruction()
            gone = []
            for ref in refs:
                slot = pages.slot_of(ref)
                stop = pages.start_in_file(slot) + pages.SLOT_BYTES
                if len(ref) != _REF_BYTES or self._mirrors.reaching(stop) is None:
                    continue  # never was in this keyring
                draft.page(pages.page_of(slot))
                if pages.holds(draft.slot(slot), ref):
                    draft.put(slot, pages.EMPTY_SLOT)
                    self._cursor = min(self._cursor, pages.page_of(slot))
                    gone.append(ref)
            self._write_down(gone)
        self._cache.clear()

    def refs(self) -> Iterator[tuple[KeyRef, KeyRef | None]]:
        """Every key there is, each with its parent (None for the root), as they are met page by page."""
        number = 1
        while self._mirrors.reaching((number + 1) * pages.PAGE_BYTES) is not None:
            page = self._mirrors.glance(number)
            for slot, content in pages.filled_slots(page, number):
                above = KeyRef(content[pages.PARENT])
                yield pages.ref_of(slot, content), None if above == pages.ROOT else above
            number += 1

    def is_alive(self, ref: KeyRef) -> bool:
        """Whether a key and all keys above it exist."""
        return self.missing(ref) is None

    def missing(self, ref: KeyRef) -> KeyRef | None:
        """The first that does not exist of a key and the keys above it; None when it is alive."""
        for _ in range(_MAX_DEPTH):
            slot = self._slot(ref)
            if slot is None:
                return ref
            ref = KeyRef(slot[pages.PARENT])
            if ref == pages.ROOT:
                return None
        return ref

    def is_gone(self, ref: KeyRef) -> bool:
        """Whether a key, or one above it, was destroyed; what it sealed was erased.

        Raises:
            KeyLost: It is missing, and nobody destroyed it.
        """
        missing = self.missing(ref)
        if missing is None or self.was_destroyed(missing):
            return missing is not None
        raise KeyLost

    def was_destroyed(self, ref: KeyRef) -> bool:
        """Whether somebody destroyed a key, by the journal: it is written before a slot is overwritten."""
        size = self._journal_path.stat().st_size if self._journal_path.exists() else 0
        if size != self._gone_bytes:
            self._gone = frozenset(one.ref for one in journal.read(self._journal_path))
            self._gone_bytes = size
        return ref in self._gone

    def _fault_of(self, missing: KeyRef) -> KeyDestroyed | KeyLost:
        return KeyDestroyed() if self.was_destroyed(missing) else KeyLost()

    def parent_of(self, ref: KeyRef) -> KeyRef | None:
        """The key that wraps a key, as the wrapping itself authenticates it; None for the root.

        Raises:
            KeyDestroyed: The key, or one above it, does not exist any more.
        """
        above = KeyRef(self._key(ref).slot[pages.PARENT])
        return None if above == pages.ROOT else above

    def seal(self, ref: KeyRef, plain: bytes, context: bytes) -> bytes:
        """Seal bytes under a key; the result is 29 bytes longer.

        Args:
            ref: The key.
            plain: What to seal.
            context: What the bytes are and whose; the same must be given to `unseal`.

        Raises:
            KeyDestroyed: The key does not exist any more.
            KeyLost: It is missing, and nobody destroyed it.
        """
        nonce = os.urandom(12)
        return _SEALED_FORMAT + nonce + self._key(ref).aead.encrypt(nonce, plain, _SEAL + context)

    def unseal(self, ref: KeyRef, sealed: bytes, context: bytes) -> bytes:
        """Open what `seal` made.

        Raises:
            KeyDestroyed: The key, or one above it, does not exist any more.
            SealBroken: The bytes were changed, or belong to another key or context.
        """
        key = self._key(ref)
        if len(sealed) < _SEALED_MIN_BYTES or sealed[:1] != _SEALED_FORMAT:
            raise SealBroken
        try:
            return key.aead.decrypt(sealed[1:13], sealed[13:], _SEAL + context)
        except InvalidTag:
            raise SealBroken from None

    def token(self, ref: KeyRef, kind: str, value: str) -> int:
        """A keyed token for equality search: a signed 64-bit number.

        Args:
            ref: The tenant's key.
            kind: What the value is; the same value of another kind has another token.
            value: The value, already normalised.

        Raises:
            KeyDestroyed: The key does not exist any more.
            KeyLost: It is missing, and nobody destroyed it.
        """
        index_key = self._key(ref).index_key(_TOKEN)
        return int.from_bytes(hmac.digest(index_key, _indexed(kind, value), "sha256")[:8], "big", signed=True)

    def digest(self, ref: KeyRef, kind: str, value: str) -> bytes:
        """A keyed digest of 32 bytes, for tombstones. Not related to the token of the same value.

        Raises:
            KeyDestroyed: The key does not exist any more.
            KeyLost: It is missing, and nobody destroyed it.
        """
        return hmac.digest(self._key(ref).index_key(_DIGEST), _indexed(kind, value), "sha256")

    def _write_down(self, gone: Sequence[KeyRef]) -> None:
        """Before the slots are overwritten: a copy of the keyring elsewhere has to learn of it whatever happens."""
        is_first = not self._journal_path.exists()
        try:
            journal.append(self._journal_path, gone)
            if is_first:
                sync_folder(self._journal_path.parent)
        except OSError as error:
            raise KeyringDamaged(f"the journal of the keyring cannot be written: {error.strerror}") from None

    def _key(self, ref: KeyRef) -> _Unwrapped:
        """The unwrapped key, checked against the live slots."""
        view = self._mirrors.view
        count = view[pages.DESTRUCTIONS]
        if count != self._count:
            self._cache.clear()
            self._count = count
        found = key = self._cache.get(ref)
        if found is None:
            return self._unwrap(ref, _MAX_DEPTH)
        while key is not None:
            if view[key.start : key.stop] != key.slot:
                self._cache.pop(ref, None)
                return self._unwrap(ref, _MAX_DEPTH)
            key = key.parent
        return found

    def _slot(self, ref: KeyRef) -> bytes | None:
        """The live bytes of a key's slot, or None when the key does not exist."""
        if len(ref) != _REF_BYTES:
            return None
        start = pages.start_in_file(pages.slot_of(ref))
        view = self._mirrors.reaching(start + pages.SLOT_BYTES)
        if view is None:
            return None
        slot = view[start : start + pages.SLOT_BYTES]
        return slot if pages.holds(slot, ref) else None

    def _unwrap(self, ref: KeyRef, depth: int) -> _Unwrapped:
        slot = self._slot(ref)
        if slot is None or depth == 0:
            raise self._fault_of(ref)
        above = KeyRef(slot[pages.PARENT])
        if above == pages.ROOT:
            parent, aead = None, self._root
        else:
            parent = self._cache.get(above)
            if parent is None or not self._is_current(parent):
                parent = self._unwrap(above, depth - 1)
            aead = parent.aead
        try:
            secret = aead.decrypt(slot[pages.NONCE], slot[pages.WRAPPED], _KEY + self._id + ref + above)
        except InvalidTag:
            return self._unwrap_mended(ref, slot, depth)
        key = _Unwrapped(pages.start_in_file(pages.slot_of(ref)), slot, parent, secret)
        self._keep(ref, key)
        return key

    def _unwrap_mended(self, ref: KeyRef, slot: bytes, depth: int) -> _Unwrapped:
        """A slot did not open: it was destroyed as we looked, or its page is damaged and the mirror may have it."""
        if self._slot(ref) != slot or self._mirrors.mend(pages.page_of(pages.slot_of(ref))):
            return self._unwrap(ref, depth - 1)
        raise KeyringDamaged("a wrapped key does not open in either mirror")

    def _is_current(self, key: _Unwrapped | None) -> bool:
        view = self._mirrors.view
        while key is not None:
            if view[key.start : key.stop] != key.slot:
                return False
            key = key.parent
        return True

    def _keep(self, ref: KeyRef, key: _Unwrapped) -> None:
        """Bound the cache: when it is full, start again; a page of results fills it within a millisecond."""
        if len(self._cache) >= _CACHE_KEYS:
            self._cache.clear()
        self._cache[ref] = key

    def _free_slots(self, draft: Draft, wanted: int) -> list[int]:
        """Free slots from the cursor on; beyond the end of the file there are always some."""
        found: list[int] = []
        number = self._cursor
        while len(found) < wanted:
            if number * pages.SLOTS_PER_PAGE > pages.MAX_SLOTS:
                raise KeyringDamaged("the keyring is full")
            page = self._mirrors.glance(number)
            free = pages.free_slots(page, number)
            if not free and number == self._cursor:
                self._cursor += 1
            found += [slot for slot in free if pages.is_free(draft.slot(slot))]
            number += 1
        return found[:wanted]


def _indexed(kind: str, value: str) -> bytes:
    name = kind.encode()
    return len(name).to_bytes(2, "big") + name + value.encode()


def _make(root_path: Path, first: Path, second: Path) -> None:
    """Make root key and first page, unless there is a keyring already. The caller keeps others out.

    The root key gets its name last: a folder with ``root.key`` and without slots has lost its slots, and must never be
    taken for one that was only begun.
    """
    fresh_root = root_path.with_suffix(".new")
    if root_path.exists():
        return
    if not (first.exists() and fresh_root.exists()):
        if first.exists() or second.exists():
            return  # the root key is lost; `open` says so
        root_key = os.urandom(root.KEY_BYTES)
        write_whole(fresh_root, root_key)
        keyring_id, nonce = os.urandom(16), os.urandom(12)
        sealed_seed = AESGCM(root_key).encrypt(nonce, os.urandom(32), _SEED + keyring_id)
        write_whole(first, pages.frame(0, 1, pages.head_body(keyring_id, 0, nonce, sealed_seed)))
    fresh_root.rename(root_path)
    sync_folder(root_path.parent)
