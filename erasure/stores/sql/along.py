"""Rows that go along: what references do by themselves when the rows they refer to go.

ON DELETE CASCADE, SET NULL and SET DEFAULT act on children without a word, and on their children
in turn. Nothing of that may happen but what the plan names or an officer has accepted.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from erasure.domain.errors import LateRows, StoreError
from erasure.domain.values import Scalar
from erasure.stores.base import SideEffectKind, Step, Work
from erasure.stores.sql.address import Address, KeyValues, address_of
from erasure.stores.sql.keyed import Keyed, Row
from erasure.stores.sql.references import Planned, Values, link_of, referring
from erasure.stores.sql.reflect import Child, Schema
from lineage.schema import ForeignKey

_KINDS: Mapping[str, SideEffectKind] = {
    "CASCADE": "cascade",
    "SET NULL": "set_null",
    "SET DEFAULT": "set_default",
    # A rule that this user may not read: the worst is assumed.
    "UNKNOWN": "cascade",
}
# Per row that goes by its own step: how many others go along, by the code of the side effect.
Counted = dict[KeyValues, Counter[str]]
_Going = list[tuple[KeyValues, Row]]


def kind_of(key: ForeignKey) -> SideEffectKind | None:
    """What a foreign key does to its rows by itself; None where it only forbids. PostgreSQL may
    add the columns that it empties: ``SET NULL (column)``."""
    return _KINDS.get(key.on_delete.partition(" (")[0])


def code_of(store: str, child: Child) -> str:
    """The stable name of what a reference does by itself."""
    return f"{kind_of(child.key)}:{store}.{child.collection}.{'+'.join(child.key.columns)}"


def collections_of(store: str, schema: Schema, codes: Collection[str]) -> set[str]:
    """The collections of which these references change or delete rows by themselves."""
    children = (child for found in schema.children.values() for child in found)
    return {child.collection for child in children if codes and code_of(store, child) in codes}


def named_fields(schema: Schema, steps: Iterable[Step]) -> dict[str, frozenset[str]]:
    """Per collection the references to its rows that the plan knows, field by field."""
    named: dict[str, frozenset[str]] = {}
    for step in steps:
        collection = schema.collection(step.dataset.name, step.dataset.schema)
        named[collection] = named.get(collection, frozenset()) | searched_by(step)
    return named


def searched_by(step: Step) -> frozenset[str]:
    """Fields of the references that lead to a step's rows. One that is cut in the person's own
    row, and in nobody else's, leads to no row of others."""
    cut = () if step.via == "deep" else step.cut
    return frozenset((*step.guard, *cut, *step.reference))


def is_named(child: Child, fields: Mapping[str, frozenset[str]]) -> bool:
    """True where the plan knows that reference, in all its columns: its rows are its own."""
    return set(child.key.columns) <= fields.get(child.collection, frozenset())


def targets_of(schema: Schema, collection: str) -> tuple[str, ...]:
    """Columns of a collection that others refer to."""
    children = schema.children.get(collection, ())
    return tuple(dict.fromkeys(c for child in children for c in child.key.target_columns))


@dataclass
class Following:
    """A walk over the rows that go along. ``allowed``: codes that may happen; None only counts."""

    connection: sa.Connection
    store: str
    schema: Schema
    planned: Planned
    allowed: frozenset[str] | None
    counted: Counted = field(default_factory=dict)
    _seen: set[tuple[str, Values]] = field(default_factory=set)
    _held: list[tuple[Child, Values]] = field(default_factory=list)

    def follow(self, collection: str, rows: _Going) -> Counted:
        """Count what goes along with ``rows`` of a collection, each with the columns that others
        refer to. Raises LateRows where the plan knows a reference but not the row, StoreError
        where nobody has accepted what would happen."""
        waiting = deque([(collection, rows, True)])
        while waiting:
            parent, going, planned = waiting.popleft()
            for child in self.schema.children.get(parent, ()) if going else ():
                # What forbids the deletion of a planned row says so itself.
                if not planned or kind_of(child.key):
                    own = planned and is_named(child, self.planned.fields)
                    more = self._unnamed(parent, child, going, own=own)
                    waiting.append((child.collection, more, False))
        for child, row in self._held:
            if (child.collection, row) not in self._seen:
                raise _forbidding(self.store, child)
        return self.counted

    def _unnamed(self, parent: str, child: Child, going: _Going, *, own: bool) -> _Going:
        """Rows of a child that refer to rows that go; those among them that go themselves.
        ``own``: the plan knows that reference, so that no row but a late one can be left."""
        kind = kind_of(child.key)
        if self.allowed is None and (own or kind is None):
            return []
        code, more = code_of(self.store, child), []
        for root, identity, row in self._referring(child, going):
            if kind is None:
                self._held.append((child, identity))
            elif own:
                raise LateRows(f"{self.store}.{child.collection}")
            elif self.allowed is not None and code not in self.allowed:
                raise self._unaccepted(parent, child)
            elif (child.collection, identity) not in self._seen:
                self.counted.setdefault(root, Counter())[code] += 1
                if kind == "cascade" and not self._is_leaf(child):
                    self._seen.add((child.collection, identity))
                    more.append((root, row))
        return more

    def _unaccepted(self, parent: str, child: Child) -> StoreError:
        """Of a table that the plan acts on, another search may find the row by another way."""
        if child.collection in self.planned.fields:
            return LateRows(f"{self.store}.{child.collection}")
        return _unplanned(self.store, parent, child)

    def _referring(self, child: Child, going: _Going) -> Iterator[tuple[KeyValues, Values, Row]]:
        """Rows of a child that the plan does not remove: whose row takes them along, what
        identifies them, and the columns that others refer to."""
        link = link_of(self.schema, child)
        targets = targets_of(self.schema, child.collection)
        identity = link.shape.table.primary_key or targets or link.columns
        gone = self.planned.removed.get(child.collection, frozenset()).union(
            *(self.planned.cut.get((child.collection, n), ()) for n in child.key.columns)
        )
        values = [tuple(row[n] for n in link.target_columns) for _, row in going]
        roots = {link.normal(v): root for v, (root, _) in zip(values, going, strict=True)}
        names = tuple(dict.fromkeys((*identity, *targets)))
        for normal, row in referring(self.connection, link, values, names):
            told = tuple(row[n] for n in identity)
            if told not in gone:
                yield roots[normal], told, row

    def _is_leaf(self, child: Child) -> bool:
        """Nothing follows from such a row, and nothing else leads to it: it need not be kept."""
        table = self.schema.shapes[child.collection].table
        return len(table.foreign_keys) == 1 and child.collection not in self.schema.children


