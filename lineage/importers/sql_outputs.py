"""What flows in a query and how: strengths, the outputs of a query, the parts of an expression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlglot import exp

from lineage.columns import Kind, along, stronger


class Strength(NamedTuple):
    """How a field arrives."""

    kind: Kind = "identity"
    masking: bool = False

    def then(self, later: Strength) -> Strength:
        """This, and what is done to it afterwards."""
        return Strength(along(self.kind, later.kind), self.masking or later.masking)


Origins = dict[tuple[str, str], Strength]
WHOLE = Strength()
CHANGED = Strength("transformation")
MANY = Strength("aggregation")
ASIDE = Strength("indirect")
MASKED = Strength("transformation", masking=True)

_HASHES = ("md5", "sha", "hash", "crc32", "hmac", "fingerprint", "mask")
# Of a window they take one row's value.
_OF_ONE_ROW = (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue)


def add(into: Origins, more: Origins, later: Strength = WHOLE) -> None:
    """Add origins after something was done to them; of two ways the stronger counts."""
    for place, strength in more.items():
        new = strength.then(later)
        old = into.get(place)
        if (
            old is None
            or stronger(new.kind, old.kind) != old.kind
            or (old.masking and new.kind == old.kind)
        ):
            into[place] = new


@dataclass(kw_only=True)
class Outputs:
    """What a query or a table gives. ``columns`` by compared name, each with its own name.

    ``open``: addresses whose columns nobody knows and that a ``*`` lets through; ``rest``: what
    any other column holds; ``influence``: what decides which rows there are.
    """

    columns: dict[str, tuple[str, Origins]] = field(default_factory=dict)
    open: dict[str, Strength] = field(default_factory=dict)
    rest: Origins = field(default_factory=dict)
    influence: Origins = field(default_factory=dict)
    tables: dict[str, None] = field(default_factory=dict)

    def lookup(self, key: str, name: str) -> Origins:
        """Where the column of that name comes from; empty where there is none."""
        if key in self.columns:
            return self.columns[key][1]
        found = {(address, name): strength for address, strength in self.open.items()}
        return found or self.rest

    def has(self, key: str) -> bool:
        """True when the column is certainly there."""
        return key in self.columns

    def beside(self, other: Outputs) -> None:
        """Take over what another source reads, but none of its columns."""
        add(self.influence, other.influence, ASIDE)
        self.tables.update(other.tables)


def parts_of(node: exp.Expr, how: Strength) -> Iterator[tuple[exp.Expr, Strength]]:
    """The parts of an expression, each with how its columns arrive in it."""
    beside = _beside(node)
    inside = _inside(node).then(how)
    for part in node.iter_expressions():
        yield part, ASIDE if part in beside else inside


def _beside(node: exp.Expr) -> list[exp.Expr]:
    """The parts that decide and are not shown."""
    match node:
        case exp.Case():
            return [node.this] if node.this is not None else []
        case exp.If():
            return [node.this]
        case exp.Filter():
            return [node.expression]
        case exp.Window():
            order = node.args.get("order")
            return [*(node.args.get("partition_by") or ()), *([order] if order else ())]
        case exp.In() | exp.Exists():
            return list(node.iter_expressions())
    return []


def _inside(node: exp.Expr) -> Strength:
    match node:
        case exp.Alias() | exp.Paren() | exp.Window() | exp.Filter() | exp.Subquery():
            return WHOLE
        case exp.WithinGroup():
            return MANY
        case exp.AggFunc():
            return CHANGED if isinstance(node, _OF_ONE_ROW) else MANY
        case exp.Func() if _hashes(node):
            return MASKED
    return CHANGED


def _hashes(node: exp.Func) -> bool:
    name = node.name if isinstance(node, exp.Anonymous) else type(node).__name__
    return any(word in name.lower() for word in _HASHES)
