"""What the views of a store are made of, by collection name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lineage.columns import Flow, Relation, Relations, through
from lineage.importers.sql_columns import read_query
from lineage.schema import Table, View

# sqlglot's names of what SQLAlchemy calls otherwise.
DIALECTS: Mapping[str, str] = {"postgresql": "postgres", "mariadb": "mysql"}


@dataclass(frozen=True, kw_only=True)
class Viewed:
    """Views and what flows into them; addresses are collection names of the same store.

    ``sources``: by view, what it reads, itself or through other views; ``unread``: by view, why
    its query says nothing.
    """

    views: Mapping[str, View] = field(default_factory=dict)
    flows: tuple[Flow, ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    def copies(self, view: str, source: str) -> dict[str, str]:
        """The view's fields that are fields of the source as they were: mine to theirs."""
        return {
            f.target_field: f.source_field
            for f in self.flows
            if (f.target, f.source, f.kind) == (view, source, "identity")
        }

    def worked_out(self, view: str, source: str) -> dict[str, str]:
        """The same for fields that were changed on the way."""
        return {
            f.target_field: f.source_field
            for f in self.flows
            if (f.target, f.source, f.kind) == (view, source, "transformation")
        }


def read_views(tables: Mapping[str, Table], views: Mapping[str, View]) -> Viewed:
    """Read the query of every view, and lead back to tables what is made of other views."""
    everything: dict[str, Table | View] = {**tables, **views}
    known = [
        Relation(address=name, parts=_parts(one), columns=tuple(c.name for c in one.columns))
        for name, one in everything.items()
    ]
    relations = Relations(known)
    flows: list[Flow] = []
    sources: dict[str, tuple[str, ...]] = {}
    unread: dict[str, str] = {}
    for name, view in views.items():
        found = read_query(
            view.definition,
            target=name,
            relations=relations,
            dialect=DIALECTS.get(view.dialect, view.dialect),
            columns=tuple(c.name for c in view.columns),
        )
        if found.reason:
            unread[name] = found.reason
        flows += found.flows
        sources[name] = tuple(s for s in found.sources if s not in found.unknown and s != name)
    # A materialised view is passed on from as well: it shows what its tables held.
    flows += through(flows, frozenset(views))
    return Viewed(
        views=views,
        flows=tuple(dict.fromkeys(flows)),
        sources={name: _deep(name, sources) for name in views},
        unread=unread,
    )


def _parts(one: Table | View) -> tuple[str, ...]:
    return (one.schema, one.name) if one.schema else (one.name,)


def _deep(name: str, sources: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """What a view reads, nearest first, and what these read in turn."""
    found: dict[str, None] = {}
    waiting = [name]
    for one in waiting:
        for source in sources.get(one, ()):
            if source not in found and source != name:
                found[source] = None
                waiting.append(source)
    return tuple(found)