def refuse_asleep(store: str, schema: Schema, collection: str) -> None:
    """Raises StoreError where a reference to rows that go, or to others that go along with them,
    is switched off: what it says would not be done, and nobody would be told."""
    waiting, seen = [collection], {collection}
    while waiting:
        for child in schema.children.get(waiting.pop(), ()):
            if child.key.asleep:
                raise _asleep(store, child)
            if kind_of(child.key) == "cascade" and child.collection not in seen:
                seen.add(child.collection)
                waiting.append(child.collection)


def takes_along(schema: Schema, address: Address) -> bool:
    """Whether anything may go along with rows of that table."""
    children = schema.children.get(address.shape.collection, ())
    return any(kind_of(child.key) for child in children)


def take_along(
    following: Following,
    keyed: Keyed,
    address: Address,
    guards: Mapping[KeyValues, tuple[Scalar, ...]],
    guard: Sequence[str],
) -> Counted:
    """Before rows go: count what goes along with them, and refuse what nobody accepted.

    The parents are locked first, so that no child can be added between this look and the
    deletion. Raises as :meth:`Following.follow`.
    """
    collection = address.shape.collection
    names = [*targets_of(following.schema, collection), *guard]
    parents = [
        (key, row)
        for key, row in keyed.rows(address, list(guards), names, lock=True)
        if tuple(row[name] for name in guard) == guards[key]
    ]
    return following.follow(collection, parents)


def count_along(
    connection: sa.Connection, keyed: Keyed, store: str, schema: Schema, works: Sequence[Work]
) -> Counter[str]:
    """How many rows would go along with the works, by code; nothing is locked or refused."""
    going = [
        (address_of(store, schema, work.step.dataset), [key.values for key in work.keys])
        for work in works
        if work.step.action == "delete" and work.step.via == "deep"
    ]
    planned = Planned(
        removed={address.shape.collection: frozenset(keys) for address, keys in going},
        fields=named_fields(schema, (work.step for work in works)),
        keys={},
        cut=_cut_before(schema, works),
    )
    following = Following(connection, store, schema, planned, allowed=None)
    for address, keys in going:
        collection = address.shape.collection
        names = targets_of(schema, collection)
        if names:
            following.follow(collection, list(keyed.rows(address, keys, names)))
    return sum(following.counted.values(), Counter[str]())


def _cut_before(
    schema: Schema, works: Sequence[Work]
) -> Mapping[tuple[str, str], frozenset[KeyValues]]:
    """Rows that stay and lose a reference before what it leads to goes."""
    cut: dict[tuple[str, str], frozenset[KeyValues]] = {}
    for work in works:
        dataset = work.step.dataset
        for name in work.step.cut:
            at = (schema.collection(dataset.name, dataset.schema), name)
            cut[at] = cut.get(at, frozenset()) | {key.values for key in work.keys}
    return cut


def _unplanned(store: str, parent: str, child: Child) -> StoreError:
    return StoreError(
        f"{store}.{child.collection}",
        f"rows here would change with '{parent}' (ON DELETE {child.key.on_delete}) and the plan "
        "does not name them; declare the table and its reference in the catalogue, or accept "
        f"{code_of(store, child)}, then plan again",
    )


def _forbidding(store: str, child: Child) -> StoreError:
    return StoreError(
        f"{store}.{child.collection}",
        f"rows here refer to rows of '{child.key.target}' that would go along, and forbid it; "
        "declare both tables and their references in the catalogue, then plan again",
    )


def _asleep(store: str, child: Child) -> StoreError:
    return StoreError(
        f"{store}.{child.collection}.{'+'.join(child.key.columns)}",
        f"its reference to '{child.key.target}' is switched off, so that rows would stay which it "
        f"takes along or keeps from going; ALTER TABLE {child.key.target} ENABLE TRIGGER ALL",
    )
