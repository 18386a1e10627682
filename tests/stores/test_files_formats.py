"""What is particular to one format, and what is wrong with a file."""

from __future__ import annotations

import csv
import datetime
import gzip
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erasure.domain.errors import StoreError
from erasure.stores.base import Hit, Selector
from erasure.stores.files import FilesStore
from lineage.graph import Dataset, Field, Method
from tests.stores import object_cast as cast
from tests.stores.object_cast import EMAIL, NAME, NEEDLES, SECRETS

FIELDS = (Field(name="id"), Field(name="note", free_text=True))
THINGS = Dataset(address="lake.things", store="lake", name="things", fields=FIELDS)
BY_ID = Selector(dataset=THINGS, fields=("id",))


def store_at(folder: Path, **options: Any) -> FilesStore:
    return FilesStore(name="lake", url=f"file://{folder}", options=options)


def erase(folder: Path, *values: Any, selector: Selector = BY_ID, **options: Any) -> int:
    """Find and delete; the number of rows."""
    store = store_at(folder, **options)
    works = cast.work(list(store.find(selector, values)), selector.dataset)
    receipts = store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    return receipts[0].done


COLUMNS: list[tuple[Any, list[Any], Any]] = [
    (pa.int8(), [1, 42, None, -3], "42"),
    (pa.uint64(), [1, 2**64 - 1, None, 3], 2**64 - 1),
    (pa.float64(), [1.5, 42.0, None, float("nan")], 42),
    (pa.decimal128(12, 2), [Decimal("1.50"), Decimal("42.00"), None, Decimal("0")], "42"),
    (pa.string(), ["x", " 42 ", None, "420"], 42),
    (pa.large_string(), ["x", "42", None, "420"], 42),
    (pa.binary(), [b"x", b"42", None, b"\xff"], "42"),
    (pa.dictionary(pa.int8(), pa.string()), ["x", "42", None, "x"], "42"),
    (pa.bool_(), [False, True, None, False], "true"),
    (pa.date32(), [None, datetime.date(1980, 5, 17), None, None], "1980-05-17"),
    (pa.timestamp("ns"), [None, 1_000_000_000_000_000_001, None, 5], "2001-09-09T01:46:40"),
]


@pytest.mark.parametrize(("kind", "values", "wanted"), COLUMNS, ids=[str(c[0]) for c in COLUMNS])
def test_a_value_is_found_whatever_the_column_holds_it_as(
    tmp_path: Path, kind: Any, values: list[Any], wanted: Any
) -> None:
    table = pa.table({"id": pa.array(values, kind), "note": [str(i) for i in range(4)]})
    pq.write_table(table, tmp_path / "things.parquet", row_group_size=2)
    assert erase(tmp_path, wanted) == 1
    left = pq.read_table(tmp_path / "things.parquet")
    assert left.column("note").to_pylist() == ["0", "2", "3"]
    assert left.schema == table.schema


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    ids=st.lists(st.none() | st.integers(-3, 3) | st.sampled_from([2**31, -(2**63)]), max_size=40),
    wanted=st.sets(st.integers(-3, 3) | st.just(2**31), max_size=3),
    size=st.integers(1, 9),
    name=st.sampled_from(["things.parquet", "things.csv", "things.jsonl.gz"]),
)
def test_exactly_the_rows_that_match_go_from_any_table(
    tmp_path: Path, ids: list[int | None], wanted: set[int], size: int, name: str
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    rows = [{"id": v, "note": f'n{i}, "q"\n' * (i % 3)} for i, v in enumerate(ids)]
    _write_things(tmp_path / name, rows, size)
    erase(tmp_path, *map(str, wanted))
    assert _read_things(tmp_path / name) == [r for r in rows if r["id"] not in wanted]


def _write_things(path: Path, rows: list[dict[str, Any]], size: int) -> None:
    if path.suffix == ".parquet":
        kinds: dict[str, pa.DataType] = {"id": pa.int64(), "note": pa.string()}
        schema = pa.schema(kinds)
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=size)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([["id", "note"], *([r["id"], r["note"]] for r in rows)])
    else:
        path.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode()))


