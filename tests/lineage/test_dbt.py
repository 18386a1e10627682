"""dbt projects as catalogue entries: the public samples whole, and what other versions have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from lineage import catalog, selectors
from lineage.errors import CatalogueError
from lineage.graph import Dataset, Field, Reference, StoreEntry, walk
from lineage.importers import dbt
from lineage.importers.entries import Catalogue, Placed
from tests.scenarios.conftest import shared

V12, V2, V2_CATALOG = "v12_duckdb_manifest.json", "v2_manifest.json", "v2_catalog.json"


def datasets(read: Catalogue) -> dict[str, Dataset]:
    return {placed.value.address: placed.value for placed in read.datasets}


def edges(read: Catalogue) -> dict[tuple[str, str], dict[str, str]]:
    return {(d.value.upstream, d.value.downstream): dict(d.value.columns) for d in read.derivations}


def names(dataset: Dataset) -> list[str]:
    return [f.name for f in dataset.fields]


@pytest.mark.shared
def test_every_dataset_edge_and_column_of_the_project_of_dbt_1_8() -> None:
    read = dbt.read([str(shared("dbt", V12))], store="jaffle_shop")
    assert [(s.value.name, s.value.kind) for s in read.stores] == [("jaffle_shop", "duckdb")]
    found = datasets(read)
    payments = ["credit_card", "coupon", "bank_transfer", "gift_card"]
    customer = ["customer_id", "first_name", "last_name"]
    fields = {a.removeprefix("jaffle_shop_main."): set(names(d)) for a, d in found.items()}
    assert fields == {
        "customers": {*customer, "first_order", "most_recent_order", "number_of_orders",
                      "total_order_amount", "customer_lifetime_value"},
        "orders": {"order_id", "customer_id", "order_date", "status", "amount",
                   *(f"{kind}_amount" for kind in payments)},
        "raw_customers": set(), "raw_orders": set(), "raw_payments": set(),
        "stg_customers": set(customer),
        "stg_orders": {"order_id", "customer_id", "order_date", "status"},
        "stg_payments": {"order_id", "payment_method", "amount"},
    }  # fmt: skip
    main = "jaffle_shop_main"
    assert edges(read) == {
        (f"{main}.stg_customers", f"{main}.customers"): {name: name for name in customer},
        (f"{main}.stg_orders", f"{main}.customers"): {},
        (f"{main}.stg_payments", f"{main}.customers"): {},
        (f"{main}.stg_orders", f"{main}.orders"): {
            name: name for name in ("order_id", "customer_id", "order_date", "status")
        },
        (f"{main}.stg_payments", f"{main}.orders"): {},
    }
    # unique and never null, so the tests of the project say
    assert (found[f"{main}.customers"].key, found[f"{main}.orders"].key) == (
        ("customer_id",), ("order_id",)
    )  # fmt: skip
    assert found[f"{main}.customers"].owner == "data-team"
    said = "\n".join(read.warnings)
    assert (
        "model.jaffle_shop.customers: is said to hold no personal data, but has first_name" in said
    )
    assert "reads 'jaffle_shop.main.stg_payments', which the manifest does not list" in said


@pytest.mark.shared
def test_every_dataset_edge_and_column_of_the_old_project_and_its_catalog() -> None:
    read = dbt.read([str(shared("dbt", name)) for name in (V2_CATALOG, V2)], store="dbt_test")
    assert [(s.value.name, s.value.kind) for s in read.stores] == [("dbt_test", "bigquery")]
    found = datasets(read)
    source, model = "dbt_test_dbt_test1.source_table", "dbt_test_dbt_test1.test_model"
    assert {address: names(d) for address, d in found.items()} == {source: ["id"], model: ["id"]}
    assert edges(read) == {(source, model): {"id": "id"}}
    assert (found[model].action, found[model].because[:6]) == ("ignore", "a view")
    assert (found[source].action, found[source].schema) == (None, "dbt_test1")


@pytest.mark.shared
@pytest.mark.django_db
def test_the_command_knows_a_project_when_it_sees_one(capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(shared("dbt", name)) for name in (V2, V2_CATALOG)]
    with pytest.raises(CommandError) as caught:
        call_command("import_lineage", *files)
    assert str(caught.value).startswith(
        "--store: say which store the tables of dbt_test are in (bigquery "
    )
    assert selectors.stores() == []
    own = StoreEntry(name="dbt_test", kind="sql", url="${WAREHOUSE_URL}")
    catalog.upsert(Catalogue(stores=(Placed(value=own, place=""),)))
    call_command("import_lineage", *files)
    assert capsys.readouterr().out.splitlines()[0] == "added: 2 datasets, 2 fields, 1 derivation"
    call_command("import_lineage", *files, "--format", "dbt")
    assert capsys.readouterr().out.split() == ["added:", "nothing", "changed:", "nothing",
                                               "removed:", "nothing"]  # fmt: skip
    with pytest.raises(CommandError, match="--prune: dbt is not all there is"):
        call_command("import_lineage", *files, "--prune")
    with pytest.raises(CommandError, match="shop: unknown store"):
        call_command("import_lineage", *files, "--store", "shop")


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        (["postgresql://u:p@host/db"], ""),
        (["postgresql://host/db", "mysql://host/db", "postgresql://host/other"], ""),
        (["postgresql://host/other"], "declare one first if there is none"),
        (["postgresql://one/db", "postgresql://two/DB"], "s0, s1 all fit"),
    ],
)
def test_a_project_is_put_where_its_database_is_or_nowhere(
    urls: list[str], words: str, tmp_path: Path
) -> None:
    path = built(tmp_path, nodes={"model.p.people": node("people", column("id"))})
    stores = [StoreEntry(name=f"s{n}", kind="sql", url=url) for n, url in enumerate(urls)]
    if words:
        with pytest.raises(CatalogueError, match=words) as caught:
            dbt.read([path], stores=stores)
        assert "p@" not in str(caught.value)
    else:
        read = dbt.read([path], stores=stores)
        assert {p.value.store for p in read.datasets} == {"s0"}


def column(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


def node(name: str, *columns: dict[str, Any], kind: str = "model", **more: Any) -> dict[str, Any]:
    return {
        "resource_type": kind,
        "database": "db",
        "schema": "main",
        "name": name,
        "alias": name,
        "columns": {c["name"]: c for c in columns},
        **more,
    }


def built(tmp_path: Path, version: int = 12, **groups: Any) -> str:
    schema = f"https://schemas.getdbt.com/dbt/manifest/v{version}.json"
    metadata = {"dbt_schema_version": schema, "project_name": "p", "adapter_type": "postgres"}
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"metadata": metadata, **groups}))
    return str(path)


def uses(*nodes: str) -> dict[str, Any]:
    return {"depends_on": {"nodes": list(nodes)}}


@pytest.mark.parametrize("version", [2, 7, 12, 13])
def test_sources_seeds_snapshots_and_exposures_of_every_version(
    tmp_path: Path, version: int
) -> None:
    sql = "compiled_sql" if version < 7 else "compiled_code"
    path = built(
        tmp_path,
        version,
        nodes={
            "seed.p.country": node("country", column("code"), kind="seed"),
            "model.p.inner": node("inner", config={"materialized": "ephemeral"},
                                  **uses("source.p.crm.people")),
            "model.p.person": node("person", **{sql: "select id, email from main.people"},
                                   **uses("model.p.inner", "seed.p.country")),
            "snapshot.p.past": node("past", kind="snapshot", **uses("model.p.person")),
            "test.p.t": {"resource_type": "test", **uses("model.p.person")},
            "analysis.p.a": {"resource_type": "analysis", **uses("model.p.person")},
            "model.p.nonsense": 7,
        },
        sources={"source.p.crm.people": node("x", column("id"), column("email"), kind="source",
                                             identifier="people")},
        exposures={
            "exposure.p.board": {"resource_type": "exposure", "name": "board", "type": "dashboard",
                                 "owner": {"name": "Sales", "email": "olga@example.com"},
                                 **uses("model.p.person")},
            "exposure.p.churn": {"resource_type": "exposure", "name": "churn", "type": "ml",
                                 **uses("snapshot.p.past")},
        },
    )  # fmt: skip
    read = dbt.read([path], store="p")
    assert set(edges(read)) == {
        ("p_main.people", "p_main.person"),  # through the ephemeral model
        ("p_main.country", "p_main.person"),
        ("p_main.person", "p_main.past"),
        ("p_main.person", "p_exposures.board"),
        ("p_main.past", "p_exposures.churn"),
    }
    assert edges(read)["p_main.people", "p_main.person"] == {"id": "id", "email": "email"}
    kinds = {d.value.downstream: d.value.kind for d in read.derivations}
    assert kinds["p_exposures.board"] == "exported"
    assert kinds["p_exposures.churn"] == "trained"
    assert datasets(read)["p_exposures.board"].owner == "Sales"
    assert "olga" not in str(read)
    assert ("is newer than v12" in str(read.warnings)) is (version == 13)


def test_meta_and_tags_classify_and_classes_come_with_the_values(tmp_path: Path) -> None:
    path = built(
        tmp_path,
        nodes={
            "model.p.stg": node(
                "stg",
                column("id"),
                column("email", meta={"pii": True, "identity": "email"}),
                column("code", config={"tags": ["PII"]}),
                column("born", meta={"data_categories": ["user.demographic.date_of_birth"]}),
                column("rank"),
            ),
            "model.p.mart": node(
                "mart",
                compiled_code="select id, upper(email) as loud, max(born) as b from main.stg "
                "group by 1, 2",
                **uses("model.p.stg"),
            ),
            "model.p.said": node("said", column("phone"), column("x"), tags=["pii"]),
            "model.p.all": node("all", column("x"), column("y"), meta={"contains_pii": "yes"}),
            "model.p.kept": node(
                "kept", meta={"erasure": {"action": "anonymize", "because": "books"}}
            ),
        },
    )
    read = dbt.read([path], store="p")
    found = datasets(read)
    categories = {
        f"{address.partition('.')[2]}.{f.name}": f.categories
        for address, dataset in found.items()
        for f in dataset.fields
        if f.categories
    }
    assert categories == {
        "stg.email": ("user.contact.email",),
        "stg.code": ("user",),
        "stg.born": ("user.demographic.date_of_birth",),
        "mart.loud": ("user.contact.email",),
        "said.phone": ("user.contact.phone_number",),
        "all.x": ("user",),
        "all.y": ("user",),
    }
    assert found["p_main.stg"].identities[0].name == "email"
    assert (found["p_main.kept"].action, found["p_main.kept"].because) == ("anonymize", "books")
    said = "\n".join(read.warnings)
    assert (
        "p_main.mart.loud: worked out of p_main.stg.email; if it still leads to the person" in said
    )


def relationship(child: str, column: str, parent: str, theirs: str) -> dict[str, Any]:
    return {
        "resource_type": "test",
        "column_name": column,
        "test_metadata": {
            "name": "relationships",
            "kwargs": {"column_name": column, "field": theirs, "to": "ref()"},
        },
        **uses(f"model.p.{parent}", f"model.p.{child}"),
    }


def test_a_reference_that_was_copied_along_leads_to_the_person_too(tmp_path: Path) -> None:
    path = built(
        tmp_path,
        nodes={
            "model.p.customer": node("customer", column("id"), column("email",
                                     meta={"identity": "email", "pii": True})),
            "model.p.orders": node("orders", column("no"), column("customer_id")),
            "model.p.shown": node("shown", config={"materialized": "view"},
                                  compiled_code="select customer_id as who, no from main.orders",
                                  **uses("model.p.orders")),
            "model.p.spent": node("spent", **uses("model.p.shown"),
                                  compiled_code="select who, max(no) n from main.shown group by 1"),
            "test.p.r": relationship("orders", "customer_id", "customer", "id"),
        },
    )  # fmt: skip
    read = dbt.read([path], store="p")
    assert {
        str((r.value.holder, r.value.holder_field, r.value.target)) for r in read.references
    } == {
        "('p_main.orders', 'customer_id', 'p_main.customer')",
        "('p_main.spent', 'who', 'p_main.customer')",
    }  # a view keeps nothing to be looked up


@pytest.mark.django_db
def test_what_was_decided_in_the_catalogue_stays_and_dbt_adds_to_it(tmp_path: Path) -> None:
    catalogue = tmp_path / "c.yml"
    catalogue.write_text("""
