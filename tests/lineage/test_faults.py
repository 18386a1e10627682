"""Every fault of a catalogue file is told in one line, with its place and its remedy."""

from __future__ import annotations

import pytest

from lineage.errors import CatalogueError
from lineage.importers import fideslang
from tests.lineage.cast import HEAD


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
    # composite references
    (_coll("{composite: [a]}"), "c.yml:9: erasure.composite[0] must be a list"),
    (_coll("{composite: [[a]]}"), "c.yml:9: composite: name two or more fields, each with one"),
    (
        HEAD
        + "      - name: t\n        erasure: {composite: [[a, b]]}\n        fields:\n"
        + "          - {name: a, fides_meta: {references: [{dataset: shop, field: u.x}]}}\n"
        + "          - {name: b, fides_meta: {references: [{dataset: shop, field: w.y}]}}\n",
        "c.yml:8: composite: its references must be to one collection, alike",
    ),
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
