"""The fixed cast: a tiny shop with a subject, a neighbour and those who decide about them.

Ann leaves. Ben lives at her address, Cleo lives elsewhere and writes about both, Eve serves both.
The shop's stores tell what they are asked, and let a test put its hand in just before it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from erasure.domain.roles import Actor, console
from erasure.domain.values import Scalar
from erasure.stores.memory import MemoryStore
from lineage import catalog
from lineage.importers import fideslang
from lineage.schema import Column, ForeignKey, Table
from tests.flow.spied import KINDS, SpiedMemory

CATALOGUE = Path(__file__).with_name("shop.yml")
STORES = ("shop_db", "crm_db")

SUBJECT = "ann.archer@example.com"
NEIGHBOUR = "ben.baker@example.com"
BYSTANDER = "cleo.carter@example.com"
EMPLOYEE = "eve.evans@example.org"
NOBODY = "nobody@example.com"
OFFICER = Actor("officer", ["officer"])
APPROVER = Actor("approver", ["approver"])
DPO = Actor("dpo", ["dpo"])
OPERATOR = Actor("operator", ["operator"])
AUDITOR = Actor("auditor", ["auditor"])
INTRUDER = Actor("intruder")
CONSOLE = console("tests")
OLGA = Actor("olga", ["officer", "approver"])
ARNE = Actor("arne", ["officer", "approver"])

ANN, BEN, CLEO = 0, 1, 2
EVE, FAY, GIL = 10, 11, 12
SECRETS = ("Ann Archer", SUBJECT, "030 5550001", "12 Quiet Lane", "030 5550009")

Row = dict[str, Scalar]
ROWS: Mapping[str, Mapping[str, Sequence[Row]]] = {
    "shop_db": {
        "address": [
            {"id": 1, "street": "12 Quiet Lane", "city": "Rivertown", "hint": "ring twice"},
            {"id": 2, "street": "7 Loud Street", "city": "Rivertown", "hint": None},
        ],
        "employee": [
            {"id": EVE, "name": "Eve Evans", "email": EMPLOYEE, "boss_id": None, "mentor_id": None},
            {
                "id": FAY,
                "name": "Fay Finch",
                "email": "fay.finch@example.org",
                "boss_id": EVE,
                "mentor_id": GIL,
            },
            {
                "id": GIL,
                "name": "Gil Green",
                "email": "gil.green@example.org",
                "boss_id": None,
                "mentor_id": None,
            },
        ],
        "customer": [
            {
                "id": ANN,
                "name": "Ann Archer",
                "email": "Ann.Archer@example.com",
                "phone": "030 5550001",
                "address_id": 1,
                "rep_id": EVE,
                "remark": "Ann Archer likes tea",
            },
            {
                "id": BEN,
                "name": "Ben Baker",
                "email": NEIGHBOUR,
                "phone": "030 5550002",
                "address_id": 1,
                "rep_id": None,
                "remark": None,
            },
            {
                "id": CLEO,
                "name": "Cleo Carter",
                "email": BYSTANDER,
                "phone": "030 5550003",
                "address_id": 2,
                "rep_id": EVE,
                "remark": None,
            },
        ],
        "orders": [
            {"id": 1, "customer_id": ANN, "wish": "by noon"},
            {"id": 2, "customer_id": ANN, "wish": None},
            {"id": 3, "customer_id": BEN, "wish": "by night"},
        ],
        "line": [
            {"id": 1, "order_id": 1, "engraving": "030 5550009"},
            {"id": 2, "order_id": 3, "engraving": None},
        ],
        "invoice": [
            {"id": 1, "customer_id": ANN, "issued_on": "2026-03-01", "note": "to Ann Archer"},
            {"id": 2, "customer_id": BEN, "issued_on": "2026-03-02", "note": "paid"},
        ],
        "message": [
            {"id": 1, "author_id": ANN, "body": "Where is my order?"},
            {"id": 2, "author_id": CLEO, "body": "Ann Archer and Ben Baker are kind"},
            {"id": 3, "author_id": BEN, "body": "Thank you"},
        ],
    },
    "crm_db": {
        "lead": [
            {"id": 1, "customer_id": "0", "mobile": "030 5550001"},
            {"id": 2, "customer_id": "1", "mobile": "030 5550002"},
        ]
    },
}
REFERENCES: Mapping[str, Mapping[str, str]] = {
    "employee": {"boss_id": "employee", "mentor_id": "employee"},
    "customer": {"address_id": "address", "rep_id": "employee"},
    "orders": {"customer_id": "customer"},
    "line": {"order_id": "orders"},
    "invoice": {"customer_id": "customer"},
    "message": {"author_id": "customer"},
}


class Shop:
    """The shop's stores, past the protocol: what the application itself does."""

    kind: ClassVar[str]

    def rows(self, table: str, store: str = "shop_db") -> list[Row]:
        """Every row, by id."""
        raise NotImplementedError

    def insert(self, table: str, row: Mapping[str, Scalar], store: str = "shop_db") -> None:
        """Somebody adds a row."""
        raise NotImplementedError

    def delete(self, table: str, row_id: Scalar, store: str = "shop_db") -> None:
        """Somebody removes a row."""
        raise NotImplementedError

    def create(self, table: str, rows: Sequence[Row], store: str = "shop_db") -> None:
        """A table that was not there."""
        raise NotImplementedError

    def widen(self, table: str, column: str) -> None:
        """A column of the shop that was not there, empty."""
        raise NotImplementedError

    def lose(self, table: str, column: str) -> None:
        """A column of the shop goes."""
        raise NotImplementedError

    def remake(self, table: str, field: str, *, on_delete: str = "", nullable: bool = True) -> None:
        """The same table of the shop, with another foreign key on ``field``."""
        raise NotImplementedError

    def urls(self) -> dict[str, str]:
        """Addresses by store."""
        raise NotImplementedError

    def row(self, table: str, row_id: Scalar, store: str = "shop_db") -> Row | None:
        """The row of that id, or None."""
        return next((r for r in self.rows(table, store) if r["id"] == row_id), None)

    def change(self, table: str, row_id: Scalar, store: str = "shop_db", **values: Scalar) -> None:
        """Somebody edits a row."""
        row = self.row(table, row_id, store)
        assert row is not None
        self.delete(table, row_id, store)
        self.insert(table, {**row, **values}, store)

    def everything(self) -> dict[str, list[Row]]:
        """All rows of all stores."""
        return {
            f"{store}.{table}": self.rows(table, store) for store in STORES for table in ROWS[store]
        }

    def close(self) -> None:
        """The shop is gone."""

    def describe(self, text: str | None = None) -> None:
        """Import the catalogue, or another one, with this shop's addresses."""
        source = text or CATALOGUE.read_text()
        for name, value in {"KIND": self.kind, **self.urls()}.items():
            source = source.replace(name, value)
        read = fideslang.read_text(source, "shop.yml", extra_kinds=list(KINDS))
        catalog.upsert(read, prune=True)


