"""What is written is what was said: once, wholly, and again the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage import catalog, models, selectors
from lineage.errors import CatalogueError
from lineage.graph import Dataset, Derivation, Field, Method, Reference, StoreEntry
from lineage.importers import fideslang
from lineage.importers.entries import Catalogue, Placed

pytestmark = pytest.mark.django_db

SHOP = """\
store:
  - {name: db, kind: sql, url: "${DB_URL}"}
dataset:
  - fides_key: shop
    erasure: {store: db}
    collections:
      - name: customer
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, fides_meta: {identity: email}}
      - name: invoice
        erasure: {action: delete, after: [customer]}
        fields:
          - {name: customer_id, fides_meta: {references: [{dataset: shop, field: customer.id}]}}
"""
VAULT = """\
store:
  - {name: vault, kind: backups, options: {covers: [db]}}
dataset:
  - {fides_key: vault, erasure: {store: vault}, collections: [{name: nightly, fields: []}]}
"""


def read(text: str) -> Catalogue:
    return fideslang.read_text(text, "c.yml")


def nothing(changes: catalog.Changes) -> bool:
    return not (changes.added or changes.changed or changes.removed)


def refused(text: str) -> str:
    """The message; nothing may have been written."""
    before = selectors.snapshot().version
    with pytest.raises(CatalogueError) as caught:
        catalog.upsert(read(text))
    assert selectors.snapshot().version == before
    return str(caught.value)


def test_importing_twice_changes_nothing() -> None:
    first = catalog.upsert(read(SHOP))
    assert "field shop.customer.email" in first.added
    assert "reference shop.invoice.customer_id → shop.customer.id" in first.added
    version = selectors.snapshot().version
    assert nothing(catalog.upsert(read(SHOP)))
    assert nothing(catalog.upsert(read(SHOP), prune=True))
    assert selectors.snapshot().version == version


def test_what_differs_is_changed_and_named() -> None:
    catalog.upsert(read(SHOP))
    version = selectors.snapshot().version
    text = SHOP.replace("identity: email", "identity: mailbox").replace(
        "{name: id, ", '{name: id, erasure: {personal: false, because: "x"}, '
    )
    changes = catalog.upsert(read(text))
    assert changes.changed == ["field shop.customer.id", "field shop.customer.email"]
    assert (changes.added, changes.removed) == ([], [])
    assert selectors.identity_kinds() == ["mailbox"]
    assert selectors.snapshot().version != version


def test_what_a_file_no_longer_says_stays_until_it_is_pruned() -> None:
    catalog.upsert(read(SHOP))
    shorter = SHOP.partition("      - name: invoice")[0]
    assert nothing(catalog.upsert(read(shorter)))
    assert "shop.invoice" in selectors.datasets()
    changes = catalog.upsert(read(shorter), prune=True)
    assert changes.removed == [
        "reference shop.invoice.customer_id → shop.customer.id",
        "field shop.invoice.customer_id",
        "dataset shop.invoice",
    ]
    assert list(selectors.datasets()) == ["shop.customer"]
    assert selectors.references() == []


def test_a_reference_may_lead_to_an_earlier_file() -> None:
    catalog.upsert(read(SHOP))
    catalog.upsert(
        read(
            "dataset: [{fides_key: crm, erasure: {store: db}, collections: [{name: note, fields: "
            "[{name: who, fides_meta: {references: [{dataset: shop, field: customer.id}]}}]}]}]"
        )
    )
    assert [r.target for r in selectors.references() if r.holder == "crm.note"] == ["shop.customer"]


def test_a_reference_to_what_would_be_pruned_is_refused() -> None:
    catalog.upsert(read(SHOP))
    invoice = "      - name: invoice" + SHOP.partition("      - name: invoice")[2]
    text = SHOP.partition("      - name: customer")[0] + invoice.replace(", after: [customer]", "")
    version = selectors.snapshot().version
    with pytest.raises(CatalogueError, match=r"reference to 'shop\.customer\.id'"):
        catalog.upsert(read(text), prune=True)
    assert selectors.snapshot().version == version
    catalog.upsert(read(text))
    assert selectors.snapshot().version != version


def test_names_with_dots_are_found_by_what_is_there() -> None:
    text = SHOP.replace("- name: customer\n", "- name: audit.customer\n").replace(
        "field: customer.id", "field: audit.customer.id"
    )
    catalog.upsert(read(text.replace("after: [customer]", "after: [audit.customer]")))
    (reference,) = selectors.references()
    assert (reference.target, reference.target_field) == ("shop.audit.customer", "id")
    assert selectors.dataset("shop.invoice").after == ("shop.audit.customer",)


def test_a_backup_store_holds_copies_of_all_it_covers_whichever_file_comes_first() -> None:
    with pytest.raises(CatalogueError, match="covers: unknown store 'db'"):
        catalog.upsert(read(VAULT))
    catalog.upsert(read(SHOP))
    changes = catalog.upsert(read(VAULT))
    implied = [
        Derivation(upstream="shop.customer", downstream="vault.nightly", kind="backed_up"),
        Derivation(upstream="shop.invoice", downstream="vault.nightly", kind="backed_up"),
    ]
    assert selectors.derivations() == implied
    assert "derivation shop.customer ⇒ vault.nightly (backed_up)" in changes.added
    assert nothing(catalog.upsert(read(VAULT)))
    late = SHOP.replace("name: invoice", "name: receipt").replace("shop_", "")
    catalog.upsert(read(late))
    assert len(selectors.derivations()) == 3
    uncovered = catalog.upsert(read(VAULT.replace("[db]", "[]")))
    assert len(uncovered.removed) == 3
    assert selectors.derivations() == []


def test_a_declared_backup_takes_the_place_of_an_implied_one() -> None:
    catalog.upsert(read(SHOP))
    catalog.upsert(read(VAULT))
    declared = VAULT.replace(
        "{name: nightly, fields: []}",
        "{name: nightly, fields: [], erasure: "
        "{derived_from: [{dataset: shop.customer, kind: backed_up}]}}",
    )
    catalog.upsert(read(declared))
    assert len(selectors.derivations()) == 2
    assert models.Derivation.objects.get(implied=False).upstream.address == "shop.customer"
    assert nothing(catalog.upsert(read(declared)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{store: db}", "{store: dbb}", "c.yml:7: unknown store 'dbb'; did you mean 'db'?"),
        (
            "field: customer.id",
            "field: custmer.id",
            "c.yml:15: reference to 'shop.custmer.id': there is no such dataset; "
            "did you mean 'shop.customer'?",
        ),
        (
            "field: customer.id",
            "field: customer.emial",
            "c.yml:15: reference to 'shop.customer.emial': 'shop.customer' has no field 'emial'; "
            "did you mean 'email'?",
        ),
        ("after: [customer]", "after: [custom]", "c.yml:12: after: unknown collection 'custom'"),
        ("after: [customer]", "after: [invoice]", "c.yml:12: after: goes in a circle"),
        (
            "after: [customer]",
            "derived_from: [{dataset: shop.customers}]",
            "c.yml:13: derived_from: unknown dataset 'shop.customers'; "
            "did you mean 'shop.customer'?",
        ),
        (
            "after: [customer]",
            "derived_from: [{dataset: shop.invoice}]",
            "c.yml:13: 'shop.invoice' is said to derive from itself",
        ),
        (
            "after: [customer]",
            "derived_from: [{dataset: shop.customer, columns: {customer_id: nr}}]",
            "derived_from.columns: 'shop.customer' has no field 'nr'",
        ),
        (
            "after: [customer]",
            "derived_from: [{dataset: shop.customer}, {dataset: shop.customer}]",
            "stands already at c.yml:13",
        ),
        (
            "references: [",
            "references: [{dataset: shop, field: customer.id, direction: to}, ",
            "the reference 'shop.invoice.customer_id → shop.customer.id' stands already at",
        ),
        ("dataset:\n", "  - {name: db, kind: sql}\ndataset:\n", "c.yml:3: the store 'db' stands"),
        ("name: customer\n", f"name: {'x' * 301}\n", "is longer than 300 characters"),
    ],
)
def test_what_does_not_fit_together_is_refused_and_nothing_written(
    old: str, new: str, message: str
) -> None:
    assert old in SHOP
    text = SHOP.replace(old, new)
    if "longer" in message:
        text = text.replace("[customer]", "[]").replace("customer.id", f"{'x' * 301}.id")
    found = refused(text)
    assert message in found
    assert "\n" not in found


def test_a_dataset_in_two_files_is_refused_with_both_places() -> None:
    both = fideslang.read_text(SHOP, "one.yml") + replace(
        fideslang.read_text(SHOP, "two.yml"), stores=()
    )
    with pytest.raises(CatalogueError) as caught:
        catalog.upsert(both)
    assert str(caught.value) == (
        "two.yml:7: the dataset 'shop.customer' stands already at one.yml:7"
    )


def test_a_circle_of_after_through_an_earlier_file_is_refused() -> None:
    catalog.upsert(read(SHOP))
    text = SHOP.partition("      - name: invoice")[0].replace(
        "{action: delete}", "{action: delete, after: [invoice]}"
    )
    assert "goes in a circle" in refused(text)


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (models.Store, {"role": "boss"}),
        (models.Dataset, {"action": "shred"}),
        (models.Dataset, {"action": "retain"}),
        (models.Dataset, {"action": "ignore"}),
        (models.Dataset, {"k": 1}),
        (models.Field, {"personal_override": False}),
        (models.Reference, {"direction": "up"}),
        (models.Reference, {"ghost": True}),
    ],
)
def test_the_database_itself_forbids_nonsense(model: type[Any], values: dict[str, Any]) -> None:
    catalog.upsert(read(SHOP))
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.update(**values)


_names = st.sampled_from(["a", "b", "c", "on", "ü.x"])
_methods = st.sampled_from(
    [None, Method(name="null"), Method(name="constant", argument=""), Method(name="random")]
)
_fields = st.builds(
    Field,
    name=_names,
    data_type=st.sampled_from([None, "string"]),
    categories=st.sampled_from([(), ("user.name",), ("user.contact.email", "user.name")]),
    identity=st.sampled_from([None, "email", "customer_id"]),
    primary_key=st.booleans(),
    free_text=st.booleans(),
    method=_methods,
    personal_override=st.sampled_from([None, True]),
    because=st.sampled_from(["", "said so"]),
)
_decisions: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"action": "delete", "owner": "me", "retention": {"period": "3y"}},
        {"action": "ignore", "because": "x", "quasi_identifiers": ("a",), "k": 3},
        {"action": "retain", "until": "a + 1y", "exception": "archiving", "schema": "s"},
        {"model": {"features": ["a"], "utility": {"min": 0.5}}},
    ]
)


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    """Catalogues that fit together."""
    stores = draw(st.lists(_names, min_size=1, max_size=3, unique=True))
    addresses = draw(st.lists(st.builds("k.{}".format, _names), max_size=4, unique=True))
    datasets = []
    for address in addresses:
        own = draw(st.lists(_fields, max_size=3, unique_by=lambda f: f.name))
        datasets.append(
            Dataset(
                address=address,
                name=address.removeprefix("k."),
                store=draw(st.sampled_from(stores)),
                fields=tuple(own),
                **draw(_decisions),
            )
        )
    ends = [(d.address, f.name) for d in datasets for f in d.fields]
    pairs = st.tuples(st.sampled_from(ends), st.sampled_from(ends)) if ends else st.nothing()
    references = [
        Reference(
            holder=holder[0],
            holder_field=holder[1],
            target=target[0],
            target_field=target[1],
            direction=draw(st.sampled_from([None, "from", "to"])),
            on_erase=draw(st.sampled_from([None, "deep", "shallow"])),
        )
        for holder, target in draw(
            st.lists(pairs, max_size=4, unique=True) if ends else st.just([])
        )
    ]
    derivations = []
    if len(addresses) > 1:
        upstream, downstream = draw(st.permutations(addresses))[:2]
        derivations.append(Derivation(upstream=upstream, downstream=downstream))

    def placed(values: list[Any]) -> tuple[Placed[Any], ...]:
        return tuple(Placed(value=value, place=f"f:{n}") for n, value in enumerate(values))

    return Catalogue(
        stores=placed([StoreEntry(name=s, kind="sql", options={"purge": "none"}) for s in stores]),
        datasets=placed(datasets),
        references=placed(references),
        derivations=placed(derivations),
    )


@contextmanager
def undone() -> Iterator[None]:
    """One example after the other on an empty catalogue."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(catalogues(), catalogues())
def test_any_catalogue_comes_back_as_it_was_and_an_import_twice_is_one(
    one: Catalogue, other: Catalogue
) -> None:
    with undone():
        catalog.upsert(other)
        catalog.upsert(one, prune=True)
        by_address = {p.value.address: p.value for p in one.datasets}
        assert selectors.datasets() == by_address
        assert {s.name: s for s in selectors.stores()} == {
            p.value.name: p.value for p in one.stores
        }
        assert set(selectors.references()) == {p.value for p in one.references}
        assert selectors.derivations() == [p.value for p in one.derivations]
        version = selectors.snapshot().version
        backwards = replace(one, datasets=one.datasets[::-1], references=one.references[::-1])
        for again in (one, backwards):
            assert nothing(catalog.upsert(again))
            assert nothing(catalog.upsert(again, prune=True))
        assert selectors.snapshot().version == version
        catalog.upsert(other)
        assert set(selectors.datasets()) == by_address.keys() | {
            p.value.address for p in other.datasets
        }
