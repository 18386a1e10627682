"""What the text of queries says of data that flows: lineage events, in which nothing of the text is
left but names of tables and columns. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lineage import naming
from lineage.columns import ColumnLineage, Flow, Relation, Relations
from lineage.importers.sql_columns import read_statement
from lineage.importers.sql_statements import Statement, read_script

Name = tuple[str, str]  # namespace and name, as events have them
Parts = tuple[str, ...]
# Others put nothing anywhere, and are not worth parsing.
_FILLS = re.compile(
    r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:(?:create|insert|with|replace|merge|copy|load|unload|call"
    r"|do|execute|prepare|alter)\b|update\b.*\b(?:from|select|join)\b|select\b.*\binto\b)",
    re.I | re.S,
)
# Two of these that differ in a value differ in the file.
_FILES = re.compile(r"\s*(?:copy|load|unload)\b", re.I)
_VALUES = re.compile(r"'(?:[^']|'')*'|\$\d+|\b\d[\d.]*\b")
_MOST_SEEN = 100_000
_MOST_TOLD = 20
# Kind of a flow → how an event says it.
_SUBTYPES = {
    "identity": "IDENTITY",
    "transformation": "TRANSFORMATION",
    "aggregation": "AGGREGATION",
}


@dataclass(frozen=True, kw_only=True)
class Query:
    """``place``: where it stands; ``job``: what it is a part of; ``at``: when it ran, or was
    written."""

    place: str
    job: str
    text: str
    at: datetime


@dataclass(kw_only=True)
class _Target:
    """Everything that one job puts into one table."""

    at: datetime
    sources: dict[Name, None] = field(default_factory=dict)
    flows: dict[tuple[str, Name, str, str, bool], None] = field(default_factory=dict)
    whole: bool = True  # every column's origin is known


class Queries:
    """Reads queries one by one; see :meth:`events`."""

    def __init__(
        self,
        relations: Relations,
        names: Mapping[str, Name],
        elsewhere: Callable[[Parts], Name],
        dialect: str | None,
    ) -> None:
        """``names``: of the known relations, by address; ``elsewhere``: of any other table."""
        self._relations = relations
        self._names = names
        self._elsewhere = elsewhere
        self._dialect = dialect
        self._found: dict[tuple[str, Name], _Target] = {}
        self._seen: set[int] = set()
        self._told: list[str] = []
        self._unread: dict[str, list[str]] = {}

    def read(self, queries: Iterable[Query]) -> None:
        """Take in what these say. One that only differs in values from another is read once."""
        for query in queries:
            if not _FILLS.match(query.text):
                continue
            same = query.text if _FILES.match(query.text) else _VALUES.sub("?", query.text)
            shape = hash((query.job, same))
            if shape in self._seen:
                continue
            if len(self._seen) > _MOST_SEEN:
                self._seen.clear()
            self._seen.add(shape)
            self.script(query)

    def script(self, query: Query) -> None:
        """Take in a text of any number of statements."""
        told = read_script(query.text, dialect=self._dialect)
        if isinstance(told, str):
            self._unread.setdefault(told, []).append(query.place)
            return
        for statement in told.statements:
            if statement.source:
                self._loaded(statement, query)
            else:
                self._statement(statement, query)
        for unread in told.unread:
            line = f", line {unread.line}" if "\n" in query.text.strip() else ""
            self._unread.setdefault(unread.what, []).append(f"{query.place}{line}")

    @property
    def warnings(self) -> list[str]:
        """What was not understood: how often, and the first places. Nothing of a text is in it."""
        told = list(self._told)
        for what, places in self._unread.items():
            told += [f"{place}: {what}" for place in places[:_MOST_TOLD]]
            if len(places) > _MOST_TOLD:
                told.append(f"{len(places) - _MOST_TOLD} more statements: {what}")
        if self._unread:
            total = sum(map(len, self._unread.values()))
            told.append(f"statements that may move data and were not read: {total}")
        return told

    def _into(self, statement: Statement) -> tuple[Relation | None, Name]:
        if statement.file:
            return None, _file(statement.file)
        known = self._relations.find(statement.target)
        return known, self._names[known.address] if known else self._elsewhere(statement.target)

    def _loaded(self, statement: Statement, query: Query) -> None:
        """A file's rows go into a table; which of its columns where, nobody says."""
        _, into = self._into(statement)
        target = self._found.setdefault((query.job, into), _Target(at=query.at))
        target.at, target.whole = max(target.at, query.at), False
        target.sources[_file(statement.source)] = None

    def _statement(self, statement: Statement, query: Query) -> None:
        known, into = self._into(statement)
        columns = statement.columns or (known.columns if known and _inserts(statement) else ())
        read = read_statement(
            statement, target="", relations=self._relations, dialect=self._dialect, columns=columns
        )
        if read.reason:
            self._told.append(f"{query.place}: what fills '{into[1]}': {read.reason}")
            return
        target = self._found.setdefault((query.job, into), _Target(at=query.at))
        target.at = max(target.at, query.at)
        target.whole = target.whole and not read.gaps and read.columns is not None
        for source in (*read.sources, *read.unknown):
            if (name := self._name(source, read)) != into:
                target.sources[name] = None
        for flow in read.flows:
            if (name := self._name(flow.source, read)) != into and _sure(flow, read):
                place = (flow.target_field, name, flow.source_field, flow.kind, flow.masking)
                target.flows[place] = None

    def _name(self, source: str, read: ColumnLineage) -> Name:
        return self._names.get(source) or self._elsewhere(read.unknown.get(source, (source,)))

    def events(self) -> Iterator[dict[str, Any]]:
        """A job's event for every table that something flows into."""
        for (job, into), target in sorted(self._found.items()):
            if not target.sources:
                continue
            facets = {"columnLineage": _columns(target)} if target.flows else {}
            yield {
                "eventTime": target.at.isoformat(),
                "producer": "import_lineage",
                "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent",
                "job": {"namespace": "sql", "name": f"{job}: {into[1]}"},
                "inputs": [_dataset(name, {}) for name in target.sources],
                "outputs": [_dataset(into, facets)],
            }


def _file(path: str) -> Name:
    """A file as events name it."""
    return naming.split(path) if "://" in path else ("file", path)


def _inserts(statement: Statement) -> bool:
    """The columns of a table that is there already are filled in their order; a new one has
    those of the query."""
    return statement.what == "table" and not statement.columns


def _sure(flow: Flow, read: ColumnLineage) -> bool:
    return (flow.source, flow.source_field) not in read.unsure or flow.kind == "indirect"


def _dataset(name: Name, facets: Mapping[str, Any]) -> dict[str, Any]:
    return {"namespace": name[0], "name": name[1], "facets": facets}


def _columns(target: _Target) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    aside: list[dict[str, Any]] = []
    for mine, name, theirs, kind, masking in target.flows:
        direct = kind != "indirect"
        if not direct and not target.whole:
            continue  # nothing tells that its data stayed away
        way = {
            "type": "DIRECT" if direct else "INDIRECT",
            "subtype": _SUBTYPES.get(kind, "FILTER"),
            "masking": masking,
        }
        one = {"namespace": name[0], "name": name[1], "field": theirs, "transformations": [way]}
        if direct and mine:
            fields.setdefault(mine, {"inputFields": []})["inputFields"].append(one)
        else:
            aside.append(one)
    return {"fields": fields, "dataset": aside}
