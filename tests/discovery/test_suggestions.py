"""How sure a suggestion is: the rule, case by case."""

from __future__ import annotations

from random import Random

import pytest

from lineage.importers.guesses import guesses_of
from lineage.importers.suggestions import Evidence, Role, Suggestion, suggest
from lineage.importers.values import look
from lineage.importers.words import column_words
from lineage.schema import Column, Table
from tests.discovery import strangers

EMAILS = [f"person{i}@example.org" for i in range(50)]
RANDOM = Random(4)
PHONES = [strangers.some_phone(RANDOM) for _ in range(50)]
LOCAL = [f"(030) 9018{i:02d}" for i in range(20)]
IBANS = [strangers.some_iban(RANDOM) for _ in range(50)]
TEXTS = [strangers.some_text(RANDOM) for _ in range(50)]
BIRTHS = [strangers.some_date(RANDOM, 1940, 2000) for _ in range(50)]
NAMES = ["Anna", "Marco", "Zoé"] * 10


def suggested(
    name: str, values: list[str], role: Role, *, table: str = "t", data_type: str = "TEXT"
) -> Suggestion | None:
    made = Table(name=table, columns=(Column(name=name, data_type=data_type),))
    found = guesses_of(made).get(name)
    return suggest(
        Evidence(
            column=made.columns[0],
            words=column_words(made)[name],
            guess=found,
            look=look(found, values),
        ),
        role,
    )


@pytest.mark.parametrize(
    ("name", "values", "role", "category", "confidence"),
    [
        # a strong name, with values that agree, that were not seen, that do not agree
        ("vorname", NAMES, "uncertain", "user.name.first", "high"),
        ("vorname", [], "uncertain", "user.name.first", "high"),
        ("vorname", ["x1", "y2"], "uncertain", "user.name.first", "medium"),
        # what may be a warehouse's or a machine's
        ("phone", PHONES, "person", "user.contact.phone_number", "high"),
        ("phone", PHONES, "linked", "user.contact.phone_number", "medium"),
        ("ip", ["203.0.113.9"] * 5, "linked", "user.device.ip_address", "medium"),
        ("ip", ["203.0.113.9"] * 5, "child", "user.device.ip_address", "high"),
        # a weak name
        ("city", ["Bari"] * 5, "person", "user.contact.address.city", "medium"),
        ("city", ["12"] * 5, "person", "user.contact.address.city", "low"),
        ("city", ["Bari"] * 5, "plain", None, None),
        ("diagnosis", ["flu"] * 5, "plain", "user.health_and_medical", "low"),
        ("name", NAMES, "uncertain", "user.name", "medium"),
        ("name", NAMES, "linked", None, None),
        # values alone
        ("x1", IBANS, "linked", "user.financial.bank_account", "high"),
        ("x1", EMAILS, "linked", "user.contact.email", "high"),
        ("x1", PHONES, "person", "user.contact.phone_number", "high"),
        ("x1", PHONES, "linked", "user.contact.phone_number", "medium"),
        ("x1", IBANS[:4], "linked", "user.financial.bank_account", "medium"),
        ("x1", IBANS[:30] + ["cash"] * 20, "linked", "user.financial.bank_account", "medium"),
        ("x1", IBANS[:4] + ["cash"] * 3, "linked", "user.financial.bank_account", "low"),
        ("x1", LOCAL, "person", "user.contact.phone_number", "medium"),
        ("x1", LOCAL, "linked", "user.contact.phone_number", "low"),
        # values that say something else than the name
        ("username", EMAILS, "person", "user.contact.email", "high"),
        ("fax", PHONES, "person", "user.contact.fax_number", "high"),
        # texts and dates
        ("note", TEXTS, "child", "user.content", "medium"),
        ("x1", TEXTS, "linked", "user.content", "medium"),
        ("x1", TEXTS, "plain", "user.content", "low"),
        ("x1", BIRTHS, "person", "user.demographic.date_of_birth", "low"),
        ("x1", BIRTHS, "linked", None, None),
        ("x1", ["open", "closed"], "person", None, None),
    ],
)  # fmt: skip
def test_how_sure_it_is(
    name: str, values: list[str], role: Role, category: str | None, confidence: str | None
) -> None:
    found = suggested(name, values, role)
    assert (found.categories[0] if found else None) == category
    assert (found.confidence if found else None) == confidence


@pytest.mark.parametrize(
    ("name", "values", "role", "reason"),
    [
        ("geburtsdatum", [], "person", "name 'geburtsdatum'"),
        ("x1", [*IBANS[:49], "cash"], "person", "49 of 50 sampled values are valid IBANs"),
        ("iban", IBANS, "person", "name 'iban' and 50 of 50 sampled values are valid IBANs"),
        (
            "telefon",
            ["030 9018", "n/a", "Galaxy"],
            "person",
            "name 'telefon', but only 1 of 3 sampled values are written like phone numbers",
        ),
        ("note", TEXTS, "person", "name 'note' and long texts"),
        (
            "x1",
            [*TEXTS, f"write to {EMAILS[0]} about it, or ring at the door at any time please"],
            "person",
            "1 of 51 sampled texts hold an email address",
        ),
    ],
)
def test_the_reason_is_told_in_words(name: str, values: list[str], role: Role, reason: str) -> None:
    found = suggested(name, values, role)
    assert found is not None
    assert found.reason == reason


def test_a_name_in_a_table_named_after_people_is_medium_and_says_why() -> None:
    found = suggested("name", NAMES, "uncertain", table="customers")
    assert found is not None
    assert found.confidence == "medium"
    assert found.reason.startswith("name 'name' in a table named after people and 30 of 30")


def test_a_type_that_speaks_for_itself_is_named() -> None:
    found = suggested("origin", [], "linked", data_type="INET")
    assert found is not None
    assert (found.confidence, found.reason) == ("medium", "type INET")


def test_long_texts_are_free_text_and_addresses_are_not() -> None:
    texts, city = suggested("x1", TEXTS, "person"), suggested("city", ["Bari"], "person")
    assert texts is not None
    assert texts.free_text
    assert city is not None
    assert not city.free_text


def test_a_document_has_the_categories_of_its_keys() -> None:
    documents = [f'{{"a": {{"email": "{e}"}}, "note": "x", "n": 1}}' for e in EMAILS]
    found = suggested("payload", documents, "child")
    assert found is not None
    assert found.categories == ("user.contact.email", "user.content")
    assert (found.confidence, found.reason) == ("high", "JSON documents with a.email, note")
    assert [(path, one.confidence) for path, one in found.nested] == [
        ("a.email", "high"),
        ("note", "medium"),
    ]


def test_no_reason_and_no_representation_shows_a_value() -> None:
    for values in (EMAILS, PHONES, IBANS, TEXTS, NAMES, BIRTHS):
        for name in ("x1", "email", "note", "telefon"):
            found = suggested(name, values, "person")
            assert not any(value in repr(found) for value in values)
