"""Any other engine, through SQLAlchemy's inspector: what it reflects, and nothing beyond."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect, ReflectedColumn
from sqlalchemy.exc import SAWarning

from erasure.stores.sql.kinds import loose, type_name
from erasure.stores.sql.schema.found import Found, Index, Reading
from lineage.schema import Column, ForeignKey, Table


def read(connection: sa.Connection, default: str | None) -> Reading:
    """Every table of one schema."""
    inspector = sa.inspect(connection)
    default = default or inspector.default_schema_name
    with warnings.catch_warnings():
        # An unknown type is compared as the driver has it; nothing to warn of.
        warnings.simplefilter("ignore", SAWarning)
        columns = inspector.get_multi_columns(schema=default)
        keys = inspector.get_multi_pk_constraint(schema=default)
        foreign = inspector.get_multi_foreign_keys(schema=default)
        indexes = inspector.get_multi_indexes(schema=default)
    tables = {}
    for where, reflected in columns.items():
        key = keys.get(where)
        tables[where[1]] = Found(
            table=Table(
                name=where[1],
                columns=tuple(_column(c, connection.dialect) for c in reflected),
                foreign_keys=tuple(_foreign(k, default) for k in foreign.get(where, ())),
            ),
            kinds={
                c["name"]: loose(c["type"], both=not isinstance(c["type"], sa.String))
                for c in reflected
            },
            primary_key=tuple(key["constrained_columns"]) if key else (),
            indexes=tuple(_index(i) for i in indexes.get(where, ())),
        )
    views = dict.fromkeys(inspector.get_view_names(schema=default), "view")
    return Reading(tables=tables, views=views, default=default)


def _column(reflected: ReflectedColumn, dialect: Dialect) -> Column:
    length = getattr(reflected["type"], "length", None)
    identity: Mapping[str, Any] = reflected.get("identity") or {}
    return Column(
        name=reflected["name"],
        data_type=type_name(reflected["type"], dialect),
        nullable=bool(reflected["nullable"]),
        length=length if isinstance(length, int) else None,
        generated=bool(reflected.get("computed")),
        assigned=bool(identity.get("always")),
    )


def _foreign(key: Mapping[str, Any], default: str | None) -> ForeignKey:
    options = key.get("options") or {}
    schema = key["referred_schema"]
    target = key["referred_table"]
    return ForeignKey(
        name=key["name"] or ", ".join(key["constrained_columns"]),
        columns=tuple(key["constrained_columns"]),
        target=target if schema in (None, default) else f"{schema}.{target}",
        target_columns=tuple(key["referred_columns"]),
        on_delete=str(options.get("ondelete") or "NO ACTION").upper(),
        on_update=str(options.get("onupdate") or "NO ACTION").upper(),
        deferrable=bool(options.get("deferrable")),
    )


def _index(index: Mapping[str, Any]) -> Index:
    options = index.get("dialect_options") or {}
    if any(name.endswith("_where") and value for name, value in options.items()):
        return Index(columns=())  # it leaves rows out
    return Index.over(index["column_names"], unique=bool(index["unique"]))
