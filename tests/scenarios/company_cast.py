"""What the tests of the demo company share."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from erasure.demo import company as demo
from erasure.demo.company import Company
from erasure.domain.needles import Matcher
from erasure.stores.base import Found, Secrets, Selector
from erasure.stores.model_registry import ModelRegistryStore
from lineage.graph import Dataset
from lineage.importers.entries import Catalogue
from lineage.importers.fideslang import read

TODAY = date(2026, 11, 21)
SECRETS = Secrets(seed=bytes(32), needles=Matcher([]))


def build_company(folder: Path, *, people: int = 400, seed: int = 7) -> Company:
    return demo.build(folder, people=people, seed=seed, today=TODAY)


def rows(database: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement, values).fetchall()


def write(database: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(statement, values)
        connection.commit()


def text_of(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode()


def datasets_of(catalogue: Catalogue) -> dict[str, Dataset]:
    return {d.value.address: d.value for d in catalogue.datasets}


def registry_of(company: Company) -> ModelRegistryStore:
    return ModelRegistryStore(
        name="models", url=f"file://{company.models}", options={"hash_key": company.hash_key}
    )


def found_in_model(company: Company) -> list[Found]:
    churn = datasets_of(read([str(demo.CATALOGUE)]))["models.churn"]
    selector = Selector(dataset=churn, fields=("customer_id",))
    return list(registry_of(company).find(selector, [company.leaver.id]))


def erase_from_lake(company: Company) -> None:
    for path in company.lake.iterdir():
        table = pq.ParquetFile(path).read()
        staying = pc.not_equal(table["customer_id"], pa.scalar(company.leaver.id))
        pq.write_table(table.filter(staying), path)
