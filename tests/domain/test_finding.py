"""Following a reach row by row, against a tiny world in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from erasure.domain.finding import Answer, Findings, Lookup, Resolver, Seed, Wanted, add_wanted
from erasure.domain.values import Many, Scalar, Value, canonical, each, from_json, holds, to_json
from lineage.graph import Dataset, Edge, Effect, Field, Reference

Rows = Mapping[str, Sequence[Mapping[str, Scalar]]]


def dataset(name: str, *fields: Field) -> Dataset:
    return Dataset(address=name, store="s", name=name, fields=fields)


def edge(origin: str, destination: str, effect: Effect = "deep") -> Edge:
    origin_name, origin_field = origin.split(".")
    destination_name, destination_field = destination.split(".")
    reference = Reference(
        holder=destination_name,
        holder_field=destination_field,
        target=origin_name,
        target_field=origin_field,
    )
    return Edge(
        origin=origin_name,
        origin_field=origin_field,
        destination=destination_name,
        destination_field=destination_field,
        effect=effect,
        reference=reference,
    )


def resolve(rows: Rows, edges: Sequence[Edge], emails: Mapping[str, str]) -> Findings:
    """Search ``rows`` for everybody in ``emails`` (person → email)."""
    datasets = {name: dataset(name, Field(name="email", identity="email")) for name in rows}

    def search(lookup: Lookup, values: Sequence[Value]) -> Iterator[Answer]:
        kind = "email" if lookup.mode == "email" else None
        for row in rows[lookup.dataset]:
            name = lookup.fields[0]
            texts = {canonical(v, kind) for v in values}
            held = [v for v in each(row.get(name)) if canonical(v, kind) in texts]
            there = {canonical(v, kind) for v in held}
            matched = tuple(v for v in values if canonical(v, kind) in there)
            parts = {name: Many(tuple(held))} if isinstance(row.get(name), Many) else {}
            if matched:
                yield Answer(
                    values=(row["id"],), matched=matched, carry=row, payload=row["id"], parts=parts
                )

    wanted: Wanted = {}
    for person, email in emails.items():
        add_wanted(wanted, email, frozenset({person}), "email")
    resolver = Resolver(edges, datasets, search)
    resolver.start([Seed(dataset="customer", field="email", kind="email")], {"email": wanted})
    return resolver.findings


WORLD: Rows = {
    "customer": [
        {"id": 0, "email": "Ann@example.com", "address_id": 9},
        {"id": 7, "email": "bob@example.com", "address_id": 9},
    ],
    "order": [{"id": 1, "customer_id": "0"}, {"id": 2, "customer_id": 7}, {"id": 3}],
    "address": [{"id": 9}],
}
EDGES = [
    edge("customer.id", "order.customer_id"),
    edge("customer.address_id", "address.id", "refcount"),
]


def test_two_people_whose_mailboxes_only_folding_makes_one_are_looked_for_by_both() -> None:
    rows: Rows = {"customer": [{"id": 1, "email": "info@straße.example"},
                         {"id": 2, "email": "info@strasse.example"}]}  # fmt: skip
    found = resolve(rows, [], {"ann": "Info@Straße.example", "bob": "info@strasse.example"})
    whose = {values: row.owners for values, row in found.rows["customer"].items()}
    assert {values[0]: set(owners) for values, owners in whose.items()} == {
        "1": {"ann"},
        "2": {"bob"},
    }


def keys(findings: Findings, name: str) -> set[str]:
    return {text[0] for text in findings.rows.get(name, {})}


def test_a_falsy_id_and_its_text_lead_to_the_same_rows() -> None:
    findings = resolve(WORLD, EDGES, {"ann": "ann@EXAMPLE.com"})
    assert keys(findings, "customer") == {"0"}
    assert keys(findings, "order") == {"1"}


def test_a_shared_row_knows_everybody_it_was_reached_for() -> None:
    findings = resolve(WORLD, EDGES, {"ann": "ann@example.com", "bob": "bob@example.com"})
    assert findings.rows["address"]["9",].people == {"ann", "bob"}
    assert findings.rows["order"]["1",].people == {"ann"}
    assert findings.rows["order"]["2",].people == {"bob"}


def test_null_leads_nowhere() -> None:
    rows = {**WORLD, "customer": [{"id": None, "email": "ann@example.com"}]}
    assert keys(resolve(rows, EDGES, {"ann": "ann@example.com"}), "order") == set()


def test_shallow_rows_are_found_and_end_the_walk() -> None:
    edges = [edge("customer.id", "order.customer_id", "shallow"), edge("order.id", "address.id")]
    findings = resolve(WORLD, edges, {"ann": "ann@example.com"})
    assert findings.count("order", "shallow") == 1
    assert keys(findings, "address") == set()


def test_the_strongest_effect_wins_whatever_is_found_first() -> None:
    for effects in (("shallow", "deep"), ("deep", "shallow")):
        edges = [
            edge("customer.id", "order.customer_id", effects[0]),
            edge("customer.id", "order.customer_id", effects[1]),
        ]
        findings = resolve(WORLD, edges, {"ann": "ann@example.com"})
        assert findings.count("order", "deep") == 1
        assert findings.count("order", "shallow") == 0


def test_cycles_and_self_references_end() -> None:
    rows: Rows = {
        "customer": [
            {"id": n, "email": f"p{n}@example.com", "friend": (n + 1) % 5} for n in range(5)
        ]
    }
    edges = [edge("customer.friend", "customer.id"), edge("customer.id", "customer.friend")]
    findings = resolve(rows, edges, {"p": "p0@example.com"})
    assert keys(findings, "customer") == {"0", "1", "2", "3", "4"}


@given(
    parents=st.lists(st.integers(0, 12), min_size=1, max_size=13),
    people=st.sets(st.integers(0, 12), min_size=1, max_size=4),
)
def test_people_searched_together_find_what_each_finds_alone(
    parents: list[int], people: set[int]
) -> None:
    rows: Rows = {
        "customer": [
            {"id": n, "email": f"p{n}@example.com", "parent": parent % (n + 1)}
            for n, parent in enumerate(parents)
        ]
    }
    edges = [edge("customer.id", "customer.parent")]
    everybody = {str(p): f"p{p}@example.com" for p in people}
    together = resolve(rows, edges, everybody)
    for person, email in everybody.items():
        alone = keys(resolve(rows, edges, {person: email}), "customer")
        mine = {t[0] for t, r in together.rows.get("customer", {}).items() if person in r.people}
        assert mine == alone


def test_of_several_values_in_one_field_each_leads_to_its_own_person() -> None:
    world: Rows = {
        "customer": [{**WORLD["customer"][0], "tags": Many((3, "4"))}, WORLD["customer"][1]],
        "team": [{"id": 1, "members": Many((7, "0", 0, 5))}, {"id": 2, "members": Many((5,))}],
        "tag": [{"id": n} for n in (3, 4, 5)],
    }
    edges = [edge("customer.id", "team.members", "shallow"), edge("customer.tags", "tag.id")]
    found = resolve(world, edges, {"ann": "ann@example.com", "bob": "bob@example.com"})
    ann, bob = frozenset({"ann"}), frozenset({"bob"})
    (team,) = found.rows["team"].values()
    assert team.shallow_by == {("members",): ann | bob}
    assert team.parts == {"members": {7: bob, "0": ann, 0: ann}}
    assert keys(found, "tag") == {"3", "4"}


def test_a_guard_of_several_values_holds_while_those_met_are_among_them() -> None:
    assert holds(Many((7, "5")), Many((5,)))
    assert holds(Many((7,)), None)
    assert not holds(Many((7,)), Many((5, 7)))
    assert holds(5, 5)
    assert not holds(None, 5)


@given(st.lists(st.integers() | st.text() | st.decimals(allow_nan=False)))
def test_several_values_are_written_down_and_read_back(items: list[Scalar]) -> None:
    plain = json.loads(json.dumps(to_json(Many(tuple(items)))))
    assert from_json(plain) == Many(tuple(items))
