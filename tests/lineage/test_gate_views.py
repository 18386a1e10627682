"""Views at the gate, and names that only YAML's quotes can hold."""

from __future__ import annotations

from dataclasses import replace

import yaml

from lineage.graph import Derivation
from lineage.schema import Column, ForeignKey, Table
from tests.lineage.cast import personal, table
from tests.lineage.gate_cast import CUSTOMER, INVOICE, REFERENCE, found, live


def test_a_view_in_the_catalogue_is_told_from_a_table_that_has_gone() -> None:
    inspection = replace(live(), views={"customer": "view"})
    (finding,) = found([CUSTOMER], inspection)
    assert (finding.code, finding.place) == ("table-gone", "k.customer")
    assert finding.reason == "'customer' is a view; name the tables it reads from instead"
    schema = replace(CUSTOMER, schema="crm")
    (finding,) = found([schema], replace(inspection, views={"crm.customer": "materialized view"}))
    assert "is a materialized view; it is built anew" in finding.reason
    assert "action: ignore" in finding.reason
    (finding,) = found([CUSTOMER], live())
    assert finding.reason == "'customer' is not in the store"


def test_a_view_may_stand_in_the_catalogue_to_show_what_is_made_of_what() -> None:
    shown = replace(table("k.people"), action="ignore", because="a view")
    inspection = replace(live(), views={"people": "view"})
    assert found([shown], inspection) == []


def test_a_materialised_view_that_nobody_classified_is_a_copy_that_nobody_decided_on() -> None:
    inspection = replace(live(CUSTOMER), views={"best": "materialized view", "shown": "view"})
    (finding,) = found([CUSTOMER], inspection)
    assert (finding.code, finding.place) == ("unclassified-table", "db: best")
    declared = replace(table("k.best"), action=None)
    made = [Derivation(upstream="k.customer", downstream="k.best")]
    (finding,) = found([CUSTOMER, declared], inspection, derivations=made)
    assert (finding.code, finding.place) == ("undecided-downstream", "k.best")


def test_a_view_is_never_advised_to_be_deleted_from() -> None:
    """It is no target: what builds it anew is named, or the tables it reads."""
    inspection = replace(live(CUSTOMER), views={"best": "materialized view", "shown": "view"})
    best, shown = (table(f"k.{name}", personal("who")) for name in ("best", "shown"))
    made = [Derivation(upstream="k.customer", downstream=f"k.{n}") for n in ("best", "shown")]
    first, second = (
        f
        for f in found([CUSTOMER, best, shown], inspection, derivations=made)
        if f.code == "undecided"
    )
    assert (first.place, second.place) == ("k.best", "k.shown")
    assert yaml.safe_load(first.remedy) == {"erasure": {"action": "ignore", "because": "…"}}
    assert '{refresh: ["best"]}' in first.remedy
    assert "keeps no rows" in yaml.safe_load(second.remedy)["erasure"]["because"]
    (finding,) = (
        f
        for f in found([CUSTOMER, replace(best, action="delete")], inspection, derivations=made)
        if f.code == "table-gone"
    )
    assert '{refresh: ["best"]}' in finding.remedy
    (finding,) = found([CUSTOMER], inspection)
    assert '{refresh: ["best"]}' in finding.remedy
    (entry,) = yaml.safe_load(finding.remedy)
    assert entry["erasure"] == {
        "action": "ignore",
        "because": "…",
        "derived_from": [{"dataset": "…", "kind": "derived"}],
    }


def test_remedies_are_yaml_whatever_names_they_hold() -> None:
    odd = ("E-Mail: address", 'the "nick"', "yes", "{x}")
    columns = tuple(Column(name=name, data_type="TEXT") for name in odd)
    key = ForeignKey(name="f", columns=(odd[0],), target="customer", target_columns=("id",))
    inspection = live(CUSTOMER, INVOICE)
    wider = replace(
        inspection.tables["invoice"],
        columns=(*inspection.tables["invoice"].columns, *columns),
        foreign_keys=(key,),
    )
    strange = {"a: b": Table(name="a: b", columns=columns)}
    result = found([CUSTOMER, INVOICE], live(CUSTOMER, invoice=wider, **strange), [REFERENCE])
    told = {f.place: yaml.safe_load(f.remedy) for f in result}
    (entry,) = told["db: a: b"]
    assert (entry["name"], [f["name"] for f in entry["fields"]]) == ("a: b", list(odd))
    assert [told[f"k.invoice.{name}"][0]["name"] for name in odd[1:]] == list(odd[1:])
    both = [f for f in result if f.code == "undeclared-foreign-key"]
    assert [list(yaml.safe_load(f.remedy)) for f in both] == [["fides_meta"]]