class MemoryShop(Shop):
    """The shop in memory."""

    kind = "spied_memory"

    def __init__(self) -> None:
        for store, tables in ROWS.items():
            SpiedMemory.seed(store, tables, *(_shape(n, rows) for n, rows in tables.items()))

    def urls(self) -> dict[str, str]:
        return {"SHOP": "memory://shop", "CRM": "memory://crm"}

    def rows(self, table: str, store: str = "shop_db") -> list[Row]:
        return sorted(MemoryStore.rows_of(store, table), key=lambda row: str(row["id"]).zfill(9))

    def insert(self, table: str, row: Mapping[str, Scalar], store: str = "shop_db") -> None:
        MemoryStore.insert(store, table, row)

    def delete(self, table: str, row_id: Scalar, store: str = "shop_db") -> None:
        MemoryStore.delete(store, table, id=row_id)

    def create(self, table: str, rows: Sequence[Row], store: str = "shop_db") -> None:
        world = MemoryStore._worlds[store]
        world.tables[table] = _shape(table, rows)
        world.rows[table] = [dict(row) for row in rows]

    def remake(self, table: str, field: str, *, on_delete: str = "", nullable: bool = True) -> None:
        shape = _shape(table, ROWS["shop_db"][table])
        columns = [replace(c, nullable=nullable) if c.name == field else c for c in shape.columns]
        keys = [
            replace(k, on_delete=on_delete or k.on_delete) if k.name == field else k
            for k in shape.foreign_keys
        ]
        changed = replace(shape, columns=tuple(columns), foreign_keys=tuple(keys))
        MemoryStore._worlds["shop_db"].tables[table] = changed

    def widen(self, table: str, column: str) -> None:
        self.create(table, [{**row, column: None} for row in self.rows(table)])

    def lose(self, table: str, column: str) -> None:
        rows = [{n: v for n, v in row.items() if n != column} for row in self.rows(table)]
        self.create(table, rows)

    def close(self) -> None:
        for store in ROWS:
            MemoryStore.forget(store)


