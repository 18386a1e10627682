"""People inside documents: tables with a column of JSON, on every database and type of JSON.

Mira is the subject, with the key 5; Tom (7) is the neighbour.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from erasure.domain.finding import mode_of
from erasure.domain.needles import Matcher, Needle
from erasure.domain.steps import Step
from erasure.stores.base import Key, Secrets, Selector
from erasure.stores.sql import SqlStore
from lineage.graph import Dataset, Field
from tests.stores.company import dataset
from tests.stores.conformance import SEED
from tests.stores.sql_harness import SqlHarness

MIRA, TOM = 5, 7
EMAIL = "mira.quell@example.com"
NEEDLES = Matcher(
    [
        Needle(text=EMAIL, category="email"),
        Needle(text="Mira Quell", category="user.name"),
        Needle(text="4930123456", category="user.contact.phone_number"),
    ]
)
SECRETS = Secrets(seed=SEED, needles=NEEDLES)

EVENTS: dict[int, Any] = {
    1: '{"user": {"id": 5, "email": "Mira.Quell@Example.COM"},  "price": 1.50, "at": "1970"}',
    2: '{"user": {"id": 7, "email": "tom@example.com"}, "price": 2.50}',
    3: '{"user": [{"id": "5"}, {"id": 7}]}',
    4: '{"other": {"user": {"id": 5}}, "users": {"id": 5}, "user": {"ids": 5, "id": 55}}',
    5: '{"user": null}',
    6: None,
    7: '{"user": {"id": 5.0}}',
}
TEAMS: dict[int, Any] = {
    1: "[5, 7]",
    2: "[7]",
    3: '[7 ,  "5", 8 , 5]',
    4: "[]",
    5: None,
    6: "[55, 15]",
}
EVENT = dataset(
    "event",
    Field(name="id", primary_key=True),
    Field(name="payload.user.id"),
    Field(name="payload.user.email", identity="email", categories=("user.contact.email",)),
)
TEAM = dataset("team", Field(name="id", primary_key=True), Field(name="members"))


@dataclass
class Documents:
    """A database, and how a column of JSON is declared there."""

    harness: SqlHarness
    declared: str

    @property
    def rewrites(self) -> bool:
        """True where the database keeps values and not the text."""
        return self.declared == "JSONB"

    def fill(self, table: str, column: str, rows: Mapping[int, Any], more: str = "") -> None:
        """A table of documents, beside what is there already."""
        kind = self.declared.replace("COLUMN", column)
        self.harness.execute(
            f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {column} {kind}{more})"
        )
        self.harness.insert(table, *({"id": n, column: text} for n, text in rows.items()))

    def read(self, table: str, column: str) -> dict[int, Any]:
        """The texts as they stand; of JSONB what they say."""
        postgresql = self.harness.placeholder == "%s" and not self.harness.folds
        read = f"CAST({column} AS TEXT)" if postgresql else column
        rows = self.harness.execute(f"SELECT id, {read} FROM {table}")
        return {n: self.plain(text) for n, text in sorted(rows)}

    def plain(self, text: str | None) -> Any:
        """A document in the form in which it is compared here."""
        return json.loads(text) if self.rewrites and text is not None else text

    def plains(self, rows: Mapping[int, Any]) -> dict[int, Any]:
        return {n: self.plain(text) for n, text in rows.items()}

    def store(self) -> SqlStore:
        return self.harness.store()


def searching(found: Dataset, field: str, *guard: str, carry: Sequence[str] = ()) -> Selector:
    """Rows by one field, by which they are guarded."""
    known = found.get(field)
    mode = mode_of(known.identity if known else None)
    return Selector(
        dataset=found, mode=mode, fields=(field,), guard=guard or (field,), carry=tuple(carry)
    )


def keys_by(store: SqlStore, selector: Selector, *values: Any) -> tuple[Key, ...]:
    """The keys that a search finds, in their order."""
    return tuple(sorted((f.key for f in store.find(selector, values)), key=lambda k: k.values))


def numbers(keys: Sequence[Key]) -> list[Any]:
    """What identifies the rows."""
    return [key.values[0] for key in keys]


def cutting(found: Dataset, field: str, **more: Any) -> Step:
    """Take the reference to the person out of somebody else's row."""
    return Step(
        dataset=found, action="redact", via="shallow", guard=(field,), reference=(field,),
        cut=(field,), **more,
    )  # fmt: skip
