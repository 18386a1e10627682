"""A backup was restored: recognise, by keyed hash, everybody who was erased since it was taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from erasure import vault
from erasure.connect import open_store
from erasure.domain.errors import StoreError
from erasure.domain.roles import Actor, deed
from erasure.domain.values import Scalar, canonical, each
from erasure.evidence import ledger
from erasure.models import ErasureRequest, Identifier, SuppressionEntry
from erasure.stores.base import Restorable
from lineage import selectors
from lineage.graph import Field


@dataclass(frozen=True, kw_only=True)
class Person:
    """An erased person as keyed hashes by identity kind: all that are known, and those of them
    that the person gave."""

    hashes: dict[str, set[str]] = field(default_factory=dict)
    given: dict[str, set[str]] = field(default_factory=dict)


Known = dict[UUID, Person]


@dataclass(frozen=True, kw_only=True)
class Named:
    """A row that names somebody: values by identity kind, the kinds that its dataset knows, and
    those among them that are its primary key."""

    values: Mapping[str, set[str]]
    kinds: frozenset[str]
    keys: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Returned:
    """Somebody who is there again: the case that erased them, and how they were recognised."""

    request: UUID
    law: str
    identifiers: Sequence[tuple[str, str]]


@deed("restore")
def find_returned(store_name: str, *, taken_at: datetime, by: Actor) -> list[Returned]:
    """Everybody erased at or after ``taken_at`` whose identity stands in the store again.

    A row counts only if nothing in it speaks against it: a key that was given out again sits
    beside another email, and is left alone. They are looked for by what they once gave, if that
    is there again: what else was found of them may be somebody's whom they shared it with.
    """
    selectors.store(store_name)  # an unknown store is an error even when nobody is known
    known = _known(taken_at)
    found: dict[UUID, set[tuple[str, str]]] = {}
    by_hash = _by_hash(known)
    if known:
        for row in _named(store_name):
            for request in _recognised(row, known, by_hash):
                found.setdefault(request, set()).update(
                    (kind, value) for kind, values in row.values.items() for value in values
                )
    ledger.record(
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
        Returned(request=r, law=laws.get(r, "gdpr"), identifiers=_own(found[r], known[r]))
        for r in sorted(found)
    ]


def _known(taken_at: datetime) -> Known:
    known: Known = {}
    entries = SuppressionEntry.objects.filter(
        erased_at__gte=taken_at, ended_at=None, hash_key_id=vault.hash_key_id()
    )
    for entry in entries.iterator():
        person = known.setdefault(entry.request_id, Person())
        person.hashes.setdefault(entry.kind, set()).add(entry.keyed_hash)
    given = Identifier.objects.filter(request_id__in=entries.values("request_id"))
    for request, kind, keyed in given.values_list("request_id", "kind", "keyed_hash").iterator():
        if request in known:
            known[request].given.setdefault(kind, set()).add(keyed)
    return known


def _named(store_name: str) -> Iterator[Named]:
    """Every row of the store that names a person."""
    with open_store(store_name) as store:
        if not isinstance(store, Restorable):
            raise StoreError(
                store_name, f"a {store.kind} store cannot be replayed; name the live store"
            )
        for dataset in selectors.datasets(store_name).values():
            fields = dataset.identities
            if not fields or dataset.action == "ignore":
                continue
            kinds = frozenset(f.identity for f in fields if f.identity)
            keys = frozenset(f.identity for f in fields if f.identity and f.primary_key)
            for row in store.read(dataset, [f.name for f in fields]):
                yield Named(values=_by_kind(fields, row), kinds=kinds, keys=keys)


def _by_kind(fields: Sequence[Field], row: Sequence[Scalar]) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {}
    for f, value in zip(fields, row, strict=True):
        for one in each(value) if f.identity else ():
            values.setdefault(str(f.identity), set()).add(canonical(one, f.identity))
    return values


def _by_hash(known: Known) -> dict[tuple[str, str], set[UUID]]:
    by_hash: dict[tuple[str, str], set[UUID]] = {}
    for request, person in known.items():
        for kind, hashes in person.hashes.items():
            for keyed in hashes:
                by_hash.setdefault((kind, keyed), set()).add(request)
    return by_hash


def _recognised(
    row: Named, known: Known, by_hash: Mapping[tuple[str, str], set[UUID]]
) -> Iterator[UUID]:
    hashes = {k: {vault.pseudonym(k, v) for v in values} for k, values in row.values.items()}
    pairs = [(kind, keyed) for kind, held in hashes.items() for keyed in held]
    for request in {request for pair in pairs for request in by_hash.get(pair, ())}:
        person = known[request]
        told = {
            k: bool(held & person.hashes[k]) for k, held in hashes.items() if k in person.hashes
        }
        if _is(row, person, told):
            yield request


def _is(row: Named, person: Person, told: Mapping[str, bool]) -> bool:
    """What the person gave decides; a phone may have changed since. Else all that is known of
    them must agree, and a primary key alone counts only where nothing else could be known."""
    strong = [agrees for kind, agrees in told.items() if kind in person.given.keys() - row.keys]
    if strong:
        return all(strong)
    if not all(told.values()):
        return False
    return bool(told.keys() - row.keys) or not (row.kinds - row.keys) & person.hashes.keys()


def _own(identifiers: set[tuple[str, str]], person: Person) -> list[tuple[str, str]]:
    keyed = {(k, v): vault.pseudonym(k, v) for k, v in sorted(identifiers)}
    given = [pair for pair, text in keyed.items() if text in person.given.get(pair[0], ())]
    return given or [p for p, text in keyed.items() if text in person.hashes.get(p[0], ())]
