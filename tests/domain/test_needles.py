"""Needles: what is taken from a row, found in a text, and redacted."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from erasure.domain.needles import REDACTED, SHORTEST, Matcher, Needle, needles_of_row
from erasure.domain.values import Scalar, fold
from lineage.graph import Dataset, Field, Method

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def matcher(*texts: str) -> Matcher:
    return Matcher(Needle(text=text, category="user.name") for text in texts)


def texts_of(fields: list[Field], row: dict[str, Scalar]) -> set[str]:
    dataset = Dataset(address="a.b", store="s", name="b", fields=tuple(fields))
    return {n.text for n in needles_of_row(dataset, row)}


def field(name: str, *categories: str, identity: str | None = None) -> Field:
    return Field(name=name, categories=categories, identity=identity)


# what a row gives


def test_names_become_full_names_in_both_orders_and_never_parts() -> None:
    fields = [field("first", "user.name.first"), field("last", "user.name.last")]
    found = texts_of(fields, {"first": "Luís", "last": "Gonçalves"})
    assert found == {"Luís Gonçalves", "Gonçalves Luís", "Gonçalves, Luís"}


def test_a_full_name_is_turned_round_at_its_last_word() -> None:
    found = texts_of([field("name", "user.name")], {"name": "Maria de la Cruz"})
    assert found == {"Maria de la Cruz", "Cruz Maria de la", "Cruz, Maria de la"}


def test_a_single_word_is_no_name_to_search_for() -> None:
    assert texts_of([field("name", "user.name")], {"name": "Rose"}) == set()


def test_identities_and_contacts_are_needles_and_other_fields_are_not() -> None:
    fields = [
        field("mail", "user.contact.email", identity="email"),
        field("phone", "user.contact.phone_number"),
        field("born", "user.demographic.date_of_birth"),
        field("amount"),
    ]
    row: dict[str, Scalar] = {
        "mail": "Mira@Example.com", "phone": "+49 30 1234", "born": "1980-01-01", "amount": "1980"
    }  # fmt: skip
    assert texts_of(fields, row) == {"mira@example.com", "+49 30 1234"}


def test_the_constant_of_a_former_erasure_is_nobodys_value() -> None:
    masked = Method(name="constant", argument="taken away")
    fields = [
        Field(name="phone", categories=("user.contact.phone_number",), method=masked),
        Field(name="name", categories=("user.name",), method=masked),
        field("other", "user.contact.phone_number"),
    ]
    row: dict[str, Scalar] = {"phone": "taken away ", "name": "taken away", "other": "030 1234"}
    assert texts_of(fields, row) == {"030 1234"}
    assert texts_of(fields[:1], {"phone": "030 5678"}) == {"030 5678"}


@pytest.mark.parametrize(
    ("identity", "category", "value", "expected"),
    [
        ("customer_id", "", 42, set()),
        ("customer_id", "", 4_200_042, {"4200042"}),
        ("customer_id", "", "ALFKI", {"ALFKI"}),
        (None, "user.government_id", 1234, {"1234"}),
        (None, "user.contact.phone_number", "123", set()),
        (None, "user.contact.email", None, set()),
    ],
)
def test_short_values_mean_nothing_outside_their_column(
    identity: str | None, category: str, value: Scalar, expected: set[str]
) -> None:
    fields = [field("f", *([category] if category else []), identity=identity)]
    assert texts_of(fields, {"f": value}) == expected


def test_a_city_is_coarse_and_never_redacted_in_other_peoples_texts() -> None:
    dataset = Dataset(
        address="a.b", store="s", name="b",
        fields=(field("city", "user.contact.address.city"),
                field("street", "user.contact.address.street")),
    )  # fmt: skip
    needles = list(needles_of_row(dataset, {"city": "Lisbon", "street": "1 Rua Nova"}))
    assert {n.text: n.coarse for n in needles} == {"Lisbon": True, "1 Rua Nova": False}
    precise = Matcher(needles).precise()
    assert precise.redact("1 Rua Nova, Lisbon") == f"{REDACTED}, Lisbon"


# finding


@pytest.mark.parametrize(
    "text",
    [
        "Anna Lee",
        "x ANNA LEE.",
        "(anna lee)",
        "Anna Lee's",
        "ａｎｎａ lee",
        "Anna Lee\nAnna",
        "é Anna Lee",
    ],
)
def test_a_needle_is_found_on_word_boundaries_in_any_case(text: str) -> None:
    assert matcher("Anna Lee").found_in(text) == {0}


@pytest.mark.parametrize(
    "text", ["Joanna Lee", "Anna Leeds", "Anna Lee_2", "Anna  Lee", "Anna", ""]
)
def test_a_needle_inside_a_word_or_torn_apart_is_not_found(text: str) -> None:
    assert matcher("Anna Lee").found_in(text) == set()


@pytest.mark.parametrize(
    ("needle", "text"),
    [
        ("anna@example.com", "GET /reset?email=anna%40example.com HTTP/1.1"),
        ("anna+shop@example.com", "GET /?to=anna%2Bshop@example.com&x=1"),
        ("Anna Lee", "/search?q=%22Anna%20Lee%22"),
        ("Anna Lee", "name=anna+lee&next=%2F"),
        ("+49 30 1234", "tel=%2B49+30+1234"),
        ("4930123456", "tel=%2B4930123456"),
        ("Jürg Müller", "?name=J%C3%BCrg%20M%c3%bcller"),
        ("Jürg Müller", "<td>J&uuml;rg M&uuml;ller</td>"),
        ("Jürg Müller", "J&#252;rg M&#252;ller"),
        ("Sean O'Hara", "Sean O&#x27;Hara, Sean O&#39;Hara"),
        ("Lee & Sons", "<b>Lee &amp; Sons</b>"),
    ],
)
def test_a_needle_is_found_and_redacted_as_urls_and_pages_write_it(needle: str, text: str) -> None:
    assert matcher(needle).found_in(text) == {0}
    redacted = matcher(needle).redact(text)
    assert REDACTED in redacted
    assert matcher(needle).found_in(redacted) == set()


def test_a_part_of_a_mailbox_is_no_name() -> None:
    assert matcher("Anna Lee").found_in("anna+lee@example.com") == set()
    assert matcher("Anna Lee").redact("?a=anna+lee@example.com") == "?a=anna+lee@example.com"


def test_a_composed_letter_equals_its_parts() -> None:
    assert matcher("Luís Gonçalves").found_in("Lui\u0301s Gonc\u0327alves") == {0}


def test_a_needle_that_ends_in_a_sign_needs_no_boundary_there() -> None:
    assert matcher("+49 30 1234").found_in("tel:+49 30 1234") == {0}
    assert matcher("+49 30 1234").found_in("+49 30 12345") == set()


def test_equality_is_of_the_whole_text() -> None:
    both = matcher("anna@example.com", "Anna Lee")
    assert [both.needles[i].text for i in both.equals(" ANNA LEE ")] == ["Anna Lee"]
    assert both.equals("Anna Lee, again") == set()


def test_no_needles_find_nothing() -> None:
    nothing = Matcher(())
    assert not nothing
    assert nothing.found_in("anything") == set()
    assert nothing.redact("anything") == "anything"


# redacting


def test_overlapping_needles_become_one_mark() -> None:
    both = matcher("Anna Lee", "Lee Marsh")
    assert (
        both.redact("with Anna Lee Marsh, twice: Anna Lee") == f"with {REDACTED}, twice: {REDACTED}"
    )


def test_what_grows_by_folding_is_cut_where_it_stood() -> None:
    assert matcher("Straße 1a").redact("in der STRASSE 1A!") == f"in der {REDACTED}!"
    assert matcher("strasse 1a").redact("İ in der Straße 1a ß") == f"İ in der {REDACTED} ß"


@given(TEXTS, TEXTS, TEXTS)
@example("", "anna", "\u0301")
@example("İ", "anna", "ǆ")
def test_after_redacting_the_needle_is_gone_and_the_rest_stays(
    before: str, needle: str, after: str
) -> None:
    assume(len(needle.strip()) >= SHORTEST and fold(needle) not in fold(REDACTED))
    one = matcher(needle)
    text = f"{before} {needle} {after}"
    redacted = one.redact(text)
    assert one.found_in(redacted) == set() or fold(needle).strip("[] ") in "erased"
    for match in one.matches(text):
        assert needle_equal(text[match.start : match.end], needle)


def needle_equal(found: str, needle: str) -> bool:
    """A cluster is never torn apart, so what was found may hold a mark more than the needle."""
    return fold(needle) in fold(found)


@given(TEXTS)
def test_a_text_without_needles_is_left_as_it_was(text: str) -> None:
    one = matcher("a needle that is nowhere")
    assert one.redact(text) == text


@given(needles=st.lists(TEXTS, min_size=1, max_size=4), text=TEXTS, place=st.integers(0, 3))
@example(needles=["Ann Archer", "030 5550009"], text="to Ann Archer", place=0)
def test_in_a_very_long_text_the_same_is_found(needles: list[str], text: str, place: int) -> None:
    found = Matcher(Needle(text=n, category="") for n in [*needles, text[place:]] if n.strip())
    around = " \x1f " * 11_000
    assert found.found_in(around + text + around) == found.found_in(f" {text} ")
