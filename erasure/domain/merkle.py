"""A Merkle tree over a log that only grows: RFC 6962, section 2 (proofs checked as RFC 9162 words
them). SHA-256; a leaf is hashed behind 0x00 and a node behind 0x01, so that neither can be passed
off as the other. All hashes are 32 raw bytes.

Proofs are made from one pass over the leaf hashes, with memory for O(log n) hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

HASH_SIZE = 32
BLOCK = 4096  # leaves hashed together
EMPTY_ROOT = sha256(b"").digest()

Span = tuple[int, int]


def leaf_hash(data: bytes) -> bytes:
    """The hash of one log entry."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """What must be kept of a tree to append to it: the roots of its complete subtrees, largest
    first. One per set bit of ``size``, so appending and the root cost O(log n)."""

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """Raises ValueError when the peaks cannot be those of a tree of that size."""
        self.size = size
        self.peaks = list(peaks)
        if size < 0 or len(self.peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves does not have {len(self.peaks)} peaks")
        if any(len(peak) != HASH_SIZE for peak in self.peaks):
            raise ValueError(f"a peak is not {HASH_SIZE} bytes long")

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash at the end."""
        peak, height = leaf, self.size
        while height & 1:
            peak = node_hash(self.peaks.pop(), peak)
            height >>= 1
        self.peaks.append(peak)
        self.size += 1

    def append_all(self, leaves: Sequence[bytes]) -> None:
        """Add leaf hashes at the end; a complete subtree at a time, which is several times as
        fast as one by one."""
        start = 0
        while start < len(leaves):
            room = self.size & -self.size if self.size else BLOCK
            width = min(room, BLOCK, 1 << (len(leaves) - start).bit_length() - 1)
            self._append_subtree(leaves[start : start + width], width)
            start += width

    def _append_subtree(self, leaves: Sequence[bytes], width: int) -> None:
        """``width`` leaves, a power of two that divides ``size``."""
        level = leaves
        while len(level) > 1:
            pairs = iter(level)
            level = [sha256(b"\x01" + a + b).digest() for a, b in zip(pairs, pairs, strict=True)]
        peak, height = level[0], self.size // width
        while height & 1:
            peak = node_hash(self.peaks.pop(), peak)
            height >>= 1
        self.peaks.append(peak)
        self.size += width

    def root(self) -> bytes:
        """The root hash; that of the empty tree is SHA-256 of nothing."""
        if not self.peaks:
            return EMPTY_ROOT
        result = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            result = node_hash(peak, result)
        return result

    def last_leaf_proof(self) -> list[bytes]:
        """The inclusion proof of the leaf appended next, in the tree that ends with it: all that
        stands to its left are the present peaks."""
        return list(reversed(self.peaks))


def root(leaves: Iterable[bytes]) -> bytes:
    """The root hash of the tree over these leaf hashes."""
    return _grown(leaves).root()


def _grown(leaves: Iterable[bytes]) -> Frontier:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier


def inclusion_proof(leaves: Iterable[bytes], index: int, size: int) -> list[bytes]:
    """Why leaf ``index`` is in the tree of the first ``size`` leaves, lowest node first.

    Raises ValueError when it cannot be, or when ``leaves`` ends before ``size``.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
    return _roots_of(leaves, _inclusion_spans(index, 0, size))


def consistency_proof(leaves: Iterable[bytes], old: int, new: int) -> list[bytes]:
    """Why the tree of the first ``new`` leaves begins with that of the first ``old``.

    Raises ValueError when the sizes are out of order, or when ``leaves`` ends before ``new``.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {old} leaves cannot grow to {new}")
    if old in (0, new):
        return []
    return _roots_of(leaves, _consistency_spans(old, 0, new, complete=True))


def _split(width: int) -> int:
    """The largest power of two smaller than ``width``."""
    return 1 << ((width - 1).bit_length() - 1)


def _inclusion_spans(index: int, start: int, end: int) -> list[Span]:
    """PATH of RFC 6962, 2.1.1, as the leaf ranges whose roots make it."""
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_inclusion_spans(index, start, middle), (middle, end)]
    return [*_inclusion_spans(index, middle, end), (start, middle)]


def _consistency_spans(old: int, start: int, end: int, *, complete: bool) -> list[Span]:
    """SUBPROOF of RFC 6962, 2.1.2, as leaf ranges; ``old`` counts from the tree's beginning."""
    if old == end:
        return [] if complete else [(start, end)]
    middle = start + _split(end - start)
    if old <= middle:
        return [*_consistency_spans(old, start, middle, complete=complete), (middle, end)]
    return [*_consistency_spans(old, middle, end, complete=False), (start, middle)]


def _roots_of(leaves: Iterable[bytes], spans: Sequence[Span]) -> list[bytes]:
    """The roots of disjoint ranges, in the order given, from one pass over the leaves."""
    roots: dict[Span, bytes] = {}
    numbered = enumerate(leaves)
    for span in sorted(spans):
        roots[span] = _grown(_taken(numbered, span)).root()
    return [roots[span] for span in spans]


def _taken(numbered: Iterator[tuple[int, bytes]], span: Span) -> Iterator[bytes]:
    start, end = span
    for position, leaf in numbered:
        if position >= start:
            yield leaf
        if position == end - 1:
            return
    raise ValueError(f"there are fewer than {end} leaves")


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes
) -> bool:
    """True when ``proof`` leads from the leaf hash to the root ``expected`` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and result == expected


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """True when ``proof`` shows that the new tree begins with the old one (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof)
    if old & (old - 1) == 0:  # the old tree is complete: its root is the first node
        path.insert(0, old_root)
    return bool(path) and _leads_to_both(path, old - 1, new - 1, old_root, new_root)


def _leads_to_both(
    path: list[bytes], node: int, last: int, old_root: bytes, new_root: bytes
) -> bool:
    while node & 1:
        node, last = node >> 1, last >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and older == old_root and newer == new_root
