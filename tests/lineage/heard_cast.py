"""A small catalogue, events about its tables, and what becomes of both."""

from __future__ import annotations

from typing import Any

import pytest

from lineage import catalog, downstream, hearing, intake, selectors
from lineage.graph import Reach, walk
from lineage.importers import fideslang
from lineage.snapshot import Snapshot
from tests.lineage.events import columns, dataset, run_event

CATALOGUE = """
store:
  - {name: db, kind: sql, url: "postgresql://u:p@db/shop"}
  - {name: lake, kind: files, url: "s3://lake/raw", options: {lineage: ["glue:raw."]}}
dataset:
  - fides_key: shop
    erasure: {store: db}
    collections:
      - name: customer
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
          - {name: city, data_categories: [user.contact.address.city]}
      - name: orders
        erasure: {action: delete}
        fields:
          - {name: id, fides_meta: {primary_key: true}}
          - name: customer_id
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
          - {name: product_id}
      - name: product
        erasure: {action: ignore, because: no people}
        fields: [{name: id, fides_meta: {primary_key: true}}]
  - fides_key: lake
    erasure: {store: lake}
    collections:
      - name: people
        erasure: {action: delete}
        fields: [{name: person}, {name: extra}]
"""
CUSTOMER, ORDERS = "shop.public.customer", "shop.public.orders"
PG = "postgres://db"


def events(*made: dict[str, Any]) -> None:
    """Store these, and learn from them."""
    assert intake.take(made).refused == []
    hearing.learn()


def flow(
    target: dict[str, Any],
    source: str,
    *made: tuple[str, str, str],
    at: str = "2026-11-20T10:00:00Z",
) -> dict[str, Any]:
    """An event: columns of a table of the shop's database went into ``target``."""
    space = PG if source.startswith("shop.") else "db"
    target["facets"]["columnLineage"] = columns(source, *made, namespace=space)
    return run_event(inputs=[dataset(source, namespace=space)], outputs=[target], at=at)


@pytest.fixture
def shop(db: None) -> None:
    """A shop's database and a lake, and no event yet."""
    catalog.upsert(fideslang.read_text(CATALOGUE, "shop.yml"))


def reach() -> tuple[Snapshot, Reach]:
    """Everything that is known, and how far a person reaches by email."""
    whole = selectors.snapshot()
    return whole, walk(selectors.identity_start(["email"]), whole.neighbours)


def effects() -> dict[str, str | None]:
    """What is reached, beside what the catalogue alone leads to."""
    _, found = reach()
    alone = {"shop.customer", "shop.orders"}
    return {stop.address: stop.effect for stop in found.stops if stop.address not in alone}


def open_codes() -> set[tuple[str, str]]:
    """(code, place) of what the gate asks about lineage events."""
    return {(code, place) for code, place, *_ in downstream.left_open(selectors.snapshot())}
