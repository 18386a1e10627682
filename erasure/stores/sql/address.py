"""From a dataset of the catalogue to a table of the store, and to the key of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from erasure.domain.errors import StoreError
from erasure.domain.values import Scalar
from erasure.stores.documents import array_text
from erasure.stores.sql.kinds import Kind, underlying
from erasure.stores.sql.reflect import Schema, Shape
from lineage.errors import suggestion
from lineage.graph import Dataset

KeyValues = tuple[Scalar, ...]


@dataclass(frozen=True, kw_only=True)
class Address:
    """A table and the columns that identify its rows. ``proven``: the store itself keeps them
    unique; otherwise the catalogue only says so, and a mutation counts first."""

    place: str
    shape: Shape
    key: tuple[str, ...]
    proven: bool = True

    def column(self, name: str) -> sa.ColumnElement[Any]:
        """The column as it is compared."""
        return compared(self.shape, name)

    def kind(self, name: str) -> Kind:
        """How that column is compared."""
        return self.shape.kinds[name]

    def key_of(self, values: Sequence[Any]) -> KeyValues:
        """The key that a row read with the key's columns first has. Raises StoreError for NULL."""
        key: KeyValues = tuple(values[: len(self.key)])
        if None in key:
            raise StoreError(
                self.place,
                f"a row has no value in its key ({', '.join(self.key)}); give it one first",
            )
        return key


def stored(address: Address, name: str, value: Scalar) -> Scalar:
    """A new value as the column is written: arrays are read as JSON and written as arrays. Raises
    StoreError for an array of documents: which list is its own, and which a document's, is lost."""
    native = underlying(address.kind(name).native)
    if not isinstance(value, str) or not isinstance(native, sa.ARRAY):
        return value
    if isinstance(native.item_type, sa.JSON):
        raise StoreError(
            f"{address.place}.{name}",
            "an array of documents cannot be changed inside; make it one document, or let its "
            "rows go",
        )
    return array_text(value)


def compared(shape: Shape, name: str) -> sa.ColumnElement[Any]:
    """A column in the form in which it is read and compared."""
    column, kind = shape.clause.c[name], shape.kinds[name]
    if isinstance(underlying(kind.native), sa.ARRAY):
        return sa.cast(sa.func.to_json(column), sa.Text())
    return kind.text(column) if kind.as_text else column


def address_of(store: str, schema: Schema, dataset: Dataset, needed: Iterable[str] = ()) -> Address:
    """Where the rows of ``dataset`` are. Raises StoreError naming what is missing."""
    collection = schema.collection(dataset.name, dataset.schema)
    place = f"{store}.{collection}"
    shape = shape_of(place, schema, collection)
    key = dataset.key or shape.table.primary_key
    if not key:
        raise StoreError(
            place,
            "the table has no primary key; declare `primary_key: true` on the fields that "
            "identify a row, or add a key to the table",
        )
    require(place, shape, (*key, *needed))
    proven = any(group <= set(key) for group in shape.unique)
    return Address(place=place, shape=shape, key=key, proven=proven)


def shape_of(place: str, schema: Schema, collection: str) -> Shape:
    """The table of that collection name. Raises StoreError."""
    shape = schema.shapes.get(collection)
    if shape is None and collection in schema.inspection.views:
        raise StoreError(place, schema.inspection.absent(collection))
    if shape is None:
        hint = suggestion(collection, schema.shapes)
        raise StoreError(place, f"the table is missing; {hint}")
    return shape


def require(place: str, shape: Shape, names: Iterable[str]) -> None:
    """Raises StoreError for the first column that is not there."""
    for name in names:
        if name not in shape.kinds and shape.table.inside(name) is None:
            hint = suggestion(name, shape.kinds)
            raise StoreError(place, f"the column '{name}' is missing; {hint}")
