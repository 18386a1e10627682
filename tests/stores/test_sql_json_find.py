"""JSON paths and lists in JSON as keys and identities: found by the database, told by the store."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.needles import Needle
from erasure.domain.steps import Step
from erasure.domain.values import Many, each
from erasure.stores.base import Approach, Declared, Hit, Key, Searched, Selector
from lineage.graph import Field
from tests.stores.company import dataset
from tests.stores.json_cast import (
    EMAIL,
    EVENT,
    EVENTS,
    MIRA,
    NEEDLES,
    TEAM,
    TEAMS,
    TOM,
    Documents,
    keys_by,
    numbers,
    searching,
)
from tests.stores.sql_harness import statements


def test_a_path_is_a_key_however_the_value_is_written(documents: Documents) -> None:
    documents.fill("event", "payload", EVENTS)
    store = documents.store()
    for given in (5, "5", " 5 ", Decimal("5.0")):
        found = keys_by(store, searching(EVENT, "payload.user.id"), given)
        assert numbers(found) == [1, 3, 7]
    assert numbers(keys_by(store, searching(EVENT, "payload.user.id"), 9, "x", None, True)) == []
    store.close()


def test_what_was_looked_for_guards_and_all_values_lead_on(documents: Documents) -> None:
    documents.fill("event", "payload", EVENTS)
    store = documents.store()
    by_id = searching(EVENT, "payload.user.id", "payload.user.id", "payload.user.email",
                      carry=["payload.user.id"])  # fmt: skip
    found = {f.key.values[0]: f for f in store.find(by_id, [MIRA])}
    assert found[3].key.guard == (Many(("5",)), Many(()))
    assert found[3].carry == {"payload.user.id": Many(("5", 7))}
    assert found[3].matched == (MIRA,)
    assert found[1].key.guard == (Many((5,)), Many(("Mira.Quell@Example.COM",)))
    store.close()


def test_a_row_that_several_values_lead_to_comes_once_with_all(documents: Documents) -> None:
    documents.fill("team", "members", TEAMS)
    store = documents.store()
    values = [MIRA, TOM, *range(1_000, 13_000)]
    found = {f.key.values[0]: f for f in store.find(searching(TEAM, "members"), values)}
    assert set(found) == {1, 2, 3}
    assert set(found[1].matched) == {MIRA, TOM}
    assert set(each(found[1].key.guard[0])) == {MIRA, TOM}
    store.close()


def test_a_mailbox_inside_a_document_ignores_case(documents: Documents) -> None:
    more = {8: '{"user": {"email": " \\u00c4nn@Example.com "}}', 9: '{"user": {"email": [null]}}'}
    documents.fill("event", "payload", {**EVENTS, **more})
    store = documents.store()
    by_mail = searching(EVENT, "payload.user.email")
    assert numbers(keys_by(store, by_mail, EMAIL.upper())) == [1]
    assert numbers(keys_by(store, by_mail, "änn@example.COM")) == [8]
    store.close()


def test_a_list_is_searched_item_by_item(documents: Documents) -> None:
    documents.fill("team", "members", TEAMS)
    store = documents.store()
    found = keys_by(store, searching(TEAM, "members"), MIRA)
    assert numbers(found) == [1, 3]
    assert [key.guard for key in found] == [(Many((5,)),), (Many(("5", 5)),)]
    store.close()


def test_keys_with_quotes_blanks_and_letters_are_paths(documents: Documents) -> None:
    rows = {1: '{"o\'d\\"d %s:x ä": {"$[*]": ["it\'s 5\\\\"]}}', 2: '{"o": {"$[*]": "no"}}'}
    documents.fill("event", "payload", rows)
    name = "payload.o'd\"d %s:x ä.$[*]"
    odd = dataset("event", Field(name="id", primary_key=True), Field(name=name))
    store = documents.store()
    assert numbers(keys_by(store, searching(odd, name), "it's 5\\")) == [1]
    assert keys_by(store, searching(odd, name), "no") == ()
    store.close()


@pytest.mark.parametrize("key", ["é", "Ünï", "ключ", "-", "--", "*"])
def test_a_key_is_found_whether_its_letters_are_written_or_escaped(
    documents: Documents, key: str
) -> None:
    written, escaped = json.dumps({key: 5}, ensure_ascii=False), json.dumps({key: "5"})
    listed = json.dumps([{"in": [{key: [7, 5]}]}])
    rows = {1: written, 2: escaped, 3: listed, 4: json.dumps({"other": 5}), 5: None}
    documents.fill("event", "payload", rows)
    name, inner = f"payload.{key}", f"payload.in.{key}"
    odd = dataset("event", Field(name="id", primary_key=True), Field(name=name), Field(name=inner))
    store = documents.store()
    assert numbers(keys_by(store, searching(odd, name), 5)) == [1, 2]
    assert numbers(keys_by(store, searching(odd, inner), 5)) == [3]
    store.close()


def test_a_field_declared_to_hold_one_value_is_found_too(documents: Documents) -> None:
    plain = dataset("event", Field(name="id", primary_key=True),
                    Field(name="payload.user.id", data_type="integer"))  # fmt: skip
    rows = {n: text for n, text in EVENTS.items() if n != 3}
    documents.fill("event", "payload", rows)
    store = documents.store()
    assert numbers(keys_by(store, searching(plain, "payload.user.id"), MIRA)) == [1, 7]
    store.close()


def test_one_statement_finds_all_of_many_values(documents: Documents) -> None:
    """Nothing is looked for one by one, and no row is read that cannot hold a value."""
    documents.fill("event", "payload", EVENTS)
    store = documents.store()
    store.inspect()
    with statements() as sent:
        found = keys_by(store, searching(EVENT, "payload.user.id"), *range(400))
    assert numbers(found) == [1, 2, 3, 4, 7]
    asked = [one for one in sent if "payload" in one]
    assert len(asked) == 1
    assert "EXISTS" in asked[0]
    store.close()


def test_needles_are_gathered_inside(documents: Documents) -> None:
    documents.fill("event", "payload", {1: (
        '{"user": {"first": "Mira", "last": "Quell", "email": ["a@example.com", null, "b@x.org"], '
        '"phone": 4930123456, "theme": "dark"}}'
    )})  # fmt: skip
    found = dataset(
        "event", Field(name="id", primary_key=True),
        Field(name="payload.user.first", categories=("user.name.first",)),
        Field(name="payload.user.last", categories=("user.name.last",)),
        Field(name="payload.user.email", identity="email"),
        Field(name="payload.user.phone", categories=("user.contact.phone_number",)),
    )  # fmt: skip
    store = documents.store()
    ((_, needles),) = store.gather(found, [Key(values=(1,))])
    assert {n.text for n in needles} == {
        "Mira Quell", "Quell Mira", "Quell, Mira", "a@example.com", "b@x.org", "4930123456",
    }  # fmt: skip
    assert Needle(text="4930123456", category="user.contact.phone_number") in needles
    store.close()


def test_texts_inside_are_searched_where_they_are_declared(documents: Documents) -> None:
    rows = {
        1: '{"note": "ask\\nMira Quell", "by": "Tom"}',
        2: '{"note": "-", "by": "Mira Quell"}',
        3: '{"note": ["x", {"deep": "\\u004dira Quell"}]}',
        4: '{"note": 1.4930123456}',
    }
    documents.fill("event", "payload", rows)
    store = documents.store()
    texts = [n.text for n in NEEDLES.needles]

    def mentions(field: str) -> list[object]:
        found = dataset("event", Field(name="id", primary_key=True), Field(name=field))
        selector = Selector(dataset=found, mode="text", fields=(field,))
        return numbers(keys_by(store, selector, *texts))

    assert mentions("payload.note") == [1, 3]
    assert mentions("payload") == [1, 2, 3]
    store.close()


def test_the_scan_sees_what_is_inside_and_tells_the_declared_field(documents: Documents) -> None:
    rows = {
        1: '{"user": {"id": 5, "email": "Mira.Quell@Example.COM"}}',
        2: '{"Mira Quell": 4930123456, "user": {"email": "tom@example.com", "n": 1.4930123456}}',
        3: '{"user": {"email": "write to \\u006dira.quell@example.com"}}',
    }
    documents.fill("event", "payload", rows)
    store = documents.store()
    declared = Declared(dataset=EVENT, owners=("payload.user.id",))
    seen = list(store.scan([declared], NEEDLES))
    assert seen[-1] == Searched(collection="event", fields=2, rows=3)
    hits = {
        (h.key, h.field, NEEDLES.needles[h.needle].text, h.whole)
        for h in seen
        if isinstance(h, Hit)
    }
    assert hits == {
        ((1,), "payload.user.email", EMAIL, True),
        ((2,), "payload", "Mira Quell", True),
        ((2,), "payload", "4930123456", True),
        ((3,), "payload.user.email", EMAIL, False),
    }
    owners = {h.key: h.owner for h in seen if isinstance(h, Hit)}
    assert owners[1,] == {"payload.user.id": Many((5,))}
    store.close()


def test_rows_are_recognised_by_what_is_inside(documents: Documents) -> None:
    documents.fill("event", "payload", EVENTS)
    store = documents.store()
    read = {row[0]: row[1] for row in store.read(EVENT, ["id", "payload.user.email"])}
    assert read[1] == Many(("Mira.Quell@Example.COM",))
    assert read[3] == Many(())
    store.close()


@pytest.mark.parametrize("field", ["id.user", "nothing.user", "payloads"])
def test_a_path_in_no_document_is_an_error_that_names_it(documents: Documents, field: str) -> None:
    documents.fill("event", "payload", EVENTS)
    store = documents.store()
    with pytest.raises(StoreError, match=rf"shop\.event: the column '{field}' is missing"):
        keys_by(store, searching(EVENT, field), MIRA)
    store.close()


def test_a_composite_reference_into_a_document_is_refused(documents: Documents) -> None:
    documents.fill("event", "payload", EVENTS)
    store = documents.store()
    both = Selector(dataset=EVENT, mode="together", fields=("id", "payload.user.id"))
    with pytest.raises(StoreError, match=r"payload\.user\.id: a reference of several fields"):
        list(store.find(both, [(1, 5)]))
    store.close()


def test_the_plan_says_what_serves_a_search_inside(documents: Documents) -> None:
    rows = {n: f'{{"user": {{"id": {n}}}}}' for n in range(1, 1_500)}
    documents.fill("event", "payload", rows)
    path = "payload.user.id"
    plain = dataset("event", Field(name="id", primary_key=True),
                    Field(name=path, data_type="integer"))  # fmt: skip
    step = Step(dataset=plain, action="delete", guard=(path,))
    approach = Approach(step=step, searches=(searching(plain, path),))
    store = documents.store()
    (slow,) = store.explain([approach])
    assert slow.index == (f"{path}: no index serves it, every row is read",)
    (warning,) = slow.warnings
    assert warning.startswith(f"shop.event: searching it by {path} reads every row")
    assert "DELETE FROM" in slow.statement
    over = {"?": "json_extract(payload, '$.user.id')", "%s": "(payload->'user'->>'id')"}
    if documents.harness.folds:
        assert "generate a column from it" in warning
        store.close()
        return
    expression = over[documents.harness.placeholder]
    assert expression in warning
    documents.harness.execute(f"CREATE INDEX by_user ON event ({expression})")
    (fast,) = store.explain([approach])
    assert fast.index == (f"{path}: by by_user",)
    assert fast.warnings == ()
    assert numbers(keys_by(store, searching(plain, path), 5, "700")) == [5, 700]
    store.close()
