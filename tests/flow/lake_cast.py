"""A lake beside the shop: what visitors did, in one file of each format, or a log. Ann and Ben
share a phone and an address; of each visit the number is its key."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.flow import cast
from tests.flow.cast import ANN, BEN, BYSTANDER, CLEO, NEIGHBOUR, SUBJECT, Shop

Visit = dict[str, Any]
FORMATS = ("csv", "jsonl", "parquet")
PHONE, STREET = "030 5550001", "12 Quiet Lane"
FIELDS = ("id", "customer_id", "email", "phone", "street", "page", "remark")
_VALUES = (
    (1, ANN, SUBJECT, PHONE, STREET, "tea", None),
    (2, BEN, NEIGHBOUR, PHONE, STREET, "cakes", "kind"),
    (3, ANN, SUBJECT, None, "Old Mill 3", None, None),
    (4, CLEO, BYSTANDER, "030 5550003", None, None, None),
)
VISITS: Sequence[Visit] = [dict(zip(FIELDS, row, strict=True)) for row in _VALUES]
STORE = """
  - {{name: lake, kind: {kind}, url: "file://{folder}", options: {{format: {format}}}}}
dataset:
"""
DATASET = """
  - fides_key: lake
    erasure: {{store: lake}}
    collections:
      - name: visit
        erasure: {{action: {action}}}
        fields:
          - {{name: id{key}}}
          - name: customer_id
            fides_meta: {{references: [{{dataset: shop, field: customer.id, direction: from}}]}}
          - {{name: email, data_categories: [user.contact.email], fides_meta: {{identity: email}}}}
          - {{name: phone, data_categories: [user.contact.phone_number]}}
          - {{name: street, data_categories: [user.contact.address.street]}}
          - {{name: page, data_categories: [user.behavior.browsing_history]}}
          - {{name: remark, erasure: {{free_text: true}}}}
"""


class Lake:
    """The file of visits, past the protocol. ``form``: a format of files; ``log`` and ``text``: a
    log of JSON lines, and one that is said to have no fields."""

    CATALOGUE = DATASET

    def __init__(self, folder: Path, form: str) -> None:
        self.form = form
        self.logs = form in ("log", "text")
        self.file = folder / "lake" / ("visit.log" if self.logs else f"visit.{form}")
        self.file.parent.mkdir()
        self.write(VISITS)

    def describe(self, shop: Shop, *, action: str = "delete", key: bool = True) -> None:
        """Import the shop's catalogue and the lake's."""
        told = {
            "kind": "logs" if self.logs else "files",
            "folder": self.file.parent,
            "format": "jsonl" if self.form == "log" else self.form,
            "action": action,
            "key": ", fides_meta: {primary_key: true}" if key else "",
        }
        text = cast.CATALOGUE.read_text()
        text = text.replace("\ndataset:\n", STORE.format(**told), 1)
        shop.describe(text + self.CATALOGUE.format(**told))

    def write(self, visits: Sequence[Visit], path: Path | None = None) -> None:
        """Other contents than before, or another file."""
        path = path or self.file
        if self.form == "parquet":
            texts = [(name, pa.string()) for name in FIELDS[2:]]
            fields: list[Any] = [("id", pa.int64()), ("customer_id", pa.int64()), *texts]
            schema = pa.schema(fields)
            pq.write_table(pa.Table.from_pylist(list(visits), schema=schema), path)
        elif self.form == "csv":
            with path.open("w", newline="") as file:
                out = csv.DictWriter(file, FIELDS)
                out.writeheader()
                out.writerows(visits)
        else:
            path.write_text("".join(f"{json.dumps(visit)}\n" for visit in visits))

    def visits(self, path: Path | None = None) -> dict[int, Visit]:
        """By number, what is filled in of each, as text."""
        path = path or self.file
        rows: list[Visit]
        if self.form == "parquet":
            rows = pq.read_table(path).to_pylist()
        elif self.form == "csv":
            with path.open(newline="") as file:
                rows = list(csv.DictReader(file))
        else:
            rows = [json.loads(line) for line in path.read_text().splitlines()]
        return {
            int(row["id"]): {n: str(v) for n, v in row.items() if v not in (None, "")}
            for row in rows
        }


class Nested(Lake):
    """The same, with name and phone in a part of each record."""

    CATALOGUE = DATASET.replace("name: phone", "name: reach.phone") + (
        "          - {{name: reach.name, data_categories: [user.name]}}\n"
    )

    def write(self, visits: Sequence[Visit], path: Path | None = None) -> None:
        names = {ANN: "Ann Archer", BEN: "Ben"}
        nested = [
            {**v, "reach": {"name": names.get(v["customer_id"]), "phone": v["phone"]}}
            for v in visits
        ]
        for visit in nested:
            del visit["phone"]
        if self.form == "parquet":
            reach = pa.struct([("name", pa.string()), ("phone", pa.string())])
            texts = [(name, pa.string()) for name in ("email", "street", "page", "remark")]
            fields: list[Any] = [("id", pa.int64()), ("customer_id", pa.int64()), *texts]
            schema = pa.schema([*fields, ("reach", reach)])
            pq.write_table(pa.Table.from_pylist(nested, schema=schema), path or self.file)
        else:
            self.file.write_text("".join(f"{json.dumps(visit)}\n" for visit in nested))

    def reached(self) -> dict[int, list[str | None]]:
        """Name and phone, by number."""
        if self.form == "parquet":
            rows = pq.read_table(self.file).to_pylist()
        else:
            rows = [json.loads(line) for line in self.file.read_text().splitlines()]
        return {row["id"]: [row["reach"]["name"], row["reach"]["phone"]] for row in rows}
