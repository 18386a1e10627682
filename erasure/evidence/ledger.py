"""The ledger: an append-only Merkle log (RFC 6962) of everything that happened, without personal
data. Appends join the caller's transaction and wait for each other on the tip's row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import transaction
from django.utils import timezone

from erasure.domain import merkle
from erasure.domain.errors import EvidenceError
from erasure.evidence import keys
from erasure.evidence.canonical import canonical, commit, timestamp
from erasure.evidence.signing import signer
from erasure.models.evidence import LedgerHead, LedgerLeaf, LedgerTip

__all__ = ["SignedHead", "append", "append_many", "commit", "head", "prove", "prove_growth", "span"]

_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,59}")
_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class SignedHead:
    """A tree head: the root (hexadecimal) over the first ``size`` leaves, signed."""

    size: int
    root: str
    signed_at: str
    key_id: str
    signature: str

    def to_json(self) -> dict[str, Any]:
        """As it stands in a certificate."""
        return dict(vars(self))

    @staticmethod
    def content(size: int, root: str, signed_at: str) -> dict[str, Any]:
        """What the signature covers."""
        return {"root": root, "signed_at": signed_at, "size": size}


def append(kind: str, payload: Mapping[str, Any], *, at: datetime | None = None) -> int:
    """Add one entry and return its index. ``payload["request"]`` ties it to a case.

    Raises EvidenceError for a kind that is not a lower-case word, and for floats or other types
    that have no single JSON form; nothing is written then.
    """
    return append_many([(kind, payload)], at=at).start


def append_many(
    entries: Iterable[tuple[str, Mapping[str, Any]]], *, at: datetime | None = None
) -> range:
    """Add entries in order, all or none, and return their indexes; see :func:`append`."""
    with transaction.atomic():
        return append_within(entries, at=at)


def append_within(
    entries: Iterable[tuple[str, Mapping[str, Any]]], *, at: datetime | None = None
) -> range:
    """:func:`append_many` for whoever has opened a transaction for it, which an error must end."""
    tip = locked_tip()
    frontier = frontier_of(tip)
    moment = at or timezone.now()
    leaves = (_added(frontier, kind, payload, moment) for kind, payload in entries)
    while batch := list(islice(leaves, _BATCH)):
        LedgerLeaf.objects.bulk_create(batch)
    grown = range(tip.size, frontier.size)
    if grown:
        _move(tip, frontier, moment)
    return grown


def head() -> SignedHead:
    """The signed head of the ledger as it stands; kept, so that it can never be denied."""
    with transaction.atomic():
        return publish(locked_tip())


def publish(tip: LedgerTip) -> SignedHead:
    """Keep the tip's head for ever and return it. Call it inside a transaction."""
    row, _ = LedgerHead.objects.get_or_create(
        size=tip.size,
        defaults={
            "root": tip.root,
            "signature": tip.signature,
            "key_id": tip.key_id,
            "created_at": tip.created_at,
        },
    )
    return signed_head(row)


def signed_head(row: LedgerHead | LedgerTip) -> SignedHead:
    """The head a row holds."""
    return SignedHead(
        size=row.size,
        root=row.root,
        signed_at=timestamp(row.created_at),
        key_id=row.key_id,
        signature=row.signature,
    )


def prove(index: int, size: int) -> list[str]:
    """The inclusion proof of leaf ``index`` in the tree of the first ``size`` leaves (hexadecimal,
    lowest first), from one pass over the leaves. Raises EvidenceError when it is not in there."""
    try:
        proof = merkle.inclusion_proof(stored_hashes(size), index, size)
    except ValueError as error:
        raise EvidenceError(f"ledger: {error}") from None
    return [node.hex() for node in proof]


def prove_growth(old: int, new: int) -> list[str]:
    """The consistency proof between two sizes of the ledger; as :func:`prove`."""
    try:
        proof = merkle.consistency_proof(stored_hashes(new), old, new)
    except ValueError as error:
        raise EvidenceError(f"ledger: {error}") from None
    return [node.hex() for node in proof]


