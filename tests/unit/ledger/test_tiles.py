"""Tiles give the same root and proofs as the leaves themselves."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.ledger import merkle, tiles
from troth.ledger.tiles import Edge, Place, Tile

LEAVES = [sha256(number.to_bytes(4, "big")).digest() for number in range(66_100)]


def grown(size: int, steps: int = 1) -> tuple[Edge, dict[Place, bytes]]:
    """An edge that grew in steps, each from what the one before had stored."""
    stored: dict[Place, bytes] = {}
    edge = Edge()
    for step in range(steps):
        for hashed in LEAVES[size * step // steps : size * (step + 1) // steps]:
            edge.append(hashed)
        stored.update({(tile.level, tile.index): tile.content for tile in edge.take_changed()})
        edge = Edge(edge.size, stored)
    return edge, stored


@pytest.fixture(scope="module")
def large() -> tuple[Edge, dict[Place, bytes]]:
    return grown(len(LEAVES), 9)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 700, 1000])
def test_the_edge_gives_the_root(size: int) -> None:
    edge, stored = grown(size, 4)
    assert edge.root() == merkle.root_of(LEAVES[:size])
    assert edge.size == size
    assert {place for place in stored if place in tiles.edge_places(size)} == set(tiles.edge_places(size))


def test_tiles_are_wide_as_the_specification_says(large: tuple[Edge, dict[Place, bytes]]) -> None:
    # The example of C2SP tlog-tiles in small: 66,100 = 258 full tiles and 52 leaves; one full tile above, one of 2; 1.
    edge, stored = large
    widths = {place: len(content) // 32 for place, content in stored.items()}
    assert sum(width == 256 for (level, _), width in widths.items() if level == 0) == 258
    assert widths[0, 258] == 52
    assert (widths[1, 0], widths[1, 1], widths[2, 0]) == (256, 2, 1)
    assert edge.root() == merkle.root_of(LEAVES)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_proofs_come_from_tiles(large: tuple[Edge, dict[Place, bytes]], data: st.DataObject) -> None:
    _, stored = large
    size = data.draw(st.integers(1, len(LEAVES)))
    index = data.draw(st.integers(0, size - 1))
    ranges = merkle.inclusion_ranges(index, size)
    needed = {place: stored[place] for place in tiles.places_for(ranges)}
    path = [tiles.subtree_hash(start, end, needed) for start, end in ranges]
    root = tiles.subtree_hash(0, size, stored)
    assert merkle.proves_inclusion(LEAVES[index], index, size, path, root)
    newer = merkle.consistency_proof(size, len(LEAVES), lambda start, end: tiles.subtree_hash(start, end, stored))
    assert merkle.proves_consistency(size, len(LEAVES), newer, root, large[0].root())


def test_a_missing_or_short_tile_is_an_error() -> None:
    _, stored = grown(300)
    for short in ({}, {**stored, (0, 1): stored[0, 1][:-32]}):
        with pytest.raises(KeyError):
            Edge(300, short)
        with pytest.raises(KeyError):
            tiles.subtree_hash(256, 300, short)


def test_only_tiles_that_grew_are_written_again() -> None:
    edge, _ = grown(600)
    edge.append(LEAVES[600])
    assert [(tile.level, tile.index, tile.width) for tile in edge.take_changed()] == [(0, 2, 89)]
    assert edge.take_changed() == []


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "tile/0/000"),
        (5, 17, "tile/0/005.p/17"),
        (1234067, 256, "tile/0/x001/x234/067"),
        (273, 112, "tile/0/273.p/112"),
    ],
)
def test_paths_are_those_of_the_specification(index: int, width: int, path: str) -> None:
    assert tiles.path_of(Tile(0, index, bytes(32 * width))) == path
