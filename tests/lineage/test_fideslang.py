"""The catalogue file: what it says, and what it is told about its faults."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from lineage.errors import CatalogueError
from lineage.graph import Dataset, Derivation, Method, Reference
from lineage.importers import fideslang
from lineage.importers.entries import Catalogue

HEAD = """\
store:
  - {name: db, kind: sql, url: "${DB_URL}"}
dataset:
  - fides_key: shop
    erasure: {store: db}
    collections:
"""


def read(text: str) -> Catalogue:
    return fideslang.read_text(dedent(text), "c.yml")


def collection(text: str) -> Catalogue:
    """A file of one dataset whose collections begin at line 7."""
    return fideslang.read_text(HEAD + text, "c.yml")


def only(catalogue: Catalogue) -> Dataset:
    (placed,) = catalogue.datasets
    return placed.value


def test_the_example_of_the_format_is_read_whole() -> None:
    found = read(
        """\
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
    )
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


def _field(block: str, rest: str = "") -> str:
    return (
        HEAD
        + f"      - name: t\n        fields:\n          - name: a\n{rest}"
        + (f"            erasure: {block}\n")
    )


def _coll(block: str) -> str:
    return HEAD + f"      - name: t\n        fields: [{{name: a}}]\n        erasure: {block}\n"


def _store(rest: str) -> str:
    return f"store:\n  - {{name: x, {rest}}}\n"


