"""Which column flows into which: what SQL, a dbt project or an event says of two datasets' fields.

Pure. ``identity``: the value arrives as it was; ``transformation``: worked out of it, so that a
person should confirm that it still leads to somebody; ``aggregation``: of many rows one;
``indirect``: it decides which rows there are (a join, a filter, a group) and is in none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["identity", "transformation", "aggregation", "indirect"]
# From what tells most of a value to what tells least: a chain is as weak as its weakest link, and
# of two ways the stronger one counts.
KINDS: tuple[Kind, ...] = ("identity", "transformation", "aggregation", "indirect")
_ORDER: Mapping[Kind, int] = {kind: n for n, kind in enumerate(KINDS)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """``source.source_field`` flows into ``target.target_field``: addresses and field names.

    An indirect flow is into the target as a whole; its ``target_field`` is empty. ``masking``: on
    the way it was hashed or the like, which is no erasure.
    """

    source: str
    source_field: str
    target: str
    target_field: str
    kind: Kind
    masking: bool = False


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A table or view that SQL may name. ``parts``: its name, outermost first (database, schema,
    name), as much as is known; ``columns`` in order, empty where nobody knows them."""

    address: str
    parts: tuple[str, ...]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ColumnLineage:
    """What one query says. ``sources``: addresses read, whether or not their columns are known;
    ``unknown``: those that are no known relation, at their name as written; ``columns``: the names
    that come out, in order, None where a ``*`` hides them. ``reason``: why nothing can be said,
    then everything else is empty; ``gaps``: what is left out; ``unsure``: (address, field) that may
    be of another table just as well."""

    flows: tuple[Flow, ...] = ()
    sources: tuple[str, ...] = ()
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    reason: str = ""
    gaps: tuple[str, ...] = ()
    unsure: frozenset[tuple[str, str]] = frozenset()


class Relations:
    """Relations by the names SQL has for them, in any case and with or without a schema."""

    def __init__(self, relations: Iterable[Relation], *, near: tuple[str, ...] = ()) -> None:
        """``near``: the database and schema in which a bare name is looked for first."""
        self._near = _folded(near)
        self._by_name: dict[str, list[Relation]] = {}
        lowered: dict[str, set[str]] = {}
        for relation in relations:
            self._by_name.setdefault(relation.parts[-1].lower(), []).append(relation)
            for name in relation.columns:
                lowered.setdefault(name.lower(), set()).add(name)
        # Names that only their case tells apart in the same table are compared as they are.
        self.exact = frozenset(
            name.lower()
            for group in self._by_name.values()
            for relation in group
            for name in relation.columns
            if len(lowered[name.lower()]) > 1
            and sum(name.lower() == other.lower() for other in relation.columns) > 1
        )

    def find(self, parts: tuple[str, ...]) -> Relation | None:
        """The relation of that name: as written before in any case, the nearest of several; None
        where there is none, or two are equally near."""
        group = self._by_name.get(parts[-1].lower(), ())
        fitting = [r for r in group if _fits(parts, r.parts)]
        fitting = [r for r in fitting if r.parts[-1] == parts[-1]] or fitting
        fitting = [r for r in fitting if _fits(r.parts, parts, exact=True)] or fitting
        # one that no schema is known of is in the schema that goes without saying
        fitting = [r for r in fitting if len(r.parts) == 1] or fitting
        near = [r for r in fitting if self._is_near(r)] if len(fitting) > 1 else fitting
        return near[0] if len(near) == 1 else None

    def _is_near(self, relation: Relation) -> bool:
        return _fits((*self._near, ""), (*_folded(relation.parts[:-1]), ""))

    def key(self, name: str) -> str:
        """The name under which a column is compared."""
        return name if name.lower() in self.exact else name.lower()


def _folded(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.lower() for part in parts)


def _fits(a: tuple[str, ...], b: tuple[str, ...], *, exact: bool = False) -> bool:
    """One name ends with the other: ``orders`` is ``shop.public.orders``."""
    shared = min(len(a), len(b))
    if exact:
        return a[-shared:] == b[-shared:]
    return _folded(a[-shared:]) == _folded(b[-shared:])


def stronger(a: Kind, b: Kind) -> Kind:
    """Of two ways from one field to another, the one that counts."""
    return a if _ORDER[a] <= _ORDER[b] else b


def along(a: Kind, b: Kind) -> Kind:
    """A flow that goes on as another."""
    return a if _ORDER[a] >= _ORDER[b] else b


def through(flows: Iterable[Flow], passed: Collection[str]) -> list[Flow]:
    """The flows whose source keeps no rows (``passed``: views, parts of a query) led back to what
    it reads: what is made from a view is made from its tables. The flows given are not in it."""
    given = list(flows)
    into: dict[tuple[str, str], list[Flow]] = {}
    for flow in given:
        if flow.target in passed:
            into.setdefault((flow.target, flow.target_field), []).append(flow)
    found: dict[tuple[str, str, str, str], Flow] = {}
    waiting = [flow for flow in given if flow.source in passed]
    seen = set(waiting)
    while waiting:
        flow = waiting.pop()
        for earlier in into.get((flow.source, flow.source_field), ()):
            longer = _joined(earlier, flow)
            if longer in seen or longer.source == longer.target:
                continue
            seen.add(longer)
            if longer.source in passed:
                waiting.append(longer)
            else:
                _keep(found, longer)
    return list(found.values())


def _joined(earlier: Flow, later: Flow) -> Flow:
    kind = along(earlier.kind, later.kind)
    return replace(
        later,
        source=earlier.source,
        source_field=earlier.source_field,
        target_field="" if kind == "indirect" else later.target_field,
        kind=kind,
        masking=earlier.masking or later.masking,
    )


def _keep(found: dict[tuple[str, str, str, str], Flow], new: Flow) -> None:
    name = (new.source, new.source_field, new.target, new.target_field)
    old = found.get(name)
    if old is None or _ORDER[new.kind] < _ORDER[old.kind] or (old.masking and new.kind == old.kind):
        found[name] = new
