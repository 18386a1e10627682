"""The catalogue file: what it says, and what it is told about its faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineage.errors import CatalogueError
from lineage.graph import Dataset, Derivation, Method, Reference
from lineage.importers import fideslang
from lineage.importers.entries import Catalogue
from tests.lineage.cast import HEAD

WHOLE = """\
store:
  - {name: shop_db, kind: sql, url: "${SHOP_DB_URL}", options: {purge: vacuum}}
dataset:
  - fides_key: shop
    erasure: {store: shop_db, schema: s, owner: sales, purpose: sell,
              legal_basis: contract, retention: {period: 3y, starts: paid}}
    collections:
      - name: customer
        erasure: {action: anonymize, because: "orders keep a customer row", purpose: serve}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: email
            data_categories: [user.contact.email]
            fidesops_meta: {identity: email}
          - name: birth_date
            data_categories: [user.demographic.date_of_birth]
            erasure: {method: {generalize: year}}
          - {name: notes, data_categories: [user.content], erasure: {free_text: true}}
          - name: code
            data_categories: [user.unique_id]
            erasure: {personal: false, because: "one per shop"}
      - name: invoice
        erasure:
          action: retain
          until: "end_of_year(invoice_date) + 8y"
          exception: legal_obligation
          legal_reference: "tax law"
          after: [customer]
          derived_from: [{dataset: shop.customer, kind: exported, columns: {who: id}}]
        fields:
          - {name: invoice_date}
          - name: who
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
            erasure: {on_erase: {shallow: ghost}}
"""


def read(text: str) -> Catalogue:
    return fideslang.read_text(text, "c.yml")


def collection(text: str) -> Catalogue:
    """A file of one dataset whose collections begin at line 7."""
    return fideslang.read_text(HEAD + text, "c.yml")


def only(catalogue: Catalogue) -> Dataset:
    (placed,) = catalogue.datasets
    return placed.value


def test_the_example_of_the_format_is_read_whole() -> None:
    found = read(WHOLE)
    customer, invoice = (placed.value for placed in found.datasets)
    assert found.warnings == ()
    assert found.stores[0].value.url == "${SHOP_DB_URL}"
    assert (customer.address, customer.schema, customer.owner) == ("shop.customer", "s", "sales")
    assert (customer.purpose, invoice.purpose, invoice.legal_basis) == ("serve", "sell", "contract")
    assert invoice.retention == {"period": "3y", "starts": "paid"}
    assert customer.key == ("id",)
    assert [f.identity for f in customer.identities] == ["email"]
    assert [f.method for f in customer.fields if f.method] == [
        Method(name="generalize", argument="year")
    ]
    assert customer.free_text == ("notes",)
    code = customer.get("code")
    assert code is not None
    assert (code.personal, code.because) == (False, "one per shop")
    assert (invoice.until, invoice.exception) == (
        "end_of_year(invoice_date) + 8y",
        "legal_obligation",
    )
    assert [p.value for p in found.references] == [
        Reference(
            holder="shop.invoice",
            holder_field="who",
            target="shop",
            target_field="customer.id",
            direction="from",
            on_erase="shallow",
            ghost=True,
        )
    ]
    assert [p.value for p in found.derivations] == [
        Derivation(
            upstream="shop.customer",
            downstream="shop.invoice",
            kind="exported",
            columns={"who": "id"},
        )
    ]


def test_nested_fields_are_dotted_paths_and_keep_their_references() -> None:
    found = collection(
        """\
      - name: event
        fields:
          - name: payload
            data_categories: [user.behavior]
            fields:
              - name: user
                fields:
                  - name: id
                    fides_meta: {references: [{dataset: shop, field: event.payload.kind}]}
              - {name: kind, data_categories: [system.operations]}
"""
    )
    fields = {f.name: f.categories for f in only(found).fields}
    assert fields == {
        "payload.user.id": ("user.behavior",),
        "payload.kind": ("system.operations",),
    }
    assert found.references[0].value.holder_field == "payload.user.id"


def test_a_parent_with_words_of_its_own_is_a_field_too() -> None:
    found = collection(
        """\
      - name: event
        fields:
          - {name: body, erasure: {method: {drop_key: $.body}}, fields: [{name: id}]}
"""
    )
    assert [f.name for f in only(found).fields] == ["body", "body.id"]


def test_categories_of_a_collection_hold_for_fields_without_their_own() -> None:
    found = collection(
        """\
      - name: t
        data_categories: [user.behavior]
        fields: [{name: a}, {name: b, data_categories: [user.name]}]
