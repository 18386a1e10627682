"""Rows that are passed on: which they are, and that they are found as all others are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from erasure.domain.bulk import Block, Bulk, Packed, Plain, bulk_of
from erasure.domain.finding import Answer, Lookup, People, Resolver, Seed, Wanted, add_wanted
from erasure.domain.values import Scalar, Value, canonical
from lineage.graph import Dataset, Edge, Effect, Field, Reference

Rows = Mapping[str, Sequence[Mapping[str, Scalar]]]


def dataset(name: str, *fields: Field) -> Dataset:
    own = (Field(name="id", primary_key=True), Field(name="sku"), *fields)
    return Dataset(address=name, store="s", name=name, fields=own)


def edge(origin: str, destination: str, effect: Effect = "deep") -> Edge:
    origin_name, origin_field = origin.split(".")
    name, field = destination.split(".")
    reference = Reference(
        holder=name, holder_field=field, target=origin_name, target_field=origin_field
    )
    return Edge(
        origin=origin_name,
        origin_field=origin_field,
        destination=name,
        destination_field=field,
        effect=effect,
        reference=reference,
    )


DATASETS = {
    "customer": dataset("customer", Field(name="email", identity="email")),
    "order": dataset("order", Field(name="customer_id")),
    "line": dataset("line", Field(name="order_id")),
    "part": dataset("part", Field(name="line_id"), Field(name="made_for")),
}
CHAIN = [
    edge("customer.id", "order.customer_id"),
    edge("order.id", "line.order_id"),
    edge("line.id", "part.line_id"),
]
MADE_FOR = edge("customer.id", "part.made_for")
BY_SKU = edge("order.sku", "line.sku")
GOING = frozenset({"customer", "order", "line", "part"})


def test_a_chain_of_rows_that_go_is_passed_on_but_for_its_root() -> None:
    once = {"order": False, "line": False, "part": False}
    assert bulk_of(DATASETS, CHAIN, {"customer"}, GOING) == once


def test_a_row_that_is_reached_in_two_ways_may_be_met_again() -> None:
    two = [*CHAIN, MADE_FOR]
    met = {"order": False, "line": False, "part": True}
    assert bulk_of(DATASETS, two, {"customer"}, GOING) == met


def test_a_row_that_is_dealt_with_in_several_ways_or_is_somebody_elses_is_kept() -> None:
    kept = {"order": False, "part": False}
    assert bulk_of(DATASETS, CHAIN, {"customer"}, GOING - {"line"}) == kept
    others = [CHAIN[0], edge("order.id", "line.order_id", "shallow"), CHAIN[2]]
    assert bulk_of(DATASETS, others, {"customer"}, GOING) == kept
    assert bulk_of(DATASETS, [*others, CHAIN[1]], {"customer"}, GOING) == kept
    seeded = bulk_of(DATASETS, CHAIN, {"customer", "order"}, GOING)
    assert seeded == {"line": False, "part": False}


def test_a_row_that_two_forgotten_rows_may_lead_to_may_be_met_again() -> None:
    shared = [CHAIN[0], edge("order.sku", "line.order_id"), CHAIN[2]]
    met = {"order": False, "line": True, "part": False}
    assert bulk_of(DATASETS, shared, {"customer"}, GOING) == met


def test_rows_that_lead_back_to_themselves_are_kept() -> None:
    back = [*CHAIN[:2], edge("line.id", "order.sku"), CHAIN[2]]
    assert bulk_of(DATASETS, back, {"customer"}, GOING) == {"part": False}
    alone = [*CHAIN, edge("part.id", "part.made_for")]
    assert bulk_of(DATASETS, alone, {"customer"}, GOING) == {"order": False, "line": False}


def test_a_row_that_a_mailbox_leads_to_is_kept() -> None:
    mailed = {**DATASETS, "line": dataset("line", Field(name="order_id", identity="email"))}
    assert bulk_of(mailed, CHAIN, {"customer"}, GOING) == {"order": False, "part": False}


CARRY = {"customer": ("id",), "order": ("id", "sku"), "line": ("id",), "part": ()}


class World:
    """Rows to be searched; what is passed on is told as ``dataset/id/person``."""

    def __init__(self, rows: Rows, size: int, again: Mapping[str, bool]) -> None:
        self._rows, self._size, self._again = rows, size, again
        self.told: list[str] = []

    def _hits(
        self, name: str, field: str, values: Sequence[Value]
    ) -> Iterator[tuple[Packed, Value]]:
        for row in self._rows[name]:
            for value in values:
                if canonical(row[field]) == canonical(value):
                    yield (row["id"], *(row[n] for n in CARRY[name])), value

    def search(self, lookup: Lookup, values: Sequence[Value]) -> Iterator[Answer]:
        for row, value in self._hits(lookup.dataset, lookup.fields[0], values):
            led = dict(zip(CARRY[lookup.dataset], row[1:], strict=True))
            yield Answer(values=row[:1], matched=(value,), carry=led, payload=None)

    def blocks(self, asked: Plain, values: Sequence[Value]) -> Iterator[Block]:
        every = list(self._hits(asked.dataset, asked.field, values))
        for start in range(0, len(every), self._size):
            part = every[start : start + self._size]
            yield Block(1, [row for row, _ in part], [(value,) for _, value in part])

    def keep(self, name: str, block: Block, whose: People) -> list[tuple[People, Block]]:
        new = []
        for person in whose:
            rows = [r for r in block.rows if f"{name}/{r[0]!r}/{person}" not in self.told]
            assert len(rows) == len(block.rows) or self._again[name]
            self.told.extend(f"{name}/{row[0]!r}/{person}" for row in rows)
            new.append((frozenset({person}), Block(block.width, rows, ())))
        return new


def found(
    rows: Rows,
    people: Mapping[str, str],
    passed: Mapping[str, bool],
    size: int,
    edges: Sequence[Edge] = CHAIN,
) -> set[str]:
    """Everything that is found, some datasets passed on in blocks."""
    world = World(rows, size, passed)
    places = {name: {n: i for i, n in enumerate(names)} for name, names in CARRY.items()}
    bulk = Bulk(passed, world.blocks, world.keep, places)
    resolver = Resolver(edges, DATASETS, world.search, bulk)
    wanted: Wanted = {}
    for person, email in people.items():
        add_wanted(wanted, email, frozenset({person}), "email")
    seed = Seed(dataset="customer", field="email", kind="email")
    with patch("erasure.domain.finding.AT_ONCE", size):
        resolver.start([seed], {"email": wanted})
    kept = resolver.findings.walk()
    return {*world.told, *(f"{name}/{t[0]}/{p}" for name, t, row in kept for p in row.deep_for)}


@given(
    orders=st.lists(st.integers(0, 4), max_size=8),
    lines=st.lists(st.integers(0, 7), max_size=12),
    parts=st.lists(st.integers(0, 11), max_size=12),
    people=st.sets(st.integers(0, 4), min_size=1),
    size=st.integers(1, 4),
    going=st.sets(st.sampled_from(["order", "line", "part"])),
    more=st.sets(st.sampled_from([MADE_FOR, BY_SKU])),
)
def test_what_is_passed_on_is_what_would_have_been_found(
    orders: list[int],
    lines: list[int],
    parts: list[int],
    people: set[int],
    size: int,
    going: set[str],
    more: set[Edge],
) -> None:
    rows: Rows = {
        # Two customers may share a mailbox, and so their rows.
        "customer": [{"id": n, "email": f"p{n // 2}@example.com"} for n in range(5)],
        "order": [{"id": n, "customer_id": c, "sku": n % 3} for n, c in enumerate(orders)],
        "line": [{"id": n, "order_id": o, "sku": o % 2} for n, o in enumerate(lines)],
        "part": [{"id": n, "line_id": i, "made_for": i % 5} for n, i in enumerate(parts)],
    }
    edges = [*CHAIN, *more]
    passed = bulk_of(DATASETS, edges, {"customer"}, going)
    everybody = {f"person{n}": f"p{n // 2}@example.com" for n in people}
    assert found(rows, everybody, passed, size, edges) == found(rows, everybody, {}, size, edges)
