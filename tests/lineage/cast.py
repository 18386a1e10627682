"""Small graphs, said briefly."""

from __future__ import annotations

from collections.abc import Mapping

from lineage.adjacency import neighbours_in
from lineage.graph import Dataset, Derivation, Field, Reach, Reference, walk
from lineage.graph import Edge as Edge

# A catalogue file up to the collections of its only dataset, which begin at line 7.
HEAD = """\
store:
  - {name: db, kind: sql, url: "${DB_URL}"}
dataset:
  - fides_key: shop
    erasure: {store: db}
    collections:
"""


def table(address: str, *fields: Field, action: str | None = None, store: str = "db") -> Dataset:
    """A dataset with a key ``id`` and the fields given."""
    key = Field(name="id", primary_key=True)
    name = address.partition(".")[2] or address
    return Dataset(address=address, store=store, name=name, fields=(key, *fields), action=action)


def person(address: str, *fields: Field) -> Dataset:
    """A dataset that an email leads to."""
    email = Field(name="email", categories=("user.contact.email",), identity="email")
    return table(address, email, *fields)


def personal(name: str) -> Field:
    """A field with a personal category and no identity."""
    return Field(name=name, categories=("user.contact.address",))


def ref(text: str, **values: str | bool) -> Reference:
    """``ref("order.customer_id > customer.id", direction="from")``"""
    holder, _, target = text.partition(" > ")
    ends = [end.rpartition(".") for end in (holder, target)]
    return Reference(
        holder=ends[0][0],
        holder_field=ends[0][2],
        target=ends[1][0],
        target_field=ends[1][2],
        **values,  # type: ignore[arg-type]
    )


def reach(
    datasets: list[Dataset],
    references: list[Reference],
    derivations: list[Derivation] | None = None,
    start: Mapping[str, list[str]] | None = None,
) -> Reach:
    """The walk from every identity, or from ``start``."""
    by_address = {d.address: d for d in datasets}
    identities = {a: [f.name for f in d.identities] for a, d in by_address.items() if d.identities}
    neighbours = neighbours_in(references, derivations or [], by_address)
    return walk(identities if start is None else start, neighbours)


def effects(found: Reach) -> dict[str, str | None]:
    """Address to effect."""
    return {stop.address: stop.effect for stop in found.stops}
