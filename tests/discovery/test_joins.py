"""References without foreign keys: which are worth measuring, and what the measures say."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from lineage.importers import discovery, joins
from lineage.importers.discovery import Discovery
from lineage.importers.joins import Candidate, KeySample, candidates, core_of
from lineage.importers.overlaps import Measure, judged
from lineage.schema import Column, ForeignKey, Inspection, Table

Made = tuple[str, Table]


def table(name: str, *columns: str, schema: str | None = None) -> Made:
    """Columns are ``name type``; the first is the primary key unless its type ends in ``?``."""
    made = []
    for number, text in enumerate(columns):
        column, _, kind = text.partition(" ")
        made.append(
            Column(
                name=column,
                data_type=kind.strip("?!") or "INTEGER",
                primary_key=number == 0 and not kind.endswith("?"),
                unique=kind.endswith("!"),
            )
        )
    return (f"{schema}.{name}" if schema else name), Table(
        name=name, schema=schema, columns=tuple(made)
    )


def links(*tables: Made, keys: joins.Keys | None = None) -> dict[str, str]:
    """``holder.column`` to ``how target.column``; several targets separated by a comma."""
    found: dict[str, str] = {}
    for one in candidates(dict(tables), keys or {}):
        place = f"{one.link.holder}.{one.link.column}"
        text = f"{one.how} {one.link.target}.{one.link.target_column}"
        found[place] = f"{found[place]}, {text}" if place in found else text
    return found


@pytest.mark.parametrize(
    ("column", "target"),
    [
        ("customer_id", "customer"), ("CustomerID", "Customers"), ("fk_kunde", "kunde"),
        ("kundennr", "kunden"), ("kunden_id", "Kunde"), ("id_client", "clients"),
        ("idcliente", "clienti"), ("user_id", "auth_user"), ("klant_nr", "klanten"),
        ("auftragsnummer", "auftrag"), ("category_code", "categories"),
        ("num_commande", "commande"),
        ("billing_address_id", "address"),
    ],
)  # fmt: skip
def test_a_column_named_after_a_table_refers_to_its_key(column: str, target: str) -> None:
    found = links(table("thing", "id", column), table(target, "id"), table("other", "id"))
    assert found == {f"thing.{column}": f"named {target}.id"}


def test_a_column_named_like_a_key_refers_to_it_whatever_prefix_the_table_has() -> None:
    found = links(
        table("customer", "c_custkey", "c_name TEXT"),
        table("orders", "o_orderkey", "o_custkey", "o_totalprice REAL"),
        table("lineitem", "l_id", "l_orderkey BIGINT", "l_quantity REAL"),
    )
    assert found == {
        "orders.o_custkey": "named customer.c_custkey",
        "lineitem.l_orderkey": "named orders.o_orderkey",
    }


def test_a_word_that_all_columns_share_is_not_left_out_where_it_names_a_table() -> None:
    found = links(
        table("pairs", "customer_id", "customer_type_id"),
        table("customers", "customer_id", "customer_name TEXT"),
        table("types", "id"),
    )
    assert found == {
        "pairs.customer_id": "named customers.customer_id",
        "pairs.customer_type_id": "named types.id",
    }


def test_an_abbreviation_a_bare_name_a_chief_and_an_actor_only_hint() -> None:
    found = links(
        table("customer", "id", "cust_parent_id"),
        table("sale", "id", "cust_id", "customer", "created_by"),
        table("employee", "id", "reports_to"),
    )
    assert found == {
        "customer.cust_parent_id": "hinted customer.id",
        "sale.cust_id": "hinted customer.id",
        "sale.customer": "hinted customer.id",
        "sale.created_by": "hinted customer.id, hinted employee.id",
        "employee.reports_to": "hinted employee.id",
    }


def test_the_key_of_a_table_does_not_refer_to_itself_and_a_declared_one_is_known() -> None:
    name, made = table("orders", "order_id", "customer_id")
    key = ForeignKey(name="f", columns=("customer_id",), target="customer", target_columns=("id",))
    declared = (name, Table(name=name, columns=made.columns, foreign_keys=(key,)))
    assert links(declared, table("customer", "id")) == {}
    assert links(table("customer", "customer_id"), table("profile", "customer_id")) == {
        "profile.customer_id": "named customer.customer_id"
    }


def test_a_number_of_the_row_itself_refers_to_nothing() -> None:
    assert links(table("customer", "id", "customer_no"), table("customer_type", "id")) == {}


@pytest.mark.parametrize("kind", ["REAL", "BOOLEAN", "TIMESTAMP", "BYTEA", "DECIMAL(10, 2)"])
def test_what_identifies_nothing_refers_to_nothing(kind: str) -> None:
    assert links(table("thing", "id", f"customer_id {kind}"), table("customer", "id")) == {}


def test_of_several_keys_the_one_that_the_name_ends_in_is_meant() -> None:
    customer = table("customer", "id", "email TEXT!", "name TEXT")
    assert links(table("a", "id", "customer_id"), customer) == {
        "a.customer_id": "named customer.id"
    }
    assert links(table("a", "id", "customer_email TEXT"), customer) == {
        "a.customer_email": "named customer.email"
    }


def test_the_table_of_the_own_schema_is_nearer() -> None:
    found = links(
        table("user", "id", schema="a"),
        table("user", "id", schema="b"),
        table("post", "id", "user_id", schema="b"),
    )
    assert found == {"b.post.user_id": "named b.user.id"}


def test_without_any_key_the_first_column_counts_where_it_does_not_repeat() -> None:
    orders = table("orders", "orderkey INTEGER?", "custkey")
    customer = table("customer", "custkey INTEGER?")
    assert links(orders, customer) == {"orders.custkey": "named customer.custkey"}
    unlike = {("customer", "custkey"): KeySample(values=(1, 2, 3))}
    twice = {("customer", "custkey"): KeySample(values=(1, 2, 3), repeated=True)}
    assert links(orders, customer, keys=unlike) == {"orders.custkey": "named customer.custkey"}
    assert links(orders, customer, keys=twice) == {}
    huge = replace(customer[1], rows=10**7)
    assert links(orders, ("customer", huge), keys=unlike) == {}


def keys(child: tuple[object, ...], parent: tuple[object, ...]) -> joins.Keys:
    return {("a", "x"): KeySample(values=child), ("b", "id"): KeySample(values=parent)}


@pytest.mark.parametrize(
    ("kind", "values", "found"),
    [
        ("TEXT", tuple(f"K-{i}" for i in range(20)), True),
        ("TEXT", tuple(f"{i:x}a{i * 7919:x}7f{i % 3}" for i in range(20)), True),
        ("UUID", tuple(UUID(int=i) for i in range(20)), True),
        ("BIGINT", tuple(range(10**15, 10**15 + 20)), True),
        ("INTEGER", tuple(range(20)), False),
        ("TEXT", tuple(str(i) for i in range(20)), False),
        ("TEXT", tuple(f"K-{i}" for i in range(5)), False),
    ],
)
def test_without_a_name_values_count_unless_they_are_small_numbers(
    kind: str, values: tuple[object, ...], found: bool
) -> None:
    tables = (table("a", "id", f"x {kind}"), table("b", f"id {kind}"))
    assert links(*tables, keys=keys(values, values)) == ({"a.x": "found b.id"} if found else {})


def test_small_numbers_are_not_looked_for_among_large_ones() -> None:
    tables = (table("a", "id", "x BIGINT"), table("b", "id BIGINT"))
    large = tuple(range(10**15, 10**15 + 20))
    assert links(*tables, keys=keys(tuple(range(20)), large)) == {}


def test_values_of_another_form_are_not_measured() -> None:
    tables = (table("a", "id", "x TEXT"), table("b", "id TEXT"))
    child, parent = (tuple(f"{letter}-{i}" for i in range(20)) for letter in ("K", "K-1"))
    assert links(*tables, keys=keys(child, parent)) == {}


def test_the_nearest_names_come_first_and_only_so_many_are_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = [table("customer", "id"), table("a", "id", "customer", "created_by", "customer_id")]
    assert [c.how for c in candidates(dict(tables), {})] == ["named", "hinted", "hinted"]
    monkeypatch.setattr(discovery, "MOST_MEASURED", 2)
    found = Discovery(Inspection(tables=dict(tables), fingerprint="x"))
    assert [c.how for c in found.candidates()] == ["named", "hinted"]
    assert len(found.findings().references) == 3


def candidate(how: joins.How = "named", *, sound: bool = True, target: str = "box") -> Candidate:
    tables = dict([table("a", "id", f"{target}_id"), table(target, "id")])
    (made,) = candidates(tables, {})
    return Candidate(link=made.link, how=how, sound=sound)


@pytest.mark.parametrize(
    ("how", "sound", "sampled", "found", "confidence"),
    [
        ("named", True, 200, 200, "high"),
        ("named", True, 200, 190, "high"),
        ("named", True, 200, 189, "medium"),
        ("named", True, 200, 99, "low"),
        ("named", True, 2, 2, "medium"),
        ("named", True, 0, 0, "medium"),
        ("named", False, 200, 200, "medium"),
        ("hinted", True, 200, 200, "medium"),
        ("hinted", True, 200, 100, None),
        ("hinted", True, 2, 2, "low"),
        ("hinted", True, 0, 0, "low"),
        ("found", True, 200, 200, "medium"),
        ("found", True, 9, 9, None),
        ("found", True, 200, 180, None),
    ],
)
def test_how_sure_a_reference_is(
    how: joins.How, sound: bool, sampled: int, found: int, confidence: str | None
) -> None:
    measure = Measure(sampled=sampled, found=found)
    got = judged({candidate(how, sound=sound): measure})
    assert [one.confidence for one in got] == ([confidence] if confidence else [])


def test_the_reason_counts_and_names_the_target() -> None:
    (one,) = judged({candidate(): Measure(sampled=200, found=200)})
    assert one.reason == "name and 200 of 200 different sampled values found in box.id"
    (one,) = judged({candidate(): Measure(sampled=200, found=120)})
    assert one.reason == "name, but 120 of 200 different sampled values found in box.id"
    (one,) = judged({candidate(): None})
    assert one.reason == "name, but no values looked at"
    (one,) = judged({candidate("found"): Measure(sampled=20, found=20)})
    assert one.reason == "20 of 20 different sampled values found in box.id"


def test_a_column_that_fits_two_tables_is_for_a_person_to_decide() -> None:
    tables = dict([table("a", "id", "user_id"), table("x_user", "id"), table("y_user", "id")])
    both = dict.fromkeys(candidates(tables, {}), Measure(sampled=50, found=50))
    assert [(one.link.target, one.confidence) for one in judged(both)] == [
        ("x_user", "medium"),
        ("y_user", "medium"),
    ]
    assert "as many in another table" in judged(both)[0].reason
    measures = [Measure(sampled=50, found=50), Measure(sampled=50, found=30)]
    one_fits = dict(zip(both, measures, strict=True))
    assert [(one.link.target, one.confidence) for one in judged(one_fits)] == [("x_user", "high")]


def test_a_key_sample_shows_no_value() -> None:
    assert "K-10023" not in repr(KeySample(values=("K-10023",)))


@pytest.mark.parametrize(
    ("name", "core"),
    [
        ("fk customer id", "customer"), ("custkey", "cust"), ("id client", "client"), ("id", ""),
        ("kundennr", "kunden"), ("name", "name"), ("code", ""), ("support rep id", "support rep"),
    ],
)  # fmt: skip
def test_the_core_of_a_name_is_what_it_is_a_number_of(name: str, core: str) -> None:
    assert core_of(name) == core
