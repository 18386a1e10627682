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
        ("STRASSE@example.org", "straße@example.org"),
        ("ﬁn@example.org", "FIN@example.org"),
    ],
)
def test_mailboxes_ignore_case(one: str, other: str) -> None:
    assert canonical(one, "email") == canonical(other, "email")
    assert canonical(one) != canonical(other)


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
