"""Values at dotted paths of a nested row: ``address.street``, also through lists. Pure.

A name that is there as it stands wins over its reading as a path. Lists on the way are entered;
what stands at the end is one value, even where it is a list or a mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

KEY = "(key)"  # the field of a mapping's key, which is data as well
Slot = tuple[str | int, ...]
Row = Mapping[str, Any]


def slots(row: Any, field: str) -> Iterator[tuple[Slot, Any]]:
    """Every place that ``field`` names in the row, with its value; absent names none."""
    if isinstance(row, list):
        for index, item in enumerate(row):
            yield from (((index, *slot), value) for slot, value in slots(item, field))
    elif isinstance(row, Mapping):
        if field in row:
            yield (field,), row[field]
            return
        first, dot, rest = field.partition(".")
        if dot and first in row:
            yield from (((first, *slot), value) for slot, value in slots(row[first], rest))


def scalars(value: Any) -> Iterator[Any]:
    """The values themselves: the items of lists, not the contents of mappings."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from scalars(item)
    elif not isinstance(value, Mapping):
        yield value


def values(row: Row, field: str) -> Iterator[Any]:
    """Every value at ``field`` that is not NULL."""
    for _, value in slots(row, field):
        yield from (v for v in scalars(value) if v is not None)


def picked(row: Row, fields: Sequence[str]) -> dict[str, Any]:
    """What stands at each field, as it is; a list where lists on the way hold several."""
    found = {field: [value for _, value in slots(row, field)] for field in fields}
    return {name: held[0] if len(held) == 1 else held or None for name, held in found.items()}


def first(row: Row, field: str) -> Any:
    """The first value at ``field``, or None."""
    return next(values(row, field), None)


def put(row: Any, slot: Slot, value: Any) -> Any:
    """A copy of the row with ``value`` in that place; everything else is shared with it."""
    head, *rest = slot
    copy: Any = list(row) if isinstance(row, list) else dict(row)
    copy[head] = put(copy[head], tuple(rest), value) if rest else value
    return copy


def without(row: Any, slot: Slot) -> Any:
    """A copy of the row in which that place is gone (a list item becomes NULL)."""
    head, *rest = slot
    copy: Any = list(row) if isinstance(row, list) else dict(row)
    if rest:
        copy[head] = without(copy[head], tuple(rest))
    elif isinstance(row, list):
        copy[head] = None
    else:
        del copy[head]
    return copy


def texts(value: Any) -> Iterator[Any]:
    """Every leaf and every mapping key below a value."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
    elif value is not None:
        yield value


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf below a value with its dotted path, and every key as a leaf of ``(key)``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield KEY, key
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item, path)
    elif value is not None:
        yield path, value


def redacted(value: Any, redact: Callable[[str], str]) -> Any:
    """The value with every text inside redacted, keys too; the same object where nothing was.

    A number that is a needle as a whole becomes NULL: it cannot hold the mark of redaction.
    """
    if isinstance(value, str):
        new = redact(value)
        return value if new == value else new
    if isinstance(value, Mapping):
        copy = {_text(k, redact): redacted(v, redact) for k, v in value.items()}
        same = all(k in copy and copy[k] is v for k, v in value.items())
        return value if same and len(copy) == len(value) else copy
    if isinstance(value, list | tuple):
        items = [redacted(v, redact) for v in value]
        same = all(a is b for a, b in zip(items, value, strict=True))
        return value if same else type(value)(items)
    if value is None or isinstance(value, bool):
        return value
    return value if redact(str(value)) == str(value) else None


def _text(key: Any, redact: Callable[[str], str]) -> Any:
    return redact(key) if isinstance(key, str) else key
