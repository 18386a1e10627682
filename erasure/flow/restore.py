"""A backup was restored: recognise, by keyed hash, everybody who was erased since it was taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from erasure import vault
from erasure.connect import open_store
from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar, canonical
from erasure.evidence import ledger
from erasure.models import ErasureRequest, SuppressionEntry
from erasure.stores.base import Restorable
from lineage import selectors

# request → identity kind → keyed hashes of that person's values
Known = dict[UUID, dict[str, set[str]]]


@dataclass(frozen=True, kw_only=True)
class Returned:
    """Somebody who is there again: the case that erased them, and how they were recognised."""

    request: UUID
    law: str
    identifiers: Sequence[tuple[str, str]]


def find_returned(store_name: str, *, taken_at: datetime, by: str) -> list[Returned]:
    """Everybody erased at or after ``taken_at`` whose identity stands in the store again.

    A row counts only if nothing in it speaks against it: a key that was given out again sits
    beside another email, and is left alone.
    """
    selectors.store(store_name)  # an unknown store is an error even when nobody is known
    known = _known(taken_at)
    found: dict[UUID, set[tuple[str, str]]] = {}
    by_hash = _by_hash(known)
    if known:
        for values in _identities(store_name):
            for request in _recognised(values, known, by_hash):
                found.setdefault(request, set()).update(
                    (kind, canonical(value, kind)) for kind, value in values.items()
                )
    ledger.append(
        "restore",
        {
            "store": store_name,
            "taken_at": taken_at.isoformat(),
            "entries": len(known),
            "returned": len(found),
            "by": by,
        },
    )
    laws = dict(ErasureRequest.objects.filter(id__in=found).values_list("id", "law"))
    return [
        Returned(request=r, law=laws.get(r, "gdpr"), identifiers=sorted(_own(found[r], known[r])))
        for r in sorted(found)
    ]


def _known(taken_at: datetime) -> Known:
    known: Known = {}
    entries = SuppressionEntry.objects.filter(
        erased_at__gte=taken_at, ended_at=None, hash_key_id=vault.hash_key_id()
    )
    for entry in entries.iterator():
        known.setdefault(entry.request_id, {}).setdefault(entry.kind, set()).add(entry.keyed_hash)
    return known


def _identities(store_name: str) -> Iterator[dict[str, Scalar]]:
    """Identity kind → value of every row of the store that names a person."""
    with open_store(store_name) as store:
        if not isinstance(store, Restorable):
            raise StoreError(
                store_name, f"a {store.kind} store cannot be replayed; name the live store"
            )
        for dataset in selectors.datasets(store_name).values():
            fields = dataset.identities
            if not fields or dataset.action == "ignore":
                continue
            for row in store.read(dataset, [f.name for f in fields]):
                yield {
                    f.identity: value
                    for f, value in zip(fields, row, strict=True)
                    if f.identity and value is not None
                }


def _by_hash(known: Known) -> dict[tuple[str, str], set[UUID]]:
    by_hash: dict[tuple[str, str], set[UUID]] = {}
    for request, kinds in known.items():
        for kind, hashes in kinds.items():
            for keyed in hashes:
                by_hash.setdefault((kind, keyed), set()).add(request)
    return by_hash


def _recognised(
    values: Mapping[str, Scalar], known: Known, by_hash: Mapping[tuple[str, str], set[UUID]]
) -> Iterator[UUID]:
    hashes = {kind: vault.pseudonym(kind, value) for kind, value in values.items()}
    candidates = {request for pair in hashes.items() for request in by_hash.get(pair, ())}
    for request in candidates:
        kinds = known[request]
        told = [hashes[kind] in kinds[kind] for kind in hashes if kind in kinds]
        if told and all(told):
            yield request


def _own(identifiers: set[tuple[str, str]], kinds: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    return {(k, v) for k, v in identifiers if vault.pseudonym(k, v) in kinds.get(k, set())}
