"""A dbt project as catalogue entries: relations as datasets of one store, what is made from what,
and which columns came along. Pure.

Datasets that the catalogue has already keep everything that was decided there; dbt adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Literal
from urllib.parse import unquote, urlsplit

from lineage.columns import Flow, Relation, Relations, through
from lineage.errors import CatalogueError
from lineage.graph import Dataset, Derivation, Field, Reference, StoreEntry
from lineage.importers import dbt_meta
from lineage.importers.dbt_manifest import Node, Project, read_project
from lineage.importers.derived import carried, classified, derivation, unconfirmed
from lineage.importers.entries import Catalogue, Placed
from lineage.importers.sql_columns import read_query
from lineage.importers.sql_schema import fides_key
from lineage.naming import scheme_of

_VIEW = "a view: it keeps no rows of its own"


def read(
    paths: Iterable[str],
    *,
    store: str | None = None,
    stores: Iterable[StoreEntry] = (),
    datasets: Mapping[str, Dataset] | None = None,
    references: Iterable[Reference] = (),
) -> Catalogue:
    """What the artifacts say. ``store``: the store that the project's database is; without one it
    is the one that is named like the project or lies at its address. ``stores`` (with resolved
    addresses), ``datasets``, ``references``: what the catalogue has. Raises CatalogueError, also
    where no one store is the project's: nothing would ever connect to a new one."""
    project = read_project(paths)
    stores = list(stores)
    name = store or _likely(project, stores)
    known = {a: d for a, d in (datasets or {}).items() if d.store == name}
    reader = _Reader(project=project, store=name, known=known)
    return reader.catalogue({s.name for s in stores}, list(references), dict(datasets or {}))


def _likely(project: Project, stores: Iterable[StoreEntry]) -> str:
    named = [s.name for s in stores if s.name == fides_key(project.name)]
    wanted = scheme_of(f"{project.adapter}://")
    databases = {n.parts[0].lower() for n in project.nodes.values() if len(n.parts) > 2}
    there = [
        s.name
        for s in stores
        if s.kind == "sql"
        and scheme_of(s.url) == wanted
        and unquote(urlsplit(s.url).path.strip("/")).lower() in databases
    ]
    if len(found := named or there) == 1:
        return found[0]
    which = f", {', '.join(there)} all fit" if there else ""
    raise CatalogueError(
        "--store",
        f"say which store the tables of {project.name} are in ({project.adapter}"
        f" {', '.join(sorted(databases)[:5])}){which}; declare one first if there is none",
    )


