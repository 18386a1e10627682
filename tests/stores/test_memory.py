"""The memory store against the conformance suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest

from erasure.domain.errors import StoreUnreachable
from erasure.domain.values import Scalar
from erasure.stores.base import Store
from erasure.stores.memory import MemoryStore
from lineage.schema import Table
from tests.stores.company import Row, RowHarness
from tests.stores.row_conformance import RowConformance


class MemoryHarness(RowHarness):
    durable = False

    def create(self, tables: Sequence[Table], rows: Mapping[str, Sequence[Row]]) -> None:
        MemoryStore.seed(self.name, rows, *tables)

    def store(self) -> Store:
        return MemoryStore(name=self.name, url="memory:", options={})

    def read(self, table: str) -> list[dict[str, Scalar]]:
        return sorted(MemoryStore.rows_of(self.name, table), key=lambda r: repr(list(r.values())))

    def insert(self, table: str, row: Row) -> None:
        MemoryStore.insert(self.name, table, row)

    def delete(self, table: str, **where: Scalar) -> None:
        MemoryStore.delete(self.name, table, **where)


class TestMemory(RowConformance):
    @pytest.fixture
    def harness(self) -> Iterator[RowHarness]:
        yield MemoryHarness()
        MemoryStore.forget(MemoryHarness.name)


def test_a_store_that_nobody_seeded_is_unreachable() -> None:
    with pytest.raises(StoreUnreachable, match="nowhere"):
        MemoryStore(name="nowhere", url="", options={}).inspect()


def test_a_table_without_a_given_shape_gets_one_from_its_rows() -> None:
    MemoryStore.seed("loose", {"person": [{"id": 1, "email": "tom@example.com"}]})
    table = MemoryStore(name="loose", url="", options={}).inspect().tables["person"]
    assert table.primary_key == ("id",)
    MemoryStore.forget("loose")
