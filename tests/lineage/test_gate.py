"""What the gate finds, and what it leaves in peace."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from lineage.gate import NOTES, RULES, Broken, Finding, findings
from lineage.graph import Dataset, Derivation, Field, Reference, StoreEntry
from lineage.sarif import sarif
from lineage.schema import Column, ForeignKey, Inspection, Table
from lineage.snapshot import Snapshot
from tests.lineage.cast import personal, ref, table
from tests.lineage.gate_cast import (
    CUSTOMER,
    INVOICE,
    JUSTIFIED,
    REFERENCE,
    codes,
    found,
    live,
)


def test_a_catalogue_that_fits_gives_nothing() -> None:
    assert found([CUSTOMER, INVOICE], references=[REFERENCE]) == []


def test_a_table_that_is_not_in_the_catalogue_comes_with_the_line_that_settles_it() -> None:
    log = Table(name="log", columns=(Column(name="id", data_type="INT"),))
    (finding,) = found([CUSTOMER], live(CUSTOMER, log=log))
    assert (finding.code, finding.place) == ("unclassified-table", "db: log")
    (entry,) = yaml.safe_load(finding.remedy)
    assert (entry["name"], entry["fields"]) == ("log", [{"name": "id"}])


def test_a_column_that_is_not_in_the_catalogue_comes_with_a_guess() -> None:
    columns = (Column(name="id", data_type="INT"), Column(name="phone", data_type="TEXT"))
    wider = Table(name="customer", columns=(*columns, Column(name="email", data_type="TEXT")))
    (finding,) = [
        f for f in found([CUSTOMER], live(customer=wider)) if f.code == "unclassified-column"
    ]
    assert finding.place == "k.customer.phone"
    assert yaml.safe_load(finding.remedy) == [
        {"name": "phone", "data_categories": ["user.contact.phone_number"]}
    ]


def test_a_document_column_is_known_by_any_path_inside_it() -> None:
    event = table("k.event", Field(name="payload.user.id"), action="delete")
    columns = (Column(name="id", data_type="", primary_key=True),)
    held = Table(name="event", columns=(*columns, Column(name="payload", data_type="JSON")))
    assert found([event], live(event=held)) == []


def test_a_foreign_key_that_is_no_reference() -> None:
    invoice = live(INVOICE).tables["invoice"]
    key = ForeignKey(name="f", columns=("customer_id",), target="customer", target_columns=("id",))
    inspection = live(CUSTOMER, invoice=replace(invoice, foreign_keys=(key,)))
    assert found([CUSTOMER, INVOICE], inspection, [REFERENCE]) == []
    backwards = ref("k.customer.id > k.invoice.customer_id", direction="to")
    assert found([CUSTOMER, INVOICE], inspection, [backwards]) == []
    (finding,) = found([CUSTOMER, INVOICE], inspection)
    assert (finding.code, finding.place) == ("undeclared-foreign-key", "k.invoice.customer_id")
    assert yaml.safe_load(finding.remedy)["fides_meta"]["references"] == [
        {"dataset": "k", "field": "customer.id", "direction": "from"}
    ]


def test_a_foreign_key_of_two_columns_is_declared_only_together() -> None:
    holder = table("k.line", Field(name="shop"), Field(name="order_id"), action="delete")
    orders = table("k.orders", Field(name="shop"), action="delete")
    key = ForeignKey(
        name="fk", columns=("shop", "order_id"), target="orders", target_columns=("shop", "id")
    )
    plain = live(holder).tables["line"]
    shapes = live(holder, orders, line=replace(plain, foreign_keys=(key,)))
    shop = ref("k.line.shop > k.orders.shop", direction="from")
    number = ref("k.line.order_id > k.orders.id", direction="from")
    together = replace(shop, also=(("order_id", "id"),))

    def told(*references: Reference) -> list[str]:
        every = found([holder, orders], shapes, list(references))
        return [f.code for f in every if f.place == "k.line.shop, order_id"]

    assert told() == ["undeclared-foreign-key"]
    assert told(shop, number) == ["reference-in-parts"]
    assert told(together) == []


def test_personal_fields_without_an_action() -> None:
    assert codes(found([replace(CUSTOMER, action=None)])) == [("undecided", "k.customer")]


def test_personal_fields_that_nothing_leads_to() -> None:
    lost = replace(table("k.lost", personal("street")), action="delete", **JUSTIFIED)  # type: ignore[arg-type]
    assert codes(found([CUSTOMER, lost])) == [("unreachable", "k.lost")]
    mail = Field(name="Wer?", categories=("user.contact.email",))
    (finding,) = found([CUSTOMER, replace(lost, fields=(*lost.fields, mail))])
    assert yaml.safe_load(finding.remedy) == {"fides_meta": {"identity": "email"}}
    assert '# on "Wer?"; or {references: ' in finding.remedy
    assert found([CUSTOMER, replace(lost, action="ignore", because="x")]) == []
    leading = ref("k.lost.id > k.customer.id", direction="from")
    assert found([CUSTOMER, lost], references=[leading]) == []


def test_free_text_is_reached_by_value_wherever_it_is() -> None:
    note = Field(name="note", categories=("user.content",), free_text=True)
    notes = replace(table("k.notes", note), action="redact", **JUSTIFIED)  # type: ignore[arg-type]
    assert found([CUSTOMER, notes]) == []


def test_what_is_made_from_personal_data_must_be_decided() -> None:
    sums, report = table("k.sums"), table("k.report")
    chain = [
        Derivation(upstream="k.customer", downstream="k.sums"),
        Derivation(upstream="k.sums", downstream="k.report"),
    ]
    assert codes(found([CUSTOMER, sums, report], derivations=chain)) == [
        ("undecided-downstream", "k.report"),
        ("undecided-downstream", "k.sums"),
    ]


def test_what_happens_to_a_backup_follows_from_its_kind() -> None:
    backup = Dataset(address="v.nightly", store="vault", name="nightly")
    copy = Derivation(upstream="k.customer", downstream="v.nightly", kind="backed_up")
    assert found([CUSTOMER, backup], live(CUSTOMER), derivations=[copy]) == []


def test_personal_fields_without_purpose_basis_or_retention() -> None:
    (finding,) = found([replace(CUSTOMER, purpose="", retention={})])
    assert finding.code == "unjustified"
    assert "purpose, retention" in finding.reason
    said = yaml.safe_load(finding.remedy)["erasure"]
    assert said == {"purpose": "…", "retention": {"period": "…", "starts": "…"}}


def starting(day: str) -> Dataset:
    return replace(CUSTOMER, retention={"period": "3y", "starts": day})


@pytest.mark.parametrize(("written", "meant"), [("emial", "email"), ("paid_on", "…")])
def test_a_retention_that_names_a_field_that_is_not_there_is_a_fault(
    written: str, meant: str
) -> None:
    (finding,) = found([starting(written)])
    assert (finding.code, finding.place) == ("retention-start", "k.customer")
    assert f"'{written}', which is no column of it" in finding.reason
    mended = yaml.safe_load(finding.remedy)
    assert mended == {"erasure": {"retention": {"period": "3y", "starts": meant}}}


@pytest.mark.parametrize("day", ["the last order", "the mailing", "training", ""])
def test_a_retention_that_starts_with_a_day_in_words_is_told_and_no_fault(day: str) -> None:
    (finding,) = found([starting(day)])
    assert (finding.code, finding.place) == ("retention-by-hand", "k.customer")
    assert finding.code in NOTES
    assert "by hand" in finding.remedy


def test_a_retention_in_words_is_not_told_of_where_no_column_could_tell() -> None:
    assert found([starting("the mailing")], kind="manual") == []
    assert found([replace(starting("x"), action="ignore")]) == []
    nobodys = replace(INVOICE, retention={"period": "3y"})
    assert found([CUSTOMER, nobodys], references=[REFERENCE]) == []


def test_what_has_gone_from_the_store_is_named_with_the_references_it_breaks() -> None:
    result = found([CUSTOMER, INVOICE], live(INVOICE), [REFERENCE])
    assert codes(result) == [
        ("table-gone", "k.customer"),
        ("reference-gone", "k.invoice.customer_id → k.customer.id"),
    ]
    narrow = Table(name="invoice", columns=(Column(name="id", data_type="", primary_key=True),))
    result = found([CUSTOMER, INVOICE], live(CUSTOMER, invoice=narrow), [REFERENCE])
    assert codes(result) == [
        ("field-gone", "k.invoice.customer_id"),
        ("reference-gone", "k.invoice.customer_id → k.customer.id"),
    ]


@pytest.mark.parametrize(
    ("data_type", "declared", "words"),
    [
        ("JSONB", None, ""),
        ("TEXT", "object", ""),
        ("TEXT", None, "'profile' is a column of text; where that is JSON, say so"),
        ("INTEGER", "object", "'profile' is no column of JSON"),
    ],
)
def test_a_field_inside_a_column_is_there_where_that_holds_documents(
    data_type: str, declared: str | None, words: str
) -> None:
    fields = (*CUSTOMER.fields, Field(name="profile", data_type=declared), Field(name="profile.x"))
    customer = replace(CUSTOMER, fields=fields)
    table = live(CUSTOMER).tables["customer"]
    profile = Column(name="profile", data_type=data_type)
    inspection = live(customer=replace(table, columns=(*table.columns, profile)))
    result = found([customer], inspection)
    assert codes(result) == ([("field-gone", "k.customer.profile.x")] if words else [])
    assert all(words in finding.reason for finding in result)


def test_what_a_database_sends_to_subscribers_must_have_a_copy_somewhere() -> None:
    published = replace(
        live(CUSTOMER, INVOICE), published={"customer": ("feed",), "invoice": ("feed",)}
    )
    (told,) = found([CUSTOMER, INVOICE], published, [REFERENCE])
    assert (told.code, told.place) == ("published", "k.customer")
    assert "feed" in told.reason
    derived = [Derivation(upstream="k.customer", downstream="k.invoice", kind="derived")]
    assert found([CUSTOMER, INVOICE], published, [REFERENCE], derived) == []


def test_a_server_whose_log_keeps_the_values_is_told_of() -> None:
    (told,) = found([CUSTOMER], replace(live(CUSTOMER), logged="it logs; SET log = off"))
    assert (told.code, told.place, told.remedy) == ("values-logged", "db", "SET log = off")


def test_what_a_module_keeps_for_its_virtual_table_is_not_asked_for() -> None:
    shadow = Table(name="mail_data", kind="shadow", columns=(Column(name="id", data_type=""),))
    plain = replace(shadow, kind="table")
    assert found([CUSTOMER], live(CUSTOMER, mail_data=shadow)) == []
    assert codes(found([CUSTOMER], live(CUSTOMER, mail_data=plain))) == [
        ("unclassified-table", "db: mail_data")
    ]


def test_a_table_without_a_key_cannot_be_erased_from() -> None:
    keyless = replace(
        CUSTOMER, fields=CUSTOMER.fields[1:], retention={"period": "3y", "starts": "email"}
    )
    columns = Table(name="customer", columns=(Column(name="email", data_type="TEXT"),))
    assert codes(found([keyless], live(customer=columns))) == [("no-primary-key", "k.customer")]
    assert found([keyless], live(customer=columns), kind="files") == []


def test_a_table_of_another_schema_is_found_by_its_full_name() -> None:
    other = replace(CUSTOMER, schema="crm")
    made = live(CUSTOMER).tables["customer"]
    assert found([other], Inspection(tables={"crm.customer": made}, fingerprint="x")) == []


@pytest.mark.parametrize("kind", ["manual", "model_registry", "logs", "backups", "http"])
def test_stores_without_tables_are_not_compared(kind: str) -> None:
    assert found([CUSTOMER], live(), kind=kind) == []


def test_a_broken_store_does_not_stop_the_others() -> None:
    catalogue = Snapshot(
        stores=[StoreEntry(name="db", kind="sql"), StoreEntry(name="down", kind="sql")],
        datasets={"k.customer": replace(CUSTOMER, store="down"), "k.x": table("k.x")},
    )
    broken = {"down": Broken(code="driver-missing", reason="install it")}
    extra = Table(name="y", columns=())
    result = findings(catalogue, {"db": live(table("k.x"), y=extra)}, broken)
    assert codes(result) == [("unclassified-table", "db: y"), ("driver-missing", "down")]


def test_a_fingerprint_says_what_and_where_and_not_in_which_words() -> None:
    one = Finding(code="undecided", place="k.a", reason="x", remedy="y")
    assert one.fingerprint == replace(one, reason="z").fingerprint
    assert one.fingerprint != replace(one, place="k.b").fingerprint
    assert one.fingerprint != replace(one, code="unreachable").fingerprint


def test_sarif_names_rules_levels_places_and_what_is_new() -> None:
    old = Finding(code="undecided", place="k.a", reason="r", remedy="m")
    new = Finding(code="unjustified", place="k.b", reason="r", remedy="m")
    run = sarif([old, new], [old.fingerprint])["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(RULES)
    states = [(r["ruleId"], r["level"], r["baselineState"]) for r in run["results"]]
    assert states == [("undecided", "error", "unchanged"), ("unjustified", "warning", "new")]
    places = run["results"][0]["locations"][0]["logicalLocations"]
    assert places == [{"fullyQualifiedName": "k.a"}]


def test_a_store_of_a_kind_that_nothing_connects_to_comes_with_the_line_that_settles_it() -> None:
    catalogue = Snapshot(stores=[StoreEntry(name="jaffle shop", kind="duckdb")], datasets={})
    broken = {"jaffle shop": Broken(code="no-connector", reason="store kind 'duckdb': unknown")}
    (finding,) = findings(catalogue, {}, broken)
    assert finding.code in RULES
    assert finding.remedy.startswith('- {name: jaffle shop, kind: sql, url: "${JAFFLE_SHOP_URL}"}')


def test_a_derivation_that_names_a_column_that_has_gone_is_found() -> None:
    copy = table("k.copy", Field(name="who"), action="delete")
    made = Derivation(upstream="k.customer", downstream="k.copy", columns={"who": "id"})
    there = live(CUSTOMER, replace(copy, fields=copy.fields[:1]))
    result = found([CUSTOMER, copy], there, derivations=[made])
    assert ("reference-gone", "k.copy.who → k.customer.id") in codes(result)


def test_every_column_of_a_composite_reference_is_looked_for() -> None:
    held = table("k.line", Field(name="no"), Field(name="part"), action="delete")
    both = replace(ref("k.line.no > k.customer.id", direction="from"), also=(("part", "email"),))
    there = live(CUSTOMER, replace(held, fields=held.fields[:2]))
    assert ("reference-gone", "k.line.part → k.customer.email") in codes(
        found([CUSTOMER, held], there, references=[both])
    )


def test_a_report_says_at_which_line_of_the_catalogue_a_finding_is() -> None:
    at = [
        Finding(code="undecided", place=place, reason="r", remedy="m")
        for place in ("k.customer.email", "db: visit", "elsewhere")
    ]
    places = {"k.customer": "shop.yml:7", "k": "shop.yml:1", "db": "stores.yml:2"}
    results = sarif(at, (), places)["runs"][0]["results"]
    physical = [r["locations"][0].get("physicalLocation") for r in results]
    assert physical == [
        {"artifactLocation": {"uri": "shop.yml"}, "region": {"startLine": 7}},
        {"artifactLocation": {"uri": "stores.yml"}, "region": {"startLine": 2}},
        None,
    ]
