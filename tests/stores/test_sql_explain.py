"""The SQL store explains a plan's steps: statement, index, locks, size, and what stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from erasure.domain.steps import Step
from erasure.stores.base import Approach, Selector
from lineage.graph import Field, Method
from tests.stores.company import (
    CUT_RECRUITED,
    DELETE_LINE,
    DELETE_PERSON,
    DELETE_POST,
    MENTION_POST,
    ROWS,
    SHARED_ADDRESS,
    by,
    dataset,
)
from tests.stores.explain_cast import (
    STEPS,
    approach,
    badge,
    explained,
    fill,
    grow,
)
from tests.stores.mariadb import MariadbHarness
from tests.stores.postgresql import PostgresqlHarness
from tests.stores.sql_harness import SqlHarness
from tests.stores.test_sql_sqlite import SqliteHarness

ANONYMIZED = dataset(
    "person",
    Field(name="id", primary_key=True),
    Field(name="email", identity="email", categories=("user.contact.email",)),
    Field(name="name", categories=("user.name",)),
    Field(name="notes", free_text=True),
    Field(name="recruited_by", method=Method(name="constant", argument="31337")),
)
ANONYMIZE = Step(
    dataset=ANONYMIZED, action="anonymize", guard=("email",), cut=("address_id",), redact=("notes",)
)
CONTACT = dataset(
    "contact", Field(name="id", primary_key=True), Field(name="email", identity="email")
)
BY_MAILBOX = Selector(dataset=CONTACT, mode="email", fields=("email",))
RETAINED = dataset(
    "post", until="end_of_year(at) + 8y", exception="legal_obligation", legal_reference="tax law"
)


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres), "mariadb"]
)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> SqlHarness:
    """The three databases, one after the other."""
    if request.param == "sqlite":
        return SqliteHarness(tmp_path)
    found: SqlHarness = request.getfixturevalue(request.param)
    return found


# --- the statement -------------------------------------------------------------------------------


def test_a_step_says_the_shape_of_its_statement(harness: SqlHarness) -> None:
    fill(harness)
    line = explained(harness, DELETE_LINE)[0].statement
    assert (
        _unquoted(line)
        == "DELETE FROM Order Line WHERE (orderNo, Line) IN (row keys) AND buyer = guard"
    )
    told = explained(harness, DELETE_POST, SHARED_ADDRESS, MENTION_POST)
    assert [_unquoted(e.statement) for e in told] == [
        "DELETE FROM post WHERE id IN (row keys) AND author_id = guard",
        "DELETE FROM address WHERE id IN (row keys) AND nobody refers to it",
        "UPDATE post SET body = redacted WHERE id IN (row keys)",
    ]
    cut, anonymize = explained(harness, CUT_RECRUITED, ANONYMIZE)
    assert cut.statement == (
        "UPDATE person SET recruited_by = NULL, notes = redacted "
        "WHERE id IN (row keys) AND email = guard AND recruited_by = guard"
    )
    assert anonymize.statement == (
        "UPDATE person SET address_id = NULL, email = random, name = NULL, "
        "recruited_by = constant, notes = redacted WHERE id IN (row keys) AND email = guard"
    )
    assert anonymize.stays == "the row, with id as they are"


def _unquoted(statement: str) -> str:
    """Each database quotes what is a word of its own."""
    return statement.replace("`", "").replace('"', "")


def test_a_row_kept_by_law_is_not_touched_and_says_until_when(harness: SqlHarness) -> None:
    fill(harness)
    (told,) = explained(harness, Step(dataset=RETAINED, action="retain", guard=("author_id",)))
    assert told.statement == "none: the rows are listed and not touched"
    assert told.locks == "none"
    assert told.stays == ("the row as it is until end_of_year(at) + 8y (legal_obligation, tax law)")
    assert told.effects == ()


def test_a_step_that_the_table_refuses_says_so_instead_of_failing(harness: SqlHarness) -> None:
    fill(harness)
    step = replace(DELETE_POST, action="redact", via="shallow", cut=("author_id",))
    (told,) = explained(harness, step)
    assert told.statement == "none"
    assert "shop.post.author_id: the reference cannot be cut" in told.warnings[0]


def test_no_value_is_shown_or_asked_for(harness: SqlHarness) -> None:
    fill(harness, badge("CASCADE"))
    values = {str(v) for rows in ROWS.values() for row in rows for v in row.values()}
    private = {v.casefold() for v in values if len(v) > 3} | {"31337"}
    sent: list[str] = []

    def note(_c: object, _k: object, statement: str, parameters: object, *_: object) -> None:
        sent.append(f"{statement} {parameters}".casefold())

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    told = explained(harness, *STEPS, ANONYMIZE)
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    shown = repr(told).casefold()
    assert "row keys" in shown
    assert any("explain" in statement for statement in sent)
    assert not [v for v in private if v in shown or any(v in s for s in sent)]


# --- the index -----------------------------------------------------------------------------------


def test_a_table_is_asked_once_however_many_searches_lead_to_it(harness: SqlHarness) -> None:
    fill(harness)
    harness.execute("CREATE INDEX by_recruiter ON person (recruited_by)")
    asked: list[str] = []

    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        asked.append(statement)

    person = DELETE_PERSON.dataset
    searches = tuple(by(person, name) for name in ("id", "name", "recruited_by"))
    store = harness.store()
    store.inspect()
    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    (told,) = store.explain([Approach(step=CUT_RECRUITED, searches=searches)])
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    store.close()
    assert sum(statement.startswith("EXPLAIN") for statement in asked) == 1
    key, name, recruiter = told.index
    assert key.startswith("id: by ")
    assert name == "name: no index serves it, every row is read"
    assert recruiter == "recruited_by: by by_recruiter"


def test_the_parts_of_a_composite_reference_are_searched_together(harness: SqlHarness) -> None:
    fill(harness)
    parts = Selector(dataset=DELETE_LINE.dataset, mode="together", fields=("orderNo", "Line"))
    both = Selector(dataset=DELETE_LINE.dataset, mode="together", fields=("Line", "buyer"))
    store = harness.store()
    (told,) = store.explain([Approach(step=DELETE_LINE, searches=(parts, both))])
    store.close()
    assert told.index[0].startswith("orderNo, Line: by ")
    if not _is_mariadb(harness):  # there a foreign key brings its index along
        assert told.index[1] == "Line, buyer: no index serves it, every row is read"


def test_an_index_that_is_added_is_told(harness: SqlHarness) -> None:
    fill(harness)
    store = harness.store()
    selector = by(dataset("post"), "body")
    first = store.explain([Approach(step=DELETE_POST, searches=(selector,))])[0].index
    assert first[0] == "body: no index serves it, every row is read"
    store.close()
    harness.execute("CREATE INDEX post_body ON post (body(20))" if _is_mariadb(harness)
                    else "CREATE INDEX post_body ON post (body)")  # fmt: skip
    store = harness.store()
    again = store.explain([Approach(step=DELETE_POST, searches=(selector,))])[0].index
    store.close()
    assert again[0] == "body: by post_body"


def _is_mariadb(harness: SqlHarness) -> bool:
    return harness.url.startswith("mysql")


def test_a_partial_index_that_cannot_serve_is_none(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The reflected schema says that an index begins with the column; the database knows better."""
    for harness in (SqliteHarness(tmp_path), request.getfixturevalue("postgresql")):
        fill(harness)
        harness.execute("CREATE INDEX few ON post (author_id) WHERE body IS NULL")
        (told,) = explained(harness, DELETE_POST)
        assert told.index[0] == "author_id: no index serves it, every row is read"


