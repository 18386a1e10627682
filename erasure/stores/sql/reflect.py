"""The live schema: read in bulk, kept as plain values for the product and typed for SQL."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import Inspector, ObjectKind
from sqlalchemy.exc import SAWarning, UnsupportedCompilationError
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.types import NullType, TypeEngine

from erasure.stores.sql.extras import Extras, read_extras
from erasure.stores.sql.kinds import Kind, loose, strict
from lineage.schema import Column, ForeignKey, Inspection, Table

_SYSTEM_SCHEMAS = frozenset({"information_schema", "pg_catalog", "pg_toast"})
# What one streamed pass reads in about a minute.
SMALL_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A table as SQL sees it: its clause, how its columns compare, and what is unique in it."""

    collection: str
    table: Table
    clause: sa.TableClause
    kinds: Mapping[str, Kind]
    unique: frozenset[frozenset[str]] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Child:
    """A table that refers to another, and the foreign key by which it does."""

    collection: str
    key: ForeignKey


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Everything the store knows about its tables. ``children`` by the table referred to."""

    inspection: Inspection
    shapes: Mapping[str, Shape]
    children: Mapping[str, tuple[Child, ...]]
    default: str | None = None

    def collection(self, name: str, schema: str | None) -> str:
        """The collection name of a table."""
        return name if schema in (None, self.default) else f"{schema}.{name}"


def read_schema(
    connection: sa.Connection,
    default: str | None,
    rescan: str | None,
    kind: ObjectKind = ObjectKind.TABLE,
) -> Schema:
    """Reflect every base table, without a query per table where the dialect can."""
    inspector = sa.inspect(connection)
    default = default or inspector.default_schema_name
    if connection.dialect.name == "sqlite":
        default = None
    extras = read_extras(connection, default)
    shapes: dict[str, Shape] = {}
    with warnings.catch_warnings():
        # An unknown column type is read and compared as text; nothing to warn of.
        warnings.simplefilter("ignore", SAWarning)
        for schema in _schemas(inspector, default):
            reader = _Reader(inspector, schema, default, extras, kind)
            shapes |= {shape.collection: shape for shape in reader.shapes()}
    tables = {name: shape.table for name, shape in sorted(shapes.items())}
    small = extras.size is None or extras.size <= SMALL_BYTES
    inspection = Inspection(
        tables=tables,
        fingerprint=fingerprint(tables),
        small=small if rescan is None else rescan == "inline",
    )
    return Schema(inspection=inspection, shapes=shapes, children=_children(tables), default=default)


def _schemas(inspector: Inspector, default: str | None) -> list[str | None]:
    if inspector.dialect.name != "postgresql":
        return [default]
    found = set(inspector.get_schema_names()) - _SYSTEM_SCHEMAS
    return [s for s in sorted(found) if not s.startswith(("pg_toast", "pg_temp"))]


def _children(tables: Mapping[str, Table]) -> dict[str, tuple[Child, ...]]:
    found: dict[str, list[Child]] = {}
    for name, table in tables.items():
        for key in table.foreign_keys:
            found.setdefault(key.target, []).append(Child(collection=name, key=key))
    return {target: tuple(children) for target, children in found.items()}


def fingerprint(tables: Mapping[str, Table]) -> str:
    """Hex SHA-256 over names, types, keys and foreign keys: what a plan relies on."""
    plain = [
        [
            name,
            [[c.name, c.data_type, c.nullable, c.length, c.unique, c.generated] for c in t.columns],
            list(t.primary_key),
            sorted(
                [list(k.columns), k.target, list(k.target_columns), k.on_delete, k.deferrable]
                for k in t.foreign_keys
            ),
        ]
        for name, t in sorted(tables.items())
    ]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()


class _Reader:
    """One schema's tables, from five bulk answers of the dialect."""

    def __init__(
        self,
        inspector: Inspector,
        schema: str | None,
        default: str | None,
        extras: Extras,
        kind: ObjectKind,
    ) -> None:
        self.dialect = inspector.dialect
        self.schema, self.default, self.extras = schema, default, extras
        wanted: dict[str, Any] = {"schema": schema, "kind": kind}
        self.columns = inspector.get_multi_columns(**wanted)
        self.keys = inspector.get_multi_pk_constraint(**wanted)
        self.foreign = inspector.get_multi_foreign_keys(**wanted)
        self.uniques = inspector.get_multi_unique_constraints(**wanted)
        self.indexes = inspector.get_multi_indexes(**wanted)

    def shapes(self) -> Iterator[Shape]:
        """Every base table; a partition is a part of its parent and is read there."""
        for where, columns in self.columns.items():
            collection = self._collection(where[1], self.schema)
            if collection not in self.extras.partitions:
                yield self._shape(where, collection, columns)

    def _collection(self, name: str, schema: str | None) -> str:
        return name if schema in (None, self.default) else f"{schema}.{name}"

    def _shape(
        self, where: tuple[str | None, str], collection: str, reflected: list[ReflectedColumn]
    ) -> Shape:
        unique = self._unique(where) | self.extras.uniques.get(collection, frozenset())
        indexed = {c for group in unique for c in group}
        indexed |= {
            i["column_names"][0] or "" for i in self.indexes.get(where, ()) if i["column_names"]
        }
        kinds = {c["name"]: self._kind(c["type"]) for c in reflected}
        columns = tuple(
            replace(
                self._column(c, self._primary(where)),
                unique=frozenset({c["name"]}) in unique,
                indexed=c["name"] in indexed,
            )
            for c in reflected
        )
        table = Table(
            name=where[1],
            schema=None if self.schema == self.default else self.schema,
            columns=columns,
            foreign_keys=self._foreign(where, collection),
            rows=self.extras.rows.get(collection),
            triggers=self.extras.triggers.get(collection, ()),
        )
        return Shape(
            collection=collection,
            table=table,
            clause=_clause(where[1], self.schema, kinds),
            kinds=kinds,
            unique=frozenset(unique),
        )

    def _primary(self, where: tuple[str | None, str]) -> list[str]:
        found = self.keys.get(where)
        return list(found["constrained_columns"]) if found else []

    def _unique(self, where: tuple[str | None, str]) -> set[frozenset[str]]:
        """Sets of columns that identify a row; partial and expression indexes do not."""
        found = {frozenset(u["column_names"]) for u in self.uniques.get(where, ())}
        for index in self.indexes.get(where, ()):
            names = [n for n in index["column_names"] if n is not None]
            partial = any(k.endswith("_where") and v for k, v in _options(index).items())
            if index["unique"] and len(names) == len(index["column_names"]) and not partial:
                found.add(frozenset(names))
        if self._primary(where):
            found.add(frozenset(self._primary(where)))
        return found

    def _foreign(self, where: tuple[str | None, str], collection: str) -> tuple[ForeignKey, ...]:
        found = []
        for key in self.foreign.get(where, ()):
            options = key.get("options") or {}
            columns = tuple(key["constrained_columns"])
            found.append(
                ForeignKey(
                    name=key["name"] or f"{collection}({', '.join(columns)})",
                    columns=columns,
                    target=self._collection(
                        key["referred_table"], key["referred_schema"] or self.schema
                    ),
                    target_columns=tuple(key["referred_columns"]),
                    on_delete=str(
                        self.extras.actions.get((collection, columns))
                        or options.get("ondelete")
                        or "NO ACTION"
                    ).upper(),
                    deferrable=bool(options.get("deferrable")),
                )
            )
        return tuple(sorted(found, key=lambda k: (k.columns, k.target)))

    def _kind(self, native: TypeEngine[Any]) -> Kind:
        if self.dialect.name == "postgresql":
            return strict(native)
        text_only = isinstance(native, sa.String)
        return loose(native, both=not text_only)

    def _column(self, reflected: ReflectedColumn, primary: list[str]) -> Column:
        native = reflected["type"]
        nullable = bool(reflected["nullable"])
        length = getattr(native, "length", None)
        if isinstance(native, DOMAIN):
            nullable = nullable and not native.not_null
            length = self.extras.domains.get(str(native.name))
            native = native.data_type
        return Column(
            name=reflected["name"],
            data_type=self._type_name(native),
            nullable=nullable and reflected["name"] not in primary,
            length=length if isinstance(length, int) else None,
            primary_key=reflected["name"] in primary,
            generated=bool(reflected.get("computed")),
        )

    def _type_name(self, native: TypeEngine[Any]) -> str:
        if isinstance(native, sa.Enum) and native.enums:
            return "ENUM(" + ", ".join(f"'{label}'" for label in native.enums) + ")"
        if isinstance(native, NullType):
            return ""
        try:
            return native.compile(self.dialect).partition(" COLLATE")[0]
        except UnsupportedCompilationError:
            return type(native).__name__.upper()


def _options(index: Mapping[str, Any]) -> Mapping[str, Any]:
    return index.get("dialect_options") or {}


def _clause(name: str, schema: str | None, kinds: Mapping[str, Kind]) -> sa.TableClause:
    """Names are always quoted: mixed case, spaces and reserved words are legal."""
    columns = [sa.column(quoted_name(c, True), k.bind) for c, k in kinds.items()]
    quoted = quoted_name(schema, True) if schema else None
    return sa.table(quoted_name(name, True), *columns, schema=quoted)
