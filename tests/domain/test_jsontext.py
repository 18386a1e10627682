"""JSON changed as text: what an edit does not name stays, byte for byte."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from erasure.domain import jsontext
from erasure.domain.jsontext import edited, parse, put, scalars_at, strings, values_at, without

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def written(document: Any, *, plain: bool, indent: int | None) -> str:
    return json.dumps(document, ensure_ascii=plain, indent=indent)


@given(document=DOCUMENTS, plain=st.booleans(), indent=st.sampled_from([None, 1]))
def test_every_document_is_taken_apart_where_its_parts_stand(
    document: Any, plain: bool, indent: int | None
) -> None:
    text = written(document, plain=plain, indent=indent)
    root = parse(text)
    assert text[root.start : root.end] == text
    for node in strings(root):
        assert text[node.start : node.end] == node.token
        plain = json.loads(node.token)
        assert node.text == (plain if isinstance(plain, str) else None)
    same = edited(text, [put(n, n.text) for n in strings(root) if n.text is not None])
    assert repr(json.loads(same)) == repr(document)  # NaN equals nothing


@given(document=st.dictionaries(st.text(), DOCUMENTS, min_size=1), data=st.data())
def test_one_value_changes_and_no_other(document: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(document)))
    text = written(document, plain=False, indent=1)
    ((_, value),) = [m for m in parse(text).members if m[0].text == name]
    after = edited(text, [put(value, "x\ud800é")])
    assert after.startswith(text[: value.start])
    assert after.endswith(text[value.end :])
    assert repr(json.loads(after)) == repr({**document, name: "x\ud800é"})


@given(items=st.lists(DOCUMENTS, min_size=1, max_size=6), data=st.data())
def test_items_are_taken_out_and_the_others_keep_their_order(
    items: list[Any], data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.integers(0, len(items) - 1)))
    text = written(items, plain=True, indent=data.draw(st.sampled_from([None, 1])))
    parts = [(item.start, item.end) for item in parse(text).items]
    left = json.loads(edited(text, without(parts, gone)))
    assert repr(left) == repr([v for i, v in enumerate(items) if i not in gone])


@given(document=DOCUMENTS, path=st.lists(st.sampled_from(["a", "b"]), max_size=2))
@example(document=float("-inf"), path=["a"])
def test_reading_and_changing_agree_on_what_a_path_names(document: Any, path: list[str]) -> None:
    text = json.dumps({"a": [document, {"b": document}], "b": {"a": document}})
    nodes = [n for n in values_at(parse(text), path) if n.kind == "scalar"]
    read = [n.value for n in nodes if n.value is not None]
    assert repr(tuple(read)) == repr(scalars_at(text, tuple(path)))


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("-0", 0),
        ("5.00", Decimal("5.00")),
        ("1e400", Decimal("1e400")),
        ("1e999999999", "1e999999999"),
        ("9" * 5_000, "9" * 5_000),
        ("NaN", "NaN"),
        ("true", True),
        ("null", None),
        ('"\\ud83d\\ude00\\n"', "😀\n"),
    ],
)
def test_a_scalar_is_read_without_loss_or_danger(token: str, value: object) -> None:
    assert parse(f" {token} ").value == value


def test_keys_that_come_twice_and_lists_on_the_way_count() -> None:
    text = '[{"a": {"b": 1}, "a": [{"b": [2, [3]]}, {"c": 4}]}, {"a.b": 5}, [{"a": {"b": 6}}]]'
    assert scalars_at(text, ("a", "b")) == (1, 2, 3)


@pytest.mark.parametrize("text", ["", "{", "[1,]", '{"a" 1}', "[" * 100_000, "Ann", "{'a': 1}"])
def test_what_is_no_document_is_told(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of many kinds
        parse(text)
    assert scalars_at(text, ("a",)) == ()


def test_a_text_is_written_as_its_surroundings_are() -> None:
    assert jsontext.written("é", like='"a"') == '"\\u00e9"'
    assert jsontext.written("é", like='"ü"') == '"é"'
    assert jsontext.written(Decimal("1.50")) == "1.50"
