"""A step's fields that are inside columns: which they are, and what the step does there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from erasure.domain.errors import StoreError
from erasure.domain.needles import Matcher
from erasure.domain.steps import Step
from erasure.domain.values import Many, Scalar
from erasure.stores.base import Key
from erasure.stores.documents import Edits, Mask, Unreadable, change, values
from lineage.graph import Field
from lineage.schema import Column, Inside, Table

Insides = Mapping[str, Inside]


def insides_of(table: Table, names: Iterable[str]) -> dict[str, Inside]:
    """Those of the names that are fields inside a column."""
    found = ((name, table.inside(name)) for name in names)
    return {name: inside for name, inside in found if inside is not None}


def columns_of(table: Table, step: Step, names: Iterable[str]) -> dict[str, Column]:
    """The table's columns, and paths in documents as if they were: of the declared type, and never
    without NULL, which JSON always has."""
    columns = {column.name: column for column in table.columns}
    for name, inside in insides_of(table, names).items():
        if inside.path:
            field = step.dataset.get(name)
            declared = (field.data_type if field else None) or ""
            holder = columns[inside.column]
            columns[name] = Column(name=name, data_type=declared, generated=holder.generated)
    return columns


def edits_of(
    table: Table, masked: Mapping[str, Field], cut: Sequence[str], redacted: Sequence[str]
) -> dict[str, Edits]:
    """By column, what a step does inside it; nothing in a column that is masked as a whole."""
    insides = insides_of(table, (*masked, *cut, *redacted))
    whole = {name for name, field in masked.items() if _whole(field, insides.get(name), table)}
    found: dict[str, Edits] = {}
    for what, inside in _parts(insides, {n: f for n, f in masked.items() if n not in whole}):
        named = {"cut": cut, "redacted": redacted}.get(what, (inside.name,))
        if inside.name in named and inside.column not in whole:
            edits = found.get(inside.column, Edits())
            found[inside.column] = replace(edits, **{what: (*getattr(edits, what), inside)})
    return found


def _parts(insides: Insides, masked: Mapping[str, Field]) -> Iterator[tuple[str, Inside]]:
    for name, inside in insides.items():
        field = masked.get(name)
        method = field.method if field else None
        if method and method.name == "drop_key" and method.argument:
            yield "dropped", replace(inside, path=(*inside.path, *method.argument.split(".")))
        elif field:
            yield "masked", inside
        else:
            yield "cut", inside
            yield "redacted", inside


def covered(table: Table, names: Iterable[str], edits: Mapping[str, Edits]) -> set[str]:
    """Paths that go with the whole of their column."""
    named = {name for one in edits.values() for name in one.names}
    return {n for n, one in insides_of(table, names).items() if one.path and n not in named}


def _whole(field: Field, inside: Inside | None, table: Table) -> bool:
    """True where a masked field is a column that gets one new value: any plain one, a document
    of JSON, and an array that becomes NULL."""
    method = field.method.name if field.method else "null"
    if inside is None:
        return True
    if inside.path or (method == "drop_key" and field.method and field.method.argument):
        return False
    column = table.get(inside.column)
    nullable = column is None or column.nullable
    return inside.kind == "json" or (method == "null" and nullable)


def values_of(
    names: Sequence[str], insides: Insides, row: Mapping[str, Scalar]
) -> tuple[Scalar, ...]:
    """Fields' values in a row that was read by its columns."""
    if not insides:
        return tuple([row[name] for name in names])
    return tuple(
        values(row[insides[name].column], insides[name]) if name in insides else row[name]
        for name in names
    )


def told(row: Mapping[str, Scalar], names: Sequence[str], insides: Insides) -> dict[str, Scalar]:
    """What a row says in these fields. A document that is named as a whole and holds no plain
    values says itself."""
    found = dict(zip(names, values_of(names, insides, row), strict=True))
    for name, value in found.items():
        if value == Many() and not insides[name].path:
            found[name] = row[insides[name].column]
    return found


def joined(key: Key, other: Key) -> Key:
    """The key of one row, as it was found twice or for two people: of a field with several values,
    all that was looked for."""
    guard = tuple(
        Many(tuple(dict.fromkeys((*mine.items, *theirs.items))))
        if isinstance(mine, Many) and isinstance(theirs, Many)
        else mine
        for mine, theirs in zip(key.guard, other.guard, strict=True)
    )
    return key if guard == key.guard else key._replace(guard=guard)


def roots(names: Iterable[str], insides: Insides) -> tuple[str, ...]:
    """The columns to read for these fields."""
    found = (insides[name].column if name in insides else name for name in names)
    return tuple(dict.fromkeys(found))


def after(
    place: str, step: Step, key: Key, value: Scalar, edits: Edits, mask: Mask, needles: Matcher
) -> Scalar:
    """What stands in a column once the step has been carried out inside it. Of somebody else's row
    only the values that led there are cut: the key's guard has them. Raises StoreError."""
    theirs = None
    if step.via == "shallow":
        guard = dict(zip(step.guard, key.guard, strict=True))
        theirs = {name: found for name, found in guard.items() if isinstance(found, Many)}
        if any(one.name not in theirs for one in edits.cut):
            raise StoreError(place, "a key came without its guard; search again")
    try:
        return change(value, edits, theirs=theirs, mask=mask, needles=needles)
    except Unreadable:
        raise StoreError(
            place, "a document here is no JSON or nested too deeply; mend or empty it"
        ) from None
