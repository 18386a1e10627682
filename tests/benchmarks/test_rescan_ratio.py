"""The re-scan of a database against a plain COPY of the same columns in the same run, for one
person and for a thousand. Prints ratios; asserts no time."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence

import psycopg
import pytest

from erasure.domain.needles import Matcher, Needle
from erasure.stores.base import Hit, Searched
from erasure.stores.sql import SqlStore
from tests.benchmarks import tpch
from tests.stores.postgresql import scratch_database

pytestmark = [pytest.mark.benchmark, pytest.mark.postgres]

ROUNDS = int(os.environ.get("BENCHMARK_ROUNDS", "1"))
PEOPLE = 1_000


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the customers of TPC-H; ``BENCHMARK_TPCH_URL`` names one made before."""
    made = os.environ.get("BENCHMARK_TPCH_URL")
    if made:
        yield made
        return
    for url in scratch_database("rescan"):
        tpch.load_postgresql(url, tmp_path_factory.mktemp("tpch"))
        yield url


def needles_of(people: Sequence[int]) -> Matcher:
    """What is looked for of people who were erased: name, phone and address of each."""
    needles = []
    for n in people:
        needles += [
            Needle(text=f"Erased#{n:09}", category="user.name"),
            Needle(text=f"91-{n:03}-555-{n:04}", category="user.contact.phone_number"),
            Needle(text=f"{n} Nowhere Lane", category="user.contact.address"),
        ]
    return Matcher(needles)


def copied(url: str) -> float:
    """Seconds of reading the same columns, and doing nothing with them."""
    with psycopg.connect(url) as connection:
        started = time.perf_counter()
        for table in tpch.TABLES:
            with connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
                for _ in copy:
                    pass
        return time.perf_counter() - started


def scanned(url: str, needles: Matcher) -> tuple[float, float]:
    """Seconds by the clock, and of this process, of one pass."""
    store = SqlStore(name="tpch", url=url, options={"purge": "none"})
    started, own = time.perf_counter(), time.process_time()
    seen = list(store.scan([], needles))
    took = time.perf_counter() - started, time.process_time() - own
    store.close()
    assert not [hit for hit in seen if isinstance(hit, Hit)]
    assert {s.collection for s in seen if isinstance(s, Searched)} == set(tpch.TABLES)
    return took


@pytest.mark.timeout(1800)
def test_a_pass_over_everything_against_a_plain_copy(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one, many = needles_of([1]), needles_of(range(PEOPLE))
    copies, ones, manys = [], [], []
    for _ in range(ROUNDS):
        copies.append(copied(url))
        ones.append(scanned(url, one))
        manys.append(scanned(url, many))
    copy = statistics.median(copies)
    (alone, own), (all_of_them, their_own) = map(_medians, (ones, manys))
    with capsys.disabled():
        sys.stdout.write(
            f"\nre-scan, TPC-H scale {tpch.SCALE}: COPY {copy:.2f} s; one person "
            f"{alone / copy:.2f} × ({own:.2f} s of its own); {PEOPLE:,} people "
            f"{all_of_them / copy:.2f} × ({their_own:.2f} s), {all_of_them / alone:.2f} × one\n"
        )


def _medians(took: Sequence[tuple[float, float]]) -> tuple[float, float]:
    by_clock, own = zip(*took, strict=True)
    return statistics.median(by_clock), statistics.median(own)
