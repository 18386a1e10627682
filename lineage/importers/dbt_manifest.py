"""A dbt project as its artifacts tell it: ``manifest.json`` (v2 to v12) and ``catalog.json``. Pure.

Lenient in what a version may lack or call otherwise; strict only where a file is none of the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lineage.errors import CatalogueError

OLDEST, NEWEST = 2, 12
_SCHEMA = re.compile(r"/dbt/(manifest|catalog)/v(\d+)\.json$")
_RELATIONS = ("model", "seed", "snapshot", "source")
# sqlglot's names of adapters that are called otherwise.
_DIALECTS = {
    "sqlserver": "tsql", "fabric": "tsql", "synapse": "tsql", "greenplum": "postgres",
    "materialize": "postgres", "mariadb": "mysql", "dremio": "trino", "athena": "athena",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Said:
    """What ``meta`` and ``tags`` say of a node or a column, wherever its version keeps them."""

    meta: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ColumnNode:
    """A column as YAML or the catalog has it."""

    name: str
    data_type: str | None = None
    said: Said = field(default_factory=Said)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A model, seed, snapshot, source or exposure. ``parts``: its relation, outermost first."""

    id: str
    kind: str
    name: str
    parts: tuple[str, ...] = ()
    columns: tuple[ColumnNode, ...] = ()
    upstream: tuple[str, ...] = ()
    sql: str = ""
    materialized: str = ""
    said: Said = field(default_factory=Said)
    owner: str = ""
    keys: tuple[str, ...] = ()

    @property
    def is_view(self) -> bool:
        """It keeps no rows of its own."""
        return self.kind == "model" and self.materialized == "view"

    @property
    def is_ephemeral(self) -> bool:
        """It is no relation: its query is a part of those that use it."""
        return self.kind == "model" and self.materialized == "ephemeral"


@dataclass(frozen=True, kw_only=True)
class Relationship:
    """A ``relationships`` test: a column refers to a column of another node."""

    node: str
    column: str
    target: str
    target_column: str


@dataclass(frozen=True, kw_only=True)
class Project:
    """Everything the files say. ``dialect``: sqlglot's name of the adapter."""

    name: str
    adapter: str
    nodes: Mapping[str, Node]
    relationships: tuple[Relationship, ...] = ()
    file: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def dialect(self) -> str:
        """sqlglot's name of the database."""
        return _DIALECTS.get(self.adapter, self.adapter)


def is_artifact(path: str) -> bool:
    """True for a JSON file that says it is of dbt; reads no more than its beginning."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return head.lstrip()[:1] == b"{" and b"dbt_schema_version" in head


def read_project(paths: Iterable[str]) -> Project:
    """The one manifest among the files, with the columns of the catalogs. Raises CatalogueError."""
    manifests: list[tuple[str, dict[str, Any]]] = []
    catalogs: list[dict[str, Any]] = []
    for path in paths:
        kind, document = _load(path)
        if kind == "manifest":
            manifests.append((path, document))
        else:
            catalogs.append(document)
    if len(manifests) != 1:
        place = manifests[1][0] if manifests else "dbt"
        raise CatalogueError(place, "name one manifest.json, and its catalog.json if there is one")
    path, manifest = manifests[0]
    live = {key: node for catalog in catalogs for key, node in _live(catalog)}
    return _project(path, manifest, live)


def _load(path: str) -> tuple[str, dict[str, Any]]:
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise CatalogueError(path, f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise CatalogueError(path, "is no JSON; build it again with `dbt docs generate`") from None
    said = _mapping(_mapping(document).get("metadata")).get("dbt_schema_version")
    match = _SCHEMA.search(said) if isinstance(said, str) else None
    if match is None:
        raise CatalogueError(path, "is neither a manifest nor a catalog of dbt")
    if match[1] == "manifest" and int(match[2]) < OLDEST:
        raise CatalogueError(path, f"is older than manifest v{OLDEST}; build it with a newer dbt")
    return match[1], document


def _project(path: str, manifest: Mapping[str, Any], live: Mapping[str, Any]) -> Project:
    metadata = _mapping(manifest.get("metadata"))
    nodes: dict[str, Node] = {}
    for group in ("nodes", "sources", "exposures"):
        for key, plain in _mapping(manifest.get(group)).items():
            node = _node(key, _mapping(plain))
            if node is not None:
                nodes[key] = _with_live(node, live.get(key))
    tests = [
        _mapping(plain)
        for plain in _mapping(manifest.get("nodes")).values()
        if _mapping(plain).get("resource_type") == "test"
    ]
    for key, column in _keys(tests):
        if key in nodes:
            nodes[key] = replace(nodes[key], keys=(*nodes[key].keys, column))
    names = {name: key for key in nodes for name in (key.split(".")[1],)}
    version = int(str(_SCHEMA.search(metadata["dbt_schema_version"])[2]))  # type: ignore[index]
    newer = f"{path}: manifest v{version} is newer than v{NEWEST} and read like it"
    return Project(
        name=_text(metadata.get("project_name")) or next(iter(names), "dbt"),
        adapter=_text(metadata.get("adapter_type")),
        nodes=nodes,
        relationships=tuple(_relationships(tests)),
        file=path,
        warnings=(newer,) if version > NEWEST else (),
    )


def _node(key: str, plain: Mapping[str, Any]) -> Node | None:
    kind = _text(plain.get("resource_type")) or key.partition(".")[0]
    if kind == "exposure":
        return _exposure(key, plain)
    if kind not in _RELATIONS:
        return None
    name = _text(plain.get("identifier")) or _text(plain.get("alias")) or _text(plain.get("name"))
    config = _mapping(plain.get("config"))
    depends = _mapping(plain.get("depends_on")).get("nodes")
    if not name:
        return None
    parts = (_text(plain.get("database")), _text(plain.get("schema")), name)
    columns = tuple(_columns(plain.get("columns")))
    return Node(
        id=key,
        kind=kind,
        name=name,
        parts=tuple(part for part in parts if part),
        columns=columns,
        upstream=tuple(_texts(depends)),
        sql=_text(plain.get("compiled_code")) or _text(plain.get("compiled_sql")),
        materialized=_text(config.get("materialized")),
        said=_said(plain),
        owner=_owner(_said(plain).meta.get("owner")),
        keys=tuple(_constrained(plain)),
    )


def _exposure(key: str, plain: Mapping[str, Any]) -> Node:
    return Node(
        id=key,
        kind="exposure",
        name=_text(plain.get("name")),
        upstream=tuple(_texts(_mapping(plain.get("depends_on")).get("nodes"))),
        materialized=_text(plain.get("type")),
        said=_said(plain),
        owner=_owner(plain.get("owner")),
    )


def _owner(said: Any) -> str:
    """A name; an address is somebody's own and is left where it is."""
    named = _text(_mapping(said).get("name")) if isinstance(said, Mapping) else _text(said)
    return "" if "@" in named else named


