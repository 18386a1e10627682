"""The SQL store on PostgreSQL: the conformance suite, and what is PostgreSQL's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from time import monotonic, sleep

import psycopg
import pytest

from erasure.domain.errors import LateRows, StoreError, StoreUnreachable
from erasure.domain.steps import Step
from erasure.stores.base import Hit, Key, Work
from erasure.stores.sql import SqlStore
from lineage.graph import Field, Method
from tests.stores.company import (
    NEIGHBOUR,
    ROWS,
    SECRETS,
    SUBJECT,
    TABLES,
    by,
    dataset,
    whole_case,
)
from tests.stores.conformance import told
from tests.stores.postgresql import PostgresqlHarness
from tests.stores.sql_common import SqlCommon
from tests.stores.sql_harness import statements

pytestmark = pytest.mark.postgres


@pytest.fixture
def harness(postgresql: PostgresqlHarness) -> PostgresqlHarness:
    return postgresql


class TestPostgresql(SqlCommon):
    """The suite."""


def test_an_address_where_nobody_listens_is_unreachable() -> None:
    store = SqlStore(name="shop", url="postgresql://postgres:sesame@127.0.0.1:1/db", options={})
    with pytest.raises(StoreUnreachable, match="shop: no connection") as caught:
        store.inspect()
    assert not caught.value.permanent
    assert "sesame" not in told(caught.value)


def test_the_detail_of_a_violated_constraint_is_never_shown(harness: PostgresqlHarness) -> None:
    """What no expression tells in advance: rows may not exclude each other."""
    harness.clear()
    harness.execute("CREATE TABLE tag (id int PRIMARY KEY, mail text, label text)")
    harness.execute("ALTER TABLE tag ADD CONSTRAINT one EXCLUDE USING btree (mail WITH =)")
    rows = [{"id": i, "mail": f"mira.quell{i}@example.com", "label": "x"} for i in (1, 2)]
    harness.insert("tag", *rows)
    store = harness.store()
    mails = dataset("tag", Field(name="mail", method=Method(name="constant", argument="x")))
    work = Work(
        step=Step(dataset=mails, action="anonymize"),
        keys=(Key(values=(1,)), Key(values=(2,))),
    )
    with pytest.raises(StoreError, match=r"23P01 tag\.one") as caught:
        store.act([work], SECRETS)
    assert "mira" not in told(caught.value)
    store.close()


def test_two_runs_at_once_take_the_shared_row_exactly_once(harness: PostgresqlHarness) -> None:
    for _ in range(5):
        harness.create(TABLES, ROWS)
        stores = [harness.store(), harness.store()]
        works = [whole_case(stores[0], SUBJECT), whole_case(stores[1], NEIGHBOUR)]
        # Both write the neighbour's row; only the shared address is at stake here.
        works = [[w for w in ws if w.step.via != "shallow"] for ws in works]
        harness.execute("UPDATE person SET recruited_by = NULL")
        gate = Barrier(2)

        def run(store: SqlStore, mine: list[Work], gate: Barrier = gate) -> int:
            gate.wait()
            return store.act(mine, SECRETS)[-1].done

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(run, stores, works))
        assert sum(done) == 1
        assert [r["id"] for r in harness.read("address")] == [11]
        for store in stores:
            store.close()


def test_a_shared_row_is_counted_only_once_it_is_locked(harness: PostgresqlHarness) -> None:
    """Another run has cut its reference and looked at the address, but has not committed: who
    counts now still sees that reference, keeps the row, and leaves an orphan."""
    harness.create(TABLES, ROWS)
    store = harness.store()
    works = whole_case(store)
    with psycopg.connect(harness.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("UPDATE person SET address_id = NULL WHERE id = 1")
        other.execute("SELECT * FROM address WHERE id = 10 FOR UPDATE")
        acting = pool.submit(store.act, works[-1:], SECRETS)
        harness.execute("UPDATE person SET address_id = NULL WHERE id = 0")
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        deadline = monotonic() + 10
        while harness.execute(waiting) == [(0,)] and not acting.done() and monotonic() < deadline:
            sleep(0.01)
        other.commit()
        (receipt,) = acting.result(10)
    assert (receipt.done, receipt.kept) == (1, ())
    assert [r["id"] for r in harness.read("address")] == [11]
    store.close()


def test_a_lock_that_is_held_too_long_can_be_tried_again(harness: PostgresqlHarness) -> None:
    harness.create(TABLES, ROWS)
    store = harness.store(lock_timeout="100ms")
    works = whole_case(store)
    with psycopg.connect(harness.url) as other:
        other.execute("SELECT * FROM person WHERE id = 0 FOR UPDATE")
        with pytest.raises(StoreError, match="55P03") as caught:
            store.act(works, SECRETS)
    assert not caught.value.permanent
    store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    store.close()


def test_a_statement_that_takes_too_long_is_cancelled(harness: PostgresqlHarness) -> None:
    harness.create(TABLES, ROWS)
    harness.execute("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                    "'BEGIN PERFORM pg_sleep(5); RETURN OLD; END'")  # fmt: skip
    harness.execute(
        "CREATE TRIGGER slow BEFORE DELETE ON post FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    store = harness.store(statement_timeout="100ms")
    works = whole_case(store)
    with pytest.raises(StoreError, match="statement_timeout") as caught:
        store.act(works, SECRETS)
    assert not caught.value.permanent
    assert len(harness.read("post")) == 3
    store.close()


@pytest.mark.parametrize("event", ["DELETE", "UPDATE"])
def test_a_trigger_that_keeps_rows_is_noticed(harness: PostgresqlHarness, event: str) -> None:
    harness.create(TABLES, ROWS)
    harness.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    harness.execute(
        f"CREATE TRIGGER keep BEFORE {event} ON post FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    store = harness.store()
    works = whole_case(store)
    with pytest.raises(StoreError, match=r"shop\.post: rows stayed.*trigger") as caught:
        store.act(works, SECRETS)
    assert caught.value.permanent
    assert len(harness.read("Order Line")) == 4
    store.close()


def test_a_reference_that_cannot_be_nulled_asks_for_another_order(
    harness: PostgresqlHarness,
) -> None:
    harness.create((), {})
    harness.execute(
        "CREATE TABLE team (id int PRIMARY KEY);"
        "CREATE TABLE member (id int PRIMARY KEY, team_id int NOT NULL REFERENCES team)"
    )
    harness.insert("team", {"id": 1})
    harness.insert("member", {"id": 5, "team_id": 1})
    store = harness.store()
    works = [
        Work(step=Step(dataset=dataset(name), action="delete"), keys=(Key(values=(key,)),))
        for name, key in (("team", 1), ("member", 5))
    ]
    with pytest.raises(StoreError, match=r"declare `after: \[member\]`") as caught:
        store.act(works, SECRETS)
    assert caught.value.permanent
    assert not isinstance(caught.value, LateRows)
    store.act(works[::-1], SECRETS)
    assert harness.read("team") == []
    store.close()


def test_deferrable_references_are_tested_at_the_commit(harness: PostgresqlHarness) -> None:
    harness.create((), {})
    harness.execute(
        "CREATE TABLE team (id int PRIMARY KEY);"
        "CREATE TABLE member (id int PRIMARY KEY, team_id int NOT NULL REFERENCES team DEFERRABLE)"
    )
    harness.insert("team", {"id": 1})
    harness.insert("member", {"id": 5, "team_id": 1}, {"id": 6, "team_id": 1})
    store = harness.store()
    works = [
        Work(step=Step(dataset=dataset(name), action="delete"), keys=(Key(values=(key,)),))
        for name, key in (("team", 1), ("member", 5))
    ]
    with pytest.raises(LateRows, match=r"shop\.member"):
        store.act(works, SECRETS)
    harness.delete("member", id=6)
    store.act(works, SECRETS)
    assert harness.read("team") == harness.read("member") == []
    store.close()


def test_other_schemas_partitions_and_materialised_views_are_seen_as_what_they_are(
    harness: PostgresqlHarness,
) -> None:
    harness.clear()
    harness.execute(
        "CREATE SCHEMA other; CREATE TABLE other.note (id int PRIMARY KEY, body text);"
        "CREATE TABLE visit (id int, day date, who text, PRIMARY KEY (id, day)) "
        "PARTITION BY RANGE (day);"
        "CREATE TABLE visit_2024 PARTITION OF visit "
        "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')"
    )
    harness.execute("INSERT INTO other.note VALUES (1, 'from Mira Quell')")
    harness.execute("INSERT INTO visit VALUES (1, '2024-02-02', 'Mira Quell')")
    harness.execute("CREATE MATERIALIZED VIEW copied AS SELECT who FROM visit")
    store = harness.store()
    assert set(store.inspect().tables) == {"other.note", "visit"}
    places = [h.collection for h in store.scan([], SECRETS.needles) if isinstance(h, Hit)]
    assert sorted(places) == ["copied", "other.note", "visit"]
    notes = replace(dataset("note", Field(name="body", free_text=True)), schema="other")
    step = Step(dataset=notes, action="redact", via="mention", redact=("body",))
    store.act([Work(step=step, keys=(Key(values=(1,)),))], SECRETS)
    assert harness.execute("SELECT body FROM other.note") == [("from [erased]",)]
    store.close()
    inside = harness.store(schema="other")
    assert set(inside.inspect().tables) == {"note", "public.visit"}
    inside.close()


@pytest.mark.parametrize(
    ("option", "residue", "left"),
    [("vacuum", "logically_deleted", None), ("vacuum_full", "purged", False)],
)
def test_purging_removes_bytes_as_far_as_the_option_allows(
    harness: PostgresqlHarness, option: str, residue: str, left: bool | None
) -> None:
    harness.create(TABLES, ROWS)
    harness.execute("ANALYZE")
    store = harness.store(purge=option)
    works = whole_case(store)
    store.act(works, SECRETS)
    purged = store.purge([w.step.dataset for w in works])
    assert purged.residue == residue
    assert "write-ahead log" in purged.note
    harness.execute("CHECKPOINT")
    (path,) = harness.execute("SELECT pg_relation_filepath('person')")
    raw = harness.execute("SELECT pg_read_binary_file(%s)", [path[0]])[0][0]
    if left is not None:
        assert (b"Mira.Quell@example.com" in bytes(raw)) is left
    stats = harness.execute(
        "SELECT count(*) FROM pg_stats WHERE histogram_bounds::text ILIKE '%quell%'"
    )
    assert stats == [(0,)]
    store.close()


def test_names_that_ignore_case_are_compared_so(harness: PostgresqlHarness) -> None:
    harness.clear()
    harness.execute("CREATE EXTENSION IF NOT EXISTS citext SCHEMA public")
    harness.execute("CREATE TABLE member (id int PRIMARY KEY, login citext UNIQUE)")
    harness.insert("member", {"id": 1, "login": "MiraQ"})
    store = harness.store()
    found = list(store.find(by(dataset("member"), "login"), ["mIRAq", "other"]))
    assert [f.matched for f in found] == [("mIRAq",)]
    store.close()


def test_dates_that_python_does_not_know_hide_nothing_from_the_scan(
    harness: PostgresqlHarness,
) -> None:
    harness.clear()
    harness.execute("CREATE TABLE pass (id int PRIMARY KEY, mail text, until date, at timestamptz)")
    harness.execute(
        "INSERT INTO pass VALUES (1, 'mira.quell@example.com', 'infinity', '-infinity')"
    )
    harness.execute("INSERT INTO pass VALUES (2, 'x', '11000-01-01', 'infinity')")
    store = harness.store()
    seen = list(store.scan([], SECRETS.needles))
    assert [h.field for h in seen if isinstance(h, Hit)] == ["mail"]
    store.close()


def test_of_many_rows_that_share_a_part_of_their_key_only_those_named_go(
    harness: PostgresqlHarness,
) -> None:
    harness.clear()
    harness.execute(
        "CREATE TABLE line (no varchar(9), place int, word text, PRIMARY KEY (no, place))"
    )
    harness.execute(
        "INSERT INTO line SELECT n::text, p, 'w' || p FROM generate_series(1, 300) n, "
        "generate_series(1, 6) p"
    )
    lines = dataset("line", Field(name="word"))
    step = Step(dataset=lines, action="delete", guard=("word",))
    named = [Key((str(n), p), (f"w{p}",)) for n in range(2, 301, 2) for p in (1, 2, 3, 4)]
    reused = Key(("2", 5), ("what stood there before",))
    store = harness.store()
    work = Work(step=step, keys=(*named, reused, Key(("301", 1), ("w1",))))
    with statements() as sent:
        (receipt,) = store.act([work], SECRETS)
        assert store.check([work], SECRETS) == []
    assert sum("ANY" in statement for statement in sent if "line" in statement) >= 2
    assert (receipt.done, receipt.reused) == (len(named) + 1, (reused,))
    left = {(n, p) for n, p in harness.execute("SELECT no::int, place FROM line")}
    every = {(n, p) for n in range(1, 301) for p in range(1, 7)}
    assert left == every - {(int(str(key.values[0])), key.values[1]) for key in named}
    store.close()
