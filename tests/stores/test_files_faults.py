"""What a scan of file sets sees, and what is wrong with a file or an option."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from erasure.domain.errors import StoreError, StoreUnreachable
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Ghost
from erasure.stores.base import Hit, Searched
from erasure.stores.files import FilesStore
from lineage.graph import Dataset
from tests.stores import object_cast as cast
from tests.stores.conformance import assert_no_values, told
from tests.stores.object_cast import EMAIL, NAME, NEEDLES, SECRETS


def store_at(folder: Path, **options: Any) -> FilesStore:
    return FilesStore(name="lake", url=f"file://{folder}", options=options)


def test_the_scan_looks_at_paths_undeclared_files_nested_values_and_metadata(
    tmp_path: Path,
) -> None:
    (tmp_path / "export_mara.lindqvist%40example.com.txt").write_text("nothing\n")
    (tmp_path / "notes.md").write_text(f"# call {NAME}\n")
    (tmp_path / "stray.json").write_text(json.dumps({"a": [{"b": {EMAIL: 1}}]}))
    hidden = json.dumps({"x": "\nMara Lindqvist", "y": "é"})
    (tmp_path / "esc.jsonl").write_text(f'{{"x": "plain"}}\n{hidden}\n')
    pq.write_table(
        pa.table({EMAIL: [1], "n": [{"z": [NAME]}]}).replace_schema_metadata({"by": NAME}),
        tmp_path / "pivot.parquet",
    )
    answers = list(store_at(tmp_path).scan([], NEEDLES))
    seen = {(h.collection, h.field) for h in answers if isinstance(h, Hit)}
    assert seen == {
        ("export_mara.lindqvist%40example.com.txt", "(path)"),
        ("notes.md", "(line)"),
        ("stray.json", "(key)"),
        ("esc.jsonl", "x"),
        ("pivot.parquet", "(schema)"),
        ("pivot.parquet", "(metadata)"),
        ("pivot.parquet", "n.z"),
    }
    assert len([a for a in answers if isinstance(a, Searched)]) == 5


def test_a_value_in_a_number_column_is_seen(tmp_path: Path) -> None:
    needles = Matcher([Needle(text="46700555123", category="user.contact.phone_number")])
    table = {"a": [1, 46700555123], "b": [46700555123.0, None], "c": [b"x", b"46700555123"]}
    pq.write_table(pa.table(table), tmp_path / "things.parquet")
    hits = [h for h in store_at(tmp_path).scan([], needles) if isinstance(h, Hit)]
    assert [(h.field, h.key[1], h.whole) for h in hits] == [
        ("a", 2, True),
        ("b", 1, True),
        ("c", 2, True),
    ]


def test_a_hit_has_the_key_under_which_its_owner_is_found(tmp_path: Path) -> None:
    cast.write_parquet(tmp_path / "orders.parquet", cast.rows(6))
    data = cast.dataset("retain")
    store = store_at(tmp_path)
    found = list(store.find(cast.by_id(data, email=True), [EMAIL]))
    hits = [h for h in store.scan(cast.declared(data), NEEDLES) if isinstance(h, Hit)]
    mine = [h for h in hits if h.field == "email"]
    assert {h.key for h in mine} == {f.key.values for f in found}
    receipts = store.act(cast.work(found, data, "retain"), SECRETS)
    assert [(r.done, r.residue) for r in receipts] == [(2, "retained_until")]
    assert cast.read(tmp_path / "orders.parquet") == cast.rows(6)


def _summary(folder: Path) -> bytes:
    """What Dask and older versions of Spark write beside the files."""
    told: list[Any] = []
    table = pa.table({"email": [EMAIL]})
    pq.write_table(table, folder / "part", metadata_collector=told)
    told[0].set_file_path("part-0.parquet")
    pq.write_metadata(table.schema, str(folder / "part"), metadata_collector=told)
    summary = (folder / "part").read_bytes()
    (folder / "part").unlink()
    return summary


def _broken(folder: Path, kind: str) -> None:
    path = folder / "orders" / f"{EMAIL}.bin"
    path.parent.mkdir()
    packed = gzip.compress(b'{"email": "x"}\n' * 5000, mtime=0)
    content = {
        "parquet": b"PAR1 this is none " + EMAIL.encode(),
        "summary": _summary(folder),
        "truncated": packed[: len(packed) // 2],
        "garbled": packed[:20] + b"\x00" * 9 + packed[29:],
        "csv column": b"a,b\n1,2\n",
        "csv quotes": b'email,b\n"' + EMAIL.encode() + b"x" * 200_000,
        "latin": f"email,b\n{EMAIL},é\n".encode("latin-1"),
        "wide": f'{{"email": "{EMAIL}"}}'.encode("utf-16"),
        "zstd": b"\x28\xb5\x2f\xfd....",
    }
    path.write_bytes(content[kind])


@pytest.mark.parametrize(
    ("kind", "format_", "message"),
    [
        ("parquet", "parquet", "Parquet"),
        ("summary", "parquet", "is a summary of other Parquet files.*remove it"),
        ("truncated", "jsonl", "ends too early"),
        ("garbled", "jsonl", "damaged"),
        ("csv column", "csv", "has no column email"),
        ("csv quotes", "csv", "check the quotes"),
        ("latin", "csv", "not UTF-8"),
        ("wide", "jsonl", "not UTF-8"),
        ("zstd", "jsonl", "Zstandard"),
    ],
)
def test_a_bad_file_is_named_without_any_value(
    tmp_path: Path, kind: str, format_: str, message: str
) -> None:
    _broken(tmp_path, kind)
    data = cast.dataset()
    with pytest.raises(StoreError, match=message) as error:
        list(store_at(tmp_path, format=format_).find(cast.by_id(data, email=True), [EMAIL]))
    assert "lake.orders [object 1 in name order]" in str(error.value)
    assert error.value.permanent
    assert "\n" not in str(error.value)
    assert_no_values([told(error.value)], NEEDLES)


def test_what_cannot_be_searched_is_not_called_searched(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"x": "{EMAIL}"}}\n')
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04....")
    answers: list[Hit | Searched] = []
    with pytest.raises(StoreError, match="1 objects could not be searched"):
        answers.extend(store_at(tmp_path).scan([], NEEDLES))
    # Everything else was searched before that was said.
    scan = store_at(tmp_path).scan([], NEEDLES)
    assert [type(next(scan)).__name__, next(scan)] == [
        "Hit",
        Searched(collection="a.jsonl", fields=1, rows=1),
    ]


def test_a_directory_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable):
        store_at(tmp_path / "gone").inspect()


@pytest.mark.parametrize("url", ["s3://bucket/x", "file://relative", "/plain"])
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="file:///absolute/directory"):
        FilesStore(name="lake", url=url, options={})


@pytest.mark.parametrize("option", ["format", "partitioning", "compression"])
def test_an_unknown_word_in_an_option_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(StoreError, match=f"unknown {option}; use one of"):
        store_at(tmp_path, **{option: "avro"})


def test_markers_without_content_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "orders" / "part-0.parquet"
    path.parent.mkdir()
    cast.write_parquet(path, cast.rows())
    (tmp_path / "orders" / "_SUCCESS").touch()
    data = cast.dataset()
    store = store_at(tmp_path, format="parquet")
    works = cast.work(list(store.find(cast.by_id(data), [cast.SUBJECT])), data)
    assert store.act(works, SECRETS)[0].done == 17
    assert store.check(works, SECRETS) == []
    seen = store.scan(cast.declared(data), NEEDLES)
    assert [s.rows for s in seen if isinstance(s, Searched)] == [43]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"via": "refcount"}, "cannot count references"),
        (
            {
                "via": "shallow",
                "ghost": Ghost(dataset=Dataset(name="c", store="s", address="c"), field="id"),
            },
            "no ghost rows",
        ),
        ({"action": "rebuild"}, "'rebuild' cannot be done to files"),
        ({"via": "shallow", "cut": ("order_id",)}, "order_id may not be NULL"),
        ({"guard": ("customer_id",)}, "came without its guard"),
    ],
)
def test_what_files_cannot_do_is_refused_and_nothing_happens(
    tmp_path: Path, step: dict[str, Any], message: str
) -> None:
    path = tmp_path / "orders.parquet"
    cast.write_parquet(path, cast.rows())
    data = cast.dataset()
    store = store_at(tmp_path)
    works = cast.work(list(store.find(cast.by_id(data), [cast.SUBJECT])), data, **step)
    with pytest.raises(StoreError, match=message) as error:
        store.act(works, SECRETS)
    assert error.value.permanent
    assert cast.read(path) == cast.rows()


def test_the_schema_of_a_table_is_told_by_collection(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    cast.write_parquet(tmp_path / "orders" / "a.parquet", cast.rows(5))
    cast.write_csv(tmp_path / "people-2024.csv", cast.rows(5))
    seen = store_at(tmp_path).inspect()
    assert {n: t.rows for n, t in seen.tables.items()} == {"orders": 5, "people": None}
    column = seen.tables["orders"].get("order_id")
    assert column is not None
    assert (column.data_type, column.nullable) == ("int64", False)
    cast.write_parquet(tmp_path / "orders" / "b.parquet", cast.rows(9))
    assert store_at(tmp_path).inspect().fingerprint == seen.fingerprint
    pq.write_table(pa.table({"new": [1]}), tmp_path / "orders" / "c.parquet")
    assert store_at(tmp_path).inspect().fingerprint != seen.fingerprint
