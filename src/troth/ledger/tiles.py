"""Tiles: the tree in pieces of 256 hashes, as public tools read it.

A tile of level L holds up to 256 hashes, each over 256**L leaves. The last tile of a level grows until it is full; a
reader who needs its state at an earlier size takes a prefix.

Per: C2SP tlog-tiles, "Merkle Tree" and "Partial Tiles".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from troth.ledger import merkle
from troth.ledger.merkle import HASH_BYTES, Frontier, Range

WIDTH = 256
HEIGHT = 8

Place = tuple[int, int]  # level, index within the level


@dataclass(frozen=True, slots=True)
class Tile:
    """Up to 256 hashes of one level.

    Attributes:
        level: 0 holds leaf hashes.
        index: Place within the level, counted from 0.
        content: The hashes, one after the other.
    """

    level: int
    index: int
    content: bytes

    @property
    def width(self) -> int:
        """How many hashes it holds."""
        return len(self.content) // HASH_BYTES


class Edge:
    """The right edge of the tree: appends leaves and gives the tiles that changed.

    Args:
        size: Leaves so far.
        tiles: The unfinished tiles of that size, by place; `edge_places` says which.

    Raises:
        KeyError: A tile is missing or too short.
    """

    def __init__(self, size: int = 0, tiles: Mapping[Place, bytes] | None = None) -> None:
        self._open: list[list[bytes]] = []
        level, remaining = 0, size
        while remaining:
            content = (tiles or {}).get((level, remaining // WIDTH), b"")
            width = remaining % WIDTH
            if len(content) < width * HASH_BYTES:
                raise KeyError((level, remaining // WIDTH))
            self._open.append(_hashes(content)[:width])
            remaining //= WIDTH
            level += 1
        self._frontier = Frontier.of(size, self._perfect_roots())
        self._changed: dict[Place, bytes] = {}
        self._touched: set[int] = set()

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._frontier.size

    def append(self, hashed_leaf: bytes) -> None:
        """Add one leaf by its hash."""
        self._frontier.append(hashed_leaf)
        self._add(0, hashed_leaf)

    def root(self) -> bytes:
        """Root of the tree as it is now."""
        return self._frontier.root()

    def take_changed(self) -> list[Tile]:
        """Tiles that are new or grew since the last call."""
        size = self.size
        for level in self._touched:
            if self._open[level]:
                self._changed[level, size >> HEIGHT * (level + 1)] = b"".join(self._open[level])
        tiles = [Tile(level, index, content) for (level, index), content in self._changed.items()]
        self._changed, self._touched = {}, set()
        return tiles

    def _add(self, level: int, hashed: bytes) -> None:
        if level == len(self._open):
            self._open.append([])
        self._touched.add(level)
        hashes = self._open[level]
        hashes.append(hashed)
        if len(hashes) == WIDTH:
            full = b"".join(hashes)
            self._changed[level, (self.size >> HEIGHT * (level + 1)) - 1] = full
            self._open[level] = []
            self._add(level + 1, merkle.root_of(_hashes(full)))

    def _perfect_roots(self) -> list[bytes]:
        roots: list[bytes] = []
        for hashes in reversed(self._open):
            roots += [merkle.root_of(hashes[start:end]) for start, end in merkle.perfect_subtrees(0, len(hashes))]
        return roots


def edge_places(size: int) -> list[Place]:
    """Places of the unfinished tiles of a tree."""
    places, level = [], 0
    while size:
        if size % WIDTH:
            places.append((level, size // WIDTH))
        size //= WIDTH
        level += 1
    return places


def places_for(ranges: list[Range]) -> set[Place]:
    """Places of the tiles from which the hashes over some ranges of leaves can be computed."""
    places = set()
    for start, end in ranges:
        for piece in merkle.perfect_subtrees(start, end):
            level, first, _ = _position(piece)
            places.add((level, first // WIDTH))
    return places


def subtree_hash(start: int, end: int, tiles: Mapping[Place, bytes]) -> bytes:
    """Hash over leaves start .. end-1, from tiles.

    Raises:
        KeyError: A tile is missing or too short.
    """
    roots = []
    for piece in merkle.perfect_subtrees(start, end):
        level, first, width = _position(piece)
        index, offset = divmod(first, WIDTH)
        hashes = _hashes(tiles.get((level, index), b""))[offset : offset + width]
        if len(hashes) < width:
            raise KeyError((level, index))
        roots.append(merkle.root_of(hashes))
    return merkle.fold(roots)


def path_of(tile: Tile) -> str:
    """Path of a tile below the log's prefix, such as ``tile/0/x001/234.p/17``.

    Per: C2SP tlog-tiles.
    """
    digits = f"{tile.index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[place : place + 3] for place in range(0, len(digits), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    partial = "" if tile.width == WIDTH else f".p/{tile.width}"
    return f"tile/{tile.level}/{name}{partial}"


def _position(piece: Range) -> tuple[int, int, int]:
    """Level of the tile, number of the first hash in that level, and how many hashes a perfect subtree covers."""
    start, end = piece
    level = ((end - start).bit_length() - 1) // HEIGHT
    return level, start >> HEIGHT * level, (end - start) >> HEIGHT * level


def _hashes(content: bytes) -> list[bytes]:
    return [content[place : place + HASH_BYTES] for place in range(0, len(content), HASH_BYTES)]