REF = "            fides_meta: {references: [{dataset: shop, field: t.a%s}]}\n"
BAD = [
    # the document
    ("", "c.yml: holds neither 'store' nor 'dataset'"),
    ("a: 1", "c.yml: holds neither"),
    ("- 1", "c.yml:1: a catalogue file must be a mapping"),
    (
        "store: []\ndatasets: []",
        "c.yml:2: unknown top-level key 'datasets'; did you mean 'dataset'",
    ),
    ("store: {a: 1}", "c.yml:1: store must be a list"),
    ("store:\n  - {name: a,\n", "c.yml:3: not valid YAML"),
    ("store: [\tx: &a *b", "c.yml:1: not valid YAML"),
    ("store: []\n---\nstore: []", "c.yml:2: not valid YAML"),
    ("store: []\nstore: []", "c.yml:2: the key 'store' stands here twice"),
    ("? [a]\n: b", "c.yml:1: a key must be a word"),
    ("store: &a [*a]", "nested too deeply"),
    ("store: " + "[" * 5000, "c.yml"),
    ("store: \x00", "c.yml: not valid YAML"),
    ("store: [{name: x, kind: sql, options: {max_concurrent: .inf}}]", "c.yml:1: must be a finite"),
    ('store: [{name: "x\\0", kind: sql}]', "c.yml:1: must not hold a NUL"),
    # stores
    (_store("kind: sqll"), "c.yml:2: unknown store kind 'sqll'; did you mean 'sql'?"),
    (_store("role: controller"), "c.yml:2: store has no 'kind'; add it"),
    (_store("kind: sql, rol: x"), "c.yml:2: store: unknown key 'rol'; did you mean 'role'?"),
    (
        _store("kind: sql, role: boss"),
        "c.yml:2: store.role: unknown word 'boss'; known: controller, processor",
    ),
    (_store("kind: sql, options: 1"), "c.yml:2: options of a sql store must be a mapping"),
    (
        _store("kind: sql, options: {purg: none}"),
        "c.yml:2: options of a sql store: unknown key 'purg'; did you mean 'purge'?",
    ),
    (_store("kind: sql, options: {glob: x}"), "options of a sql store: unknown key 'glob'"),
    (
        _store("kind: sql, options: {purge: all}"),
        "options of a sql store.purge: unknown word 'all'",
    ),
    (_store("kind: sql, options: {max_concurrent: 0}"), "must be a whole number from 1 on"),
    (_store("kind: files, options: {preserve_times: 1}"), "must be true or false"),
    (_store("kind: backups, options: {covers: db}"), "covers must be a list"),
    (_store("kind: backups, options: {retention: long}"), "a number with y, m, w or d"),
    # datasets
    ("dataset: [{fides_key: a, collections: []}]", "c.yml:1: the dataset has no erasure block"),
    ("dataset: [{fides_key: a b, collections: []}]", "c.yml:1: fides_key: FidesKeys must only"),
    ("dataset: [{fides_key: a}]", "c.yml:1: collections: Field required"),
    ("dataset: [1]", "c.yml:1: a dataset must be a mapping"),
    (
        "dataset:\n  - fides_key: a\n    collections: []\n    erasure: {stor: db}",
        "c.yml:4: erasure: unknown key 'stor'; did you mean 'store'?",
    ),
    (
        "dataset: [{fides_key: a, collections: [], erasure: {owner: x}}]",
        "c.yml:1: erasure has no 'store'",
    ),
    (
        "dataset: [{fides_key: a, collections: [], erasure: {store: d, legal_basis: fun}}]",
        "legal_basis: unknown word 'fun'; known: consent, contract",
    ),
    (
        "dataset: [{fides_key: a, collections: [], erasure: {store: d, retention: {period: 3}}}]",
        "retention.period must be a number with y, m, w or d",
    ),
    # collections
    (
        _coll("{actoin: delete}"),
        "c.yml:9: erasure: unknown key 'actoin'; did you mean 'action'?",
    ),
    (
        _coll("{action: remove}"),
        "c.yml:9: erasure.action: unknown word 'remove'",
    ),
    (_coll("delete"), "c.yml:9: erasure must be a mapping"),
    (_coll("{action: ignore}"), "c.yml:9: action ignore needs 'because'; add it"),
    (_coll("{action: ignore, because: ''}"), "because must be text"),
    (_coll("{action: retain, exception: archiving}"), "action retain needs 'until'"),
    (_coll("{action: retain, until: a + 1y}"), "action retain needs 'exception'"),
    (_coll("{action: delete, until: a + 1y}"), "'until' is for action retain"),
    (
        _coll("{action: retain, until: a + 1y, exception: tax}"),
        "exception: unknown word 'tax'; known",
    ),
    (
        _coll("{action: retain, until: b + 1y, exception: archiving}"),
        "erasure.until: unknown field 'b'; known: a",
    ),
    (
        _coll("{action: retain, until: a + 1q, exception: archiving}"),
        "until must be 'column + 10y'",
    ),
    (_coll("{action: retain, until: 2031-02-30, exception: archiving}"), "until must be"),
    (_coll("{action: retain, until: 20311231, exception: archiving}"), "until must be"),
    (_coll("{derived_from: [{kind: derived}]}"), "derived_from[0] has no 'dataset'"),
    (_coll("{derived_from: [{dataset: a.b, kind: made}]}"), "kind: unknown word 'made'; known"),
    (_coll("{derived_from: [{dataset: a.b, column: {}}]}"), "did you mean 'columns'?"),
    (_coll("{after: t}"), "after must be a list"),
    (_coll("{k: 5}"), "c.yml:9: k needs quasi_identifiers"),
    (_coll("{k: 1, quasi_identifiers: [a]}"), "k must be a whole number from 2 on"),
    (_coll("{quasi_identifiers: [zip]}"), "erasure.quasi_identifiers: unknown field 'zip'"),
    (_coll("{model: {persn_key: a}}"), "did you mean 'person_key'?"),
    (_coll("{model: {utility: {min: high}}}"), "utility.min must be a number"),
    # fields
    (_field("{metod: null}"), "c.yml:10: erasure: unknown key 'metod'; did you mean 'method'?"),
    (_field("{method: shred}"), "c.yml:10: erasure.method: unknown method 'shred'"),
    (_field("{method: generalize}"), "generalize needs a value; write {generalize: …}"),
    (_field("{method: {generalize: day}}"), "must be year, month, zip3 or bucket:N"),
    (_field("{method: {generalize: bucket:0}}"), "must be year, month, zip3 or bucket:N"),
    (_field("{method: {fake: emial}}"), "did you mean 'email'?"),
    (_field("{method: {constant: }}"), "constant must be a single value"),
    (_field("{method: {null: 1}}"), "erasure.method: unknown method 'null'"),
    (_field("{method: {constant: 1, fake: name}}"), "must be one method"),
    (_field("{free_text: 'yes'}"), "free_text must be true or false"),
    (_field("{personal: false}"), "c.yml:10: personal: false needs 'because'; say why"),
    (_field("{on_erase: deep}"), "c.yml:10: on_erase needs a reference on its field"),
    (
        _field("{on_erase: hard}", REF % ""),
        "c.yml:11: erasure.on_erase: unknown word 'hard'",
    ),
    (_field("{on_erase: {shallow: spirit}}", REF % ""), "on_erase.shallow: unknown word 'spirit'"),
    (_field("{on_erase: {deep: ghost}}", REF % ""), "unknown key"),
    (_field("{on_erase: refcount}", REF % ", direction: from"), "refcount needs direction 'to'"),
    (
        _field("{method: null}", "            fides_meta: {primary_key: true}\n"),
        "c.yml:11: a primary key is never nulled; use random",
    ),
    # what fideslang refuses, at our lines
    (_field("{}", REF % ", direction: up"), "direction: Input should be 'from' or 'to'"),
    (
        _field("{}", "            fides_meta: {data_type: wat}\n"),
        "c.yml:10: collections.0.fields.0",
    ),
    (_field("{}", "            fidesops_meta: {length: -1}\n"), "c.yml:10: collections.0.fields.0"),
    (_field("{}", "            fides_meta: {erasure: {}}\n"), "c.yml:10: erasure belongs beside"),
    (HEAD + "      - {name: t, fields: [{name: a}, {name: a}]}\n", "c.yml:7: collections.0.fields"),
    (
        HEAD + "      - {name: t, fields: [{name: a, fields: [{name: b}, {name: b}]}]}\n",
        "c.yml:7: the field 'a.b' stands here twice",
    ),
    (HEAD + "      - {name: t, fields: [7]}\n", "c.yml:7: collections.0.fields.0"),
    (HEAD + "      - {name: t}\n", "c.yml:7: collections.0.fields: Field required"),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[m[:60] for _, m in BAD])
def test_a_fault_is_one_line_with_its_place_and_remedy(text: str, message: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        fideslang.read_text(text, "c.yml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.yml"
    with pytest.raises(CatalogueError, match="cannot be read: No such file"):
        fideslang.read([str(missing)])
    latin = tmp_path / "latin.yml"
    latin.write_bytes("store: [{name: caf\xe9, kind: sql}]".encode("latin-1"))
    with pytest.raises(CatalogueError, match="is not UTF-8 text"):
        fideslang.read([str(latin)])
