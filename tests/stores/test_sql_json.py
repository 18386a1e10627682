"""What steps do inside documents: the rest stays as it is, to the byte where the text is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from erasure.domain.errors import StoreError
from erasure.domain.steps import Referrer, Step
from erasure.stores.base import Key, Receipt, Work
from lineage.graph import Field, Method
from tests.stores.album import captured, put_back
from tests.stores.company import dataset
from tests.stores.conformance import told
from tests.stores.json_cast import (
    EVENT,
    EVENTS,
    MIRA,
    NEEDLES,
    SECRETS,
    TEAM,
    TEAMS,
    TOM,
    Documents,
    cutting,
    keys_by,
    numbers,
    searching,
)

DELETE_EVENT = Step(dataset=EVENT, action="delete", guard=("payload.user.id",))
ANONYMIZE_EVENT = Step(dataset=EVENT, action="anonymize", guard=("payload.user.id",))
MENTION = Step(
    dataset=dataset("event", Field(name="id", primary_key=True)),
    action="redact",
    via="mention",
    redact=("payload",),
)


def everything(documents: Documents) -> list[Any]:
    tables = documents.store().inspect().tables
    return [documents.harness.read(name) for name in sorted(tables)]


def acted(documents: Documents, *works: Work) -> list[Receipt]:
    """Carried out, checked, and the same after a second execution."""
    store = documents.store()
    receipts = store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    left = everything(documents)
    again = store.act(works, SECRETS)
    assert [r.done for r in again] == [r.done for r in receipts]
    assert everything(documents) == left
    store.close()
    return receipts


def work_on(documents: Documents, step: Step, field: str, *values: Any) -> Work:
    store = documents.store()
    keys = keys_by(store, searching(step.dataset, field, *step.guard), *values)
    store.close()
    return Work(step=step, keys=keys)


# masked


def test_only_the_declared_path_changes(documents: Documents) -> None:
    documents.fill("event", "payload", EVENTS)
    work = work_on(documents, ANONYMIZE_EVENT, "payload.user.id", MIRA)
    (receipt,) = acted(documents, work)
    assert (receipt.done, receipt.residue) == (3, "anonymized")
    expected = dict(EVENTS)
    expected[1] = EVENTS[1].replace('"Mira.Quell@Example.COM"', "null")
    assert documents.read("event", "payload") == documents.plains(expected)


def test_methods_work_inside_as_they_do_in_columns(documents: Documents) -> None:
    rows = {1: '{ "born" : "1988-04-09", "people":[{"mail":"a@b.org"},{"mail":null}],'
               ' "zip": 12345, "kept":"x", "gone": {"a":1, "b":[1,2]},  "big": 1e2,'
               ' "box":{"k":1} }'}  # fmt: skip
    documents.fill("event", "payload", rows)

    def personal(name: str, method: str | None = None, argument: str | None = None) -> Field:
        found = Method(name=method, argument=argument) if method else None
        return Field(name=name, categories=("user.contact",), method=found)

    people = dataset(
        "event", Field(name="id", primary_key=True), personal("payload.born", "generalize", "year"),
        personal("payload.people.mail", "random"), personal("payload.zip", "generalize", "zip3"),
        personal("payload.kept", "keep"), personal("payload.gone", "drop_key", "b"),
        personal("payload.box", "random"), personal("payload.absent", "random"),
    )  # fmt: skip
    work = Work(step=Step(dataset=people, action="anonymize"), keys=(Key(values=(1,)),))
    acted(documents, work)
    left = documents.read("event", "payload")[1]
    after = json.loads(left) if isinstance(left, str) else left
    mail = after["people"][0]["mail"]
    assert mail.endswith("@example.invalid")
    expected = (
        rows[1].replace("1988-04-09", "1988-01-01").replace("a@b.org", mail)
        .replace("12345", "12300").replace('"a":1, "b":[1,2]', '"a":1').replace('{"k":1}', "null")
    )  # fmt: skip
    assert left == documents.plain(expected)


def test_a_column_that_goes_as_a_whole_takes_its_paths_along(documents: Documents) -> None:
    documents.fill("event", "payload", EVENTS)
    whole = replace(EVENT, fields=(*EVENT.fields, Field(name="payload", categories=("user",))))
    work = work_on(documents, replace(ANONYMIZE_EVENT, dataset=whole), "payload.user.id", MIRA)
    acted(documents, work)
    left = documents.read("event", "payload")
    assert (left[1], left[3], left[7]) == (None, None, None)
    assert left[2] == documents.plain(EVENTS[2])


# cut


def test_a_reference_inside_becomes_null_for_the_person_alone(documents: Documents) -> None:
    rows = {**EVENTS, 8: '{"user": [{"id": 5, "x": 1}, {"id": [7, 5]}], "z": "5"}'}
    documents.fill("event", "payload", rows)
    acted(documents, work_on(documents, cutting(EVENT, "payload.user.id"), "payload.user.id", MIRA))
    assert documents.read("event", "payload") == documents.plains({
        **rows,
        1: EVENTS[1].replace('"id": 5', '"id": null'),
        3: '{"user": [{"id": null}, {"id": 7}]}',
        7: '{"user": {"id": null}}',
        8: '{"user": [{"id": null, "x": 1}, {"id": [7]}], "z": "5"}',
    })  # fmt: skip


def test_an_item_is_taken_out_of_a_list_and_the_others_keep_their_order(
    documents: Documents,
) -> None:
    documents.fill("team", "members", TEAMS)
    acted(documents, work_on(documents, cutting(TEAM, "members"), "members", MIRA))
    assert documents.read("team", "members") == documents.plains({**TEAMS, 1: "[7]", 3: "[7 ,  8]"})


def test_two_people_leave_one_list_each_on_their_own(documents: Documents) -> None:
    documents.fill("team", "members", {1: "[5, 6, 7]"})
    step = cutting(TEAM, "members")
    acted(documents, work_on(documents, step, "members", TOM))
    assert documents.read("team", "members") == documents.plains({1: "[5, 6]"})
    acted(documents, work_on(documents, step, "members", MIRA, 6))
    assert documents.read("team", "members") == documents.plains({1: "[]"})


def test_a_column_that_refuses_null_loses_its_reference_all_the_same(documents: Documents) -> None:
    rows = {n: text for n, text in TEAMS.items() if text is not None}
    documents.fill("team", "members", rows, " NOT NULL")
    (receipt,) = acted(documents, work_on(documents, cutting(TEAM, "members"), "members", MIRA))
    assert receipt.done == 2


def test_the_persons_own_row_loses_all_its_references_to_shared_rows(documents: Documents) -> None:
    documents.fill("team", "members", {1: '{"boss": "x@example.org", "places": [10, 11]}'})
    own = dataset(
        "team", Field(name="id", primary_key=True),
        Field(name="members.boss", identity="email"), Field(name="members.places"),
    )  # fmt: skip
    step = Step(dataset=own, action="anonymize", guard=("members.boss",), cut=("members.places",))
    acted(documents, work_on(documents, step, "members.boss", "X@example.org"))
    assert documents.read("team", "members") == documents.plains(
        {1: '{"boss": null, "places": []}'}
    )


# guarded


def test_what_became_somebody_elses_is_left_alone(documents: Documents) -> None:
    documents.fill("event", "payload", EVENTS)
    documents.fill("team", "members", TEAMS)
    works = [
        work_on(documents, DELETE_EVENT, "payload.user.id", MIRA),
        work_on(documents, cutting(TEAM, "members"), "members", MIRA),
    ]
    harness = documents.harness
    harness.execute(f"UPDATE event SET payload = {harness.placeholder} WHERE id = 1",
                    ['{"user": {"id": 9}}'])  # fmt: skip
    harness.execute(f"UPDATE team SET members = {harness.placeholder} WHERE id = 1", ["[9, 5, 7]"])
    store = documents.store()
    deleted, cut = store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    store.close()
    assert [key.values for key in deleted.reused] == [(1,)]
    assert deleted.done == 2
    assert (cut.done, cut.reused) == (2, ())
    left = documents.read("event", "payload")
    assert left == documents.plains({1: '{"user": {"id": 9}}', **{
        n: EVENTS[n] for n in (2, 4, 5, 6)}})  # fmt: skip
    assert documents.read("team", "members")[1] == documents.plain("[9, 7]")


def test_rows_of_the_persons_own_documents_go(documents: Documents) -> None:
    documents.fill("event", "payload", EVENTS)
    (receipt,) = acted(documents, work_on(documents, DELETE_EVENT, "payload.user.id", MIRA))
    assert receipt.done == 3
    assert sorted(documents.read("event", "payload")) == [2, 4, 5, 6]


def test_a_key_without_the_values_that_led_there_is_refused(documents: Documents) -> None:
    documents.fill("team", "members", TEAMS)
    store = documents.store()
    work = Work(step=cutting(TEAM, "members"), keys=(Key(values=(1,), guard=(None,)),))
    with pytest.raises(StoreError, match="search again"):
        store.act([work], SECRETS)
    assert documents.read("team", "members") == documents.plains(TEAMS)
    store.close()


def test_a_shared_row_stays_while_a_document_refers_to_it(documents: Documents) -> None:
    harness = documents.harness
    documents.fill(
        "event", "payload", {1: '{"to": {"address": "10"}}', 2: '{"to": [{"address": 11}]}'}
    )
    harness.execute("CREATE TABLE address (id INTEGER PRIMARY KEY, street VARCHAR(40))")
    harness.insert("address", *({"id": n, "street": "x"} for n in (10, 11, 12)))
    refers = Referrer(collection="event", field="payload.to.address", target_field="id")
    step = Step(dataset=dataset("address"), action="delete", via="refcount", referrers=(refers,))
    work = Work(step=step, keys=tuple(Key(values=(n,)) for n in (10, 11, 12)))
    store = documents.store()
    (receipt,) = store.act([work], SECRETS)
    assert sorted(numbers(receipt.kept)) == [10, 11]
    assert [row["id"] for row in harness.read("address")] == [10, 11]
    harness.execute("DELETE FROM event WHERE id = 1")
    (receipt,) = store.act([work], SECRETS)
    assert [k.values[0] for k in receipt.kept] == [11]
    assert store.check([work], SECRETS) == []
    store.close()


def test_a_key_is_rewritten_inside_the_documents_that_refer_to_it(documents: Documents) -> None:
    harness = documents.harness
    rows = {1: '{"by": "mira",  "n": 1.50}', 2: '{"by": ["tom", "mira"]}', 3: '{"by": "Mira"}'}
    documents.fill("event", "payload", rows)
    before = documents.read("event", "payload")
    harness.execute("CREATE TABLE login (name VARCHAR(40) PRIMARY KEY)")
    harness.insert("login", {"name": "mira"}, {"name": "tom"})
    refers = Referrer(collection="event", field="payload.by", target_field="name")
    people = dataset("login", Field(name="name", primary_key=True, identity="login"))
    step = Step(dataset=people, action="anonymize", referrers=(refers,))
    work = Work(step=step, keys=(Key(values=("mira",)),))
    store = documents.store()
    album = captured(store, [work], SECRETS)
    (new,) = {row["name"] for row in harness.read("login")} - {"tom"}
    assert new != "mira"
    assert documents.read("event", "payload") == documents.plains({
        1: rows[1].replace("mira", str(new)), 2: rows[2].replace("mira", str(new)), 3: rows[3],
    })  # fmt: skip
    assert store.check([work], SECRETS) == []
    put_back(store, album)
    store.close()
    assert documents.read("event", "payload") == before
    assert {row["name"] for row in harness.read("login")} == {"mira", "tom"}


# redacted


def test_needles_are_redacted_anywhere_and_it_stays_a_document(documents: Documents) -> None:
    rows = {
        1: '{ "Mira Quell" : ["mira.quell@EXAMPLE.com", 4930123456, 1.50, true, null],\n'
           '  "note":"call \\u004dira Quell,\\n\\"now\\"", "[erased]":'
           ' {"mira.quell@example.com": 2},'
           ' "tom": "4930123456.", "n": 1.4930123456, "m": 44930123456 }',
        2: '{"tom": "Mira Quellings", "n": 123}',
        3: '"Mira Quell"',
        4: "4930123456",
        5: '["x", [["Mira Quell"]]]',
    }  # fmt: skip
    documents.fill("event", "payload", rows)
    acted(documents, Work(step=MENTION, keys=tuple(Key(values=(n,)) for n in rows)))
    expected = {
        1: '{ "[erased] 2" : ["[erased]", null, 1.50, true, null],\n'
           '  "note":"call [erased],\\n\\"now\\"", "[erased]":'
           ' {"[erased]": 2},'
           ' "tom": "[erased].", "n": 1.4930123456, "m": 44930123456 }',
        2: rows[2],
        3: '"[erased]"',
        4: "null",
        5: '["x", [["[erased]"]]]',
    }  # fmt: skip
    left = documents.read("event", "payload")
    if documents.rewrites:
        left, expected = _sorted(left), _sorted(documents.plains(expected))
    assert left == expected
    store = documents.store()
    assert [h for h in store.scan([], NEEDLES) if hasattr(h, "needle")] == []
    store.close()


def _sorted(rows: dict[int, Any]) -> dict[int, Any]:
    """Of two keys that are redacted alike, JSONB's order says which comes first."""
    return {n: sorted(json.dumps(row)) for n, row in rows.items()}


