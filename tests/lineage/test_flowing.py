"""From columns to a person: what events tell becomes ways to the person's data, and questions."""

from __future__ import annotations

import pytest

from lineage import catalog, gate, selectors
from lineage.importers import fideslang
from lineage.sarif import sarif
from tests.lineage.events import columns, dataset, run_event, schema
from tests.lineage.heard_cast import (
    CATALOGUE,
    CUSTOMER,
    ORDERS,
    PG,
    effects,
    events,
    flow,
    open_codes,
    reach,
    shop,
)

__all__ = ["shop"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("shop")]


def test_without_events_nothing_is_added() -> None:
    assert effects() == {}
    assert open_codes() == set()
    assert [s.name for s in selectors.snapshot().stores] == ["db", "lake"]


@pytest.mark.parametrize("how", ["IDENTITY"])
@pytest.mark.parametrize(
    ("source", "theirs"), [(CUSTOMER, "id"), (CUSTOMER, "email"), (ORDERS, "customer_id")]
)
def test_a_key_that_flows_on_makes_its_rows_reachable_by_that_column(
    source: str, theirs: str, how: str
) -> None:
    events(flow(dataset("mart"), source, ("who", theirs, how)))
    whole, found = reach()
    stop = found.get("db:mart")
    assert stop is not None
    assert stop.effect == "deep"
    assert stop.path[-1].endswith(f".{theirs} → db:mart.who (deep)")
    (into,) = [edge for edge in found.edges if edge.destination == "db:mart"]
    assert into.destination_field == "who"
    assert ("undecided-downstream", "db:mart") in open_codes()
    assert whole.datasets["db:mart"].heard


def test_a_key_that_flows_through_places_nobody_can_open_is_found_by_its_origin() -> None:
    events(
        flow(dataset("one"), CUSTOMER, ("a", "id", "IDENTITY")),
        flow(dataset("two"), "one", ("b", "a", "IDENTITY")),
    )
    assert effects() == {"db:one": "deep", "db:two": "deep"}
    # The lake's table is called raw.people there.
    events(flow(dataset("raw.people", namespace="glue"), "two", ("person", "b", "IDENTITY")))
    assert effects()["lake.people"] == "deep"
    _, found = reach()
    assert {e.origin for e in found.edges if e.destination == "lake.people"} == {"shop.customer"}


def test_a_dataset_of_the_catalogue_is_known_by_the_address_of_its_store() -> None:
    into = dataset("raw/people/day=2026-11-20", namespace="s3a://lake")
    events(flow(into, CUSTOMER, ("person", "id", "IDENTITY")))
    assert effects() == {"lake.people": "deep"}


def test_and_by_its_name_in_the_catalogue() -> None:
    events(flow(dataset("people", namespace="lake"), CUSTOMER, ("person", "id", "IDENTITY")))
    assert effects() == {"lake.people": "deep"}


def test_what_is_reached_leads_on_by_its_own_keys() -> None:
    events(
        flow(dataset("raw.people", namespace="glue"), CUSTOMER, ("person", "id", "IDENTITY")),
        run_event(
            inputs=[dataset("raw.people", namespace="glue")],
            outputs=[
                dataset(
                    "copy",
                    columnLineage=columns(
                        "raw.people", ("p", "person", "IDENTITY"), namespace="glue"
                    ),
                )
            ],
        ),
    )
    _, found = reach()
    assert {e.origin for e in found.edges if e.destination == "db:copy"} == {"lake.people"}


def test_a_copy_that_names_people_itself_is_the_persons_too() -> None:
    text = CATALOGUE.replace(
        "{name: extra}", "{name: extra, fides_meta: {identity: badge}, data_categories: [user]}"
    )
    catalog.upsert(fideslang.read_text(text, "shop.yml"))
    events(flow(dataset("raw.people", namespace="glue"), CUSTOMER, ("person", "id", "IDENTITY")))
    assert effects() == {"lake.people": "deep"}


