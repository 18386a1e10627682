"""A generated database as plain values: tables with columns and references, rows, and people.

The catalogue, the tables and the oracle are all made from it, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from dataclasses import field as default
from typing import Any, Literal

Value = str | int | None
Row = dict[str, Value]
Rows = dict[str, list[Row]]
Type = Literal["int", "text", "uuid"]
OnDelete = Literal["NO ACTION", "RESTRICT", "CASCADE", "SET NULL"]

# In every table, unique there, never personal and unknown to the catalogue: it tells which row is
# which, whatever becomes of its key.
MARK = "mark"


class Brief:
    """Told by what is not the default, so that a counterexample can be read."""

    def __repr__(self) -> str:
        told = [(f, getattr(self, f.name)) for f in fields(self)]  # type: ignore[arg-type]
        listed = ", ".join(f"{f.name}={value!r}" for f, value in told if value != f.default)
        return f"{type(self).__name__}({listed})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


@dataclass(frozen=True, kw_only=True, repr=False)
class Column(Brief):
    """A column, and what the catalogue says of it; ``length`` 0 is no limit."""

    name: str
    type: Type = "text"
    nullable: bool = True
    unique: bool = False
    length: int = 0
    key: bool = False
    identity: bool = False
    category: str = ""
    free_text: bool = False
    method: str = ""

    @property
    def personal(self) -> bool:
        """What anonymising takes away."""
        return self.identity or bool(self.category)


@dataclass(frozen=True, kw_only=True, repr=False)
class Link(Brief):
    """``holder.field`` refers to ``target.target_field``. ``on_delete``: of the foreign key,
    None where the database has none; ``declared``: the catalogue knows of it."""

    holder: str
    field: str
    target: str
    target_field: str
    direction: Literal["from", "to"] | None = None
    on_erase: Literal["deep", "shallow", "refcount"] | None = None
    on_delete: OnDelete | None = None
    deferrable: bool = False
    declared: bool = True


@dataclass(frozen=True, kw_only=True, repr=False)
class Table(Brief):
    """A table; ``action`` of its collection, empty where the catalogue does not know it;
    ``key_told``: the catalogue says which fields are its key."""

    name: str
    columns: tuple[Column, ...]
    action: str = ""
    key_told: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the primary key's columns."""
        return tuple(c.name for c in self.columns if c.key)

    def get(self, name: str) -> Column:
        """The column of that name."""
        return next(c for c in self.columns if c.name == name)

    def named(self, **wanted: object) -> tuple[str, ...]:
        """Names of the columns with those traits."""
        return tuple(
            c.name for c in self.columns if all(getattr(c, k) == v for k, v in wanted.items())
        )

    @property
    def about_people(self) -> bool:
        """Any column is personal, or text that may be."""
        return any(c.personal or c.free_text for c in self.columns)


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything of one example; ``leavers``: the emails of those who leave, round by round."""

    tables: tuple[Table, ...]
    links: tuple[Link, ...]
    rows: Mapping[str, tuple[Mapping[str, Value], ...]]
    leavers: tuple[tuple[str, ...], ...] = default(default=())

    def table(self, name: str) -> Table:
        """The table of that name."""
        return next(t for t in self.tables if t.name == name)

    def links_of(self, holder: str) -> Iterator[Link]:
        """The references in rows of a table."""
        return (link for link in self.links if link.holder == holder)

    def fresh_rows(self) -> Rows:
        """A copy of the rows, to be changed."""
        return {name: [dict(row) for row in rows] for name, rows in self.rows.items()}