def test_only_the_declared_path_is_redacted(documents: Documents) -> None:
    rows = {1: '{"note": ["Mira Quell"], "signed": "Mira Quell"}'}
    documents.fill("event", "payload", rows)
    step = replace(MENTION, redact=("payload.note",))
    acted(documents, Work(step=step, keys=(Key(values=(1,)),)))
    expected = {1: rows[1].replace('["Mira Quell"]', '["[erased]"]')}
    assert documents.read("event", "payload") == documents.plains(expected)


def test_a_large_document_is_redacted_and_nothing_else_changes(documents: Documents) -> None:
    lines = [f'{{"n": {n}, "text": "Tom writes \\u00e9 {n}"}}' for n in range(20_000)]
    lines[17_000] = '{"n": 1, "text": "so says Mira Quell"}'
    whole = "[" + ",".join(lines) + "]"
    documents.fill("event", "payload", {1: whole})
    acted(documents, Work(step=MENTION, keys=(Key(values=(1,)),)))
    expected = whole.replace("Mira Quell", "[erased]")
    assert documents.read("event", "payload") == documents.plains({1: expected})


# put back


def test_documents_come_back_exactly(documents: Documents) -> None:
    documents.fill("event", "payload", {**EVENTS, 8: '{"a" :1e2,  "a":"\\u004dira Quell" }'})
    documents.fill("team", "members", TEAMS)
    before = documents.read("event", "payload"), documents.read("team", "members")
    works = [
        Work(step=MENTION, keys=(Key(values=(8,)),)),
        work_on(documents, cutting(TEAM, "members"), "members", MIRA),
        work_on(documents, ANONYMIZE_EVENT, "payload.user.id", MIRA),
        work_on(documents, DELETE_EVENT, "payload.user.id", TOM),
    ]
    store = documents.store()
    album = captured(store, works, SECRETS)
    assert (documents.read("event", "payload"), documents.read("team", "members")) != before
    put_back(store, album)
    store.close()
    assert (documents.read("event", "payload"), documents.read("team", "members")) == before