@pytest.mark.parametrize("how", ["TRANSFORMATION", "MASKED", "MASKED IDENTITY"])
def test_a_key_that_was_changed_is_a_suggestion_and_masking_is_not_erasure(how: str) -> None:
    events(flow(dataset("mart", schema=schema("who")), CUSTOMER, ("who", "email", how)))
    assert effects() == {"db:mart": None}
    assert open_codes() == {
        ("derived-without-key", "db:mart"),
        ("suggested-reference", "db:mart.who"),
    }
    (field,) = selectors.snapshot().datasets["db:mart"].fields
    assert field.personal
    masking = {f.masking for d in selectors.snapshot().derivations for f in d.flows}
    assert masking == {how != "TRANSFORMATION"}


def test_a_sum_has_no_key_and_asks_for_a_decision() -> None:
    events(flow(dataset("stats"), CUSTOMER, ("n", "id", "AGGREGATION")))
    assert effects() == {"db:stats": None}
    assert open_codes() == {("derived-without-key", "db:stats")}


def test_what_was_only_influenced_is_told_and_not_reached() -> None:
    into = dataset("prices", columnLineage=columns("px", ("p", "p", "IDENTITY")))
    into["facets"]["columnLineage"]["fields"]["p"]["inputFields"] += columns(
        CUSTOMER, ("p", "city", "INDIRECT"), namespace=PG
    )["fields"]["p"]["inputFields"]
    events(run_event(inputs=[dataset("px"), dataset(CUSTOMER, namespace=PG)], outputs=[into]))
    assert effects() == {}
    assert open_codes() == {("influenced", "db:prices")}
    found = [f for f in gate.findings(selectors.snapshot(), {}) if f.code == "influenced"]
    assert "'city' of shop.customer decided" in found[0].reason
    assert sarif(found)["runs"][0]["results"][0]["level"] == "note"


def test_columns_nobody_tells_of_leave_everything_open() -> None:
    events(run_event(inputs=[dataset(ORDERS, namespace=PG)], outputs=[dataset("x")]))
    events(
        run_event(
            inputs=[dataset("x")], outputs=[dataset("m", datasetType={"datasetType": "MODEL"})]
        )
    )
    assert effects() == {"db:x": None, "db:m": None}
    kinds = {d.downstream: d.kind for d in selectors.snapshot().derivations}
    assert kinds == {"db:x": "derived", "db:m": "trained"}
    assert {code for code, _ in open_codes()} == {"derived-without-key"}


def test_what_no_person_is_in_stays_out() -> None:
    events(
        flow(dataset("assortment"), "shop.public.product", ("id", "id", "IDENTITY")),
        run_event(inputs=[dataset("weather")], outputs=[dataset("forecast")]),
    )
    assert effects() == {}
    assert set(selectors.snapshot().datasets) == {
        "lake.people", "shop.customer", "shop.orders", "shop.product",
    }  # fmt: skip


def test_a_product_number_is_no_way_to_a_person() -> None:
    events(flow(dataset("mart"), ORDERS, ("p", "product_id", "IDENTITY")))
    assert effects() == {"db:mart": None}


# --- what people wrote wins ----------------------------------------------------------------------


def test_a_reference_that_a_person_wrote_is_not_repeated() -> None:
    text = CATALOGUE.replace(
        "{name: person}",
        "{name: person, fides_meta: {references: [{dataset: shop, field: customer.id, "
        "direction: from}]}, erasure: {on_erase: shallow}}",
    )
    catalog.upsert(fideslang.read_text(text, "shop.yml"))
    events(flow(dataset("raw.people", namespace="glue"), CUSTOMER, ("person", "id", "IDENTITY")))
    assert effects() == {"lake.people": "shallow"}
    assert len(selectors.snapshot().references) == len(selectors.references())