def test_an_index_counts_by_what_it_begins_with(postgresql: PostgresqlHarness) -> None:
    """One that begins with another column is no help, although it could be read through."""
    fill(postgresql)
    postgresql.execute("CREATE INDEX odd ON post (body, author_id)")
    (told,) = explained(postgresql, DELETE_POST)
    assert told.index[0] == "author_id: no index serves it, every row is read"
    postgresql.execute("CREATE INDEX even ON post (author_id, body)")
    (told,) = explained(postgresql, DELETE_POST)
    assert told.index[0] == "author_id: by even"
    postgresql.execute('CREATE TABLE "t.x" (id int PRIMARY KEY, "a.b" int)')
    postgresql.execute('CREATE INDEX dotted ON "t.x" ("a.b")')
    step = Step(dataset=dataset("t.x"), action="delete", guard=("a.b",))
    assert explained(postgresql, step)[0].index[0] == "a.b: by dotted"


def test_texts_are_always_read(harness: SqlHarness) -> None:
    fill(harness)
    (told,) = explained(harness, MENTION_POST)
    assert told.index == ("body: every text is read",)
    assert told.warnings == ()


def test_a_large_table_searched_without_an_index_is_warned_of(harness: SqlHarness) -> None:
    fill(harness)
    assert explained(harness, DELETE_POST)[0].warnings == ()
    grow(harness, "post", 1_100, author_id=1)
    if not _is_mariadb(harness):
        (warning,) = explained(harness, DELETE_POST)[0].warnings
        assert "shop.post: searching it by author_id reads every row (1,103 rows)" in warning
        assert "add an index on author_id" in warning
    harness.execute("CREATE INDEX by_author ON post (author_id)")
    assert explained(harness, DELETE_POST)[0].warnings == ()