def span(request: str, *, before: int) -> tuple[int, int] | None:
    """First index and number of the entries of a case below index ``before``; None without any."""
    indexes = LedgerLeaf.objects.filter(request=request, index__lt=before)
    first = indexes.order_by("index").values_list("index", flat=True).first()
    return None if first is None else (first, indexes.count())


def entry(leaf: LedgerLeaf, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a leaf hash covers: place, time, kind and payload."""
    return {
        "at": timestamp(leaf.created_at),
        "index": leaf.index,
        "kind": leaf.kind,
        "payload": payload,
    }


def stored_hashes(size: int) -> Iterator[bytes]:
    """The stored leaf hashes of the first ``size`` leaves, streamed in order."""
    rows = LedgerLeaf.objects.filter(index__lt=size).order_by("index")
    for text in rows.values_list("leaf_hash", flat=True).iterator(chunk_size=_BATCH):
        yield bytes.fromhex(text)


def locked_tip() -> LedgerTip:
    """The tip, locked until the transaction ends: a row lock on PostgreSQL; on SQLite the
    transaction itself is the only writer (IMMEDIATE)."""
    rows = LedgerTip.objects.select_for_update()
    tip = rows.filter(pk=1).first()
    if tip is None:
        rows.get_or_create(pk=1, defaults=_tip_values(merkle.Frontier(), timezone.now()))
        tip = rows.get(pk=1)
    return tip


def frontier_of(tip: LedgerTip) -> merkle.Frontier:
    """The Merkle frontier a tip holds. Raises EvidenceError when somebody has edited it."""
    width = merkle.HASH_SIZE
    try:
        raw = bytes.fromhex(tip.peaks)
        return merkle.Frontier(tip.size, [raw[i : i + width] for i in range(0, len(raw), width)])
    except ValueError:
        raise EvidenceError(
            "ledger: its tip is damaged; restore the control database, then verify_evidence"
        ) from None


def _added(
    frontier: merkle.Frontier, kind: str, payload: Mapping[str, Any], moment: datetime
) -> LedgerLeaf:
    """The next leaf, already counted in ``frontier``."""
    if not _KIND.fullmatch(kind):
        raise EvidenceError("ledger: a kind is a lower-case word of at most 60 characters")
    leaf = LedgerLeaf(
        index=frontier.size,
        previous_id=frontier.size - 1 if frontier.size else None,
        kind=kind,
        request=request_of(payload),
        payload=canonical(payload).decode(),
        created_at=moment,
    )
    hashed = merkle.leaf_hash(canonical(entry(leaf, payload)))
    leaf.leaf_hash = hashed.hex()
    frontier.append(hashed)
    return leaf


def request_of(payload: Mapping[str, Any]) -> str:
    """The case an entry belongs to; empty when it belongs to none."""
    request = payload.get("request")
    return request if isinstance(request, str) else ""


def _move(tip: LedgerTip, frontier: merkle.Frontier, moment: datetime) -> None:
    """Compare and swap, so that a database without row locks can lose an append but not fork."""
    moved = LedgerTip.objects.filter(pk=1, size=tip.size).update(**_tip_values(frontier, moment))
    if moved != 1:
        raise EvidenceError("ledger: another process appended at the same moment; try again")


def _tip_values(frontier: merkle.Frontier, moment: datetime) -> dict[str, Any]:
    root = frontier.root().hex()
    by = signer()
    content = SignedHead.content(frontier.size, root, timestamp(moment))
    return {
        "size": frontier.size,
        "peaks": b"".join(frontier.peaks).hex(),
        "root": root,
        "signature": by.sign(keys.HEAD_CONTEXT, content),
        "key_id": by.key_id,
        "created_at": moment,
    }
