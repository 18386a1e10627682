"""A key of several columns leads to a copy only where all of them came along: branches count their
visits each from one, and visit 1 is everybody's."""

from __future__ import annotations

import pytest

from lineage import catalog, selectors
from lineage.frontier import Frontier
from lineage.graph import walk
from lineage.importers import fideslang
from tests.lineage.events import dataset
from tests.lineage.heard_cast import effects, events, flow, open_codes, reach, shop

__all__ = ["shop"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shop")]

VISITS = """
dataset:
  - fides_key: visits
    erasure: {store: db}
    collections:
      - name: visit
        erasure: {action: delete}
        fields:
          - {name: no, fides_meta: {primary_key: true}}
          - {name: branch, fides_meta: {primary_key: true}}
          - name: customer_id
            fides_meta: {references: [{dataset: shop, field: customer.id, direction: from}]}
"""
COPY = """
      - name: copy
        erasure:
          action: delete
          derived_from: [{dataset: visits.visit, columns: {COLUMNS}}]
        fields: [{name: where}, {name: which}]
"""
VISIT = "shop.public.visit"


def declare(columns: str = "") -> None:
    copy = COPY.replace("COLUMNS", columns) if columns else ""
    catalog.upsert(fideslang.read_text(VISITS + copy, "visits.yml"))


def test_all_parts_that_flow_on_unchanged_lead_there_together() -> None:
    declare()
    events(
        flow(dataset("one"), VISIT, ("a", "branch", "IDENTITY"), ("b", "no", "IDENTITY")),
        flow(dataset("two"), "one", ("x", "a", "IDENTITY"), ("y", "b", "IDENTITY")),
    )
    whole, found = reach()
    assert {"db:one": "deep", "db:two": "deep"}.items() <= effects().items()
    (into,) = [edge for edge in found.edges if edge.destination == "db:two"]
    assert (into.origin, into.origin_fields) == ("visits.visit", ("branch", "no"))
    assert into.destination_fields == ("x", "y")
    assert all(len(r.holder_fields) == 2 for r in whole.references if r.holder == "db:two")


@pytest.mark.parametrize(
    "made",
    [
        [("b", "no", "IDENTITY")],
        [("a", "branch", "IDENTITY"), ("b", "no", "TRANSFORMATION")],
        [("a", "branch", "AGGREGATION"), ("b", "no", "IDENTITY")],
    ],
    ids=["a part alone", "a part changed", "a part summed up"],
)
def test_a_part_alone_is_never_a_reference(made: list[tuple[str, str, str]]) -> None:
    declare()
    events(flow(dataset("one"), VISIT, *made))
    whole, _ = reach()
    assert effects()["db:one"] is None
    assert [r for r in whole.references if r.holder == "db:one"] == []
    assert ("derived-without-key", "db:one") in open_codes()


def test_a_part_lost_on_the_way_ends_it() -> None:
    declare()
    events(
        flow(dataset("one"), VISIT, ("a", "branch", "IDENTITY"), ("b", "no", "IDENTITY")),
        flow(dataset("two"), "one", ("x", "a", "IDENTITY")),
    )
    assert effects()["db:one"] == "deep"
    assert effects()["db:two"] is None


@pytest.mark.parametrize(
    ("columns", "effect"),
    [("where: branch, which: no", "deep"), ("which: no", None), ("where: branch", None)],
)
def test_what_a_person_wrote_of_a_copy_follows_the_same_rule(
    columns: str, effect: str | None
) -> None:
    declare(columns)
    start = selectors.identity_start(["email"])
    for neighbours in (selectors.snapshot().neighbours, Frontier()):
        found = walk(start, neighbours)
        stop = found.get("visits.copy")
        assert stop is not None
        assert stop.effect == effect
        into = [e.destination_fields for e in found.edges if e.destination == "visits.copy"]
        assert into == ([("where", "which")] if effect else [])