class SqliteShop(Shop):
    """The shop in SQLite files."""

    kind = "spied_sql"

    def __init__(self, folder: Path) -> None:
        self.files = {store: folder / f"{store}.sqlite3" for store in ROWS}
        for store, tables in ROWS.items():
            with closing(sqlite3.connect(self.files[store])) as connection:
                for name, rows in tables.items():
                    connection.execute(_create(name, rows))
                    for row in rows:
                        connection.execute(*_inserting(name, row))
                connection.commit()

    def urls(self) -> dict[str, str]:
        return {
            "SHOP": f"sqlite:///{self.files['shop_db']}",
            "CRM": f"sqlite:///{self.files['crm_db']}",
        }

    def rows(self, table: str, store: str = "shop_db") -> list[Row]:
        with closing(sqlite3.connect(self.files[store])) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute(f"select * from {table} order by id")
            return [dict(row) for row in found]

    def insert(self, table: str, row: Mapping[str, Scalar], store: str = "shop_db") -> None:
        self.execute(store, *_inserting(table, row))

    def delete(self, table: str, row_id: Scalar, store: str = "shop_db") -> None:
        self.execute(store, f"delete from {table} where id = ?", [row_id])

    def create(self, table: str, rows: Sequence[Row], store: str = "shop_db") -> None:
        self.execute(store, _create(table, rows))
        for row in rows:
            self.insert(table, row, store)

    def remake(self, table: str, field: str, *, on_delete: str = "", nullable: bool = True) -> None:
        target = REFERENCES[table][field]
        plain = f"{field} INTEGER REFERENCES {target}"
        null = "" if nullable else " NOT NULL"
        action = f" ON DELETE {on_delete}" if on_delete else ""
        made = _create(table, ROWS["shop_db"][table]).replace(plain, plain + action + null)
        rows = self.rows(table)
        self.execute("shop_db", f"DROP TABLE {table}")
        self.execute("shop_db", made)
        for row in rows:
            self.insert(table, row)

    def widen(self, table: str, column: str) -> None:
        self.execute("shop_db", f"ALTER TABLE {table} ADD COLUMN {column} TEXT")

    def lose(self, table: str, column: str) -> None:
        self.execute("shop_db", f"ALTER TABLE {table} DROP COLUMN {column}")

    def execute(self, store: str, statement: str, values: Sequence[Any] = ()) -> None:
        """One statement of the application, committed."""
        with closing(sqlite3.connect(self.files[store])) as connection:
            connection.execute(statement, values)
            connection.commit()


def _shape(name: str, rows: Sequence[Row]) -> Table:
    columns = tuple(Column(name=n, data_type="", primary_key=n == "id") for n in rows[0])
    keys = tuple(
        ForeignKey(name=field, columns=(field,), target=target, target_columns=("id",))
        for field, target in REFERENCES.get(name, {}).items()
    )
    return Table(name=name, columns=columns, foreign_keys=keys)


def _create(name: str, rows: Sequence[Row]) -> str:
    links = REFERENCES.get(name, {})
    columns = [
        f"{n} INTEGER PRIMARY KEY"
        if n == "id"
        else f"{n} {'INTEGER REFERENCES ' + links[n] if n in links else 'TEXT'}"
        for n in rows[0]
    ]
    return f"CREATE TABLE {name} ({', '.join(columns)})"


def _inserting(table: str, row: Mapping[str, Scalar]) -> tuple[str, list[Any]]:
    names = ", ".join(row)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values())
