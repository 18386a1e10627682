"""Where a walk leads, how strongly, and by which path."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.graph import STRENGTH, Derivation, Field, Neighbours, Reach, Reference, walk
from tests.lineage.cast import effects, person, personal, reach, ref, table


def test_children_of_children_are_the_persons() -> None:
    found = reach(
        [person("customer"), table("invoice"), table("line"), table("track")],
        [
            ref("invoice.customer_id > customer.id", direction="from"),
            ref("line.invoice_id > invoice.id", direction="from"),
            ref("line.track_id > track.id", direction="from"),
        ],
    )
    assert effects(found) == {"customer": "deep", "invoice": "deep", "line": "deep"}
    line = found.get("line")
    assert line is not None
    assert line.distance == 2
    assert line.path == (
        "customer.email",
        "customer.id → invoice.customer_id (deep)",
        "invoice.id → line.invoice_id (deep)",
    )


def test_a_start_knows_its_identity_fields() -> None:
    found = reach([person("customer")], [], start={"customer": ["email", "login"]})
    stop = found.get("customer")
    assert stop is not None
    assert (stop.seeds, stop.path) == (("email", "login"), ("customer.email", "customer.login"))


def test_a_reference_that_leads_to_a_row_does_not_reach_its_holder() -> None:
    found = reach(
        [person("customer"), table("invoice")],
        [ref("invoice.customer_id > customer.id", direction="to")],
    )
    assert effects(found) == {"customer": "deep"}


def test_a_self_reference_ends_and_is_shallow() -> None:
    found = reach([person("employee")], [ref("employee.boss > employee.id")])
    assert effects(found) == {"employee": "deep"}
    assert [(e.effect, e.destination_field) for e in found.edges] == [("shallow", "boss")]


def test_an_explicit_deep_self_reference_is_kept() -> None:
    found = reach([person("review")], [ref("review.parent > review.id", on_erase="deep")])
    assert [e.effect for e in found.edges] == ["deep"]


def test_a_holder_with_an_identity_of_its_own_is_only_cut_loose() -> None:
    found = reach(
        [person("employee"), person("customer"), table("invoice")],
        [
            ref("customer.rep_id > employee.id", direction="from"),
            ref("invoice.customer_id > customer.id", direction="from"),
        ],
        start={"employee": ["email"]},
    )
    assert effects(found) == {"customer": "shallow", "employee": "deep"}


def test_a_cycle_ends() -> None:
    found = reach(
        [person("a"), table("b"), table("c")],
        [
            ref("b.a_id > a.id", direction="from"),
            ref("c.b_id > b.id", direction="from"),
            ref("a.c_id > c.id", direction="from", on_erase="deep"),
        ],
    )
    assert effects(found) == {"a": "deep", "b": "deep", "c": "deep"}
    assert len(found.edges) == 3


def test_a_diamond_is_walked_once_and_by_the_shorter_side() -> None:
    found = reach(
        [person("a"), table("b"), table("c"), table("d"), table("e")],
        [
            ref("b.a_id > a.id", direction="from"),
            ref("c.a_id > a.id", direction="from"),
            ref("d.b_id > b.id", direction="from"),
            ref("e.d_id > d.id", direction="from"),
            ref("e.c_id > c.id", direction="from"),
        ],
    )
    stop = found.get("e")
    assert stop is not None
    assert (stop.effect, stop.distance) == ("deep", 2)
    assert "c.id → e.c_id" in stop.path[-1]
    assert len(found.edges) == 5


def test_a_shared_row_is_refcounted_and_ends_the_walk() -> None:
    found = reach(
        [person("customer"), table("address", personal("street")), table("parcel")],
        [
            ref("customer.address_id > address.id", direction="to"),
            ref("parcel.address_id > address.id", direction="from"),
        ],
    )
    assert effects(found) == {"address": "refcount", "customer": "deep"}


def test_nothing_leads_to_a_row_without_personal_fields_or_to_a_person() -> None:
    found = reach(
        [person("customer"), table("country"), person("rep")],
        [ref("customer.country_id > country.id"), ref("customer.rep_id > rep.id")],
        start={"customer": ["email"]},
    )
    assert effects(found) == {"customer": "deep"}


def test_a_refcount_without_direction_is_about_the_row_referred_to() -> None:
    found = reach(
        [person("customer"), table("household"), table("pet")],
        [
            ref("customer.household_id > household.id", on_erase="refcount"),
            ref("pet.customer_id > customer.id", on_erase="refcount"),
        ],
    )
    assert effects(found) == {"customer": "deep", "household": "refcount", "pet": "deep"}


@pytest.mark.parametrize(
    ("first", "second", "strongest"),
    [
        ("deep", "shallow", "deep"),
        ("shallow", "deep", "deep"),
        ("shallow", "refcount", "refcount"),
        ("refcount", "deep", "deep"),
    ],
)
def test_of_several_references_the_strongest_wins(first: str, second: str, strongest: str) -> None:
    found = reach(
        [person("customer"), table("thing")],
        [
            ref("thing.a > customer.id", direction="from", on_erase=first),
            ref("thing.b > customer.id", direction="from", on_erase=second),
        ],
    )
    assert effects(found)["thing"] == strongest
    assert {e.effect for e in found.edges} == {first, second}


def test_a_row_first_met_shallow_and_later_deep_carries_on() -> None:
    found = reach(
        [person("a"), table("b"), table("c"), table("d")],
        [
            ref("c.a_id > a.id", direction="from", on_erase="shallow"),
            ref("b.a_id > a.id", direction="from"),
            ref("c.b_id > b.id", direction="from"),
            ref("d.c_id > c.id", direction="from"),
        ],
    )
    assert effects(found)["d"] == "deep"
    stop = found.get("c")
    assert stop is not None
    assert stop.distance == 2


def test_paths_are_shortest_also_where_a_stop_grows_stronger_on_the_way() -> None:
    # b makes m deep in the very round in which m, still shallow, is looked at; z leads to the end
    # sooner than m does.
    found = reach(
        [person("a"), table("b"), table("m"), table("z"), table("end")],
        [
            ref("b.a_id > a.id", direction="from"),
            ref("m.a_id > a.id", direction="from", on_erase="shallow"),
            ref("z.a_id > a.id", direction="from"),
            ref("m.b_id > b.id", direction="from"),
            ref("end.m_id > m.id", direction="from"),
            ref("end.z_id > z.id", direction="from"),
        ],
    )
    stop = found.get("end")
    assert stop is not None
    assert (stop.distance, stop.path[-1]) == (2, "z.id → end.z_id (deep)")


def test_what_is_made_from_reached_data_is_reached_also_twice_removed_and_in_a_circle() -> None:
    found = reach(
        [person("customer"), table("daily"), table("weekly")],
        [],
        [
            Derivation(upstream="customer", downstream="daily"),
            Derivation(upstream="daily", downstream="weekly", kind="exported"),
            Derivation(upstream="weekly", downstream="daily"),
        ],
    )
    assert effects(found) == {"customer": "deep", "daily": None, "weekly": None}
    stop = found.get("weekly")
    assert stop is not None
    assert stop.path[-1] == "daily ⇒ weekly (exported)"


def test_copies_of_shared_and_of_loosened_rows_are_reached() -> None:
    found = reach(
        [person("customer"), table("address", personal("street")), table("copy")],
        [ref("customer.address_id > address.id", direction="to")],
        [Derivation(upstream="address", downstream="copy", kind="backed_up")],
    )
    assert "copy" in effects(found)


def test_a_derived_dataset_without_keys_does_not_carry_references_on() -> None:
    found = reach(
        [person("customer"), table("sums"), table("report")],
        [ref("report.sum_id > sums.id", direction="from")],
        [Derivation(upstream="customer", downstream="sums")],
    )
    assert effects(found) == {"customer": "deep", "sums": None}


def test_a_key_that_flows_into_a_derived_dataset_makes_its_rows_the_persons() -> None:
    derivation = Derivation(upstream="customer", downstream="lake", columns={"who": "id"})
    found = reach(
        [person("customer"), table("lake", Field(name="who")), table("lake_notes")],
        [ref("lake_notes.lake_id > lake.id", direction="from")],
        [derivation],
    )
    assert effects(found) == {"customer": "deep", "lake": "deep", "lake_notes": "deep"}
    stop = found.get("lake")
    assert stop is not None
    assert stop.derivation == derivation


@pytest.mark.parametrize("late", [True, False])
def test_a_derivation_is_remembered_beside_a_stronger_reference(late: bool) -> None:
    derivation = Derivation(upstream="middle" if late else "customer", downstream="lake")
    found = reach(
        [person("customer"), table("middle"), table("lake")],
        [
            ref("middle.customer_id > customer.id", direction="from"),
            ref(f"lake.x > {'customer' if late else 'middle'}.id", direction="from"),
        ],
        [derivation],
    )
    stop = found.get("lake")
    assert stop is not None
    assert (stop.effect, stop.derivation) == ("deep", derivation)


def test_edges_that_were_not_asked_for_are_not_walked() -> None:
    stray = reach([person("x"), table("y")], [ref("y.x_id > x.id", direction="from")]).edges
    found = walk({"a": ["email"]}, lambda frontier: Neighbours(edges=stray))
    assert effects(found) == {"a": "deep"}


_names = st.sampled_from("abcdefg")
_references = st.lists(
    st.builds(
        ref,
        st.builds("{}.{} > {}.id".format, _names, st.sampled_from("xyz"), _names),
        direction=st.sampled_from([None, "from", "to"]),
        on_erase=st.sampled_from([None, "deep", "refcount", "shallow"]),
    ),
    max_size=14,
)
_derivations = st.lists(
    st.builds(
        Derivation,
        upstream=_names,
        downstream=_names,
        columns=st.sampled_from([{}, {"x": "id"}, {"x": "street"}]),
    ),
    max_size=6,
)


def _strongest(found: Reach, start: str) -> dict[str, str | None]:
    """An independent reading of the rules: grow the set of deep datasets to a fixpoint, then ask
    each dataset for its strongest edge from one of them."""
    best: dict[str, str | None] = {start: "deep"}
    for edge in found.edges:
        assert best.get(edge.origin) == "deep" or any(
            other.destination == edge.origin and other.effect == "deep" for other in found.edges
        )
        old = best.get(edge.destination)
        if old is None or STRENGTH[edge.effect] > STRENGTH[old]:
            best[edge.destination] = edge.effect
    return best


@given(_references, _derivations, st.sets(_names))
def test_any_graph_is_walked_to_its_end_in_any_order_of_its_parts(
    references: list[Reference], derivations: list[Derivation], with_street: set[str]
) -> None:
    datasets = [person("a")] + [
        table(n, *([personal("street")] if n in with_street else [])) for n in "bcdefg"
    ]
    found = reach(datasets, references, derivations)
    again = reach(datasets[::-1], references[::-1], derivations[::-1])
    assert [s.address for s in found.stops] == [s.address for s in again.stops]
    assert effects(found) == effects(again)
    assert {a: e for a, e in effects(found).items() if e} == _strongest(found, "a")
    for stop in found.stops:
        assert len(stop.path) == stop.distance + 1 or stop.seeds
    assert all(one.distance <= two.distance for one, two in pairwise(found.stops))
