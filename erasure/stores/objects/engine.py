"""What an engine offers for the objects of one format, and what it is handed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from erasure.stores.objects.documents import Row
from erasure.stores.objects.edits import Edits
from erasure.stores.objects.faults import Fault
from erasure.stores.objects.matching import Query, Sight
from lineage.schema import Column


@dataclass(frozen=True)
class Opened:
    """An object open for reading. ``virtual``: fields whose value its path holds."""

    path: Path
    file: BinaryIO
    virtual: Row

    def all_match(self, query: Query) -> bool:
        """True when the path alone makes every row match."""
        return any(
            wanted.match(self.virtual[field]) is not None
            for field, wanted in query.equal.items()
            if field in self.virtual
        )

    def whole(self, row: Row) -> Row:
        """The row with the fields that the path holds."""
        return {**self.virtual, **row} if self.virtual else row

    def own(self, row: Row, before: Row) -> Row:
        """The row without what the path holds. Raises Fault where that was to change."""
        for field in self.virtual:
            if field in row and row[field] != before[field]:
                raise Fault(f"{field} is part of the path and cannot be changed there; delete")
        return {k: v for k, v in row.items() if k not in self.virtual} if self.virtual else row


class Engine(Protocol):
    """Search and rewrite objects of one format. Every method reads from the beginning and
    raises Fault."""

    name: str
    schemaless: bool
    textual: bool

    def columns(self, source: Opened) -> list[Column]:
        """The fields of an object."""

    def rows(self, source: Opened) -> int | None:
        """How many rows it has, where that is known without reading it."""

    def search(self, source: Opened, query: Query) -> Iterator[tuple[Row, list[Sight]]]:
        """Matching rows with the reasons; an unreadable line comes as an empty row."""

    def read(self, source: Opened, field: str, also: Sequence[str]) -> Iterator[Row | None]:
        """Every row, ``field`` and those ``also`` in it; None for a line that cannot be read."""

    def unsettled(self, source: Opened, edits: Edits) -> int:
        """How many rows the steps would still change; lets each step look at its rows."""

    def empty(self, source: Opened) -> bool:
        """True when the object has no row at all."""

    def rewrite(self, source: Opened, edits: Edits, *, preserve_times: bool) -> None:
        """Put the object's next version in its place."""