def _columns(plain: Any) -> Iterator[ColumnNode]:
    for key, column in _mapping(plain).items():
        entry = _mapping(column)
        yield ColumnNode(
            name=_text(entry.get("name")) or key,
            data_type=_text(entry.get("data_type")) or None,
            said=_said(entry),
        )


def _said(plain: Mapping[str, Any]) -> Said:
    """From 1.10 on, meta and tags stand in ``config`` too."""
    config = _mapping(plain.get("config"))
    meta = {**_mapping(config.get("meta")), **_mapping(plain.get("meta"))}
    tags = (*_texts(plain.get("tags")), *_texts(config.get("tags")))
    return Said(meta=meta, tags=tuple(dict.fromkeys(tags)))


def _constrained(plain: Mapping[str, Any]) -> Iterator[str]:
    """Columns of a declared primary key."""
    for constraint in _list(plain.get("constraints")):
        if _mapping(constraint).get("type") == "primary_key":
            yield from _texts(_mapping(constraint).get("columns"))
    for key, column in _mapping(plain.get("columns")).items():
        kinds = [_mapping(c).get("type") for c in _list(_mapping(column).get("constraints"))]
        if "primary_key" in kinds:
            yield key


def _keys(tests: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What is tested to be unique and never null tells rows apart."""
    found: dict[tuple[str, str], set[str]] = {}
    for test in tests:
        what, column, node = _tested(test)
        if column and node:
            found.setdefault((node, column), set()).add(what)
    for place, kinds in found.items():
        if {"unique", "not_null"} <= kinds:
            yield place


def _tested(test: Mapping[str, Any]) -> tuple[str, str, str]:
    """Which test of which column of which node."""
    metadata = _mapping(test.get("test_metadata"))
    column = _text(test.get("column_name")) or _text(
        _mapping(metadata.get("kwargs")).get("column_name")
    )
    nodes = _texts(_mapping(test.get("depends_on")).get("nodes"))
    node = _text(test.get("attached_node")) or (nodes[-1] if nodes else "")
    return _text(metadata.get("name")), column.strip('"`'), node


def _relationships(tests: Iterable[Mapping[str, Any]]) -> Iterator[Relationship]:
    for test in tests:
        what, column, node = _tested(test)
        nodes = _texts(_mapping(test.get("depends_on")).get("nodes"))
        kwargs = _mapping(_mapping(test.get("test_metadata")).get("kwargs"))
        theirs = _text(kwargs.get("field")).strip('"`')
        # the target is looked at first, the column's own node last
        target = next((n for n in nodes if n != node), node)
        if what == "relationships" and column and theirs and node:
            yield Relationship(node=node, column=column, target=target, target_column=theirs)


def _live(catalog: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for group in ("nodes", "sources"):
        yield from _mapping(catalog.get(group)).items()


def _with_live(node: Node, live: Any) -> Node:
    """The columns as the database has them, with what YAML says of them."""
    found = _mapping(_mapping(live).get("columns"))
    if not found:
        return node
    said = {column.name.lower(): column for column in node.columns}
    ordered = sorted(found.items(), key=lambda pair: _number(_mapping(pair[1]).get("index")))
    columns = []
    for key, plain in ordered:
        name = _text(_mapping(plain).get("name")) or key
        own = said.pop(name.lower(), ColumnNode(name=name))
        kind = _text(_mapping(plain).get("type")) or own.data_type
        columns.append(replace(own, name=name, data_type=kind))
    return replace(node, columns=(*columns, *said.values()))


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    listed = [value] if isinstance(value, str) else _list(value)
    return [one for one in listed if isinstance(one, str)]
