"""The Merkle tree: known answers, and proofs that hold exactly where they should."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasure.domain import merkle

# The eight entries and the answers of the Certificate Transparency reference tests.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]
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
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
CONSISTENCY = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}

sizes = st.integers(min_value=1, max_value=130)


def leaves_of(size: int) -> list[bytes]:
    return [merkle.leaf_hash(str(i).encode()) for i in range(size)]


def recursive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    halves = recursive_root(leaves[:k]), recursive_root(leaves[k:])
    return sha256(b"\x01" + halves[0] + halves[1]).digest()


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("where", "answer"), INCLUSION.items())
def test_inclusion_proofs_are_the_published_ones(where: tuple[int, int], answer: list[str]) -> None:
    index, size = where
    assert [h.hex() for h in merkle.inclusion_proof(LEAVES, index, size)] == answer


@pytest.mark.parametrize(("where", "answer"), CONSISTENCY.items())
def test_consistency_proofs_are_the_published_ones(
    where: tuple[int, int], answer: list[str]
) -> None:
    assert [h.hex() for h in merkle.consistency_proof(LEAVES, *where)] == answer


@given(st.integers(min_value=0, max_value=130))
def test_the_root_is_that_of_the_recursive_definition(size: int) -> None:
    assert merkle.root(leaves_of(size)) == recursive_root(leaves_of(size))


@given(st.data(), sizes)
def test_an_inclusion_proof_holds_for_its_leaf_and_place_only(
    data: st.DataObject, size: int
) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    leaves = leaves_of(size)
    tree = merkle.root(leaves)
    proof = merkle.inclusion_proof(iter(leaves), index, size)

    assert merkle.verify_inclusion(leaves[index], index, size, proof, tree)
    for other in range(-1, size + 1):
        if other != index:
            assert not merkle.verify_inclusion(leaves[index], other, size, proof, tree)
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"x"), index, size, proof, tree)
    assert not merkle.verify_inclusion(leaves[index], index, size, [*proof, tree], tree)
    assert not merkle.verify_inclusion(leaves[index], index, size, proof, merkle.EMPTY_ROOT)
    for position, good in enumerate(proof):
        bad = [*proof]
        bad[position] = bytes([good[0] ^ 1]) + good[1:]
        assert not merkle.verify_inclusion(leaves[index], index, size, bad, tree)
        short = proof[:position] + proof[position + 1 :]
        assert not merkle.verify_inclusion(leaves[index], index, size, short, tree)


@given(st.data(), sizes)
def test_a_consistency_proof_holds_for_its_two_trees_only(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(min_value=0, max_value=new))
    leaves = leaves_of(new)
    before, after = merkle.root(leaves[:old]), merkle.root(leaves)
    proof = merkle.consistency_proof(iter(leaves), old, new)

    assert merkle.verify_consistency(old, new, before, after, proof)
    assert not merkle.verify_consistency(old, new, merkle.leaf_hash(b"x"), after, proof)
    if old:
        assert not merkle.verify_consistency(old, new, before, merkle.leaf_hash(b"x"), proof)
    assert not merkle.verify_consistency(new + 1, new, before, after, proof)
    assert not merkle.verify_consistency(old, new, before, after, [*proof, after])
    for position, good in enumerate(proof):
        bad = [*proof]
        bad[position] = bytes([good[0] ^ 1]) + good[1:]
        assert not merkle.verify_consistency(old, new, before, after, bad)


@given(st.data(), sizes)
def test_rewritten_history_is_not_consistent(data: st.DataObject, size: int) -> None:
    old = data.draw(st.integers(min_value=1, max_value=size))
    changed = data.draw(st.integers(min_value=0, max_value=old - 1))
    leaves = leaves_of(size)
    before = merkle.root(leaves[:old])
    leaves[changed] = merkle.leaf_hash(b"rewritten")

    proof = merkle.consistency_proof(leaves, old, size)

    assert not merkle.verify_consistency(old, size, before, merkle.root(leaves), proof)


@given(st.integers(min_value=0, max_value=200), st.integers(min_value=1, max_value=70))
def test_a_frontier_can_be_put_down_and_taken_up_again(size: int, more: int) -> None:
    frontier = merkle.Frontier()
    for leaf in leaves_of(size):
        frontier.append(leaf)
    taken_up = merkle.Frontier(frontier.size, frontier.peaks)
    for leaf in leaves_of(size + more)[size:]:
        proof = taken_up.last_leaf_proof()
        index = taken_up.size
        taken_up.append(leaf)
        assert merkle.verify_inclusion(leaf, index, taken_up.size, proof, taken_up.root())

    assert taken_up.root() == merkle.root(leaves_of(size + more))
    assert len(taken_up.peaks) == (size + more).bit_count()


def test_a_leaf_cannot_pass_for_a_node() -> None:
    left, right = LEAVES[0], LEAVES[1]
    assert merkle.leaf_hash(left + right) != merkle.root([left, right])


@pytest.mark.parametrize(("size", "peaks"), [(3, [b"x" * 32]), (-1, []), (1, [b"short"])])
def test_peaks_that_cannot_be_are_refused(size: int, peaks: list[bytes]) -> None:
    with pytest.raises(ValueError, match="peak"):
        merkle.Frontier(size, peaks)


def test_a_proof_outside_the_tree_is_refused() -> None:
    with pytest.raises(ValueError, match="not in a tree of 8"):
        merkle.inclusion_proof(LEAVES, 8, 8)
    with pytest.raises(ValueError, match="fewer than 9"):
        merkle.inclusion_proof(LEAVES, 0, 9)
    with pytest.raises(ValueError, match="cannot grow"):
        merkle.consistency_proof(LEAVES, 5, 4)
