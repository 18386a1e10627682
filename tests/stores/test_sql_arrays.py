"""Arrays of PostgreSQL as keys, references and texts; and which indexes serve what is inside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.steps import Step
from erasure.domain.values import Many
from erasure.stores.base import Approach, Hit, Key, Work
from lineage.graph import Field, Method
from tests.stores.album import captured, put_back
from tests.stores.company import dataset
from tests.stores.json_cast import (
    EMAIL,
    EVENT,
    EVENTS,
    NEEDLES,
    SECRETS,
    TEAM,
    Documents,
    cutting,
    keys_by,
    numbers,
    searching,
)
from tests.stores.postgresql import PostgresqlHarness
from tests.stores.sql_harness import statements

pytestmark = pytest.mark.postgres

GIN = "CREATE INDEX {table}_inside ON {table} USING gin ({column})"


def fill(harness: PostgresqlHarness, declared: str, rows: dict[int, Any]) -> None:
    harness.create((), {})
    harness.execute(f"CREATE TABLE team (id int PRIMARY KEY, members {declared})")
    for row in rows.items():
        harness.execute("INSERT INTO team VALUES (%s, %s)", row)


def read(harness: PostgresqlHarness) -> dict[int, Any]:
    return {row[0]: row[1] for row in sorted(harness.execute("SELECT id, members FROM team"))}


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("declared", "given", "person", "spelled"),
    [
        ("integer[]", "{5,7}", 5, "5"),
        ("bigint[]", "{7,5}", "5", "5"),
        ("smallint[]", "{5}", 5, "5"),
        ("integer[][]", "{{5,7},{8,9}}", 5, "5"),
        ("text[]", '{"a b","it\'s \\"5\\""}', "it's \"5\"", '"it\'s \\"5\\""'),
        ("varchar(9)[]", "{mira}", "mira", "mira"),
        ("uuid[]", "{123e4567-e89b-12d3-a456-426614174000}",
         "123E4567-E89B-12D3-A456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
        ("numeric[]", "{5.00}", 5, "5.00"),
    ],
)  # fmt: skip
def test_an_array_holds_keys(
    postgresql: PostgresqlHarness, declared: str, given: str, person: Any, spelled: str,
    *, indexed: bool,
) -> None:  # fmt: skip
    fill(postgresql, declared, {1: given, 2: "{}", 3: None})
    if indexed:
        postgresql.execute(GIN.format(table="team", column="members"))
    before = read(postgresql)
    store = postgresql.store()
    (found,) = store.find(searching(TEAM, "members", carry=["members"]), [person])
    assert found.key.values == (1,)
    assert list(store.find(searching(TEAM, "members"), ["55", "nobody", 2**70])) == []
    if "[][]" in declared:
        store.close()
        return
    work = Work(step=cutting(TEAM, "members"), keys=(found.key,))
    album = captured(store, [work], SECRETS)
    assert store.check([work], SECRETS) == []
    left = read(postgresql)
    assert len(left[1]) == len(before[1]) - 1
    assert [v for v in before[1] if v in left[1]] == left[1]
    assert (left[2], left[3]) == ([], None)
    put_back(store, album)
    assert read(postgresql) == before
    store.close()


def test_texts_in_arrays_are_redacted_item_by_item(postgresql: PostgresqlHarness) -> None:
    fill(postgresql, "text[]", {
        1: ["Tom, \"Tommy\" \\ T", "ask Mira Quell", None, "NULL", ""],
        2: ["{Mira Quell}"], 3: [["Mira Quell", "x"], ["y", "z"]], 4: ["Mira Quellings"],
    })  # fmt: skip
    store = postgresql.store()
    texts = replace(TEAM, fields=(TEAM.fields[0], Field(name="members", free_text=True)))
    step = Step(dataset=texts, action="redact", via="mention", redact=("members",))
    work = Work(step=step, keys=tuple(Key(values=(n,)) for n in (1, 2, 3, 4)))
    assert [h.key for h in store.scan([], NEEDLES) if isinstance(h, Hit)] == [(1,), (2,), (3,)]
    store.act([work], SECRETS)
    assert store.check([work], SECRETS) == []
    assert read(postgresql) == {
        1: ['Tom, "Tommy" \\ T', "ask [erased]", None, "NULL", ""],
        2: ["{[erased]}"], 3: [["[erased]", "x"], ["y", "z"]], 4: ["Mira Quellings"],
    }  # fmt: skip
    assert [h for h in store.scan([], NEEDLES) if isinstance(h, Hit)] == []
    store.close()


@pytest.mark.parametrize("null", ["", " NOT NULL"])
def test_an_array_of_mailboxes_is_found_and_goes(postgresql: PostgresqlHarness, null: str) -> None:
    fill(postgresql, f"text[]{null}", {1: ["MIRA.QUELL@example.com", "m@x.org"], 2: ["t@x.org"]})
    people = dataset("team", Field(name="id", primary_key=True),
                     Field(name="members", identity="email"))  # fmt: skip
    store = postgresql.store()
    (found,) = store.find(searching(people, "members"), [EMAIL])
    assert found.key.guard == (Many(("MIRA.QUELL@example.com",)),)
    step = Step(dataset=people, action="anonymize", guard=("members",))
    work = Work(step=step, keys=(found.key,))
    store.act([work], SECRETS)
    assert store.check([work], SECRETS) == []
    left = read(postgresql)
    assert left[2] == ["t@x.org"]
    if null:
        assert len(left[1]) == 2
        assert all(mail.endswith("@example.invalid") for mail in left[1])
        assert len(set(left[1])) == 2
    else:
        assert left[1] is None
    store.close()


def test_methods_are_applied_to_every_item(postgresql: PostgresqlHarness) -> None:
    fill(postgresql, "date[]", {1: "{1988-04-09,NULL,1990-12-31}"})
    year = Method(name="generalize", argument="year")
    born = dataset("team", Field(name="id", primary_key=True), Field(name="members", method=year))
    work = Work(step=Step(dataset=born, action="anonymize"), keys=(Key(values=(1,)),))
    store = postgresql.store()
    store.act([work], SECRETS)
    store.close()
    assert str(postgresql.execute("SELECT members::text FROM team")[0][0]) == (
        "{1988-01-01,NULL,1990-01-01}"
    )


def test_an_array_of_documents_is_searched_and_not_changed(postgresql: PostgresqlHarness) -> None:
    fill(postgresql, "jsonb[]", {1: ['{"by": "Mira Quell"}', "[[1], 2]"]})
    before = read(postgresql)
    store = postgresql.store()
    assert [h.key for h in store.scan([], NEEDLES) if isinstance(h, Hit)] == [(1,)]
    step = Step(dataset=TEAM, action="redact", via="mention", redact=("members",))
    with pytest.raises(StoreError, match=r"shop\.team\.members: an array of documents"):
        store.act([Work(step=step, keys=(Key(values=(1,)),))], SECRETS)
    assert read(postgresql) == before
    store.close()


# indexes


def explained(harness: PostgresqlHarness, field: str, data_type: str | None = None) -> list[str]:
    declared = dataset("event", Field(name="id", primary_key=True),
                       Field(name=field, data_type=data_type))  # fmt: skip
    step = Step(dataset=declared, action="delete", guard=(field,))
    store = harness.store()
    (told,) = store.explain([Approach(step=step, searches=(searching(declared, field),))])
    store.close()
    return [*told.index, *told.warnings]


@pytest.fixture
def events(postgresql: PostgresqlHarness) -> PostgresqlHarness:
    postgresql.create((), {})
    Documents(harness=postgresql, declared="JSONB").fill("event", "payload", EVENTS)
    postgresql.execute("INSERT INTO event SELECT n, '{\"user\": {\"id\": 0}}' "
                       "FROM generate_series(100, 5000) n")  # fmt: skip
    postgresql.execute("ANALYZE event")
    return postgresql


def test_the_plan_names_the_index_inside_a_document(events: PostgresqlHarness) -> None:
    path = "payload.user.id"
    slow = explained(events, path)
    assert slow[0] == f"{path}: no index serves it, every row is read"
    assert "add a GIN index on payload" in slow[1]
    assert "(payload->'user'->>'id')" in slow[1]
    events.execute("CREATE INDEX by_user ON event ((payload->'user'->>'id'))")
    assert explained(events, path)[0] == slow[0]  # lists would not be found by it
    assert explained(events, path, "integer") == [f"{path}: by by_user"]
    events.execute(GIN.format(table="event", column="payload jsonb_path_ops"))
    assert explained(events, path) == [f"{path}: by event_inside"]


@pytest.mark.parametrize("ops", ["payload", "payload jsonb_path_ops"])
def test_a_gin_index_finds_the_same_rows(events: PostgresqlHarness, ops: str) -> None:
    store = events.store()
    texts = ["it's \"\\", "5", "7", 5.0, "x' || true || '"]
    without = keys_by(store, searching(EVENT, "payload.user.id"), *texts)
    events.execute(GIN.format(table="event", column=ops))
    with statements() as sent:
        assert keys_by(store, searching(EVENT, "payload.user.id"), *texts) == without
    assert any("@?" in one for one in sent)
    assert numbers(without) == [1, 2, 3, 7]
    many = range(1, 1_000)
    assert numbers(keys_by(store, searching(EVENT, "payload.user.id"), *many)) == [1, 2, 3, 4, 7]
    store.close()


def test_a_document_that_only_json_can_hold_is_read(postgresql: PostgresqlHarness) -> None:
    postgresql.create((), {})
    rows = {1: '{"user": {"id": 5}, "x": "\\u0000"}', 2: '{"x": "\\u0000"}', 3: '{"user":{"id":5}}'}
    Documents(harness=postgresql, declared="JSON").fill("event", "payload", rows)
    store = postgresql.store()
    assert numbers(keys_by(store, searching(EVENT, "payload.user.id"), 5)) == [1, 3]
    store.close()
