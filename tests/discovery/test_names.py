"""What names suggest, in the languages of the lexicon."""

from __future__ import annotations

import pytest

from lineage import gate
from lineage.graph import StoreEntry
from lineage.importers.guesses import (
    guess,
    guesses_of,
    names_actor,
    names_people,
    names_person,
)
from lineage.importers.lexicon import GUESSES
from lineage.importers.terms import pattern
from lineage.importers.words import column_words, same_word, words
from lineage.schema import Column, Inspection, Table
from lineage.snapshot import Snapshot

EMAIL, PHONE = "user.contact.email", "user.contact.phone_number"
FIRST, LAST = "user.name.first", "user.name.last"
BORN = "user.demographic.date_of_birth"
STREET = "user.contact.address.street"
ZIP, CITY = "user.contact.address.postal_code", "user.contact.address.city"
COUNTRY = "user.contact.address.country"
OFFICIAL = "user.government_id.national_identification_number"
BANK, CARD = "user.financial.bank_account", "user.financial.credit_card"
TEXT, GENDER = "user.content", "user.demographic.gender"

NAMES = {
    # English
    "EmailAddress": EMAIL, "mobile_no": PHONE, "GivenName": FIRST, "surname": LAST,
    "dateOfBirth": BORN, "HouseNumber": STREET, "tax_id": OFFICIAL, "national_id": OFFICIAL,
    "cardNumber": CARD, "IPv4": "user.device.ip_address", "UserAgent": "user.device",
    # German
    "Vorname": FIRST, "Nachname": LAST, "Mädchenname": LAST, "Maedchenname": LAST,
    "GebDatum": BORN, "geburtsdatum": BORN, "Rechnungsstraße": STREET, "LIEFERSTRASSE": STREET,
    "hausnr": STREET, "PLZ": ZIP, "wohnort": CITY, "Telefonnummer": PHONE, "handy": PHONE,
    "E-Mail-Adresse": EMAIL, "kundenEmail": EMAIL, "SteuerID": OFFICIAL, "sv_nummer": OFFICIAL,
    "Geschlecht": GENDER, "Bemerkungen": TEXT, "reisepassnr": "user.government_id.passport_number",
    "Kundenname": "user.name", "bankverbindung": BANK,
    # French
    "prénom": FIRST, "nom_de_famille": LAST, "date_de_naissance": BORN, "code_postal": ZIP,
    "ville": CITY, "téléphone": PHONE, "courriel": EMAIL, "adresse_mail": EMAIL, "rue": STREET,
    "numero_secu": OFFICIAL, "civilité": GENDER, "remarques": TEXT, "carte_bancaire": CARD,
    "mot_de_passe": "user.authorization.password", "nom_utilisateur": "user.account.username",
    # Spanish
    "nombre_de_pila": FIRST, "apellidos": LAST, "fecha_nacimiento": BORN, "dirección": STREET,
    "codigo_postal": ZIP, "ciudad": CITY, "teléfono": PHONE, "móvil": PHONE, "correo": EMAIL,
    "correoElectronico": EMAIL, "DNI": OFFICIAL, "nif": OFFICIAL, "tarjeta_credito": CARD,
    "observaciones": TEXT, "país": COUNTRY,
    # Italian
    "cognome": LAST, "dataNascita": BORN, "indirizzo": STREET, "cellulare": PHONE, "città": CITY,
    "codice_fiscale": OFFICIAL, "cod_fisc": OFFICIAL, "ragione_sociale": "user.workplace",
    "posta_elettronica": EMAIL, "luogo_di_nascita": "user.demographic", "osservazioni": TEXT,
    # Dutch
    "voornaam": FIRST, "achternaam": LAST, "geboortedatum": BORN, "woonplaats": CITY,
    "huisnummer": STREET, "telefoonnummer": PHONE, "mobiel": PHONE, "BSN": OFFICIAL,
    "burgerservicenummer": OFFICIAL, "rekeningnummer": BANK, "opmerkingen": TEXT,
    # Portuguese
    "sobrenome": LAST, "data_nascimento": BORN, "endereço": STREET, "telemóvel": PHONE,
    "celular": PHONE, "CPF": OFFICIAL, "cidade": CITY,
    "palavra_passe": "user.authorization.password",
    # Polish
    "imię_i_nazwisko": "user.name",
    "imię": FIRST, "nazwisko": LAST, "dataUrodzenia": BORN, "ulica": STREET, "kod_pocztowy": ZIP,
    "miejscowość": CITY, "nr_telefonu": PHONE, "PESEL": OFFICIAL, "płeć": GENDER, "uwagi": TEXT,
}  # fmt: skip

OTHERS = [
    "handler", "portal", "mobility", "telemetry", "hotel", "description", "created_at", "version",
    "order_number", "kundennr", "betrag", "menge", "preis", "montant", "precio", "cantidad",
    "prezzo", "quantita", "prijs", "aantal", "valor", "kwota", "ilosc", "isbn", "sku", "status",
    "is_email", "has_phone", "email_template_id", "phone_type", "anzahl_adressen", "emailSentAt",
    "nombre_articulos", "nom_du_fichier", "dateiname", "produktname", "category_name", "transport",
    "report", "viability", "ipsum", "tipo", "carta", "cardinality", "birthright", "sexton",
    "streetwise_score", "mailbox_size", "namespace", "filename", "rename", "surnamed",
]  # fmt: skip


@pytest.mark.parametrize(("name", "category"), NAMES.items())
def test_a_name_in_any_of_the_languages_is_understood(name: str, category: str) -> None:
    found = guess(Column(name=name, data_type="VARCHAR(80)"))
    assert found is not None
    assert found.category == category


