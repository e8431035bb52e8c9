"""The tree of RFC 6962: hashes, roots, and proofs that can be checked by anybody.

Per: RFC 6962 2.1 and RFC 9162 2.1 (same tree; the verification algorithms are those of RFC 9162 2.1.3.2 and 2.1.4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

Range = tuple[int, int]  # half open: leaves start .. end-1


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of a leaf: SHA-256 of 0x00 and its bytes (RFC 6962 2.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256 of 0x01 and both children (RFC 6962 2.1)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the perfect subtrees of a growing tree: all that is needed to append and to give the root."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def append(self, hashed_leaf: bytes) -> None:
        """Add one leaf by its hash."""
        carried, remaining = hashed_leaf, self.size
        while remaining & 1:
            carried = node_hash(self._roots.pop(), carried)
            remaining >>= 1
        self._roots.append(carried)
        self.size += 1

    def root(self) -> bytes:
        """Root of the tree as it is now."""
        return fold(self._roots)

    @classmethod
    def of(cls, size: int, roots: Iterable[bytes]) -> Frontier:
        """A frontier that goes on from the perfect subtrees of a tree of `size` leaves, the largest first."""
        frontier = cls()
        frontier.size = size
        frontier._roots = list(roots)
        return frontier


def fold(roots: Sequence[bytes]) -> bytes:
    """Root over perfect subtrees that stand side by side, the largest first."""
    if not roots:
        return EMPTY_ROOT
    result = roots[-1]
    for left in reversed(roots[:-1]):
        result = node_hash(left, result)
    return result


def root_of(hashed_leaves: Iterable[bytes]) -> bytes:
    """Root of a tree given by all its leaf hashes."""
    frontier = Frontier()
    for hashed_leaf in hashed_leaves:
        frontier.append(hashed_leaf)
    return frontier.root()


def perfect_subtrees(start: int, end: int) -> list[Range]:
    """Cut a range of leaves into the perfect subtrees that it consists of, from left to right.

    Args:
        start: First leaf; aligned as the ranges of proofs are.
        end: One past the last leaf.
    """
    pieces = []
    while start < end:
        width = 1 << (end - start).bit_length() - 1
        pieces.append((start, start + width))
        start += width
    return pieces


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees whose hashes make the inclusion proof of a leaf, its sibling first.

    Per: RFC 6962 2.1.1.

    Raises:
        ValueError: The tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The subtrees whose hashes prove that a tree of `second` leaves goes on from one of `first`.

    Per: RFC 6962 2.1.2.

    Raises:
        ValueError: `first` is not between 1 and `second`.
    """
    if not 0 < first <= second:
        raise ValueError(f"no consistency proof from {first} to {second}")
    ranges: list[Range] = []
    start, end, is_known = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, is_known = middle, False
    if not is_known:
        ranges.append((start, end))
    return ranges[::-1]


def inclusion_proof(index: int, size: int, subtree: Callable[[int, int], bytes]) -> list[bytes]:
    """Hashes from the sibling of the leaf up to the child of the root.

    Args:
        index: The leaf, counted from 0.
        size: Leaves of the tree.
        subtree: Gives the hash over leaves start .. end-1.
    """
    return [subtree(start, end) for start, end in inclusion_ranges(index, size)]


def consistency_proof(first: int, second: int, subtree: Callable[[int, int], bytes]) -> list[bytes]:
    """Hashes that prove that the larger tree begins with the smaller one; arguments as in `inclusion_proof`."""
    return [subtree(start, end) for start, end in consistency_ranges(first, second)]


def proves_inclusion(hashed_leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether a path leads from a leaf to a root.

    Per: RFC 9162 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    place, last, result = index, size - 1, hashed_leaf
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            result = node_hash(sibling, result)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and result == root


def proves_consistency(first: int, second: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether a tree of `second` leaves with `new_root` begins with the tree of `first` leaves with `old_root`.

    Per: RFC 9162 2.1.4.2.
    """
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and old_root == new_root
    hashes = list(path)
    if first & (first - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place >>= 1
        last >>= 1
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            older = node_hash(sibling, older)
            newer = node_hash(sibling, newer)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            newer = node_hash(newer, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and older == old_root and newer == new_root


def _split(width: int) -> int:
    """The largest power of two smaller than `width`."""
    return 1 << (width - 1).bit_length() - 1
