"""What a step does, in words and as the shape of its statement. Never a value: keys, guards and
new values are named for what they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from erasure.stores.rows import masks
from erasure.stores.sql.connection import Options
from erasure.stores.sql.effects import Resolved
from lineage.graph import Field
from lineage.schema import Column

_LISTED = 8
_LOGS = "the server's write-ahead log and its backups keep old images until they expire"
_INNODB_LOGS = "old images in the redo, undo and binary logs until they are overwritten or expire"
_LEFT_BY_PURGE = {
    ("sqlite", "vacuum"): "nothing in the file",
    ("sqlite", "vacuum_full"): "nothing in the file",
    ("postgresql", "vacuum"): f"bytes in heap and index until they are overwritten; {_LOGS}",
    ("postgresql", "vacuum_full"): _LOGS,
    ("mysql", "vacuum"): f"bytes in InnoDB's pages until they are overwritten; {_INNODB_LOGS}",
    ("mysql", "vacuum_full"): _INNODB_LOGS,
}
_PURGING = {
    ("sqlite", "vacuum"): "VACUUM afterwards rewrites the file under an exclusive lock",
    ("sqlite", "vacuum_full"): "VACUUM afterwards rewrites the file under an exclusive lock",
    ("mysql", "vacuum_full"): "OPTIMIZE TABLE afterwards rebuilds the table: others go on but for "
    "a moment at its beginning and end",
    ("postgresql", "vacuum"): "VACUUM afterwards makes nobody wait",
    ("postgresql", "vacuum_full"): "VACUUM FULL afterwards takes ACCESS EXCLUSIVE: nobody reads "
    "or writes the table until it is rewritten",
}


def family(dialect: str) -> str:
    """MariaDB goes by two names."""
    return "mysql" if dialect == "mariadb" else dialect


def statement_of(resolved: Resolved, quote: Callable[[str], str]) -> str:
    """The shape of the statement that carries a step out."""
    effect, address = resolved.effect, resolved.address
    if effect is None:
        return "none"
    if effect.untouched:
        return "none: the rows are listed and not touched"
    table = ".".join(quote(n) for n in (address.shape.table.schema, address.shape.table.name) if n)
    key = ", ".join(map(quote, address.key))
    where = f"({key}) IN (row keys)" if len(address.key) > 1 else f"{key} IN (row keys)"
    where += "".join(f" AND {_named(resolved, n, quote)} = guard" for n in resolved.step.guard)
    if effect.removes:
        shared = " AND nobody refers to it" if resolved.step.via == "refcount" else ""
        return f"DELETE FROM {table} WHERE {where}{shared}"  # noqa: S608 - read, never sent
    values = [f"{_named(resolved, n, quote)} = {new}" for n, new in _new_values(resolved)]
    if not values:
        return "none"
    return f"UPDATE {table} SET {', '.join(values)} WHERE {where}"  # noqa: S608 - read, never sent


def _named(resolved: Resolved, name: str, quote: Callable[[str], str]) -> str:
    inside = resolved.address.shape.table.inside(name)
    if inside is None or not inside.path:
        return quote(name)
    return f"{quote(inside.column)}->{'->'.join(map(quote, inside.path))}"


def _new_values(resolved: Resolved) -> list[tuple[str, str]]:
    effect = resolved.effect
    assert effect is not None  # noqa: S101 - only a step that can be carried out changes anything
    inside = resolved.address.shape.table.inside
    values = [(n, "NULL, or taken out of a list" if inside(n) else "NULL") for n in effect.cut]
    values += [
        (name, _method(field, effect.columns[name])) for name, field in effect.masked.items()
    ]
    values += [(name, "redacted") for name in effect.redacted]
    if ghost := resolved.step.ghost:
        key = f"{ghost.field} of a ghost row, added to {ghost.dataset.name} for this row alone"
        values += [(name, key) for name in effect.replaced]
    return values + [(name, "new key, also where it is referred to") for name in effect.rekeys]


def _method(field: Field, column: Column) -> str:
    method = field.method
    if method is None or method.name == "null":
        return "NULL" if column.nullable else "random"
    told = method.argument if method.name in ("generalize", "fake") else None
    return f"{method.name} {told}" if told else method.name


def locks_of(resolved: Resolved, dialect: str, options: Options, *, wal: bool) -> str:
    """Who waits for what while a step is carried out."""
    effect = resolved.effect
    if effect is None or effect.untouched:
        return "none"
    purge = _PURGING.get((family(dialect), options.purge), "")
    told = [_held(dialect, wal=wal), *([purge] if effect.removes and purge else [])]
    if dialect != "sqlite":
        told.insert(1, f"it gives up after waiting {options.lock_timeout:g} s for somebody else")
    return "; ".join(told)


def _held(dialect: str, *, wal: bool) -> str:
    if dialect == "sqlite":
        meanwhile = "others read on" if wal else "others read on but for the moment of the commit"
        return f"the whole file is locked for writing until the batch is committed; {meanwhile}"
    how = "FOR UPDATE, the table ROW EXCLUSIVE" if dialect == "postgresql" else "exclusively"
    return (
        f"its rows are locked {how}, until the batch is committed: others read on, "
        "who writes these rows or adds a reference to them waits"
    )


def stays_of(resolved: Resolved, dialect: str, options: Options) -> str:
    """What is left of the rows afterwards."""
    effect, step = resolved.effect, resolved.step
    if effect is None:
        return "everything: the step cannot be carried out"
    if effect.untouched:
        law = ", ".join(filter(None, (step.dataset.exception, step.dataset.legal_reference)))
        until = f" until {step.dataset.until}" if step.dataset.until else ""
        return f"the row as it is{until}" + (f" ({law})" if law else "")
    if effect.removes:
        left = _LEFT_BY_PURGE.get(
            (family(dialect), options.purge), "deleted bytes in the store's own files"
        )
        shared = "the row while somebody else refers to it; once it goes, "
        return f"{shared}{left}" if step.via == "refcount" else left
    changed = {*effect.changing, *effect.masked, *effect.cut, *effect.redacted, *effect.rekeys}
    kept = [name for name in effect.columns if name not in changed]
    if masks(step):
        return f"the row, with {_listed(kept)} as they are" if kept else "the row, emptied"
    return "the row; it is somebody else's" if step.via != "deep" else "the row"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
