"""Full-text tables of SQLite: what an index keeps of texts that went."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.steps import Step
from erasure.stores.base import Key, Purged, Work
from lineage.graph import Field
from tests.stores.company import SECRETS, dataset
from tests.stores.test_sql_sqlite import SqliteHarness

POST = dataset("post", Field(name="id", primary_key=True))
GONE = Work(step=Step(dataset=POST, action="delete"), keys=(Key(values=(1,)),))
WORD = b"quellmira"
POSTS = (
    "CREATE TABLE post (id INTEGER PRIMARY KEY, body TEXT)",
    "INSERT INTO post VALUES (1, 'quellmira wrote this'), (2, 'tea')",
)
OUTSIDE = {
    "fts5": "CREATE VIRTUAL TABLE \"the idx\" USING fts5(body, content='post', content_rowid='id')",
    "fts4": 'CREATE VIRTUAL TABLE "the idx" USING fts4(content="post", body)',
}
REBUILD = 'INSERT INTO "the idx"("the idx") VALUES (\'rebuild\')'
FOLLOWS = {
    "fts5": "CREATE TRIGGER follows BEFORE DELETE ON post BEGIN INSERT INTO "
    '"the idx"("the idx", rowid, body) VALUES (\'delete\', OLD.id, OLD.body); END',
    "fts4": "CREATE TRIGGER follows BEFORE DELETE ON post BEGIN "
    'DELETE FROM "the idx" WHERE docid = OLD.id; END',
}
MODULES = pytest.mark.parametrize("module", ["fts5", "fts4"])


@pytest.fixture
def harness(tmp_path: Path) -> SqliteHarness:
    return SqliteHarness(tmp_path)


def purged(harness: SqliteHarness, *statements: str, work: Work = GONE) -> Purged:
    """After the statements the row goes, and the store is purged."""
    for statement in (*POSTS, *statements):
        harness.execute(statement)
    assert WORD in harness.raw("post")
    with closing(harness.store()) as store:
        store.act([work], SECRETS)
        return store.purge([POST])


@MODULES
def test_an_index_that_follows_its_table_keeps_no_word(harness: SqliteHarness, module: str) -> None:
    """It has told itself only that the row is gone: the words stay until its parts are merged."""
    found = purged(harness, OUTSIDE[module], REBUILD, FOLLOWS[module])
    assert found.residue == "purged"
    assert WORD not in harness.raw("post")


@MODULES
def test_an_index_that_nobody_tells_is_named(harness: SqliteHarness, module: str) -> None:
    """Its words still lead to the row that went. What else it leaves out is its application's."""
    found = purged(harness, OUTSIDE[module], REBUILD)
    assert WORD in harness.raw("post")
    assert found.residue == "logically_deleted"
    assert "the full-text table the idx" in found.note
    assert "rebuild" in found.note


@MODULES
def test_an_index_over_texts_of_its_own_keeps_no_word(harness: SqliteHarness, module: str) -> None:
    own = f"CREATE VIRTUAL TABLE post USING {module}(body)"
    for statement in (own, "INSERT INTO post VALUES ('quellmira wrote this'), ('tea')"):
        harness.execute(statement)
    assert WORD in harness.raw("post")
    with closing(harness.store()) as store:
        posts = dataset("post", Field(name="body", primary_key=True))
        work = Work(step=Step(dataset=posts, action="delete"),
                    keys=(Key(values=("quellmira wrote this",)),))  # fmt: skip
        store.act([work], SECRETS)
        found = store.purge([posts])
    assert found.residue == "purged"
    assert WORD not in harness.raw("post")


@MODULES
def test_an_index_without_texts_is_named(harness: SqliteHarness, module: str) -> None:
    """Nothing can tell whether its words still lead to the row."""
    bare = f"CREATE VIRTUAL TABLE \"the idx\" USING {module}(body, content='')"
    bare = bare.replace("content=''", 'content=""') if module == "fts4" else bare
    fill = 'INSERT INTO "the idx"(rowid, body) SELECT id, body FROM post'
    found = purged(harness, bare, fill)
    assert WORD in harness.raw("post")
    assert found.residue == "logically_deleted"
    assert "the full-text table the idx" in found.note


def test_an_index_whose_table_is_gone_is_named(harness: SqliteHarness) -> None:
    other = OUTSIDE["fts5"].replace("content='post'", "content='absent'")
    fill = 'INSERT INTO "the idx"(rowid, body) SELECT id, body FROM post'
    found = purged(harness, other, fill)
    assert found.residue == "logically_deleted"
    assert "the full-text table the idx" in found.note


def test_an_index_that_is_locked_can_be_tried_again(harness: SqliteHarness) -> None:
    for statement in (*POSTS, OUTSIDE["fts5"], REBUILD, FOLLOWS["fts5"]):
        harness.execute(statement)
    with (
        closing(harness.store(lock_timeout="50ms")) as store,
        closing(sqlite3.connect(harness.path, isolation_level=None)) as other,
    ):
        store.act([GONE], SECRETS)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="try again") as caught:
            store.purge([POST])
        other.execute("ROLLBACK")
    assert not caught.value.permanent
