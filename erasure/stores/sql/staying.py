"""Rows of the person that stay while what their key refers to goes.

No part of a key is ever nulled, so the database would forbid that deletion, or take along what the
plan says stays. Better refused while planning than half-way through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from erasure.domain.errors import StoreError
from erasure.domain.plan import STAYING
from erasure.stores.base import Step, Work
from erasure.stores.sql.address import Address, KeyValues, address_of
from erasure.stores.sql.keyed import Keyed
from erasure.stores.sql.reflect import Child, Schema

_Rows = dict[str, tuple[Address, list[KeyValues]]]


def refuse_staying(keyed: Keyed, store: str, schema: Schema, works: Sequence[Work]) -> None:
    """Raise StoreError where a row that stays refers by its key to one that is deleted."""
    held = _rows_of(store, schema, [w for w in works if w.step.action in STAYING])
    for parent, keys in _rows_of(
        store, schema, [w for w in works if w.step.action == "delete"]
    ).values():
        for child in _tied(schema, parent, {c: address for c, (address, _) in held.items()}):
            address, staying = held[child.collection]
            places = [address.key.index(name) for name in child.key.columns]
            targets = child.key.target_columns
            gone = {tuple(row[n] for n in targets) for _, row in keyed.rows(parent, keys, targets)}
            if any(tuple(key[i] for i in places) in gone for key in staying):
                raise _keyed_to(store, child)


def ties_rows(store: str, schema: Schema, steps: Sequence[Step]) -> bool:
    """Whether :func:`refuse_staying` has to see the rows of some of these steps together."""
    places = [(s, address_of(store, schema, s.dataset)) for s in steps if s.via == "deep"]
    held = {address.shape.collection: address for s, address in places if s.action in STAYING}
    going = (address for s, address in places if s.action == "delete")
    return any(True for parent in going for _ in _tied(schema, parent, held))


def _tied(schema: Schema, parent: Address, held: Mapping[str, Address]) -> Iterator[Child]:
    """References to a table by the key of rows that stay."""
    for child in schema.children.get(parent.shape.collection, ()):
        address = held.get(child.collection)
        if address is not None and set(child.key.columns) <= set(address.key):
            yield child


def _rows_of(store: str, schema: Schema, works: Sequence[Work]) -> _Rows:
    found: _Rows = {}
    for work in works:
        if work.step.via == "deep" and work.keys:
            address = address_of(store, schema, work.step.dataset)
            found[address.shape.collection] = (address, [key.values for key in work.keys])
    return found


def _keyed_to(store: str, child: Child) -> StoreError:
    return StoreError(
        f"{store}.{child.collection}.{'+'.join(child.key.columns)}",
        f"rows here are to stay and refer by their key to rows of '{child.key.target}' that go; "
        f"declare `action: delete` here, or `action: anonymize` for {child.key.target}",
    )