def _read_things(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return [
                {"id": int(r["id"]) if r["id"] else None, "note": r["note"]}
                for r in csv.DictReader(file)
            ]
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_parquet_keeps_its_schema_row_groups_codecs_and_order(tmp_path: Path) -> None:
    kinds = {
        "id": pa.int64(),
        "note": pa.dictionary(pa.int32(), pa.string()),
        "at": pa.timestamp("us", "UTC"),
        "deep": pa.struct([("list", pa.list_(pa.int16())), ("text", pa.string())]),
        "map": pa.map_(pa.string(), pa.int32()),
    }
    schema = pa.schema(list(kinds.items()), metadata={"owner": "data team"})
    rows = [
        {
            "id": i % 10,
            "note": f"n{i % 4}",
            "at": datetime.datetime(2024, 1, 1, i % 24, tzinfo=datetime.UTC),
            "deep": {"list": [i, None], "text": None if i % 5 else "t"},
            "map": [("k", i)],
        }
        for i in range(100)
    ]
    path = tmp_path / "things.parquet"
    codecs = {"id": "zstd", "note": "snappy", "at": "none"}
    pq.write_table(
        pa.Table.from_pylist(rows, schema=schema),
        path,
        row_group_size=20,
        compression=codecs | {"deep.list.list.element": "gzip"},  # type: ignore[arg-type]
        use_dictionary=["note"],  # type: ignore[arg-type]
        sorting_columns=[pq.SortingColumn(2)],
        version="2.4",
    )
    before, written = pq.read_metadata(path), pq.read_schema(path)
    assert erase(tmp_path, 3) == 10
    after = pq.read_metadata(path)
    kept = pq.read_table(path)
    assert kept.to_pylist() == [r for r in rows if r["id"] != 3]
    assert kept.schema.equals(written, check_metadata=True)
    assert [after.row_group(i).num_rows for i in range(after.num_row_groups)] == [18] * 5
    assert after.format_version == before.format_version
    assert after.row_group(0).sorting_columns == before.row_group(0).sorting_columns
    for index in range(before.num_columns):
        old, new = before.row_group(0).column(index), after.row_group(0).column(index)
        assert new.compression == old.compression
        assert new.has_dictionary_page == old.has_dictionary_page


def test_a_value_inside_nested_columns_is_found_and_anonymised(tmp_path: Path) -> None:
    fields = (
        Field(name="who.mail", categories=("user.contact.email",), identity="email"),
        Field(name="who.names.last", categories=("user.name.last",)),
    )
    data = Dataset(address="lake.things", store="lake", name="things", fields=fields)
    rows = [
        {"n": i, "who": {"mail": m, "names": [{"last": f"Berg{i}", "no": i}]}}
        for i, m in enumerate([EMAIL, cast.OTHER, None])
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "things.parquet")
    (tmp_path / "things.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    store = store_at(tmp_path)
    found = list(store.find(Selector(dataset=data, mode="email", fields=("who.mail",)), [EMAIL]))
    works = cast.work(found, data, "anonymize")
    store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    cleared = {"n": 0, "who": {"mail": None, "names": [{"last": None, "no": 0}]}}
    assert pq.read_table(tmp_path / "things.parquet").to_pylist() == [cleared, *rows[1:]]
    lines = (tmp_path / "things.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [cleared, *rows[1:]]


@pytest.mark.parametrize("method", [Method(name="random"), Method(name="fake", argument="email")])
def test_random_values_are_the_same_in_a_second_execution(tmp_path: Path, method: Method) -> None:
    fields = (
        Field(name="id"),
        Field(name="mail", categories=("user.contact.email",), method=method),
    )
    data = Dataset(address="lake.things", store="lake", name="things", fields=fields)
    first = [{"id": i % 2, "mail": f"m{i}@example.com"} for i in range(4)]
    path = tmp_path / "things.jsonl"
    results = []
    for _ in range(2):
        path.write_text("".join(json.dumps(r) + "\n" for r in first))
        store = store_at(tmp_path)
        found = list(store.find(Selector(dataset=data, fields=("id",)), [1]))
        works = cast.work(found, data, "anonymize")
        store.act(works, SECRETS)
        assert store.check(works, SECRETS) == []
        results.append(path.read_text())
    assert results[0] == results[1]
    mails = [json.loads(line)["mail"] for line in results[0].splitlines()]
    assert mails[0::2] == ["m0@example.com", "m2@example.com"]
    assert not {"m1@example.com", "m3@example.com"} & set(mails)
    assert mails[1] != mails[3]


@pytest.mark.parametrize("name", ["things.csv", "things.jsonl.gz"])
def test_rows_are_found_across_the_blocks_in_which_a_file_is_read(
    tmp_path: Path, name: str
) -> None:
    rows = [{"id": i, "note": "a\n" * (i % 40) + '"q", 1'} for i in range(6_000)]
    _write_things(tmp_path / name, rows, 1)
    wanted = range(7, 6_000, 997)
    assert erase(tmp_path, *wanted) == len(wanted)
    assert _read_things(tmp_path / name) == [r for r in rows if r["id"] not in wanted]


def test_lines_inside_a_long_quoted_cell_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "things.csv"
    row = "7,plain\r\n" * 9_000 + '1,"' + "neutral\r\n" * 9_000 + "42,not a row\r\n" * 10 + '"\r\n'
    path.write_bytes(f"id,note\r\n{row}42,a row\r\n".encode())
    assert erase(tmp_path, 42) == 1
    assert path.read_bytes() == f"id,note\r\n{row}".encode()


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_case_and_width_of_an_email_do_not_matter_beyond_ascii(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"orders.{kind}"
    rows = [
        {"email": m} for m in ("ＭＡＲＡ@example.com", " Mara@EXAMPLE.com ", "mära@example.com")
    ]
    match kind:
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        case "csv":
            path.write_text("email\n" + "".join(f"{r['email']}\n" for r in rows))
        case _:
            path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
    found = list(
        store_at(tmp_path).find(cast.by_id(cast.dataset(), email=True), ["mara@example.com"])
    )
    assert [f.key.count for f in found] == [2]


@pytest.mark.parametrize("pad", [" ", "\u3000", "\t"])
def test_statistics_do_not_hide_a_value_that_is_padded(tmp_path: Path, pad: str) -> None:
    for number, text in enumerate((f"{pad}42", f"42{pad}", f"{pad}42{pad}")):
        pq.write_table(pa.table({"id": [text]}), tmp_path / f"things-{number}.parquet")
    assert erase(tmp_path, 42) == 3


def test_needles_are_only_gathered_from_rows_under_the_guard(tmp_path: Path) -> None:
    rows = [
        {"order_id": 5, "customer_id": 1, "email": "one@example.com"},
        {"order_id": 5, "customer_id": 2, "email": "two@example.com"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "orders.parquet")
    data = cast.dataset()
    store = store_at(tmp_path)
    selector = Selector(dataset=data, fields=("order_id",), guard=("customer_id",))
    keys = [f.key for f in store.find(selector, [5])]
    assert [k.guard for k in keys] == [(1,), (2,)]
    ((key, needles),) = store.gather(data, keys[:1])
    assert key == keys[0]
    assert [n.text for n in needles] == ["one@example.com"]


def test_csv_with_lines_inside_quotes_loses_only_the_row(tmp_path: Path) -> None:
    path = tmp_path / "things.csv"
    kept = ["id;note\r\n", '1;"a ""quoted""\r\n42;line"\r\n', "43;x\r\n", '"4";"42"\r\n']
    path.write_bytes("".join([*kept[:2], '42;"gone\r\nwith it"\r\n', *kept[2:]]).encode())
    assert erase(tmp_path, 42) == 1
    assert path.read_bytes() == "".join(kept).encode()


def test_csv_cells_of_a_gappy_integer_column_are_that_integer(tmp_path: Path) -> None:
    path = tmp_path / "things.csv"
    path.write_text("id,note\n42.0,a\n,b\n42,c\n4.2,d\n")
    assert erase(tmp_path, 42) == 2
    assert path.read_text() == "id,note\n,b\n4.2,d\n"


def test_csv_rows_that_change_keep_their_manner(tmp_path: Path) -> None:
    path = tmp_path / "things.csv"
    path.write_bytes(f'\ufeff"id","note"\r\n"7","{NAME} ""x"""\r\n"8","y"\r\n'.encode())
    store = store_at(tmp_path)
    selector = Selector(dataset=THINGS, mode="text", fields=("note",))
    works = cast.work(
        list(store.find(selector, [NAME])), THINGS, "redact", redact=("note",), via="mention"
    )
    store.act(works, SECRETS)
    assert path.read_bytes() == '\ufeff"id","note"\r\n"7","[erased] ""x"""\r\n"8","y"\r\n'.encode()


@pytest.mark.parametrize(
    "line",
    [
        '{"id": 42, "note": "x"}',
        '{"id":"42"}',
        '{"id": "\\u0034\\u0032"}',
        '{"id": 42.0}',
        '\ufeff{"id": [7, 42]}',
    ],
)
def test_json_is_found_however_it_is_written(tmp_path: Path, line: str) -> None:
    path = tmp_path / "things.jsonl"
    path.write_text(f'{line}\n{{"id": 420}}\n{{"id": null, "note": "42"}}\n')
    assert erase(tmp_path, 42) == 1
    assert path.read_text() == '{"id": 420}\n{"id": null, "note": "42"}\n'


@pytest.mark.parametrize(
    "line",
    [
        f'{{"id": 42, "note": "{NAME} <{EMAIL}>"',
        f'{{"email": "{EMAIL}", "email": "{cast.OTHER}", "note": "{NAME}"}}',
        f'["{EMAIL}", "{NAME}"]',
    ],
)
def test_an_unreadable_json_line_is_redacted_as_text_and_never_dropped(
    tmp_path: Path, line: str
) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text(f'{{"email": "{cast.OTHER}"}}\n{line}\nrest')
    data = cast.dataset()
    store = store_at(tmp_path)
    found = list(store.find(cast.by_id(data, email=True), [EMAIL]))
    assert [f.key.values[1] for f in found] == ["(line)"]
    works = cast.work(found, data)
    assert store.check(works, SECRETS) != []
    store.act(works, SECRETS)
    assert store.check(works, SECRETS) == []
    wanted = line.replace(NAME, "[erased]").replace(EMAIL, "[erased]")
    assert path.read_text() == f'{{"email": "{cast.OTHER}"}}\n{wanted}\nrest'
    assert not [h for h in store.scan(cast.declared(data), NEEDLES) if isinstance(h, Hit)]


def test_bytes_that_are_no_text_stay_in_an_unreadable_line(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    data = cast.dataset()
    path.write_bytes(b"\x80 " + EMAIL.encode() + b" \xe9\n")
    store = store_at(tmp_path)
    works = cast.work(list(store.find(cast.by_id(data, email=True), [EMAIL])), data)
    store.act(works, SECRETS)
    assert path.read_bytes() == b"\x80 [erased] \xe9\n"


def test_a_partition_in_the_path_is_a_column_and_goes_with_its_rows(tmp_path: Path) -> None:
    for part in ("id=42", "id=7", "id=__HIVE_DEFAULT_PARTITION__"):
        path = tmp_path / "things" / "day=1" / part / "part-0.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"note": ["a", "b"]}), path)
    assert erase(tmp_path, 42) == 2
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
    assert left == [
        "things",
        "things/day=1",
        "things/day=1/id=7",
        "things/day=1/id=7/part-0.parquet",
        "things/day=1/id=__HIVE_DEFAULT_PARTITION__",
        "things/day=1/id=__HIVE_DEFAULT_PARTITION__/part-0.parquet",
    ]


def test_a_value_in_the_path_cannot_be_anonymised(tmp_path: Path) -> None:
    fields = (Field(name="id", categories=("user.unique_id",)),)
    data = Dataset(address="lake.things", store="lake", name="things", fields=fields)
    path = tmp_path / "things" / "id=42" / "p.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"note": "a"}\n')
    store = store_at(tmp_path)
    works = cast.work(
        list(store.find(Selector(dataset=data, fields=("id",)), [42])), data, "anonymize"
    )
    with pytest.raises(StoreError, match="part of the path") as error:
        store.act(works, SECRETS)
    assert "42" not in str(error.value)
    assert path.read_text() == '{"note": "a"}\n'


@pytest.mark.shared
def test_one_customer_of_a_real_table_goes_and_nobody_elses_line(tmp_path: Path) -> None:
    real = Path(__file__).parents[2].parent / "shared" / "data" / "online_retail"
    if not real.is_dir():
        pytest.skip("needs shared/data/online_retail beside the checkout")
    path = tmp_path / "things.parquet"
    shutil.copy(real / "online_retail.parquet", path)
    before = pq.read_table(path)
    customer: Any = before.column("CustomerID")
    selector = Selector(dataset=THINGS, fields=("CustomerID",))
    mine: Any = pc.equal(customer, pa.scalar(17850).cast(customer.type))
    assert erase(tmp_path, "17850", selector=selector) == pc.sum(mine).as_py() > 100
    other: Any = pc.fill_null(pc.invert(mine), True)
    kept = before.filter(other)
    assert pq.read_table(path).equals(kept, check_metadata=True)
    assert kept.column("CustomerID").null_count == customer.null_count > 0