def test_mailboxes_are_served_by_the_two_indexes_that_the_plan_asks_for(
    harness: SqlHarness,
) -> None:
    if _is_mariadb(harness):
        pytest.skip("MariaDB has no indexes over expressions")
    fill(harness)
    harness.execute("CREATE TABLE contact (id INTEGER PRIMARY KEY, email VARCHAR(80))")
    for n in range(1_100):
        harness.execute(f"INSERT INTO contact (id, email) VALUES ({n}, 'Person{n}@example.com')")
    harness.execute("INSERT INTO contact (id, email) VALUES (2000, ' Ｐerson7@Example.com')")
    harness.execute("INSERT INTO contact (id, email) VALUES (2001, 'person7@example.com\r\n')")
    step = Step(dataset=CONTACT, action="delete", guard=("email",))
    search = Approach(step=step, searches=(BY_MAILBOX,))
    store = harness.store()
    (told,) = store.explain([search])
    (warning,) = [line for line in told.warnings if "searching it by email" in line]
    lowered, odd = warning.partition("add two indexes, on ")[2].split(" and on ")
    harness.execute(f"CREATE INDEX by_lower ON contact {lowered}")
    harness.execute(f"CREATE INDEX by_odd ON contact {odd}")
    if isinstance(harness, PostgresqlHarness):
        harness.execute("ANALYZE contact")
    store.close()
    store = harness.store()
    (told,) = store.explain([search])
    assert told.index[0] == "email: by by_lower, by_odd"
    assert not [line for line in told.warnings if "searching it by email" in line]
    found = {found.key.values for found in store.find(BY_MAILBOX, ["person7@example.com"])}
    store.close()
    assert found == {(7,), (2000,), (2001,)}


def test_an_unindexed_reference_makes_each_deletion_read_the_child(harness: SqlHarness) -> None:
    if _is_mariadb(harness):
        pytest.skip("InnoDB gives every foreign key an index")
    fill(harness)
    grow(harness, "post", 1_100, author_id=1)
    told = explained(harness, DELETE_POST, DELETE_PERSON)[1]
    (warning,) = [line for line in told.warnings if "has no index" in line]
    assert "shop.post: author_id refers to person and has no index" in warning
    assert "read all of post (1,103 rows) under lock; add an index on author_id" in warning
    assert "post.author_id refers to it without an index (1,103 rows)" in told.index
    harness.execute("CREATE INDEX by_author ON post (author_id)")
    again = explained(harness, DELETE_POST, DELETE_PERSON)[1]
    assert not [line for line in again.warnings if "has no index" in line]
    assert not [line for line in again.index if line.startswith("post.")]


