"""The same small table in every format of objects, read and written past the stores."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from erasure.domain.needles import Matcher, Needle
from erasure.stores.base import Declared, Found, Secrets, Selector, Step, Work
from lineage.graph import Dataset, Field, Method

Row = dict[str, Any]
SUBJECT, NEIGHBOUR = 0, 42  # a falsy id must be erased like any other
EMAIL, NAME, PHONE = "Mara.Lindqvist@Example.com", "Mara Lindqvist", "+46700555123"
OTHER = "jonas.berg@example.org"
NEEDLES = Matcher(
    [
        Needle(text=EMAIL.lower(), category="email"),
        Needle(text=NAME, category="user.name"),
        Needle(text=PHONE, category="user.contact.phone_number"),
    ]
)
SECRETS = Secrets(seed=bytes(range(32)), needles=NEEDLES)
FIELDS = (
    Field(name="order_id"),
    Field(name="customer_id", categories=("user.unique_id",)),
    Field(name="email", categories=("user.contact.email",), identity="email"),
    Field(name="name", categories=("user.name",)),
    Field(
        name="born",
        categories=("user.demographic",),
        method=Method(name="generalize", argument="year"),
    ),
    Field(name="note", free_text=True),
)
NAMES = tuple(f.name for f in FIELDS)
_COLUMNS: list[pa.Field[Any]] = [
    pa.field("order_id", pa.int64(), nullable=False),
    pa.field("customer_id", pa.int32()),
    pa.field("email", pa.string()),
    pa.field("name", pa.string()),
    pa.field("born", pa.string()),
    pa.field("note", pa.string()),
]
SCHEMA = pa.schema(_COLUMNS, metadata={"exported_by": "nightly"})
Writer = Callable[[Path, Sequence[Row]], None]


def dataset(action: str | None = "delete", name: str = "orders", **more: Any) -> Dataset:
    """The table, with an action of the catalogue."""
    return Dataset(
        address=f"lake.{name}", store="lake", name=name, fields=FIELDS, action=action, **more
    )


def rows(count: int = 60, subject: int = SUBJECT) -> list[Row]:
    """Rows of three people in turn, every seventh of nobody; some notes mention the subject."""
    return [_row(i, subject) for i in range(count)]


def _row(i: int, subject: int) -> Row:
    who = (subject, NEIGHBOUR, 7)[i % 3]
    mine = who == subject
    return {
        "order_id": i,
        "customer_id": None if i % 7 == 5 else who,
        "email": None if i % 7 == 5 else EMAIL if mine else OTHER,
        "name": None if i % 7 == 5 else NAME if mine else 'Jonas, "Joe" Berg',
        "born": "1980-05-17",
        "note": f"gift for {NAME}\nring {PHONE}, please" if i % 11 == 4 else 'naïve, "plain"',
    }


def write_parquet(path: Path, table: Sequence[Row]) -> None:
    """Ten rows to a row group."""
    made = pa.Table.from_pylist(list(table), schema=SCHEMA)
    pq.write_table(made, path, row_group_size=10, compression="zstd")


def write_csv(path: Path, table: Sequence[Row]) -> None:
    """With quotes only where they are needed, and CR LF."""
    out = io.StringIO()
    writer = csv.DictWriter(out, NAMES)
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in r.items()} for r in table)
    _write(path, out.getvalue())


def write_jsonl(path: Path, table: Sequence[Row]) -> None:
    """One object to a line, beyond ASCII escaped in every other line."""
    lines = (json.dumps(r, ensure_ascii=i % 2 == 0) for i, r in enumerate(table))
    _write(path, "".join(f"{line}\n" for line in lines))


def _write(path: Path, text: str) -> None:
    raw = text.encode()
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)


def read(path: Path) -> list[Row]:
    """The rows of an object, typed as they were written."""
    if path.suffix == ".parquet":
        return pq.read_table(path, partitioning=None).to_pylist()
    text = raw_of(path).decode()
    if ".csv" in path.name:
        return [_typed(r) for r in csv.DictReader(io.StringIO(text, newline=""))]
    return [json.loads(line) for line in text.splitlines()]


def _typed(row: dict[str, str]) -> Row:
    plain: Row = {k: v or None for k, v in row.items()}
    for name in ("order_id", "customer_id"):
        plain[name] = None if plain[name] is None else int(plain[name])
    return plain


def raw_of(path: Path) -> bytes:
    """The uncompressed bytes."""
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.name.endswith(".gz") else raw


WRITERS: dict[str, Writer] = {
    "orders.parquet": write_parquet,
    "orders.csv": write_csv,
    "orders.csv.gz": write_csv,
    "orders.jsonl": write_jsonl,
    "orders.jsonl.gz": write_jsonl,
}


def by_id(data: Dataset, *, email: bool = False, **more: Any) -> Selector:
    """Search by customer id, or by email."""
    field = "email" if email else "customer_id"
    return Selector(dataset=data, mode="email" if email else "key", fields=(field,), **more)


def work(found: Sequence[Found], data: Dataset, action: Any = "delete", **more: Any) -> list[Work]:
    """One step over everything that was found."""
    step = Step(dataset=data, action=action, **more)
    return [Work(step=step, keys=tuple(f.key for f in found))]


def declared(data: Dataset) -> list[Declared]:
    """As the runner declares it."""
    return [Declared(dataset=data, owners=("email", "customer_id"))]
