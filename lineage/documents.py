"""Fields inside columns, as the catalogue names them, against the live table. Pure."""

from __future__ import annotations

from lineage.graph import Dataset
from lineage.schema import Table

# Where the catalogue says so of a text column, it holds JSON.
_OBJECTS = frozenset({"object", "object[]"})


def misplaced(dataset: Dataset, table: Table, name: str) -> str:
    """Why a dotted field cannot be in its table, and the remedy; empty where it can, and for a
    plain column."""
    if table.get(name) is not None:
        return ""
    inside = table.inside(name)
    if inside is None:
        holder = _holder(table, name)
        if holder is None:
            return f"there is no column '{name.partition('.')[0]}'; correct its name"
        return f"'{holder}' is no column of JSON; name a column of JSON, or remove the field"
    declared = dataset.get(inside.column)
    if inside.kind == "text" and (declared is None or declared.data_type not in _OBJECTS):
        return (
            f"'{inside.column}' is a column of text; where that is JSON, say so with "
            "`fides_meta: {data_type: object}` on it"
        )
    return ""


def _holder(table: Table, name: str) -> str | None:
    parts = name.split(".")
    names = (".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))
    return next((n for n in names if table.get(n) is not None), None)
