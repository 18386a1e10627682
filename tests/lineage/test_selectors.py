"""Reading the catalogue: one door, few queries."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lineage import catalog, selectors
from lineage.adjacency import neighbours_in
from lineage.errors import CatalogueError, UnknownIdentity
from lineage.graph import (
    Dataset,
    Derivation,
    Field,
    Reference,
    StoreEntry,
    walk,
)
from lineage.importers.entries import Catalogue, Placed
from tests.lineage.cast import person, personal, ref, table

pytestmark = pytest.mark.django_db


def write(
    datasets: list[Dataset],
    references: list[Reference] | None = None,
    derivations: list[Derivation] | None = None,
) -> None:
    def placed(values: list[Any]) -> tuple[Placed[Any], ...]:
        return tuple(Placed(value=value, place="f:1") for value in values)

    stores = sorted({d.store for d in datasets})
    catalog.upsert(
        Catalogue(
            stores=placed([StoreEntry(name=name, kind="sql") for name in stores]),
            datasets=placed(datasets),
            references=placed(references or []),
            derivations=placed(derivations or []),
        )
    )


def test_an_unknown_store_or_dataset_names_the_nearest() -> None:
    write([person("k.customer")])
    with pytest.raises(CatalogueError) as caught:
        selectors.store("dbb")
    assert str(caught.value) == "dbb: unknown store; did you mean 'db'?"
    with pytest.raises(CatalogueError, match=r"k.custmer: unknown dataset; did you mean"):
        selectors.dataset("k.custmer")
    assert selectors.store("db").kind == "sql"
    assert selectors.dataset("k.customer").key == ("id",)


def test_datasets_of_one_store_only() -> None:
    write([person("k.a"), table("k.b", store="other")])
    assert list(selectors.datasets("other")) == ["k.b"]
    assert list(selectors.datasets()) == ["k.a", "k.b"]


def test_a_walk_starts_where_an_identity_kind_is_declared() -> None:
    login = Field(name="login", identity="user_id")
    write([person("k.a", login), person("k.b"), table("k.c")])
    assert selectors.identity_kinds() == ["email", "user_id"]
    assert selectors.identity_start(["email"]) == {"k.a": ["email"], "k.b": ["email"]}
    assert selectors.identity_start({"user_id", "email"}) == {
        "k.a": ["email", "login"],
        "k.b": ["email"],
    }


def test_an_unknown_identity_kind_names_the_known_ones() -> None:
    with pytest.raises(UnknownIdentity, match="none; import a catalogue first"):
        selectors.identity_start(["email"])
    write([person("k.a")])
    with pytest.raises(UnknownIdentity, match="unknown identity kind 'phone'; known kinds: email"):
        selectors.identity_start(["email", "phone"])


def test_the_whole_catalogue_costs_the_same_number_of_queries_however_large_it_is() -> None:
    counts = []
    for width in (2, 400):
        write(*_star(width, 5))
        with CaptureQueriesContext(connection) as queries:
            whole = selectors.snapshot()
        found = walk({"k.p": ["email"]}, whole.neighbours)
        assert len(found.stops) == 1 + 5 * width
        counts.append(len(queries))
        with CaptureQueriesContext(connection) as again:
            assert selectors.snapshot() is whole
        assert len(again) == 1
    # Five tables; whether lineage events told anything; which revision it is, thrice.
    assert counts == [9, 9]


def test_a_snapshot_leads_where_what_was_written_leads() -> None:
    datasets = [
        person("k.a"),
        table("k.b", personal("street"), Field(name="b_id")),
        table("k.d", Field(name="who")),
    ]
    derivations = [
        Derivation(upstream="k.a", downstream="k.d", columns={"who": "id"}),
        Derivation(upstream="k.b", downstream="k.d"),
    ]
    references = [ref("k.b.b_id > k.a.id", direction="from")]
    write(datasets, references, derivations)
    memory = neighbours_in(references, derivations, {d.address: d for d in datasets})
    whole = selectors.snapshot()
    for frontier in (["k.a"], ["k.b"], ["k.a", "k.b"], ["k.d"], []):
        assert whole.neighbours(frozenset(frontier)) == memory(frozenset(frontier))


def _star(width: int, depth: int) -> tuple[list[Dataset], list[Reference]]:
    """A person and ``width`` chains of ``depth`` tables."""
    datasets, references = [person("k.p")], []
    for chain in range(width):
        above = "k.p"
        for level in range(depth):
            address = f"k.t{chain}_{level}"
            datasets.append(table(address, Field(name="up")))
            references.append(ref(f"{address}.up > {above}.id", direction="from"))
            above = address
    return datasets, references
