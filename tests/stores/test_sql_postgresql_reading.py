"""The connection by which a PostgreSQL store reads: kept from one question to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from erasure.stores.sql import connection as connecting
from erasure.stores.sql.connection import READING, Reader, make_engine, read_options
from tests.stores.postgresql import PostgresqlHarness

pytestmark = pytest.mark.postgres


@pytest.fixture
def engine(postgresql: PostgresqlHarness) -> Iterator[sa.Engine]:
    engine = make_engine("shop", postgresql.url, read_options("shop", {}))
    yield engine
    engine.dispose()


@pytest.fixture
def reader(engine: sa.Engine) -> Iterator[Reader]:
    reader = Reader(engine)
    yield reader
    reader.release()


@pytest.fixture
def happened(engine: sa.Engine) -> Counter[str]:
    """How often a connection was opened, and how often it was taken out of the pool."""
    found: Counter[str] = Counter()
    sa.event.listen(engine, "connect", lambda *_: found.update(["opened"]))
    sa.event.listen(engine, "checkout", lambda *_: found.update(["taken"]))
    return found


def backend(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def test_questions_that_follow_each_other_take_one_out_of_the_pool_once(
    reader: Reader, happened: Counter[str]
) -> None:
    asked = set()
    for _ in range(3):
        with reader.connect() as connection:
            assert connection.get_execution_options()[READING]
            asked.add(backend(connection))
    assert len(asked) == 1
    assert happened == {"opened": 1, "taken": 1}


def test_who_asks_while_an_answer_is_open_gets_one_of_their_own(reader: Reader) -> None:
    with reader.connect() as first, reader.connect() as second:
        assert backend(first) != backend(second)
        assert first is not second
    with reader.connect() as again:
        assert not again.closed


def test_one_that_is_given_back_is_there_for_what_writes(
    engine: sa.Engine, reader: Reader, happened: Counter[str]
) -> None:
    with reader.connect() as connection:
        asked = backend(connection)
    reader.release()
    with engine.begin() as writing:
        assert backend(writing) == asked
    assert happened == {"opened": 1, "taken": 2}


def test_one_that_has_failed_is_not_kept(reader: Reader, happened: Counter[str]) -> None:
    with pytest.raises(sa.exc.ProgrammingError), reader.connect() as connection:
        connection.exec_driver_sql("SELECT nothing")
    with reader.connect() as connection:
        backend(connection)
    assert happened["taken"] == 2


def test_one_that_was_used_long_ago_is_looked_at_again(
    reader: Reader, happened: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with reader.connect() as connection:
        backend(connection)
    monkeypatch.setattr(connecting, "IDLE", -1.0)
    with reader.connect() as connection:
        backend(connection)
    assert happened == {"opened": 1, "taken": 2}
