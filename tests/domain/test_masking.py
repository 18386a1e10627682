"""What anonymising puts in the place of a value."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from erasure.domain.masking import CannotMask, masked_fields, replacement, residue_of
from erasure.domain.placing import family_of
from erasure.domain.values import Scalar
from erasure.domain.vocabulary import pick
from lineage.graph import Dataset, Field, Method

SEED = b"a seed of 32 bytes for one run.."
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def how(text: str | None) -> Method | None:
    """``generalize: year`` as the catalogue has it."""
    if text is None:
        return None
    name, _, argument = text.partition(": ")
    return Method(name=name, argument=argument or None)


def put(method: str | None, value: Scalar, data_type: str = "", **more: Any) -> Scalar:
    given_: dict[str, Any] = {
        "length": None, "nullable": False, "unique": False, "seed": SEED, "key": ("t", "f", 1)
    }  # fmt: skip
    return replacement(how(method), value=value, data_type=data_type, **(given_ | more))


VALUES: dict[str, st.SearchStrategy[Scalar]] = {
    "VARCHAR(40)": TEXTS,
    "TEXT": TEXTS,
    "SMALLINT": st.integers(-(2**15), 2**15 - 1),
    "INTEGER": st.integers(-(2**31), 2**31 - 1),
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "NUMERIC(8, 2)": st.decimals(min_value=-99999, max_value=99999, places=2),
    "NUMERIC(3, 3)": st.just(Decimal("0.125")),
    "DOUBLE PRECISION": st.floats(allow_nan=False, allow_infinity=False),
    "BOOLEAN": st.booleans(),
    "DATE": st.dates(),
    "TIMESTAMP": st.datetimes(),
    "TIMESTAMP WITH TIME ZONE": st.datetimes(timezones=st.just(UTC)),
    "TIME": st.times(),
    "UUID": st.uuids(),
    "JSONB": st.just('{"a": 1}'),
    "BYTEA": st.binary(min_size=1),
    "ENUM('a', 'b')": st.sampled_from(["a", "b"]),
    "INET": st.just("192.0.2.1/32"),
    "": TEXTS,
}
METHODS = [
    None,
    "null",
    "keep",
    "random",
    "generalize: year",
    "generalize: month",
    "generalize: zip3",
    "generalize: bucket:7",
    "fake: name",
    "fake: email",
]
TYPED = st.sampled_from(sorted(VALUES)).flatmap(
    lambda t: st.tuples(st.just(t), VALUES[t])  # a type and one of its values
)
LENGTHS = st.one_of(st.none(), st.integers(1, 60))


@settings(deadline=None, max_examples=300)  # the first fake builds its vocabulary
@given(TYPED, st.sampled_from(METHODS), st.booleans(), LENGTHS)
@example(("", "0"), "generalize: zip3", False, None)
@example(("", "00 0"), "generalize: zip3", False, None)
@example(("", "?"), "generalize: bucket:7", False, 1)
def test_a_method_leaves_its_own_result_unchanged(
    typed: tuple[str, Scalar], method: str | None, nullable: bool, length: int | None
) -> None:
    """Every value, type and method: this is what makes a second execution end alike."""
    data_type, value = typed
    if isinstance(value, str) and length is not None:
        value = value[:length]
    first = put(method, value, data_type, nullable=nullable, length=length)
    assert put(method, first, data_type, nullable=nullable, length=length) == first


@settings(deadline=None)  # the first fake builds its vocabulary
@given(TYPED, st.sampled_from(METHODS), LENGTHS)
def test_what_refuses_null_gets_a_value_of_its_type_that_fits(
    typed: tuple[str, Scalar], method: str | None, length: int | None
) -> None:
    data_type, value = typed
    if isinstance(value, str | bytes) and length is not None:
        value = value[:length]
    text = family_of(data_type, value) in ("text", "bytes")
    made = put(method, value, data_type, length=length if text else None)
    assert made is not None
    numbers = (int, float, Decimal)
    assert type(made) is type(value) or (isinstance(made, numbers) and isinstance(value, numbers))
    if isinstance(made, str | bytes) and text and length is not None:
        assert len(made) <= length


@given(st.sampled_from(sorted(VALUES)), st.sampled_from(METHODS))
def test_nothing_stands_for_nothing(data_type: str, method: str | None) -> None:
    assert put(method, None, data_type, nullable=True) is None


@pytest.mark.parametrize("method", ["random", "fake: email", "fake: name", None])
def test_the_place_and_the_seed_decide_and_nothing_else(method: str | None) -> None:
    one = put(method, "mira@example.com")
    assert put(method, "mira@example.com") == one
    assert put(method, "tom@example.com") == one
    assert put(method, "mira@example.com", key=("t", "f", 2)) != one
    assert put(method, "mira@example.com", key=("t", "g", 1)) != one
    assert put(method, "mira@example.com", seed=b"another seed of another run.....") != one


def test_without_a_method_null_is_taken_where_the_column_takes_it() -> None:
    assert put(None, "x", nullable=True) is None
    assert put("null", "x", nullable=True) is None
    assert put(None, "Mira Quell", nullable=False) not in (None, "Mira Quell")


@pytest.mark.parametrize("length", [24, 30, 60, None])
def test_a_random_mailbox_looks_like_one_and_belongs_to_nobody(length: int | None) -> None:
    made = str(put("random", "mira@example.com", "VARCHAR(60)", length=length))
    assert made.endswith("@example.invalid")
    assert len(made) <= (length or 99)


def test_a_random_mailbox_without_room_is_a_token() -> None:
    assert len(str(put("random", "m@x.org", "VARCHAR(10)", length=10))) == 10


def test_random_numbers_stay_within_their_type() -> None:
    for key in range(300):
        assert 0 < int(str(put("random", 5, "SMALLINT", key=(key,)))) < 2**15
        assert 0 < int(str(put("random", 5, "INTEGER", key=(key,)))) < 2**31
        assert 0 <= int(str(put("random", Decimal("1.5"), "NUMERIC(4, 2)", key=(key,)))) < 100


def test_random_values_of_many_rows_do_not_collide() -> None:
    made = {put("random", "x", "VARCHAR(16)", length=16, key=(i,)) for i in range(20_000)}
    assert len(made) == 20_000


@pytest.mark.parametrize(
    ("method", "value", "data_type", "expected"),
    [
        ("generalize: year", date(1980, 5, 6), "DATE", date(1980, 1, 1)),
        ("generalize: year", "1980-05-06", "DATE", "1980-01-01"),
        ("generalize: year", "1980-05-06 07:08:09", "DATETIME", "1980-01-01 00:00:00"),
        ("generalize: year", "1980-05-06T07:08:09Z", "TEXT", "1980-01-01T00:00:00"),
        ("generalize: month", "1980-05-06", "TEXT", "1980-05-01"),
        ("generalize: month", "1980-05", "TEXT", "1980-05"),
        ("generalize: year", "1980", "TEXT", "1980"),
        ("generalize: month", datetime(2024, 5, 6, 7, tzinfo=UTC), "TIMESTAMP",
         datetime(2024, 5, 1, tzinfo=UTC)),
        ("generalize: zip3", "12345-678", "TEXT", "123"),
        ("generalize: zip3", 12345, "INTEGER", 12300),
        ("generalize: bucket:10", 47, "INTEGER", 40),
        ("generalize: bucket:10", -3, "INTEGER", -10),
        ("generalize: bucket:10", "47", "TEXT", "40"),
        ("generalize: bucket:10", Decimal("47.9"), "NUMERIC", Decimal(40)),
        ("constant: -", "anything", "TEXT", "-"),
        ("constant: 0", 17, "INTEGER", 0),
        ("constant: 2000-01-01", date(1980, 5, 6), "DATE", date(2000, 1, 1)),
        ("constant: 2000-01-01", "1980-05-06", "DATE", "2000-01-01"),
        ("keep", "as it is", "TEXT", "as it is"),
    ],
)  # fmt: skip
def test_coarser_and_constant_values(
    method: str, value: Scalar, data_type: str, expected: Scalar
) -> None:
    assert put(method, value, data_type) == expected


@pytest.mark.parametrize("method", ["year", "month", "zip3", "bucket:10"])
def test_what_cannot_be_made_coarser_does_not_stay(method: str) -> None:
    assert put(f"generalize: {method}", "?!", "TEXT", nullable=True) is None
    assert put(f"generalize: {method}", "?!", "TEXT", nullable=False) not in (None, "?!")


@pytest.mark.parametrize(
    ("method", "more", "words"),
    [
        ("vanish", {}, "unknown method 'vanish'"),
        ("constant: x", {"unique": True}, "unique"),
        ("constant: too long", {"length": 3}, "longer than the column's 3"),
        ("generalize: year", {"unique": True}, "unique"),
        ("generalize: decade", {}, "year, month, zip3, bucket:N"),
        ("generalize: bucket:0", {}, "above 0"),
        ("fake: unicorn", {}, "cannot fake 'unicorn'"),
        ("pseudonymize", {"length": 8}, "16 characters"),
        ("drop_key", {}, "path"),
    ],
)
def test_what_a_column_cannot_take_is_refused_without_a_value(
    method: str, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(CannotMask, match=words) as caught:
        put(method, "Mira Quell", "TEXT", **more)
    assert "Mira" not in str(caught.value)


def test_a_constant_of_another_type_is_refused() -> None:
    with pytest.raises(CannotMask, match="no integer"):
        put("constant: x", 5, "INTEGER")


def test_an_unknown_type_asks_for_a_constant() -> None:
    with pytest.raises(CannotMask, match="GEOMETRY"):
        put("random", "POINT(1 2)", "GEOMETRY")


def test_unique_fakes_of_many_rows_do_not_collide() -> None:
    made = {put("fake: name", "x", "TEXT", unique=True, key=(i,)) for i in range(5_000)}
    assert len(made) == 5_000


@pytest.mark.parametrize("kind", ["name", "email", "address", "city", "phone", "company"])
def test_fakes_come_from_a_vocabulary_and_nobody_owns_them(kind: str) -> None:
    made = {str(put(f"fake: {kind}", "x", "TEXT", key=(i,))) for i in range(200)}
    assert len(made) > 50
    assert all(text.endswith("@example.com") for text in made) is (kind == "email")
    assert pick("no such kind", SEED) is None


def test_equal_values_get_equal_pseudonyms_while_the_seed_lives() -> None:
    one = put("pseudonymize", "Mira Quell", "TEXT", key=("t", "f", 1))
    assert put("pseudonymize", "Mira Quell", "TEXT", key=("u", "g", 9)) == one
    assert put("pseudonymize", "Tom Ort", "TEXT") != one
    assert put("pseudonymize", "Mira Quell", "TEXT", seed=b"x" * 32) != one
    assert put("pseudonymize", one, "TEXT") == one
    assert len(str(one)) == 16


def test_a_key_is_dropped_from_a_document_wherever_the_path_leads() -> None:
    document = {"contact": [{"email": "a", "id": 1}, {"email": "b"}], "email": "kept"}
    made = put("drop_key: contact.email", json.dumps(document), "JSONB")
    assert json.loads(str(made)) == {"contact": [{"id": 1}, {}], "email": "kept"}
    assert put("drop_key: contact.email", made, "JSONB") == made
    assert put("drop_key: gone", '{"a":   1}', "TEXT") == '{"a":   1}'
    assert put("drop_key: a", "Mira, no document", "TEXT", nullable=True) is None


@pytest.mark.parametrize(
    ("data_type", "value", "family"),
    [
        ("NVARCHAR(40)", "x", "text"),
        ("character varying", "x", "text"),
        ("large_string", "x", "text"),
        ("string", "x", "text"),
        ("bpchar", "x", "text"),
        ("INTEGER", 1, "integer"),
        ("int64", 1, "integer"),
        ("INTERVAL", "1 day", "interval"),
        ("POINT", "(1,2)", "other"),
        ("timestamp[us]", None, "datetime"),
        ("date32[day]", None, "date"),
        ("DOUBLE PRECISION", 1.0, "float"),
        ("decimal128(8, 2)", None, "decimal"),
        ("TINYBLOB", b"", "bytes"),
        (None, True, "boolean"),
        (None, 1, "integer"),
        ("", time(1), "time"),
        ("", UUID(int=1), "uuid"),
        (None, None, "text"),
    ],
)
def test_types_of_sql_arrow_and_fideslang_are_understood(
    data_type: str | None, value: Scalar, family: str
) -> None:
    assert family_of(data_type, value) == family


def test_one_pseudonym_makes_a_dataset_pseudonymous() -> None:
    email = Field(name="email", identity="email")
    name = Field(name="name", categories=("user.name",), method=Method(name="pseudonymize"))
    kept = Field(name="city", categories=("user.contact",), method=Method(name="keep"))
    other = Field(name="total")
    plain = Dataset(address="a.b", store="s", name="b", fields=(email, kept, other))
    linked = Dataset(address="a.b", store="s", name="b", fields=(email, name))
    assert [f.name for f in masked_fields(plain)] == ["email"]
    assert residue_of(plain) == "anonymized"
    assert residue_of(linked) == "pseudonymized"
