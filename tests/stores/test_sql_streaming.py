"""Many rows found on PostgreSQL: they are taken over as they come, each once, whatever happens to
the search."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from erasure.domain.bulk import Block
from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.domain.values import Scalar
from erasure.stores.base import Key, Selector, Step, Work
from erasure.stores.sql import SqlStore
from lineage.graph import Dataset, Field
from tests.stores.company import SECRETS, dataset
from tests.stores.postgresql import PostgresqlHarness
from tests.stores.sql_harness import statements

pytestmark = pytest.mark.postgres

MANY = 4_500  # more than are taken over at once
SUBJECT, NEIGHBOUR = 7, 8
VISIT: Dataset = dataset("visit", Field(name="id", primary_key=True), Field(name="who"))
THEIRS = Selector(dataset=VISIT, fields=("who",), guard=("who",))


@pytest.fixture
def harness(postgresql: PostgresqlHarness) -> PostgresqlHarness:
    """A subject with many rows among a neighbour's."""
    postgresql.clear()
    postgresql.execute("CREATE TABLE visit (id bigint PRIMARY KEY, who bigint, at text)")
    postgresql.execute(
        f"INSERT INTO visit SELECT n, {SUBJECT} + n % 2, 'here' FROM "
        f"generate_series(1, {2 * MANY}) n"
    )
    return postgresql


@pytest.fixture
def store(harness: PostgresqlHarness) -> Iterator[SqlStore]:
    opened = harness.store()
    yield opened
    opened.close()


def found(store: SqlStore) -> list[int]:
    """The keys of the subject's rows."""
    return [int(str(key.values[0])) for key, _, _ in store.find(THEIRS, [SUBJECT])]


def blocks(store: SqlStore) -> Iterator[Block]:
    made = store.find_blocks(THEIRS, [SUBJECT])
    assert made is not None
    return made


def test_every_row_of_a_long_answer_comes_once(store: SqlStore) -> None:
    subjects = list(range(2, 2 * MANY + 1, 2))
    assert sorted(found(store)) == subjects
    rows = [row for block in blocks(store) for row in block.rows]
    assert sorted(rows) == [(n, SUBJECT) for n in subjects]


@pytest.mark.parametrize("odd", [2**63, -(2**63) - 1, 10**40, 0, True, "7x", None])
def test_what_no_such_column_holds_finds_nothing_beside_what_does(
    store: SqlStore, odd: Scalar
) -> None:
    asked = Selector(dataset=VISIT, fields=("id",))
    for values in ([2, odd], [odd, "2"]):
        (only,) = store.find(asked, values)
        assert (only.key.values, str(only.matched[0])) == ((2,), "2")


def test_a_long_answer_is_asked_for_in_one_statement(store: SqlStore) -> None:
    store.inspect()
    with statements() as sent:
        assert len(found(store)) == MANY
    assert len(sent) == 1


def test_where_a_statement_may_only_take_so_long_the_answer_is_read_in_parts(
    harness: PostgresqlHarness,
) -> None:
    store = harness.store(statement_timeout="30s")
    store.inspect()
    with statements() as sent:
        assert len(found(store)) == MANY
    assert "BEGIN" in sent
    store.close()


def test_a_search_that_is_left_early_hinders_no_other(
    store: SqlStore, harness: PostgresqlHarness
) -> None:
    left = store.find(THEIRS, [SUBJECT])
    assert len(list(islice(left, 3))) == 3
    assert len(found(store)) == MANY  # beside the one that is still open
    left.close()  # type: ignore[attr-defined]
    active = "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND query LIKE '%visit%'"
    assert harness.execute(f"{active} AND pid <> pg_backend_pid()") == [(0,)]
    assert len(found(store)) == MANY


def test_a_server_that_is_lost_on_the_way_is_told_and_found_again(
    store: SqlStore, harness: PostgresqlHarness
) -> None:
    harness.execute(
        f"INSERT INTO visit SELECT n, {SUBJECT}, 'here' FROM generate_series(100000, 600000) n"
    )
    asked = store.find(THEIRS, [SUBJECT])
    next(asked)
    ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE %s"
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    harness.execute(ends.replace("%s", '\'%FROM "public"."visit"%\'') + f" AND {others}")
    with pytest.raises(StoreUnreachable, match=r"shop\.visit"):
        list(asked)
    assert len(found(store)) > MANY


def test_a_column_that_is_gone_is_told_by_its_place(
    store: SqlStore, harness: PostgresqlHarness
) -> None:
    store.inspect()
    harness.execute("ALTER TABLE visit DROP COLUMN who")
    with pytest.raises(StoreError, match=r"shop\.visit: a table or column of the plan is missing"):
        found(store)


def test_many_keys_of_one_column_are_looked_up_one_by_one(
    store: SqlStore, harness: PostgresqlHarness
) -> None:
    """Joined with them, the server would rather read the whole index from end to end."""
    harness.execute("ANALYZE visit")
    work = whole_work(store)
    with statements() as sent:
        (receipt,) = store.act([work], SECRETS)
        assert store.check([work], SECRETS) == []
    assert receipt.done == MANY
    assert harness.execute("SELECT count(*), min(who) FROM visit") == [(MANY, NEIGHBOUR)]
    at = [s for s in sent if '"visit"' in s]
    assert len(at) == 2
    assert all('"id" = ANY' in s for s in at)


def whole_work(store: SqlStore) -> Work:
    """Everything of the subject is to go."""
    keys: tuple[Key, ...] = tuple(key for key, _, _ in store.find(THEIRS, [SUBJECT]))
    return Work(step=Step(dataset=VISIT, action="delete", via="deep", guard=("who",)), keys=keys)