"""
    )
    assert [f.categories for f in only(found).fields] == [("user.behavior",), ("user.name",)]


@pytest.mark.parametrize(
    ("written", "method"),
    [
        ("null", Method(name="null")),
        ("~", Method(name="null")),
        ("random", Method(name="random")),
        ("keep", Method(name="keep")),
        ("pseudonymize", Method(name="pseudonymize")),
        ("{constant: 0}", Method(name="constant", argument="0")),
        ('{constant: ""}', Method(name="constant", argument="")),
        ("{constant: 2020-01-01}", Method(name="constant", argument="2020-01-01")),
        ("{generalize: bucket:10}", Method(name="generalize", argument="bucket:10")),
        ("{fake: name}", Method(name="fake", argument="name")),
        ("{drop_key: $.a.b}", Method(name="drop_key", argument="$.a.b")),
    ],
)
def test_every_method_is_read(written: str, method: Method) -> None:
    found = collection(
        f"      - {{name: t, fields: [{{name: a, erasure: {{method: {written}}}}}]}}\n"
    )
    assert only(found).fields[0].method == method


@pytest.mark.parametrize("until", ["day + 10y", "end_of_year( day )+8m", "2031-12-31", "day+5d"])
def test_every_form_of_until_is_read(until: str) -> None:
    found = collection(
        f"      - {{name: t, fields: [{{name: day}}], erasure: "
        f"{{action: retain, until: {until}, exception: archiving}}}}\n"
    )
    assert only(found).until == until


def test_names_stay_text_whatever_they_look_like() -> None:
    found = collection("      - {name: 2020, fields: [{name: on}, {name: no}, {name: 1e3}]}\n")
    assert only(found).name == "2020"
    assert [f.name for f in only(found).fields] == ["on", "no", "1e3"]


def test_merge_keys_and_aliases_are_understood() -> None:
    found = collection(
        """\
      - name: a
        erasure: &keep {action: ignore, because: lookup}
        fields: &f [{name: x}]
      - {name: b, erasure: {<<: *keep, because: other}, fields: *f}
      - {name: c, erasure: *keep, fields: *f}
      - {name: d, erasure: {<<: *keep}, fields: *f}
"""
    )
    assert [p.value.because for p in found.datasets] == ["lookup", "other", "lookup", "lookup"]


def test_unknown_keys_outside_our_blocks_are_warned_of_by_line() -> None:
    found = collection(
        """\
      - name: t
        colour: red
        fields:
          - name: a
            data_categorys: [user.name]
            data_categories: [user.nmae]
            fides_meta: {identiti: email, read_only: true}
"""
    )
    assert [w.partition(";")[0] for w in found.warnings] == [
        "c.yml:8: unknown key of a collection 'colour' is ignored",
        "c.yml:11: unknown key of a field 'data_categorys' is ignored",
        "c.yml:13: unknown key of fides_meta 'identiti' is ignored",
        "c.yml:13: 'read_only' has no effect here",
        "c.yml:10: unknown data category 'user.nmae'",
    ]
    assert "did you mean 'user.name'?" in found.warnings[-1]


def test_categories_that_the_file_defines_itself_are_known() -> None:
    found = fideslang.read_text(
        "data_category: [{fides_key: user.paw}]\n"
        + HEAD
        + "      - {name: t, fields: [{name: a, data_categories: [user.paw]}]}\n",
        "c.yml",
    )
    assert found.warnings == ("c.yml:1: 'data_category' is not read",)


def test_a_password_in_a_url_is_warned_of() -> None:
    line = 'store: [{name: db, kind: sql, url: "postgresql://u:%s@h/db"}]'
    assert "c.yml:1: the url holds a password" in read(line % "hunter2").warnings[0]
    assert "hunter2" not in read(line % "hunter2").warnings[0]
    assert read(line % "${PW}").warnings == ()


def test_kinds_of_third_parties_are_taken_with_their_options() -> None:
    text = "store: [{name: m, kind: mongo, options: {replica: rs0}}]"
    found = fideslang.read_text(text, "c.yml", extra_kinds=["mongo"])
    assert found.stores[0].value.options == {"replica": "rs0"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.yml"
    with pytest.raises(CatalogueError, match="cannot be read: No such file"):
        fideslang.read([str(missing)])
    latin = tmp_path / "latin.yml"
    latin.write_bytes("store: [{name: caf\xe9, kind: sql}]".encode("latin-1"))
    with pytest.raises(CatalogueError, match="is not UTF-8 text"):
        fideslang.read([str(latin)])