@dataclass(kw_only=True)
class _Reader:
    project: Project
    store: str
    known: Mapping[str, Dataset]
    datasets: dict[str, Dataset] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)  # by node id
    flows: list[Flow] = field(default_factory=list)
    edges: dict[tuple[str, str], Literal["derived", "trained", "exported"]] = field(
        default_factory=dict
    )
    warnings: list[str] = field(default_factory=list)

    def catalogue(
        self, stores: set[str], references: list[Reference], everything: dict[str, Dataset]
    ) -> Catalogue:
        self.warnings += self.project.warnings
        nodes = self.project.nodes
        for node in nodes.values():
            if node.kind != "exposure" and not node.is_ephemeral:
                self._place(node)
        for key in self._order():
            self._read(nodes[key])
        for node in nodes.values():
            if node.kind == "exposure":
                self._expose(node)
        views = {a for a, d in self.datasets.items() if d.action == "ignore"}
        flows = self._complete([*self.flows, *through(self.flows, views)])
        declared = [*references, *self._relationships()]
        all_of_them = {**everything, **self.datasets}
        named = classified(all_of_them, flows)
        self._ask(flows, named)
        copied = carried(declared, flows, named)
        return self._entries(stores, named, [*self._fresh(declared, references), *copied], flows)

    # Where everything is

    def _place(self, node: Node) -> None:
        address = self._address(node.parts)
        self.addresses[node.id] = address
        given = Dataset(
            address=address,
            store=self.store,
            name=node.parts[-1],
            schema=node.parts[-2] if len(node.parts) > 1 else None,
            fields=tuple(dbt_meta.fields_of(node)),
            owner=node.owner,
            **dbt_meta.decided(node, because=_VIEW),
        )
        self.datasets[address] = _joined(self.known.get(address), given)
        self.warnings += [f"{self.project.file}: {w}" for w in dbt_meta.doubts(node)]

    def _address(self, parts: tuple[str, ...]) -> str:
        """The dataset of that name that is there already, or a new address beside it."""
        schema = parts[-2].lower() if len(parts) > 1 else None
        named = [d for d in self.known.values() if d.name.lower() == parts[-1].lower()]
        exact = [d for d in named if (d.schema or "").lower() == schema]
        for found in (exact, [d for d in named if d.schema is None]):
            if len(found) == 1:
                return found[0].address
        key = f"{self.store}_{parts[-2]}" if len(parts) > 1 else self.store
        return f"{fides_key(key)}.{parts[-1]}"

    def _order(self) -> list[str]:
        """Upstream first, so that the columns of what is read are known."""
        nodes = self.project.nodes
        graph = {k: [u for u in n.upstream if u in nodes] for k, n in nodes.items()}
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError:
            self.warnings.append(f"{self.project.file}: its nodes depend on each other in a circle")
            return list(nodes)

    # What is made from what

    def _read(self, node: Node) -> None:
        if node.id not in self.addresses:
            return
        address = self.addresses[node.id]
        if node.sql:
            self._read_sql(node, address)
        read = {source.rpartition(".")[2].lower() for source, to in self.edges if to == address}
        for upstream in self._through_ephemeral(node):
            source = self.addresses.get(upstream)
            if source is None and upstream.rpartition(".")[2].lower() in read:
                continue  # named by its query, so it is there
            self._edge(source or self._unlisted(upstream, node), address)

    def _read_sql(self, node: Node, address: str) -> None:
        found = read_query(
            node.sql,
            target=address,
            relations=self._relations(node),
            dialect=self.project.dialect,
            columns=tuple(c.name for c in node.columns) if self._complete_columns(node) else (),
        )
        if found.reason:
            self._warn(node, f"its columns are not known: {found.reason}")
            return
        renamed = {name: self._unknown(parts, node) for name, parts in found.unknown.items()}
        for flow in found.flows:
            if (flow.source, flow.source_field) not in found.unsure:
                self.flows.append(replace(flow, source=renamed.get(flow.source, flow.source)))
        for source in found.sources:
            self._edge(renamed.get(source, source), address)
        if found.columns:
            self._add_fields(address, found.columns)

    def _complete_columns(self, node: Node) -> bool:
        """Only the catalog knows all columns, and their types; YAML names some."""
        return bool(node.columns) and all(c.data_type for c in node.columns)

    def _relations(self, node: Node) -> Relations:
        known = [
            Relation(
                address=self.addresses[other.id],
                parts=other.parts,
                columns=self._columns_of(other),
            )
            for other in self.project.nodes.values()
            if other.id in self.addresses and other.id != node.id
        ]
        return Relations(known, near=node.parts[:-1])

    def _columns_of(self, node: Node) -> tuple[str, ...]:
        address = self.addresses[node.id]
        known = bool(address in self.known and self.known[address].fields)
        whole = self._complete_columns(node) or bool(node.sql) or known
        names = tuple(f.name for f in self.datasets[address].fields)
        return names if whole else ()

    def _through_ephemeral(self, node: Node) -> list[str]:
        found: dict[str, None] = {}
        waiting = list(node.upstream)
        for one in waiting:
            other = self.project.nodes.get(one)
            if other is not None and other.is_ephemeral:
                waiting += [u for u in other.upstream if u not in waiting]
            else:
                found[one] = None
        return list(found)

    def _edge(
        self,
        source: str,
        target: str,
        kind: Literal["derived", "trained", "exported"] = "derived",
    ) -> None:
        if source != target:
            self.edges.setdefault((source, target), kind)

    def _unknown(self, parts: tuple[str, ...], node: Node) -> str:
        """A table that a query names and that is no node of the project."""
        address = self._address(parts)
        if address not in self.datasets:
            self._warn(node, f"reads '{'.'.join(parts)}', which the manifest does not list")
            schema = parts[-2] if len(parts) > 1 else None
            given = Dataset(address=address, store=self.store, name=parts[-1], schema=schema)
            self.datasets[address] = _joined(self.known.get(address), given)
        return address

    def _unlisted(self, upstream: str, node: Node) -> str:
        return self._unknown((*node.parts[:-1], upstream.rpartition(".")[2]), node)

    def _expose(self, node: Node) -> None:
        """A dashboard, a notebook, a model: what it shows is in it."""
        store = f"{self.store}_exposures"
        address = f"{store}.{fides_key(node.name)}"
        self.datasets[address] = Dataset(
            address=address, store=store, name=node.name, owner=node.owner
        )
        self.addresses[node.id] = address
        for upstream in self._through_ephemeral(node):
            if upstream in self.addresses:
                kind: Literal["trained", "exported"] = (
                    "trained" if node.materialized == "ml" else "exported"
                )
                self._edge(self.addresses[upstream], address, kind)

    # What follows

    def _complete(self, flows: Iterable[Flow]) -> list[Flow]:
        """Add fields that only a query of somebody else names; the flows with the names that
        their fields have."""
        found = []
        for flow in flows:
            self._add_fields(flow.source, (flow.source_field,))
            mine = flow.target_field
            if mine:
                self._add_fields(flow.target, (mine,))
                mine = self._spelled(flow.target, mine)
            theirs = self._spelled(flow.source, flow.source_field)
            found.append(replace(flow, source_field=theirs, target_field=mine))
        return found

    def _add_fields(self, address: str, names: Iterable[str]) -> None:
        dataset = self.datasets.get(address)
        if dataset is None:
            return
        there = {f.name.lower() for f in dataset.fields}
        fresh = [Field(name=name) for name in names if name.lower() not in there]
        if fresh:
            self.datasets[address] = replace(dataset, fields=(*dataset.fields, *fresh))

    def _relationships(self) -> list[Reference]:
        found = []
        for one in self.project.relationships:
            holder, target = self.addresses.get(one.node), self.addresses.get(one.target)
            if holder and target and holder != target:
                self._add_fields(holder, (one.column,))
                self._add_fields(target, (one.target_column,))
                found.append(
                    Reference(
                        holder=holder,
                        holder_field=self._spelled(holder, one.column),
                        target=target,
                        target_field=self._spelled(target, one.target_column),
                        direction="from",
                    )
                )
        return found

    def _spelled(self, address: str, name: str) -> str:
        fields = self.datasets[address].fields
        return next((f.name for f in fields if f.name.lower() == name.lower()), name)

    def _fresh(self, declared: list[Reference], before: list[Reference]) -> list[Reference]:
        """References of tests, between datasets that keep rows, and that nobody declared."""
        known = {(r.holder, r.holder_field, r.target, r.target_field) for r in before}
        found = {(r.holder, r.holder_field, r.target, r.target_field): r for r in declared}
        shown = {a for a, d in self.datasets.items() if d.action == "ignore"}
        return [
            r for key, r in found.items() if key not in known and not {r.holder, r.target} & shown
        ]

    def _ask(self, flows: Iterable[Flow], datasets: Mapping[str, Dataset]) -> None:
        for flow in unconfirmed(flows, datasets):
            if flow.target in self.datasets and self.datasets[flow.target].action != "ignore":
                self.warnings.append(
                    f"{flow.target}.{flow.target_field}: worked out of {flow.source}."
                    f"{flow.source_field}; if it still leads to the person, say so with "
                    "`derived_from: [{dataset: …, columns: {…}}]`"
                )

    def _warn(self, node: Node, words: str) -> None:
        self.warnings.append(f"{self.project.file}: {node.id}: {words}")

    def _entries(
        self,
        stores: set[str],
        named: Mapping[str, Dataset],
        references: list[Reference],
        flows: list[Flow],
    ) -> Catalogue:
        place = self.project.file
        own = StoreEntry(name=self.store, kind=self.project.adapter or "dbt")
        exposures = StoreEntry(name=f"{self.store}_exposures", kind="manual")
        used = {d.store for d in self.datasets.values()}
        fresh = [s for s in (own, exposures) if s.name in used and s.name not in stores]
        made: list[Derivation] = [
            replace(derivation(source, target, flows), kind=kind)
            for (source, target), kind in sorted(self.edges.items())
        ]
        mine = [r for r in references if r.holder in self.datasets]
        return Catalogue(
            stores=tuple(Placed(value=s, place=place) for s in fresh),
            datasets=tuple(Placed(value=named[a], place=place) for a in sorted(self.datasets)),
            references=tuple(Placed(value=r, place=place) for r in mine),
            derivations=tuple(Placed(value=d, place=place) for d in made),
            warnings=tuple(dict.fromkeys(self.warnings)),
        )


def _joined(known: Dataset | None, given: Dataset) -> Dataset:
    """What is in the catalogue, with fields and classes that dbt adds where nothing was said."""
    if known is None:
        return given
    more = {f.name.lower(): f for f in given.fields}
    fields = []
    for one in known.fields:
        other = more.pop(one.name.lower(), None)
        open_to_it = other is not None and not one.categories and one.personal_override is None
        fields.append(replace(one, categories=other.categories) if open_to_it and other else one)
    return replace(
        known,
        fields=(*fields, *more.values()),
        owner=known.owner or given.owner,
        action=known.action or given.action,
        because=known.because or given.because,
    )