store: [{name: shop_db, kind: sql, url: "sqlite:////nowhere.sqlite"}]
dataset:
  - fides_key: shop
    erasure: {store: shop_db}
    collections:
      - name: customer
        erasure: {action: anonymize, because: books}
        fields:
          - {name: ID, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
      - name: orders
        erasure: {action: delete}
        fields:
          - {name: no, fides_meta: {primary_key: true}}
          - name: customer_id
            fides_meta: {references: [{dataset: shop, field: customer.ID, direction: from}]}
""")
    call_command("import_lineage", str(catalogue))
    path = built(
        tmp_path,
        sources={
            "source.p.shop.customer": node("customer", column("note", tags=["pii"]), kind="source"),
            "source.p.shop.orders": node("orders", kind="source"),
        },
        nodes={
            "model.p.best": node("best", compiled_code="select c.id, o.customer_id, c.email mail "
                                 "from main.customer c join main.orders o on o.customer_id = c.id",
                                 **uses("source.p.shop.customer", "source.p.shop.orders")),
        },
    )  # fmt: skip
    call_command("import_lineage", path, "--store", "shop_db")
    customer = selectors.dataset("shop.customer")
    assert (customer.action, customer.because) == ("anonymize", "books")
    assert names(customer) == ["ID", "email", "note"]
    best = selectors.dataset("shop_db_main.best")
    assert best.has_personal_fields
    (copied,) = [r for r in selectors.references() if r.holder == best.address]
    assert copied == Reference(
        holder=best.address,
        holder_field="customer_id",
        target="shop.customer",
        target_field="ID",
        direction="from",
    )
    reach = walk(selectors.identity_start(["email"]), selectors.snapshot().neighbours)
    into = {e.destination_field for e in reach.edges if e.destination == best.address}
    assert into == {"id", "customer_id", "mail"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "is neither a manifest nor a catalog of dbt"),
        ("{", "is no JSON"),
        ('{"metadata": {"dbt_schema_version": 3}}', "is neither a manifest nor a catalog of dbt"),
        ('{"metadata": {"dbt_schema_version": "x/dbt/manifest/v1.json"}}', "is older than"),
        ('{"metadata": {"dbt_schema_version": "x/dbt/catalog/v1.json"}}', "name one manifest"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_project_is_refused_in_a_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(CatalogueError, match=words) as caught:
        dbt.read([str(path)])
    assert "\n" not in str(caught.value)


def test_a_query_that_cannot_be_read_costs_its_columns_and_nothing_else(tmp_path: Path) -> None:
    path = built(
        tmp_path,
        nodes={
            "model.p.a": node("a", column("x")),
            "model.p.b": node("b", compiled_code="select (( from", **uses("model.p.a")),
        },
    )
    read = dbt.read([path], store="p")
    assert edges(read) == {("p_main.a", "p_main.b"): {}}
    assert "model.p.b: its columns are not known: it cannot be parsed" in read.warnings[0]


def test_a_field_named_by_two_cases_is_one(tmp_path: Path) -> None:
    known = {"k.t": Dataset(address="k.t", store="p", name="T", fields=(Field(name="Id"),))}
    path = built(tmp_path, nodes={"model.p.t": node("t", column("ID", tags=["pii"]))})
    read = dbt.read([path], store="p", datasets=known)
    assert names(datasets(read)["k.t"]) == ["Id"]
    assert datasets(read)["k.t"].fields[0].categories == ("user",)
