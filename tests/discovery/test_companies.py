"""Companies without a foreign key, in three languages, on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from erasure.connect import make_store
from erasure.management.commands.discover_lineage import entry_of_url, find
from lineage import catalog, gate, selectors
from lineage.graph import StoreEntry
from lineage.importers import fideslang, sql_schema
from lineage.importers.discovery import Findings
from tests.discovery.conftest import Make, findings
from tests.discovery.strangers import Company, english, french, german, shipping

STORE = StoreEntry(name="shop", kind="sql", url="${SHOP_URL}")

GERMAN = {
    "kunde.anrede": "medium", "kunde.vorname": "high", "kunde.nachname": "high",
    "kunde.geburtsdatum": "high", "kunde.strasse": "high", "kunde.plz": "high",
    "kunde.ort": "medium", "kunde.telefon": "high", "kunde.e_mail": "high",
    "kunde.steuer_id": "high", "kunde.kontoverbindung": "high", "kunde.bemerkung": "medium",
    "auftrag.lieferanschrift": "high", "auftrag.lieferort": "medium",
    "mitarbeiter.vorname": "high", "mitarbeiter.nachname": "high", "mitarbeiter.email": "high",
}  # fmt: skip
FRENCH = {
    "clients.civilite": "medium", "clients.nom": "high", "clients.prenom": "high",
    "clients.date_de_naissance": "high", "clients.adresse": "high", "clients.code_postal": "high",
    "clients.ville": "medium", "clients.tel": "high", "clients.courriel": "high",
    "commandes.remarques": "medium",
}  # fmt: skip
ENGLISH = {
    "users.email": "high", "users.first_name": "high", "users.last_name": "high",
    "users.dob": "high", "orders.ship_city": "medium", "payments.x1": "high",
    "events.origin": "medium", "events.client": "medium", "events.payload": "high",
}  # fmt: skip
SHIPPING = {
    "customer.c_name": "medium", "customer.c_address": "high", "customer.c_phone": "high",
    "customer.c_acctbal": "medium", "customer.c_comment": "medium",
    "supplier.s_address": "medium", "supplier.s_phone": "medium",
    "orders.o_clerk": "low", "orders.o_comment": "medium",
}  # fmt: skip


def confidences(found: Findings) -> dict[str, str]:
    return {
        f"{table}.{column}": one.confidence for (table, column), one in found.suggestions.items()
    }


def references(found: Findings) -> dict[str, str]:
    """``holder.column`` to ``confidence target.column``."""
    return {
        f"{one.link.holder}.{one.link.column}": (
            f"{one.confidence} {one.link.target}.{one.link.target_column}"
        )
        for group in found.references.values()
        for one in group
    }


@pytest.mark.parametrize(
    ("company", "expected"),
    [(german, GERMAN), (french, FRENCH), (english, ENGLISH), (shipping, SHIPPING)],
)
def test_personal_columns_are_found_and_no_other(
    make: Make, company: object, expected: dict[str, str]
) -> None:
    assert callable(company)
    assert confidences(findings(make(company(Random(1))))) == expected


@pytest.mark.parametrize(
    ("company", "expected"),
    [
        (
            german,
            {
                "auftrag.kundennr": "high kunde.kundennr",
                "auftrag.sachbearbeiter": "medium mitarbeiter.personalnr",
                "auftragsposition.auftragsnr": "high auftrag.auftragsnr",
                "auftragsposition.artikel_nr": "high artikel.artikelnr",
            },
        ),
        (
            french,
            {
                "commandes.id_client": "high clients.id",
                "lignes_commande.commande_id": "high commandes.id",
                "lignes_commande.produit_id": "high produits.id",
            },
        ),
        (
            english,
            {
                "orders.user_id": "high users.id",
                "orders.gifted_to": "medium users.id",
                "payments.order_id": "high orders.id",
                "events.actor": "medium users.id",
            },
        ),
        (
            shipping,
            {
                "orders.o_custkey": "high customer.c_custkey",
                "lineitem.l_orderkey": "high orders.o_orderkey",
                "lineitem.l_suppkey": "high supplier.s_suppkey",
            },
        ),
    ],
)
def test_references_are_found_without_a_foreign_key(
    make: Make, company: object, expected: dict[str, str]
) -> None:
    assert callable(company)
    assert references(findings(make(company(Random(1))))) == expected


def test_without_values_names_alone_speak_and_no_reference_is_sure(make: Make) -> None:
    url = make(german(Random(1)))
    found = findings(url, rows=0)
    assert found.sampled == 0
    assert confidences(found)["kunde.vorname"] == "high"
    assert references(found)["auftrag.kundennr"] == "medium kunde.kundennr"
    assert {one.split()[0] for one in references(found).values()} == {"medium", "low"}


@pytest.mark.parametrize("company", [german, french, english, shipping])
def test_the_same_database_has_the_same_draft_without_any_of_its_values(
    make: Make, company: object
) -> None:
    assert callable(company)
    made: Company = company(Random(1))
    url = make(made)
    text = sql_schema.draft(findings(url), STORE)
    assert sql_schema.draft(findings(url), STORE) == text
    values = {str(v) for rows in made.rows.values() for row in rows for v in row}
    telling = {v for v in values if len(v) > 5 and not v.isdigit()}
    assert telling
    assert [v for v in telling if v in text] == []
    assert fideslang.read_text(text, "draft.yml").warnings == ()


@pytest.mark.django_db
def test_a_draft_without_foreign_keys_leads_from_the_customer_to_the_last_row(
    on_sqlite: Make,
) -> None:
    found = findings(on_sqlite(german(Random(1))))
    text = sql_schema.draft(found, STORE).replace(
        "{store: shop}", "{store: shop, purpose: p, legal_basis: contract, retention: {period: 3y}}"
    )
    catalog.upsert(fideslang.read_text(text, "draft.yml"))
    left = gate.findings(selectors.snapshot(), {"shop": found.inspection})
    assert [one for one in left if one.code not in gate.NOTES] == []
    effects = {r.holder_field: r.on_erase for r in selectors.references()}
    assert effects == {"kundennr": None, "auftragsnr": None, "artikel_nr": None}


def test_an_unsure_reference_to_people_asks_and_ignores_nothing(on_sqlite: Make) -> None:
    company = english(Random(1))
    text = sql_schema.draft(findings(on_sqlite(company)), STORE)
    events = text.partition("- name: events")[2].partition("- name: orders")[0]
    assert "# decide: whose rows are these?" in events
    assert "action:" not in events
    assert (
        "# to confirm (medium): references: [{dataset: shop, field: users.id, direction: from}]: "
        in events
    )
    datasets = {p.value.name: p.value for p in fideslang.read_text(text, "d.yml").datasets}
    assert {f.name for f in datasets["events"].fields} == {
        "id",
        "actor",
        "origin",
        "client",
        "payload",
    }


def test_a_table_tied_to_people_by_an_unsure_reference_alone_asks_too(on_sqlite: Make) -> None:
    users = english(Random(1)).rows["users"]
    company = Company(
        tables={
            "users": "id char(32) primary key, email varchar(80), first_name varchar(40), "
            "last_name varchar(40), dob date",
            "gift": "id integer primary key, receiver char(32)",
            "colour": "id integer primary key, label varchar(9)",
        },
        rows={
            "users": users,
            "gift": [(i, user[0]) for i, user in enumerate(users)],
            "colour": [(1, "red")],
        },
    )
    text = sql_schema.draft(findings(on_sqlite(company)), STORE)
    actions = {p.value.name: p.value.action for p in fideslang.read_text(text, "d.yml").datasets}
    assert actions == {"users": "delete", "gift": None, "colour": "ignore"}


def test_keys_inside_documents_are_comments_because_a_table_has_no_such_column(
    on_sqlite: Make,
) -> None:
    text = sql_schema.draft(findings(on_sqlite(english(Random(1)))), STORE)
    assert (
        "# inside (high): {name: payload.contact.email, data_categories: [user.contact.email]}: "
        "name 'email' and 120 of 120 sampled values are email addresses" in text
    )
    assert "# inside (medium): {name: payload.contact.zip" in text
    assert "example.net" not in text


def test_what_was_found_and_what_is_left_is_counted(on_sqlite: Make, tmp_path: Path) -> None:
    found = findings(on_sqlite(german(Random(1))))
    text = sql_schema.draft(found, STORE)
    assert sql_schema.summary(found, text) == [
        "tables: 5, 5 of them sampled; columns: 30",
        "columns with a suggestion: 13 high, 4 medium, 0 low; without: 13",
        "references: 0 declared; by name and values: 3 high, 1 medium, 0 low",
        "left to a person: 3 to decide, 5 to confirm",
    ]
    assert text.count("# decide:") == 3
    # the head of the draft explains the words
    assert text.count("to confirm (") - 2 == 5


def test_addresses_in_a_column_of_another_name_may_be_who_the_row_is(on_sqlite: Make) -> None:
    members = [(i, f"member{i}@example.org", i) for i in range(40)]
    company = Company(
        tables={"account": "id integer primary key, login varchar(80), points integer"},
        rows={"account": members},
    )
    text = sql_schema.draft(findings(on_sqlite(company)), STORE)
    assert "# decide: does this say who the row is? then fides_meta.identity: email" in text
    (placed,) = fideslang.read_text(text, "d.yml").datasets
    assert (placed.value.identities, placed.value.action) == ((), None)


def test_documents_about_things_make_no_table_one_of_people(on_sqlite: Make) -> None:
    company = Company(
        tables={"product": "id integer primary key, details text"},
        rows={"product": [(i, f'{{"name": "Thing {i}", "note": "n"}}') for i in range(30)]},
    )
    text = sql_schema.draft(findings(on_sqlite(company)), STORE)
    told = "nothing personal in name and type of 2 columns, and in 30 sampled rows"
    assert f'because: "suggested by discover_lineage: {told}"' in text


@pytest.mark.parametrize(
    ("rows", "told"), [(0, "no row was looked at"), (200, "the table was empty")]
)
def test_a_table_of_which_no_row_was_seen_is_ignored_with_these_very_words(
    tmp_path: Path, rows: int, told: str
) -> None:
    path = tmp_path / "hue.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table hue (id integer primary key, red integer)")
    with closing(make_store(entry_of_url(f"sqlite:///{path}"))) as store:
        text = sql_schema.draft(find(store, rows, lambda _: None), STORE)
    assert f"nothing personal in name and type of 2 columns, {told}" in text


def test_what_refers_to_a_table_that_may_be_of_people_is_asked_about(on_sqlite: Make) -> None:
    company = Company(
        tables={
            "site": "id integer primary key, phone varchar(40)",
            "visit": "id integer primary key, site_id integer references site (id), at date",
        },
        rows={
            "site": [(i, f"+49 30 9018{i:04}") for i in range(20)],
            "visit": [(i, i, "2026-01-01") for i in range(20)],
        },
    )
    text = sql_schema.draft(findings(on_sqlite(company)), STORE)
    assert "ignore" not in text
    assert text.count("# decide: whose rows are these?") == 2


def test_a_table_with_nothing_but_doubts_is_ignored_with_a_word_about_them(
    on_sqlite: Make,
) -> None:
    company = Company(
        tables={"wine": "id integer primary key, label varchar(40), age integer"},
        rows={"wine": [(1, "red", 7)]},
    )
    text = sql_schema.draft(findings(on_sqlite(company)), STORE)
    told = "nothing personal but what is to confirm below in name and type of 3 columns"
    assert f'because: "suggested by discover_lineage: {told}, and in 1 sampled row"' in text
    assert "# to confirm (low): data_categories: [user.demographic.age_range]: name 'age'" in text
    (placed,) = fideslang.read_text(text, "d.yml").datasets
    assert not placed.value.has_personal_fields
