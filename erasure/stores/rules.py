"""What a table demands of its rows beyond the type of a column, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from erasure.domain.expressions import Hints, hints_in
from lineage.schema import ForeignKey


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One constraint. ``columns``: those it speaks of; ``expressions`` in the store's own words.

    ``check``: its one expression is true or NULL. ``unique``: no two rows agree in all of its
    expressions, among those that ``predicate`` holds for; NULL differs from NULL unless
    ``nulls``; ``plain``: the expressions are just columns. ``foreign key``: the row that
    ``foreign`` leads to is there.
    """

    kind: Literal["check", "unique", "foreign key"]
    name: str
    columns: frozenset[str]
    expressions: tuple[str, ...] = ()
    predicate: str = ""
    nulls: bool = False
    plain: bool = True
    foreign: ForeignKey | None = None

    @property
    def words(self) -> str:
        """For people: what it is, and which."""
        what = self.kind if self.kind == "foreign key" else f"{self.kind} constraint"
        return f"{what} '{self.name}'" if self.name else what


def hints_of(rules: Iterable[Rule], names: Iterable[str]) -> dict[str, Hints]:
    """What the checks say of each column that they speak of; ``names``: all columns."""
    by_column: dict[str, list[str]] = {}
    for rule in rules:
        for name in rule.columns if rule.kind == "check" else ():
            by_column.setdefault(name, []).extend(rule.expressions)
    every = tuple(names)
    return {name: hints_in(texts, every) for name, texts in by_column.items()}


Rules = Mapping[str, tuple[Rule, ...]]  # by collection
