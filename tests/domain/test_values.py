"""One canonical text per value, and a typed JSON form."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasure.domain.values import (
    Scalar,
    all_from_json,
    all_to_json,
    canonical,
    fold,
    from_json,
    hashed,
    respelt,
    rows_from_json,
    rows_to_json,
    to_json,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.binary(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.dates(),
    st.times(),
    st.uuids(),
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (42, "42"),
        (42, 42.0),
        (42, Decimal("42.00")),
        (0, "0"),
        (" ALFKI ", "ALFKI"),
        (b"\x0a\xff", "0aff"),
        (True, "true"),
        (date(2024, 2, 1), "2024-02-01"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_a_value_is_the_same_however_a_store_writes_it(one: Scalar, other: Scalar) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"), [(42, "042"), (42, 43), (1, True), ("alfki", "ALFKI"), (42, 42.5), (0, "")]
)
def test_different_values_stay_different(one: Scalar, other: Scalar) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mira@Example.COM", "mira@example.com"),
        ("ÄRGER@example.org", "ärger@example.org"),
        ("STRAẞE@example.org", "straße@example.org"),
        ("ﬁn@example.org", "FIN@example.org"),
    ],
)
def test_mailboxes_ignore_case(one: str, other: str) -> None:
    assert canonical(one, "email") == canonical(other, "email")
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("info@strasse.example", "info@straße.example"),
        ("INFO@STRASSE.example", "info@straße.example"),
        ("ος@example.org", "οσ@example.org"),
        ("ırem@example.com", "irem@example.com"),
    ],
)
def test_mailboxes_that_only_folding_makes_one_are_two(one: str, other: str) -> None:
    """Each of them can be registered by itself (IDNA 2008)."""
    assert canonical(one, "email") != canonical(other, "email")


@given(TEXTS)
def test_a_mailbox_is_hashed_as_it_always_was(text: str) -> None:
    """Entries are kept for years, and nothing can be hashed anew."""
    assert hashed(text, "email") == fold(text.strip())
    assert hashed(text) == canonical(text)


@given(st.text("aZßẞςσΣİıﬁÄ\u0308\u212a@.-0"))
def test_a_mailbox_is_hashed_alike_however_it_came(text: str) -> None:
    assert hashed(canonical(text, "email"), "email") == hashed(text, "email")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("-Infinity")])
def test_what_is_no_number_has_a_text_too(value: Scalar) -> None:
    assert canonical(value) == str(value)


@given(TEXTS)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(SCALARS)
def test_a_value_survives_json_with_its_type(value: Scalar) -> None:
    read = from_json(json.loads(json.dumps(to_json(value))))
    assert read == value
    assert type(read) is type(value)


@given(st.lists(SCALARS, max_size=5))
def test_a_key_survives_json(values: list[Scalar]) -> None:
    assert all_from_json(json.loads(json.dumps(all_to_json(values)))) == tuple(values)


ROWS = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.tuples(*[st.one_of(st.integers(-(2**70), 2**70), SCALARS)] * width), max_size=3
    )
)
# All of a column whole numbers, of every width that they may be written in, or nearly all.
EDGES = st.sampled_from([0, 1, -1, *(s * 2**b + d for b in (7, 15, 31, 63) for s in (1, -1)
                                    for d in (-1, 0, 1))])  # fmt: skip


@given(ROWS, st.integers(1, 40))
def test_rows_survive_json_with_their_types(rows: list[tuple[Scalar, ...]], times: int) -> None:
    many = rows * times
    plain, read = rows_from_json(json.loads(json.dumps(rows_to_json(many))))
    assert read == many
    assert [[type(v) for v in row] for row in read] == [[type(v) for v in row] for row in many]
    assert plain == all(type(v) in (int, str, type(None)) for row in many for v in row)


@given(st.lists(st.tuples(EDGES, TEXTS), min_size=40), st.sampled_from([None, True, "1", 2**64]))
def test_one_odd_value_among_whole_numbers_stays_what_it_is(
    rows: list[tuple[int, str]], odd: Scalar
) -> None:
    for many in (rows, [*rows, (odd, "x")]):
        _, read = rows_from_json(json.loads(json.dumps(rows_to_json(many))))
        assert read == many
        assert [type(row[0]) for row in read] == [type(row[0]) for row in many]


def test_rows_of_several_widths_survive_json() -> None:
    rows: list[tuple[Scalar, ...]] = [(1,), (2, 3)] * 40
    assert rows_from_json(json.loads(json.dumps(rows_to_json(rows)))) == (True, rows)


def test_rows_that_were_written_down_one_by_one_are_read_still() -> None:
    """A run may have been begun before rows were written down by column."""
    assert rows_from_json([[n, "a"] for n in range(100)]) == (True, [(n, "a") for n in range(100)])
    dated = [[n, {"date": "2024-01-02"}] for n in range(100)]
    assert rows_from_json(dated) == (False, [(n, date(2024, 1, 2)) for n in range(100)])


def test_moments_keep_their_zone() -> None:
    moment = datetime(2024, 1, 2, 3, 4, tzinfo=UTC)
    assert from_json(to_json(moment)) == moment
    assert from_json(to_json(time(3, 4))) == time(3, 4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("9" * 5000), "9" * 5000),
        (Decimal("1e400"), "1" + "0" * 400),
        (Decimal("-0"), "0"),
        (Decimal("12.00"), "12"),
        (-0.0, "0"),
        (1e22, "10000000000000000000000"),
    ],
)
def test_whole_numbers_have_one_text_however_many_digits_they_have(
    value: Decimal | float, text: str
) -> None:
    assert canonical(value) == text


@pytest.mark.parametrize(
    ("mailbox", "others"),
    [
        ("ann@example.com", []),
        ("STRASSE@example.com", ["straße@example.com"]),
        ("straße@example.com", ["strasse@example.com"]),
        (
            "weiss@straße.example",
            ["weiss@strasse.example", "weiß@strasse.example", "weiß@straße.example"],
        ),
        ("ß" * 7 + "@example.com", []),
    ],
)
def test_a_mailbox_has_other_spellings_where_it_has_a_sharp_s(
    mailbox: str, others: list[str]
) -> None:
    assert respelt(mailbox) == others
