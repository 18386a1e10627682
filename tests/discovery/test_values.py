"""What values look like: what passes each detector, what nearly does, and that noise does not."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.pl import pesel

from lineage.importers.detectors import DETECTORS, plausible, year_of
from lineage.importers.guesses import guess
from lineage.importers.terms import Guess
from lineage.importers.values import Look, look, text_of
from lineage.schema import Column
from tests.discovery import strangers

PASSING = {
    "email addresses": ["anna@example.org", "a.b-c+d@mail.example.co.uk", "jürgen@bücher.example"],
    "valid IBANs": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "nl91abna0417164300"],
    "valid payment card numbers": ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"],
    "IP addresses": ["192.168.1.20", "203.0.113.9/32", "198.51.100.7:443", "2001:db8::1"],
    "MAC addresses": ["00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7"],
    "user agents": ["Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0"],
    "valid international phone numbers": ["+49 30 901820", "0033 1 42 68 53 00"],
    "valid national phone numbers": ["(030) 901820", "030 / 901820", "(212) 555-2368"],
    "web addresses of accounts": [
        "https://example.com/users/anna", "https://github.com/anna", "ftp://anna:pw@example.com/",
        "https://www.linkedin.com/in/anna-b/",
    ],
    "valid Italian fiscal codes": ["RSSMRA85T10A562S"],
    "valid Spanish DNI numbers": ["12345678Z"],
    "valid Spanish NIE numbers": ["X1234567L"],
    "valid French social security numbers": ["2 95 10 99 126 111 93"],
    "valid Polish PESEL numbers": ["44051401359"],
    "valid German tax identification numbers": ["36 574 261 809"],
    "valid Belgian national numbers": ["85.07.30-033 28"],
    "valid Swiss AHV numbers": ["756.9217.0769.85"],
    "valid Finnish personal identity codes": ["131052-308T"],
    "valid Dutch BSN numbers": ["111222333"],
    "valid British NHS numbers": ["943-476-5870"],
    "valid Brazilian CPF numbers": ["390.533.447-05"],
}  # fmt: skip

NEAR_MISSES = {
    "email addresses": ["icon@2x.png", "anna@localhost", "@anna", "a@b@example.org"],
    "valid IBANs": ["DE89 3704 0044 0532 0130 01", "DE8937040044", "1234567890123456"],
    "valid payment card numbers": ["4111111111111112", "1234567812345670", "4111-1111"],
    "IP addresses": ["1.2.3.4", "4.18.0.12", "10.0.19041.1", "256.1.1.1", "12:34:56", "::1"],
    "MAC addresses": ["00:1b:44:11:3a", "00:1b-44:11:3a:b7", "2024-01-05"],
    "user agents": ["Mozilla", "Linux x86_64", "and/or 5"],
    "valid international phone numbers": ["+1", "00493012345678", "+000 000 000", "4930901820"],
    "valid national phone numbers": [
        "20240001234", "0012345678", "01/02/2024", "01.02.2024", "2024-01-05", "12-34-56",
    ],
    "web addresses of accounts": ["https://example.com/products/7", "/users"],
    "valid Italian fiscal codes": ["RSSMRA85T10A562T", "00743110157"],
    "valid Spanish DNI numbers": ["12345678A", "12345678"],
    "valid French social security numbers": ["295109912611194", "12345"],
    "valid Polish PESEL numbers": ["44051401358"],
    "valid German tax identification numbers": ["36574261890", "01234567890"],
    "valid Swiss AHV numbers": ["756.9217.0769.84", "7612345678900"],
    "valid Dutch BSN numbers": ["111222334", "12345"],
}  # fmt: skip


def passing(words: str, text: str) -> bool:
    (detector,) = (d for d in DETECTORS if d.words == words)
    return detector.test(text)


@pytest.mark.parametrize(("words", "text"), [(w, t) for w, ts in PASSING.items() for t in ts])
def test_what_it_is_passes(words: str, text: str) -> None:
    assert passing(words, text)


@pytest.mark.parametrize(("words", "text"), [(w, t) for w, ts in NEAR_MISSES.items() for t in ts])
def test_what_only_looks_like_it_does_not(words: str, text: str) -> None:
    assert not passing(words, text)


# Columns of things that are no persons' data; each is judged whole, as a sample of a table.
DIGITS = st.text("0123456789", min_size=6, max_size=19)
MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2030, 1, 1))  # noqa: DTZ001
NOISE: dict[str, st.SearchStrategy[Any]] = {
    **{f"numbers of {n} digits": st.integers(10 ** (n - 1), 10**n - 1) for n in range(6, 20)},
    "small numbers": st.integers(0, 5_000),
    "digits": DIGITS,
    "order numbers": st.integers(0, 10**6).map(lambda n: f"ORD-2024-{n:06d}"),
    "padded numbers": st.integers(0, 10**8).map(lambda n: f"{n:012d}"),
    "dated numbers": st.tuples(st.dates(date(2000, 1, 1)), st.integers(0, 9_999)).map(
        lambda p: f"{p[0]:%y%m%d}{p[1]:04d}"
    ),
    "versions": st.tuples(*[st.integers(0, 40)] * 4).map(lambda p: ".".join(map(str, p))),
    "times": MOMENTS.map(lambda m: f"{m:%H:%M:%S}"),
    "moments": MOMENTS,
    "written dates": MOMENTS.map(lambda m: f"{m:%d/%m/%Y}"),
    "epochs": MOMENTS.map(lambda m: int((m - datetime(1970, 1, 1)).total_seconds())),  # noqa: DTZ001
    "prices": st.decimals(0, 10_000, places=2),
    "floats": st.floats(-1e6, 1e6),
    "uuids": st.uuids(),
    "hashes": st.binary(min_size=16, max_size=16).map(bytes.hex),
    "words": st.text("abcdefghijklmnopqrstuvwxyz ", min_size=3, max_size=30),
    "codes": st.from_regex(r"[A-Z]{2,4}-[0-9]{3,6}", fullmatch=True),
    "serials": st.from_regex(r"[A-Z0-9]{16}", fullmatch=True),
    "ratios": st.tuples(st.integers(1, 99), st.integers(1, 99)).map(lambda p: f"{p[0]}/{p[1]}"),
    "paths": st.from_regex(r"/[a-z]{2,8}/[a-z]{2,8}\.png", fullmatch=True),
    "barcodes": st.integers(10**11, 10**12 - 1).map(lambda n: f"{n}{(10 - n % 10) % 10}"),
    "times of day and zones": st.integers(0, 1_000).map(lambda n: f"{n % 24}:00 +0{n % 9}:00"),
    "coordinates": st.floats(-180, 180).map(lambda f: f"{f:.6f}"),
}


@pytest.mark.parametrize("noise", NOISE)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_columns_of_other_things_prove_nothing(noise: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(NOISE[noise], min_size=20, max_size=60, unique_by=str))
    seen = look(None, values)
    assert seen.proof is None
    assert not seen.nested


@pytest.mark.parametrize("digits", range(8, 17))
def test_thousands_of_random_numbers_pass_no_sure_detector(digits: int) -> None:
    """What 'sure' means: at most one unrelated number in fifty."""
    random = Random(digits)
    numbers = [str(random.randrange(10 ** (digits - 1), 10**digits)) for _ in range(3_000)]
    for detector in (d for d in DETECTORS if d.sure):
        passed = sum(map(detector.test, numbers))
        # a card's first digits leave one random number in three, Luhn one of ten of those
        assert passed <= 0.035 * len(numbers), detector.words


def column(make: Any, count: int = 100) -> list[str]:
    random = Random(5)
    return [make(random) for _ in range(count)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (strangers.some_iban, "valid IBANs"),
        (strangers.some_card, "valid payment card numbers"),
        (strangers.some_tax_id, "valid German tax identification numbers"),
        (strangers.some_phone, "valid international phone numbers"),
    ],
)
def test_a_column_is_recognised_with_some_dirt_in_it(make: Any, words: str) -> None:
    seen = look(None, [*column(make, 95), *["unknown"] * 5, None, None, ""])
    assert seen.proof is not None
    assert (seen.proof.words, seen.proven, seen.values) == (words, 95, 100)


def test_numbers_are_read_like_texts() -> None:
    cards = [int(c) for c in column(strangers.some_card)]
    assert look(None, cards).proven == 100
    assert look(None, [Decimal(c) for c in cards]).proven == 100


def test_a_value_that_repeats_proves_no_more_than_once() -> None:
    assert look(None, ["4111111111111111"] * 50).proof is None


def test_an_account_number_in_half_of_the_rows_is_seen() -> None:
    seen = look(None, [*column(strangers.some_iban, 60), *["cash"] * 40])
    assert seen.proven == 60
    assert look(None, [*column(strangers.some_iban, 40), *["cash"] * 60]).proof is None


def named(name: str, data_type: str = "TEXT") -> Guess:
    found = guess(Column(name=name, data_type=data_type))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "fitting", "other"),
    [
        ("first_name", ["Anna", "Jean-Luc", "O'Neill", "ANNA"], ["a1", "x@y.z", "Customer#1"]),
        ("phone", ["030-0074321", "(171) 555-7788", "0621 08460"], ["Galaxy S9", "n/a"]),
        ("birth_date", ["1980-12-31", "31.12.1980", "12/31/1980", "19801231"], ["0001-01-01"]),
        ("zip", ["49123", "D01 F5P2", "1012 AB", "00-950"], ["Kassel", "x" * 20]),
        ("iban", ["GB82WEST12345698765432", "DEUTDEFF"], ["yes", "ü"]),
        ("ssn", ["123-45-6789", "850730-033.28"], ["none", "12"]),
        ("city", ["Łódź", "St. Gallen"], ["12345"]),
        ("username", ["anna_b"], ["two words"]),
    ],
)
def test_values_agree_with_a_name_or_do_not(
    name: str, fitting: list[str], other: list[str]
) -> None:
    found = named(name)
    good, bad = look(found, fitting), look(found, other)
    assert (good.fitting, good.agrees) == (len(fitting), True)
    assert (bad.fitting, bad.agrees) == (0, False)


def test_dates_of_a_birth_date_may_be_of_any_type() -> None:
    found = named("birth_date", "DATE")
    assert look(found, [date(1980, 1, 1), datetime(1990, 5, 5)]).fitting == 2  # noqa: DTZ001
    assert look(named("birth_year", "YEAR"), [1980, 1990]).fitting == 2


def test_nothing_can_disagree_where_the_category_has_no_form() -> None:
    assert plausible("user.authorization.password") is None
    assert look(named("password"), ["x"]).agrees is None
    assert look(named("email"), []).agrees is None


def test_years_are_read_however_a_date_is_written() -> None:
    assert year_of("1980-12-31 00:00:00+00") == 1980
    assert year_of("31.12.80") == 1980
    assert year_of("1980-13-41") is None
    assert year_of("12:30") is None


def test_dates_decades_apart_may_be_of_birth() -> None:
    random = Random(1)
    births = [strangers.some_date(random, 1940, 2005) for _ in range(50)]
    assert look(None, births).born
    assert look(None, [date.fromisoformat(b) for b in births]).born
    assert not look(None, [strangers.some_date(random, 2018, 2025) for _ in range(50)]).born
    assert not look(None, [*births, "soon"]).born
    assert not look(None, list(range(1940, 2000))).born


def test_long_texts_that_differ_are_free_text() -> None:
    random = Random(1)
    texts = [strangers.some_text(random) for _ in range(40)]
    assert look(None, texts).long_text
    assert not look(None, texts[:1] * 40).long_text
    assert not look(None, ["Antwerp", "Ghent", "Bruges"] * 10).long_text
    assert look(None, [*texts, f"{texts[0]} ask anna@example.org please"]).holding == 1


def test_keys_inside_documents_are_seen_with_their_values() -> None:
    documents = [
        json.dumps({"contact": {"email": f"p{i}@example.org"}, "items": [{"iban": account}, {}]})
        for i, account in enumerate(column(strangers.some_iban, 30))
    ]
    nested = {n.path: n for n in look(None, documents).nested}
    assert set(nested) == {"contact.email", "items.iban"}
    assert nested["contact.email"].look.proven == 30
    assert nested["items.iban"].look.agrees


def test_a_key_that_is_itself_a_value_is_never_named() -> None:
    documents = [{f"anna{i}": {"phone": "+49 30 901820"}, "email": "x"} for i in range(30)]
    nested = look(None, [json.dumps(d) for d in documents]).nested
    assert [n.path for n in nested] == ["email"]


def test_a_key_that_recurs_is_named_unless_it_may_be_a_value() -> None:
    documents = [{"anna@example.org": {"phone": "+49 30 901820"}, "email": "x"}] * 30
    nested = look(None, [json.dumps(d) for d in documents]).nested
    assert [n.path for n in nested] == ["email"]
    some = [json.dumps({"email": "x", **({"phone": "1"} if i < 5 else {})}) for i in range(100)]
    assert [n.path for n in look(None, some).nested] == ["email"]


def test_documents_may_be_broken_deep_or_of_any_kind() -> None:
    deep = "[" * 100_000
    assert look(None, [deep, "{", "{}", "[]"]).values == 4
    assert look(None, ['{"a": {"b": {"c": {"d": {"e": {"email": "x"}}}}}}'] * 10).nested == ()
    assert look(None, [{"email": f"p{i}@example.org"} for i in range(10)]).nested[0].path == "email"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), (True, ""), (b"anna", ""), (" a ", "a"), (7, "7"), (7.0, "7"), (7.5, ""),
        (float("nan"), ""), (float("inf"), ""), (Decimal("NaN"), ""), (Decimal("Infinity"), ""),
        (Decimal(10) ** 20, "1" + "0" * 20), (Decimal("1e9999"), ""), (Decimal("1.5"), ""),
        (date(2000, 1, 2), "2000-01-02"),
        (UUID(int=0), "00000000-0000-0000-0000-000000000000"), ({"a": 1}, '{"a": 1}'),
    ],
)  # fmt: skip
def test_any_value_is_read_as_it_would_be_written(value: object, text: str) -> None:
    assert text_of(value) == text


@settings(max_examples=200)
@given(
    st.lists(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.binary(), st.dates()))
)
def test_a_look_holds_counts_and_no_value(values: list[object]) -> None:
    seen = look(named("email"), values)
    assert isinstance(seen, Look)
    assert seen.values <= len(values)
    assert 0 <= (seen.fitting or 0) <= seen.values
    assert seen.distinct <= seen.values


@settings(max_examples=300)
@given(st.text("0123456789٣७ABXZ@.:+-/() \x00ßİ", max_size=40))
def test_no_text_whatever_makes_a_detector_fail(text: str) -> None:
    for detector in DETECTORS:
        assert detector.test(text) in (True, False)
    for category in ("user.contact.phone_number", "user.demographic.date_of_birth"):
        found = plausible(category)
        assert found is not None
        assert found[1](text) in (True, False)


def test_the_check_digits_are_the_ones_of_the_registers() -> None:
    assert luhn.is_valid("4111111111111111")
    assert pesel.is_valid("44051401359")
