"""The SQL store on MariaDB: what is set for a whole server, and what its binary log keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.steps import Step
from erasure.stores.base import Key, Work
from erasure.stores.sql import SqlStore
from lineage.graph import Field, Method
from tests.stores.company import ROWS, SECRETS, TABLES, by, dataset, keys_of, whole_case
from tests.stores.mariadb import MariadbHarness
from tests.stores.mariadb_server import connect, own_server
from tests.stores.sql_harness import bytes_at
from tests.stores.sql_references import EMPTY

pytestmark = pytest.mark.mariadb


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for server in own_server(tmp_path_factory.mktemp("mariadb")):
        yield server.url


@pytest.fixture
def harness(server: str) -> Iterator[MariadbHarness]:
    harness = MariadbHarness(server)
    harness.create(TABLES, ROWS)
    yield harness
    harness.close()


def set_for_all(harness: MariadbHarness, setting: str) -> None:
    """Change a setting of the server, outside of any transaction."""
    with closing(connect(harness.url)) as administrator:
        administrator.cursor().execute(f"SET GLOBAL {setting}")


def in_binary_logs(harness: MariadbHarness) -> bytes:
    """Everything that the server's binary logs hold."""
    ((folder,),) = harness.execute("SELECT @@datadir")
    return bytes_at(sorted(Path(folder).glob("log.[0-9]*")))


@pytest.mark.parametrize("option", ["vacuum", "vacuum_full"])
def test_what_the_binary_log_keeps_has_a_date(harness: MariadbHarness, option: str) -> None:
    store = harness.store(purge=option)
    works = whole_case(store)
    store.act(works, SECRETS)
    purged = store.purge([w.step.dataset for w in works])
    assert purged.residue == "expires_on"
    today = datetime.now(UTC).date()
    assert purged.until in (today + timedelta(days=11), today + timedelta(days=12))
    assert "binary logs keep the rows" in purged.note
    assert ("until they are overwritten; its redo" in purged.note) is (option == "vacuum")
    assert b"Mira.Quell@example.com" in in_binary_logs(harness)
    store.close()


def test_a_binary_log_that_never_expires_is_named(harness: MariadbHarness) -> None:
    set_for_all(harness, "binlog_expire_logs_seconds = 0")
    store = harness.store(purge="vacuum_full")
    purged = store.purge([])
    set_for_all(harness, "binlog_expire_logs_seconds = 864000")
    assert (purged.residue, purged.until) == ("logically_deleted", None)
    assert "never expire; set binlog_expire_logs_seconds" in purged.note
    store.close()


def test_a_log_of_statements_is_refused_with_the_remedy(harness: MariadbHarness) -> None:
    before = harness.read("Order Line")
    set_for_all(harness, "binlog_format = STATEMENT")
    store = harness.store(lock_timeout="7s")  # connections are kept; this one is new
    works = whole_case(store)
    with pytest.raises(StoreError, match="set it to MIXED or ROW") as caught:
        store.act(works, SECRETS)
    set_for_all(harness, "binlog_format = ROW")
    assert caught.value.permanent
    assert harness.read("Order Line") == before
    store.close()


def test_a_server_that_takes_no_writes_is_said_to_be_read_only(harness: MariadbHarness) -> None:
    harness.execute("CREATE OR REPLACE USER reader IDENTIFIED BY 'sesame'")
    harness.execute("GRANT ALL ON test.* TO reader")
    before = harness.read("person")
    set_for_all(harness, "read_only = 1")
    url = harness.url.replace("root@", "reader:sesame@")
    store = SqlStore(name="shop", url=url, options={})
    works = whole_case(store)
    with pytest.raises(StoreError, match=r"read-only; give .* write access \(1290\)") as caught:
        store.act(works, SECRETS)
    set_for_all(harness, "read_only = 0")
    assert caught.value.permanent
    assert harness.read("person") == before
    store.close()


@pytest.mark.parametrize("text", ["o'brien", 'dou"ble', "back\\slash", "\\'", "%s :x", "a\\"])
def test_the_servers_own_modes_change_nothing(harness: MariadbHarness, text: str) -> None:
    """Quotes and backslashes are what they are, and CHAR is read without its blanks."""
    harness.execute("CREATE TABLE pin (id INT PRIMARY KEY, code CHAR(20), note VARCHAR(20))")
    harness.insert(
        "pin", {"id": 1, "code": text, "note": text}, {"id": 2, "code": "x", "note": "y"}
    )
    store = harness.store()
    pins = dataset("pin", Field(name="note", method=Method(name="constant", argument=text + "!")))
    keys = keys_of(store, by(pins, "code", "code", "note"), text)
    assert [k.values for k in keys] == [(1,)]
    assert keys[0].guard == (text, text)
    step = Step(dataset=pins, action="anonymize", guard=("code", "note"))
    work = Work(step=step, keys=keys)
    store.act([work], EMPTY)
    assert store.check([work], EMPTY) == []
    assert harness.execute("SELECT note FROM pin WHERE id = 1") == [(text + "!",)]
    store.close()


def test_what_is_too_long_is_refused_where_the_server_cuts(harness: MariadbHarness) -> None:
    harness.execute("CREATE TABLE pin (id INT PRIMARY KEY, code TINYTEXT)")
    harness.insert("pin", {"id": 1, "code": "short"})
    store = harness.store()
    long = Field(name="code", method=Method(name="constant", argument="x" * 300))
    step = Step(dataset=dataset("pin", long), action="anonymize")
    with pytest.raises(StoreError, match=r"does not fit its column.*\(1406 code\)"):
        store.act([Work(step=step, keys=(Key(values=(1,)),))], EMPTY)
    assert harness.execute("SELECT code FROM pin") == [("short",)]
    store.close()


@pytest.mark.parametrize("log", ["general_log", "slow_query_log", "server_audit_logging"])
def test_a_server_that_logs_values_is_known(harness: MariadbHarness, log: str) -> None:
    store = harness.store()
    assert store.inspect().logged == ""
    if log == "server_audit_logging":
        harness.execute("INSTALL SONAME 'server_audit'")
    harness.execute(f"SET GLOBAL {log} = ON")
    try:
        assert f"{log} has it write statements with their values" in store.inspect().logged
    finally:
        harness.execute(f"SET GLOBAL {log} = OFF")
        store.close()