def test_what_a_person_ignores_stays_ignored_and_is_still_passed_through() -> None:
    text = CATALOGUE.replace(
        "- name: people\n        erasure: {action: delete}",
        "- name: people\n        erasure: {action: ignore, because: emptied every hour}",
    )
    catalog.upsert(fideslang.read_text(text, "shop.yml"))
    events(
        flow(dataset("raw.people", namespace="glue"), CUSTOMER, ("person", "id", "IDENTITY")),
        run_event(
            inputs=[dataset("raw.people", namespace="glue")],
            outputs=[
                dataset(
                    "copy",
                    columnLineage=columns(
                        "raw.people", ("p", "person", "IDENTITY"), namespace="glue"
                    ),
                )
            ],
        ),
    )
    assert effects() == {"lake.people": None, "db:copy": "deep"}
    assert selectors.snapshot().datasets["lake.people"].action == "ignore"


def test_importing_and_pruning_the_catalogue_leaves_what_was_heard() -> None:
    events(flow(dataset("mart"), CUSTOMER, ("who", "id", "IDENTITY")))
    changes = catalog.upsert(fideslang.read_text(CATALOGUE, "shop.yml"), prune=True)
    assert (changes.added, changes.changed, changes.removed) == ([], [], [])
    assert effects() == {"db:mart": "deep"}


def test_a_key_in_a_column_that_the_catalogue_does_not_know_is_found_by_the_gate() -> None:
    events(flow(dataset("raw.people", namespace="glue"), CUSTOMER, ("new", "id", "IDENTITY")))
    assert effects() == {"lake.people": None}
    assert open_codes() == {("unclassified-column", "lake.people.new")}


# --- the graph stays right -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["DROP", "TRUNCATE"])
def test_what_was_dropped_or_emptied_needs_nothing_until_something_flows_in_again(how: str) -> None:
    events(flow(dataset("mart"), CUSTOMER, ("who", "id", "IDENTITY")))
    gone = dataset("mart", lifecycleStateChange={"lifecycleStateChange": how})
    events(run_event(inputs=[], outputs=[gone], at="2026-11-20T11:00:00Z"))
    assert selectors.snapshot().datasets["db:mart"].action == "ignore"
    assert open_codes() == set()
    events(flow(dataset("mart"), CUSTOMER, ("who", "id", "IDENTITY"), at="2026-11-20T12:00:00Z"))
    assert open_codes() == {("undecided-downstream", "db:mart")}


def test_what_was_made_of_something_dropped_is_still_there() -> None:
    events(
        flow(dataset("mid"), CUSTOMER, ("who", "id", "IDENTITY")),
        flow(dataset("end"), "mid", ("w", "who", "IDENTITY")),
    )
    gone = dataset("mid", lifecycleStateChange={"lifecycleStateChange": "DROP"})
    events(run_event(inputs=[], outputs=[gone], at="2026-11-20T11:00:00Z"))
    assert effects()["db:end"] == "deep"
    assert open_codes() == {("undecided-downstream", "db:end")}


def test_a_tag_makes_a_dataset_personal_that_nothing_leads_to() -> None:
    tags = {"tags": [{"key": "pii", "value": "true", "field": "mail"}]}
    events(run_event(inputs=[], outputs=[dataset("found", schema=schema("n", "mail"), tags=tags)]))
    found = selectors.snapshot().datasets["db:found"]
    assert {f.name: f.personal for f in found.fields} == {"n": False, "mail": True}
    codes = {(f.code, f.place) for f in gate.findings(selectors.snapshot(), {})}
    assert ("unreachable", "db:found") in codes


def test_the_version_changes_with_what_is_learnt_and_not_with_what_is_repeated() -> None:
    before = selectors.snapshot().version
    events(run_event(inputs=[dataset("weather")], outputs=[dataset("forecast")]))
    assert selectors.snapshot().version == before
    events(flow(dataset("mart"), CUSTOMER, ("who", "id", "IDENTITY")))
    learnt = selectors.snapshot().version
    assert learnt != before
    events(flow(dataset("mart"), CUSTOMER, ("who", "id", "IDENTITY"), at="2026-11-21T10:00:00Z"))
    assert selectors.snapshot().version == learnt