def test_a_composite_reference_is_served_by_an_index_that_leads_with_all_of_its_columns(
    tmp_path: Path,
) -> None:
    harness = SqliteHarness(tmp_path)
    fill(harness)
    harness.execute(
        "CREATE TABLE parcel (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, "
        'FOREIGN KEY (a, b) REFERENCES "Order Line" ("orderNo", "Line"))'
    )
    told = explained(harness, DELETE_LINE)[0].index
    assert "parcel.a+b refers to it without an index (0 rows)" in told
    harness.execute("CREATE INDEX by_line ON parcel (b)")
    assert (
        "parcel.a+b refers to it without an index (0 rows)"
        in explained(harness, DELETE_LINE)[0].index
    )
    harness.execute("CREATE INDEX by_both ON parcel (b, a)")
    assert not [line for line in explained(harness, DELETE_LINE)[0].index if "parcel" in line]


def test_the_size_is_the_databases_estimate_where_it_has_one(harness: SqlHarness) -> None:
    fill(harness)
    grow(harness, "post", 1_100, author_id=1)
    analysed = harness.url.startswith("postgresql")
    if analysed:
        harness.execute("ANALYZE post")
    (told,) = explained(harness, DELETE_POST)
    assert told.rows is not None
    assert 500 < told.rows < 2_000
    assert any("about 1,103 rows" in warning for warning in told.warnings) is analysed


# --- locks and what stays ------------------------------------------------------------------------


def test_locks_are_told_as_the_database_takes_them(harness: SqlHarness) -> None:
    fill(harness)
    delete, cut = explained(harness, DELETE_POST, CUT_RECRUITED, lock_timeout=3)
    held = {
        "sqlite": "the whole file is locked for writing",
        "postgr": "its rows are locked FOR UPDATE, the table ROW EXCLUSIVE",
        "mysql:": "its rows are locked exclusively",
    }[harness.url[:6]]
    assert held in delete.locks
    assert held in cut.locks
    assert ("it gives up after waiting 3 s" in cut.locks) is (held[:9] != "the whole")


def test_a_rewrite_of_the_table_is_told_as_the_lock_that_it_is(
    request: pytest.FixtureRequest,
) -> None:
    harness: SqlHarness = request.getfixturevalue("postgresql")
    fill(harness)
    (full,) = explained(harness, DELETE_POST, purge="vacuum_full")
    assert "VACUUM FULL afterwards takes ACCESS EXCLUSIVE" in full.locks
    assert full.stays.startswith("the server's write-ahead log")
    (plain,) = explained(harness, DELETE_POST)
    assert "makes nobody wait" in plain.locks
    assert plain.stays.startswith("bytes in heap and index")


def test_what_innodb_keeps_is_told(mariadb: MariadbHarness) -> None:
    mariadb.url = mariadb.url.replace("mysql://", "mariadb+pymysql://")
    fill(mariadb)
    (plain,) = explained(mariadb, DELETE_POST)
    assert plain.stays.startswith("bytes in InnoDB's pages until they are overwritten; old images")
    assert plain.index[0].startswith("author_id: by ")
    (full,) = explained(mariadb, DELETE_POST, purge="vacuum_full")
    assert full.stays.startswith("old images in the redo, undo and binary logs")
    assert "OPTIMIZE TABLE afterwards rebuilds the table" in full.locks


def test_readers_of_a_write_ahead_log_do_not_wait(tmp_path: Path) -> None:
    harness = SqliteHarness(tmp_path)
    fill(harness)
    assert "but for the moment of the commit" in explained(harness, DELETE_POST)[0].locks
    harness.execute("PRAGMA journal_mode = WAL")
    assert explained(harness, DELETE_POST)[0].locks.count("others read on;") == 1
    assert explained(harness, DELETE_POST)[0].stays == "nothing in the file"


def test_a_shared_row_stays_while_somebody_refers_to_it(harness: SqlHarness) -> None:
    fill(harness)
    (told,) = explained(harness, SHARED_ADDRESS)
    assert told.stays.startswith("the row while somebody else refers to it; once it goes, ")


def test_every_step_of_the_company_is_explained(harness: SqlHarness) -> None:
    fill(harness)
    told = explained(harness)
    assert len(told) == len(STEPS)
    assert all(e.statement and e.index and e.locks and e.stays and e.rows for e in told)
    assert [approach(s).step for s in STEPS] == list(STEPS)
