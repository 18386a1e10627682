"""A walk fed from the database in batches goes where one through the whole catalogue goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command

from lineage import batches, selectors
from lineage.frontier import Frontier, dataset_entries
from lineage.graph import walk
from tests.lineage.atlas_cast import import_estate

pytestmark = pytest.mark.django_db

CATALOGUES = sorted((Path(__file__).parents[1] / "scenarios").glob("*.yml"))


def same_walk() -> int:
    start = selectors.identity_start(selectors.identity_kinds())
    whole = walk(start, selectors.snapshot().neighbours)
    fed = Frontier()
    found = walk(start, fed)
    assert found.stops == whole.stops
    assert set(found.edges) == set(whole.edges)
    assert len(found.edges) == len(set(found.edges))
    assert walk(start, fed) == found
    return len(found.stops)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_every_catalogue_of_the_scenarios_is_walked_alike(
    path: Path,
) -> None:
    call_command("import_lineage", str(path), verbosity=0)
    assert same_walk()


@pytest.mark.parametrize("batch", [1, 7, 20_000])
def test_a_large_estate_is_walked_alike_in_batches_of_any_size(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", batch)
    import_estate(80)
    assert same_walk() > 60


def test_keys_that_flowed_into_a_copy_lead_on(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    path.write_text("""
store: [{name: db, kind: sql, url: "sqlite:////nowhere.sqlite"}]
dataset:
  - fides_key: k
    erasure: {store: db}
    collections:
      - name: person
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
      - name: copy
        erasure: {action: delete, derived_from: [{dataset: k.person, columns: {who: id}}]}
        fields: [{name: who}, {name: no, fides_meta: {primary_key: true}}]
      - name: far
        erasure: {action: delete}
        fields:
          - name: copy_no
            fides_meta: {references: [{dataset: k, field: copy.no, direction: from}]}
""")
    call_command("import_lineage", str(path), verbosity=0)
    assert same_walk() == 3


def test_an_address_that_is_not_there_leads_nowhere() -> None:
    import_estate(40)
    assert walk({}, Frontier()).stops == ()
    assert set(dataset_entries(["shop.customer", "shop.nothing"])) == {"shop.customer"}
    assert walk({"shop.nothing": ["x"]}, Frontier()).edges == ()
