"""The demo company's lake: the shop's orders, exported to one Parquet file a day."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from erasure.demo.shop import Order

_FIELDS: list[pa.Field[Any]] = [
    pa.field("order_id", pa.int64(), nullable=False),
    pa.field("customer_id", pa.int64()),
    pa.field("email", pa.string()),
    pa.field("product_id", pa.int64()),
    pa.field("amount_cents", pa.int64()),
    pa.field("placed_at", pa.timestamp("s")),
]
_SCHEMA = pa.schema(_FIELDS, metadata={"exported_by": "nightly-export"})
_ROW_GROUP = 128


def write(folder: Path, orders: list[Order], tick: Callable[[], None]) -> None:
    """``dt=YYYY-MM-DD.parquet`` per day with orders, in order of ``order_id``; each carries the
    time of the night it was exported in."""
    folder.mkdir(parents=True, exist_ok=True)
    for day, group in groupby(orders, key=lambda o: o.day):
        path = folder / f"dt={day.isoformat()}.parquet"
        pq.write_table(_table(list(group)), path, row_group_size=_ROW_GROUP, compression="zstd")
        stamp(path, day)
        tick()


def _table(orders: list[Order]) -> pa.Table:
    columns = {
        "order_id": [o.id for o in orders],
        "customer_id": [o.person.id for o in orders],
        "email": [o.person.email for o in orders],
        "product_id": [o.products[0] for o in orders],
        "amount_cents": [o.total_cents for o in orders],
        "placed_at": [datetime.fromisoformat(o.placed_at) for o in orders],
    }
    return pa.table(columns, schema=_SCHEMA)


def stamp(path: Path, day: date) -> None:
    """Give a file the modification time 01:00 UTC of the night after ``day``."""
    night = datetime(day.year, day.month, day.day, 1, tzinfo=UTC) + timedelta(days=1)
    os.utime(path, (night.timestamp(), night.timestamp()))
