"""One canonical address per dataset, and aliases that never split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.naming import LONGEST, Aliases, canonical, of_prefix, of_store, split


@pytest.mark.parametrize(
    ("namespace", "name", "address"),
    [
        (
            "postgresql://Warehouse",
            "public.customers",
            "postgres://warehouse:5432/public.customers",
        ),
        ("postgres://warehouse:5432/", "db.public.c", "postgres://warehouse:5432/db.public.c"),
        ("postgres://me:secret@w:5433", "db.public.c", "postgres://w:5433/db.public.c"),
        ("bigquery", "project.set.table", "bigquery:project.set.table"),
        ("s3a://lake", "/warehouse/people/", "s3://lake/warehouse/people"),
        ("s3://lake", "warehouse/people", "s3://lake/warehouse/people"),
        ("gs://b", "people/year=2026/month=11", "gs://b/people"),
        ("gs://b", "people/2026-11-21", "gs://b/people"),
        ("gs://b", "20261121", "gs://b/20261121"),
        ("gs://mock-bucket", "copied.csv", "gs://mock-bucket/copied.csv"),
        ("file", "/tmp/outputs/1729097570970", "file:/tmp/outputs"),
        ("gs://b", "people/2026/11/20", "gs://b/people"),
        ("gs://b", "people/0191272f-fd25-7707-bfa4-3ec02693a531", "gs://b/people"),
        ("gs://b", "1729097570970", "gs://b/1729097570970"),
        ("bigquery", "p.d.1729097570970", "bigquery:p.d.1729097570970"),
        ("file:///", "/tmp/x", "file:/tmp/x"),
        ("SnowflakeOpenLineage", "CUSTOMERS", "SnowflakeOpenLineage:CUSTOMERS"),
        ("/tmp/alter_test", "default.new", "/tmp/alter_test:default.new"),
    ],
)
def test_spellings_of_one_dataset_have_one_address(namespace: str, name: str, address: str) -> None:
    assert canonical(namespace, name) == address


def test_long_names_stay_apart_and_fit_everywhere() -> None:
    one, other = (canonical("s3://b", "x" * 10_000 + end) for end in ("1", "2"))
    assert one != other
    assert len(one) <= LONGEST
    assert len(other) <= LONGEST


@pytest.mark.parametrize(
    ("kind", "url", "schema", "name", "address"),
    [
        (
            "sql",
            "postgresql://u:p@db/shop",
            None,
            "customer",
            "postgres://db:5432/shop.public.customer",
        ),
        ("sql", "postgresql://db:99/shop", "crm", "c", "postgres://db:99/shop.crm.c"),
        ("sql", "mysql+pymysql://u@db/shop", None, "c", "mysql://db:3306/shop.c"),
        ("files", "s3://lake/people/", None, "raw", "s3://lake/people/raw"),
        ("files", "file:///data/lake", None, "raw", "file:/data/lake/raw"),
    ],
)
def test_a_store_says_what_its_datasets_are_called_in_events(
    kind: str, url: str, schema: str | None, name: str, address: str
) -> None:
    found = of_store(kind, url, schema, name)
    assert found is not None
    assert canonical(*found) == address


def test_a_store_in_a_file_or_without_an_address_says_nothing() -> None:
    assert of_store("sql", "sqlite:////data/shop.db", None, "customer") is None
    assert of_store("manual", "the print shop", None, "x") is None


def test_a_prefix_that_a_person_wrote_is_read_as_events_are() -> None:
    found = [canonical(*name) for name in of_prefix("postgresql://db/shop.", "crm", "c")]
    assert found == ["postgres://db:5432/shop.crm.c", "postgres://db:5432/shop.c"]
    assert of_prefix("bigquery:p.", None, "t") == [("bigquery", "p.t")]


@given(
    namespace=st.sampled_from(["postgres://h:5432", "s3://b", "file", "bigquery", "hive://x:9083"]),
    name=st.text("abc.", min_size=1, max_size=20),
)
def test_an_address_comes_apart_into_what_makes_it_again(namespace: str, name: str) -> None:
    address = canonical(namespace, name)
    assert canonical(*split(address)) == address


@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda p: tuple(map(str, p)))
    ),
    seed=st.randoms(use_true_random=False),
)
def test_aliases_mean_the_same_in_whatever_order_they_are_heard(
    pairs: list[tuple[str, str]], seed: object
) -> None:
    shuffled = list(pairs)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = Aliases(pairs), Aliases(shuffled)
    assert one.groups() == other.groups()
    for a, b in pairs:
        assert one.find(a) == one.find(b)
        assert one.find(a) <= min(a, b)
