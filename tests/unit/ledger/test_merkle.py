"""The tree against the vectors of the reference implementation of Certificate Transparency, and against itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.ledger import merkle

# The eight leaves of the CT reference implementation, and the roots of the trees of 0 to 8 of them
# (transparency-dev/merkle testonly/constants.go).
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAF_HASHES = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
    "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658",
    "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
    "46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1",
]
# index, size, path (transparency-dev/merkle cmd/proofgen, the valid proofs)
INCLUSION = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (
        6,
        7,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
]

hashes = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70)


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 2.1, word by word."""
    if not leaves:
        return merkle.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return merkle.node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def over(leaves: list[bytes]) -> merkle.Callable[[int, int], bytes]:
    return lambda start, end: naive_root(leaves[start:end])


@pytest.mark.asvs("V11.4.3")
def test_leaf_hashes_are_those_of_the_reference() -> None:
    assert [merkle.leaf_hash(leaf).hex() for leaf in LEAVES] == LEAF_HASHES


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference(size: int) -> None:
    assert merkle.root_of(merkle.leaf_hash(leaf) for leaf in LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_reference(index: int, size: int, path: list[str]) -> None:
    leaves = [merkle.leaf_hash(leaf) for leaf in LEAVES]
    made = merkle.inclusion_proof(index, size, over(leaves))
    assert [hashed.hex() for hashed in made] == path
    assert merkle.proves_inclusion(leaves[index], index, size, made, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second", "path"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_reference(first: int, second: int, path: list[str]) -> None:
    made = merkle.consistency_proof(first, second, over([merkle.leaf_hash(leaf) for leaf in LEAVES]))
    assert [hashed.hex() for hashed in made] == path
    roots = bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second])
    assert merkle.proves_consistency(first, second, made, *roots)


@given(hashes)
def test_the_frontier_gives_the_root_of_the_definition(leaves: list[bytes]) -> None:
    assert merkle.root_of(leaves) == naive_root(leaves)


@given(hashes, st.data())
def test_inclusion_is_proved_for_each_leaf_and_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    size, root = len(leaves), naive_root(leaves)
    path = merkle.inclusion_proof(index, size, over(leaves))
    assert merkle.proves_inclusion(leaves[index], index, size, path, root)
    assert not merkle.proves_inclusion(merkle.leaf_hash(leaves[index]), index, size, path, root)
    assert not merkle.proves_inclusion(leaves[index], index, size, [*path, root], root)
    assert not merkle.proves_inclusion(leaves[index], index, size, path, merkle.leaf_hash(root))
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:place], merkle.leaf_hash(path[place]), *path[place + 1 :]]
        assert not merkle.proves_inclusion(leaves[index], index, size, changed, root)
        assert not merkle.proves_inclusion(leaves[index], index, size, path[:-1], root)


@given(hashes, st.data())
def test_consistency_is_proved_for_each_pair_and_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    second = len(leaves)
    first = data.draw(st.integers(1, second))
    roots = naive_root(leaves[:first]), naive_root(leaves)
    path = merkle.consistency_proof(first, second, over(leaves))
    assert merkle.proves_consistency(first, second, path, *roots)
    assert not merkle.proves_consistency(first, second, path, merkle.leaf_hash(roots[0]), roots[1])
    assert not merkle.proves_consistency(first, second, path, roots[0], merkle.leaf_hash(roots[1]))
    assert not merkle.proves_consistency(first, second, [*path, roots[0]], *roots)
    if first < second:
        assert not merkle.proves_consistency(first, second, path[:-1], *roots)
        assert not merkle.proves_consistency(first, second, [], *roots)


def test_each_pair_of_sizes_up_to_20_is_consistent() -> None:
    leaves = [merkle.leaf_hash(bytes([number])) for number in range(20)]
    for second in range(1, 21):
        for first in range(1, second + 1):
            path = merkle.consistency_proof(first, second, over(leaves))
            roots = naive_root(leaves[:first]), naive_root(leaves[:second])
            assert merkle.proves_consistency(first, second, path, *roots)


def test_what_cannot_be_proved_is_refused() -> None:
    for index, size in ((0, 0), (-1, 3), (3, 3)):
        with pytest.raises(ValueError, match="no leaf"):
            merkle.inclusion_ranges(index, size)
        assert not merkle.proves_inclusion(b"", index, size, [], b"")
    for first, second in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="no consistency"):
            merkle.consistency_ranges(first, second)
        assert not merkle.proves_consistency(first, second, [], b"", b"")
    assert merkle.fold([]) == merkle.EMPTY_ROOT
