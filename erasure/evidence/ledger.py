"""The ledger: an append-only Merkle log (RFC 6962) of everything that happened, without personal
data. Appends join the caller's transaction and wait for each other on the tip's row; those of a
transaction that is opened by :func:`together` are written at its end, under one signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Min
from django.utils import timezone

from erasure.domain import merkle
from erasure.domain.errors import EvidenceError
from erasure.evidence import keys
from erasure.evidence.canonical import canonical, commit, timestamp
from erasure.evidence.signing import signer
from erasure.models.evidence import LedgerHead, LedgerLeaf, LedgerTip
from erasure.models.requests import Event
from lineage.prepared import Prepared, insert, update

__all__ = [
    "SignedHead",
    "append",
    "append_many",
    "append_shown",
    "commit",
    "head",
    "note",
    "prove",
    "prove_growth",
    "record",
    "record_many",
    "span",
    "together",
    "write_down",
]

_SHOWN = ("size", "root", "signature", "key_id", "created_at")
_TAKEN = "ledger: another process appended at the same moment; try again"
_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,59}")
_BATCH = 1000
_TIP = Prepared(lambda: LedgerTip.objects.select_for_update().filter(pk=1))


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


@dataclass(frozen=True)
class _Entry:
    """An entry without its place; ``payload`` in its canonical form."""

    kind: str
    request: str
    payload: bytes
    moment: datetime

    @staticmethod
    def of(kind: str, payload: Mapping[str, Any], moment: datetime) -> _Entry:
        """Raises EvidenceError, see :func:`append`."""
        if not _KIND.fullmatch(kind):
            raise EvidenceError("ledger: a kind is a lower-case word of at most 60 characters")
        return _Entry(kind, request_of(payload), canonical(payload, depth=1), moment)


@dataclass(frozen=True)
class _Gathered:
    """Entries of a transaction that are still to be written; ``depth``: that of its savepoint, with
    which they would be rolled back."""

    depth: int
    entries: list[_Entry] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


# The tip that this process has moved last. Somebody else may have moved it since, and what moved it
# here may have been rolled back: it counts if the tip in the database has its size and its peaks.
_seen: LedgerTip | None = None
_gathered: ContextVar[_Gathered | None] = ContextVar("gathered", default=None)


@contextmanager
def together() -> Iterator[None]:
    """A transaction whose entries (:func:`record`) are written at its end: the tip is locked late
    and once, and signed once. Inside another one it becomes part of that, and fails with it."""
    if _open() is not None:
        with transaction.atomic(savepoint=False):
            yield
        return
    with transaction.atomic():
        before = _gathered.set(_Gathered(_depth()))
        try:
            yield
            write_down()
        finally:
            _gathered.reset(before)


def record(kind: str, payload: Mapping[str, Any], *, at: datetime | None = None) -> None:
    """Add one entry, with the others of its transaction where that is :func:`together`. Raises as
    :func:`append`."""
    record_many([(kind, payload)], at=at)


def record_many(
    entries: Iterable[tuple[str, Mapping[str, Any]]], *, at: datetime | None = None
) -> None:
    """Add entries in order, all or none; as :func:`record`."""
    gathered = _open()
    if gathered is None:
        append_many(entries, at=at)
    else:
        moment = at or timezone.now()
        gathered.entries.extend([_Entry.of(kind, payload, moment) for kind, payload in entries])


def note(events: Sequence[Event]) -> None:
    """Add what is told of moves beside the ledger, at the same time as its entries."""
    gathered = _open()
    if gathered is None:
        insert(events)
    else:
        gathered.events.extend(events)


def write_down() -> None:
    """Write what this transaction has recorded so far: for whoever needs it in its place."""
    gathered = _open()
    if gathered is None:
        return
    if gathered.events:
        insert(gathered.events)
        gathered.events.clear()
    if gathered.entries:
        _write(gathered.entries)
        gathered.entries.clear()


def _open() -> _Gathered | None:
    """What is gathered here; a savepoint inside may be rolled back without the rest, so that its
    entries are written in it."""
    gathered = _gathered.get()
    return gathered if gathered is not None and gathered.depth == _depth() else None


def _depth() -> int:
    return sum(point is not None for point in connection.savepoint_ids)


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
    moment = at or timezone.now()
    listed = [_Entry.of(kind, payload, moment) for kind, payload in entries]
    with transaction.atomic():
        return _write(listed)


def append_shown(
    kind: str, payload: Mapping[str, Any], tip: LedgerTip
) -> tuple[LedgerLeaf, LedgerHead, list[str]]:
    """Add one entry after those recorded so far and show the head over it; returns the entry, the
    head and the proof that leads from one to the other (hexadecimal, lowest first). ``tip``: locked
    by the caller (:func:`locked_tip`) in its transaction."""
    gathered = _open()
    entries = [*(gathered.entries if gathered else ()), _Entry.of(kind, payload, timezone.now())]
    if gathered:
        gathered.entries.clear()
    frontier = frontier_of(tip)
    *before, last = entries
    leaves = [_added(frontier, entry) for entry in before]
    proof = [node.hex() for node in frontier.last_leaf_proof()]
    leaves.append(_added(frontier, last))
    moved = _store(tip, frontier, leaves)
    if moved is None:
        raise EvidenceError(_TAKEN)
    shown = {name: getattr(moved, name) for name in _SHOWN}
    head = LedgerHead.objects.create(**shown)
    return leaves[-1], head, proof


def _write(entries: Sequence[_Entry]) -> range:
    """Inside a transaction, which an error must end."""
    if entries and _seen is not None and (written := _entered(_seen, entries)):
        return written
    tip = locked_tip()
    written = _entered(tip, entries) if entries else range(tip.size, tip.size)
    if written is None:
        raise EvidenceError(_TAKEN)
    return written


def _entered(tip: LedgerTip, entries: Sequence[_Entry]) -> range | None:
    """The places of the entries behind that tip; None where it is not the tip any more."""
    frontier = frontier_of(tip)
    leaves = [_added(frontier, entry) for entry in entries]
    return range(tip.size, frontier.size) if _store(tip, frontier, leaves) else None


def head() -> SignedHead:
    """The signed head of the ledger as it stands; kept, so that it can never be denied."""
    with transaction.atomic():
        return publish(locked_tip())


def publish(tip: LedgerTip) -> SignedHead:
    """Keep the tip's head for ever and return it. Call it inside a transaction."""
    row, _ = LedgerHead.objects.get_or_create(
        size=tip.size,
        defaults={name: getattr(tip, name) for name in _SHOWN},
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
    found = LedgerLeaf.objects.filter(request=request, index__lt=before)
    told = found.aggregate(first=Min("index"), entries=Count("index"))
    return (told["first"], told["entries"]) if told["entries"] else None


def entry(leaf: LedgerLeaf, payload: Mapping[str, Any] | None) -> dict[str, Any]:
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
    tip = _TIP.first()
    if tip is None:
        values = _tip_values(merkle.Frontier(), timezone.now())
        LedgerTip.objects.get_or_create(pk=1, defaults=values)
        tip = LedgerTip.objects.select_for_update().get(pk=1)
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


def _added(frontier: merkle.Frontier, entered: _Entry) -> LedgerLeaf:
    """The next leaf, already counted in ``frontier``."""
    leaf = LedgerLeaf(
        index=frontier.size,
        previous_id=frontier.size - 1 if frontier.size else None,
        kind=entered.kind,
        request=entered.request,
        payload=entered.payload.decode(),
        created_at=entered.moment,
    )
    # ``payload`` comes last in the canonical form of an entry.
    around = canonical(entry(leaf, None)).removesuffix(b"null}")
    hashed = merkle.leaf_hash(b"%b%b}" % (around, entered.payload))
    leaf.leaf_hash = hashed.hex()
    frontier.append(hashed)
    return leaf


def request_of(payload: Mapping[str, Any]) -> str:
    """The case an entry belongs to; empty when it belongs to none."""
    request = payload.get("request")
    return request if isinstance(request, str) else ""


def _store(
    tip: LedgerTip, frontier: merkle.Frontier, leaves: Sequence[LedgerLeaf]
) -> LedgerTip | None:
    """Move the tip and write the leaves before it; returns the tip as it is now, None where it was
    another one: then nothing is written. The tip comes first, as its lock is what leaves wait for.
    """
    global _seen
    values = _tip_values(frontier, leaves[-1].created_at)
    # Compare and swap, so that a database without row locks can lose an append but not fork.
    if update(LedgerTip, {"pk": 1, "size": tip.size, "peaks": tip.peaks}, values) != 1:
        return None
    insert(leaves)
    _seen = LedgerTip(id=1, **values)
    return _seen


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