def test_no_value_of_a_document_is_told(documents: Documents) -> None:
    documents.fill("event", "payload", EVENTS)
    sesame = Method(name="fake", argument="sesame")
    mail = Field(name="payload.user.email", identity="email", method=sesame)
    step = Step(dataset=replace(EVENT, fields=(mail,)), action="anonymize")
    store = documents.store()
    with pytest.raises(StoreError, match=r"shop\.event\.payload\.user\.email") as caught:
        store.act([Work(step=step, keys=(Key(values=(1,)),))], SECRETS)
    assert "mira" not in told(caught.value).lower()
    store.close()


@pytest.mark.parametrize("documents", [("sqlite", "JSON")], indirect=True)
def test_a_document_that_cannot_be_read_stops_the_step(documents: Documents) -> None:
    """It may hold the person's values, and nobody can say where."""
    documents.fill("event", "payload", {**EVENTS, 8: '{"user": {"email": "Mira Quell"'})
    works = [Work(step=replace(ANONYMIZE_EVENT, guard=()), keys=(Key(values=(8,)),))]
    store = documents.store()
    assert len(list(store.find(searching(EVENT, "payload.user.id"), [MIRA]))) == 3
    with pytest.raises(StoreError, match=r"shop\.event\.payload: .*mend or empty it"):
        store.act(works, SECRETS)
    store.act([Work(step=MENTION, keys=(Key(values=(8,)),))], SECRETS)
    assert documents.read("event", "payload")[8] == '{"user": {"email": "[erased]"'
    store.close()