@pytest.mark.parametrize("name", OTHERS)
def test_names_of_other_things_say_nothing(name: str) -> None:
    assert guess(Column(name=name, data_type="VARCHAR(80)")) is None


@pytest.mark.parametrize(
    ("name", "data_type", "category"),
    [
        ("phone", "BIGINT", PHONE),
        ("birth_year", "YEAR", BORN),
        ("vorname", "INTEGER", None),
        ("is_mobile", "BOOLEAN", None),
        ("mobile", "BOOLEAN", None),
        ("origin", "INET", "user.device.ip_address"),
        ("position", "POINT", "user.location.precise"),
        ("login", "TIMESTAMP", None),
        ("photo", "BYTEA", "user.content.self_image"),
        ("first_name", "UUID", None),
    ],
)
def test_the_type_has_a_say(name: str, data_type: str, category: str | None) -> None:
    found = guess(Column(name=name, data_type=data_type))
    assert (found.category if found else None) == category


def table(name: str, *columns: str) -> Table:
    made = tuple(Column(name=column, data_type="VARCHAR(40)") for column in columns)
    return Table(name=name, columns=made)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (table("client", "nom", "prenom"), {"nom": LAST, "prenom": FIRST}),
        (table("cliente", "nome", "cognome"), {"nome": FIRST, "cognome": LAST}),
        (table("alumno", "nombre", "apellidos"), {"nombre": FIRST, "apellidos": LAST}),
        (table("pracownik", "imie", "nazwa"), {"imie": FIRST, "nazwa": LAST}),
    ],
)
def test_a_bare_name_beside_the_other_part_is_the_missing_one(
    made: Table, expected: dict[str, str]
) -> None:
    found = guesses_of(made)
    assert {name: g.category for name, g in found.items()} == expected
    assert all(g.strong for g in found.values())


def test_a_bare_name_is_a_persons_in_a_table_of_people_only() -> None:
    assert guesses_of(table("Kunden", "name"))["name"].strong
    assert guesses_of(table("auth_user", "name"))["name"].strong
    assert not guesses_of(table("country", "name"))["name"].strong
    assert names_people("dim_customers")
    assert not names_people("customer_orders")


def test_a_first_word_that_all_columns_share_is_no_word_of_theirs() -> None:
    assert column_words(table("customer", "c_name", "c_phone")) == {
        "c_name": "name",
        "c_phone": "phone",
    }
    assert column_words(table("t", "a_name", "b_phone"))["a_name"] == "a name"
    assert column_words(table("t", "name"))["name"] == "name"
    found = guesses_of(table("customer", "c_name", "c_phone"))
    assert found["c_phone"].category == PHONE
    assert found["c_name"].strong


def test_words_are_split_and_folded() -> None:
    assert words("Straßen-Nr2") == "strassen nr 2"
    assert words("GRÖSSE") == "grosse"
    assert words("ŁódźØre") == "lodz ore"
    assert words("客户") == ""


def test_a_term_is_a_word_a_compound_a_whole_name_or_its_end() -> None:
    assert pattern("first name").search("firstname")
    assert pattern("*strasse").search("lieferstrasse")
    assert not pattern("strasse").search("lieferstrasse")
    assert pattern("=ort").search("ort 2")
    assert not pattern("=ort").search("ort id")
    assert pattern("city$").search("billing city")
    assert not pattern("city$").search("city area")
    assert pattern("mädchen").search("maedchen")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("customer", "customers"), ("city", "cities"), ("kunde", "kunden"), ("auftrag", "auftrags"),
        ("rechnung", "rechnungen"), ("cliente", "clientes"), ("cliente", "clienti"),
        ("fattura", "fatture"), ("klant", "klanten"), ("klient", "klienci"), ("animal", "animaux"),
    ],
)  # fmt: skip
def test_singular_and_plural_are_one_word(one: str, other: str) -> None:
    assert same_word(one, other)
    assert same_word(other, one)


@pytest.mark.parametrize(("one", "other"), [("part", "party"), ("user", "use"), ("us", "uses")])
def test_other_words_are_not(one: str, other: str) -> None:
    assert not same_word(one, other)


@pytest.mark.parametrize(
    "name", ["email", "e_mail", "UserEmail", "kunden_email", "courriel", "correo"]
)
def test_an_address_of_the_row_itself_says_who_it_is(name: str) -> None:
    assert names_person(Column(name=name, data_type="TEXT"))


@pytest.mark.parametrize("name", ["billing_email", "support_email", "email_hash", "rechnungsemail"])
def test_an_address_of_somebody_else_does_not(name: str) -> None:
    assert not names_person(Column(name=name, data_type="TEXT"))


@pytest.mark.parametrize(
    "name", ["created_by", "erstellt_von", "GeändertVon", "creado_por", "Sachbearbeiter", "vendeur"]
)
def test_who_handles_a_row_is_told_in_other_languages_too(name: str) -> None:
    assert names_actor(name)


def test_the_gate_shows_a_category_in_its_remedy_in_any_language() -> None:
    live = Inspection(tables={"kunde": table("kunde", "vorname")}, fingerprint="x")
    store = StoreEntry(name="s", kind="sql")
    (finding,) = gate.findings(Snapshot(stores=[store], datasets={}), {"s": live})
    assert "{name: vorname, data_categories: [user.name.first]}" in finding.remedy


def test_no_term_is_shadowed_by_an_earlier_one() -> None:
    """A term that an earlier entry takes away is dead."""
    shadowed = []
    for number, entry in enumerate(GUESSES):
        for term in filter(None, entry.terms.split(",")):
            plain = term.strip("=$").replace("*", "")
            found = next(g for g in GUESSES if g.found.search(words(plain)))
            if GUESSES.index(found) < number and found.category != entry.category:
                shadowed.append((term, entry.category, found.category))
    assert shadowed == []
